"""Sites: every draw is a protocol, the same for the same seed, and sites differ in the intended direction."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.dicom.styles import STYLES
from cardiolens.phantom.mr import contrast_of
from cardiolens.phantom.persons.population import POPULATIONS
from cardiolens.phantom.sites import SITES, site_named


def drawn(name: str, n: int = 80):
    return [SITES[name].protocol(np.random.default_rng([7, i])) for i in range(n)]


@pytest.mark.parametrize("name", SITES)
def test_a_site_knows_its_population_and_its_dicom(name: str) -> None:
    site = SITES[name]
    assert site.name == name and site.population in POPULATIONS
    assert {site.style_of(protocol) for protocol in drawn(name, 30)} <= set(STYLES)


@pytest.mark.parametrize("name", SITES)
def test_the_same_seed_is_scanned_the_same_way(name: str) -> None:
    assert drawn(name, 5) == drawn(name, 5)
    assert len({p.noise for p in drawn(name, 5)}) == 5


def test_sites_differ_as_they_should() -> None:
    field = {name: {p.field_strength_t for p in drawn(name)} for name in SITES}
    assert field["default"] == field["biobank"] == {1.5} and field["post-contrast"] == {3.0}
    assert field["referral"] == field["challenge"] == {1.5, 3.0}
    assert {(p.phases, p.sax_planes, p.slice_thickness_mm, p.slice_gap_mm) for p in drawn("biobank")} == {
        (50, 10, 8.0, 2.0)
    }
    assert {p.vendor for p in drawn("challenge")} == {"ge", "siemens", "philips"}
    assert {p.phases for p in drawn("default")} == {20} and {p.stored_matrix for p in drawn("default")} == {256}
    assert len({p.stored_matrix for p in drawn("challenge")}) > 3
    assert all(p.agent_mm >= 0.2 for p in drawn("post-contrast"))
    assert {p.gating for p in drawn("challenge")} == {"retrospective", "prospective"}


def test_muscle_is_brighter_against_blood_after_contrast_at_3_t() -> None:
    def mean(name: str) -> float:
        return float(np.mean([contrast_of(p).myocardium for p in drawn(name, 20)]))

    assert mean("biobank") < mean("default") < mean("post-contrast")


def test_mishaps_happen_in_a_few() -> None:
    protocols = drawn("referral", 200)
    assert 0.01 < np.mean([p.wrap for p in protocols]) < 0.15
    assert 0.01 < np.mean([p.trigger_delay != 0 for p in protocols]) < 0.15


def test_an_unknown_site_lists_the_known_ones() -> None:
    with pytest.raises(PhantomError, match="unknown site 'moon'; known are default, biobank, referral"):
        site_named("moon")

"""The model that ships with the package, on hearts it has never seen and on real scans."""

import numpy as np
import pytest

import cardiolens
from cardiolens.inference import Predictor
from cardiolens.models.locate import BUNDLED
from cardiolens.phantom import render_study, sample_parameters, truth_of

NAME = "shad-mvit-tiny:phantom"


@pytest.fixture(scope="module")
def predictor():
    return Predictor(cardiolens.load_model(NAME))


@pytest.fixture(scope="module")
def unseen(predictor):
    """(truth, prediction) of sixteen phantoms whose seeds no training cohort has."""
    rows = []
    for number in range(16):
        heart = sample_parameters(np.random.default_rng([77, number]))
        study = render_study(heart, seed=900_000 + number, matrix=96, sax_planes=8, phases=16, sub_slices=2)
        rows.append((truth_of(heart).lvef_pct, predictor(study)))
    return rows


def test_it_is_listed_small_and_says_what_it_learned_from():
    assert NAME in cardiolens.list_models()
    folder = BUNDLED / "shad-mvit-tiny" / "phantom"
    assert sum(file.stat().st_size for file in folder.rglob("*")) <= 10e6
    card = cardiolens.load_model(NAME).card
    assert "phantom" in card.source
    assert card.licence.weights == "Apache-2.0"
    assert {"recipe_hash", "data_hash", "split_hash", "version"} <= card.provenance.keys()
    assert card.tasks["lvef"]["conformal"]["n"] >= 100


def test_it_measures_unseen_phantoms_far_better_than_a_constant_would(unseen):
    truth = np.array([lvef for lvef, _ in unseen])
    found = np.array([prediction.lvef_pct for _, prediction in unseen])
    constant = np.abs(truth - np.median(truth)).mean()
    assert np.abs(found - truth).mean() < 0.75 * constant
    assert np.corrcoef(truth, found)[0, 1] > 0.6


def test_its_interval_holds_for_most_and_most_are_in_domain(unseen):
    inside = sum(p.interval.low <= lvef <= p.interval.high for lvef, p in unseen)
    assert inside >= 12
    assert sum(p.out_of_domain for _, p in unseen) <= 3


def test_it_flags_real_scans(predictor, shared_data):
    for name in ("SCD0000101", "SCD0000201"):
        study = cardiolens.read_study(shared_data / "real" / "sunnybrook_cine" / name)
        prediction = predictor(study)
        assert prediction.out_of_domain
        assert 'learned from studies of "cardiolens phantom" alone' in prediction.domain_reasons[0]


def test_its_text_tower_embeds_a_report():
    model = cardiolens.load_model(NAME)
    low, high = model.embed_text(["LVEF 20%, severely reduced LV function.", "LVEF 65%, normal LV function."])
    assert float(low @ high) < 0.9
    assert len(model.text_tower().tokenizer) <= 4000

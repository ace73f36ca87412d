"""Tissue signal: order of tissues, field strength, gadolinium, scatter, and agreement with a real scanner."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart.parts import Tissue
from cardiolens.phantom.mr import Contrast, Protocol, contrast_of
from cardiolens.phantom.mr.relaxation import TISSUES


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"blood": float("nan")}, {"scale": float("inf")}])
def test_a_signal_that_cannot_be_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(PhantomError, match=f"contrast: {next(iter(wrong))} must lie in"):
        Contrast(**wrong)


def test_the_mean_contrast_has_the_order_of_a_real_cine() -> None:
    c = contrast_of(Protocol())
    assert c.void == c.calcium == 0.0 < c.lung < c.pericardium < c.skeletal < c.myocardium < c.liver < c.spleen
    assert c.spleen < c.right_blood < c.blood == 1.0 < c.fluid < c.cyst
    assert c.myocardium < c.thrombus < c.tumor < c.myxoma < c.blood


def test_muscle_is_as_dark_against_blood_as_in_two_real_studies() -> None:
    """0.30 and 0.39 inside the expert contours of two Sunnybrook studies (GE, 1.5 T, 45 degrees)."""
    assert contrast_of(Protocol()).myocardium == pytest.approx(0.35, abs=0.02)


def test_gadolinium_shortens_t1_and_lifts_muscle_and_signal() -> None:
    t1, t2 = TISSUES["blood"].at(1.5, 0.35)
    assert t1 == pytest.approx(1 / (1 / 1441 + 4.5 * 0.35 / 1000)) and t2 < 290
    before, after = contrast_of(Protocol()), contrast_of(Protocol(agent_mm=0.35))
    assert after.myocardium > before.myocardium + 0.02
    assert after.noise < 0.85 * before.noise, "blood is brighter, so the same noise is less of it"
    assert after.thrombus < before.thrombus, "what takes no agent up falls behind"


def test_times_lie_between_the_two_field_strengths() -> None:
    low, mid, high = (TISSUES["myocardium"].at(b)[0] for b in (1.5, 2.25, 3.0))
    assert low == 1030.0 and high == 1471.0 and mid == pytest.approx((low + high) / 2)
    assert TISSUES["liver"].at(7.0) == TISSUES["liver"].at(3.0)


def test_metal_voids_reach_further_at_high_field_and_long_repetition() -> None:
    plain, high = contrast_of(Protocol()).void_bloom, contrast_of(Protocol(field_strength_t=3.0)).void_bloom
    assert high > 1.3 * plain
    assert contrast_of(Protocol(repetition_ms=6.0, echo_ms=3.0)).void_bloom > plain


def test_the_india_ink_line_comes_and_goes_with_the_pass_band_of_fat() -> None:
    """217 Hz at 1.5 T: 0.73 of a cycle at TR 3.36 (odd band), 0.43 at TR 2 (in phase with water)."""
    assert contrast_of(Protocol()).ink > 0.5
    assert contrast_of(Protocol(repetition_ms=2.0, echo_ms=1.0)).ink < 0.3


def test_patients_scatter_and_a_shifted_t2_shows() -> None:
    drawn = [contrast_of(Protocol(), np.random.default_rng(seed)).myocardium for seed in range(60)]
    assert 0.02 < np.std(drawn) < 0.08 and np.mean(drawn) == pytest.approx(0.35, abs=0.03)
    one, same = (contrast_of(Protocol(), np.random.default_rng(3)) for _ in range(2))
    assert one == same
    assert contrast_of(Protocol(), tissue=Tissue(t2_shift_ms=15.0)).myocardium > contrast_of(Protocol()).myocardium


def test_fields_without_a_protocol_are_close_to_the_default_ones() -> None:
    plain, drawn = Contrast(), contrast_of(Protocol())
    for name in (f.name for f in fields(Contrast) if f.name != "acquired"):
        assert getattr(drawn, name) == pytest.approx(getattr(plain, name), rel=0.08), name

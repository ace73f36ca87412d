"""The field about the heart: as wide as asked, darkening only where it is far off."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.phantom.mr.off_resonance import OffResonance, band_profile

BALL = np.random.default_rng(0).uniform(-1, 1, (6000, 3))
BALL = BALL[np.linalg.norm(BALL, axis=1) < 1]
HEART = (BALL * [52, 38, 47] + [-14, 0, -47]).astype(np.float32)  # both ventricles, LV length 94 mm


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_the_field_varies_over_the_heart_by_what_was_asked(seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    assert np.ptp(OffResonance(125.0, 94.0, rng).hz(HEART)) == pytest.approx(125.0, rel=0.25)


def test_an_even_field_darkens_nothing() -> None:
    assert OffResonance(0.0, 94.0).darkening(HEART, repetition_ms=3.0, flip_deg=45.0) is None


def test_a_stronger_field_variation_and_a_longer_repetition_darken_more() -> None:
    def least(hz: float, tr: float) -> float:
        dark = OffResonance(hz, 94.0).darkening(HEART, repetition_ms=tr, flip_deg=45.0)
        assert dark is not None and dark.max() <= 1.05
        return float(dark.min())

    assert least(62.0, 2.8) > 0.85, "a shimmed heart at 1.5 T shows next to nothing"
    assert least(125.0, 3.2) < least(62.0, 3.2)
    assert least(250.0, 3.2) < 0.3, "a band"


def test_the_border_to_the_lung_at_the_inferolateral_wall_is_worst() -> None:
    field = OffResonance(125.0, 94.0)
    lateral, septal = np.array([[34.0, 28.0, -40.0]], np.float32), np.array([[-20.0, -5.0, -40.0]], np.float32)
    assert abs(field.hz(lateral)[0]) > 2 * abs(field.hz(septal)[0])


def test_the_pass_band_is_even_in_the_middle_and_dark_at_its_ends() -> None:
    profile = band_profile(3.0, 45.0)
    np.testing.assert_allclose(profile, profile[::-1], atol=1e-9)
    assert profile[len(profile) // 2] == 1.0 and profile[0] < 0.1

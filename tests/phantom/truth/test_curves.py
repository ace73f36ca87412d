"""Curves through the beat agree with the truth at its ends."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth import truth_of
from cardiolens.phantom.truth.curves import curves_of


@pytest.mark.parametrize("condition", ["normal", "ischemic cardiomyopathy", "pulmonary hypertension"])
def test_extremes_of_the_volume_curves_are_the_volumes_of_the_truth(condition):
    p = sample_parameters(np.random.default_rng(2), condition=condition)
    t, c = truth_of(p), curves_of(p, 200)
    assert (c.lv_ml.max(), c.lv_ml.min()) == pytest.approx((t.edv_ml, t.esv_ml), rel=2e-3)
    assert (c.rv_ml.max(), c.rv_ml.min()) == pytest.approx((t.rv_edv_ml, t.rv_esv_ml), rel=2e-3)
    assert (c.la_ml.max(), c.la_ml.min()) == pytest.approx((t.la_volume_ml, t.la_min_ml), rel=2e-3)
    assert c.mitral_mm.max() == pytest.approx(t.mapse_mm, rel=2e-3)
    assert c.thickness_mm[:, 0] == pytest.approx(np.array(t.segment_thickness_mm), rel=1e-6)


def test_an_atrium_fills_while_the_ventricle_empties_and_empties_in_two_steps():
    c = curves_of(HeartParameters(heart_rate=60.0), 400)
    systole = c.phase < 0.3
    assert np.corrcoef(c.la_ml[systole], c.lv_ml[systole])[0, 1] < -0.95
    slope = np.diff(c.la_ml)
    early, rest, late = (
        slope[(c.phase[1:] > a) & (c.phase[1:] <= b)].mean() for a, b in ((0.45, 0.6), (0.7, 0.85), (0.92, 1))
    )
    assert early < -0.05 and late < -0.05 and abs(rest) < 0.1 * abs(early)
    fibrillating = curves_of(HeartParameters(heart_rate=60.0, atrial_kick=0.0, rhythm="atrial fibrillation"), 400)
    assert np.ptp(fibrillating.lv_ml[fibrillating.phase > 0.75]) < 0.1 * np.ptp(c.lv_ml)


@pytest.mark.parametrize("none", [0, -3, ()])
def test_a_beat_without_a_phase_is_refused(none):
    with pytest.raises(PhantomError, match="phases must be 1 or more"):
        curves_of(HeartParameters(), none)


def test_a_healthy_wall_thickens_and_an_akinetic_one_does_not():
    motion = [1.0] * 17
    for segment in (4, 10, 15):
        motion[segment - 1] = 0.0
    c = curves_of(HeartParameters(segment_motion=tuple(motion), lvef_pct=45.0, mapse_mm=10.0), 50)
    gain = c.thickness_mm.max(1) / c.thickness_mm[:, 0]
    assert gain[6] > 1.3 and gain[9] < 1.2

"""Truth is true: what voxels count against what is integrated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth import truth_of
from cardiolens.phantom.truth.on_images import masks
from cardiolens.study import Cine

STEP = 1.0


def _fine_cine(p, shares_ms, step=STEP):
    """An empty cine of 1 mm voxels, aligned with the heart, that holds all of it."""
    frame, a = heart_frame(p), anatomy_of(p)
    half = 110.0
    low = np.array([-half - 20.0, -half, a.heights[0]])
    n = int((a.heights[-1] - a.heights[0]) / step)
    size = int(2 * half / step)
    affine = np.eye(4)
    affine[:3, :3] = frame.axes * step
    affine[:3, 3] = frame.to_patient(low)
    normal = frame.axes[:, 2]
    positions = affine[:3, 3] @ normal + step * np.arange(n)
    frames = np.broadcast_to(np.zeros((), np.uint8), (n, len(shares_ms), size, size))
    return Cine(
        "SAX",
        frames,
        spacing_mm=(step, step),
        slice_positions_mm=positions,
        trigger_times_ms=np.tile(shares_ms, (n, 1)),
        affine=affine,
    )


@pytest.mark.parametrize(
    "condition",
    [
        "normal",
        "ischemic cardiomyopathy",
        "hypertrophic cardiomyopathy",
        "pulmonary hypertension",
        "tetralogy of Fallot",
    ],
)
def test_voxel_counts_at_1_mm_agree_with_truth_within_2_percent(condition):
    p = sample_parameters(np.random.default_rng(11), condition=condition)
    t = truth_of(p)
    times = np.array([0.0, beat_times(p).end_systole]) * p.rr_ms
    label = masks(p, _fine_cine(p, times))
    ml = np.array([[np.count_nonzero(label[:, i] == k) for k in range(6)] for i in range(2)]) * STEP**3 / 1000.0
    assert ml[0, 1] == pytest.approx(t.edv_ml, rel=0.02)
    assert ml[1, 1] == pytest.approx(t.esv_ml, rel=0.02)
    assert 100 * (1 - ml[1, 1] / ml[0, 1]) == pytest.approx(t.lvef_pct, abs=1.0)
    assert 1.05 * ml[0, 2] == pytest.approx(t.lv_mass_g, rel=0.02)
    assert 1.05 * ml[1, 2] == pytest.approx(t.lv_mass_g, rel=0.02)  # muscle neither appears nor vanishes
    assert ml[0, 3] == pytest.approx(t.rv_edv_ml, rel=0.02)
    assert ml[1, 3] == pytest.approx(t.rv_esv_ml, rel=0.02)
    assert ml[1, 4] == pytest.approx(t.la_volume_ml, rel=0.03)
    assert ml[1, 5] == pytest.approx(t.ra_volume_ml, rel=0.08)  # where RA and RV meet, the voxel is the RV's


def _long_axis(p):
    """Mitral plane and LV length (mm) at end-diastole and end-systole, read off 1 mm masks on a grid askew."""
    turn = Rotation.from_euler("xyz", [9.0, -7.0, 20.0], degrees=True).as_matrix()
    size, frame = 190, heart_frame(p)
    affine = np.eye(4)
    affine[:3, :3] = frame.axes @ turn
    affine[:3, 3] = frame.to_patient(np.array([-5.0, 0.0, -40.0]) - turn @ np.full(3, size / 2))
    positions = affine[:3, 3] @ affine[:3, 2] + np.arange(size)
    times = np.array([0.0, beat_times(p).end_systole]) * p.rr_ms
    cine = Cine(
        "SAX",
        np.broadcast_to(np.zeros((), np.uint8), (size, 2, size, size)),
        spacing_mm=(1.0, 1.0),
        slice_positions_mm=positions,
        trigger_times_ms=np.tile(times, (size, 1)),
        affine=affine,
    )
    label = masks(p, cine)
    found = []
    for i in range(2):
        k, r, c = np.nonzero(label[:, i] == 1)
        z = frame.to_heart(np.stack([c, r, k], 1) @ affine[:3, :3].T + affine[:3, 3])[:, 2]
        area, edges = np.histogram(z, bins=np.arange(z.min() - 0.5, z.max() + 1.0, 1.0))
        middle = 0.5 * (edges[1:] + edges[:-1])
        apex = np.roots(np.polyfit(middle[:5], area[:5], 1)).real  # near the tip the area falls evenly to zero
        apex = apex[np.argmin(np.abs(apex - z.min()))]
        section = np.polyval(np.polyfit(middle[-30:-7], area[-30:-7], 2), middle[-5])  # just below the mitral plane
        mitral = middle[-8] + 0.5 + area[-7:].sum() / section
        found.append((mitral, mitral - apex))
    return found


@pytest.mark.parametrize("condition", ["normal", "non-ischemic cardiomyopathy", "amyloidosis"])
def test_mapse_and_gls_read_off_1_mm_masks_agree_with_truth_within_3_percent(condition):
    p = sample_parameters(np.random.default_rng(5), condition=condition)
    t = truth_of(p)
    (top_ed, long_ed), (top_es, long_es) = _long_axis(p)
    assert top_ed - top_es == pytest.approx(t.mapse_mm, rel=0.03)
    assert 100 * (1 - long_es / long_ed) == pytest.approx(t.gls_pct, rel=0.03)


def test_muscle_volume_is_constant_over_the_whole_beat():
    p = sample_parameters(np.random.default_rng(3), condition="ischemic cardiomyopathy")
    a = anatomy_of(p)
    muscle = a.muscle_ml(np.linspace(0, 1, 9))
    assert np.ptp(muscle) < 1e-6 * muscle.mean()


def test_an_akinetic_wall_thickens_less_than_a_healthy_one():
    motion = [1.0] * 17
    for segment in (4, 10, 15):
        motion[segment - 1] = 0.0
    a = anatomy_of(HeartParameters(segment_motion=tuple(motion), lvef_pct=45.0, mapse_mm=10.0))
    endo, epi = a.lv_material(np.array([0.0, 1.0]))
    wall = np.sqrt(epi.clip(0)) - np.sqrt(endo.clip(0))
    mid = np.argmin(np.abs(a.material_s - 0.5))
    anterior, inferior = len(a.angles) // 4, 3 * len(a.angles) // 4
    gain = wall[:, mid, 1] / wall[:, mid, 0]
    assert gain[anterior] > 1.3
    assert gain[inferior] < 1.15


def test_the_beat_empties_to_end_systole_and_fills_again():
    from cardiolens.phantom.anatomy.motion import beat_times, emptying

    for rate in (40, 65, 100, 150):
        p = HeartParameters(heart_rate=rate)
        t = beat_times(p)
        order = [0, t.ejection, t.end_systole, t.opening, t.filled, t.kick, 1]
        assert order == sorted(set(order))
        share = emptying(p, np.linspace(0, 0.999, 500))
        peak = int(share.argmax())
        assert share[0] == 0 and share.max() == pytest.approx(1.0, abs=1e-3)
        assert (np.diff(share[: peak + 1]) >= -1e-9).all() and (np.diff(share[peak:]) <= 1e-9).all()
        assert 0.25 < peak / 500 < 0.6

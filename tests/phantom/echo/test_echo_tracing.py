"""Tracings against the ventricle that they trace."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.echo.probe import Probe, place_probe
from cardiolens.phantom.echo.tracing import N_CHORDS, Tracing, trace
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth import truth_of
from cardiolens.phantom.truth.on_images import classify

HEARTS = [
    HeartParameters(),
    HeartParameters(lv_edv_ml=260.0, lvef_pct=25.0, lv_length_mm=105.0, mapse_mm=6.0, body_seed=1),
    HeartParameters(sex="F", lv_edv_ml=95.0, lvef_pct=66.0, lv_length_mm=82.0, body_seed=2),
    HeartParameters(lv_edv_ml=190.0, lvef_pct=45.0, lv_length_mm=98.0, mapse_mm=10.0, body_seed=3),
    HeartParameters(sex="F", lv_edv_ml=130.0, lvef_pct=55.0, lv_length_mm=88.0, body_seed=4),
    HeartParameters(lv_edv_ml=230.0, lvef_pct=35.0, lv_length_mm=102.0, mapse_mm=8.0, body_seed=5),
]


def cavity_area_mm2(heart: HeartParameters, phase: float, probe: Probe) -> float:
    step = 0.5
    across, down = np.meshgrid(np.arange(-70.0, 70.0, step), np.arange(0.0, 170.0, step))
    tables = FlatTables(anatomy_of(heart).tables(np.array([phase])))
    points = probe.points(across, down).reshape(-1, 3)
    return float((classify(anatomy_of(heart), tables, points)[0] == 1).sum()) * step**2


def tracings(heart: HeartParameters, seed: int) -> tuple[Probe, Tracing, Tracing]:
    probe = place_probe(heart, np.random.default_rng(seed))
    ends = (0.0, beat_times(heart).end_systole)
    ed, es = (trace(anatomy_of(heart), phase, probe, 112) for phase in ends)
    return probe, ed, es


@pytest.mark.parametrize("number", range(3))
def test_area_is_that_of_the_cavity_in_the_plane(number: int) -> None:
    heart = HEARTS[number]
    probe, ed, es = tracings(heart, number)
    for phase, tracing in ((0.0, ed), (beat_times(heart).end_systole, es)):
        assert tracing.area_mm2 == pytest.approx(cavity_area_mm2(heart, phase, probe), rel=0.03)


def test_axis_comes_first_then_chords_across_it_from_apex_to_base() -> None:
    _, ed, _ = tracings(HEARTS[0], 0)
    assert ed.lines.shape == (1 + N_CHORDS, 4)
    axis = ed.lines[0, 2:] - ed.lines[0, :2]
    chords = ed.lines[1:, 2:] - ed.lines[1:, :2]
    assert axis[1] > 0  # the base is further down
    assert (chords[:, 0] > 0).all()  # left end first
    cosines = chords @ axis / np.linalg.norm(chords, axis=1) / np.linalg.norm(axis)
    assert np.abs(cosines).max() < 1e-6
    assert (np.diff(ed.lines[1:, [1, 3]].mean(axis=1)) > 0).all()


def test_volumes_by_discs_follow_the_true_ones() -> None:
    found, true = [], []
    for number, heart in enumerate(HEARTS):
        _, ed, es = tracings(heart, number)
        truth = truth_of(heart)
        found.append((ed.volume_ml, es.volume_ml, 100.0 * (1.0 - es.volume_ml / ed.volume_ml)))
        true.append((truth.edv_ml, truth.esv_ml, truth.lvef_pct))
    for k in range(3):
        a, b = np.array(found)[:, k], np.array(true)[:, k]
        assert np.corrcoef(a, b)[0, 1] > 0.95
        assert abs((a - b).mean() / b.mean()) < 0.12  # one plane is not the heart


def test_drift_moves_the_tracing_with_the_picture() -> None:
    heart = HEARTS[0]
    probe = place_probe(heart, np.random.default_rng(0))
    still = trace(anatomy_of(heart), 0.0, probe, 112)
    moved = trace(anatomy_of(heart), 0.0, probe, 112, drift=np.array([0.02, 3.0]))
    assert (moved.lines[0, 1] - still.lines[0, 1]) * probe.mm_per_pixel(112) == pytest.approx(3.0, abs=0.3)
    assert moved.volume_ml == pytest.approx(still.volume_ml, rel=1e-6)

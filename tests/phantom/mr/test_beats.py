"""Which moment of the heart each line of k-space shows."""

from __future__ import annotations

import numpy as np
import pytest

from cardiolens.phantom.mr import Protocol, acquisition_of, frame_times, gather, heart_phases, smear


def test_frames_cover_the_beat_or_as_much_of_it_as_a_triggered_scan_does() -> None:
    assert frame_times(Protocol(phases=4)).tolist() == [0, 0.25, 0.5, 0.75]
    short = frame_times(Protocol(phases=4, gating="prospective", covered=0.8))
    np.testing.assert_allclose(short, [0, 0.2, 0.4, 0.6])


def test_a_late_trigger_moves_the_heart_and_not_the_times() -> None:
    late = Protocol(phases=4, trigger_delay=0.1)
    np.testing.assert_allclose(frame_times(late), frame_times(Protocol(phases=4)))
    np.testing.assert_allclose(heart_phases(late), [0.1, 0.35, 0.6, 0.85])
    np.testing.assert_allclose(heart_phases(Protocol(phases=4, trigger_delay=-0.1))[0], 0.9)


def test_a_regular_rhythm_needs_no_second_look() -> None:
    rng = np.random.default_rng(0)
    assert acquisition_of(Protocol(), "sinus", 128, rng) is None
    assert acquisition_of(Protocol(arrhythmia=0.0), "atrial fibrillation", 128, rng) is None, "odd beats rejected"


@pytest.mark.parametrize("rhythm", ["atrial fibrillation", "ectopy"])
def test_irregular_beats_disagree_most_at_the_end(rhythm: str) -> None:
    how = acquisition_of(Protocol(phases=20), rhythm, 128, np.random.default_rng(2))
    assert how is not None and len(how.frame) == how.beat.max() + 1 > 3
    np.testing.assert_allclose(how.frame[:, 0], 0.0)
    assert how.frame.std(0)[15] > 1.0 and how.frame.max() <= 19


def test_lines_are_dealt_in_turn_or_in_blocks() -> None:
    rng = np.random.default_rng(0)
    spread = acquisition_of(Protocol(interleaved=True), "atrial fibrillation", 64, rng)
    blocks = acquisition_of(Protocol(interleaved=False), "atrial fibrillation", 64, rng)
    assert spread is not None and blocks is not None
    assert (np.diff(np.fft.fftshift(spread.beat)) != 0).all()
    assert (np.diff(np.fft.fftshift(blocks.beat)) >= 0).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_beats_that_agree_give_the_frames_back_and_others_ghost_along_the_phase_encoding(axis: int) -> None:
    frames = np.zeros((10, 64, 64), dtype=np.float32)
    for i in range(10):
        frames[i, 28:36, 28:36] = 1.0
        frames[i, 30 : 31 + i // 3, 30:34] = 0.0
    rng = np.random.default_rng(1)
    how = acquisition_of(Protocol(phases=10), "atrial fibrillation", 64, rng)
    assert how is not None
    same = gather(frames, type(how)(np.arange(10.0)[None], np.zeros(64, int), np.zeros(64), np.zeros((1, 3))), axis)
    np.testing.assert_allclose(same, frames, atol=1e-5)
    out = gather(frames, how, axis)
    far = np.abs(out - frames)[8]
    along, across = (far[:20, 28:36], far[28:36, :20]) if axis == 0 else (far[28:36, :20], far[:20, 28:36])
    assert along.max() > 0.02 and across.max() < 1e-5


def test_pulsating_flow_streaks_along_the_phase_encoding() -> None:
    frames = np.zeros((6, 32, 32), dtype=np.float32)
    frames[:, 14:18, 14:18] = np.linspace(0, 1, 6)[:, None, None]
    how = acquisition_of(Protocol(phases=6, flow_artefact=0.1), "sinus", 32, np.random.default_rng(0))
    assert how is not None
    out = np.abs(gather(frames, how, 0) - frames)
    assert out[5, :8, 14:18].max() > 0.003 and out[5, :, :8].max() < 1e-6


@pytest.mark.parametrize("axis", [0, 1])
def test_a_patient_who_moves_once_and_for_all_is_a_shifted_picture(axis: int) -> None:
    how = acquisition_of(Protocol(breathing_mm=2.0), "sinus", 32, np.random.default_rng(0))
    assert how is not None and not how.still and len(how.moved_mm) == how.beat.max() + 1
    np.testing.assert_allclose(how.moved_mm.mean(0), 0.0, atol=1e-9)
    image = np.random.default_rng(1).random((32, 32)).astype(np.float32)
    same = np.tile([2.0, -3.0], (len(how.moved_mm), 1))
    np.testing.assert_allclose(smear(image, how, same, axis), np.roll(image, (2, -3), (0, 1)), atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_one_who_moves_between_beats_is_smeared_along_the_phase_encoding(axis: int) -> None:
    how = acquisition_of(Protocol(breathing_mm=2.0), "sinus", 64, np.random.default_rng(0))
    assert how is not None
    image = np.zeros((64, 64), np.float32)
    image[30:34, 30:34] = 1.0
    shift = np.zeros((len(how.moved_mm), 2))
    shift[:, axis] = how.moved_mm[:, 2]
    far = np.abs(smear(image, how, shift, axis))
    along, across = (far[:20, 30:34], far[30:34, :20]) if axis == 0 else (far[30:34, :20], far[:20, 30:34])
    assert along.max() > 0.02 and across.max() < 1e-4

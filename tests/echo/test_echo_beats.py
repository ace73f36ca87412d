"""Beats without an ECG, and EF averaged over them; any callable can give the EF of a clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cardiolens.echo.beats import find_beats
from cardiolens.echo.ef import ModelReader, Span, beat_by_beat
from cardiolens.errors import CheckpointError, InputError
from cardiolens.io.video import even_in_time
from cardiolens.phantom.echo import Echo
from cardiolens.volume import Volume


def as_loop(images: np.ndarray, fps: float = 30.0) -> Volume:
    return Volume(images, "time", source="loop", times_ms=np.arange(len(images), dtype=np.float64) * 1000.0 / fps)


class Oracle:
    """Reads off a known EF curve: the truth by where a clip begins."""

    def __init__(self, by_image: np.ndarray, extent: int) -> None:
        self._by_image, self._extent = by_image, extent
        self.asked: list[Span] = []

    @property
    def extent(self) -> int:
        return self._extent

    def __call__(self, loop: Volume, spans: Sequence[Span]) -> Sequence[float]:
        self.asked += spans
        assert all(0 <= a < b <= len(loop) for a, b in spans)
        return [float(self._by_image[a]) for a, _ in spans]


def test_beats_begin_near_end_diastole_at_the_right_rate(echo: Echo) -> None:
    beats = find_beats(as_loop(echo.frames))
    assert beats.heart_rate == pytest.approx(66, abs=4) and len(beats.starts) in (3, 4, 5)
    phases = echo.phases[list(beats.starts)]
    away = np.minimum(phases, 1 - phases)
    assert np.median(away) < 0.12 and beats.likeness > 0.6


def test_beats_move_with_the_loop(echo: Echo) -> None:
    first, later = (set(find_beats(as_loop(part)).starts) for part in (echo.frames, echo.frames[10:]))
    shared = [start for start in first if 20 <= start <= 105]
    assert shared and all(any(abs(start - 10 - other) <= 1 for other in later) for start in shared)


def test_noise_has_no_beats_and_clips_are_spread(echo: Echo) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 56, 56)).astype(np.uint8)
    assert find_beats(as_loop(noise)).starts == ()
    found = beat_by_beat(as_loop(noise), Oracle(np.full(120, 60.0), extent=30))
    assert not found.by_beats and len(found.spans) == 5 and found.spans[0][0] == 0 and found.spans[-1][1] == 120
    assert "no beat was found" in " ".join(found.notes)


def test_ef_is_the_mean_over_beats_with_its_spread(echo: Echo) -> None:
    truth = np.linspace(50.0, 70.0, 120)
    oracle = Oracle(truth, extent=24)
    found = beat_by_beat(as_loop(echo.frames), oracle)
    starts = [start for start in found.beats.starts if start + 24 <= 120]
    assert found.by_beats and [a for a, _ in oracle.asked] == starts and len(starts) > 1
    assert found.ef == pytest.approx(truth[starts].mean())
    assert found.spread == pytest.approx(truth[starts].std(ddof=1))


def test_a_reader_of_whole_beats_gets_from_beat_to_beat(echo: Echo) -> None:
    oracle = Oracle(np.full(120, 55.0), extent=0)
    found = beat_by_beat(as_loop(echo.frames), oracle)
    usual = 60.0 / 66.0 * 30.0
    assert found.by_beats and all(0.7 * usual < b - a for a, b in oracle.asked)
    assert all(first[1] == second[0] for first, second in zip(oracle.asked, oracle.asked[1:], strict=False))


def test_a_loop_shorter_than_a_clip_or_without_times_is_refused(echo: Echo) -> None:
    with pytest.raises(InputError, match="20 images are fewer than the 46"):
        beat_by_beat(as_loop(echo.frames[:20]), Oracle(np.full(20, 55.0), extent=46))
    with pytest.raises(InputError, match="known times"):
        find_beats(Volume(echo.frames, "time"))


def test_answers_that_are_no_numbers_are_refused_and_impossible_ones_told(echo: Echo) -> None:
    with pytest.raises(InputError, match="not finite"):
        beat_by_beat(as_loop(echo.frames), Oracle(np.full(120, np.nan), extent=20))
    found = beat_by_beat(as_loop(echo.frames), Oracle(np.full(120, 130.0), extent=20))
    assert "outside 0 to 100" in " ".join(found.notes)


def test_uneven_steps_are_made_even_before_beats_are_found(echo: Echo) -> None:
    times = np.arange(120, dtype=np.float64) * 1000.0 / 30.0
    kept = np.delete(np.arange(120), [17, 18, 40, 77])
    uneven = Volume(echo.frames[kept], "time", times_ms=times[kept])
    even = even_in_time(uneven)
    assert even.times_ms is not None and np.allclose(np.diff(even.times_ms), 1000 / 30) and len(even) == 120
    assert find_beats(even).heart_rate == pytest.approx(66, abs=4)


def test_a_loop_is_read_at_the_rate_of_training(echo: Echo) -> None:
    oracle = Oracle(np.full(240, 55.0), extent=20)
    found = beat_by_beat(as_loop(echo.frames), oracle, frame_rate=15.0)
    assert found.loop.attributes["frame_rate"] == pytest.approx(15.0) and len(found.loop) == 60
    assert found.beats.heart_rate == pytest.approx(66, abs=5)


def test_only_a_trained_video_model_with_an_ef_is_taken() -> None:
    from cardiolens.hub import load_model

    with pytest.raises(CheckpointError, match="reads no loops"):
        ModelReader(load_model("shad-mil-regression"))
    with pytest.raises(CheckpointError, match=r"no trained weights|answers"):
        ModelReader(load_model("echoai-ef-tiny"))

"""The rendered apical four-chamber clip: size, sector, motion, speckle, determinism, refusals."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times, emptying
from cardiolens.phantom.anatomy.sampling import FlatTables
from cardiolens.phantom.echo import Echo, render_echo
from cardiolens.phantom.echo.beats import rhythm
from cardiolens.phantom.echo.sector import sector_of, visible
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import Mass, Valves
from cardiolens.phantom.truth.on_images import classify

HEART = HeartParameters(body_seed=3)


@lru_cache(maxsize=2)
def clip(size: int = 112) -> Echo:
    return (
        render_echo(HEART, seed=2, beats=2, size=size)
        if size == 112
        else render_echo(HEART, seed=2, frames=36, size=size)
    )


@lru_cache(maxsize=8)
def short(seed: int, heart: HeartParameters = HEART) -> Echo:
    return render_echo(heart, seed=seed, frames=24, size=64)


def plane_points(echo: Echo) -> npt.NDArray[np.float64]:
    size = echo.frames.shape[1]
    grid = np.arange(size, dtype=np.float64)
    return echo.probe.points(*echo.probe.places(*np.meshgrid(grid, grid), size))


def labels_at(echo: Echo, frame: int) -> npt.NDArray[np.uint8]:
    points = plane_points(echo)
    tables = FlatTables(anatomy_of(HEART).tables(echo.phases[[frame]]))
    return classify(anatomy_of(HEART), tables, points.reshape(-1, 3))[0].reshape(points.shape[:2])


def test_clip_holds_the_beats_asked_for_at_the_rate_asked_for() -> None:
    echo = clip()
    assert echo.frames.dtype == np.uint8
    assert echo.frames.shape == (round(2 * HEART.rr_ms / 1000 * 50), 112, 112)
    assert echo.fps == 50.0
    assert 0 <= echo.ed < echo.es < len(echo.frames)


def test_frames_can_be_counted_out_instead() -> None:
    assert short(2).frames.shape == (24, 64, 64)


def test_named_frames_lie_at_the_r_wave_and_at_end_systole() -> None:
    echo = clip()
    step = 1000.0 / echo.fps / HEART.rr_ms
    from_r = (echo.phases[echo.ed] + 0.5) % 1.0 - 0.5
    assert abs(from_r) <= 0.55 * step
    assert abs(echo.phases[echo.es] - beat_times(HEART).end_systole) <= 0.6 * step


def test_outside_the_sector_is_black() -> None:
    echo = clip()
    outside = ~visible(sector_of(echo.probe, 112))
    near_edge = ~binary_erosion(outside)
    assert not echo.frames[:, outside & ~near_edge].any()
    assert 0.3 < (~outside).mean() < 0.75


def test_the_left_ventricle_lies_to_the_viewers_right_with_its_apex_on_top() -> None:
    labels = labels_at(clip(), clip().ed)
    middle = {name: np.argwhere(labels == number).mean(axis=0) for name, number in {"lv": 1, "rv": 3, "la": 4}.items()}
    assert middle["lv"][1] > middle["rv"][1] + 10
    assert middle["lv"][0] < middle["la"][0] - 15


def test_blood_is_dark_muscle_grey_and_the_pool_shrinks_in_the_pixels() -> None:
    echo = clip()
    seen = visible(sector_of(echo.probe, 112))
    at_ed, at_es = labels_at(echo, echo.ed), labels_at(echo, echo.es)
    still = gaussian_filter(echo.frames.astype(np.float32), (0, 0.7, 0.7))
    levels = [np.median(still[echo.ed][(at_ed == label) & seen]) for label in (1, 2)]
    assert levels[1] > 2.0 * levels[0] + 10
    around = binary_erosion(at_ed == 1, iterations=1)
    dark = [(still[frame][around] < levels[0] + 0.4 * (levels[1] - levels[0])).sum() for frame in (echo.ed, echo.es)]
    assert dark[1] < 0.8 * dark[0]
    assert (at_es == 1).sum() < 0.8 * (at_ed == 1).sum()


def fine(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Speckle without the slow changes of brightness."""
    image = frame.astype(np.float32)
    return image - gaussian_filter(image, 2.0)


def alike(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_speckle_stays_in_muscle_and_goes_with_the_blood() -> None:
    echo = clip()
    labels, frame = labels_at(echo, echo.ed), echo.ed
    deep = (plane_points(echo)[..., 2] > -0.7 * HEART.lv_length_mm) & visible(sector_of(echo.probe, 112))
    kept = {}
    for label in (1, 2):
        region = binary_erosion((labels == label) & deep, iterations=2)
        kept[label] = alike(fine(echo.frames[frame])[region], fine(echo.frames[frame + 2])[region])
    assert kept[2] > kept[1] + 0.15


def test_speckle_of_the_septum_is_found_again_where_the_muscle_has_gone() -> None:
    echo = clip(224)
    first, later = echo.ed + 4, echo.ed + 8
    points = plane_points(echo)
    along = -points[..., 2] / HEART.lv_length_mm
    patch = (labels_at(echo, first) == 2) & (points[..., 0] < 0) & (along > 0.2) & (along < 0.6)
    row, col = np.nonzero(patch)
    before, after = (echo.frames[i].astype(np.float32) for i in (first, later))
    found = {up: alike(before[row, col], after[row - up, col]) for up in range(-3, 10)}
    travel = HEART.mapse_mm * np.diff(emptying(HEART, echo.phases[[first, later]]))[0] * 0.6 / echo.mm_per_pixel
    best = max(found, key=found.__getitem__)
    assert abs(best - travel) < 1.5
    assert found[best] > found[0] + 0.1


def test_same_seed_same_clip_and_another_seed_another() -> None:
    again = render_echo(HEART, seed=2, frames=24, size=64)
    np.testing.assert_array_equal(again.frames, short(2).frames)
    np.testing.assert_array_equal(again.ed_tracing.lines, short(2).ed_tracing.lines)
    assert not np.array_equal(short(3).frames, short(2).frames)


def test_overlay_writes_outside_the_sector_only() -> None:
    plain, marked = short(2), render_echo(HEART, seed=2, frames=24, size=64, overlay=True)
    seen = visible(sector_of(plain.probe, 64))
    np.testing.assert_array_equal(plain.frames[:, seen], marked.frames[:, seen])
    assert (marked.frames[-1] > plain.frames[-1]).sum() > 60


def brightest_in_box(heart: HeartParameters, height: tuple[float, float]) -> float:
    """Mean grey in the cavity's axis between two heights (heart mm), at end-diastole."""
    echo = short(5, heart)
    points = plane_points(echo)
    box = (points[..., 2] > height[0]) & (points[..., 2] < height[1]) & (np.abs(points[..., 0]) < 8.0)
    return float(echo.frames[echo.ed][box].mean())


@pytest.mark.parametrize(
    ("change", "height"),
    [
        ({"masses": (Mass(kind="thrombus", site="LV apex", size_mm=28.0),)}, (-84.0, -70.0)),
        ({"valves": Valves(prosthesis="mitral", mechanical=True)}, (-3.0, 3.0)),
    ],
)
def test_what_disease_adds_shows(change: dict[str, Any], height: tuple[float, float]) -> None:
    assert brightest_in_box(replace(HEART, **change), height) > brightest_in_box(HEART, height) + 15


def test_frames_are_mostly_dark_but_neither_black_nor_washed_out() -> None:
    means = [short(seed).frames.mean() for seed in (2, 3, 5)]
    assert 20 < np.mean(means) < 45


@pytest.mark.parametrize("name", ["sinus", "atrial fibrillation", "ectopy"])
def test_beats_are_even_in_sinus_rhythm_only(name: str) -> None:
    heart = replace(HEART, rhythm=name)
    timing = rhythm(heart, np.random.default_rng(0), frames=1000, fps=50.0, beats=3)
    lengths = np.bincount(timing.beat - timing.beat[0])[1:-1]
    spread = lengths.std() / lengths.mean()
    assert (spread < 0.06) == (name == "sinus")
    assert timing.phases.min() >= 0.0
    assert timing.phases.max() < 1.0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"frames": 3}, "frames"),
        ({"fps": 5.0}, "fps"),
        ({"size": 20}, "size"),
        ({"beats": 0}, "beats"),
        ({"seed": -1}, "seed"),
        ({"frames": 10}, "no whole systole"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, float], word: str) -> None:
    with pytest.raises(PhantomError, match=word):
        render_echo(HEART, **{"seed": 1, **settings})  # type: ignore[arg-type]

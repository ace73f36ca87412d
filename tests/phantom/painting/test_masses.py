"""Masses lie where they are attached, and within what counts as moving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.phantom import HeartParameters, Mass
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler
from cardiolens.phantom.heart.parts import MASS_SITES
from cardiolens.phantom.mr import Contrast
from cardiolens.phantom.painting.canvas import Canvas
from cardiolens.phantom.painting.heart_painter import touches_heart
from cardiolens.phantom.painting.masses import lump_of

PHASES = np.array([0.0, 0.35, 0.6])  # about end-diastole, end-systole and rapid filling


def _canvas(heart: HeartParameters, points: np.ndarray) -> Canvas:
    anatomy = anatomy_of(heart)
    at = Sampler(anatomy, points)
    still = np.zeros(len(points), dtype=np.float32)
    return Canvas(anatomy, FlatTables(anatomy.tables(PHASES)), at, points, still, Contrast(), 1.5)


def _painted(heart: HeartParameters, mass: Mass, phase: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the mass, and the points (n, 3) about it that it changes in an image of zeros."""
    somewhere = np.zeros((1, 3), dtype=np.float32)
    centre = lump_of(_canvas(heart, somewhere), mass).centre(phase)
    steps = np.arange(-45.0, 45.1, 3.0)
    around = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (centre + around).astype(np.float32)
    canvas = _canvas(heart, points)
    image = np.zeros(len(points), dtype=np.float32)
    surfaces = canvas.at.surfaces(FlatTables(canvas.tables))[phase]
    lump_of(canvas, mass).draw(image, surfaces, phase)
    return centre, points[image > 0]


@pytest.mark.parametrize("site", MASS_SITES)
@pytest.mark.parametrize("phase", [0, 1])
def test_every_site_draws_a_mass_about_its_centre_and_no_larger_than_it_is(site: str, phase: int) -> None:
    mass = Mass(kind="thrombus", site=site, size_mm=20.0)
    centre, painted = _painted(HeartParameters(), mass, phase)
    away = np.linalg.norm(painted - centre, axis=1)
    assert len(painted) > 30
    assert away.min() < 6.0
    if site != "LV apex":  # a clot there takes the form of the apex
        assert away.max() < (20.0 if site == "LA appendage" else 12.5)


def test_a_clot_in_the_apex_stays_inside_the_ventricle() -> None:
    heart = HeartParameters()
    _, painted = _painted(heart, Mass(kind="thrombus", site="LV apex", size_mm=25.0), 0)
    canvas = _canvas(heart, painted)
    inside = canvas.at.surfaces(FlatTables(canvas.tables))[0].endo2
    assert (np.sqrt(np.maximum(inside, 0.0)) - canvas.at.radius > -3.0).all()


def test_a_clot_in_the_appendage_lies_in_a_pouch_of_blood() -> None:
    clot = Mass(kind="thrombus", site="LA appendage", size_mm=12.0)
    _, with_pouch = _painted(HeartParameters(), clot, 0)
    _, without = _painted(HeartParameters(), replace(clot, site="LV wall"), 0)
    assert len(with_pouch) > 3 * len(without)


def test_a_mobile_myxoma_swings_towards_the_ventricle_and_a_fixed_one_stays() -> None:
    canvas = _canvas(HeartParameters(), np.zeros((1, 3), dtype=np.float32))
    still, swinging = (
        lump_of(canvas, Mass(kind="myxoma", site="LA septum", size_mm=30.0, mobile=mobile)) for mobile in (0.0, 1.0)
    )
    widest = int(np.argmax(canvas.tables.opening))
    assert canvas.tables.opening[widest] > 0.5
    assert swinging.centre(widest)[2] < still.centre(widest)[2] - 10.0


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.floats(8.0, 60.0),
    volume=st.floats(90.0, 260.0),
    effusion=st.floats(0.0, 30.0),
)
def test_nearly_all_of_a_mass_on_the_pericardium_is_within_what_counts_as_moving(
    seed: int, size: float, volume: float, effusion: float
) -> None:
    heart = HeartParameters(
        body_seed=seed,
        lv_edv_ml=volume,
        effusion_mm=effusion,
        masses=(Mass(kind="cyst", site="pericardium", size_mm=size),),
    )
    somewhere = np.zeros((1, 3), dtype=np.float32)
    canvas = _canvas(heart, somewhere)
    centre = lump_of(canvas, heart.masses[0]).centre(0)
    directions = np.random.default_rng(seed).normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    surface = (centre + 0.5 * size * directions).astype(np.float32)
    # Not all: the place is approximate there (see `touches_heart`), and about one mass in sixty is cut by a little.
    assert touches_heart(canvas.anatomy, FlatTables(canvas.tables), surface, 7.0).mean() > 0.85

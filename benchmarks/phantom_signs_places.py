"""Defining measurements of vessels, valves, masses, holes and devices on rendered pixels; see `phantom_conditions.py`.

Every measure takes a `Look` and the parameters of a heart that has the condition, which tell the place of what has many
places (a mass, a defect, a prosthesis); in a normal heart the same place is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from phantom_look import FloatArray, Look, mean, run

from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import Mass
from cardiolens.phantom.painting.canvas import VSD_PLACES
from cardiolens.phantom.painting.thorax import Thorax
from cardiolens.study import View

_STEP = 0.5


def _vessel_width(look: Look, view: View, ends: tuple[FloatArray, FloatArray], shares: tuple[float, ...]) -> FloatArray:
    """(n,) of (width, distance of its middle from the long axis): bright stretch across a vessel in the plane."""
    start, end = ends
    normal = look.normal(view)
    axis = end - start
    across = np.cross(normal, axis / np.linalg.norm(axis))
    across /= np.linalg.norm(across)
    r = np.arange(-32.0, 32.1, _STEP)
    out = []
    for share in shares:
        centre = start + share * axis
        profile = look.signal(view, centre + r[:, None] * across, 0, 18.0)
        middle = len(r) // 2
        if np.isfinite(profile[middle]):
            level = 0.78 * np.nanmedian(profile[middle - 6 : middle + 7])
            width, off = run(np.nan_to_num(profile), _STEP, middle, True, level)
            place = centre + off * across
            out.append((width, float(np.hypot(place[0], place[1]))))
    return np.array(out) if out else np.full((1, 2), np.nan)


def aortic_width(look: Look, where: HeartParameters) -> float:
    """Width (mm) of the bright aorta in the 3CH at end-diastole, at the sinuses or above, whichever is wider."""
    v = look.vessels(0)
    widths = (
        _vessel_width(look, View.CH3, (v.annulus, v.sinus), (0.7, 0.85, 1.0)),
        _vessel_width(look, View.CH3, (v.sinus, v.bend), (0.4, 0.55, 0.7)),
    )
    return float(np.nanmax([np.nanmedian(w[:, 0]) for w in widths]))


def aortic_place(look: Look, where: HeartParameters) -> float:
    """Distance (mm) of the middle of the bright aortic root in the 3CH from the long axis, end-diastole."""
    v = look.vessels(0)
    return float(np.nanmedian(_vessel_width(look, View.CH3, (v.annulus, v.sinus), (0.4, 0.55, 0.7))[:, 1]))


def trunk_width(look: Look, where: HeartParameters) -> float:
    """Width (mm) of the bright pulmonary trunk in the 2CH at end-diastole."""
    v = look.vessels(0)
    return float(np.nanmedian(_vessel_width(look, View.CH2, (v.trunk, v.fork), (0.5, 0.65, 0.8))[:, 0]))


def _rod(start: FloatArray, end: FloatArray, shares: FloatArray, radius: float = 2.0) -> FloatArray:
    """Points (n, 3) along part of a line and close to it."""
    line = start + shares[:, None] * (end - start)
    off = radius * np.array([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    return np.asarray((line[:, None] + off).reshape(-1, 3))


def _aorta(look: Look, i: int) -> FloatArray:
    v = look.vessels(i)
    return np.concatenate(
        [_rod(v.annulus, v.sinus, np.array([0.5, 0.75, 1.0])), _rod(v.sinus, v.bend, np.array([0.2]))]
    )


def _trunk(look: Look, i: int) -> FloatArray:
    v = look.vessels(i)
    return _rod(v.trunk, v.fork, np.array([0.15, 0.25, 0.35, 0.45]))


def _above_mitral(look: Look, i: int) -> FloatArray:
    start = np.array([2.0, 0.0, float(look.tables.mitral_z[i])])
    return _rod(start, start + np.array([0.0, 0.0, 20.0]), np.array([0.15, 0.35, 0.55, 0.75]), 3.0)


def _change(look: Look, place: Callable[[Look, int], FloatArray], views: tuple[View, ...], reach: float) -> float:
    """Signal in mid ejection over that at the end of diastole, at a place that moves with the heart."""
    last = len(look.tables.share) - 1
    then, before = ([mean(look.signal(view, place(look, i), i, reach)) for view in views] for i in (look.peak, last))
    return float(np.nanmin(np.array(then) / np.array(before)))


def aortic_jet(look: Look, where: HeartParameters) -> float:
    """Systolic over diastolic signal in the aortic root, 3CH or the highest short-axis planes."""
    return _change(look, _aorta, (View.CH3, View.SAX), 6.0)


def pulmonary_jet(look: Look, where: HeartParameters) -> float:
    """Systolic over diastolic signal above the pulmonary valve, 2CH or the highest short-axis planes."""
    return _change(look, _trunk, (View.CH2, View.SAX), 6.0)


def mitral_jet(look: Look, where: HeartParameters) -> float:
    """Systolic over diastolic signal in the LA above the mitral valve, the lowest of 4CH, 2CH and 3CH."""
    return _change(look, _above_mitral, (View.CH4, View.CH2, View.CH3), 8.0)


def _outflow(look: Look, i: int) -> FloatArray:
    points = []
    for u in (0.1, 0.17, 0.24):
        wall = look.canvas.wall_point(141.0, u, i, 0.0)
        inward = look.canvas.wall_point(141.0, u, i, 1.0) - wall
        inward = -inward / max(np.linalg.norm(inward), 1e-6)
        points += [wall + depth * inward for depth in (2.0, 4.0, 6.0, 8.0)]
    return np.array(points)


def outflow_dark(look: Look, where: HeartParameters) -> float:
    """Systolic over diastolic signal under the septum in the outflow tract, 3CH."""
    return _change(look, _outflow, (View.CH3,), 10.0)


def valve_void(look: Look, where: HeartParameters) -> float:
    """Signal on the ring of the replaced valve, mean over the beat and all views that cut it."""
    mitral = where.valves.prosthesis == "mitral"
    out = []
    for i in range(0, len(look.tables.share), 3):
        v = look.vessels(i)
        centre = np.array([3.0, 1.0, float(look.tables.mitral_z[i])]) if mitral else v.annulus + 3.0 * v.aortic_axis
        axis = np.array([0.0, 0.0, -1.0]) if mitral else v.aortic_axis
        side = np.cross(axis, [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        turn = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)[:, None]
        ring = centre + (14.0 if mitral else 11.5) * (np.cos(turn) * side + np.sin(turn) * np.cross(axis, side))
        out.append(look.any_view(ring, i, 3.0))
    return mean(np.concatenate(out))


def valve_hole(look: Look, where: HeartParameters) -> float:
    """Mean signal of the open aortic valve's disc in mid ejection, over LV blood, the nearest short-axis plane."""
    v = look.vessels(look.peak)
    centre, axis = v.annulus + 3.0 * v.aortic_axis, v.aortic_axis
    side = np.cross(axis, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    up = np.cross(axis, side)
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 15), np.linspace(-1, 1, 15)), axis=-1).reshape(-1, 2)
    grid = grid[np.hypot(*grid.T) < 0.85] * v.radii[0]
    return mean(look.signal(View.SAX, centre + grid[:, :1] * side + grid[:, 1:] * up, look.peak, 6.0))


# -- around the heart, masses, holes ---------------------------------------------------------------------------------


def bright_rim(look: Look, where: HeartParameters) -> float:
    """Signal 4 to 14 mm outside the epicardial fat behind the LV, short-axis planes, end-diastole."""
    out = []
    degrees = np.arange(265.0, 346.0, 10.0)
    for z in look.heights(0.15, 0.7, 0):
        edge = look.radius("sac2", degrees, np.full(len(degrees), z), 0)
        out.append(
            look.signal(
                View.SAX, look.ring(degrees[:, None], edge[:, None] + np.arange(4.0, 14.5, 2.0), np.array(z)), 0, 7.0
            ).ravel()
        )
    return mean(np.concatenate(out))


def pericardial_line(look: Look, where: HeartParameters) -> float:
    """Signal missing about the edge of the heart (mm of full darkness) where fat lies outside it, short-axis planes."""
    out = []
    r = np.arange(-2.0, 13.1, _STEP)
    degrees = np.arange(60.0, 300.0, 6.0)
    for z in look.heights(0.1, 0.8, 0):
        edge = look.radius("fluid2", degrees, np.full(len(degrees), z), 0)
        profile = look.signal(View.SAX, look.ring(degrees[:, None], edge[:, None] + r, np.array(z)), 0, 7.0)
        outside = np.nanmin(profile[:, r > 8.5], axis=1)
        missing = np.clip(1.0 - profile[:, r < 8.0] / np.maximum(outside, 0.1)[:, None], 0.0, 1.0).sum(1) * _STEP
        out.append(missing[outside > 0.35])
    found = np.concatenate(out) if out else np.zeros(0)
    return float(np.nanmedian(found)) if len(found) > 5 else np.nan


def sternal_void(look: Look, where: HeartParameters) -> float:
    """Share of the middle of the sternum that gives next to no signal, all views that cut it."""
    thorax = Thorax(look.p)
    x, z = (v.ravel() for v in np.meshgrid(np.arange(-8.0, 8.1, 4.0), np.arange(-90.0, 81.0, 3.0)))
    y = np.full_like(x, -200.0)
    for candidate in np.arange(-170.0, 0.0, 1.0)[::-1]:
        inner = thorax._walls(*(v.astype(np.float32) for v in (x, np.full_like(x, candidate), z)))[1]
        y = np.where(np.abs(inner + 6.0) < 1.5, candidate, y)
    points = thorax.frame.to_heart(np.stack([x, y, z], axis=-1))
    signal = look.any_view(points, 0, 4.0)
    signal = signal[np.isfinite(signal)]
    return float((signal < 0.12).mean()) if len(signal) > 10 else np.nan


def _ball(centre: FloatArray, radius: float) -> FloatArray:
    """Points (n, 3) within a distance, 1 to 2 mm apart."""
    step = max(1.0, radius / 4.0)
    side = np.arange(-radius, radius + 0.1, step)
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    return centre + grid[np.linalg.norm(grid, axis=1) <= radius + 0.01]


def _lump(look: Look, mass: Mass) -> float:
    """Mean signal in the core of where such a mass lies, over the beat and all views that cut it."""
    out = []
    for i in range(0, len(look.tables.share), 3):
        out.append(look.any_view(_ball(look.mass_centre(mass, i), 0.25 * mass.size_mm), i, 4.0))
    return mean(np.concatenate(out))


def _first(where: HeartParameters, kinds: tuple[str, ...]) -> Mass:
    return max((m for m in where.masses if m.kind in kinds), key=lambda m: m.size_mm)


def clot(look: Look, where: HeartParameters) -> float:
    """Signal where the thrombus lies."""
    return _lump(look, _first(where, ("thrombus",)))


def tumor(look: Look, where: HeartParameters) -> float:
    """Signal where the tumor lies."""
    return _lump(look, _first(where, ("tumor",)))


def other_mass(look: Look, where: HeartParameters) -> float:
    """Signal where the cyst, lipoma or vegetation lies."""
    return _lump(look, _first(where, ("cyst", "lipoma", "vegetation")))


def septal_bridge(look: Look, where: HeartParameters) -> float:
    """Darkest point on the way from LV to RV through the defect, mean over the beat, the brightest of all views."""
    site, width = where.septa.vsd_site, where.septa.vsd_mm
    out = []
    for i in range(0, len(look.tables.share), 3):
        start, end = (look.canvas.wall_point(*VSD_PLACES[site], i, depth) for depth in (-0.2, 1.2))
        line = start + np.linspace(0.0, 1.0, 40)[:, None] * (end - start)
        of_view = [look.signal(view, line, i, max(2.0, 0.4 * width)) for view in look._planes]
        of_view = [signal.min() for signal in of_view if np.isfinite(signal).all()]
        out.append(max(of_view, default=np.nan))
    return mean(np.array(out))

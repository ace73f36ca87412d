"""Defining measurements of walls and chambers on rendered pixels; see `phantom_conditions.py`.

Every measure takes a `Look` and the parameters of a heart that has the condition, which tell the place of what has many
places; a wall or a chamber has one, so here they go unused.
"""

from __future__ import annotations

import numpy as np
from phantom_look import DARK, FloatArray, Look, mean, run

from cardiolens.phantom.heart import HeartParameters
from cardiolens.study import View

_STEP = 0.5
_LV, _RV, _LA, _RA = 1, 3, 4, 5


def _septal_runs(look: Look) -> FloatArray:
    """Width (mm) of the dark band between LV and RV blood at end-diastole, over short-axis planes and septal angles."""
    out = []
    r = np.arange(0.0, 90.0, _STEP)
    for z in look.heights(0.12, 0.75, look.ed):
        for degrees in np.arange(140.0, 221.0, 10.0):
            wall = look.radius("endo2", np.array([degrees]), np.array([z]), 0)[0]
            outer = look.radius("epi2", np.array([degrees]), np.array([z]), 0)[0]
            profile = look.signal(View.SAX, look.ring(degrees, r, np.array(z)), 0, 7.0)
            start = int(0.5 * (wall + outer) / _STEP)
            if start < len(r) and np.isfinite(profile[start]):
                out.append(run(profile, _STEP, start, False, DARK)[0])
    return np.array(out)


def septal_thickness(look: Look, where: HeartParameters) -> float:
    """Median width of the septum."""
    return float(np.nanmedian(_septal_runs(look)))


def thickest_septum(look: Look, where: HeartParameters) -> float:
    """Ninth decile of the width of the septum."""
    return float(np.nanpercentile(_septal_runs(look), 90))


def rv_wall(look: Look, where: HeartParameters) -> float:
    """Width of the dark band between RV blood and the fat outside it, where there is fat, end-diastole."""
    out = []
    degrees = np.arange(112.0, 249.0, 4.0)
    for z in look.heights(0.1, 0.75, 0):
        inner, outer, fat = (
            look.radius(name, degrees, np.full(len(degrees), z), 0) for name in ("rv", "rv_wall", "sac2")
        )
        deep = inner - look.radius("epi2", degrees, np.full(len(degrees), z), 0)
        for k in np.flatnonzero((fat - outer > 2.5) & (deep > 6.0)):
            r = np.arange(inner[k] - 5.0, fat[k] + 0.1, _STEP)
            profile = look.signal(View.SAX, look.ring(degrees[k], r, np.array(z)), 0, 7.0)
            start = int(np.argmin(profile[8:20])) + 8 if np.isfinite(profile).all() and len(r) > 20 else 0
            if start and profile[:6].mean() > 0.7 and profile[start:].max() > profile[start] + 0.15:
                level = 0.5 * (profile[start] + min(profile[:6].mean(), profile[start:].max()))
                out.append(run(profile, _STEP, start, False, level)[0])
    return float(np.nanmedian(out)) if len(out) > 4 else np.nan


def _inner_radius(look: Look, i: int) -> FloatArray:
    """(plane, 24) effective inner LV radius (mm): bright share along rays from the axis to the outer surface."""
    out = []
    degrees = np.arange(0.0, 360.0, 15.0)
    share = (np.arange(40) + 0.5) / 40.0
    for z in look.heights(0.12, 0.8, i):
        outer = look.radius("epi2", degrees, np.full(len(degrees), z), i) - 1.0
        signal = look.signal(View.SAX, look.ring(degrees[:, None], outer[:, None] * share, np.array(z)), i, 7.0)
        out.append(np.clip((signal - 0.45) / 0.4, 0.0, 1.0).mean(1) * outer)
    return np.array(out)


def area_ejection(look: Look, where: HeartParameters) -> float:
    """Share (%) of the bright LV area that is lost in systole, short-axis planes."""
    ed, es = (np.mean(_inner_radius(look, i) ** 2) for i in (look.ed, look.es))
    return float(100.0 * (1.0 - es / ed))


def least_shortening(look: Look, where: HeartParameters) -> float:
    """Shortening (%) of the inner radius in the worst of 18 segments."""
    ends = []
    for i in (look.ed, look.es):
        thirds = np.array_split(_inner_radius(look, i), 3)
        ends.append(np.array([t.mean(0).reshape(6, 4).mean(1) for t in thirds if len(t)]))
    n = min(len(ends[0]), len(ends[1]))
    return float(100.0 * (1.0 - ends[1][:n] / ends[0][:n]).min())


def lv_area(look: Look, where: HeartParameters) -> float:
    """Bright LV area in all short-axis planes at end-diastole (cm2 per m2)."""
    return look.bright_area(View.SAX, _LV, look.ed) / look.p.bsa_m2


def rv_area(look: Look, where: HeartParameters) -> float:
    """Bright RV area in all short-axis planes at end-diastole (cm2 per m2)."""
    return look.bright_area(View.SAX, _RV, look.ed) / look.p.bsa_m2


def rv_ejection(look: Look, where: HeartParameters) -> float:
    """Share (%) of the bright RV area in the short-axis planes that is lost in systole."""
    ed, es = (look.bright_area(View.SAX, _RV, i) for i in (look.ed, look.es))
    return 100.0 * (1.0 - es / ed)


def la_area(look: Look, where: HeartParameters) -> float:
    """Bright LA area in the 4CH at end-systole (cm2 per m2)."""
    return look.bright_area(View.CH4, _LA, look.es) / look.p.bsa_m2


def ra_area(look: Look, where: HeartParameters) -> float:
    """Bright RA area in the 4CH at end-systole (cm2 per m2)."""
    return look.bright_area(View.CH4, _RA, look.es) / look.p.bsa_m2


def septal_flatness(look: Look, where: HeartParameters) -> float:
    """Inner LV diameter along the septum over that across it, at end-systole."""
    radius = _inner_radius(look, look.es)
    radius = radius[len(radius) // 3 :].mean(0)
    along = np.mean([radius[k] + radius[(k + 12) % 24] for k in (5, 6, 7)])
    across = np.mean([radius[k] + radius[(k + 12) % 24] for k in (-1, 0, 1)])
    return float(along / across)


def spongy_rim(look: Look, where: HeartParameters) -> float:
    """Signal of the outer 8 mm of the cavity at the apical free wall, end-diastole."""
    out = []
    degrees = np.array([*np.arange(-70.0, 20.0, 10.0), *np.arange(55.0, 90.0, 10.0)])
    for z in look.heights(0.5, 0.9, 0):
        inner = look.radius("endo2", degrees, np.full(len(degrees), z), 0)
        radius = inner[:, None] - np.arange(2.0, 8.5, 1.0)
        signal = look.signal(View.SAX, look.ring(degrees[:, None], radius, np.array(z)), 0, 6.0)
        out.append(np.where(radius > 0.3 * inner[:, None], signal, np.nan).ravel())
    return mean(np.concatenate(out)) if out else np.nan


def lateral_muscle(look: Look, where: HeartParameters) -> float:
    """Signal of the lateral and inferior wall over that of the septum, mid-wall, end-diastole."""
    parts: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for part, degrees in zip(parts, (np.arange(-80.0, 61.0, 10.0), np.arange(140.0, 221.0, 10.0)), strict=True):
        for z in look.heights(0.15, 0.75, 0):
            at = np.full(len(degrees), z)
            middle = 0.5 * (look.radius("endo2", degrees, at, 0) + look.radius("epi2", degrees, at, 0))
            part.append(look.signal(View.SAX, look.ring(degrees, middle, at), 0, 7.0))
    lateral, septal = (np.nanmedian(np.concatenate(part)) for part in parts)
    return float(lateral / septal)


# -- atria -----------------------------------------------------------------------------------------------------------


def _across_atria(look: Look, height: float, i: int, y: float) -> tuple[FloatArray, FloatArray]:
    """x (n,) from inside the RA to inside the LA, and the signal of the 4CH there."""
    a = look.anatomy
    x = np.arange(a.right_atrium.septum_x - 12.0, a.left_atrium.septum_x + 12.0, _STEP)
    points = np.stack([x, np.full_like(x, y), np.full_like(x, height)], axis=-1)
    return x, look.signal(View.CH4, points, i, 20.0)


def atrial_septum(look: Look, where: HeartParameters) -> float:
    """Distance (mm) between the first and the last dark point on the way from RA to LA, above the fossa, 4CH."""
    roof = 0.5 * (look.anatomy.left_atrium.roof + look.anatomy.right_atrium.roof)
    out = []
    for share in (0.66, 0.72, 0.78):
        x, signal = _across_atria(look, share * roof, look.es, 5.0)
        blood = min(np.nanmedian(signal[:12]), np.nanmedian(signal[-12:]))
        dark = np.flatnonzero(signal < 0.72 * blood)
        out.append(float(x[dark[-1]] - x[dark[0]]) if len(dark) else 0.0)
    return float(np.median(out))


def atrial_bridge(look: Look, where: HeartParameters) -> float:
    """Signal of the atrial septum where it is brightest, over atrial blood, mean over the beat, 4CH."""
    roof = 0.5 * (look.anatomy.left_atrium.roof + look.anatomy.right_atrium.roof)
    out = []
    for i in range(0, len(look.tables.share), 2):
        lines = np.array([_across_atria(look, share * roof, i, 7.0)[1] for share in np.linspace(0.3, 0.6, 9)])
        blood = min(np.nanmedian(lines[:, :10]), np.nanmedian(lines[:, -10:]))
        out.append(np.nanmin(lines[:, 10:-10], axis=1).max() / blood)
    return mean(np.array(out))


def dark_in_la(look: Look, where: HeartParameters) -> float:
    """Share of the LA, clear of its wall, that is darker than blood, mean over the beat, 4CH."""
    return mean(np.array([look.dark_share(View.CH4, _LA, i) for i in range(0, len(look.tables.share), 2)]))

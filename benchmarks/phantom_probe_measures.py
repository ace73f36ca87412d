"""The usual measurements of a heart, taken from masks on a clinical geometry; see `phantom_probe.py`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, distance_transform_edt

from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.anatomy.planes import Planes, long_axis_plane, short_axis_planes
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth.on_images import masks
from cardiolens.study import Cine, View

FloatArray = npt.NDArray[np.float64]
LV, MUSCLE, RV, LA, RA = 1, 2, 3, 4, 5
_STEP_MM, _PIXEL_MM, _PLANES = 10.0, 2.0, 13
_RAYS = 24  # sectors of 15 degrees
_ED, _ES, _EARLY = 0, 1, 2


def measure(p: HeartParameters, rng: np.random.Generator) -> dict[str, float]:
    """Name to value, always the same names; `rng` plans the planes.  ml and g per m2, mm, % or shares."""
    times = _times(p)
    stack = short_axis_planes(p, rng, n=_PLANES, step_mm=_STEP_MM, matrix=110, field_mm=220.0)
    short = masks(p, _cine(View.SAX, stack, times))
    long_ = {}
    for view in (View.CH2, View.CH3, View.CH4):
        plane = long_axis_plane(p, view, rng, matrix=130, field_mm=260.0)
        long_[view] = masks(p, _cine(view, plane, times))[0]
    out = _volumes(short, p.bsa_m2)
    out |= _walls(short) | _shapes(short)
    return out | _long_axes(long_, p.bsa_m2)


def _times(p: HeartParameters) -> FloatArray:
    """End-diastole, end-systole, early filling (ms)."""
    beat = beat_times(p)
    return np.array([0.0, beat.end_systole, beat.opening + 0.35 * (beat.filled - beat.opening)]) * p.rr_ms


def _cine(view: View, planes: Planes, times: FloatArray) -> Cine:
    """A cine without pixels."""
    n = len(planes.corner)
    return Cine(
        view,
        np.broadcast_to(np.zeros((), np.uint8), (n, len(times), planes.rows, planes.cols)),
        spacing_mm=(planes.spacing_mm, planes.spacing_mm),
        slice_positions_mm=planes.positions_mm,
        trigger_times_ms=np.tile(times, (n, 1)),
        affine=planes.affine,
    )


def _volumes(short: npt.NDArray[np.uint8], bsa: float) -> dict[str, float]:
    """By summation of discs (slice, time, row, col)."""
    ml = _PIXEL_MM**2 * _STEP_MM / 1000.0
    lv, muscle, rv = ([float((short[:, i] == k).sum()) * ml for i in (_ED, _ES)] for k in (LV, MUSCLE, RV))
    return {
        "lv_edvi": lv[0] / bsa,
        "lv_esvi": lv[1] / bsa,
        "lvef": 100.0 * (1.0 - lv[1] / lv[0]),
        "lv_mass_index": 1.05 * muscle[0] / bsa,
        "lv_mass_to_volume": 1.05 * muscle[0] / lv[0],
        "rv_edvi": rv[0] / bsa,
        "rv_esvi": rv[1] / bsa,
        "rvef": 100.0 * (1.0 - rv[1] / rv[0]),
        "rv_to_lv": rv[0] / lv[0],
        "stroke_difference": (lv[0] - lv[1] - rv[0] + rv[1]) / bsa,
    }


@dataclass(frozen=True, eq=False)
class _Ring:
    """Inner and outer radius (_RAYS,) mm of the LV in one slice, sectors anticlockwise from lateral, the septum (where
    the RV lies) at the 13th."""

    inner: FloatArray
    outer: FloatArray

    @property
    def wall(self) -> FloatArray:
        return self.outer - self.inner


def _ring(label: npt.NDArray[np.uint8]) -> _Ring | None:
    """Of one slice (row, col), None where the muscle does not close round the cavity."""
    rows, cols = np.nonzero(label == LV)
    if len(rows) < 12:
        return None
    centre = rows.mean(), cols.mean()
    rv_rows, rv_cols = np.nonzero(label == RV)
    turn = np.pi
    if len(rv_rows):
        turn = np.arctan2(-(rv_rows.mean() - centre[0]), rv_cols.mean() - centre[1])
    r, c = np.nonzero((label == LV) | (label == MUSCLE))
    angle = np.arctan2(-(r - centre[0]), c - centre[1]) - turn + np.pi
    sector = np.floor(angle / (2 * np.pi / _RAYS) + 0.5).astype(int) % _RAYS
    inside = np.bincount(sector, label[r, c] == LV, _RAYS)
    whole = np.bincount(sector, minlength=_RAYS)
    if ((whole - inside) == 0).any():
        return None
    wide = 2.0 / (2 * np.pi / _RAYS) * _PIXEL_MM**2
    return _Ring(np.sqrt(inside * wide), np.sqrt(whole * wide))


def _rings(short: npt.NDArray[np.uint8], i: int) -> list[_Ring]:
    """Closed rings at phase i, apex first."""
    return [ring for ring in (_ring(plane) for plane in short[:, i]) if ring is not None]


def _segments(rings: list[_Ring], of: str) -> FloatArray:
    """(16,) means over the AHA segments of the rings, cut in thirds from the apex."""
    thirds = np.array_split(np.arange(len(rings)), 3)  # apex, middle, base
    degrees = np.arange(_RAYS) * 360.0 / _RAYS
    out = []
    for segment in range(16):
        level = thirds[2 - min(segment // 6, 2)]
        width = 60.0 if segment < 12 else 90.0
        middle = 90.0 + width * (segment % 6 if segment < 12 else segment - 12)
        near = np.abs((degrees - middle + 180.0) % 360.0 - 180.0) < 0.5 * width
        out.append(float(np.mean([getattr(rings[k], of)[near].mean() for k in level])))
    return np.array(out)


def _walls(short: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Thickness at end-diastole (mm) and thickening (%) of 16 segments, and what is read off them."""
    ed, es = (_rings(short, i) for i in (_ED, _ES))
    if min(len(ed), len(es)) < 3:
        raise ValueError(f"{len(ed)} and {len(es)} closed short-axis rings: the stack misses the heart")
    thick, later = _segments(ed, "wall"), _segments(es, "wall")
    thickening = 100.0 * (later / thick - 1.0)
    out = {
        "wall_max": float(thick.max()),
        "wall_thinnest": float(thick.min()),
        "wall_spread": float(thick.std() / thick.mean()),
        "septal_to_lateral": float(thick[[1, 2, 7, 8]].mean() / thick[[4, 5, 10, 11]].mean()),
        "thickening_least": float(thickening.min()),
        "thickening_spread": float(thickening.std()),
    }
    out |= {f"wall_{k + 1}": float(v) for k, v in enumerate(thick)}
    return out | {f"thickening_{k + 1}": float(v) for k, v in enumerate(thickening)}


def _eccentricity(rings: list[_Ring]) -> float:
    """Diameter along the septum over diameter across it, middle third."""
    middle = [rings[k].inner for k in np.array_split(np.arange(len(rings)), 3)[1]]
    half = _RAYS // 2

    def across(r: FloatArray, at: int) -> float:
        near = [(at + d) % _RAYS for d in (-1, 0, 1)]
        return float(np.mean([r[n] + r[(n + half) % _RAYS] for n in near]))

    return float(np.mean([across(r, half // 2) / max(across(r, 0), 1.0) for r in middle]))


def _shapes(short: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Of septum, apex and RV."""
    area = (short == LV).sum((2, 3))
    there = np.flatnonzero(area[:, _ED] > 12)
    apical, basal = there[: max(len(there) // 3, 1)], there[-max(len(there) // 3, 1) :]
    rv = short[:, _ED] == RV
    outline = sum(int((binary_dilation(plane) & ~plane).sum()) for plane in rv)
    return {
        "eccentricity_ed": _eccentricity(_rings(short, _ED)),
        "eccentricity_es": _eccentricity(_rings(short, _ES)),
        "eccentricity_early": _eccentricity(_rings(short, _EARLY)),
        "apex_to_base_ed": float(area[apical, _ED].sum() / area[basal, _ED].sum()),
        "apical_fac": float(100.0 * (1.0 - area[apical, _ES].sum() / area[apical, _ED].sum())),
        "rv_outline": float(outline / np.sqrt(max(rv.sum(), 1) * max((rv.any((1, 2))).sum(), 1))),
    }


def _middle_of_valve(label: npt.NDArray[np.uint8], below: int, above: int) -> FloatArray | None:
    """(row, col) of where two chambers touch."""
    near = binary_dilation(label == above, iterations=3) & (label == below)
    places = np.argwhere(near)
    return places.mean(0) if len(places) >= 3 else None


def _axis(label: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Middle of the mitral valve and apex of the LV cavity (row, col)."""
    lv = np.argwhere(label == LV)
    valve = _middle_of_valve(label, LV, LA)
    if valve is None:
        valve = lv[np.argsort(np.hypot(*(lv - lv.mean(0)).T))[-5:]].mean(0)
    far = np.hypot(*(lv - valve).T)
    return valve, lv[np.argsort(far)[-5:]].mean(0)


def _long_axes(long_: dict[View, npt.NDArray[np.uint8]], bsa: float) -> dict[str, float]:
    """Areas (cm2 per m2), lengths and excursions (mm) of the long-axis planes."""
    four, two, three = long_[View.CH4], long_[View.CH2], long_[View.CH3]
    area = {
        name: np.array([(view == k).sum((1, 2)) for k in range(6)]) * _PIXEL_MM**2 / 100.0
        for name, view in (("4ch", four), ("2ch", two), ("3ch", three))
    }
    axes = [[np.array(a) * _PIXEL_MM for a in _axis(view[i])] for view in (four, two) for i in (_ED, _ES)]
    length = [float(np.hypot(*(valve - apex))) for valve, apex in axes]
    mapse = [float(np.hypot(*(axes[k][0] - axes[k + 1][0]))) for k in (0, 2)]
    out = {
        "lv_length": float(np.mean([length[0], length[2]])) / bsa ** (1 / 3),
        "gls": float(np.mean([100.0 * (1.0 - length[k + 1] / length[k]) for k in (0, 2)])),
        "mapse": float(np.mean(mapse)),
        "tapse": _travel(four, RV, RA),
        "sphericity": float(area["4ch"][LV, _ED] * 100.0 / (np.pi / 4 * length[0] ** 2)),
        "atrial_gap": _gap(four[_ED]),
        "rv_fac": 100.0 * (1.0 - area["4ch"][RV, _ES] / max(area["4ch"][RV, _ED], 0.1)),
        "lv_area_3ch": float(area["3ch"][LV, _ED]) / bsa,
        "la_area_3ch": float(area["3ch"][LA, _ES]) / bsa,
    }
    la = [area["4ch"][LA, i] * area["2ch"][LA, i] for i in (_ED, _ES)]
    la_ml = [0.85 * a / max(_long(four[i], LA), 0.5) for a, i in zip(la, (_ED, _ES), strict=True)]
    out["la_index"], out["la_ef"] = la_ml[1] / bsa, 100.0 * (1.0 - la_ml[0] / max(la_ml[1], 0.1))
    ra_ml = [0.85 * area["4ch"][RA, i] ** 2 / max(_long(four[i], RA), 0.5) for i in (_ED, _ES)]
    out["ra_index"], out["ra_ef"] = ra_ml[1] / bsa, 100.0 * (1.0 - ra_ml[0] / max(ra_ml[1], 0.1))
    for name, k in (("4ch", LA), ("2ch", LA), ("4ch", RA), ("4ch", RV)):
        chamber = {LA: "la", RA: "ra", RV: "rv"}[k]
        out |= {f"{chamber}_area_{name}_{when}": float(area[name][k, i]) / bsa for when, i in (("ed", 0), ("es", 1))}
    return out


def _travel(view: npt.NDArray[np.uint8], below: int, above: int) -> float:
    ends = [_middle_of_valve(view[i], below, above) for i in (_ED, _ES)]
    if ends[0] is None or ends[1] is None:
        return 0.0
    return float(np.hypot(*(ends[0] - ends[1]))) * _PIXEL_MM


def _long(label: npt.NDArray[np.uint8], chamber: int) -> float:
    """Extent of a chamber along its longest direction (cm)."""
    places = np.argwhere(label == chamber) * _PIXEL_MM / 10.0
    if len(places) < 5:
        return 0.0
    off = places - places.mean(0)
    along = off @ np.linalg.svd(off, full_matrices=False)[2][0]
    return float(np.ptp(along))


def _gap(label: npt.NDArray[np.uint8]) -> float:
    """Distance (mm) between the atria, the tenth percentile over the LA's side that faces the RA."""
    if not (label == RA).any() or not (label == LA).any():
        return 0.0
    away = distance_transform_edt(label != RA) * _PIXEL_MM
    edge = (label == LA) & binary_dilation(label != LA)
    return float(np.percentile(away[edge], 10))

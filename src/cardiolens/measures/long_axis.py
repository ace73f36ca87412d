"""Long-axis function: LV length, MAPSE, longitudinal shortening, LV volumes of two planes, atrial volumes.

LV: discs at right angles to the long axis, their diameters from both planes (biplane Simpson) or from one.  Atria: area
and length, 8 A1 A2 / (3 pi L) with the shorter length, or 8 A^2 / (3 pi L) of one plane.  Lang et al., J Am Soc
Echocardiogr 2015;28:1; for CMR, Schulz-Menger et al., J Cardiovasc Magn Reson 2020;22:19.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cardiolens.errors import GeometryError
from cardiolens.measures.flags import Flag
from cardiolens.measures.landmarks import BoolArray, Landmarks, border_ends, landmarks_of
from cardiolens.measures.phases import HeartPhases, find_phases
from cardiolens.measures.volumes import counts_of
from cardiolens.segmentation import Segmentation
from cardiolens.study import FloatArray, View

_DISCS = 20
_USED = (View.CH2, View.CH4)


@dataclass(frozen=True, eq=False)
class LongAxis:
    """What the 2CH and 4CH tell.

    Attributes:
        figures, refused: under the names of `Measures`.
        by_view: the same of each view alone, with its phases "ed_phase" and "es_phase" (from 0).
        landmarks: of each view.
    """

    figures: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    by_view: dict[str, dict[str, float]] = field(default_factory=dict)
    landmarks: dict[str, Landmarks] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Plane:
    """One view: landmarks, phases and curves (time,)."""

    view: View
    landmarks: Landmarks
    phases: HeartPhases
    spacing: tuple[float, float]
    cavity: BoolArray
    atria: Mapping[str, tuple[FloatArray, FloatArray]]  # (area mm2, length mm)


LENGTHS = ("lv_length_ed_mm", "lv_length_es_mm", "mapse_mm", "mapse_axial_mm", "gls_pct")
VOLUMES = ("lv_edv_long_axis_ml", "lv_esv_long_axis_ml", "lvef_long_axis_pct")
ATRIA = {"LA": ("la_max_ml", "la_min_ml", "la_ef_pct"), "RA": ("ra_max_ml", "ra_min_ml", "ra_ef_pct")}
_ALL = (*LENGTHS, *VOLUMES, *ATRIA["LA"], *ATRIA["RA"])


def measure_long_axis(by_view: Mapping[View, Segmentation]) -> LongAxis:
    """Everything that the 2CH and 4CH segmentations allow; each at the phases of its own LV area curve."""
    found = LongAxis()
    planes = [plane for view in _USED if view in by_view and (plane := _plane(by_view[view], found)) is not None]
    if not planes:
        reason = "no 2CH or 4CH plane was segmented" if not any(v in by_view for v in _USED) else "; ".join(found.notes)
        found.refused.update(dict.fromkeys(_ALL, reason))
        return found
    for plane in planes:
        found.landmarks[str(plane.view)] = plane.landmarks
        found.by_view[str(plane.view)] = _of_view(plane)
    _means(found, planes)
    _lv_volumes(found, planes)
    _atrium(found, [p for p in planes if "LA" in p.atria], "LA")
    _atrium(found, [p for p in planes if "RA" in p.atria and p.view is View.CH4], "RA")
    return found


def _plane(segmentation: Segmentation, found: LongAxis) -> _Plane | None:
    """One view, or None with a note on why not."""
    cine = segmentation.cine
    if "LV cavity" not in segmentation.structures or not counts_of(segmentation, "LV cavity").any():
        found.notes.append(f"{cine.view}: no LV cavity in the labels")
        return None
    try:
        spacing = cine.require_spacing_mm("long-axis function")
    except GeometryError as error:
        found.notes.append(str(error))
        return None
    if cine.n_slices != 1:
        found.notes.append(f"{cine.view}: {cine.n_slices} planes where one was expected; not measured")
        return None
    area = counts_of(segmentation, "LV cavity")[0].astype(np.float64)
    phases = find_phases(np.where(area > 0, area, np.nan))
    landmarks = landmarks_of(segmentation)
    atria = {
        name: curves
        for name, ventricle in (("LA", "LV cavity"), ("RA", "RV cavity"))
        if (curves := _atrial_curves(segmentation, name, ventricle, spacing)) is not None
    }
    _edge_flags(segmentation, found)
    return _Plane(cine.view, landmarks, phases, spacing, segmentation.mask("LV cavity")[0], atria)


def _of_view(plane: _Plane) -> dict[str, float]:
    """Lengths of one view; what could not be found is left out."""
    ed, es = plane.phases.ed, plane.phases.es
    length = plane.landmarks.length_mm
    found = {"ed_phase": float(ed), "lv_length_ed_mm": float(length[ed])}
    if es is not None:
        found |= {
            "es_phase": float(es),
            "lv_length_es_mm": float(length[es]),
            "mapse_mm": plane.landmarks.mapse_mm(ed, es),
            "mapse_axial_mm": plane.landmarks.mapse_axial_mm(ed, es),
            "gls_pct": plane.landmarks.gls_pct(ed, es),
        }
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _means(found: LongAxis, planes: list[_Plane]) -> None:
    for name in LENGTHS:
        values = [found.by_view[str(p.view)][name] for p in planes if name in found.by_view[str(p.view)]]
        if values:
            found.figures[name] = float(np.mean(values))
        else:
            found.refused[name] = "mitral plane not found at ED and ES in 2CH or 4CH, or one phase only"
    if len(planes) == 1 and "mapse_mm" in found.figures:
        found.notes.append(f"LV length, MAPSE and GLS of the {planes[0].view} alone")


def _lv_volumes(found: LongAxis, planes: list[_Plane]) -> None:
    """Discs at ED and at ES."""
    volumes: list[float | None] = []
    for phase in ("ed", "es"):
        discs = [_discs(p, getattr(p.phases, phase)) for p in planes]
        known = [d for d in discs if d is not None]
        if len(known) < len(planes):
            volumes.append(None)
            continue
        (first, length), (second, other) = known[0], known[-1]
        volumes.append(float(np.pi / 4 * (first * second).sum() * max(length, other) / _DISCS / 1000.0))
    names = dict(zip(VOLUMES, (volumes[0], volumes[1], None), strict=True))
    if volumes[0] and volumes[1] is not None:
        names["lvef_long_axis_pct"] = 100.0 * (1.0 - volumes[1] / volumes[0])
    for name, value in names.items():
        if value is None:
            found.refused[name] = "mitral plane not found, or one phase only"
        else:
            found.figures[name] = value
    how = "2CH and 4CH (biplane discs)" if len(planes) == 2 else f"{planes[0].view} alone (discs taken as round)"
    found.notes.append(f"long-axis LV volumes from {how}")


def _discs(plane: _Plane, phase: int | None) -> tuple[FloatArray, float] | None:
    """Diameters (discs,) mm of the cavity at right angles to the long axis, base first, and its length; or None."""
    if phase is None or not np.isfinite(plane.landmarks.length_mm[phase]):
        return None
    length = float(plane.landmarks.length_mm[phase])
    start = plane.landmarks.middle[phase]
    along = (plane.landmarks.apex[phase] - start) / length
    fine = _fine(plane.cavity[phase], plane.spacing)
    at = np.clip(((fine - start) @ along) / length, 0.0, 1.0 - 1e-9)
    area = np.bincount((at * _DISCS).astype(int), minlength=_DISCS) * plane.spacing[0] * plane.spacing[1] / _FINE**2
    return np.asarray(area / (length / _DISCS)), length


_FINE = 4  # sub-pixels a side, so that discs thinner than a pixel get their share


def _fine(mask: BoolArray, spacing: tuple[float, float]) -> FloatArray:
    """(n, 2) mm positions of the sub-pixels of a mask."""
    steps = (np.arange(_FINE) + 0.5) / _FINE - 0.5
    within = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    at = np.argwhere(mask)[:, None] + within[None]
    return np.asarray(at.reshape(-1, 2) * np.asarray(spacing))


def _atrial_curves(
    segmentation: Segmentation, atrium: str, ventricle: str, spacing: tuple[float, float]
) -> tuple[FloatArray, FloatArray] | None:
    """Area (mm2) and length (mm), both (time,), of an atrium; NaN where it or its valve is not seen."""
    if atrium not in segmentation.structures or ventricle not in segmentation.structures:
        return None
    chamber, below = segmentation.mask(atrium)[0], segmentation.mask(ventricle)[0]
    if not chamber.any():
        return None
    area, length = np.full(len(chamber), np.nan), np.full(len(chamber), np.nan)
    for i in range(len(chamber)):
        ends = border_ends(chamber[i], below[i], spacing) if chamber[i].any() else None
        if ends is None:
            continue
        area[i] = chamber[i].sum() * spacing[0] * spacing[1]
        across = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        upright = np.array([-across[1], across[0]])
        heights = np.abs((np.argwhere(chamber[i]) * np.asarray(spacing) - ends.mean(0)) @ upright)
        length[i] = heights.max() + 0.5 * float(np.hypot(*(upright * np.asarray(spacing))))
    return (area, length) if np.isfinite(area).any() else None


def _atrium(found: LongAxis, planes: list[_Plane], atrium: str) -> None:
    """Largest and smallest volume and emptying fraction."""
    names = ATRIA[atrium]
    if not planes:
        where = "2CH or 4CH" if atrium == "LA" else "4CH"
        found.refused.update(dict.fromkeys(names, f"{atrium} not drawn in the {where} together with its valve plane"))
        return
    area, length = planes[-1].atria[atrium]
    other, other_length = planes[0].atria[atrium]
    if len(planes) == 2:
        match = np.round(np.arange(len(area)) / len(area) * len(other)).astype(int) % len(other)
        other, other_length = other[match], other_length[match]
    curve = 8.0 * area * other / (3.0 * np.pi * np.fmin(length, other_length)) / 1000.0
    if not np.isfinite(curve).any():
        found.refused.update(dict.fromkeys(names, f"{atrium} not drawn at the same phase in both views"))
        return
    phases = find_phases(curve)
    found.figures[names[0]] = float(curve[phases.ed])
    if phases.es is None:
        found.refused.update(dict.fromkeys(names[1:], "one phase drawn"))
    else:
        found.figures[names[1]] = float(curve[phases.es])
        found.figures[names[2]] = float(100.0 * (1.0 - curve[phases.es] / curve[phases.ed]))
    how = "biplane, 2CH and 4CH" if len(planes) == 2 else f"{planes[0].view} alone"
    found.notes.append(f"{atrium} volume by area and length ({how})")


def _edge_flags(segmentation: Segmentation, found: LongAxis) -> None:
    for name in ("LV cavity", "LA", "RA"):
        if name not in segmentation.structures:
            continue
        mask = segmentation.mask(name)
        if mask[..., [0, -1], :].any() or mask[..., [0, -1]].any():
            words = f"{name} touches the edge of the {segmentation.view} image: its volume is too small"
            found.flags.append(Flag("edge", "warning", words))

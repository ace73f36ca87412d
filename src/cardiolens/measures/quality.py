"""Doubts about a segmented short-axis stack: planes that are missing, empty, cut off or out of line."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiolens.measures.flags import Flag
from cardiolens.measures.phases import HeartPhases, roughness
from cardiolens.measures.volumes import VolumeCurve, counts_of
from cardiolens.segmentation import Segmentation
from cardiolens.study import FloatArray

_FEW = 6  # planes
_OPEN = 0.35  # cavity of the last plane, as a share of the largest, from which the stack is taken to end too early
_CLOSED = 0.9  # of a cavity's edge that muscle must go along
_LITTLE = 0.03  # of the volume, that a plane with an open ring may hold unremarked
_LEAVES = 0.12  # of the volume at ED, that planes at the base may hold which are empty at ES
_SHIFT = 0.4  # radii that a plane's centre may lie off the line through its neighbours'
_ROUGH = 1.4
_SURE = 0.7
_SHORTEST, _LONGEST = 0.1, 0.75  # of the beat, from ED to ES


def stack_flags(
    segmentation: Segmentation, phases: HeartPhases, curves: dict[str, VolumeCurve]
) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Flags and notes of one stack."""
    flags = [*_geometry(segmentation), *_phase_flags(segmentation, phases, curves)]
    notes: list[str] = []
    if "LV cavity" in curves:
        flags += _coverage(segmentation, phases)
        flags += _open_rings(segmentation, phases)
        flags += _leaving_base(segmentation, phases)
        flags += _gaps(segmentation, curves["LV cavity"])
        flags += _edge(segmentation)
        flags += _jumps(segmentation, phases)
        notes += _comings_and_goings(segmentation, phases)
    flags += _confidence(segmentation, phases)
    return tuple(flags), tuple(notes)


def apex_first(segmentation: Segmentation, phase: int) -> bool | None:
    """Whether the first planes are the apical ones: the cavity's centre of volume lies nearer the base.

    None where the LV is in fewer than three planes, or tapers to neither side.
    """
    areas = counts_of(segmentation, "LV cavity")[:, phase].astype(np.float64)
    held = np.flatnonzero(areas)
    if len(held) < 3:
        return None
    off = float(areas @ np.arange(len(areas))) / areas.sum() - (held[0] + held[-1]) / 2.0
    if abs(off) < 0.02 * len(held):
        return None
    return bool(off > 0)


def plane_words(planes: Iterable[int]) -> str:
    """Planes by number from 1, as a reader counts them."""
    numbers = [str(k + 1) for k in planes]
    return ("plane " if len(numbers) == 1 else "planes ") + ", ".join(numbers)


def _geometry(segmentation: Segmentation) -> list[Flag]:
    cine = segmentation.cine
    if cine.spacing_mm is not None and cine.slice_positions_mm is not None and cine.n_slices > 1:
        return []
    lacking = [
        word
        for word, value in (("pixel spacing", cine.spacing_mm), ("plane positions", cine.slice_positions_mm))
        if value is None
    ]
    words = f"{cine.source}: no {' and no '.join(lacking) or 'stack'}; planes count alike, and only ratios are given"
    return [Flag("no_geometry", "info", words)]


def _phase_flags(segmentation: Segmentation, phases: HeartPhases, curves: dict[str, VolumeCurve]) -> list[Flag]:
    curve = curves.get("LV cavity", curves.get("RV cavity"))
    if curve is None or phases.es is None:
        return [Flag("one_phase", "warning", f"one phase drawn (phase {phases.ed + 1}): no ejection fraction")]
    flags = []
    if phases.outliers:
        named = ", ".join(str(i + 1) for i in phases.outliers)
        flags.append(Flag("outlier_phases", "warning", f"phase {named}: volume far off its neighbours', left out"))
    values = curve.values[curve.drawn]
    if len(values) >= 8 and (rough := roughness(values)) > _ROUGH:
        flags.append(Flag("curve_noisy", "warning", f"the volume curve goes {rough:.1f} times the way that it should"))
    if len(values) >= 8:
        share = ((phases.es - phases.ed) % segmentation.cine.n_phases) / segmentation.cine.n_phases
        if not _SHORTEST <= share <= _LONGEST:
            words = f"ES (phase {phases.es + 1}) follows ED (phase {phases.ed + 1}) after {100 * share:.0f} % of a beat"
            flags.append(Flag("phases_implausible", "warning", words))
    if curve.values[phases.es] > curve.values[phases.ed]:
        flags.append(Flag("phases_implausible", "error", "the volume is larger at ES than at ED"))
    return flags


def _coverage(segmentation: Segmentation, phases: HeartPhases) -> list[Flag]:
    """Few planes; a stack that ends inside the ventricle."""
    counts = counts_of(segmentation, "LV cavity")
    areas = counts[:, phases.ed]
    held = np.flatnonzero(areas)
    flags = []
    if len(held) < _FEW:
        flags.append(Flag("few_planes", "warning", f"{len(held)} planes through the LV at ED; six or more are usual"))
    first = apex_first(segmentation, phases.ed)
    last = len(areas) - 1
    for end in (0, last):
        if areas[end] <= _OPEN * areas.max() or len(areas) < 2:
            continue
        name = "one end" if first is None else "the apex" if (end == 0) == first else "the base"
        code = "apex_missing" if name == "the apex" else "base_missing"
        still = phases.es is None or counts[end, phases.es] > 0
        words = (
            f"the stack ends inside the LV at {name}: {plane_words([end])}, the last, has "
            f"{100 * areas[end] / areas.max():.0f} % of the largest cavity at ED"
        )
        flags.append(Flag(code, "warning" if still else "info", words))
    return flags


def muscle_round(cavity: npt.NDArray[np.bool_], muscle: npt.NDArray[np.bool_]) -> float:
    """Share of a cavity's edge along which muscle lies within two pixels, in one plane; 0 without cavity."""
    edge = ndimage.binary_dilation(cavity) & ~cavity
    return float((ndimage.binary_dilation(muscle, iterations=2) & edge).sum() / max(int(edge.sum()), 1))


def _open_rings(segmentation: Segmentation, phases: HeartPhases) -> list[Flag]:
    """The outermost planes of the LV at ED and ES whose muscle is no closed ring, and what they weigh."""
    if "LV myocardium" not in segmentation.structures:
        return []
    cavity, muscle = segmentation.mask("LV cavity"), segmentation.mask("LV myocardium")
    flags = []
    for name, phase in (("ED", phases.ed), ("ES", phases.es)):
        if phase is None or len(cavity) < 2:
            continue
        areas = cavity[:, phase].sum((1, 2))
        held = np.flatnonzero(areas)
        found = {int(k): muscle_round(cavity[k, phase], muscle[k, phase]) for k in {*held[:2], *held[-2:]}}
        for k, share in sorted(found.items()):
            if share < _CLOSED and areas[k] > _LITTLE * areas.sum():
                words = (
                    f"{name}, {plane_words([k])}: muscle goes round {100 * share:.0f} % of the cavity; atrium or "
                    f"outflow tract may be counted here, {100 * areas[k] / areas.sum():.0f} % of the volume at {name}"
                )
                flags.append(Flag("open_ring", "warning", words))
    return flags


def _leaving_base(segmentation: Segmentation, phases: HeartPhases) -> list[Flag]:
    """Much volume in basal planes that are ventricle at ED and nothing at ES: base that descends far, or atrium."""
    first = apex_first(segmentation, phases.ed)
    if phases.es is None or first is None:
        return []
    counts = counts_of(segmentation, "LV cavity")
    at_ed, at_es = counts[:, phases.ed], counts[:, phases.es]
    held = np.flatnonzero(at_ed)
    basal = held > held.mean() if first else held < held.mean()
    gone = held[basal & (at_es[held] == 0)]
    share = float(at_ed[gone].sum() / at_ed.sum())
    if share <= _LEAVES:
        return []
    words = (
        f"{plane_words(int(k) for k in gone)} at the base: {100 * share:.0f} % of the volume at ED, none at ES; where "
        "the ventricle ends there decides EDV and LVEF"
    )
    return [Flag("base_leaves", "warning", words)]


def _gaps(segmentation: Segmentation, curve: VolumeCurve) -> list[Flag]:
    flags = []
    if curve.bridged:
        planes = sorted({k for k, _ in curve.bridged})
        phases = len({i for _, i in curve.bridged})
        words = f"{plane_words(planes)} empty between others in {phases} phase(s): area taken from the neighbours"
        flags.append(Flag("gap", "warning", words))
    at = segmentation.cine.slice_positions_mm
    if at is not None and len(at) > 2:
        steps = np.diff(at)
        held = np.flatnonzero(counts_of(segmentation, "LV cavity").any(1))
        wide = [int(k) for k in np.flatnonzero(steps > 1.5 * np.median(steps)) if held[0] <= k < held[-1]]
        if wide:
            words = f"{steps[wide].max():.0f} mm between planes {wide[0] + 1} and {wide[0] + 2}, where "
            words += f"{np.median(steps):.0f} mm are usual: a plane is missing; its neighbours stand for it"
            flags.append(Flag("gap", "warning", words))
    return flags


def _edge(segmentation: Segmentation) -> list[Flag]:
    structures = [s for s in ("LV cavity", "LV myocardium") if s in segmentation.structures]
    heart = np.any([segmentation.mask(s) for s in structures], axis=0)
    cut = heart[..., 0, :].any(-1) | heart[..., -1, :].any(-1) | heart[..., 0].any(-1) | heart[..., -1].any(-1)
    planes = np.flatnonzero(cut.any(1))
    if len(planes) == 0:
        return []
    return [Flag("edge", "warning", f"the LV touches the edge of the image in {plane_words(planes)}")]


def _jumps(segmentation: Segmentation, phases: HeartPhases) -> list[Flag]:
    """Planes out of line: centre off its neighbours', or area far from both."""
    flags = []
    for name, phase in (("ED", phases.ed), ("ES", phases.es)):
        if phase is None:
            continue
        areas = counts_of(segmentation, "LV cavity")[:, phase].astype(np.float64)
        centres = _centres(segmentation, phase)
        radius = np.sqrt(areas.max() / np.pi) if areas.any() else 1.0
        strange = []
        for k in range(1, len(areas) - 1):
            if not areas[k - 1 : k + 2].all():
                continue
            off = float(np.linalg.norm(centres[k] - (centres[k - 1] + centres[k + 1]) / 2.0))
            low, high = sorted((areas[k - 1], areas[k + 1]))
            if off > _SHIFT * radius or areas[k] < 0.5 * low or areas[k] > 2.0 * high:
                strange.append(k)
        if strange:
            words = f"{plane_words(strange)} at {name}: the cavity does not fit that of the planes beside it"
            flags.append(Flag("planes_jump", "warning", words))
    return flags


def _centres(segmentation: Segmentation, phase: int) -> FloatArray:
    """Centre (slice, 2) of the cavity in units of one column; NaN where there is none."""
    mask = segmentation.mask("LV cavity")[:, phase]
    row, col = segmentation.cine.spacing_mm or (1.0, 1.0)
    out = np.full((len(mask), 2), np.nan)
    for k, plane in enumerate(mask):
        if plane.any():
            rows, cols = np.nonzero(plane)
            out[k] = rows.mean() * row / col, cols.mean()
    return out


def _comings_and_goings(segmentation: Segmentation, phases: HeartPhases) -> list[str]:
    """Planes that hold the LV in one of the two phases only."""
    if phases.es is None:
        return []
    counts = counts_of(segmentation, "LV cavity")
    first = apex_first(segmentation, phases.ed)
    notes = []
    held = np.flatnonzero(counts[:, phases.ed])
    for k in held[counts[held, phases.es] == 0]:
        apical = first is not None and (k <= held.mean()) == first
        where = "closes at the apex" if apical else "becomes atrium as the base descends"
        notes.append(f"{plane_words([int(k)])}: LV cavity at ED and none at ES; counted at ED only ({where})")
    for k in np.flatnonzero((counts[:, phases.es] > 0) & (counts[:, phases.ed] == 0)):
        notes.append(f"{plane_words([int(k)])}: LV cavity at ES and none at ED; look at it")
    return notes


def _confidence(segmentation: Segmentation, phases: HeartPhases) -> list[Flag]:
    sure = segmentation.confidence
    if sure is None:
        return []
    flags = []
    for name, phase in (("ED", phases.ed), ("ES", phases.es)):
        if phase is not None and np.isfinite(sure[:, phase]).any():
            mean = float(np.nanmean(sure[:, phase]))
            if mean < _SURE:
                words = f"mean confidence {mean:.2f} at {name}; look at the contours"
                flags.append(Flag("low_confidence", "warning", words))
    return flags

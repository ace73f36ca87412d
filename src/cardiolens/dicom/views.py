"""Which of the four standard views each cine of a study is, and why: geometry first, description second.

The rule, in this order:

1. A description that says late enhancement, map, flow, localiser, right heart, great vessels and the like is never
   overruled: an LGE stack lies as a cine stack does (`descriptions.DescriptionReading.hard`).
2. Where geometry is sure (`SURE`) of a standard view or of an axial, coronal or sagittal plane, it decides, and a
   description that says otherwise is reported as a conflict.
3. Where geometry is unsure, a description that geometry does not rule out (`RULED_OUT`) decides; else geometry decides
   down to `LIKELY`.  A plane that fits nothing (a heart on the right side, a rare protocol) leaves the word to the
   description, with low confidence.
4. Without geometry tags the description decides alone, with lower confidence.
5. Otherwise there is no view, and the reason says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiolens.dicom import plane_geometry
from cardiolens.dicom.descriptions import DescriptionReading, classify_description, read_description
from cardiolens.dicom.plane_geometry import BODY_PLANES, STACK_PLANES, PlaneFit
from cardiolens.study import View

__all__ = ["Candidate", "ViewDecision", "classify_description", "decide_views"]

FloatArray = npt.NDArray[np.float64]

SURE = 0.9
LIKELY = 0.6
RULED_OUT = 0.02
FORCE = 'if you know it, give it yourself: read_study(path, view="4CH")'
_RIGHT_OF_LV_MM = 30.0
_THROUGH_LV_MM = 15.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cine series (or parallel series joined into one stack) to be given a view.

    Attributes:
        key: names the series.
        description: its SeriesDescription, may be empty.
        normal: (3,) unit normal of its planes in LPS, sign of no meaning; None without geometry.
        row_dir: (3,) direction along a row; used where `normal` is None.
        col_dir: (3,) direction down a column; likewise.
        centres_mm: (n_planes, 3) centre of each plane, LPS.
        positions_mm: (n_planes,) along the normal.
        n_planes: distinct planes.
        n_phases: phases a plane.
        field_mm: (rows, cols) extent.
        hints: other text, by tag name; `ProtocolName` is read where the description says nothing.
    """

    key: str
    description: str = ""
    normal: FloatArray | None = None
    row_dir: FloatArray | None = None
    col_dir: FloatArray | None = None
    centres_mm: FloatArray | None = None
    positions_mm: FloatArray | None = None
    n_planes: int = 1
    n_phases: int = 2
    field_mm: tuple[float, float] | None = None
    hints: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class ViewDecision:
    """The view of one candidate.

    Attributes:
        view: None where it is no standard view; then `reason` says why.
        confidence: 0 to 1, in the decision as given (for None: that it is no standard view).
        evidence: short sentences, angles in degrees.
        conflict: where geometry and description disagree, what each says; else None.
        reason: why there is no view; None where there is one.
    """

    view: View | None
    confidence: float
    evidence: tuple[str, ...] = ()
    conflict: str | None = None
    reason: str | None = None


def decide_views(candidates: Sequence[Candidate]) -> list[ViewDecision]:
    """Give every cine of one study its view, in the order given.

    Planes are judged together, so pass the whole study: a short-axis stack fixes the long axis for all others, and even
    series that can be no cine view (a late-enhancement stack) help to find it.
    """
    normals = [_normal(c) for c in candidates]
    at = [i for i, n in enumerate(normals) if n is not None]
    counts = _plane_counts(candidates, normals)
    fits: list[PlaneFit | None] = [None] * len(candidates)
    fitted = plane_geometry.fit_planes([n for n in normals if n is not None], [counts[i] for i in at])
    for i, found in zip(at, fitted, strict=True):
        fits[i] = found
    offsets = _offsets(candidates, normals, fits)
    stack = _short_axis_normal(normals, counts, fits)
    out = []
    for candidate, normal, fit, count, offset in zip(candidates, normals, fits, counts, offsets, strict=True):
        evidence = _evidence(candidate, normal, fit, stack, count, offset)
        decision = _decide(candidate, fit, _reading(candidate), evidence)
        out.append(_beside_the_lv(decision, candidate, offset))
    return out


def _normal(candidate: Candidate) -> FloatArray | None:
    """Unit normal (3,), or None where the tags give none that is finite and not zero."""
    normal = candidate.normal
    if normal is None and candidate.row_dir is not None and candidate.col_dir is not None:
        normal = np.cross(np.asarray(candidate.row_dir, float), np.asarray(candidate.col_dir, float))
    if normal is None:
        return None
    normal = np.asarray(normal, dtype=np.float64)
    size = float(np.linalg.norm(normal)) if normal.shape == (3,) else 0.0
    return normal / size if np.isfinite(size) and size > 0.1 else None


def _plane_counts(candidates: Sequence[Candidate], normals: Sequence[FloatArray | None]) -> list[int]:
    """Parallel planes at distinct positions, over all candidates parallel to each one: rescans of one plane are no
    stack, and a stack given as one series a plane is one."""
    counts = [c.n_planes for c in candidates]
    at = [i for i, n in enumerate(normals) if n is not None]
    units = [n for n in normals if n is not None]
    for group in plane_geometry.group_parallel(np.array(units)) if units else []:
        members = [at[i] for i in group]
        places: list[float] = []
        most = 1
        for i in members:
            centres, positions = candidates[i].centres_mm, candidates[i].positions_mm
            if centres is not None:
                places.extend((np.asarray(centres, dtype=np.float64).reshape(-1, 3) @ units[group[0]]).tolist())
            elif positions is not None:
                most = max(most, _distinct(np.asarray(positions, dtype=np.float64).tolist()))
            else:
                most = max(most, candidates[i].n_planes)
        for i in members:
            counts[i] = max(most, _distinct(places))
    return counts


def _distinct(positions_mm: Sequence[float], apart_mm: float = 4.0) -> int:
    """How many positions are at least `apart_mm` from one another."""
    count, last = 0, -np.inf
    for position in sorted(positions_mm):
        if position - last >= apart_mm:
            count, last = count + 1, position
    return count


def _reading(candidate: Candidate) -> DescriptionReading:
    """What the description says, or the view of the protocol name where the description says nothing.

    A protocol name may be that of the whole examination ("viability and function"), so it excludes nothing.
    """
    reading = read_description(candidate.description)
    if reading.named is None and reading.excluded is None:
        view = classify_description(candidate.hints.get("ProtocolName"))
        return DescriptionReading(view, view)
    return reading


def _short_axis_normal(
    normals: Sequence[FloatArray | None], counts: Sequence[int], fits: Sequence[PlaneFit | None]
) -> FloatArray | None:
    """Normal of the surest short-axis stack, pointing to the apex; None where there is none."""
    best, found = LIKELY, None
    for normal, count, fit in zip(normals, counts, fits, strict=True):
        if normal is None or fit is None or count < STACK_PLANES:
            continue
        if fit.probability[View.SAX.value] > best:
            best, found = fit.probability[View.SAX.value], normal * np.sign(normal @ fit.axis)
    return found


def _offsets(
    candidates: Sequence[Candidate], normals: Sequence[FloatArray | None], fits: Sequence[PlaneFit | None]
) -> list[float | None]:
    """How far each long-axis plane passes right of the LV axis, in mm.

    None where that cannot be known, or where no plane of the same view passes through the LV: the only 2CH of a study
    is not refused for where it lies.
    """
    out: list[float | None] = [None] * len(candidates)
    at, planes, points, views = [], [], [], []
    axis = plane_geometry.USUAL_AXIS
    for i, (candidate, normal, fit) in enumerate(zip(candidates, normals, fits, strict=True)):
        centres = candidate.centres_mm
        if normal is None or fit is None or centres is None or not fit.best.endswith("CH") or candidate.n_planes > 3:
            continue
        at.append(i)
        planes.append(normal)
        points.append(np.asarray(centres, dtype=np.float64).reshape(-1, 3).mean(axis=0))
        views.append(fit.best)
        axis = fit.axis
    found = plane_geometry.long_axis_offsets_mm(planes, points, axis) if len(at) > 1 else None
    if found is not None:
        through_lv = {view for view, offset in zip(views, found, strict=True) if abs(offset) <= _THROUGH_LV_MM}
        for i, view, offset in zip(at, views, found, strict=True):
            out[i] = offset if view in through_lv else None
    return out


def _decide(
    candidate: Candidate, fit: PlaneFit | None, reading: DescriptionReading, evidence: tuple[str, ...]
) -> ViewDecision:
    """Apply the rule of this module to one candidate."""
    name = candidate.description or candidate.hints.get("ProtocolName", "")
    said = f'{"description" if candidate.description else "protocol"} "{name}"'
    if reading.excluded is not None and reading.hard:
        plane = f" ({reading.named} plane)" if reading.named else ""
        evidence = (*evidence, f"{said} says {reading.excluded}")
        return ViewDecision(None, 0.95, evidence, None, f"{reading.excluded}, by its description{plane}")
    if candidate.n_phases == 1:
        return ViewDecision(None, 0.9, evidence, None, "one phase only: no time axis, so no cine")
    if reading.view is not None:
        evidence = (*evidence, f"{said} says {reading.view}")
    elif reading.excluded is not None:
        evidence = (*evidence, f"{said} says {reading.excluded}")
    if fit is None:
        return _by_description(reading, evidence)
    if reading.view is None or fit.best == reading.view:
        return _by_geometry(fit, reading, evidence)
    named, best = fit.probability[reading.view.value], fit.probability[fit.best]
    if fit.best != plane_geometry.OTHER and (best >= SURE or (named < RULED_OUT and best >= LIKELY)):
        return _by_geometry(fit, reading, evidence)
    return _by_description_against_geometry(fit, reading.view, evidence)


def _by_description(reading: DescriptionReading, evidence: tuple[str, ...]) -> ViewDecision:
    if reading.view is not None:
        return ViewDecision(reading.view, 0.6, (*evidence, "no geometry tags, so by description alone"))
    why = f"{reading.excluded}, by its description" if reading.excluded else "no view in its description"
    return ViewDecision(None, 0.5, evidence, None, f"no geometry tags and {why}; {FORCE}")


def _by_geometry(fit: PlaneFit, reading: DescriptionReading, evidence: tuple[str, ...]) -> ViewDecision:
    """Geometry decides; the description agrees, disagrees or says nothing."""
    view, probability = _as_view(fit.best), fit.probability[fit.best]
    conflict = None
    if reading.view is not None and reading.view is view:
        probability = 1.0 - 0.3 * (1.0 - probability)
    elif reading.view is not None:
        conflict = f"the plane lies as {_named(fit.best)}, the description says {reading.view}; geometry decides"
        probability *= 0.8
    elif probability < LIKELY and view is not None:
        second = sorted(fit.probability, key=lambda name: -fit.probability[name])[1]
        between = f"its plane lies between {_named(fit.best)} and {_named(second)}"
        why = f"{between}, and its description names no view; {FORCE}"
        return ViewDecision(None, round(1.0 - probability, 3), evidence, None, why)
    elif reading.excluded is not None and view is not None:
        probability *= 0.7
    reason = _not_a_view(fit) if view is None else None
    return ViewDecision(view, round(probability, 3), evidence, conflict, reason)


def _by_description_against_geometry(fit: PlaneFit, view: View, evidence: tuple[str, ...]) -> ViewDecision:
    """The description decides: geometry would say something else and is unsure, or fits nothing."""
    backing = fit.probability[view.value]
    conflict = f"the plane lies rather as {_named(fit.best)}, the description says {view}; by description"
    confidence = 0.35 if backing < RULED_OUT else 0.5 + 0.4 * backing
    return ViewDecision(view, round(confidence, 3), evidence, conflict)


def _beside_the_lv(decision: ViewDecision, candidate: Candidate, offset: float | None) -> ViewDecision:
    """A 2CH or 3CH plane that passes well right of the LV axis shows the right heart; a description that names a plain
    view keeps it, with half the confidence and a conflict."""
    if offset is None or offset <= _RIGHT_OF_LV_MM or decision.view not in (View.CH2, View.CH3):
        return decision
    passes = f"passes {offset:.0f} mm right of where the other long-axis planes cross"
    if _reading(candidate).view is None:
        return ViewDecision(None, 0.7, decision.evidence, None, f"right-heart plane: it {passes}")
    conflict = f"the plane {passes}, as right-heart planes do; the description says {decision.view}; by description"
    return ViewDecision(decision.view, round(decision.confidence / 2, 3), decision.evidence, conflict)


def _as_view(name: str) -> View | None:
    return View(name) if name in {v.value for v in View} else None


def _named(name: str) -> str:
    """A class in words."""
    if name == plane_geometry.OTHER:
        return "no standard plane"
    return f"an {name} plane" if name == "axial" else f"a {name} plane" if name in BODY_PLANES else name


def _not_a_view(fit: PlaneFit) -> str:
    if fit.best in BODY_PLANES:
        return f"{fit.best} plane ({fit.body_plane[1]:.0f}° from exactly {fit.best}), no standard cine view"
    return (
        f"no standard plane: its normal is {fit.tilt_deg:.0f}° from the LV long axis "
        f"(short axis near 0°, long-axis views near 90°); {FORCE}"
    )


def _evidence(
    candidate: Candidate,
    normal: FloatArray | None,
    fit: PlaneFit | None,
    stack: FloatArray | None,
    count: int,
    offset: float | None,
) -> tuple[str, ...]:
    """What geometry shows, in sentences."""
    if fit is None or normal is None:
        return ()
    said = []
    if candidate.n_planes > 1:
        said.append(f"{candidate.n_planes} parallel planes")
    elif count > 1:
        said.append(f"one of {count} parallel planes in this study")
    if fit.best == View.SAX.value:
        usual = plane_geometry.angle_between_deg(normal, plane_geometry.USUAL_AXIS)
        where = _direction(normal * np.sign(normal @ fit.axis))
        said.append(f"normal points {where}, {usual:.0f}° from the usual LV long axis")
        if candidate.n_planes < STACK_PLANES and stack is not None:
            apart = plane_geometry.angle_between_deg(normal, stack)
            said.append(f"parallel to the short-axis stack within {apart:.0f}°")
    elif fit.best in {v.value for v in View}:
        said.extend(_long_axis_evidence(normal, fit, stack))
        if offset is not None and abs(offset) > _THROUGH_LV_MM:
            said.append(f"passes {abs(offset):.0f} mm {'right' if offset > 0 else 'left'} of where the planes cross")
    else:
        body, apart = fit.body_plane
        said.append(f"normal is {fit.tilt_deg:.0f}° from the LV long axis and {apart:.0f}° from that of {_named(body)}")
    return tuple(said)


def _long_axis_evidence(normal: FloatArray, fit: PlaneFit, stack: FloatArray | None) -> list[str]:
    axis = fit.axis if stack is None else stack
    tilt = plane_geometry.angle_between_deg(normal, axis)
    if stack is not None:
        first = f"contains the LV long axis ({tilt:.0f}° between its normal and the short-axis normal)"
    else:
        first = (
            f"contains the LV long axis ({tilt:.0f}° from its normal), which is known to about {fit.axis_sd_deg:.0f}° "
            "from the long-axis planes and the body axes, as there is no short-axis stack"
        )
    angle = float(plane_geometry.angle_about_axis_deg(normal, axis))
    expected = ", ".join(f"{view} near {at:.0f}°" for view, at in plane_geometry.LONG_AXIS_ANGLES_DEG.items())
    return [first, f"turned {angle:.0f}° about it from lateral towards anterior ({expected})"]


def _direction(vector: FloatArray) -> str:
    """A direction in words, the largest part first: "front-left-foot"."""
    names = (("left", "right"), ("back", "front"), ("head", "foot"))
    parts = [(abs(v), pair[0] if v > 0 else pair[1]) for v, pair in zip(vector, names, strict=True) if abs(v) > 0.2]
    return "-".join(name for _, name in sorted(parts, reverse=True))

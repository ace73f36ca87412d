"""What a reader would conclude from the truth, in grades and categories, before a word is written.

All limits are those of `cardiolens.phantom.heart.limits`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from cardiolens.phantom.heart import WALLS, HeartParameters, limits
from cardiolens.phantom.truth import Truth

Pattern = Literal["none", "concentric", "asymmetric septal", "apical"]
Motion = Literal["normal", "global", "regional"]
_SEPTAL, _LATERAL, _APICAL = (2, 3, 8, 9), (5, 6, 11, 12), (13, 14, 15, 16)  # AHA segments
_AKINETIC, _HYPOKINETIC = 0.2, 0.6  # of normal motion
_MARGIN = 1.06  # a figure this little over its limit is called normal where the heart is not labelled


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the report has to say.  A grade is 0 normal, 1 mild, 2 moderate, 3 severe; -1 small.

    Attributes:
        lvef: rounded to whole percent; `lv_function` follows from this figure, so that text and number agree.
        lv_size, rv_size, la_size, ra_size, wall, rv_wall, root, ascending, trunk, pericardium: grades.
        effusion, pleural: grades of size, 1 small, 2 moderate, 3 large.
        rv_function: grade of its reduction.
        mitral_regurgitation ... sam: grades of the valve defects.
        pattern: of wall thickening.
        motion: "regional" when some walls move less than the rest, "global" when all move little, else "normal".
        akinetic, hypokinetic: walls, when motion is "regional".
        mass_raised: LV mass index above its limit.
        scarred, swollen: walls with late enhancement, with oedema; `extent`: largest scarred share of a segment, %.
        flat: when a flattened ventricular septum is seen: "", "diastole", "systole" or both.
    """

    lvef: int
    lv_function: str
    lv_size: int
    rv_size: int
    rv_function: int
    la_size: int
    ra_size: int
    wall: int
    rv_wall: int
    pattern: Pattern
    motion: Motion
    akinetic: tuple[str, ...]
    hypokinetic: tuple[str, ...]
    mass_raised: bool
    effusion: int
    pericardium: int
    pleural: int
    root: int
    ascending: int
    trunk: int
    mitral_regurgitation: int
    tricuspid_regurgitation: int
    aortic_regurgitation: int
    aortic_stenosis: int
    pulmonary_stenosis: int
    pulmonary_regurgitation: int
    sam: int
    scarred: tuple[str, ...]
    swollen: tuple[str, ...]
    extent: int
    flat: str


def meaning_of(parameters: HeartParameters, truth: Truth) -> Meaning:
    """Grade a heart.  A condition is never contradicted by its own grade: a dilated ventricle is at least mildly so."""
    p, bsa, has = parameters, truth.bsa_m2, set(truth.conditions)
    lvef = round(truth.lvef_pct)
    low, high = limits.LV_EDVI[truth.sex]
    edvi = truth.edv_ml / bsa
    lv_size = _size(edvi, high, "left ventricular dilation" in has)
    motion, akinetic, hypokinetic = _motion(parameters, lvef)
    thick = {"left ventricular hypertrophy", "hypertrophic cardiomyopathy"} & has
    wall = _over(truth.wall_thickness_mm, limits.WALL_MM[truth.sex], bool(thick))
    aorta = "aortic dilation" in has
    widest = max(p.vessels.aortic_root_mm, p.vessels.ascending_aorta_mm)
    grades = {name: limits.grade(getattr(p.valves, name), limits.VALVE_STEPS) for name in _VALVES}
    return Meaning(
        lvef=lvef,
        lv_function=lv_function_of(lvef),
        lv_size=-1 if edvi < low else lv_size,
        rv_size=_size(truth.rv_edv_ml / bsa, limits.RV_EDVI[truth.sex], "right ventricular dilation" in has),
        rv_function=3 - bisect_right(limits.RVEF_STEPS, round(truth.rvef_pct)),
        la_size=_size(truth.la_volume_ml / bsa, limits.LA_INDEX, "left atrial dilation" in has),
        ra_size=_size(truth.ra_volume_ml / bsa, limits.RA_INDEX, "right atrial dilation" in has),
        wall=wall,
        rv_wall=_over(truth.rv_wall_mm, limits.RV_WALL_MM, "right ventricular hypertrophy" in has),
        pattern=_pattern(truth, wall),
        motion=motion,
        akinetic=akinetic,
        hypokinetic=hypokinetic,
        mass_raised=truth.lv_mass_g / bsa > limits.MASS_INDEX[truth.sex],
        effusion=limits.grade(truth.effusion_mm, limits.EFFUSION_MM),
        pericardium=limits.grade(truth.pericardium_mm, limits.PERICARDIUM_MM),
        pleural=limits.grade(p.pleural_effusion_mm, limits.PLEURAL_MM),
        root=_over(truth.aortic_root_mm, limits.AORTA_MM, aorta and truth.aortic_root_mm == widest),
        ascending=_over(truth.ascending_aorta_mm, limits.AORTA_MM, aorta and truth.ascending_aorta_mm == widest),
        trunk=_over(truth.pulmonary_trunk_mm, limits.PULMONARY_TRUNK_MM, "pulmonary artery dilation" in has),
        scarred=_touched(p.tissue.scar, 0.1),
        swollen=_touched(p.tissue.edema, 0.25),
        extent=round(100 * max(p.tissue.scar)),
        flat=_flat(p),
        **grades,
    )


_VALVES = (
    "mitral_regurgitation",
    "tricuspid_regurgitation",
    "aortic_regurgitation",
    "aortic_stenosis",
    "pulmonary_stenosis",
    "pulmonary_regurgitation",
    "sam",
)


def lv_function_of(lvef: float) -> str:
    """Category of an LVEF in percent."""
    return next(name for upper, name in limits.LVEF_BANDS if lvef < upper)


def walls_of(segments: tuple[int, ...]) -> tuple[str, ...]:
    """Walls, and "apex", that hold any of these AHA segments; the apical ones count for the apex alone."""
    walls = {wall: tuple(s for s in numbers if s < 13) for wall, numbers in WALLS.items()}
    walls["apex"] = (13, 14, 15, 16, 17)
    return tuple(wall for wall, numbers in walls.items() if set(numbers) & set(segments))


def _size(index: float, limit: float, labelled: bool) -> int:
    return _over(index, tuple(limit * step for step in limits.SIZE_STEPS), labelled)


def _over(value: float, steps: tuple[float, ...], labelled: bool) -> int:
    """Grade of a figure; what label and figure disagree on, within a small margin, goes with the label."""
    reached = limits.grade(value, steps)
    if labelled:
        return max(1, reached)
    return 0 if value < _MARGIN * steps[0] else reached


def _pattern(truth: Truth, wall: int) -> Pattern:
    """Septum or apex at 1.35 times the free wall or more is asymmetric."""
    if wall < 1:
        return "none"
    thickness = truth.segment_thickness_mm
    if len(thickness) < max(_APICAL):
        return "concentric"
    septal, lateral, apical = (max(thickness[s - 1] for s in part) for part in (_SEPTAL, _LATERAL, _APICAL))
    if septal >= 1.35 * lateral and septal >= apical:
        return "asymmetric septal"
    return "apical" if apical >= 1.2 * max(septal, lateral) else "concentric"


def _motion(parameters: HeartParameters, lvef: int) -> tuple[Motion, tuple[str, ...], tuple[str, ...]]:
    """Nearly all walls hypokinetic is global, unless the cause is regional; steps as in `truth.regional_motion`."""
    moves = parameters.segment_motion
    akinetic = walls_of(tuple(n for n, motion in enumerate(moves, start=1) if motion < _AKINETIC))
    weak = walls_of(tuple(n for n, motion in enumerate(moves, start=1) if motion < _HYPOKINETIC))
    hypokinetic = tuple(wall for wall in weak if wall not in akinetic)
    focal = bool(akinetic) or "ischemic cardiomyopathy" in parameters.conditions
    if not focal and len(weak) >= len(WALLS):  # all but one of the walls and the apex
        return "global", (), ()
    if weak:
        return "regional", akinetic, hypokinetic
    return ("global" if lvef < 50 else "normal"), (), ()


def _touched(values: tuple[float, ...], at_least: float) -> tuple[str, ...]:
    return walls_of(tuple(number for number, value in enumerate(values, start=1) if value >= at_least))


def _flat(parameters: HeartParameters) -> str:
    septa, step = parameters.septa, limits.SEPTAL_FLATTENING
    phases = [n for n in ("systole", "diastole") if getattr(septa, f"shift_{n}") >= step]
    return " and ".join(phases)

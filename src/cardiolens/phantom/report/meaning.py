"""What a reader would conclude from the truth, in grades and categories, before a word is written.

The limits of LV and RV volume and of LV mass are mean plus two standard deviations of the UK Biobank reference cohort
(Petersen et al., J Cardiovasc Magn Reson 2017;19:18), indexed by body surface area.  Bands of LVEF and of wall
thickness follow Lang et al., J Am Soc Echocardiogr 2015;28:1, those of LVEF rounded to fives.  All other limits, and
all steps between mild, moderate and severe, are this package's choice.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from cardiolens.phantom.truth import Truth

LVFunction = Literal["severely reduced", "moderately reduced", "mildly reduced", "low normal", "normal", "hyperdynamic"]
_LVEF_BANDS: tuple[tuple[int, LVFunction], ...] = (
    (30, "severely reduced"),
    (40, "moderately reduced"),
    (50, "mildly reduced"),
    (55, "low normal"),
    (70, "normal"),
    (101, "hyperdynamic"),
)
_RVEF_STEPS = (30, 38, 45)
_LV_EDVI = {"F": (50.0, 98.0), "M": (55.0, 115.0)}
_RV_EDVI = {"F": 103.0, "M": 127.0}
_MASS_INDEX = {"F": 56.0, "M": 71.0}
_LA_INDEX, _RA_INDEX = 55.0, 66.0
_GRADE_STEPS = (1.0, 1.15, 1.35)  # of the upper limit: mild, moderate, severe
_WALL_MM = {"F": (11.5, 13.5, 16.5), "M": (12.5, 14.5, 16.5)}
_EFFUSION_MM = (1.0, 10.0, 20.0)
_SEPTAL, _LATERAL = (2, 3, 8, 9), (5, 6, 11, 12)  # AHA segments


@dataclass(frozen=True)
class Meaning:
    """What the report has to say.  A grade is 0 normal, 1 mild, 2 moderate, 3 severe; -1 small.

    Attributes:
        lvef: rounded to whole percent; `lv_function` follows from this figure, so that text and number agree.
        lv_size, rv_size, la_size, ra_size, wall, effusion: grades (effusion 1 small, 2 moderate, 3 large).
        rv_function: grade of its reduction.
        pattern: of wall thickening.
        motion: "regional" when some walls move less than the rest, "global" when all move little, else "normal".
        akinetic, hypokinetic: walls, when motion is "regional".
        mass_raised: LV mass index above its limit.
    """

    lvef: int
    lv_function: LVFunction
    lv_size: int
    rv_size: int
    rv_function: int
    la_size: int
    ra_size: int
    wall: int
    pattern: Literal["none", "concentric", "asymmetric septal"]
    motion: Literal["normal", "global", "regional"]
    akinetic: tuple[str, ...]
    hypokinetic: tuple[str, ...]
    effusion: int
    mass_raised: bool


def meaning_of(truth: Truth) -> Meaning:
    """Grade a truth.  A condition is never contradicted by its own grade: a dilated ventricle is at least mildly so."""
    lvef = round(truth.lvef_pct)
    low, high = _LV_EDVI[truth.sex]
    edvi = truth.edv_ml / truth.bsa_m2
    lv_size = -1 if edvi < low else _grade(edvi / high, _GRADE_STEPS)
    rv_size = _grade(truth.rv_edv_ml / truth.bsa_m2 / _RV_EDVI[truth.sex], _GRADE_STEPS)
    wall = _grade(truth.wall_thickness_mm, _WALL_MM[truth.sex])
    has = set(truth.conditions)
    motion, akinetic, hypokinetic = _motion(truth, lvef)
    return Meaning(
        lvef=lvef,
        lv_function=lv_function_of(lvef),
        lv_size=max(1, lv_size) if "dilated cardiomyopathy" in has else lv_size,
        rv_size=max(1, rv_size) if "right ventricular dilation" in has else rv_size,
        rv_function=3 - bisect_right(_RVEF_STEPS, round(truth.rvef_pct)),
        la_size=_grade(truth.la_volume_ml / truth.bsa_m2 / _LA_INDEX, _GRADE_STEPS),
        ra_size=_grade(truth.ra_volume_ml / truth.bsa_m2 / _RA_INDEX, _GRADE_STEPS),
        wall=max(1, wall) if has & {"left ventricular hypertrophy", "hypertrophic cardiomyopathy"} else wall,
        pattern=_pattern(truth, wall),
        motion=motion,
        akinetic=akinetic,
        hypokinetic=hypokinetic,
        effusion=_grade(truth.effusion_mm, _EFFUSION_MM),
        mass_raised=truth.lv_mass_g / truth.bsa_m2 > _MASS_INDEX[truth.sex],
    )


def lv_function_of(lvef: float) -> LVFunction:
    """Category of an LVEF in percent."""
    return next(name for upper, name in _LVEF_BANDS if lvef < upper)


def _grade(value: float, steps: tuple[float, ...]) -> int:
    return bisect_right(steps, value)


def _pattern(truth: Truth, wall: int) -> Literal["none", "concentric", "asymmetric septal"]:
    """Septum at 1.5 times the lateral wall or more is asymmetric."""
    if "hypertrophic cardiomyopathy" in truth.conditions:
        return "asymmetric septal"
    if "left ventricular hypertrophy" in truth.conditions:
        return "concentric"
    if wall < 1:
        return "none"
    thickness = truth.segment_thickness_mm
    if len(thickness) < max(_LATERAL):
        return "concentric"
    septal, lateral = (max(thickness[s - 1] for s in part) for part in (_SEPTAL, _LATERAL))
    return "asymmetric septal" if septal >= 1.5 * lateral else "concentric"


def _motion(
    truth: Truth, lvef: int
) -> tuple[Literal["normal", "global", "regional"], tuple[str, ...], tuple[str, ...]]:
    """Nearly all walls hypokinetic is global, unless the cause is regional."""
    regional = truth.regional
    akinetic = tuple(wall for wall, state in regional.items() if state == "akinetic")
    hypokinetic = tuple(wall for wall, state in regional.items() if state == "hypokinetic")
    touched = len(akinetic) + len(hypokinetic)
    focal = bool(akinetic) or "ischemic cardiomyopathy" in truth.conditions
    if regional and not focal and touched >= len(regional) - 1:
        return "global", (), ()
    if touched:
        return "regional", akinetic, hypokinetic
    return ("global" if lvef < 50 else "normal"), (), ()

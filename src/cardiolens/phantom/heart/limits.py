"""Where normal ends: limits that both the labels of a phantom heart and the words of its report follow.

LV and RV volumes: mean plus two standard deviations of the UK Biobank reference cohort (Petersen et al., J Cardiovasc
Magn Reson 2017;19:18), in ml per m2 of body surface.  Wall thickness after Lang et al., J Am Soc Echocardiogr
2015;28:1, plus a margin; bands of LVEF after the same, rounded to fives.  A large effusion is 20 mm or more at its
deepest (Klein et al., J Am Soc Echocardiogr 2013;26:965).  All other limits, and all steps between mild, moderate and
severe, are this package's choice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

LV_EDVI: Mapping[str, tuple[float, float]] = {"F": (50.0, 98.0), "M": (55.0, 115.0)}
RV_EDVI: Mapping[str, float] = {"F": 103.0, "M": 127.0}
MASS_INDEX: Mapping[str, float] = {"F": 56.0, "M": 71.0}
LA_INDEX, RA_INDEX = 55.0, 66.0
WALL_MM: Mapping[str, tuple[float, float, float]] = {"F": (11.5, 13.5, 16.5), "M": (12.5, 14.5, 16.5)}
RV_WALL_MM = (5.0, 7.0, 9.0)
AORTA_MM = (40.0, 45.0, 50.0)
PULMONARY_TRUNK_MM = (30.0, 35.0, 40.0)
SMALL_TRUNK_MM = 18.0  # below: a narrow pulmonary trunk
PERICARDIUM_MM = (3.0, 4.0, 6.0)
ATRIAL_SEPTUM_MM = 20.0  # lipomatous hypertrophy
EFFUSION_MM = (1.0, 10.0, 20.0)  # small, moderate, large
VALVE_STEPS = (0.1, 0.35, 0.65)  # of a valve defect from 0 to 1: mild, moderate, severe
SIZE_STEPS = (1.0, 1.15, 1.35)  # of the upper limit of a volume: mild, moderate, severe
LVEF_BANDS: tuple[tuple[float, str], ...] = (  # below this many percent
    (30.0, "severely reduced"),
    (40.0, "moderately reduced"),
    (50.0, "mildly reduced"),
    (55.0, "low normal"),
    (70.0, "normal"),
    (101.0, "hyperdynamic"),
)
RVEF_STEPS = (30, 38, 45)  # below: severely, moderately, mildly reduced
MAPSE_MM = 9.5  # below: reduced long-axis motion
SEPTAL_FLATTENING = 0.5  # of `parts.Septa.shift_*`: seen by a reader (eccentricity index about 1.1)
PLEURAL_MM = (3.0, 15.0, 30.0)  # small, moderate, large


def grade(value: float, steps: tuple[float, ...]) -> int:
    """How many of the ascending steps the value has reached: 0 normal, 1 mild, 2 moderate, 3 severe."""
    return bisect_right(steps, value)

"""Cardiac function from segmentations: volumes, ejection fraction, mass, long-axis function, walls, and doubts.

>>> from cardiolens.measures import measure
>>> figures = measure([short_axis, two_chamber, four_chamber], sex="F", age=61)     # doctest: +SKIP
>>> figures.lvef_pct, figures.flags                                                  # doctest: +SKIP
"""

from cardiolens.measures.corrections import correct
from cardiolens.measures.figures import Measures, measure
from cardiolens.measures.flags import CODES, SEVERITIES, Flag
from cardiolens.measures.landmarks import Landmarks, landmarks_from_points, landmarks_of
from cardiolens.measures.phases import HeartPhases, find_phases
from cardiolens.measures.quality import muscle_round
from cardiolens.measures.reference import bsa_m2, references, z_scores
from cardiolens.measures.volumes import VolumeCurve, volume_curve
from cardiolens.measures.wall import Walls, wall_thickness

__all__ = [
    "CODES",
    "SEVERITIES",
    "Flag",
    "HeartPhases",
    "Landmarks",
    "Measures",
    "VolumeCurve",
    "Walls",
    "bsa_m2",
    "correct",
    "find_phases",
    "landmarks_from_points",
    "landmarks_of",
    "measure",
    "muscle_round",
    "references",
    "volume_curve",
    "wall_thickness",
    "z_scores",
]

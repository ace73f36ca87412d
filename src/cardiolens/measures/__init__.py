"""Cardiac function from segmentations: volumes, ejection fraction, mass, long-axis function, walls, and doubts.

>>> from cardiolens.measures import measure
>>> figures = measure([short_axis, two_chamber, four_chamber], sex="F", age=61)     # doctest: +SKIP
>>> figures.lvef_pct, figures.flags                                                  # doctest: +SKIP
"""

from cardiolens.measures.figures import Measures, measure
from cardiolens.measures.flags import CODES, SEVERITIES, Flag
from cardiolens.measures.phases import HeartPhases, find_phases
from cardiolens.measures.volumes import VolumeCurve, volume_curve

__all__ = [
    "CODES",
    "SEVERITIES",
    "Flag",
    "HeartPhases",
    "Measures",
    "VolumeCurve",
    "find_phases",
    "measure",
    "volume_curve",
]

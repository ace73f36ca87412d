"""What a heart is made of, as numbers: measures, parts, tissue, and the limits of health."""

from cardiolens.phantom.heart.parameters import RANGES, WALLS, HeartParameters
from cardiolens.phantom.heart.parts import Mass, Septa, Surgery, Tissue, Valves, Vessels

__all__ = ["RANGES", "WALLS", "HeartParameters", "Mass", "Septa", "Surgery", "Tissue", "Valves", "Vessels"]

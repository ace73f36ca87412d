"""The 35 conditions as changes of a healthy heart, and the drawing of hearts."""

from cardiolens.phantom.disease.conditions import CAUSES, labelled, measured
from cardiolens.phantom.disease.enrichment import dealt_condition
from cardiolens.phantom.disease.sample import SCENARIOS, check_condition, find_population, plausible, sample_parameters

__all__ = [
    "CAUSES",
    "SCENARIOS",
    "check_condition",
    "dealt_condition",
    "find_population",
    "labelled",
    "measured",
    "plausible",
    "sample_parameters",
]

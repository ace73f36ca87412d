"""Cohorts of phantom patients on disk, with their truth beside them."""

from cardiolens.phantom.cohort.config import CohortConfig
from cardiolens.phantom.cohort.drawn import annotate_cohort
from cardiolens.phantom.cohort.make import Cohort, make_cohort

__all__ = ["Cohort", "CohortConfig", "annotate_cohort", "make_cohort"]

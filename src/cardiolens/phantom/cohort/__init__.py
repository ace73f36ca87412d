"""Cohorts of phantom patients on disk, with their truth beside them."""

from cardiolens.phantom.cohort.make import Cohort, CohortConfig, make_cohort

__all__ = ["Cohort", "CohortConfig", "make_cohort"]

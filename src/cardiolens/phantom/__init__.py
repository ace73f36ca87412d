"""A parametric beating heart: anatomy, cine MR images, reports and cohorts whose truth is known."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.phantom.cohort import Cohort, CohortConfig, make_cohort
    from cardiolens.phantom.dicom import write_dicom
    from cardiolens.phantom.disease import sample_parameters
    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.phantom.labels import MASK_LABELS, landmarks, masks
    from cardiolens.phantom.planes import HeartFrame, heart_frame
    from cardiolens.phantom.render import render_study
    from cardiolens.phantom.report import write_report
    from cardiolens.phantom.mr import Contrast, Protocol
    from cardiolens.phantom.sites import SITES, Site
    from cardiolens.phantom.truth import Truth, truth_of

_WHERE = {
    "Cohort": "cohort",
    "CohortConfig": "cohort",
    "make_cohort": "cohort",
    "sample_parameters": "disease",
    "HeartParameters": "heart",
    "MASK_LABELS": "labels",
    "landmarks": "labels",
    "masks": "labels",
    "HeartFrame": "planes",
    "heart_frame": "planes",
    "render_study": "render",
    "Contrast": "mr",
    "Protocol": "mr",
    "SITES": "sites",
    "Site": "sites",
    "Truth": "truth",
    "truth_of": "truth",
    "write_dicom": "dicom",
    "write_report": "report",
}

__all__ = [
    "MASK_LABELS",
    "SITES",
    "Cohort",
    "CohortConfig",
    "Contrast",
    "HeartFrame",
    "HeartParameters",
    "Protocol",
    "Site",
    "Truth",
    "heart_frame",
    "landmarks",
    "make_cohort",
    "masks",
    "render_study",
    "sample_parameters",
    "truth_of",
    "write_dicom",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

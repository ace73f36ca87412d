"""A parametric beating heart: anatomy, disease, cine MR and echo images, reports and cohorts whose truth is known."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.phantom.cohort import Cohort, CohortConfig, make_cohort
    from cardiolens.phantom.covariates import Person, draw_person
    from cardiolens.phantom.curves import Curves, curves_of
    from cardiolens.phantom.dicom import write_dicom
    from cardiolens.phantom.disease import SCENARIOS, sample_parameters
    from cardiolens.phantom.echo import Echo, render_echo, write_echonet
    from cardiolens.phantom.enhancement import enhance
    from cardiolens.phantom.exports import EXPORTS, export
    from cardiolens.phantom.followup import FollowUp, follow_up
    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.phantom.labels import MASK_LABELS, landmarks, masks
    from cardiolens.phantom.mr import Contrast, Protocol
    from cardiolens.phantom.parts import Mass, Septa, Surgery, Tissue, Valves, Vessels
    from cardiolens.phantom.planes import HeartFrame, heart_frame
    from cardiolens.phantom.population import POPULATIONS, Population
    from cardiolens.phantom.render import render_study
    from cardiolens.phantom.report import Report, compose_report, write_report
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
    "Curves": "curves",
    "curves_of": "curves",
    "SCENARIOS": "disease",
    "Echo": "echo",
    "render_echo": "echo",
    "write_echonet": "echo",
    "enhance": "enhancement",
    "EXPORTS": "exports",
    "export": "exports",
    "FollowUp": "followup",
    "follow_up": "followup",
    "Mass": "parts",
    "Septa": "parts",
    "Surgery": "parts",
    "Tissue": "parts",
    "Valves": "parts",
    "Vessels": "parts",
    "POPULATIONS": "population",
    "Population": "population",
    "Person": "covariates",
    "draw_person": "covariates",
    "Report": "report",
    "compose_report": "report",
    "Truth": "truth",
    "truth_of": "truth",
    "write_dicom": "dicom",
    "write_report": "report",
}

__all__ = [
    "EXPORTS",
    "MASK_LABELS",
    "POPULATIONS",
    "SCENARIOS",
    "SITES",
    "Cohort",
    "CohortConfig",
    "Contrast",
    "Curves",
    "Echo",
    "FollowUp",
    "HeartFrame",
    "HeartParameters",
    "Mass",
    "Person",
    "Population",
    "Protocol",
    "Report",
    "Septa",
    "Site",
    "Surgery",
    "Tissue",
    "Truth",
    "Valves",
    "Vessels",
    "compose_report",
    "curves_of",
    "draw_person",
    "enhance",
    "export",
    "follow_up",
    "heart_frame",
    "landmarks",
    "make_cohort",
    "masks",
    "render_echo",
    "render_study",
    "sample_parameters",
    "truth_of",
    "write_dicom",
    "write_echonet",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

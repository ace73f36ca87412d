"""A parametric beating heart: anatomy, disease, cine MR and echo images, reports and cohorts whose truth is known.

Numbers make a heart, the heart makes surfaces, the surfaces make images and truth.  Each room knows those above it:

    heart/          the numbers: `HeartParameters`, its parts, the limits of health
    folder.py       folders that are filled one piece at a time: claimed, resumed, by several processes
    mr/             the scanner: tissue signal, protocol, coils, k-space, noise, heart beats
    anatomy/        closed surfaces over the beat, great vessels, planes; where any point lies in them
    painting/       the signal of one plane: thorax, heart, findings of disease, masses, jets
    render.py       `render_study`: all planes of a study, scanned
    truth/          figures, curves over the beat, masks and landmarks
    enhancement.py  late enhancement images
    persons/        who comes: populations, covariates and their effects, follow-up
    disease/        the 35 conditions as changes of a heart, and the drawing of hearts
    echo/           the same heart by ultrasound
    report/         the radiologist: what is worth saying, in whose words, with what each sentence claims
    sites.py        scanners, protocols and populations of named sites
    dicom/          a study as DICOM files, in the styles of several archives
    cohort/         patients on disk, as DICOM or in a store
    exports/        patients in the layouts of public data sets
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.phantom.anatomy import HeartFrame, heart_frame
    from cardiolens.phantom.cohort import Cohort, CohortConfig, make_cohort
    from cardiolens.phantom.dicom import write_dicom
    from cardiolens.phantom.disease import SCENARIOS, sample_parameters
    from cardiolens.phantom.echo import Echo, render_echo, write_echonet
    from cardiolens.phantom.enhancement import enhance
    from cardiolens.phantom.exports import EXPORTS, export
    from cardiolens.phantom.heart import HeartParameters, Mass, Septa, Surgery, Tissue, Valves, Vessels
    from cardiolens.phantom.mr import Contrast, Protocol
    from cardiolens.phantom.persons import POPULATIONS, FollowUp, Person, Population, draw_person, follow_up
    from cardiolens.phantom.render import render_study
    from cardiolens.phantom.report import Report, compose_report, write_report
    from cardiolens.phantom.sites import SITES, Site
    from cardiolens.phantom.truth import MASK_LABELS, Curves, Truth, curves_of, landmarks, masks, truth_of

_WHERE = {
    "Cohort": "cohort",
    "CohortConfig": "cohort",
    "make_cohort": "cohort",
    "sample_parameters": "disease",
    "HeartParameters": "heart",
    "MASK_LABELS": "truth",
    "landmarks": "truth",
    "masks": "truth",
    "HeartFrame": "anatomy",
    "heart_frame": "anatomy",
    "render_study": "render",
    "Contrast": "mr",
    "Protocol": "mr",
    "SITES": "sites",
    "Site": "sites",
    "Curves": "truth",
    "curves_of": "truth",
    "SCENARIOS": "disease",
    "Echo": "echo",
    "render_echo": "echo",
    "write_echonet": "echo",
    "enhance": "enhancement",
    "EXPORTS": "exports",
    "export": "exports",
    "FollowUp": "persons",
    "follow_up": "persons",
    "Mass": "heart",
    "Septa": "heart",
    "Surgery": "heart",
    "Tissue": "heart",
    "Valves": "heart",
    "Vessels": "heart",
    "POPULATIONS": "persons",
    "Population": "persons",
    "Person": "persons",
    "draw_person": "persons",
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

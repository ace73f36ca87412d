"""A plain-English cardiac MRI report for a phantom heart: never one template, always true to the heart.

    write_report(parameters, truth_of(parameters), np.random.default_rng(7), history=("hypertension",))

Each report draws its own manner (sections, units, precision of the LVEF, spelling, how openly a diagnosis is named) and
its own words.  A condition is named, hedged or only described; many are mentioned that the heart has not.  Left
ventricular function is told several times in differing words, so that a few random sentences still carry it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.report import findings_left as left
from cardiolens.phantom.report import findings_rest as rest
from cardiolens.phantom.report import findings_right as right
from cardiolens.phantom.report import findings_valves as valves
from cardiolens.phantom.report.facts import Report
from cardiolens.phantom.report.frame import comparison, indication, technique
from cardiolens.phantom.report.impression import impression
from cardiolens.phantom.report.layout import Findings, Page
from cardiolens.phantom.report.scribe import Scribe
from cardiolens.phantom.truth import Truth


def write_report(
    parameters: HeartParameters,
    truth: Truth,
    rng: np.random.Generator,
    *,
    history: Sequence[str] = (),
    field_t: float | None = None,
    contrast: bool | None = None,
) -> str:
    """The text of `compose_report`."""
    return compose_report(parameters, truth, rng, history=history, field_t=field_t, contrast=contrast).text


def compose_report(
    parameters: HeartParameters,
    truth: Truth,
    rng: np.random.Generator,
    *,
    history: Sequence[str] = (),
    field_t: float | None = None,
    contrast: bool | None = None,
) -> Report:
    """Write one report, and say of each sentence what it claims.

    Args:
        parameters: the heart.
        truth: its figures; the text never says otherwise.
        rng: source of every choice; the same state gives the same text.
        history: what else the patient has, in words ("hypertension"), for the indication.
        field_t: field strength in tesla; drawn when absent.
        contrast: whether gadolinium was given; drawn when absent.

    Returns:
        Indication, technique, sometimes comparison, findings and impression.

    Raises:
        PhantomError: parameters and truth of two different hearts.
    """
    if parameters.conditions != truth.conditions or parameters.age != truth.age or parameters.sex != truth.sex:
        raise PhantomError(
            "the report needs parameters and truth of the same heart; their conditions, age or sex differ: pass"
            " truth_of(parameters)"
        )
    scribe = Scribe(parameters, truth, rng, history=history, field_t=field_t, contrast=contrast)
    page = Page(scribe)
    page.add("indication", indication(scribe))
    page.add("technique", technique(scribe))
    page.add("comparison", comparison(scribe))
    page.add_findings(_findings(scribe))
    page.add("impression", impression(scribe))
    return page.report()


def _findings(scribe: Scribe) -> Findings:
    """Structures in an order of the reader's own, the left ventricle first."""
    brief = scribe.chance(0.35)
    parts = [
        ("LV" if brief else "Left ventricle", left.left_ventricle(scribe)),
        ("RV" if brief else "Right ventricle", right.right_ventricle(scribe)),
        ("Atria", right.atria(scribe) + right.septa(scribe)),
        ("Valves", valves.valves(scribe)),
        ("Pericardium", rest.pericardium(scribe)),
        (scribe.pick(("Aorta and pulmonary artery", "Great vessels", "Vessels")), valves.vessels(scribe)),
        (scribe.pick(("Masses", "Mass or thrombus")), rest.masses(scribe)),
        (scribe.pick(("Tissue", "Late enhancement", "Tissue characterization")), left.tissue(scribe)),
        (scribe.pick(("Postoperative", "Surgery")), rest.surgery(scribe)),
        (scribe.pick(("Other", "Extracardiac", "Incidental")), rest.lungs_and_rest(scribe)),
    ]
    if scribe.chance(0.3):
        parts[1:7] = [parts[1 + int(i)] for i in scribe.rng.permutation(6)]
    return parts

"""What this report calls a condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cardiolens.phantom.report.diagnoses import DIAGNOSES, PLAIN
from cardiolens.phantom.report.phrases_rest import SURGERY
from cardiolens.phantom.report.phrases_right import WIDTH
from cardiolens.phantom.report.scribe import Scribe, upper_first

_NO_NOUN = ("dilated ", "enlarged ")  # "no dilated aorta" is not said


def name_of(scribe: Scribe, condition: str) -> str:
    """A name for a condition that the heart has, first letter small unless an abbreviation."""
    words = DIAGNOSES[condition]
    template = words.names[0] if scribe.chance(words.exact) else scribe.pick(words.names[1:])
    return scribe.fill(template, **values_for(scribe, condition))


def plain_name_of(scribe: Scribe, condition: str) -> str:
    """A name for a condition that need not be there, without anything of this heart in it."""
    names = PLAIN.get(condition) or tuple(
        n for n in DIAGNOSES[condition].names if not n.startswith(_NO_NOUN) and "{" not in n
    )
    return names[0] if scribe.chance(0.45) else scribe.pick(names)


def surgery_words(scribe: Scribe) -> str:
    """ "s/p CABG", or whatever was done; "prior cardiac surgery" when nothing more is known."""
    kinds = scribe.parameters.surgery.kinds
    if not kinds:
        return "prior cardiac surgery"
    kind = scribe.pick(kinds)
    if kind == "valve replacement" and not scribe.parameters.valves.prosthesis:
        return "prior valve surgery"
    return scribe.fill(scribe.pick(SURGERY[kind]), **_valve(scribe))


def values_for(scribe: Scribe, condition: str) -> dict[str, str]:
    """What the names and descriptions of a condition quote of this heart."""
    return _VALUES[condition](scribe) if condition in _VALUES else {}


def aorta_values(scribe: Scribe) -> dict[str, str]:
    """The wider of aortic root and ascending aorta."""
    v, m = scribe.parameters.vessels, scribe.meaning
    root = v.aortic_root_mm > v.ascending_aorta_mm
    part, grade = ("aortic root", m.root) if root else ("ascending aorta", m.ascending)
    adjective = ("mild", "mild", "moderate", "severe")[grade]
    return {
        "aorta_part": part,
        "Aorta_part": upper_first(part),
        "aorta_width": scribe.figures["root" if root else "ascending"],
        "aorta_word": scribe.pick(WIDTH[grade]),
        "aorta_grade": adjective,
        "Aorta_grade": upper_first(adjective),
    }


def _valve(scribe: Scribe) -> dict[str, str]:
    valves = scribe.parameters.valves
    kind = "mechanical" if valves.mechanical else "bioprosthetic"
    return {
        "prosthesis": valves.prosthesis,
        "prosthesis_kind": kind,
        "Prosthesis_kind": upper_first(kind),
        "prosthesis_abbreviation": {"aortic": "AVR", "mitral": "MVR", "": "valve surgery"}[valves.prosthesis],
    }


def _mass(scribe: Scribe, kinds: tuple[str, ...]) -> dict[str, str]:
    mass = next((m for m in scribe.parameters.masses if m.kind in kinds), None)
    site = mass.site if mass else ""
    return {
        "mass_kind": mass.kind if mass else "mass",
        "myxoma_side": "right" if site == "RA wall" else "left",
        "thrombus_site": {
            "LV apex": "LV apical",
            "LV wall": "LV",
            "LA appendage": "left atrial appendage",
            "RA wall": "right atrial",
            "RV wall": "RV",
        }.get(site, "intracardiac"),
    }


def _thick(scribe: Scribe) -> dict[str, str]:
    m = scribe.meaning
    where = {"asymmetric septal": "septum", "apical": "apex"}.get(m.pattern, "LV wall")
    return {
        "obstruction": "obstructive" if m.sam >= 2 else "non-obstructive" if m.sam == 0 else "mild",
        "hcm_pattern": m.pattern if m.pattern != "none" else "mild",
        "thick_part": where,
        "Thick_site": {"septum": "Septal", "apex": "Apical"}.get(where, "LV wall"),
    }


def _dilated(scribe: Scribe) -> dict[str, str]:
    dilated = scribe.meaning.lv_size >= 1
    return {
        "dcm": "dilated cardiomyopathy" if dilated else "non-ischemic LV dysfunction",
        "dcm_short": "DCM" if dilated else "NICM",
    }


def _constriction(scribe: Scribe) -> dict[str, str]:
    constricts = scribe.parameters.septa.bounce_mm > 0
    return {"constriction": "constrictive" if constricts else "acute" if scribe.meaning.effusion else "chronic"}


def _fallot(scribe: Scribe) -> dict[str, str]:
    done = "tetralogy repair" in scribe.parameters.surgery.kinds
    return {"repaired": "repaired" if done else "unrepaired", "after_repair": ", repaired" if done else ""}


_VALUES: Mapping[str, Callable[[Scribe], dict[str, str]]] = {
    "aortic dilation": aorta_values,
    "atrial myxoma": lambda scribe: _mass(scribe, ("myxoma",)),
    "cardiac thrombus": lambda scribe: _mass(scribe, ("thrombus",)),
    "hypertrophic cardiomyopathy": _thick,
    "non-ischemic cardiomyopathy": _dilated,
    "other cardiac mass": lambda scribe: _mass(scribe, ("cyst", "lipoma", "vegetation")),
    "pericarditis": _constriction,
    "previous surgery": lambda scribe: {"surgery": surgery_words(scribe)},
    "prosthetic valve": _valve,
    "tetralogy of Fallot": _fallot,
    "ventricular septal defect": lambda scribe: {"vsd_site": scribe.parameters.septa.vsd_site},
}

"""Findings of the valves and the great vessels."""

from __future__ import annotations

from cardiolens.phantom.heart.limits import SMALL_TRUNK_MM
from cardiolens.phantom.report import phrases_right as say
from cardiolens.phantom.report.naming import aorta_values
from cardiolens.phantom.report.scribe import Line, Scribe, upper_first

GRADES = ("no", "mild", "moderate", "severe")


def valves(scribe: Scribe) -> list[Line]:
    """Each valve that is abnormal, and sometimes those that are not."""
    m, v = scribe.meaning, scribe.parameters.valves
    lines = _prosthesis(scribe) + _bicuspid(scribe) + _mitral(scribe) + _aortic(scribe)
    lines += _defect(scribe, "aortic", "regurgitation", m.aortic_regurgitation)
    lines += _defect(scribe, "tricuspid", "regurgitation", m.tricuspid_regurgitation)
    lines += _defect(scribe, "pulmonary", "regurgitation", m.pulmonary_regurgitation)
    if m.pulmonary_stenosis:
        named = scribe.told.get("pulmonary stenosis") == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", "pulmonary stenosis")
        words = _graded(m.pulmonary_stenosis)
        lines.append(scribe.line(say.PULMONARY_NAMED if named else say.PULMONARY_DESCRIBED, claims, **words))
    if not lines and not v.prosthesis:
        lines += scribe.maybe(0.45, say.VALVES_NORMAL)
    return lines


def vessels(scribe: Scribe) -> list[Line]:
    """Aorta and pulmonary trunk."""
    m, lines = scribe.meaning, []
    aorta = scribe.sized("aortic dilation", max(m.root, m.ascending))
    if m.root or m.ascending:
        named = scribe.told.get("aortic dilation") == "named" and scribe.chance(0.4)
        lines.append(scribe.line(say.AORTA_NAMED if named else say.AORTA_DESCRIBED, aorta, **aorta_values(scribe)))
    else:
        lines += scribe.maybe(0.22, say.AORTA_NORMAL, aorta)
    trunk = scribe.sized("pulmonary artery dilation", m.trunk)
    if m.trunk:
        named = scribe.told.get("pulmonary artery dilation") == "named" and scribe.chance(0.4)
        lines.append(scribe.line(say.TRUNK_NAMED if named else say.TRUNK_DESCRIBED, trunk))
    elif scribe.parameters.vessels.pulmonary_trunk_mm < SMALL_TRUNK_MM:
        lines += scribe.maybe(0.7, say.TRUNK_SMALL, trunk + scribe.shows("described", "tetralogy of Fallot"))
    else:
        lines += scribe.maybe(0.14, say.TRUNK_NORMAL, trunk)
    override = scribe.parameters.vessels.override
    if override >= 0.15:
        described = scribe.shows("described", "tetralogy of Fallot")
        lines.append(scribe.line(say.OVERRIDE, described, override=f"{5 * round(20 * override)}"))
    return lines


def _prosthesis(scribe: Scribe) -> list[Line]:
    valves = scribe.parameters.valves
    if not valves.prosthesis:
        return []
    named = scribe.told.get("prosthetic valve") == "named" and scribe.chance(0.7)
    kind = "mechanical" if valves.mechanical else "bioprosthetic"
    values = {"prosthesis": valves.prosthesis, "prosthesis_kind": kind, "Prosthesis_kind": upper_first(kind)}
    claims = scribe.shows("asserted", "prosthetic valve")  # "has been replaced" is as plain as a name
    return [scribe.line(say.PROSTHESIS_NAMED if named else say.PROSTHESIS_DESCRIBED, claims, **values)]


def _bicuspid(scribe: Scribe) -> list[Line]:
    valves = scribe.parameters.valves
    if valves.bicuspid and valves.prosthesis != "aortic":
        named = scribe.told.get("bicuspid aortic valve") == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", "bicuspid aortic valve")
        return [scribe.line(say.BICUSPID_NAMED if named else say.BICUSPID_DESCRIBED, claims)]
    if valves.bicuspid or valves.prosthesis == "aortic":
        return []
    return scribe.maybe(0.12, say.TRILEAFLET, scribe.lacks("bicuspid aortic valve"))


def _mitral(scribe: Scribe) -> list[Line]:
    m, lines = scribe.meaning, []
    grade, condition = m.mitral_regurgitation, "severe mitral regurgitation"
    if condition in scribe.has:
        named = scribe.told[condition] == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", condition)
        lines.append(scribe.line(say.MITRAL_SEVERE if named else say.MITRAL_DESCRIBED, claims))
    elif grade:
        lines.append(scribe.line(say.REGURGITATION, (), valve="mitral", Valve="Mitral", **_graded(grade)))
    elif scribe.parameters.valves.prosthesis != "mitral":
        lines += scribe.maybe(0.15, say.NO_MITRAL, scribe.lacks(condition))
    if m.sam >= 2 or "systolic anterior motion" in scribe.has:
        named = scribe.told.get("systolic anterior motion") == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", "systolic anterior motion")
        lines.append(scribe.line(say.SAM_NAMED if named else say.SAM_DESCRIBED, claims))
    elif m.sam == 1:
        lines.append(scribe.line(say.SAM_MINOR))
    return lines


def _aortic(scribe: Scribe) -> list[Line]:
    grade, condition = scribe.meaning.aortic_stenosis, "severe aortic stenosis"
    if condition in scribe.has:
        named = scribe.told[condition] == "named" and scribe.chance(0.6)
        claims = scribe.shows("asserted" if named else "described", condition)
        return [scribe.line(say.AORTIC_SEVERE if named else say.AORTIC_DESCRIBED, claims)]
    if grade:
        return [scribe.line(say.STENOSIS, (), valve="aortic", **_graded(grade))]
    if scribe.meaning.aortic_regurgitation or scribe.parameters.valves.prosthesis == "aortic":
        return []
    return scribe.maybe(0.15, say.NO_AORTIC, scribe.lacks(condition))


def _defect(scribe: Scribe, valve: str, defect: str, grade: int) -> list[Line]:
    templates = say.REGURGITATION if defect == "regurgitation" else say.STENOSIS
    if not grade:
        return []
    return [scribe.line(templates, (), valve=valve, Valve=upper_first(valve), **_graded(grade))]


def _graded(grade: int) -> dict[str, str]:
    return {"defect_grade": GRADES[grade], "Defect_grade": upper_first(GRADES[grade])}

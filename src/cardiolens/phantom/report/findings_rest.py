"""Findings of the pericardium, masses, traces of surgery, and what lies outside the heart."""

from __future__ import annotations

from cardiolens.phantom.heart.parts import Mass
from cardiolens.phantom.report import phrases as say_left
from cardiolens.phantom.report import phrases_rest as say
from cardiolens.phantom.report.scribe import Line, Scribe, upper_first

MASS_CONDITIONS = {
    "thrombus": "cardiac thrombus",
    "myxoma": "atrial myxoma",
    "tumor": "cardiac tumor",
    "cyst": "other cardiac mass",
    "lipoma": "other cardiac mass",
    "vegetation": "other cardiac mass",
}


def pericardium(scribe: Scribe) -> list[Line]:
    """Fluid and thickness."""
    m, lines = scribe.meaning, []
    large = "large pericardial effusion"
    if m.effusion:
        described = scribe.told.get(large) == "described"
        templates = say.EFFUSION_DESCRIBED if described else say.EFFUSION
        lines.append(scribe.line(templates, scribe.shows("asserted", large) or scribe.lacks(large)))
        if m.effusion >= 2:
            lines += scribe.maybe(0.2, say.TAMPONADE)
    if m.pericardium:
        described_too = scribe.shows("described", "pericarditis")
        lines.append(scribe.line(say.PERICARDIUM_THICK, described_too))
    if "pericarditis" in scribe.has and scribe.contrast:
        lines += scribe.maybe(0.6, say.PERICARDIUM_BRIGHT, scribe.shows("described", "pericarditis"))
    if m.effusion and not m.pericardium and "pericarditis" not in scribe.has:
        lines += scribe.maybe(0.15, say.PERICARDIUM_THIN)
    if not lines:
        lines.append(scribe.line(say.PERICARDIUM_NORMAL, scribe.lacks(large)))
    return lines


def masses(scribe: Scribe) -> list[Line]:
    """Each mass, or sometimes that there is none."""
    if scribe.parameters.masses:
        return [_mass(scribe, mass) for mass in scribe.parameters.masses]
    kinds = scribe.lacks("cardiac thrombus", "cardiac tumor", "other cardiac mass", "atrial myxoma")
    if len(kinds) < 4 or not scribe.chance(0.16):
        return []
    if scribe.chance(0.5):
        return [scribe.line(say.NO_THROMBUS, kinds[:1])]
    return [scribe.line(say.NO_MASS, kinds)]


def surgery(scribe: Scribe) -> list[Line]:
    """Wires, grafts and patches."""
    s, lines = scribe.parameters.surgery, []
    told = scribe.shows("asserted", "previous surgery")
    if s.wires:
        lines += scribe.maybe(0.7, say.WIRES, told)
    for kind in s.kinds:
        if scribe.chance(0.4) and not (kind == "valve replacement" and not scribe.parameters.valves.prosthesis):
            lines.append(scribe.line((say.POSTOPERATIVE[kind],), told, prosthesis=scribe.parameters.valves.prosthesis))
    return lines


def lungs_and_rest(scribe: Scribe) -> list[Line]:
    """Pleural fluid and incidental findings."""
    grade = scribe.meaning.pleural
    lines: list[Line] = []
    if grade:
        size = scribe.pick(say_left.EFFUSION_SIZE[grade])
        lines.append(scribe.line(say.PLEURAL, pleural=size, Pleural=upper_first(size)))
    elif scribe.parameters.pleural_effusion_mm < 1:
        lines += scribe.maybe(0.1, say.LUNGS_CLEAR)
    return lines + scribe.some(scribe.manner.wordy / 12, say.INCIDENTAL)


def _mass(scribe: Scribe, mass: Mass) -> Line:
    condition = MASS_CONDITIONS[mass.kind]
    named = scribe.told.get(condition) == "named" and scribe.chance(0.6)
    templates = say.MASS_NAMED[mass.kind] if named else say.MASS_DESCRIBED[mass.kind]
    if not named and not scribe.contrast:
        templates = say.MASS_PLAIN
    mobility = "mobile" if mass.mobile >= 0.5 else "with little motion" if mass.mobile >= 0.15 else "not mobile"
    return scribe.line(
        templates,
        scribe.shows("asserted" if named else "described", condition),
        site=say.MASS_SITE[mass.site],
        size=scribe.manner.length(mass.size_mm),
        mobility=mobility,
    )

"""What stands before the findings: indication, technique, comparison."""

from __future__ import annotations

from cardiolens.phantom.report import phrases_frame as say
from cardiolens.phantom.report.diagnoses import DIAGNOSES, FAMILIAL, RESOLVED
from cardiolens.phantom.report.facts import Claim
from cardiolens.phantom.report.meaning import lv_function_of
from cardiolens.phantom.report.naming import name_of, plain_name_of, surgery_words
from cardiolens.phantom.report.scribe import Line, Scribe, listed, lower_first, upper_first

_KNOWN = 0.16  # share of a heart's diseases that are known before the scan
_NEVER_QUERIED = {"normal", "lipomatous atrial wall", "previous surgery", "prosthetic valve"}


def indication(scribe: Scribe) -> list[Line]:
    """Who the patient is, what for, and what went before."""
    lines = [_patient(scribe), *_comorbid(scribe), *_operations(scribe), *_known(scribe)]
    if scribe.chance(0.26):
        lines.append(_query(scribe))
    family = scribe.chance(0.1)
    if family:
        lines.append(_family(scribe))
    if scribe.chance(0.04):
        lines += _past(scribe)
    if scribe.chance(0.12):
        lines.append(scribe.line(say.UNRELATED_HISTORY))
    if "previous surgery" not in scribe.has and scribe.chance(0.04):
        lines.append(scribe.line(say.NO_SURGERY, scribe.lacks("previous surgery")))
    if not family:
        lines += scribe.maybe(0.04, say.NO_FAMILY)
    return lines + scribe.maybe(0.08, say.PURPOSE)


def technique(scribe: Scribe) -> list[Line]:
    """Scanner and sequences, contrast, rhythm."""
    field = f"{scribe.field_t:g}"
    at = scribe.pick([f" at {field} T", f" at {field} Tesla", f" on a {field}T scanner", ""])
    lines = [scribe.line(say.TECHNIQUE, at_field=at)]
    lines += scribe.maybe(0.6, say.CONTRAST_GIVEN) if scribe.contrast else scribe.maybe(0.4, say.CONTRAST_NOT)
    lines += scribe.some(scribe.manner.wordy / 8, say.TECHNIQUE_EXTRA)
    rhythm = scribe.parameters.rhythm
    if rhythm in say.RHYTHM:
        lines += scribe.maybe(0.75, say.RHYTHM[rhythm])
    regular = scribe.pick([", regular", ""]) if rhythm == "sinus" else ""
    return lines + scribe.maybe(0.1, say.HEART_RATE, regular=regular)


def comparison(scribe: Scribe) -> list[Line]:
    """A prior study, or that there is none; often nothing."""
    if scribe.chance(0.6):
        return []
    if scribe.chance(0.55):
        bare = scribe.manner.headings == "few"  # without a heading, "None." says nothing
        return [scribe.line(say.COMPARISON_NONE[:2] if bare else say.COMPARISON_NONE)]
    year = str(int(scribe.rng.integers(2008, 2021)))
    lines = [scribe.line(say.COMPARISON, year=year)]
    if not scribe.chance(0.7):
        return lines + scribe.maybe(0.5, say.NO_CHANGE_FROM_ECHO)
    before = scribe.meaning.lvef + int(scribe.rng.integers(8, 18)) * (1 if scribe.chance(0.5) else -1)
    told = say.CHANGE[2:] if 15 <= before <= 68 and scribe.chance(0.35) else say.CHANGE[:2]
    words = {"year": year, "previous": f"{before}{scribe.manner.percent}"}
    words["trend"] = "improved" if before < scribe.meaning.lvef else "declined"
    crossed = lv_function_of(before) != scribe.meaning.lv_function
    return [*lines, scribe.line(told if crossed else say.CHANGE[:2], (), **words)]


def _patient(scribe: Scribe) -> Line:
    female = scribe.truth.sex == "F"
    person = scribe.pick(("woman", "female", "lady") if female else ("man", "male", "gentleman"))
    special = [c for c in scribe.truth.conditions if c in say.COMPLAINTS_OF]
    pool: tuple[str, ...] = say.COMPLAINTS
    if special and scribe.chance(0.5):
        pool = say.COMPLAINTS_OF[scribe.pick(special)]
    complaint = lower_first(scribe.fill(scribe.pick(pool)))
    return scribe.line(
        say.INDICATION,
        person=person,
        Person=person.capitalize(),
        sex_letter=scribe.truth.sex,
        complaint=complaint,
        complaint_start=upper_first(complaint),
    )


def _comorbid(scribe: Scribe) -> list[Line]:
    told = [item for item in scribe.history if scribe.chance(0.75)]
    return [scribe.line(say.COMORBID, comorbid=listed(told))] if told else []


def _operations(scribe: Scribe) -> list[Line]:
    """What was operated is usually told at the start."""
    if not scribe.parameters.surgery.kinds or not scribe.chance(0.5):
        return []
    words = surgery_words(scribe)
    claims = scribe.shows("asserted", "previous surgery")
    if any(sign in words for sign in ("AVR", "MVR", "valve replacement")):
        claims += scribe.shows("asserted", "prosthetic valve")
    if "TOF" in words or "tetralogy" in words:
        claims += scribe.shows("asserted", "tetralogy of Fallot")
    return [scribe.line(say.STATUS_POST, claims, surgery=words, surgery_start=upper_first(words))]


def _known(scribe: Scribe) -> list[Line]:
    lines = []
    for condition in scribe.truth.conditions:
        known = DIAGNOSES[condition].kind in ("disease", "indirect")
        if known and scribe.told[condition] == "named" and scribe.chance(_KNOWN):
            name = name_of(scribe, condition)
            lines.append(scribe.line(say.KNOWN, scribe.shows("asserted", condition), suspect=name))
    return lines


def _query(scribe: Scribe) -> Line:
    """What the referring doctor asks; more often than chance what is there."""
    weights = {n: d.common for n, d in DIAGNOSES.items() if n not in _NEVER_QUERIED}
    for condition in scribe.has & set(weights):
        weights[condition] *= 4.0
    condition = scribe.weighted(weights, 1)[0]
    return scribe.line(say.QUERY, [Claim(condition, "queried")], suspect=plain_name_of(scribe, condition))


def _family(scribe: Scribe) -> Line:
    condition = scribe.weighted(FAMILIAL, 1)[0]
    return scribe.line(say.FAMILY, [Claim(condition, "family")], suspect=plain_name_of(scribe, condition))


def _past(scribe: Scribe) -> list[Line]:
    """Something that the patient once had, and has no longer."""
    absent = {name: weight for name, weight in RESOLVED.items() if name not in scribe.has}
    found = scribe.weighted(absent, 1)
    return [scribe.line(say.PAST, [Claim(c, "history")], suspect=plain_name_of(scribe, c)) for c in found]

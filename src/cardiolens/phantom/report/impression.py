"""The impression: pump function, what the heart has, what it has not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cardiolens.phantom.report import phrases as say_left
from cardiolens.phantom.report import phrases_frame as say
from cardiolens.phantom.report import phrases_rest, phrases_right
from cardiolens.phantom.report.diagnoses import DIAGNOSES
from cardiolens.phantom.report.facts import Claim
from cardiolens.phantom.report.findings_left import motion_words
from cardiolens.phantom.report.findings_valves import GRADES
from cardiolens.phantom.report.meaning import Meaning
from cardiolens.phantom.report.naming import name_of, plain_name_of, values_for
from cardiolens.phantom.report.scribe import Line, Scribe, upper_first, walls_named
from cardiolens.text.conditions import NORMAL

_SIZES_TOLD = (0.0, 0.65, 0.9, 0.97)  # share of the sizes that the impression repeats, by grade
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "amyloidosis": ("hypertrophic cardiomyopathy",),
    "hypertrophic cardiomyopathy": ("amyloidosis",),
    "left ventricular non-compaction": ("non-ischemic cardiomyopathy",),
    "myocarditis": ("sarcoidosis",),
    "sarcoidosis": ("myocarditis", "arrhythmogenic right ventricular cardiomyopathy"),
    "non-ischemic cardiomyopathy": ("ischemic cardiomyopathy", "sarcoidosis"),
    "ischemic cardiomyopathy": ("non-ischemic cardiomyopathy",),
    "arrhythmogenic right ventricular cardiomyopathy": ("sarcoidosis",),
    "cardiac thrombus": ("cardiac tumor",),
    "atrial myxoma": ("cardiac thrombus",),
    "cardiac tumor": ("cardiac thrombus",),
}
"""What a hedged condition is weighed against."""


def impression(scribe: Scribe) -> list[Line]:
    """Lines of the impression, pump function first."""
    lines = [scribe.line(say.SUMMARY, scribe.sized("left ventricular dilation", scribe.meaning.lv_size))]
    if scribe.chance(0.85):  # often, so that a few sentences drawn at random still hold it
        lines.append(scribe.line(say_left.LV_FUNCTION_WORDS))
    order = scribe.truth.conditions
    if scribe.chance(0.5):
        order = tuple(sorted(order, key=lambda c: DIAGNOSES[c].kind == "size"))
    for condition in order:
        lines += _normal(scribe) if condition == NORMAL else _condition(scribe, condition)
    lines += _other_findings(scribe) + _exclusions(scribe)
    return lines + scribe.maybe(scribe.manner.wordy / 3, say.CLOSING)


def _normal(scribe: Scribe) -> list[Line]:
    if scribe.told[NORMAL] == "named":
        return [scribe.line(say.NORMAL_STUDY, [Claim(NORMAL, "asserted")])]
    return [scribe.line(say.NORMAL_DESCRIBED, [Claim(NORMAL, "described")])]


def _condition(scribe: Scribe, condition: str) -> list[Line]:
    words, told = DIAGNOSES[condition], scribe.told[condition]
    if words.kind == "size" and not scribe.chance(_SIZES_TOLD[_grade(scribe, condition)]):
        return []
    if words.kind == "size" and told == "described":
        return [_described(scribe, condition, "asserted")]
    if told == "described":
        return [_described(scribe, condition, "described")]
    lines = []
    if words.kind in ("disease", "indirect") and scribe.chance(0.3):
        lines.append(_described(scribe, condition, "described"))
    name = name_of(scribe, condition)
    names = {"name": name, "Name": upper_first(name), "bare": name}
    if told == "hedged":
        return [*lines, _hedged(scribe, condition, names)]
    claims = [Claim(condition, "asserted")]
    if words.kind == "size":
        return [*lines, _measured(scribe, condition, names)]
    return [*lines, scribe.line(say.ASSERT_THERE if words.kind == "structure" else say.ASSERT, claims, **names)]


def _described(scribe: Scribe, condition: str, status: str) -> Line:
    claim = Claim(condition, "asserted" if status == "asserted" else "described")
    return scribe.line(DIAGNOSES[condition].described, [claim], **values_for(scribe, condition))


def _hedged(scribe: Scribe, condition: str, names: Mapping[str, str]) -> Line:
    others = [other for other in _BESIDE.get(condition, ()) if other not in scribe.has]
    if others and scribe.chance(0.3):
        other = scribe.pick(others)
        claims = [Claim(condition, "hedged"), Claim(other, "hedged")]
        return scribe.line(say.DIFFERENTIAL, claims, other=plain_name_of(scribe, other), **names)
    templates = say.HEDGE_SEEN if DIAGNOSES[condition].kind == "structure" else say.HEDGE
    return scribe.line(templates, [Claim(condition, "hedged")], **names)


def _measured(scribe: Scribe, condition: str, names: Mapping[str, str]) -> Line:
    """With its grade, which a large effusion has in its name."""
    claims = [Claim(condition, "asserted")]
    if condition == "large pericardial effusion":
        return scribe.line(say.ASSERT_THERE, claims, **names)
    grade = _grade(scribe, condition)
    adverb = names["bare"].startswith(("dilated", "enlarged"))
    extent = say_left.GRADE_ADVERB[grade] if adverb else scribe.pick(say_left.GRADE_ADJECTIVE[grade])
    return scribe.line(say.ASSERT_MEASURED, claims, extent=extent, Extent=upper_first(extent), **names)


def _grade(scribe: Scribe, condition: str) -> int:
    return max(1, _GRADE_OF[condition](scribe.meaning))


_GRADE_OF: Mapping[str, Callable[[Meaning], int]] = {
    "aortic dilation": lambda m: max(m.root, m.ascending),
    "large pericardial effusion": lambda m: m.effusion,
    "left atrial dilation": lambda m: m.la_size,
    "left ventricular dilation": lambda m: m.lv_size,
    "left ventricular hypertrophy": lambda m: m.wall,
    "pulmonary artery dilation": lambda m: m.trunk,
    "right atrial dilation": lambda m: m.ra_size,
    "right ventricular dilation": lambda m: m.rv_size,
    "right ventricular hypertrophy": lambda m: m.rv_wall,
}


def _other_findings(scribe: Scribe) -> list[Line]:
    """What no condition covers."""
    m, lines = scribe.meaning, []
    if m.motion == "regional" and scribe.chance(0.7):
        words = upper_first(motion_words(m, noun=True))
        lines.append(scribe.line((f"{words}.",), scribe.shows("described", "ischemic cardiomyopathy")))
    if m.rv_function > 0 or (m.rv_size > 0 and scribe.chance(0.3)):
        lines += scribe.maybe(0.6, say.RV_SUMMARY, scribe.sized("right ventricular dilation", m.rv_size))
    for valve, grade in (
        ("mitral", m.mitral_regurgitation),
        ("aortic", m.aortic_regurgitation),
        ("tricuspid", m.tricuspid_regurgitation),
    ):
        if grade == 2 or (grade == 3 and valve != "mitral"):
            words = GRADES[grade]
            values = {"defect_grade": words, "Defect_grade": upper_first(words), "Valve": upper_first(valve)}
            lines += scribe.maybe(0.6, phrases_right.REGURGITATION[:2], (), valve=valve, **values)
    if m.aortic_stenosis == 2 and "severe aortic stenosis" not in scribe.has:
        lines.append(scribe.line(("Moderate aortic stenosis.", "Aortic stenosis, moderate.")))
    if m.scarred and scribe.contrast:
        pattern = scribe.parameters.tissue.scar_pattern
        lines += scribe.maybe(0.25, (f"{upper_first(pattern)} late enhancement of the {walls_named(m.scarred)}.",))
    if 0 < m.effusion < 3:
        lines += scribe.maybe(0.4, phrases_rest.EFFUSION, scribe.lacks("large pericardial effusion"))
    return lines


def _exclusions(scribe: Scribe) -> list[Line]:
    """Mention to exclude: of conditions that are absent and that nothing in the findings speaks for."""
    weights = {
        c: d.common for c, d in DIAGNOSES.items() if d.common and c not in scribe.has and _may_exclude(scribe, c)
    }
    lines: list[Line] = []
    for _ in range(int(scribe.rng.choice([0, 1, 2, 3], p=[0.4, 0.36, 0.18, 0.06]))):
        first = scribe.weighted(weights, 1)
        if not first:
            break
        kind = DIAGNOSES[first[0]].kind
        alike = {c: w for c, w in weights.items() if DIAGNOSES[c].kind == kind and c != first[0]}
        chosen = first + (scribe.weighted(alike, 1) if scribe.chance(0.25) else [])
        name = " or ".join(plain_name_of(scribe, c) for c in chosen)
        claims = [Claim(c, "excluded") for c in chosen]
        templates = say.EXCLUDE if kind in ("disease", "indirect") else say.EXCLUDE_SEEN
        lines.append(scribe.line(templates, claims, name=name, Name=upper_first(name)))
        weights = {c: w for c, w in weights.items() if c not in chosen}
    return lines


def _may_exclude(scribe: Scribe, condition: str) -> bool:
    """Whether nothing else of this heart would make the exclusion sound wrong."""
    m, p, has = scribe.meaning, scribe.parameters, scribe.has
    thick = m.wall >= 1 or m.mass_raised or bool(has & {"hypertrophic cardiomyopathy", "amyloidosis"})
    scarred = any(p.tissue.scar) or any(p.tissue.edema)
    right_load = m.rv_size >= 1 or m.rv_wall >= 1 or m.trunk >= 1 or m.rv_function >= 1 or bool(m.flat)
    cardiomyopathy = m.lvef < 50 or scarred or thick or p.noncompacted_mm >= 2 or p.rv_bulges > 0
    stands_against: Mapping[str, bool] = {
        "amyloidosis": thick or p.septa.atrial_mm >= 6 or p.tissue.t1_shift_ms > 60,
        "aortic dilation": m.root > 0 or m.ascending > 0,
        "arrhythmogenic right ventricular cardiomyopathy": right_load or p.rv_bulges > 0 or p.tissue.rv_fat > 0,
        "atrial myxoma": bool(p.masses),
        "atrial septal defect": "septal defect closure" in p.surgery.kinds,
        "bicuspid aortic valve": p.valves.prosthesis == "aortic" or p.valves.bicuspid,
        "cardiac thrombus": bool(p.masses),
        "cardiac tumor": bool(p.masses),
        "hypertrophic cardiomyopathy": thick or m.sam > 0,
        "ischemic cardiomyopathy": m.motion == "regional" or p.tissue.scar_pattern == "subendocardial",
        "left atrial dilation": m.la_size > 0,
        "left ventricular dilation": m.lv_size > 0,
        "left ventricular hypertrophy": thick,
        "left ventricular non-compaction": p.noncompacted_mm >= 2,
        "myocarditis": scarred or "pericarditis" in has,
        "non-ischemic cardiomyopathy": cardiomyopathy,
        "other cardiac mass": bool(p.masses),
        "pericarditis": m.pericardium > 0 or m.effusion > 0 or p.septa.bounce_mm > 0,
        "previous surgery": p.surgery.wires or bool(p.surgery.kinds) or bool(p.valves.prosthesis),
        "prosthetic valve": bool(p.valves.prosthesis),
        "pulmonary artery dilation": m.trunk > 0,
        "pulmonary hypertension": right_load,
        "pulmonary stenosis": m.pulmonary_stenosis > 0,
        "right atrial dilation": m.ra_size > 0,
        "right ventricular dilation": m.rv_size > 0,
        "right ventricular hypertrophy": m.rv_wall > 0,
        "sarcoidosis": scarred,
        "severe aortic stenosis": p.valves.prosthesis == "aortic",
        "systolic anterior motion": m.sam > 0,
        "tetralogy of Fallot": bool({"ventricular septal defect", "pulmonary stenosis"} & has) or bool(p.surgery.kinds),
        "ventricular septal defect": "septal defect closure" in p.surgery.kinds,
    }
    return not stands_against.get(condition, False)

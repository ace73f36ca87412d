"""Conditions that a report gives as figures only.

Limits: LV and RV end-diastolic volume index, mean plus two standard deviations of the UK Biobank reference cohort
(Petersen et al., J Cardiovasc Magn Reson 2017;19:18), those of men where the report does not say that the patient is a
woman; valve area and velocity of severe aortic stenosis and fraction and volume of severe mitral regurgitation (Otto et
al., 2020 ACC/AHA guideline, Circulation 2021;143:e72); effusion of 20 mm (Klein et al., J Am Soc Echocardiogr
2013;26:965); ratio of 2.3 for non-compaction (Petersen et al., J Am Coll Cardiol 2005;46:101).  Diameters of aorta and
pulmonary artery, wall thickness and left atrial volume index: this package's choice, as in `data/conditions.yaml`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Sex = Literal["F", "M"]
Verdict = Literal["present", "absent"]

_NUMBER = r"(?P<value>\d{1,3}(?:\.\d+)?)"
_GAP = r"(?:[^.;,\d]|\.(?=\d)|(?<=\d)\.|\b[1-9](?=[- ]chamber)|,(?= ?(?:measur|up to|maxim|indexed|\d))){0,48}?"
_LENGTH = r"\s*(?P<unit>mm|cm)\b(?!\s*/|2|\s*hg|3)"
_PER_AREA = r"\s*(?P<unit>ml|cc)\s*/\s*m(?:2|\^2|\b)"
_EARLIER = re.compile(
    r"(?:previously|prior|before|was|from|compared (?:to|with)|formerly|earlier|versus|vs\.?)\W*$", re.IGNORECASE
)
_LATER_PRIOR = re.compile(r"^\s*\)?\s*(?:previously|on prior|in 20\d\d|before)", re.IGNORECASE)


@dataclass(frozen=True)
class Measure:
    """A quantity, in whose unit the limits stand (mm, ml/m2, cm2, m/s, %, or none).

    Attributes:
        at_least: from here on the condition is present (with `below`: up to here).
        absent_to: up to here it is absent; None where a small value denies nothing.
        women: `at_least` for women where it differs.
        below: small values are the abnormal ones.
    """

    condition: str
    subject: str
    unit: str
    at_least: float
    absent_to: float | None = None
    women: float | None = None
    below: bool = False
    unless: str = r"(?!)"


MEASURES: tuple[Measure, ...] = (
    Measure(
        "aortic dilation",
        r"(?:aortic root|aortic sinus(?:es)?|sinus(?:es)? of valsalva|ascending(?: thoracic)? aorta"
        r"|thoracic aorta|ascending aortic)",
        _LENGTH,
        40.0,
        36.0,
        unless=r"wall|graft|area|plaque|atheroma",
    ),
    Measure(
        "pulmonary artery dilation",
        r"(?:(?:main )?pulmonary (?:artery|trunk)|MPA|(?:main )PA)",
        _LENGTH,
        30.0,
        27.0,
        unless=r"left pulmonary|right pulmonary|branch|aort",
    ),
    Measure(
        "left ventricular hypertrophy",
        r"(?:(?:inter)?ventricular septum|basal septum|septum|septal|(?:LV|left ventricular|maximal"
        r"|maximum|max|end-diastolic|myocardial|antero\w+|infero\w+|anterior|inferior|lateral"
        r"|apical|posterior)(?: LV| left ventricular)? (?:wall|thickness|wall thickness)|wall"
        r" thickness|walls?|IVS)",
        _LENGTH,
        13.0,
        unless=r"atrial|right vent|\brv\b|free wall|pericard|scar|defect|aort|effusion|noncompact"
        r"|excursion|thrombus|mass|lesion|dehiscence",
    ),
    Measure(
        "right ventricular hypertrophy",
        r"(?:RV|right ventricular)(?: free)? wall(?: thickness)?",
        _LENGTH,
        6.0,
        4.0,
        unless=r"excursion|mass|lesion|thrombus",
    ),
    Measure(
        "left ventricular dilation",
        r"(?:LV ?EDVI?|LVEDV ?\(?(?:index|indexed)?|LV"
        r" (?:end-?diastolic volume|EDV)(?: index)?"
        r"|left ventricular end-?diastolic volume(?: index)?)",
        _PER_AREA,
        115.1,
        98.0,
        women=98.1,
    ),
    Measure(
        "right ventricular dilation",
        r"(?:RV ?EDVI?|RVEDV ?\(?(?:index|indexed)?|RV"
        r" (?:end-?diastolic volume|EDV)(?: index)?"
        r"|right ventricular end-?diastolic volume(?: index)?)",
        _PER_AREA,
        127.1,
        103.0,
        women=103.1,
    ),
    Measure(
        "left atrial dilation",
        r"(?:LA (?:max(?:imal|imum)? )?volume(?: index)?"
        r"|LAVI?|left atrial (?:max(?:imal|imum)?"
        r" )?volume(?: index)?|(?:indexed )?left atrial volume|LA index)",
        _PER_AREA,
        56.0,
        50.0,
    ),
    Measure(
        "severe aortic stenosis",
        r"(?:aortic valve (?:orifice )?area"
        r"|AVA|valve (?:orifice )?area)",
        r"\s*(?P<unit>cm2|cm\^2|sq ?cm)",
        1.0,
        1.5,
        below=True,
        unless=r"mitral",
    ),
    Measure(
        "severe aortic stenosis",
        r"(?:aortic (?:valve |stenosis |peak |jet |forward"
        r" )*velocity|aortic stenosis|aortic valve"
        r"|transaortic (?:peak )?velocity)",
        r"\s*(?P<unit>m/s(?:ec)?)",
        4.0,
        2.5,
        unless=r"pulmon|mitral|tricuspid",
    ),
    Measure(
        "severe mitral regurgitation",
        r"(?:mitral|\bMR\b)(?:"
        r" \w+){0,6}? regurgitant"
        r" fraction",
        r"\s*(?P<unit>%)",
        50.0,
        30.0,
        unless=r"tricuspid|aortic|pulmon",
    ),
    Measure(
        "severe mitral regurgitation",
        r"mitral (?:valve )?(?:regurgitation"
        r"|regurgitant|insufficiency)(?:(?!aortic"
        r"|tricuspid"
        r"|pulmon)[^.;])*?(?:regurgitant )?fraction|\bMR"
        r" (?:is |with )?[^.;]{0,30}?fra"
        r"ction|\bMR RF",
        r"\s*(?P<unit>%)",
        50.0,
        30.0,
        unless=r"tricuspid|aortic|pulmon|ejection",
    ),
    Measure(
        "large pericardial effusion",
        r"pericardial (?:effusion|fluid)",
        _LENGTH,
        20.0,
        20.0,
        unless=r"thick|pleural|mass|cyst",
    ),
    Measure(
        "left ventricular non-compaction",
        r"(?:noncompact(?:ed|ion)?(?:[- /]?(?:to|:"
        r"|/)?[- ]?compact(?:ed|ion)?)?|NC ?[/:] ?C"
        r"|trabeculat\w+)[^.;\d]{0,30}?ratio",
        r"(?P<unit>)(?!\s*(?:mm|cm|%))",
        2.31,
        2.0,
    ),
)
_COMPILED = [
    (
        m,
        re.compile(rf"(?<!\w)(?P<subject>{m.subject}){_GAP}{_NUMBER}{m.unit}", re.IGNORECASE),
        re.compile(m.unless, re.I),
    )
    for m in MEASURES
]


@dataclass(frozen=True)
class Measured:
    """A figure that decides a condition, at `start:end`."""

    condition: str
    verdict: Verdict
    start: int
    end: int


def measured(text: str, sex: Sex | None = None) -> list[Measured]:
    """Conditions decided by the figures of a sentence, each verdict once; between the limits nothing is decided.

    >>> [(m.condition, m.verdict) for m in measured("Ascending aorta 4.6 cm.")]
    [('aortic dilation', 'present')]
    """
    found: list[Measured] = []
    for measure, pattern, unless in _COMPILED:
        for match in pattern.finditer(text):
            lead = text[max(0, match.start() - 14) : match.end("subject")]
            between = text[match.start() : match.start("value")]
            if unless.search(lead) or unless.search(between):
                continue
            if _EARLIER.search(text[: match.start("value")]) or _LATER_PRIOR.match(text[match.end() :]):
                continue
            verdict = _verdict(measure, float(match["value"]), match["unit"].lower(), sex)
            if verdict and (measure.condition, verdict) not in {(m.condition, m.verdict) for m in found}:
                found.append(Measured(measure.condition, verdict, match.start(), match.end()))
    return found


def _verdict(measure: Measure, value: float, unit: str, sex: Sex | None) -> Verdict | None:
    if unit == "cm" and measure.unit is _LENGTH:
        value *= 10.0
    limit = measure.women if sex == "F" and measure.women is not None else measure.at_least
    if measure.below:
        if value <= limit:
            return "present"
        return "absent" if measure.absent_to is not None and value > measure.absent_to else None
    if value >= limit:
        return "present"
    return "absent" if measure.absent_to is not None and value < measure.absent_to else None


_FEMALE = re.compile(r"\b(?:woman|female|lady|girl|\d+ ?(?:y/?o|yo|year[- ]old)?,? ?F)\b")
_MALE = re.compile(r"\b(?:man|male|gentleman|boy|\d+ ?(?:y/?o|yo|year[- ]old)?,? ?M)\b")


def sex_told(report: str) -> Sex | None:
    """The patient's sex where the report says it and does not say both."""
    female, male = bool(_FEMALE.search(report)), bool(_MALE.search(report))
    if female == male:
        return None
    return "F" if female else "M"


_EJECTION = re.compile(
    r"(?P<lead>[^.;,]{0,40}?)\b(?P<name>(?:LV ?|RV ?)?EF|ejection fraction)\b(?:[^.;\d]"
    r"|\.(?=\d)){0,30}?(?P<value>\d{1,2}(?:\.\d+)?)\s*(?:%|percent)",
    re.IGNORECASE,
)


def left_ejection_fractions(text: str) -> list[float]:
    """LVEF in % as the sentence gives it; figures of the right ventricle and earlier ones are left out."""
    found = []
    for match in _EJECTION.finditer(text):
        right = re.search(r"\bRV|right ventric", match["lead"] + match["name"])
        left = re.search(r"\bLV|left ventric", match["lead"] + match["name"])
        if (right and not left) or _EARLIER.search(text[: match.start("value")]):
            continue
        found.append(float(match["value"]))
    return found

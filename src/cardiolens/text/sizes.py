"""Which chamber or vessel a sentence calls dilated, and which it calls normal in size.

"Dilated" and "normal in size" are said of the structures before them ("LA and RA are dilated") or after them ("dilated
LA and RA"); each structure is taken once, so that "severely dilated LA and mildly dilated RA" comes out right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SizeWord = Literal["dilated", "normal", "borderline"]

_STRUCTURES: Mapping[str, tuple[str, ...]] = {  # none for a structure that no label is about
    r"left atri(?:um|al)|LA": ("la",),
    r"right atri(?:um|al)|RA": ("ra",),
    r"left ventric(?:le|ular)|LV": ("lv",),
    r"right ventric(?:le|ular)|RV": ("rv",),
    r"left and right atria|right and left atria|both atria|bi-?atrial|atria|bilateral atria"
    r"|(?<!left )(?<!right )atrial(?= sizes?\b| enlargement| dilation)": ("la", "ra"),
    r"left and right ventric(?:les|ular)|right and left ventric(?:les|ular)|both ventricles"
    r"|bi-?ventricular|ventricles": ("lv", "rv"),
    r"right (?:heart|sided chambers|heart chambers)|right-sided (?:heart )?(?:chambers|cavities|heart)": ("rv", "ra"),
    r"left (?:heart|heart chambers)|left-sided (?:heart )?(?:chambers|cavities|heart)": ("lv", "la"),
    r"(?:all )?(?:four|4)(?:[- ](?:cardiac |heart )?chambers?)|all (?:cardiac |heart )?chambers"
    r"|(?:cardiac|heart) chambers|chambers|cardiac (?:cavities|chamber)": ("la", "ra", "lv", "rv"),
    r"aort(?:a|ic)(?: root| annulus| arch)?|ascending(?: thoracic)?(?: aorta| aortic)?|descending thoracic aorta"
    r"|sinus(?:es)? of valsalva|root|sinotubular junction|aortic sinus(?:es)?|thoracic aort(?:a|ic)|STJ": ("aorta",),
    r"(?:main |central |proximal )?pulmonary (?:arter(?:y|ies|ial)(?: trunk)?|trunk)|MPA|(?:main )?PAs?": ("pa",),
    r"(?:left|right|branch) pulmonary arter(?:y|ies)": ("pa",),
    r"great (?:vessels|arteries)": ("aorta", "pa"),
}
_OTHERS = (
    r"(?:left|right)? ?atrial appendage|LAA|aortic valve|mitral valve|tricuspid valve|pulmonary"
    r" valve|pulmonic valve|pulmonary veins?"
    r"|coronary sinus|coronar(?:y|ies)(?: arter(?:y|ies))?|IVC|SVC|inferior vena cava|superior"
    r" vena cava|vena cava|RVOT|LVOT"
    r"|(?:right|left) ventricular outflow(?: tract)?|(?:R|L)V outflow(?: tract)?|outflow"
    r" tracts?|abdominal aorta|esophagus|azygos"
    r"|(?:left|right) ventricular (?:apex|apical|wall|walls|mass|free wall|septum|myocardium"
    r"|thrombus|aneurysm|hypertrophy|ejection|systolic|function|trabeculations?)"
    r"|(?:LV|RV) (?:apex|apical|wall|walls|mass|free wall|septum|myocardium|thrombus|aneurysm"
    r"|hypertrophy|EF|systolic|function|trabeculations?)"
    r"|(?:left|right) atrial (?:mass|myxoma|thrombus|wall|septum)|aortic (?:stenosis"
    r"|regurgitation|insufficiency|cusps?|leaflets?|position|flow)"
    r"|pulmonary (?:hypertension|artery pressures?|arterial hypertension|arterial pressures?"
    r"|stenosis|regurgitation|embol\w+|nodules?)|PA pressures?"
    r"|mitral annulus|tricuspid annulus|hepatic veins|liver|spleen|kidneys?|lymph nodes?"
    r"|thyroid|hernia|ventricular septum"
)
_BOTH_WORDS = re.compile(
    "|".join(rf"(?P<s{i}>(?<![\w-])(?:{words})(?![\w]))" for i, words in enumerate([_OTHERS, *_STRUCTURES])),
    re.IGNORECASE,
)
_MEANING = ((), *_STRUCTURES.values())
_CAPITALS = re.compile(r"[A-Z]{2,4}s?")

_SIZE = (
    r"(?:size|sized|volumes?|dimensions?|caliber|diameters?|width|cavity size|chamber size|chamber sizes|sizes|calibre)"
)
_DILATED = (
    r"dilat(?:ed|ion|ions)|enlarg(?:ed|ement)|ectasia|ectatic|aneurysmal|aneurysm|widened"
    r"|dilates?|(?:increased|enlarged|raised|elevated|above normal)(?: in)? "
    rf"{_SIZE}|increase in {_SIZE}|{_SIZE} (?:is |are )?(?:(?:mildly|moderately|severely"
    rf"|markedly|slightly|significantly) )?(?:increased|elevated|enlarged)|(?:atrio"
    rf"|ventriculo)?megaly|oversized|prominent in {_SIZE}|too (?:large|wide)"
    r"|wide(?= )|bigger than normal|large(?= (?:left|right|la|ra|lv|rv)\b)"
)
_NORMAL = (
    rf"(?:within |at )?(?:the )?(?:upper|high) (?:limits? of )?normal(?: limits?| range)?(?: in"
    rf" {_SIZE}| {_SIZE})?|upper limits? of normal"
    rf"|normal(?:ly)?[- ](?:in |for |indexed )?(?:[\w-]+ ){{0,5}}?{_SIZE}|{_SIZE}:? (?:is |are "
    rf"|remains? |appears? )?(?:all |both )?(?:within )?(?:the )?normal(?: limits| range)?"
    rf"|(?:mm|cm|ml|m2)[),;]* ?\(?(?:which is |and |is )?(?:within )?normal(?: limits)?(?=\W|$)"
    rf"|(?:is|are|appears?) (?:\w+ )?small|non-?dilated|non-?enlarged|not dilated|not enlarged"
    rf"|(?:is|are|appears?|:) (?:all |both |otherwise )?(?:within )?(?:the )?(?:normal(?: limits"
    rf"| range)?|unremarkable)(?=\s*(?:[.,;(]|$|and\b|but\b|with\b|without\b))"
    rf"|normal(?= (?:left and right |both )?(?:atria|ventricles|cardiac chambers|great vessels"
    rf"|great arteries|aorta|thoracic aorta|aortic root|pulmonary artery|main pulmonary artery"
    rf"|pulmonary trunk|left atrium|right atrium|left ventricle|right ventricle)\s*(?:[.,;]|$"
    rf"|and\b))"
)
_BORDERLINE = (
    r"(?:borderline|questionabl[ye]|possibl[ye]|equivocal(?:ly)?)[- ](?:mild(?:ly)?"
    r" )?(?:dilat(?:ed|ion)|enlarg(?:ed|ement)|large)|normal to (?:borderline|mildly|minimally"
    r"|slightly) "
    rf"(?:dilated|enlarged)|borderline(?: in)? {_SIZE}|{_SIZE} (?:is |are )?borderline|top[- ]normal"
)
_DESCRIPTOR = re.compile(
    rf"(?<!\w)(?:(?P<borderline>{_BORDERLINE})|(?P<normal>{_NORMAL})|(?P<dilated>{_DILATED}))(?!\w)", re.IGNORECASE
)
_NOT_SIZE = re.compile(r"^\s*(?:cardiomyopath|segment|of the (?:bile|ureter))", re.IGNORECASE)
_SAME = re.compile(r"[;,](?= (?:and )?(?:the|this) (?:chamber|cavity|vessel)\b)")  # "LA 90 ml; the chamber is dilated"
_BREAK = re.compile(r";|\b(?:but|while|whereas|however|although)\b", re.IGNORECASE)
_FILLER = re.compile(
    r"^(?:[\s,(:/-]|\([^)]*\)|\d[\d.]*(?![\d.])|(?:cavity|cavities|chamber|chambers|size|sized|volumes?"
    r"|diameter|root|annulus|itself|both|all|also|again|is|are|was|were"
    r"|be|been|has|have|appears?|remains?|looks?|seems?|to|now|which|that|not|no|longer|does|do"
    r"|each|minimally|mildly|moderately|severely|markedly|slightly|grossly|massively"
    r"|mild|moderate|severe|marked|massive|gross|significantly|significant|at least|globally"
    r"|global|trace|focal|diffuse|diffusely|fusiform|likely|probably|possibly|borderline|and|in"
    r"|of|shows?|demonstrates?"
    r"|mm|cm|ml|m2|the|a|an|with|biplane|indexed|index|end|diastolic|systolic|end-diastolic"
    r"|end-systolic|mid|proximal|distal|portion|segment|at|level)(?!\w))*$",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"(?:\b(?:is|are|was|were|appears?|remains?|has been)\b|:)(?:\s+(?:\w+ly|also|now|not|again"
    r"|both|all|to be|of|within))*\s*$",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"^(?:\s|,|/|&|\band\b|\bor\b|\bthe\b|\bboth\b|\bas well as\b|\([^)]*\)|\bsize\b|\bnor\b)*$", re.IGNORECASE
)
_LEADS = re.compile(
    r"^(?:\s|,|of|in|involving|the|both|mildly|and|left|right|a|an|entire|proximal|mid|distal"
    r"|chamber size of|to|at|level|affecting|cavity|caliber|calibre|size|moderate|severe|mild)*$",
    re.IGNORECASE,
)
_OWN_VERB = re.compile(
    r"^\s*(?:\([^)]*\))?\s*(?:is|are|was|were|has|size|volume|:|measures?|appears?|remains?"
    r"|normal|not|function|systolic)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sized:
    """One structure ("la", "aorta", …) and the word for its size, at `start:end`."""

    structure: str
    word: SizeWord
    start: int
    end: int


@dataclass
class _Place:
    start: int
    end: int
    structures: tuple[str, ...]
    taken: bool = False


def sizes(text: str) -> list[Sized]:
    """Every structure that the sentence gives a size, in order.

    >>> [(s.structure, s.word) for s in sizes("Dilated LA, normal RV size.")]
    [('la', 'dilated'), ('rv', 'normal')]
    """
    text = _SAME.sub(" ", text)
    places = _places(text)
    descriptors = [m for m in _DESCRIPTOR.finditer(text) if not _NOT_SIZE.match(text[m.end() :])]
    found: list[Sized] = []
    for position, match in enumerate(descriptors):
        earlier = descriptors[position - 1].end() if position else 0
        later = descriptors[position + 1].start() if position + 1 < len(descriptors) else len(text)
        for place in _governed(text, places, match, earlier, later):
            place.taken = True
            word: SizeWord = match.lastgroup  # type: ignore[assignment]
            found += [Sized(s, word, match.start(), match.end()) for s in place.structures]
    return found


def _places(text: str) -> list[_Place]:
    """Structures in the text; abbreviations only in capitals."""
    places = []
    for match in _BOTH_WORDS.finditer(text):
        words = match.group()
        short = len(words) <= 4 and " " not in words
        if short and not _CAPITALS.fullmatch(words) and words.lower() not in ("aorta", "liver", "atria", "root"):
            continue
        places.append(_Place(match.start(), match.end(), _MEANING[int(str(match.lastgroup)[1:])]))
    return places


def _governed(text: str, places: list[_Place], match: re.Match[str], earlier: int, later: int) -> list[_Place]:
    """The structures that a word of size is said of."""
    inside = [p for p in places if match.start() <= p.start and p.end <= match.end() and not p.taken]
    if inside:
        return inside
    before = [p for p in places if earlier <= p.start and p.end <= match.start() and not p.taken]
    breaks = [b.end() for b in _BREAK.finditer(text, 0, match.start())]
    before = [p for p in before if not breaks or p.start >= breaks[-1]]
    if before:
        between = text[before[-1].end : match.start()]
        if (_FILLER.match(between) and not re.search(r"\band\b", between)) or _says(between):
            return _listed_left(text, before)
        if re.match(r"(?:is|are|appears?|:)\b|:", match.group(), re.IGNORECASE) and _FILLER.match(between):
            return _listed_left(text, before)
    return _listed_right(text, [p for p in places if match.end() <= p.start < later and not p.taken], match.end())


def _says(between: str) -> bool:
    """Whether the words between a structure and "dilated" end in a verb of its own clause."""
    return bool(_COPULA.search(between)) and len(between) < 70 and "," not in between.rstrip(", ")


def _listed_left(text: str, before: list[_Place]) -> list[_Place]:
    chosen = [before[-1]]
    for place in reversed(before[:-1]):
        if not _LISTED.match(text[place.end : chosen[0].start]):
            break
        chosen.insert(0, place)
    return chosen


def _listed_right(text: str, after: list[_Place], start: int) -> list[_Place]:
    if not after or not _LEADS.match(text[start : after[0].start]):
        return []
    chosen = [after[0]]
    for place in after[1:]:
        if not _LISTED.match(text[chosen[-1].end : place.start]):
            break
        chosen.append(place)
    if len(chosen) > 1 and _OWN_VERB.match(text[chosen[-1].end :]):
        chosen.pop()
    return chosen

"""Whether report texts still hold identifiers: how many and of which kind, never which.

A check, not a remover: it finds what is written in the common forms of English reports, so that a table can be sent
back before it is stored or sent anywhere.  A name without a title or a label in front is beyond it, and so is one after
"MR" or "MS" in capitals, which stand for a method and two valve diseases here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_DATE = (
    rf"(?:\d{{1,2}}[/.-]\d{{1,2}}[/.-](?:19|20)?\d{{2}}|(?:19|20)\d{{2}}[/.-]\d{{1,2}}[/.-]\d{{1,2}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}\.?,?\s+(?:19|20)\d{{2}}"
    rf"|{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)\d{{2}})"
)
_CAPITAL = r"[A-Z][A-Za-z'\u2019-]+"
_NUMBER_MARK = r"(?:\s*(?:number|no\.?|num|id|#))?\s*[:#]*\s*"

KINDS: Mapping[str, re.Pattern[str]] = {
    "date of birth": re.compile(
        rf"\b(?:date of birth|birth ?date|d\.?o\.?b\.?|born(?: on)?)\s*[:=]?\s*{_DATE}", re.IGNORECASE
    ),
    "record number": re.compile(
        rf"\b(?:mrn|medical record|record|hospital|patient id|pat(?:ient)? ?id|nhs"
        rf"|case)\b{_NUMBER_MARK}(?=[\w-]*\d{{4}})[\w-]{{5,}}",
        re.IGNORECASE,
    ),
    "accession number": re.compile(
        rf"\b(?:accession|acc)\b\.?{_NUMBER_MARK}(?=[\w-]*\d{{3}})[\w-]{{5,}}", re.IGNORECASE
    ),
    "social security number": re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"),
    "telephone number": re.compile(
        r"(?<![\w.-])(?:(?:tel|phone|fax|pager|ph|call)[.:]?\s*(?:at\s*)?\+?[\d(][\d\s().-]{5,}\d"
        r"|(?:\+\d{1,3}[\s.-]?)?(?:\(\d{3}\)\s?|\d{3}[.-])\d{3}[.-]\d{4})(?![\w-])",
        re.IGNORECASE,
    ),
    "e-mail address": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    "name after a title": re.compile(
        rf"\b(?:(?:Dr|Drs|Mr|Mrs|Ms|Miss|Prof|DR|MRS)\.\s*|(?:Dr|Mr|Mrs|Ms|Miss|Prof|Doctor|Professor)\s+)"
        rf"(?:[A-Z]\.\s*)*{_CAPITAL}"
    ),
    "name after a label": re.compile(
        rf"\b(?i:patient(?: name)?|name|referring (?:physician|doctor)|(?:electronically )?signed by|dictated by"
        rf"|attending|radiologist|reported by|read by|discussed with)\s*[:=]\s*(?:[A-Z]\.\s*)*{_CAPITAL}"
        rf"|\b(?i:electronically signed by|dictated by|reported by)\s+{_CAPITAL}[, ]+{_CAPITAL}"
    ),
    "date": re.compile(rf"(?<![\d/.-]){_DATE}(?![\d/])", re.IGNORECASE),
    "age over 89": re.compile(r"\b(?:9\d|1[01]\d)[\s-]*(?:y/?o\b|yrs?\b|years?[\s-]*old|year[\s-]*old)", re.IGNORECASE),
    "web address": re.compile(r"\bhttps?://\S+", re.IGNORECASE),
}


def find_identifiers(text: str) -> Counter[str]:
    """How many of each kind the text holds; a stretch of text counts once, for the first kind that takes it.

    >>> find_identifiers("DOB: 04/05/1961. Discussed with Dr. Smith.")
    Counter({'date of birth': 1, 'name after a title': 1})
    """
    found: Counter[str] = Counter()
    taken: list[tuple[int, int]] = []
    for kind, pattern in KINDS.items():
        for match in pattern.finditer(text):
            if all(match.end() <= start or match.start() >= end for start, end in taken):
                taken.append(match.span())
                found[kind] += 1
    return found


def check_identifiers(reports: Iterable[tuple[str, str]]) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Over a table of (study, report): the sums by kind, and the kinds of each study that holds any."""
    total: Counter[str] = Counter()
    studies: dict[str, Counter[str]] = {}
    for study, report in reports:
        if found := find_identifiers(report):
            studies[study] = found
            total.update(found)
    return total, studies

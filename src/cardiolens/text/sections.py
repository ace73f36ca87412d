"""A report in sections: why the scan was done, how, what it was compared with, what was seen, what was concluded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SectionKind = Literal["indication", "technique", "comparison", "findings", "impression", "other"]

HEADINGS: Mapping[SectionKind, tuple[str, ...]] = {
    "indication": (
        "clinical indication",
        "clinical indications",
        "clinical information",
        "clinical history",
        "clinical details",
        "clinical question",
        "clinical data",
        "clinical context",
        "reason for exam",
        "reason for examination",
        "reason for study",
        "reason for scan",
        "reason for referral",
        "reason for request",
        "reason",
        "history of present illness",
        "patient history",
        "medical history",
        "history and indication",
        "history",
        "indication",
        "indications",
        "indication for study",
        "referral",
        "request",
        "background",
        "question",
    ),
    "technique": (
        "technique",
        "imaging technique",
        "technical details",
        "technical information",
        "procedure",
        "procedure details",
        "protocol",
        "scan protocol",
        "method",
        "methods",
        "sequences",
        "acquisition",
        "contrast",
        "exam",
        "examination",
        "study",
        "image quality",
        "scan quality",
        "limitations",
    ),
    "comparison": ("comparison", "comparisons", "prior studies", "previous studies", "compared with", "priors"),
    "findings": (
        "findings",
        "finding",
        "report",
        "results",
        "result",
        "description",
        "observations",
        "cardiac findings",
        "mri findings",
        "cmr findings",
        "imaging findings",
        "body of report",
        "interpretation of findings",
        "detailed findings",
    ),
    "impression": (
        "impression",
        "impressions",
        "conclusion",
        "conclusions",
        "summary",
        "opinion",
        "overall impression",
        "final impression",
        "assessment",
        "diagnosis",
        "interpretation",
        "comment",
        "comments",
        "addendum",
        "key findings",
    ),
    "other": (
        "recommendation",
        "recommendations",
        "electronically signed by",
        "signed by",
        "signed",
        "dictated by",
        "attestation",
        "end of report",
    ),
}
_KIND_OF = {name: kind for kind, names in HEADINGS.items() for name in names}
_NAMES = "|".join(sorted((re.escape(name).replace(r"\ ", r"\s+") for name in _KIND_OF), key=len, reverse=True))
# A heading begins a line and ends in a colon, a dash or the line; or it stands, in capitals with a colon, in a line.
_AT_LINE = re.compile(
    rf"^[ \t*#_]*(?P<name>{_NAMES})[ \t*_]*(?:\((?P<note>[^)\n]*)\))?(?:[ \t]*:[ \t*_]*|["
    rf" \t]+[-\u2013][ \t]+|[ \t]*(?=\n|$))",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE = re.compile(rf"(?<=[.;!?\s])(?P<name>{_NAMES})[ \t]*:[ \t]*", re.IGNORECASE)
_MAJOR = re.compile(
    r"(?:clinical )?(?:indications?|history)|technique|comparisons?|findings|impression|conclusions?|summary",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_PATIENT = re.compile(
    r"\b(?:\d{1,3}[- ]?(?:years?|yrs?|y/?o|[MF]\b)|aged \d|(?:man|woman|male|female|gentleman"
    r"|lady|patient),? (?:aged|with|presenting|referred))",
    re.IGNORECASE,
)
_BEFORE: tuple[SectionKind, ...] = ("indication", "technique", "comparison")


@dataclass(frozen=True)
class Section:
    """Part of a report.  `heading`: as written, None where the text stands under none; `text`: without the heading."""

    kind: SectionKind
    heading: str | None
    text: str


def split_sections(report: str) -> tuple[Section, ...]:
    """Sections in the order of the report; nothing is lost but the headings.

    Text without a heading counts as findings; text above the first heading as "other" where a heading follows that
    begins the report proper, since letterheads stand there.

    >>> [s.kind for s in split_sections("INDICATION: Chest pain. FINDINGS: Normal LV. IMPRESSION: Normal.")]
    ['indication', 'findings', 'impression']
    """
    marks = _marks(report)
    sections: list[Section] = []
    for position, (_, end, kind, heading) in enumerate(marks):
        stop = marks[position + 1][0] if position + 1 < len(marks) else len(report)
        text = report[end:stop].strip()
        if text:
            sections.append(Section(kind, heading, text))
    if not any(section.kind == "findings" for section in sections):
        sections = _findings_set_apart(sections)
    lead = report[: marks[0][0] if marks else len(report)].strip()
    return (*_lead(lead, sections), *sections)


def seen_and_concluded(report: str) -> str:
    """Findings and impression, a section a line; the whole report where it has neither.

    >>> seen_and_concluded("INDICATION: Chest pain. FINDINGS: Normal LV. IMPRESSION: Normal.")
    'Normal LV.\\nNormal.'
    """
    kept = [section.text for section in split_sections(report) if section.kind in ("findings", "impression")]
    return "\n".join(kept) or report


def _lead(text: str, sections: list[Section]) -> tuple[Section, ...]:
    """Text above the first heading: findings where none are below, else why the scan was done, else a letterhead."""
    if not text:
        return ()
    if any(section.kind == "findings" for section in sections):
        return (Section("indication" if _PATIENT.search(text) else "other", None, text),)
    head, *rest = _PARAGRAPH.split(text, maxsplit=1)
    if _PATIENT.search(head) and (rest or sections):
        apart = (Section("indication", None, head),)
        return (*apart, Section("findings", None, rest[0])) if rest else apart
    return (Section("findings", None, text),)


def _findings_set_apart(sections: list[Section]) -> list[Section]:
    """Where no heading names the findings: what stands below a blank line in the last section before the impression."""
    first = next((i for i, s in enumerate(sections) if s.kind == "impression"), len(sections))
    last = first - 1
    if last < 0 or sections[last].kind not in _BEFORE:
        return sections
    head, *rest = _PARAGRAPH.split(sections[last].text, maxsplit=1)
    if not rest:
        return sections
    apart = [Section(sections[last].kind, sections[last].heading, head), Section("findings", None, rest[0])]
    return [*sections[:last], *apart, *sections[first:]]


def _marks(report: str) -> list[tuple[int, int, SectionKind, str]]:
    """(start, end, kind, heading) of every heading, in order and without overlap."""
    found: dict[int, tuple[int, int, SectionKind, str]] = {}
    for match in _AT_LINE.finditer(report):
        name = match.group("name")
        if _plain_word(match, report):
            continue
        found[match.start("name")] = (match.start(), match.end(), _kind(name), name)
    for match in _INLINE.finditer(report):
        name = match.group("name")
        start = match.start("name")
        starts = name[0].isupper() and report[:start].rstrip()[-1:] in ".;!?"
        if start not in found and (name.isupper() or (starts and _MAJOR.fullmatch(name))):
            found[start] = (start, match.end(), _kind(name), name)
    marks: list[tuple[int, int, SectionKind, str]] = []
    for mark in sorted(found.values()):
        if not marks or mark[0] >= marks[-1][1]:
            marks.append(mark)
    return marks


def _plain_word(match: re.Match[str], report: str) -> bool:
    """A line that only begins with a heading's word ("Contrast - none" is a heading, "contrast" in prose is not)."""
    name, mark = match.group("name"), report[match.end("name") : match.end()]
    return ":" not in mark and not (name.isupper() or name[0].isupper())


def _kind(name: str) -> SectionKind:
    return _KIND_OF[" ".join(name.lower().split())]

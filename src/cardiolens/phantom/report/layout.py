"""Sentences to text: headings, lists, spelling, slips."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cardiolens.phantom.report.facts import Report, Section, Sentence
from cardiolens.phantom.report.scribe import Line, Scribe, upper_first
from cardiolens.phantom.report.slips import slip

_BRITISH = {
    "ischemic": "ischaemic",
    "caliber": "calibre",
    "artifact": "artefact",
    "favored": "favoured",
    "favor": "favour",
    "dyspnea": "dyspnoea",
    "visualized": "visualised",
    "hiatal": "hiatus",
    "edema": "oedema",
    "tumor": "tumour",
    "dilation": "dilatation",
    "characterization": "characterisation",
}
_HEADINGS: Mapping[Section, tuple[str, ...]] = {
    "indication": (
        "INDICATION",
        "INDICATION",
        "CLINICAL INFORMATION",
        "HISTORY",
        "REASON FOR EXAM",
        "CLINICAL HISTORY",
    ),
    "technique": ("TECHNIQUE", "TECHNIQUE", "PROTOCOL", "PROCEDURE"),
    "comparison": ("COMPARISON", "COMPARISON", "PRIOR STUDIES"),
    "findings": ("FINDINGS", "FINDINGS", "RESULTS", "REPORT"),
    "impression": ("IMPRESSION", "IMPRESSION", "CONCLUSION", "SUMMARY", "OPINION"),
}
Findings = Sequence[tuple[str, Sequence[Line]]]


class Page:
    """A report as it grows: its text by section, and its sentences."""

    def __init__(self, scribe: Scribe) -> None:
        self.scribe, self.blocks, self.sentences = scribe, list[str](), list[Sentence]()
        self.own_line = scribe.chance(0.3)

    def add(self, section: Section, lines: Sequence[Line]) -> None:
        """One section, as running text; the impression as a list where that is the reader's habit."""
        if not lines:
            return
        texts = [self._sentence(section, line) for line in lines]
        mark = self.scribe.manner.lines if section == "impression" else ""
        if not mark:
            self._block(section, " ".join(texts))
            return
        marks = [f"{n}." if mark == "1." else mark for n in range(1, len(texts) + 1)]
        self._block(section, "\n".join(f"{m} {t}" for m, t in zip(marks, texts, strict=True)), broken=True)

    def add_findings(self, structures: Findings) -> None:
        """Findings by structure, each with its own sub-heading or all in one paragraph."""
        told = [(name, [self._sentence("findings", line) for line in lines]) for name, lines in structures if lines]
        if not self.scribe.manner.by_structure:
            self._block("findings", " ".join(text for _, texts in told for text in texts))
            return
        mark = "- " if self.scribe.manner.lines == "-" else ""
        upper = self.scribe.manner.headings == "upper" and self.scribe.chance(0.4)
        rows = [f"{mark}{name.upper() if upper else name}: {' '.join(texts)}" for name, texts in told]
        self._block("findings", "\n".join(rows), broken=True)

    def report(self) -> Report:
        return Report("\n\n".join(self.blocks), tuple(self.sentences))

    def _sentence(self, section: Section, line: Line) -> str:
        scribe = self.scribe
        text = spelled(line.text) if scribe.manner.british else line.text
        if scribe.chance(scribe.manner.careless):
            text = slip(text, scribe.rng)
        self.sentences.append(Sentence(section, text, line.claims))
        return text

    def _block(self, section: Section, body: str, *, broken: bool = False) -> None:
        manner = self.scribe.manner
        if manner.headings == "few" and section != "impression" and self.scribe.chance(0.55):
            self.blocks.append(body)
            return
        heading = self.scribe.pick(_HEADINGS[section])
        if manner.headings != "upper":
            heading = heading.capitalize()
        self.blocks.append(f"{heading}:{chr(10) if broken or self.own_line else ' '}{body}")


def spelled(text: str) -> str:
    """In British spelling."""
    swap = {**_BRITISH, **{upper_first(a): upper_first(b) for a, b in _BRITISH.items()}}
    return re.sub("|".join(swap), lambda match: swap[match.group()], text)

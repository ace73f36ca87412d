"""Which view an echocardiogram says that it is of, by its view code or by words; pixels are not looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cardiolens.dicom.tags import Tags

FOUR_CHAMBER = "A4C"
VIEWS = {
    "A4C": "apical four-chamber",
    "A2C": "apical two-chamber",
    "A3C": "apical long-axis",
    "A5C": "apical five-chamber",
    "RVF": "right ventricle focused",
    "PLAX": "parasternal long-axis",
    "PSAX": "parasternal short-axis",
    "SC": "subcostal",
    "SSN": "suprasternal",
    "TEE": "transoesophageal",
}
APICAL = frozenset({"A4C", "A2C", "A3C", "A5C", "RVF"})

_FOUR = r"(?:4|four|iv)"
_PATTERNS = (  # the first that fits is taken: what excludes the plain four-chamber view comes before it
    ("TEE", r"\btee\b|\btoe\b|trans ?(?:o?esophageal)"),
    ("SC", r"sub ?(?:costal|xiphoid)|\bsc ?(?:4|ivc|4ch?)\b|\bscivc\b"),
    ("SSN", r"supra ?sternal|\bssn\b"),
    ("RVF", r"\brv ?foc|focus(?:ed)? (?:on )?(?:the )?(?:rv|right)|\brv inflow|\ba4c ?rv\b"),
    ("PLAX", r"\bplax\b|\bpla\b|parasternal long|\bpslax\b"),
    ("PSAX", r"\bpsax\b|\bpsa\b|short[ -]axis|\bsax\b"),
    ("A5C", r"\b(?:a|ap|apical)[ -]?(?:5|five)[ -]?(?:c|ch|chambers?)?\b|\b5[ -]?ch\b|five[ -]chamber"),
    ("A3C", r"\b(?:a|ap|apical)[ -]?(?:3|three)[ -]?(?:c|ch|chambers?)?\b|\b3[ -]?ch\b|three[ -]chamber|"
     r"\balax\b|\baplax\b|apical long"),
    ("A2C", r"\b(?:a|ap|apical)[ -]?(?:2|two)[ -]?(?:c|ch|chambers?)?\b|\b2[ -]?ch\b|two[ -]chamber"),
    ("A4C", rf"\b(?:a|ap|apical)[ -]?{_FOUR}[ -]?(?:c|ch|chambers?)?\b|\b4[ -]?ch\b|{_FOUR}[ -]chamber"),
)  # fmt: skip
_COMPILED = tuple((view, re.compile(pattern, re.IGNORECASE)) for view, pattern in _PATTERNS)
_TEXTS = ("ViewName", "SeriesDescription", "ProtocolName", "StageName", "ImageComments", "StudyDescription")


@dataclass(frozen=True)
class ToldView:
    """What the file says.

    Attributes:
        view: a key of `VIEWS`; "" where nothing is said that is understood.
        by: where it is said, such as "ViewCodeSequence".
    """

    view: str = ""
    by: str = ""

    @property
    def words(self) -> str:
        """For people: "apical four-chamber by ViewName"."""
        return f"{VIEWS[self.view]}, by {self.by}" if self.view else "not told by the file"


def view_of_text(text: str) -> str:
    """The view that a description names; "" for none.

    >>> view_of_text("AP4 zoom"), view_of_text("SUBCOSTAL 4CH"), view_of_text("resting echo")
    ('A4C', 'SC', '')
    """
    plain = re.sub(r"[_/,;()]+", " ", text)
    return next((view for view, pattern in _COMPILED if pattern.search(plain)), "")


def told_view(tags: Tags) -> ToldView:
    """By the code of the view, else by the first description that names one."""
    for code in tags.items("ViewCodeSequence"):
        if view := view_of_text(code.text("CodeMeaning")):
            return ToldView(view, "ViewCodeSequence")
    transducer = tags.text("TransducerType").upper()
    if "TEE" in transducer or "ESOPH" in transducer:
        return ToldView("TEE", "TransducerType")
    for name in _TEXTS:
        if view := view_of_text(tags.text(name)):
            return ToldView(view, name)
    return ToldView()

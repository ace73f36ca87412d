"""Which standard cine view a `SeriesDescription` names, if any.

Descriptions are free text that technologists type; they mislead, so geometry goes first (`cardiolens.dicom.views`).
The rules are general: bring the text to plain tokens, look for words that exclude (late enhancement, maps, flow, ...),
then for words that name a plane.  Naming several planes, or none, gives None: a wrong view is worse than no view.

    >>> classify_description("CINE_segmented_LAX_2Ch")
    <View.CH2: '2CH'>
    >>> classify_description("T1Map_ShortT1_4ch") is None
    True
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from cardiolens.dicom import description_words as words
from cardiolens.study import View

_CHAMBER_VIEWS = {"2": View.CH2, "3": View.CH3, "4": View.CH4}
_LIST_OF_CHAMBERS = re.compile(
    r"[2-4]\s*-?(?:c\w*)?\s*(?:[/&+,]|\band\b|\bund\b|\bet\b)\s*[2-4][\s_-]*c", re.IGNORECASE
)


@dataclass(frozen=True)
class DescriptionReading:
    """What a description says.

    Attributes:
        view: the view it names and nothing excludes; None otherwise.
        named: the plane it names even where something excludes it (a late-enhancement SAX stack).
        excluded: why it cannot be a standard cine, in words, or None.
        hard: whether that also overrules plane geometry.
    """

    view: View | None = None
    named: View | None = None
    excluded: str | None = None
    hard: bool = False


def classify_description(text: str | None) -> View | None:
    """The standard cine view that a series description names, or None.

    None for text that names no view, names several, or says late enhancement, T1/T2 map, tagging, perfusion, flow,
    localiser, black blood, right heart, outflow, great vessels, a body plane, or real time.  Never raises.
    """
    return read_description(text).view


@lru_cache(maxsize=4096)
def read_description(text: str | None) -> DescriptionReading:
    """What a series description says, with the reason for saying no."""
    if not text:
        return DescriptionReading()
    plain = tokenise(text)
    named = None if _LIST_OF_CHAMBERS.search(text) else _plane(plain)
    exclusion = _exclusion(plain, named)
    if exclusion is not None:
        return DescriptionReading(None, named, exclusion.reason, exclusion.hard)
    return DescriptionReading(named, named)


def tokenise(text: str) -> str:
    """Bring a description to plain tokens: lower case, no accents, letters and digits apart, one space between.

    Glued words are cut where known words cover all of them, number words before a chamber word become digits, and every
    chamber word after a number becomes "ch": "Vierkammerblick", "4-CHAMBER" and "IV cavités" all hold "4 ch".
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    tokens: list[str] = []
    for token in re.findall(r"[a-z]+|[0-9]+", bare):
        tokens.extend(_cut(token))
    for i in range(len(tokens) - 1):
        number = words.NUMBER_WORDS.get(tokens[i], tokens[i])
        if number in {"2", "3", "4", "5"} and _is_chamber(tokens[i + 1]):
            tokens[i], tokens[i + 1] = number, "ch"
        elif _is_like(tokens[i], "short") and _is_like(tokens[i + 1], "axis"):
            tokens[i], tokens[i + 1] = "short", "axis"
    return " ".join(tokens)


def _cut(token: str) -> list[str]:
    """Cut a glued word into the fewest known words that cover it; the word itself where they do not."""
    if token in words.KNOWN or not 4 <= len(token) <= 32:
        return [token]
    best: list[list[str] | None] = [[], *([None] * len(token))]
    for end in range(2, len(token) + 1):
        for start in range(end - 1):
            head = best[start]
            part = token[start:end]
            if head is not None and part in words.GLUED:
                known = best[end]
                if known is None or len(head) + 1 < len(known):
                    best[end] = [*head, part]
    return best[-1] or [token]


def _is_chamber(token: str) -> bool:
    """Whether a word after a number means chamber, slips of the keyboard included ("chmaber", "chanber")."""
    if token in words.CHAMBER_WORDS:
        return True
    return len(token) >= 5 and token not in words.KNOWN and any(_is_like(token, w) for w in words.LONG_CHAMBER_WORDS)


def _is_like(token: str, word: str) -> bool:
    """Whether a token is a word or a likely misspelling of it (same first letter, three quarters alike)."""
    if token == word:
        return True
    if token in words.KNOWN or len(token) < 4 or token[0] != word[0]:
        return False
    return SequenceMatcher(None, token, word, autojunk=False).ratio() >= 0.75


def _exclusion(plain: str, named: View | None) -> words.Exclusion | None:
    """The first exclusion that applies; hard ones before soft ones."""
    if re.search(r"\bde\b", plain) and not words.ROMANCE.search(plain):
        return words.LATE_ENHANCEMENT
    cine = words.CINE.search(plain) is not None
    found = [e for e in words.EXCLUSIONS if e.pattern.search(plain) and not (e.unless_cine and cine)]
    hard = [e for e in found if e.hard]
    if words.RIGHT_HEART.pattern.search(plain) and not words.LEFT.search(plain):
        hard.append(words.RIGHT_HEART)
    if words.OUTFLOW.pattern.search(words.LVOT.sub(" ", plain)):
        hard.append(words.OUTFLOW)
    soft = [e for e in found if not e.hard]
    lvot = words.LVOT.search(plain) is not None
    if lvot and named is None:
        soft.insert(0, words.UNCLEAR_LVOT)
    body = words.SHORT_OR_LONG_AXIS.sub(" ", plain)
    if lvot:
        body = re.sub(r"\bsag\w*\b", " ", body)  # the sagittal LVOT view is the three-chamber view
    if words.BODY_PLANE.pattern.search(body):
        soft.append(words.BODY_PLANE)
    return next(iter(hard + soft), None)


def _plane(plain: str) -> View | None:
    """The one plane that the words name; None where they name none or several."""
    chambers = set(re.findall(r"\b([2-5]) ch\b", plain)) or set(re.findall(r"\bch ([2-4])\b(?! ?sl)", plain))
    cine = words.CINE.search(plain) is not None
    sax = words.SAX.search(plain) is not None or (cine and words.SAX_GERMAN_ABBREVIATION.search(plain) is not None)
    hla, vla = words.HLA.search(plain) is not None, words.VLA.search(plain) is not None
    lvot = words.LVOT.search(plain) is not None
    if re.search(r"\b[2-4] [2-4] [2-4] ch\b", plain):
        return None
    if sax:
        return None if chambers or hla or vla or lvot or words.LAX.search(plain) else View.SAX
    if chambers:
        return _chamber_view(chambers, hla=hla, vla=vla, lvot=lvot)
    if words.THREE_CHAMBER_NAME.search(plain):
        return View.CH3
    if lvot and not (hla or vla):
        return View.CH3 if cine and not words.LVOT_OTHER_PLANE.search(plain) else None
    return None if hla == vla else View.CH4 if hla else View.CH2


def _chamber_view(chambers: set[str], *, hla: bool, vla: bool, lvot: bool) -> View | None:
    """The view of one chamber number, unless other words contradict it ("VLA_(LV3CH)" is 3CH, "VLA 4CH" is neither)."""
    if len(chambers) > 1:
        return None
    number = next(iter(chambers))
    if (number == "4" and vla) or (number == "2" and hla) or (number != "3" and lvot):
        return None
    return _CHAMBER_VIEWS.get(number)

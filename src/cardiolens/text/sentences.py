"""A report in sentences, and a random few of them for a training step."""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from cardiolens.errors import InputError

Splitter = Literal["pysbd", "stanza"]
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\(?\d{1,2}[.)](?!\d))\s+")
# "at 1.5 T. Normal": T is no initial; "Mild MR. No effusion": MR and MS are no titles.
_NO_TITLE = re.compile(r"(?<=\dT\.)\s+(?=[A-Z])|(?<=\d T\.)\s+(?=[A-Z])|(?<=\bM[RS]\.)\s+(?=[A-Z])")
_WORD = re.compile(r"\w")
_HEADING = re.compile(r"[A-Z][\w /&-]{0,40}:")


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    import warnings

    with warnings.catch_warnings():  # its sources hold escapes that Python deprecates; nothing we can mend
        warnings.simplefilter("ignore")
        import pysbd

    return pysbd.Segmenter(language="en", clean=False)


@lru_cache(maxsize=1)
def _stanza() -> Any:
    try:
        stanza = importlib.import_module("stanza")  # an option that most installations lack
    except ImportError as error:
        raise InputError(
            'splitter="stanza" needs the package stanza (pip install stanza) and its English model'
            " (python -c \"import stanza; stanza.download('en', processors='tokenize')\")"
        ) from error
    try:  # never fetched from here
        return stanza.Pipeline("en", processors="tokenize", download_method=None, verbose=False)
    except Exception as error:  # it raises several kinds of its own
        raise InputError(
            "stanza has no English model on this machine; fetch it once:"
            " python -c \"import stanza; stanza.download('en', processors='tokenize')\""
        ) from error


def _segments(paragraph: str, splitter: Splitter) -> list[str]:
    if splitter == "pysbd":
        return list(_segmenter().segment(paragraph))
    return [sentence.text for sentence in _stanza()(paragraph).sentences]


@lru_cache(maxsize=8192)
def split_sentences(text: str, splitter: Splitter = "pysbd") -> tuple[str, ...]:
    """Sentences of a report in order; a line break ends one, decimals and "Dr." stay whole.

    List marks and headings that stand alone are dropped.

    Args:
        text: the report, or a part of it.
        splitter: "pysbd", or "stanza" (Qi et al., ACL 2020), the one of the paper, where it is installed.

    Raises:
        InputError: stanza or its model is not on this machine.

    >>> split_sentences("LVEF is 55.2 %. No scar.")
    ('LVEF is 55.2 %.', 'No scar.')
    """
    sentences: list[str] = []
    for paragraph in _paragraphs(text):
        asked = ""
        for piece in _segments(paragraph, splitter):
            if piece.strip() == "?":  # "? thrombus" asks; the mark is not the end of a sentence
                asked = "? "
                continue
            parts = _NO_TITLE.split(asked + " ".join(piece.split()))
            asked = ""
            sentences.extend(part for part in parts if _WORD.search(part))
    return tuple(sentences)


def _paragraphs(text: str) -> list[str]:
    """Lines joined where a sentence runs on, and a heading such as "Left ventricle:" with the line below it.

    A sentence runs on where its line has no full stop and the next one starts in lower case or with a number.
    """
    paragraphs: list[str] = []
    open_line = heading = False
    for raw in text.splitlines():
        line = raw.strip()
        if not line:
            open_line = False
            continue
        bullet = _BULLET.match(line)
        bare = line[bullet.end() :] if bullet else line
        if heading or (open_line and not bullet and (bare[0].islower() or bare[0].isdigit())):
            paragraphs[-1] += " " + bare
        else:
            paragraphs.append(bare)
        heading = bare.endswith(":")
        open_line = not bare.endswith((".", "!", "?"))
    return paragraphs


def sample_sentences(text: str, n: int, rng: np.random.Generator) -> list[str]:
    """`n` different sentences drawn at random, in report order; all of them when there are fewer.

    Five at each step in Shad et al.; that they keep their order is our choice.
    """
    if n < 1:
        raise InputError(f"the number of sentences to draw must be at least 1, got {n}")
    sentences = split_sentences(text)
    if len(sentences) <= n:
        return list(sentences)
    return [sentences[i] for i in np.sort(rng.choice(len(sentences), size=n, replace=False))]

"""Slips of dictation and typing, none of which changes what a sentence means.

Only the words listed here are touched: no number, side, negation or grade is among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

TYPOS: Mapping[str, tuple[str, ...]] = {
    "ventricular": ("venticular", "ventriclar"),
    "ventricle": ("ventrical", "ventricel"),
    "function": ("fucntion", "functon"),
    "systolic": ("systolc", "sytolic"),
    "myocardial": ("myocardal",),
    "pericardial": ("pericardal",),
    "pericardium": ("percardium",),
    "cardiomyopathy": ("cardiomyopthy", "cardiomypathy"),
    "enhancement": ("enhancment",),
    "thickness": ("thicknes",),
    "thickened": ("thickend",),
    "measuring": ("measurng",),
    "measures": ("mesures",),
    "volume": ("voulme",),
    "atrium": ("atruim",),
    "atrial": ("artial",),
    "aortic": ("aoritc",),
    "mitral": ("mitrall",),
    "valve": ("vavle",),
    "dilated": ("dialted",),
    "dilation": ("dilaton",),
    "imaging": ("imagng",),
    "images": ("imges",),
    "contrast": ("contarst",),
    "gadolinium": ("gadolinum",),
    "evidence": ("evidnce",),
    "identified": ("identifed",),
    "consistent": ("consistant",),
    "ejection": ("ejecton",),
    "septum": ("setpum",),
    "regurgitation": ("regurgitaton",),
    "stenosis": ("stenois",),
    "hypertrophy": ("hypertophy",),
    "thrombus": ("thombus",),
    "effusion": ("effussion",),
}
HOMOPHONES: Mapping[str, tuple[str, ...]] = {
    "there is": ("their is",),
    "seen": ("scene",),
    "site": ("sight",),
    "heart": ("hart",),
    "walls": ("wall's",),
    "which": ("witch",),
    "base": ("bass",),
    "through": ("threw",),
}
DOUBLED = ("the", "is", "of", "with", "in", "and", "are")
_WORD = re.compile(r"[A-Za-z]+")


def slip(text: str, rng: np.random.Generator) -> str:
    """One slip in a sentence; the sentence as it was where the kind drawn does not apply."""
    kind = str(
        rng.choice(["typo", "double", "stop", "homophone", "capital", "spoken"], p=[0.45, 0.15, 0.15, 0.1, 0.1, 0.05])
    )
    slipped = text
    if kind == "typo":
        slipped = _replaced(text, TYPOS, rng)
    elif kind == "homophone":
        slipped = _replaced(text, HOMOPHONES, rng)
    elif kind == "double":
        slipped = _doubled(text, rng)
    elif kind == "stop":
        slipped = text.removesuffix(".")
    elif kind == "spoken" and text.endswith("."):
        slipped = f"{text[:-1]} period."
    elif kind == "capital" and text[1:2].islower() and text[:1].isupper():
        slipped = text[:1].lower() + text[1:]
    return slipped


def _replaced(text: str, table: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> str:
    found = [m for word in table for m in re.finditer(rf"\b{word}\b", text, re.IGNORECASE)]
    if not found:
        return text
    match = found[int(rng.integers(len(found)))]
    options = table[match.group().lower()]
    new = options[int(rng.integers(len(options)))]
    if match.group()[0].isupper():
        new = new[0].upper() + new[1:]
    return text[: match.start()] + new + text[match.end() :]


def _doubled(text: str, rng: np.random.Generator) -> str:
    found = [m for m in _WORD.finditer(text) if m.group() in DOUBLED]
    if not found:
        return text
    match = found[int(rng.integers(len(found)))]
    return f"{text[: match.end()]} {match.group()}{text[match.end() :]}"

"""The one who writes a report: what is known of the heart, the habits of the reader, and the making of sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cardiolens.phantom.heart import WALLS, HeartParameters
from cardiolens.phantom.report import phrases as say
from cardiolens.phantom.report.diagnoses import DIAGNOSES
from cardiolens.phantom.report.facts import Claim, Status
from cardiolens.phantom.report.manner import Manner, lvef_written, measures
from cardiolens.phantom.report.meaning import meaning_of
from cardiolens.phantom.report.phrases_right import WIDTH
from cardiolens.phantom.truth import Truth

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_TOLD: Mapping[str, tuple[float, float, float]] = {  # named, hedged, only described
    "disease": (0.5, 0.2, 0.3),
    "indirect": (0.34, 0.33, 0.33),
    "structure": (0.6, 0.1, 0.3),
    "size": (0.6, 0.0, 0.4),
}
_NEVER_HEDGED = {"previous surgery", "prosthetic valve", "lipomatous atrial wall", "normal"}
_NEEDS_CONTRAST = {"sarcoidosis", "myocarditis", "cardiac tumor", "cardiac thrombus"}  # to be described
Values = Mapping[str, str]


@dataclass(frozen=True)
class Line:
    """A sentence before it has a section."""

    text: str
    claims: tuple[Claim, ...] = ()


class Scribe:
    """The state of one report: the heart, its grades, the manner, and the values that sentences may quote.

    Attributes:
        has: conditions of the heart.
        told: per condition that the heart has, how this report tells it: "named", "hedged" or "described".
    """

    def __init__(
        self,
        parameters: HeartParameters,
        truth: Truth,
        rng: np.random.Generator,
        *,
        history: Sequence[str],
        field_t: float | None,
        contrast: bool | None,
    ) -> None:
        self.parameters, self.truth, self.rng, self.history = parameters, truth, rng, tuple(history)
        self.meaning, self.manner = meaning_of(parameters, truth), Manner.draw(rng)
        self.has = frozenset(truth.conditions)
        shown = bool(parameters.masses) or any(parameters.tissue.scar) or any(parameters.tissue.edema)
        drawn = bool(rng.random() < (0.85 if shown else 0.55)) or bool(self.has & _NEEDS_CONTRAST)
        self.contrast = drawn if contrast is None else contrast
        self.field_t = float(rng.choice([1.5, 3.0], p=[0.75, 0.25])) if field_t is None else field_t
        self.told = {condition: self._telling(condition) for condition in truth.conditions}
        self.figures = measures(parameters, truth, self.manner)
        self.figures["ef"] = lvef_written(truth, self.meaning, self.manner)
        self._words = self._graded_words()

    def _telling(self, condition: str) -> str:
        named, hedged, described = _TOLD[DIAGNOSES[condition].kind]
        if condition in _NEVER_HEDGED:
            hedged = 0.0
        if condition in _NEEDS_CONTRAST and not self.contrast:
            described = 0.0
        lean = self.manner.openness
        weights = np.array([named * (0.5 + lean), hedged, described * (1.5 - lean)])
        return str(self.rng.choice(["named", "hedged", "described"], p=weights / weights.sum()))

    # -- chance -------------------------------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def choose(self, options: Sequence[str], count: int) -> list[str]:
        """`count` different ones."""
        return [options[int(i)] for i in self.rng.permutation(len(options))[:count]]

    def weighted(self, weights: Mapping[str, float], count: int) -> list[str]:
        """`count` different keys, drawn by weight; fewer when there are fewer."""
        names = [name for name, weight in weights.items() if weight > 0]
        share = np.array([weights[name] for name in names])
        count = min(count, len(names))
        return (
            [str(n) for n in self.rng.choice(names, size=count, replace=False, p=share / share.sum())] if count else []
        )

    # -- claims -------------------------------------------------------------------------------------------------------

    def sized(self, condition: str, grade: int) -> tuple[Claim, ...]:
        """The claim of a sentence that tells a size: its condition is there, or is not."""
        if condition in self.has:
            return (Claim(condition, "asserted"),)
        return (Claim(condition, "excluded"),) if grade < 1 else ()

    def shows(self, status: Status, *conditions: str) -> tuple[Claim, ...]:
        """Claims of a sentence about something that is there, for those conditions that the heart has."""
        return tuple(Claim(condition, status) for condition in conditions if condition in self.has)

    def lacks(self, *conditions: str) -> tuple[Claim, ...]:
        """Claims of a sentence that excludes, for those conditions that the heart does not have."""
        return tuple(Claim(condition, "excluded") for condition in conditions if condition not in self.has)

    # -- sentences ----------------------------------------------------------------------------------------------------

    def line(self, templates: Sequence[str], claims: Iterable[Claim] = (), **values: str) -> Line:
        """One sentence from one of the templates."""
        return Line(upper_first(self.fill(self.pick(templates), **values)), tuple(claims))

    def maybe(self, share: float, templates: Sequence[str], claims: Iterable[Claim] = (), **values: str) -> list[Line]:
        return [self.line(templates, claims, **values)] if self.chance(share) else []

    def some(self, share: float, templates: Sequence[str]) -> list[Line]:
        """Each of the templates with this chance, in any order."""
        return [self.line((t,)) for t in self.choose(templates, len(templates)) if self.chance(share)]

    def fill(self, template: str, **values: str) -> str:
        """Put the values in, then make the choices, innermost first."""
        text = template.format_map(_Lazy({**self.figures, **values}, self._words))
        while (found := _CHOICE.search(text)) is not None:
            text = text[: found.start()] + self.pick(found.group(1).split("|")) + text[found.end() :]
        return re.sub(r"\s+([.,;])", r"\1", re.sub(r"\s+", " ", text)).strip()

    def _graded_words(self) -> dict[str, Callable[[], str]]:
        """Words that follow from the grades; each is chosen anew when a sentence asks for it."""
        m = self.meaning

        def of(table: Mapping[str, tuple[str, ...]], key: str) -> Callable[[], str]:
            return lambda: self.pick(table[key])

        def at(table: Mapping[int, tuple[str, ...]], key: int) -> Callable[[], str]:
            return lambda: self.pick(table[key])

        grade = say.GRADE_ADJECTIVE
        words: dict[str, Callable[[], str]] = {
            "f": of(say.FUNCTION_IS, m.lv_function),
            "f_attribute": of(say.FUNCTION_ATTRIBUTE, m.lv_function),
            "function_noun": of(say.FUNCTION_NOUN, m.lv_function),
            "contracts": of(say.CONTRACTS, m.lv_function),
            "rv_f": lambda: say.GRADED_FUNCTION[m.rv_function],
            "grade": at(grade, max(1, m.wall)),
            "grade_adverb": lambda: say.GRADE_ADVERB[max(1, m.wall)],
            "effusion": at(say.EFFUSION_SIZE, max(1, m.effusion)),
            "mass_word": lambda: "increased" if m.mass_raised else "normal",
            "rv_wall_grade": at(grade, max(1, m.rv_wall)),
            "rv_wall_adverb": lambda: say.GRADE_ADVERB[max(1, m.rv_wall)],
            "pericardium_grade": at(grade, max(1, m.pericardium)),
            "pericardium_grade_adverb": lambda: say.GRADE_ADVERB[max(1, m.pericardium)],
            "root_word": at(WIDTH, m.root),
            "ascending_word": at(WIDTH, m.ascending),
            "trunk_word": at(WIDTH, m.trunk),
            "trunk_grade": at(grade, max(1, m.trunk)),
            "flat": lambda: m.flat,
        }
        for chamber, size in (("lv", m.lv_size), ("rv", m.rv_size), ("la", m.la_size), ("ra", m.ra_size)):
            words[f"{chamber}_size"] = at(say.SIZE_IS, size)
            words[f"{chamber}_attribute"] = at(say.SIZE_ATTRIBUTE, size)
            words[f"{chamber}_grade"] = at(grade, max(1, size))
        words["rv_size_attribute"] = words["rv_attribute"]
        for name in ("rv_grade", "la_grade", "ra_grade", "rv_wall_grade"):
            words[f"{name}_start"] = _capital(words[name])
        for name in ("grade", "trunk_grade", "lv_attribute", "rv_attribute", "la_attribute", "ra_attribute"):
            words[upper_first(name)] = _capital(words[name])
        return words


class _Lazy(dict[str, str]):
    """Values, and words that are chosen when first asked for."""

    def __init__(self, values: Mapping[str, str], words: Mapping[str, Callable[[], str]]) -> None:
        super().__init__(values)
        self.words = words

    def __missing__(self, key: str) -> str:
        return self.words[key]()


def _capital(word: Callable[[], str]) -> Callable[[], str]:
    return lambda: upper_first(word())


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    """For the middle of a sentence; an abbreviation keeps its capitals."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def listed(items: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def walls_named(walls: Sequence[str]) -> str:
    """ "anterior and inferior walls and apex"; "entire left ventricle" for all of them."""
    if len(walls) > len(WALLS):
        return "entire left ventricle"
    named = [wall for wall in walls if wall != "apex"]
    text = f"{listed(named)} wall{'s' if len(named) > 1 else ''}" if named else ""
    if "apex" in walls:
        text = f"{text} and apex" if text else "apex"
    return text

"""A plain-English cardiac MRI report for a phantom heart: never one template, always true to the heart.

    write_report(truth_of(parameters), np.random.default_rng(7))

Each report draws its own manner (sections, units, precision of the LVEF, spelling, how openly a diagnosis is named) and
its own words.  Left ventricular function is told several times in differing words, so that a few random sentences still
carry it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.report import phrases as say
from cardiolens.phantom.report.manner import Manner, lvef_values, measures
from cardiolens.phantom.report.meaning import Meaning, meaning_of
from cardiolens.phantom.truth import Truth

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_BRITISH = {
    "ischemic": "ischaemic",
    "caliber": "calibre",
    "artifact": "artefact",
    "favored": "favoured",
    "dyspnea": "dyspnoea",
    "visualized": "visualised",
    "hiatal": "hiatus",
}
_HEADINGS = {
    "indication": ("INDICATION", "INDICATION", "INDICATION", "CLINICAL INFORMATION"),
    "technique": ("TECHNIQUE",),
    "findings": ("FINDINGS",),
    "impression": ("IMPRESSION", "IMPRESSION", "IMPRESSION", "CONCLUSION"),
}
_STRUCTURES = ("Left ventricle", "Right ventricle", "Atria", "Valves", "Pericardium", "Aorta", "Tissue", "Other")


def write_report(truth: Truth, rng: np.random.Generator) -> str:
    """Write one report.

    Args:
        truth: what the heart is; the text never says otherwise.
        rng: source of every choice; the same state gives the same text.

    Returns:
        Sections INDICATION, TECHNIQUE, FINDINGS and IMPRESSION (or a synonym), each a heading and its sentences.

    Raises:
        PhantomError: a condition that the report writer has no words for.
    """
    unknown = sorted(set(truth.conditions) - set(say.DIAGNOSES))
    if unknown:
        raise PhantomError(
            f"the report writer has no words for {', '.join(unknown)}; add them to phantom.report.phrases.DIAGNOSES"
        )
    writer = _Writer(truth, meaning_of(truth), Manner.draw(rng), rng)
    text = "\n\n".join(
        (
            writer.section("indication", writer.indication()),
            writer.section("technique", writer.technique()),
            writer.findings(),
            writer.impression(),
        )
    )
    return _spell(text, writer.manner.british)


class _Writer:
    """The state of one report: truth, its grades, the manner, and the values that sentences may quote."""

    def __init__(self, truth: Truth, meaning: Meaning, manner: Manner, rng: np.random.Generator) -> None:
        self.truth, self.meaning, self.manner, self.rng = truth, meaning, manner, rng
        self.values = {**measures(truth, manner), **lvef_values(truth, meaning, manner)}

    # -- sections -----------------------------------------------------------------------------------------------------

    def section(self, name: str, sentences: Iterable[str]) -> str:
        return f"{self._heading(name)}: {' '.join(sentences)}"

    def indication(self) -> list[str]:
        female = self.truth.sex == "F"
        person = self.pick(("woman", "female", "lady") if female else ("man", "male", "gentleman"))
        complaint = _lower_first(self.say(say.COMPLAINTS))
        sentences = [
            self.say(
                say.INDICATION,
                age=f"{self.truth.age:.0f}",
                person=person,
                Person=person.capitalize(),
                complaint=complaint,
                complaint_start=_upper_first(complaint),
            )
        ]
        if self.rng.random() < 0.45:
            suspects = [*say.OTHER_SUSPECTS, *(d.names[0] for d in say.DIAGNOSES.values())]
            suspects += [say.DIAGNOSES[c].names[0] for c in self.truth.conditions] * 4
            sentences.append(self.say(say.INDICATION_EXTRA, suspect=_bare(self.pick(suspects))))
        return sentences

    def technique(self) -> list[str]:
        return [self.say(say.TECHNIQUE), *self._some(say.TECHNIQUE_EXTRA, self.manner.wordy / 4)]

    def findings(self) -> str:
        parts = {
            "Left ventricle": self._left_ventricle(),
            "Right ventricle": self._right_ventricle(),
            "Atria": self._atria(),
            "Valves": self._maybe(say.VALVES, 0.45),
            "Pericardium": self._pericardium(),
            "Aorta": self._maybe(say.AORTA, 0.3 * self.manner.wordy),
            "Tissue": self._tissue(),
            "Other": self._some(say.INCIDENTAL, self.manner.wordy / 8),
        }
        order = list(_STRUCTURES)
        if self.rng.random() < 0.3:
            order[1:5] = [order[1 + i] for i in self.rng.permutation(4)]
        heading = self._heading("findings")
        if self.manner.by_structure:
            lines = [f"{name}: {' '.join(parts[name])}" for name in order if parts[name]]
            return "\n".join([f"{heading}:", *lines])
        return f"{heading}: " + " ".join(sentence for name in order for sentence in parts[name])

    def impression(self) -> str:
        sentences = [self.say(say.SUMMARY)]
        if self.rng.random() < 0.7:
            sentences.append(self.say(say.LV_FUNCTION_WORDS))
        sentences += self._diagnoses()
        sentences += self._other_findings()
        sentences += self._exclusions()
        if self.rng.random() < self.manner.wordy / 3:
            sentences.append(self.say(say.CLOSING))
        if self.manner.numbered:
            lines = [f"{number}. {sentence}" for number, sentence in enumerate(sentences, start=1)]
            return "\n".join([f"{self._heading('impression')}:", *lines])
        return self.section("impression", sentences)

    # -- findings by structure ----------------------------------------------------------------------------------------

    def _left_ventricle(self) -> list[str]:
        m, numbers = self.meaning, self.manner.numbers
        sentences = [self.say(say.LV_SIZE)]
        if numbers:
            sentences.append(self.say(say.LV_FUNCTION_NUMBER))
            sentences += self._maybe(say.LV_VOLUMES, 0.8)
            sentences += [self.expand(t) for t in self.choose(say.LV_FUNCTION_WORDS, 1 + int(self.rng.random() < 0.5))]
            sentences += self._maybe(say.LV_LONG_AXIS, 0.25)
            sentences += self._maybe(say.MASS, 0.25)
        else:
            sentences += [self.expand(t) for t in self.choose(say.LV_FUNCTION_WORDS, 3)]
        wall = {"none": say.WALL_NORMAL, "concentric": say.WALL_CONCENTRIC, "asymmetric septal": say.WALL_SEPTAL}
        sentences.append(self.say(wall[m.pattern]))
        motion = {"normal": say.MOTION_NORMAL, "global": say.MOTION_GLOBAL, "regional": say.MOTION_REGIONAL}
        sentences.append(self.say(motion[m.motion], motion=_motion_words(m, self.pick(("noun", "verb")))))
        if self.rng.random() < 0.3:
            sentences = [sentences[i] for i in self.rng.permutation(len(sentences))]
        return sentences

    def _right_ventricle(self) -> list[str]:
        return [self.say(say.RIGHT_VENTRICLE), *self._maybe(say.TAPSE, 0.1)]

    def _atria(self) -> list[str]:
        if self.meaning.la_size < 1 and self.meaning.ra_size < 1 and self.rng.random() < 0.6:
            return [self.say(say.ATRIA_NORMAL)]
        if self.rng.random() < 0.6:
            return [self.say(say.ATRIA)]
        return [self.say(say.LEFT_ATRIUM), self.say(say.RIGHT_ATRIUM)]

    def _pericardium(self) -> list[str]:
        return [self.say(say.PERICARDIUM_EFFUSION if self.meaning.effusion else say.PERICARDIUM_NORMAL)]

    def _tissue(self) -> list[str]:
        """Late enhancement is no cine finding; what is said of it follows the condition, or that none was given."""
        if self.rng.random() < 0.7:
            return self._maybe(say.NO_CONTRAST, 0.1)
        known = [c for c in self.truth.conditions if c in say.LGE]
        return [self.say(say.LGE[known[0] if known else ""])]

    # -- impression ---------------------------------------------------------------------------------------------------

    def _diagnoses(self) -> list[str]:
        sentences: list[str] = []
        for condition in self.truth.conditions:
            words = say.DIAGNOSES[condition]
            name = self.pick(words.names)
            if self.manner.naming == "described":
                sentences.append(self.pick(words.described))
                continue
            if self.rng.random() < 0.3:
                sentences.append(self.pick(words.described))
            extent = self._extent(condition)
            templates = say.ASSERT if self.manner.naming == "named" else say.HEDGE
            if extent:  # what is seen and measured is not hedged
                templates = say.ASSERT_FINDING
            names = {"name": name, "Name": _upper_first(_bare(name)), "bare": _bare(name)}
            sentences.append(self.say(templates, **names, extent=extent, Extent=_upper_first(extent)))
        if not self.truth.conditions and self._is_normal() and self.rng.random() < 0.6:
            sentences.append(self.say(say.NORMAL_STUDY))
        return sentences

    def _extent(self, condition: str) -> str:
        """How much of a condition that is itself a measurement; empty for the others."""
        grade = {
            "left ventricular hypertrophy": self.meaning.wall,
            "right ventricular dilation": self.meaning.rv_size,
        }
        if condition == "pericardial effusion":
            return self.pick(say.EFFUSION_SIZE[max(1, self.meaning.effusion)])
        return self.pick(say.GRADE_ADJECTIVE[max(1, grade[condition])]) if condition in grade else ""

    def _other_findings(self) -> list[str]:
        m = self.meaning
        sentences = []
        if m.motion == "regional" and self.rng.random() < 0.7:
            sentences.append(_upper_first(_motion_words(m, "noun")) + ".")
        if m.rv_size > 0 or m.rv_function > 0:
            sentences += self._maybe(say.RV_SUMMARY, 0.6)
        if m.la_size > 0:
            sentences += self._maybe(say.LA_SUMMARY, 0.5)
        return sentences

    def _exclusions(self) -> list[str]:
        """Mention to exclude: of conditions that are absent and that nothing in the findings speaks for."""
        m, has = self.meaning, set(self.truth.conditions)
        absent = {
            "dilated cardiomyopathy": m.lv_size < 1 or m.lvef >= 55,
            "ischemic cardiomyopathy": m.motion != "regional",
            "hypertrophic cardiomyopathy": m.pattern != "asymmetric septal",
            "left ventricular hypertrophy": m.wall < 1 and not m.mass_raised,
            "right ventricular dilation": m.rv_size < 1,
            "pericardial effusion": m.effusion < 1,
        }
        names = [say.DIAGNOSES[c].names[0] for c, may in absent.items() if may and c not in has]
        names = [*names, *say.OTHER_SUSPECTS]
        count = int(self.rng.choice([0, 1, 2], p=[0.45, 0.4, 0.15]))
        return [self.say(say.EXCLUDE, name=_bare(name)) for name in self.choose(names, count)]

    def _is_normal(self) -> bool:
        m = self.meaning
        grades = (m.lv_size, m.rv_size, m.rv_function, m.la_size, m.ra_size, m.wall, m.effusion)
        return not any(grades) and m.motion == "normal" and m.lvef >= 55

    # -- words --------------------------------------------------------------------------------------------------------

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def choose(self, options: Sequence[str], count: int) -> list[str]:
        """`count` different ones."""
        return [options[int(i)] for i in self.rng.permutation(len(options))[:count]]

    def say(self, templates: Sequence[str], **values: str) -> str:
        return self.expand(self.pick(templates), **values)

    def expand(self, template: str, **values: str) -> str:
        """Make the choices of a template, innermost first, then put the values in."""
        m = self.meaning
        grades = {
            "f": self.pick(say.FUNCTION_IS[m.lv_function]),
            "f_attribute": self.pick(say.FUNCTION_ATTRIBUTE[m.lv_function]),
            "function_noun": self.pick(say.FUNCTION_NOUN[m.lv_function]),
            "contracts": self.pick(say.CONTRACTS[m.lv_function]),
            "lv_size": self.pick(say.SIZE_IS[m.lv_size]),
            "lv_attribute": self.pick(say.SIZE_ATTRIBUTE[m.lv_size]),
            "rv_size": self.pick(say.SIZE_IS[m.rv_size]),
            "rv_size_attribute": self.pick(say.SIZE_ATTRIBUTE[m.rv_size]),
            "rv_f": say.GRADED_FUNCTION[m.rv_function],
            "la_size": self.pick(say.SIZE_IS[m.la_size]),
            "la_grade": self.pick(say.GRADE_ADJECTIVE[max(1, m.la_size)]),
            "ra_size": self.pick(say.SIZE_IS[m.ra_size]),
            "grade": self.pick(say.GRADE_ADJECTIVE[max(1, m.wall)]),
            "grade_adverb": say.GRADE_ADVERB[max(1, m.wall)],
            "effusion": self.pick(say.EFFUSION_SIZE[max(1, m.effusion)]),
            "mass_word": "increased" if m.mass_raised else "normal",
        }
        text = template.format(**{**self.values, **grades, **values})
        while (found := _CHOICE.search(text)) is not None:
            text = text[: found.start()] + self.pick(found.group(1).split("|")) + text[found.end() :]
        return _tidy(text)

    def _maybe(self, templates: Sequence[str], chance: float) -> list[str]:
        return [self.say(templates)] if self.rng.random() < chance else []

    def _some(self, templates: Sequence[str], chance: float) -> list[str]:
        return [self.expand(t) for t in self.choose(templates, len(templates)) if self.rng.random() < chance]

    def _heading(self, name: str) -> str:
        heading = self.pick(_HEADINGS[name])
        return heading if self.manner.upper else heading.capitalize()


def _motion_words(meaning: Meaning, form: str) -> str:
    """ "akinesis of the anterior wall and apex and hypokinesis of the inferior wall", or with adjectives."""
    parts = []
    for noun, adjective, walls in (
        ("akinesis", "akinetic", meaning.akinetic),
        ("hypokinesis", "hypokinetic", meaning.hypokinetic),
    ):
        if walls:
            parts.append(f"{noun} of the {_walls(walls)}" if form == "noun" else f"{adjective} {_walls(walls)}")
    return " and ".join(parts)


def _walls(walls: Sequence[str]) -> str:
    named = [wall for wall in walls if wall != "apex"]
    text = ""
    if named:
        listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        text = f"{listed} wall{'s' if len(named) > 1 else ''}"
    if "apex" in walls:
        text = f"{text} and apex" if text else "apex"
    return text


def _bare(name: str) -> str:
    return re.sub(r"^an? ", "", name)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return _upper_first(re.sub(r"\s+([.,;])", r"\1", text))


def _spell(text: str, british: bool) -> str:
    """The whole text in one spelling."""
    if not british:
        return text
    swap: Mapping[str, str] = {**_BRITISH, **{_upper_first(a): _upper_first(b) for a, b in _BRITISH.items()}}
    return re.sub("|".join(swap), lambda match: swap[match.group()], text)

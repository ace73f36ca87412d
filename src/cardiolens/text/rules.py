"""Labels by rules: terms and their context, sizes, grades and figures; no model, no network, the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cardiolens.text.clean import clean
from cardiolens.text.conditions import CONDITION_NAMES, NORMAL
from cardiolens.text.context import LABEL, Context, context_of
from cardiolens.text.definitions import Definition, load_definitions
from cardiolens.text.grades import against_floor, grade_of, is_capped
from cardiolens.text.labels import Labels, Mention, Scope, State, ordered
from cardiolens.text.measures import Sex, measured, sex_told
from cardiolens.text.normal import dysfunction_told, infarct_told, normal_state
from cardiolens.text.sections import SectionKind, split_sections
from cardiolens.text.sentences import split_sentences
from cardiolens.text.sizes import sizes
from cardiolens.text.terms import Term, Terms

_READ: tuple[SectionKind, ...] = ("indication", "comparison", "findings", "impression")
_BODY: tuple[SectionKind, ...] = ("findings", "impression")
_TROUBLE = re.compile(
    r"^\s*(?:valve )?(?:dysfunction|failure|malfunction|degeneration|thrombosis|endocarditis"
    r"|dehiscence|leak|regurgitation|stenosis|obstruction|related)",
    re.IGNORECASE,
)
_TROUBLE_OF = re.compile(r"(?:dysfunction|malfunction|leak|regurgitation|thrombosis) of (?:the |a )?$", re.IGNORECASE)
_NOT_NORMAL = re.compile(r"\b(?:not|no longer|never) (?:\w+ )?$", re.IGNORECASE)
_RESOLVED = re.compile(
    r"^\W*(?:now |since |which |has |have |fully |completely )*(?:resolved|healed|cured)\b", re.IGNORECASE
)
_RECURRENCE = re.compile(
    r"\b(?:no|without)(?: evidence of)? (?:local |tumor )?(?:recurrence|recurrent|residual)\b", re.IGNORECASE
)


class RuleLabeller:
    """The rules as a `Labeller`.

    >>> RuleLabeller().label("No LV thrombus, but the left atrium is severely dilated.").of("present")
    ('left atrial dilation',)
    """

    def __init__(self, definitions: Mapping[str, Definition] | None = None) -> None:
        self.definitions = definitions or load_definitions()
        self._terms = Terms(self.definitions)
        self._sized: dict[str, list[str]] = {}
        for name, definition in self.definitions.items():
            for structure in definition.size_of:
                self._sized.setdefault(structure, []).append(name)

    def label(self, report: str) -> Labels:
        """States of the 35 conditions, with every mention that they rest on."""
        sex = sex_told(report)
        mentions: list[Mention] = []
        body: list[str] = []
        concluded: list[str] = []
        for section in split_sections(report):
            if section.kind not in _READ:
                continue
            for sentence in split_sentences(section.text):
                mentions += self.mentions(sentence, section.kind, sex=sex)
                if section.kind in _BODY:
                    body.append(clean(sentence))
                if section.kind == "impression":
                    concluded.append(clean(sentence))
        mentions = _without_generic_masses(mentions)
        states = {name: self._state(name, mentions) for name in CONDITION_NAMES if name != NORMAL}
        self._infer_ischemic(states, body, mentions)
        denied = {m.condition for m in mentions if m.section == "impression" and m.scope == "absent"}
        found, why = normal_state(body, concluded, states, denied)
        states[NORMAL] = found
        mentions += [Mention(NORMAL, "present" if found == "present" else "absent", s) for s in why]
        return Labels(ordered(states), tuple(mentions), _conflicts(mentions))

    def mentions(self, sentence: str, section: SectionKind = "findings", *, sex: Sex | None = None) -> list[Mention]:
        """Every condition that one sentence speaks of, each once with its strongest scope."""
        text = clean(sentence)
        context = context_of(text)
        found: list[tuple[str, Scope, str]] = []
        for term in self._terms.find(text):
            scope = self._scope_of_term(term, text, context, section)
            if scope and not _is_topic(term, text, scope):
                found.append((term.condition, scope, text[term.start : term.end]))
        found += self._sizes(text, context)
        worded = {condition for condition, _, _ in found}
        if section in _BODY:
            graded = {c for c in worded if self.definitions[c].floor == "severe"}
            for figure in measured(text, sex):
                if figure.condition not in worded or (figure.condition in graded and figure.verdict == "present"):
                    found.append(
                        (figure.condition, self._scope_of_figure(figure, context), text[figure.start : figure.end])
                    )
        return [
            Mention(condition, _in_section(scope, section, self._lasting(condition)), sentence, section, words)
            for condition, scope, words in _strongest(found)
        ]

    @staticmethod
    def _scope_of_figure(figure: object, context: Context) -> Scope:
        verdict: Scope = figure.verdict  # type: ignore[attr-defined]
        scope = context.at(figure.start, figure.end)  # type: ignore[attr-defined]
        return scope if scope in ("family", "question", "history") else verdict

    def _lasting(self, condition: str) -> bool:
        return self.definitions[condition].history == "present"

    def _scope_of_term(self, term: Term, text: str, context: Context, section: SectionKind) -> Scope | None:
        """What the sentence says of the condition through this term; None where it says nothing."""
        definition = self.definitions[term.condition]
        scope = context.at(term.start, term.end, section)
        if term.kind == "graded":
            return self._scope_of_graded(definition, scope, text, term)
        if term.kind != "name":
            speaks = scope == ("present" if term.kind == "against" else "absent")
            return "absent" if speaks else None
        return self._scope_of_name(definition, scope, text, context, term, section)

    def _scope_of_name(
        self, definition: Definition, scope: Scope, text: str, context: Context, term: Term, section: SectionKind
    ) -> Scope:
        rest = text[term.end :]
        if definition.presupposed and scope == "absent":
            trouble = _TROUBLE.match(rest) or _TROUBLE_OF.search(text[: term.start])
            return "present" if trouble else "absent"
        if scope == "history":
            over = _RESOLVED.search(rest) or (not self._lasting(term.condition) and _RECURRENCE.search(text))
            return "absent" if over else "history"
        known = definition.past_by_nature or context.is_known(term.start)
        return "history" if section == "indication" and scope == "present" and known else scope

    @staticmethod
    def _scope_of_graded(definition: Definition, scope: Scope, text: str, term: Term) -> Scope | None:
        grade = grade_of(text, term.start, term.end)
        if scope in ("history", "family", "question"):
            return scope if grade is not None else None
        if scope == "absent" and not is_capped(text, term.start):
            return "absent"
        if grade is None:
            return None
        if definition.floor != "severe":
            return scope
        at_grade = against_floor(grade, definition)
        return "uncertain" if at_grade == "present" and scope == "uncertain" else at_grade  # type: ignore[return-value]

    def _sizes(self, text: str, context: Context) -> Iterator[tuple[str, Scope, str]]:
        words, found = text, sizes(text)
        for sized in found:  # "not" of "not dilated" is spent and reaches no further
            if sized.word == "normal":
                text = text[: sized.start] + "=" * (sized.end - sized.start) + text[sized.end :]
        apart = context_of(text)
        for sized in found:
            scope = (context if sized.word == "normal" else apart).at(sized.start, sized.end)
            if sized.word == "borderline" and scope == "present":
                scope = "uncertain"
            elif sized.word == "normal":
                if scope in ("family", "question", "history") or _NOT_NORMAL.search(words[: sized.start]):
                    continue
                scope = "absent"
            for condition in self._sized.get(sized.structure, ()):
                yield condition, scope, words[sized.start : sized.end]

    def _state(self, condition: str, mentions: list[Mention]) -> State:
        """What the report as a whole says: an assertion anywhere, else the impression, else the findings, else what is
        known of old."""
        body = [m for m in mentions if m.condition == condition and m.section in _BODY]
        concluded = {m.scope for m in body if m.section == "impression"}
        told = {m.scope for m in body}
        if "present" in told:
            return "present"
        before = {m.scope for m in mentions if m.condition == condition and m.section != "comparison"}
        known = "history" in before and self._lasting(condition)
        for scopes in (concluded, told):
            if "absent" in scopes and "uncertain" not in scopes:
                return "absent"
            if "uncertain" in scopes:
                return "present" if known else "uncertain"
        if known:
            return "present"
        return "absent" if "absent" in before and self.definitions[condition].past_by_nature else "not mentioned"

    def _infer_ischemic(self, states: dict[str, State], body: list[str], mentions: list[Mention]) -> None:
        """An infarct with reduced function is ischemic cardiomyopathy where the report names no other one."""
        name = "ischemic cardiomyopathy"
        if states[name] != "not mentioned" or states["non-ischemic cardiomyopathy"] == "present":
            return
        infarcts = [s for s in body if infarct_told(s)]
        if infarcts and any(dysfunction_told(s) for s in body):
            states[name] = "present"
            mentions += [Mention(name, "present", s, "findings", "infarct with reduced function") for s in infarcts]


_ORDER: tuple[Scope, ...] = ("present", "uncertain", "absent", "history", "question", "family")


def _strongest(found: list[tuple[str, Scope, str]]) -> list[tuple[str, Scope, str]]:
    """One entry a condition: what is asserted before what is hedged, denied, past, asked or a relative's."""
    best: dict[str, tuple[str, Scope, str]] = {}
    for entry in found:
        kept = best.get(entry[0])
        if kept is None or _ORDER.index(entry[1]) < _ORDER.index(kept[1]):
            best[entry[0]] = entry
    return list(best.values())


def _in_section(scope: Scope, section: SectionKind, lasting: bool) -> Scope:
    """The reason for a scan asks and does not tell; a comparison tells of another scan."""
    if section == "comparison" and scope in ("present", "uncertain", "absent"):
        return "history"
    if section == "indication" and scope in ("present", "uncertain"):
        return "question"
    return scope


_ANSWER = re.compile(
    r"^[^:]{0,20}:\s*(?:present|yes|positive|mild|moderate|severe|large|possible|probable|likely)\s*(?:[.,;(]|$)",
    re.IGNORECASE,
)


def _is_topic(term: Term, text: str, scope: Scope) -> bool:
    """Whether the term heads a line ("Masses: no thrombus") and is not answered ("Thrombus: none") right behind."""
    label = LABEL.match(text)
    if label is None or term.end > label.end() or scope == "absent":
        return False
    return not _ANSWER.match(text[term.end :])


_NAMED_MASSES = frozenset({"cardiac thrombus", "cardiac tumor", "atrial myxoma"})
_GENERIC = re.compile(r"mass(?:es)?|lesions?", re.IGNORECASE)


def _without_generic_masses(mentions: list[Mention]) -> list[Mention]:
    """ "Mass" is no mass of another kind where the report asserts a thrombus, tumor or myxoma."""
    if not any(m.condition in _NAMED_MASSES and m.scope == "present" and m.section in _BODY for m in mentions):
        return mentions
    return [
        m
        for m in mentions
        if m.condition != "other cardiac mass" or m.scope == "absent" or not _GENERIC.search(m.words)
    ]


def _conflicts(mentions: list[Mention]) -> tuple[str, ...]:
    """Conditions both asserted and denied in findings or impression."""
    body = [m for m in mentions if m.section in _BODY and m.condition != NORMAL]
    asserted = {m.condition for m in body if m.scope == "present"}
    denied = {m.condition for m in body if m.scope == "absent"}
    return tuple(name for name in CONDITION_NAMES if name in asserted & denied)

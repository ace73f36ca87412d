"""What a sentence says of a term in it: that it is there, is not, may be, was, is a relative's, or is the question.

Rules of our own, in the manner of NegEx (Chapman et al., J Biomed Inform 2001;34:301): a trigger opens a scope to its
right or left, which ends at a conjunction or where a new clause begins.  The maintained libraries read "cannot exclude
amyloidosis" as a denial; here it is uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cardiolens.text.labels import Scope
from cardiolens.text.sections import SectionKind


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w])(?:{'|'.join(alternatives)})(?![\w])", re.IGNORECASE)


_SEEN = (
    r"(?:seen|identified|noted|present|evident|demonstrated|detected|appreciated|visualized"
    r"|found|observed|suggested|met"
    r"|fulfilled|apparent|shown|suspected|needed|required)"
)
_QUALITY = (
    r"(?:(?:significant|definite|definitive|convincing|obvious|appreciable|clear|interval"
    r"|substantial|further|new|major) )*"
)

# Read over: they deny a change or a certainty, not the finding.
PSEUDO = _any(
    rf"(?:no|without|not any) {_QUALITY}(?:change|increase|decrease|progression|growth|worsening"
    rf"|improvement|difference)(?: in (?:the )?size)?(?: in| of| from| to)?",
    r"not (?:only|necessarily|significantly changed|changed)",
    r"(?:not|no) (?:well|fully|adequately|optimally) (?:seen|visualized|assessed|evaluated)",
    r"no (?:more|greater|worse) than",
    r"without (?:intravenous |iv )?(?:contrast|gadolinium)(?: administration)?",
    r"no (?:prior|previous|comparison) (?:study|studies|exams?|mris?|imaging|scans?)(?: (?:is|are))?(?: available)?",
)
UNCERTAIN_BEFORE = _any(
    r"(?:can ?not|can't|could not|unable to|difficult to|hard to|does not|do not|not) (?:be"
    r" )?(?:completely |entirely |definitively |reliably |confidently )?(?:exclude|rule out"
    r"|excluding)",
    r"possib(?:le|ly|ility of)",
    r"(?:raises?|raising) (?:the )?(?:possibility|question|concern) (?:of|for|about)",
    r"(?:probabl[ey]|likely|presumed|presumably|potential(?:ly)?|perhaps|maybe|questionabl[ey]"
    r"|equivocal|indeterminate|borderline)(?: for| of)?",
    r"suspicio(?:n|us) (?:is raised )?(?:for|of)",
    r"concern(?:ing|ed)?(?: is raised)? (?:for|of|about)",
    r"sugg?est(?:ive of|ing|s)?(?: the presence of)?",
    r"(?:may|might|could|can|would)(?: (?:also|well|possibly))? (?:represent|reflect|be"
    r"|indicate|suggest|relate|have|support|fit)",
    r"(?:question|query|question of|suspect(?:ed)?|worrisome for|hint of|impression of)",
    r"(?:differential(?: diagnos[ie]s)?(?: considerations?)?(?: includes?| is| would include"
    r"|:)?|ddx:?|considerations include|consider)",
    r"(?:versus|vs\.?)",
    r"(?:favor(?:s|ed|ing)?|less likely|raises?|not certain|uncertain)",
    r"appears? to be",
)
UNCERTAIN_SIGN = re.compile(r"\?\s*(?=\w)")
UNCERTAIN_AFTER = _any(
    r"(?:is|are|was|were)? ?(?:can ?not|can't|could not|not|never) (?:be )?(?:completely "
    r"|entirely |definitively |reliably |confidently )?(?:be )?(?:excluded|ruled out)",
    r"(?:is|are|was|were|being|remains?)? ?(?:also )?(?:strongly |highly )?(?:favored|suspected"
    r"|questioned|possible|probable|questionable|equivocal|conceivable|presumed|(?<!less"
    r" )likely(?! (?:due|secondary|related|from|reflect|represent|a result)))",
    r"(?:is|are|remains?|would be) (?:a |also a |another |one )?(?:consideration|possibility|concern|question)",
    r"(?:should|could|may|might|can) be (?:also )?(?:considered|present|suspected|entertained)",
    r"(?:is|are|remains?) (?:in|on|within|part of) the differential",
    r"(?:versus|vs\.?)",
    r"(?:is|are) (?:raised|suggested|hard to exclude|difficult to exclude|not certain|uncertain|indeterminate)",
)
ABSENT_BEFORE = _any(
    r"no",
    r"not",
    r"nor",
    r"neither",
    r"nothing",
    r"none of",
    r"without",
    r"absence of",
    r"lack(?:s|ing)?(?: of)?",
    r"negative for",
    r"free (?:of|from)",
    r"(?:rules|ruling) out",
    r"(?:argues?|speaks?|militates?) against",
    r"(?:doesn't|don't|isn't|aren't|wasn't)",
    r"fails? to (?:show|demonstrate|meet)",
    r"den(?:ies|ied)",
    r"rather than",
    r"instead of",
    r"excludes?",
)
ABSENT_AFTER = _any(
    rf"(?:is|are|was|were|has|have|does|do|did|been|be)? ?(?:not|no longer|never)(?: been| be)?"
    rf" (?:clearly |definitely |convincingly |currently )?{_SEEN}",
    r"(?:is|are|was|were|been|be|has been|have been|can be|is now)? ?(?:excluded|ruled out"
    r"|absent|resolved|disproved|negative)",
    r"(?:has|have|since|now)? ?(?:completely |fully )?resolved",
    r"(?:is|are|seems?|appears?|felt to be|thought to be|considered|very|highly|is felt to be"
    r"|deemed|makes? \w+)? ?(?:very |highly |quite |felt to be |thought |considered"
    r" )*(?:unlikely|improbable|doubtful)",
    r"(?:is|are|seems?|appears?) (?:considered |felt |thought )?(?:to be )?less likely",
    r"(?:does|do) not (?:meet|fulfil|fulfill)",
)
ABSENT_ANSWER = re.compile(
    r":\s*(?:none|no|absent|negative|nil)(?=\s*(?:[.,;]|$|seen|identified|evident))", re.IGNORECASE
)
HISTORY_BEFORE = _any(
    r"(?:history of|h/o|hx of|hx|history:)",
    r"status[- ]post",
    r"s/p",
    r"(?:prior|previous|previously|remote|past|old|former|resolved|treated|healed|recovered|sequelae? of)",
    r"(?:resection|removal|excision|repair|closure|occlusion|evacuation|drainage) of",
    r"(?:repaired|closed|resected|corrected|surgically repaired|operated|excised)",
    r"(?:after|post)(?![- ]?(?:stenotic|contrast|gadolinium|processing))",
)
REPAIRED_AFTER = re.compile(
    r"^(?:\s|,|-)*(?:status[- ]post |s/p |after |post )?(?:\w+[ -]){0,2}?(?:clos(?:ure|ed)"
    r"|repair(?:ed)?|occlu(?:sion|der|ded)"
    r"|resect(?:ion|ed)|excis(?:ion|ed)|remov(?:al|ed)|evacuated|drained|device)\b",
    re.IGNORECASE,
)
KNOWN_BEFORE = _any(
    r"(?:known|established|confirmed|diagnosed|documented|biopsy[- ]proven|carries a diagnosis"
    r" of|diagnosis of|follow[- ]?up(?: of| for)?|surveillance(?: of| for)?|monitoring of)",
    r"(?:man|woman|male|female|patient|boy|girl|gentleman|lady|y/?o|yo|[mf]|old) (?:with|who has|has)",
)
_RELATIVE = (
    r"(?:mother|father|brother|sister|sibling|siblings|parent|parents|son|daughter|uncle|aunt"
    r"|cousin|grandfather|grandmother"
    r"|grandparent|nephew|niece|relatives?|twin|kindred)"
)
FAMILY_BEFORE = _any(
    r"(?:family history|familial history|fam hx|fhx?|family hx)(?: is)?(?: of| positive for|"
    r" significant for|:| notable for)?",
    rf"(?:(?:his|her|the|a|an|patient's|first[- ]degree|maternal|paternal|two|three|several) )*{_RELATIVE}s?",
    r"family members?",
)
FAMILY_AFTER = _any(
    rf"in (?:(?:his|her|the|a|an|two|three|several|first[- ]degree|maternal|paternal) )*{_RELATIVE}s?",
    r"runs in the family",
    r"in the family",
)
QUESTION_BEFORE = _any(
    r"(?:evaluat(?:e|ion)|assess(?:ment)?|screen(?:ing)?|look(?:ing)?|search|check|test(?:ing)?"
    r"|work[- ]?up)(?: the patient)? for",
    r"(?:please |to |in order to )?(?:rule[- ]?out|r/o|exclude|query)",
    r"(?:clinical )?(?:question|concern) (?:of|is)",
)

QUESTION_AFTER = _any(
    r"(?:was|were|is|are|could|can|has|have|be|been)? ?(?:can)?not (?:be |been )?(?:assessed"
    r"|evaluated|performed|interpretable|assessable|evaluable|acquired|obtained|given"
    r"|administered)",
)

_BREAK = re.compile(
    r"[;]|\.\s|\b(?:but|however|although|though|except(?: for)?|aside from|apart from|other"
    r" than|whereas|while|yet|which|although"
    r"|positive for|in addition|otherwise)\b|,\s*with\b"
    r"|,\s*(?:in keeping|in line|consistent|compatible)\s+with\b"
    r"|(?<!consistent )(?<!compatible )(?<!associated )(?<!keeping )(?<!line )\bwith(?= (?:a "
    r"|an )?(?:mild|moderate|severe|normal|preserved|dilated|large|marked))",
    re.IGNORECASE,
)
_JOINT = re.compile(r",\s*(?:and|or|nor)?\s+|\s+and\s+|:\s*", re.IGNORECASE)
_VERB = re.compile(
    rf"\b(?:is|are|was|were|has|have|shows?|demonstrates?|measures?|measuring|appears?|remains?"
    rf"|there|can|cannot|could|may|might|would|should)\b(?!\s+(?:clearly |definitely |been |be "
    rf"|also )*{_SEEN}\b)",
    re.IGNORECASE,
)
_FRESH = re.compile(
    r"(?:mildly|moderately|severely|markedly|normal|dilated(?! cardiomyop)|enlarged|positive"
    r"|status[- ]post|s/p|no|without|likely|possibl[ey]|probabl[ey]|consistent|compatible|small"
    r" volume)\b",
    re.IGNORECASE,
)
_VERSUS = re.compile(r"\b(?:versus|vs)\b", re.IGNORECASE)
_GRADE = re.compile(r"(?:mild|moderate|severe|marked|large|torrential|massive)\b", re.IGNORECASE)
_CHOICE = re.compile(r"\b(?:or|nor)\b", re.IGNORECASE)
_LIST = re.compile(r"\b(?:and|or|nor|versus|vs)\b|/", re.IGNORECASE)
_SHORT_REACH = re.compile(
    r"possib(?:le|ly)|probabl[ey]|likely|questionabl[ey]|borderline|equivocal|presumed|prior"
    r"|previous|old|remote|past|former|resolved|treated|healed|recovered|repaired|closed"
    r"|resected",
    re.IGNORECASE,
)
LABEL = re.compile(r"^[A-Z][\w ,/&()-]{0,60}?:\s")  # a heading in a line: "Masses: none"
_REACH = 300  # characters that any trigger carries
_NOT_REACH = 70  # characters that "not" carries


@dataclass(frozen=True)
class Trigger:
    """Words that set a scope, from `start` to `end`."""

    start: int
    end: int
    words: str


@dataclass(frozen=True)
class Context:
    """A sentence with its triggers found once; `at` tells the scope of a term in it."""

    text: str
    breaks: tuple[int, ...]
    before: dict[str, tuple[Trigger, ...]]
    after: dict[str, tuple[Trigger, ...]]

    def at(self, start: int, end: int, section: SectionKind = "findings") -> Scope:
        """What the sentence says of the term at `start:end`; a break inside the term does not count."""
        kinds = {kind for kind in self.before if self._reached_from_left(kind, start)}
        later = {kind for kind in self.after if self._reached_from_right(kind, start, end)}
        if "family" in kinds or "family" in later:
            return "family"
        if "question" in kinds or "question" in later or (section == "indication" and ("uncertain" in kinds | later)):
            return "question"
        if "uncertain" in later:
            return "uncertain"
        if "absent" in later or "absent" in kinds:
            return "absent"
        if "history" in kinds or REPAIRED_AFTER.match(self.text[end : end + 50]):
            return "history"
        return "uncertain" if "uncertain" in kinds else "present"

    def is_known(self, start: int) -> bool:
        """Whether the term is told as a known diagnosis, as in "patient with HCM"."""
        return self._reached_from_left("known", start)

    def _reached_from_left(self, kind: str, start: int) -> bool:
        for trigger in self.before[kind]:
            if not 0 <= start - trigger.end <= _REACH or any(trigger.end <= b < start for b in self.breaks):
                continue
            between = self.text[trigger.end : start]
            if kind == "history" and _VERSUS.search(between):
                continue
            if trigger.words.lower() == "not" and len(between) > _NOT_REACH:
                continue
            if not _new_clause(between, self.text[start:], short=bool(_SHORT_REACH.fullmatch(trigger.words.strip()))):
                return True
        return False

    def _reached_from_right(self, kind: str, start: int, end: int) -> bool:
        for trigger in self.after[kind]:
            if not 0 <= trigger.start - end <= _REACH or any(end <= b < trigger.start for b in self.breaks):
                continue
            between = self.text[end : trigger.start]
            near = trigger.words.lstrip().startswith(":")
            if near and between.strip():
                continue
            if not _cut_from_right(between):
                return True
        return False


def _new_clause(between: str, rest: str, *, short: bool) -> bool:
    """Whether a new clause begins between a trigger and a term to its right.

    A comma or "and" goes on with a list unless what follows has a verb of its own or starts afresh.
    """
    joints = list(_JOINT.finditer(between))
    if not joints:
        return False
    if short and not any(re.search(r"\b(?:or|versus|vs)\b", piece) for piece in (between, rest[:60])):
        return True
    whole = between + rest
    for position, joint in enumerate(joints):
        stop = joints[position + 1].start() if position + 1 < len(joints) else _segment_end(whole, len(between))
        piece = whole[joint.end() : stop]
        if ":" in joint.group() and position == 0 and len(between[: joint.start()].split()) > 3:
            return True
        if _VERB.search(piece) or _FRESH.match(piece):
            return True
        if _GRADE.match(piece) and not _CHOICE.search(whole):  # "no stenosis, severe regurgitation"
            return True
    return False


def _segment_end(text: str, start: int) -> int:
    """Where the segment that holds `start` ends: at the next comma, joint or break."""
    ends = [m.start() for pattern in (_JOINT, _BREAK) if (m := pattern.search(text, start))]
    return min(ends, default=len(text))


def _cut_from_right(between: str) -> bool:
    """Whether a term and a trigger to its right belong to different clauses."""
    pieces = _JOINT.split(f"{between} ")
    if len(pieces) == 1:
        return bool(_VERB.search(between) and len(between.split()) > 6)
    if any(_VERB.search(piece) for piece in pieces):
        return True
    return "," in between and not _LIST.search(between)


@lru_cache(maxsize=4096)
def context_of(sentence: str) -> Context:
    """Triggers of a cleaned sentence."""
    text = _blank(sentence, PSEUDO)
    uncertain_after = tuple(_found(UNCERTAIN_AFTER, text))
    uncertain = (*_found(UNCERTAIN_BEFORE, text), *_found(UNCERTAIN_SIGN, text))
    plain = text
    for trigger in (*uncertain, *uncertain_after):
        if re.search(r"not|never|can't|unable|cannot|exclu|rule", trigger.words, re.IGNORECASE):
            plain = plain[: trigger.start] + "~" * (trigger.end - trigger.start) + plain[trigger.end :]
    before = {
        "uncertain": uncertain,
        "absent": tuple(_found(ABSENT_BEFORE, plain)),
        "history": tuple(_found(HISTORY_BEFORE, text)),
        "family": tuple(_found(FAMILY_BEFORE, text)),
        "question": tuple(_found(QUESTION_BEFORE, plain)),
        "known": tuple(_found(KNOWN_BEFORE, text)),
    }
    after = {
        "uncertain": uncertain_after,
        "absent": (*_found(ABSENT_AFTER, plain), *_found(ABSENT_ANSWER, plain)),
        "family": tuple(_found(FAMILY_AFTER, text)),
        "question": tuple(_found(QUESTION_AFTER, text)),
    }
    return Context(text, tuple(m.start() for m in _BREAK.finditer(text)), before, after)


def _blank(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: "~" * len(match.group()), text)


def _found(pattern: re.Pattern[str], text: str) -> Iterator[Trigger]:
    for match in pattern.finditer(text):
        yield Trigger(match.start(), match.end(), match.group())

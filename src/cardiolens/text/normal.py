"""When a report as a whole is normal: the paper's "PureNormal"."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from cardiolens.text.conditions import NORMAL
from cardiolens.text.context import LABEL, context_of
from cardiolens.text.grades import grade_of
from cardiolens.text.labels import State
from cardiolens.text.measures import left_ejection_fractions

_STUDY = r"(?:cardiac|heart|cardiovascular|cmr|mri?|magnetic resonance|imaging|study|scan|exam\w*|morphology|structure)"
STATED = re.compile(
    rf"(?<![\w-])(?:normal|unremarkable) (?:resting |adult |contrast-enhanced |stress "
    rf"|non-contrast )?{_STUDY}(?: {_STUDY})*(?! (?:function|size|output|index|chambers?"
    rf"|wall))(?=\W|$)"
    r"|structurally normal heart|normal heart\b|(?:study|scan|examination|exam|mri|cmr) (?:is"
    r"|was) (?:within )?(?:entirely |completely )?(?:normal(?: limits)?|unremarkable)"
    r"|no (?:significant |relevant |structural |morphologic(?:al)? |functional |cardiac |or "
    r"|and |, )*abnormalit(?:y|ies)"
    r"|no (?:mri |cmr )?evidence of (?:structural |cardiac |heart |myocardial )+(?:disease|abnormality)",
    re.IGNORECASE,
)
_APART = re.compile(
    r"\b(?:apart from|except(?: for)?|other than|aside from|with the exception|but|however|save for|otherwise)\b",
    re.IGNORECASE,
)
_ABNORMAL = re.compile(
    r"\b(?:dysfunction|hypokine\w+|akine\w+|dyskine\w+|wall motion abnormalit\w+|scars?"
    r"|fibrosis|infarct\w*|edema|hyperenhancement"
    r"|(?:late (?:gadolinium )?enhancement|LGE)(?! (?:images?|imaging|sequences?|series|was"
    r"|were performed))|flattening|prolapse|aneurysm\w*|calcif\w+|atrial fibrillation|ectopy"
    r"|dyssynchrony"
    r"|abnormal(?:ity|ities)?|pleural effusions?|thicken(?:ed|ing)|cardiomyopathy|hypertroph\w+"
    r"|shunt\w*|ischemia|perfusion defects?"
    r"|(?:reduced|depressed|impaired|decreased|diminished|poor)(?: \w+){0,4} (?:function"
    r"|ejection fraction|EF|contractility|contraction|motion)"
    r"|(?:function|ejection fraction|LVEF|RVEF|EF|contractility|motion) (?:is |are |was"
    r" )?(?:\w+ly )?(?:reduced|depressed|impaired|decreased|diminished|poor)"
    r"|(?:elevated|raised|increased|prolonged) (?:\w+ ){0,3}(?:T1|T2|ECV|extracellular volume))(?!\w)",
    re.IGNORECASE,
)
_GRADED = re.compile(
    r"\b(?:regurgitation|insufficiency|stenosis|pericardial effusion|pericardial fluid)\b", re.IGNORECASE
)
_FUNCTION = re.compile(
    r"\b(?:normal|preserved)(?: [\w,]+){0,5} (?:function|ejection fraction|EF)\b|\b(?:function"
    r"|ejection fraction|LVEF|EF) (?:is |are |was )?(?:within )?(?:normal|preserved)\b",
    re.IGNORECASE,
)
_LOWEST_EF = 50.0


def normal_state(
    sentences: Sequence[str], impression: Sequence[str], states: Mapping[str, State], concluded: Collection[str]
) -> tuple[State, tuple[str, ...]]:
    """The state of "normal" and the sentences it rests on.

    Absent where any other condition is present or an abnormality without a label of its own is told; uncertain where
    another is uncertain; present where the study is called normal, or where the impression calls LV function and the
    size of both ventricles normal.

    Args:
        sentences: of findings and impression, cleaned.
        impression: those of the impression.
        states: of the other conditions.
        concluded: conditions that the impression denies.
    """
    others = [state for name, state in states.items() if name != NORMAL]
    abnormal = tuple(s for s in sentences if _is_abnormal(s))
    if "present" in others or abnormal:
        return "absent", abnormal
    if "uncertain" in others:
        return "uncertain", ()
    stated = tuple(s for s in sentences if is_called_normal(s))
    if stated:
        return "present", stated
    function = tuple(s for s in impression if _FUNCTION.search(s))
    if function and {"left ventricular dilation", "right ventricular dilation"} <= set(concluded):
        return "present", function
    return "not mentioned", ()


def is_called_normal(text: str) -> bool:
    """Whether the sentence calls the whole study normal, without an exception."""
    return any(
        text[m.start() : m.start() + 2].lower() == "no" and not _APART.search(text)
        for m in STATED.finditer(text)
        if context_of(text).at(m.start(), m.end()) in ("present", "absent")
    ) or any(
        not _APART.search(text) and context_of(text).at(m.start(), m.end()) == "present" for m in STATED.finditer(text)
    )


def _is_abnormal(text: str) -> bool:
    """Whether the sentence tells of anything that a normal heart has not."""
    if any(value < _LOWEST_EF for value in left_ejection_fractions(text)):
        return True
    if STATED.search(text) and _APART.search(text):
        return True
    text = LABEL.sub("", text)
    context = context_of(text)
    told = ("present", "uncertain")
    for match in _ABNORMAL.finditer(text):
        if context.at(match.start(), match.end()) in told:
            return True
    for match in _GRADED.finditer(text):
        grade = grade_of(text, match.start(), match.end())
        if grade is not None and grade >= 1.0 and context.at(match.start(), match.end()) in told:
            return True
    return False


_INFARCT = re.compile(
    r"\b(?:infarct(?:s|ion|ions|ed)?|(?:transmural|subendocardial)(?: \w+){0,6}? (?:scars?"
    r"|enhancement|LGE|fibrosis))(?!\w)",
    re.IGNORECASE,
)
_DIFFUSE = re.compile(r"\b(?:diffuse|global|circumferential|entire)", re.IGNORECASE)  # not a coronary pattern
_WEAK = re.compile(
    r"(?:reduced|depressed|impaired|decreased|poor)(?: \w+){0,4} (?:function|ejection fraction"
    r"|EF)\b|(?:function|LVEF|EF|ejection fraction) (?:is |was )?(?:\w+ly )?(?:reduced"
    r"|depressed|impaired|decreased)|(?:LV|left ventricular)(?: \w+){0,2} dysfunction",
    re.IGNORECASE,
)


def infarct_told(text: str) -> bool:
    """Whether the sentence asserts an infarct."""
    if _DIFFUSE.search(text):
        return False
    context = context_of(text)
    return any(context.at(m.start(), m.end()) in ("present", "history") for m in _INFARCT.finditer(text))


def dysfunction_told(text: str) -> bool:
    """Whether the sentence asserts reduced left ventricular function."""
    if any(value < _LOWEST_EF for value in left_ejection_fractions(text)):
        return True
    context = context_of(text)
    return any(
        context.at(m.start(), m.end()) == "present" and not re.search(r"\bRV\b|right ventric", m.group(), re.IGNORECASE)
        for m in _WEAK.finditer(text)
    )

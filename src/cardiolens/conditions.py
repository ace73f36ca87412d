"""What a model's heads for conditions say of one study: a score, a probability where calibrated, flagged or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.attention import ViewAttention, view_attention
from cardiolens.errors import CheckpointError
from cardiolens.study import View
from cardiolens.text.conditions import CONDITIONS

if TYPE_CHECKING:
    from cardiolens.engine import Engine, Values

_WORDS = {condition.column: condition.name for condition in CONDITIONS}


@dataclass(frozen=True)
class Basis:
    """The calibration studies behind a probability and a threshold.

    Attributes:
        n, positive: how many there were, and how many of them had the condition.
        sensitivity, specificity: of the threshold on these very studies, so somewhat better than on new ones.
    """

    n: int
    positive: int
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class ConditionFinding:
    """One condition in one study.

    Attributes:
        name: as the column of a table of labels, such as "severe_aortic_stenosis".
        score: what the head gives, in [0, 1]; positives weighed more in training, so it is no probability.
        probability: calibrated, in [0, 1]; it holds where the condition is as frequent as among the calibration
            studies.  None where the condition could not be calibrated.
        threshold: score from which on the condition is flagged; None likewise.
        flagged: whether the score reaches the threshold; None where there is none.
        basis: of probability and threshold.
        attention: by view, where the head pools the clips for this condition alone; else empty.
    """

    name: str
    score: float
    probability: float | None = None
    threshold: float | None = None
    flagged: bool | None = None
    basis: Basis | None = None
    attention: tuple[ViewAttention, ...] = ()

    @property
    def words(self) -> str:
        """The name as it is spoken."""
        return _WORDS.get(self.name, self.name.replace("_", " "))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "score": self.score,
            "probability": self.probability,
            "threshold": self.threshold,
            "flagged": self.flagged,
            "basis": asdict(self.basis) if self.basis else None,
            "attention": {str(row.view): row.share for row in self.attention},
        }


@dataclass(frozen=True)
class ConditionHead:
    """A head that tells conditions, as the model's card describes it.

    Attributes:
        task: name of the head.
        labels: names of its outputs, in order.
        calibration: condition to slope, intercept, threshold and what they rest on; conditions may be missing.
        left_out: condition to the reason why it is not calibrated.
    """

    task: str
    labels: tuple[str, ...]
    calibration: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]

    def read(
        self, logits: Sequence[float], attention: Sequence[float], views: Sequence[View]
    ) -> list[ConditionFinding]:
        """Findings from the head's logits and its weights of the clips."""
        alone = view_attention(attention, views) if len(self.labels) == 1 else ()
        return [self._finding(name, logit, alone) for name, logit in zip(self.labels, logits, strict=True)]

    def _finding(self, name: str, logit: float, attention: tuple[ViewAttention, ...]) -> ConditionFinding:
        score = _sigmoid(logit)
        fitted = self.calibration.get(name)
        if fitted is None:
            return ConditionFinding(name, score, attention=attention)
        threshold = float(fitted["threshold"])
        return ConditionFinding(
            name,
            score,
            _sigmoid(float(fitted["slope"]) * logit + float(fitted["intercept"])),
            threshold,
            score >= threshold,
            Basis(
                int(fitted["n"]), int(fitted["positive"]), float(fitted["sensitivity"]), float(fitted["specificity"])
            ),
            attention,
        )


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))


def condition_heads(engine: Engine) -> tuple[ConditionHead, ...]:
    """The heads of a model that tell conditions, as its card names them.

    Raises:
        CheckpointError: the card names not as many conditions as a head gives, or two heads tell the same.
    """
    found: list[ConditionHead] = []
    owner: dict[str, str] = {}
    card = engine.card
    for task, entry in card.tasks.items():
        head = engine.heads.get(task)
        if head is None or entry.get("kind") != "classification":
            continue
        labels = tuple(map(str, entry.get("labels", ())))
        if len(labels) != head.outputs:
            raise CheckpointError(
                f"{card.full_name}: the card names {len(labels)} conditions for the head '{task}', which gives "
                f"{head.outputs}; bring the folder as cardiolens finetune wrote it"
            )
        for name in labels:
            if owner.setdefault(name, task) != task:
                raise CheckpointError(
                    f"{card.full_name}: the heads '{owner[name]}' and '{task}' both tell {name}; keep one of them"
                )
        fitted = entry.get("calibration") or {}
        found.append(ConditionHead(task, labels, fitted.get("conditions", {}), fitted.get("left_out", {})))
    return tuple(found)


def read_conditions(
    engine: Engine, heads: Sequence[ConditionHead], features: Values, views: Sequence[View]
) -> tuple[tuple[ConditionFinding, ...], list[list[float]]]:
    """Every condition of one study.

    Args:
        features: (clip, width), of the encoder.
        views: of each clip.

    Returns:
        Findings in the order of the heads, and the weights of the clips by each head.

    Raises:
        CheckpointError: a score that is no number.
    """
    findings: list[ConditionFinding] = []
    weights: list[list[float]] = []
    for head in heads:
        pooled = engine.measure(head.task, features)
        if not np.isfinite(pooled.logits).all():
            raise CheckpointError(f"{engine.card.full_name} gives NaN for {head.task}; its weights are damaged")
        weights.append(pooled.attention.tolist())
        findings += head.read(pooled.logits.astype(np.float64).tolist(), weights[-1], views)
    return tuple(findings), weights


def notes_on(heads: Sequence[ConditionHead], findings: Sequence[ConditionFinding]) -> list[str]:
    """What a reader of the findings should know."""
    if not findings:
        return []
    calibrated = [finding for finding in findings if finding.basis]
    if not calibrated:
        return ["No probability and no flag for any condition: the model's card holds no calibration."]
    most = max(finding.basis.n for finding in calibrated if finding.basis)
    notes = [
        f"A condition's probability holds where it is as frequent as among the {most} calibration studies; where it is "
        "rarer, the probability is too high."
    ]
    without = [finding.words for finding in findings if not finding.basis]
    if without:
        why = "the calibration studies could not tell"
        notes.append(f"No probability and no flag for {', '.join(without)}: {why}; the model's card says why of each.")
    return notes

"""What a model says of one study: `Prediction`, made by `cardiolens.inference.Predictor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.attention import ViewAttention
from cardiolens.conditions import ConditionFinding
from cardiolens.study import View


@dataclass(frozen=True)
class ClipFinding:
    """One clip of the bag.

    Attributes:
        view: its view.
        plane: its plane within the cine, from 0.
        attention: weight in the pooling, see `Prediction.attention_of`; the weights of a study add up to 1.
        domain_score: its own out-of-domain score in units of the limit for single clips; None if not assessed.
    """

    view: View
    plane: int
    attention: float
    domain_score: float | None


@dataclass(frozen=True)
class Interval:
    """A prediction interval in percent LVEF and the share of in-domain studies whose true value it holds."""

    low: float
    high: float
    coverage: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one study.

    Attributes:
        lvef_pct: left ventricular ejection fraction, percent, in [0, 100]; None where the model has no head for it.
        interval: split-conformal interval of it; None where the model's card has none (a note says so).
        conditions: a finding for each condition that the model knows, in its order; empty where it knows none.
        out_of_domain: True when the study is unlike those the model learned from, so that no figure here can be relied
            on; None when the model has no reference to tell (a note says so).
        domain_score: study score, and `domain_threshold` its limit.
        domain_reasons: the measured properties outside the reference's range, in plain words.
        clips: one row a clip.
        attention: gathered by view.
        attention_of: the head whose it is: "lvef" where there is one, else that for conditions, or "mean" of several.
        embeddings: (clip, 512) float32, unit norm.
        provenance: versions, hashes and settings that gave this result.
        notes: what the reader should know.
        timing_s: seconds a stage took.
    """

    lvef_pct: float | None
    interval: Interval | None
    out_of_domain: bool | None
    domain_score: float | None
    domain_threshold: float | None
    domain_reasons: tuple[str, ...]
    clips: tuple[ClipFinding, ...]
    attention: tuple[ViewAttention, ...]
    embeddings: npt.NDArray[np.float32] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict)
    conditions: tuple[ConditionFinding, ...] = ()
    attention_of: str = "lvef"

    @property
    def flagged(self) -> tuple[ConditionFinding, ...]:
        """The conditions whose score reaches their threshold."""
        return tuple(finding for finding in self.conditions if finding.flagged)

    @property
    def view_attention(self) -> dict[str, float]:
        """View to its share of the attention."""
        return {str(row.view): row.share for row in self.attention}

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the embeddings."""
        return {
            "lvef_pct": self.lvef_pct,
            "interval": asdict(self.interval) if self.interval else None,
            "conditions": [finding.to_dict() for finding in self.conditions],
            "out_of_domain": self.out_of_domain,
            "domain": {
                "score": self.domain_score,
                "threshold": self.domain_threshold,
                "reasons": list(self.domain_reasons),
            },
            "attention_of": self.attention_of,
            "attention": {
                str(row.view): {"clips": row.clips, "share": row.share, "relative": row.relative}
                for row in self.attention
            },
            "clips": [
                {"view": str(c.view), "plane": c.plane, "attention": c.attention, "domain_score": c.domain_score}
                for c in self.clips
            ],
            "provenance": dict(self.provenance),
            "notes": list(self.notes),
            "timing_s": dict(self.timing_s),
        }

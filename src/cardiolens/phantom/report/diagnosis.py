"""What the words for one condition are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["disease", "indirect", "structure", "size"]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Words for one condition.

    Attributes:
        kind: how it is told. "disease" a conclusion from the findings; "indirect" one that cine shows badly, more often
            hedged; "structure" something that is simply seen; "size" a measurement past its limit, told with its grade.
        names: the name of `cardiolens.text.conditions` (or a longer one that holds it), then synonyms and
            abbreviations.
        described: sentences that tell of it without a name.
        exact: how often the first name is the one chosen.
        common: weight among the conditions that are mentioned to exclude or to query.
    """

    kind: Kind
    names: tuple[str, ...]
    described: tuple[str, ...]
    exact: float = 0.65
    common: float = 1.0

"""Where the pooling over a study's clips looked: attention per view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cardiolens.study import View


@dataclass(frozen=True)
class ViewAttention:
    """Attention that the clips of one view received.

    Attributes:
        view: which view.
        clips: how many clips it gave to the bag.
        share: sum of their weights; over the views of a study the shares add up to 1.
        relative: mean weight of its clips over the weight that each clip would have if all were equal; 1 is neutral.
    """

    view: View
    clips: int
    share: float
    relative: float


def view_attention(weights: Sequence[float], views: Sequence[View]) -> tuple[ViewAttention, ...]:
    """Gather the weights of a study's clips by view, in the order SAX, 2CH, 3CH, 4CH.

    Args:
        weights: attention of each clip, softmax over the bag.
        views: view of each clip.
    """
    if len(weights) != len(views) or not weights:
        raise ValueError(f"one weight a clip, got {len(weights)} weights for {len(views)} clips")
    rows = []
    for view in View:
        own = [weight for weight, of in zip(weights, views, strict=True) if of == view]
        if own:
            rows.append(ViewAttention(view, len(own), sum(own), sum(own) / len(own) * len(weights)))
    return tuple(rows)

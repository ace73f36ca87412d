"""Figure of a checkpoint sweep: downstream error against pretraining epoch (Shad et al., fig. 3d)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cardiolens.evaluation.style import BLUE, STYLE, canvas

_WORDS = {"mae": "mean absolute error", "mean_auroc": "mean AUROC over the conditions"}


def draw_sweep(rows: Sequence[Mapping[str, Any]], path: Path, *, part: str = "test") -> None:
    """Draw one part of the rows of `training.sweep` as a line.

    Raises:
        ValueError: no row of that part.
    """
    import matplotlib as mpl

    chosen = [row for row in rows if row["part"] == part]
    if not chosen:
        raise ValueError(f"no row of part '{part}'")
    words = _WORDS[chosen[0]["metric"]]
    epochs, values = [int(row["epoch"]) for row in chosen], [float(row["value"]) for row in chosen]
    with mpl.rc_context(STYLE), canvas("Downstream by pretraining checkpoint", f"part {part}", height=3.6) as (fig, ax):
        ax.plot(epochs, values, color=BLUE, marker="o")
        ax.set_xlabel("epochs of pretraining")
        ax.set_ylabel(words)
        fig.savefig(path, dpi=150)

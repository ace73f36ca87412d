"""One cycle of the learning rate (Smith and Topin 2019), and the range test that finds its peak (Smith 2017).

Numbers are the documented defaults of fast.ai, which SLIViT's authors used (Avram et al. 2024).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cardiolens.errors import TrainingError
from cardiolens.progress import track

log = logging.getLogger(__name__)

RISE, FIRST, LAST = 0.25, 25.0, 1e5  # share of the run that the rate rises; peak over first rate, over last
MOMENTA = (0.95, 0.85)  # at both ends, at the peak
_SMOOTH, _DIVERGED = 0.98, 4.0  # of the loss: weight of its past; times the best at which the test ends
_FEWEST = 5


def _cosine(start: float, end: float, share: float) -> float:
    return start + (end - start) * (1.0 - math.cos(math.pi * share)) / 2.0


def one_cycle(peak: float, share: float) -> float:
    """Rate after so much of the run, by cosines: up to the peak, then down to almost nothing."""
    share = min(max(share, 0.0), 1.0)
    if share < RISE:
        return _cosine(peak / FIRST, peak, share / RISE)
    return _cosine(peak, peak / LAST, (share - RISE) / (1.0 - RISE))


def momentum(share: float) -> float:
    """First beta of Adam: low where the rate is high."""
    share = min(max(share, 0.0), 1.0)
    if share < RISE:
        return _cosine(*MOMENTA, share / RISE)
    return _cosine(MOMENTA[1], MOMENTA[0], (share - RISE) / (1.0 - RISE))


def valley(losses: Sequence[float]) -> int:
    """The middle of the longest falling subsequence of a smoothed loss curve, as a place in it (fast.ai's `valley`)."""
    lengths = [1] * len(losses)
    for i in range(len(losses)):
        for j in range(i):
            if losses[i] < losses[j]:
                lengths[i] = max(lengths[i], lengths[j] + 1)
    end = max(range(len(losses)), key=lambda i: (lengths[i], -i))
    start = end - (lengths[end] - 1)
    return start + (end - start) // 2


def find_rate(
    model: nn.Module,
    optimiser: Callable[[], torch.optim.Optimizer],
    losses: Iterator[Callable[[], Tensor]],
    *,
    low: float,
    high: float,
    steps: int,
) -> dict[str, Any]:
    """The range test: the rate rises from `low` to `high` in even ratios, a batch a step, until the loss diverges.

    The model is left as it was.

    Args:
        optimiser: makes a fresh one.
        losses: for each step what computes the loss of its batch.

    Returns:
        `lr`, the rate at the `valley`; `rates` and smoothed `losses`.

    Raises:
        TrainingError: the loss is no number after a few steps already.
    """
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    trainer = optimiser()
    rates: list[float] = []
    curve: list[float] = []
    mean = 0.0
    model.train()
    for step in track(range(steps), "learning rate"):
        rate = low * (high / low) ** (step / max(1, steps - 1))
        for group in trainer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        loss = next(losses)()
        value = float(loss.detach())
        if not math.isfinite(value):
            break
        mean = _SMOOTH * mean + (1.0 - _SMOOTH) * value
        smooth = mean / (1.0 - _SMOOTH ** (step + 1))
        if curve and smooth > _DIVERGED * min(curve):
            break
        rates.append(rate)
        curve.append(smooth)
        trainer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        trainer.step()
    model.load_state_dict(before)
    model.zero_grad()
    if len(curve) < _FEWEST:
        raise TrainingError(f"the search for a learning rate saw {len(curve)} numbers as losses; look at the data")
    return {"lr": rates[valley(curve)], "rates": rates, "losses": curve}


def kept_rate(folder: Path, find: Callable[[], dict[str, Any]]) -> float:
    """The rate found before in this run folder, or found now; written with its curve as JSON and as a figure."""
    path = folder / "lr_find.json"
    if not path.exists():
        found = find()
        draw_rates(found, folder / "lr_find.png")
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(path)
        log.info("learning rate found: %.2e (%s)", found["lr"], folder / "lr_find.png")
    return float(json.loads(path.read_text())["lr"])


def draw_rates(found: dict[str, Any], path: Path) -> None:
    """Loss against rate, and the rate that is taken."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.8, 3.0), layout="constrained")
        FigureCanvasAgg(figure)
        axis = figure.subplots()
        axis.semilogx(found["rates"], found["losses"], color="#0072B2")
        axis.axvline(found["lr"], color="#D55E00", linewidth=1)
        axis.annotate(f"{found['lr']:.1e}", (found["lr"], max(found["losses"])), color="#D55E00", ha="right", va="top")
        axis.set_xlabel("learning rate")
        axis.set_ylabel("training loss, smoothed")
        figure.savefig(path, dpi=140)

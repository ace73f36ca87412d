"""Page and figures of the EchoAI trial, from its rows and its pretrained models."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from echoai_trial import ARMS, FRAMES, RATIOS, STRIDES, Size, volumes_of

if TYPE_CHECKING:
    from torch import Tensor

    from cardiolens.datasets.volumes import VolumeSet
    from cardiolens.models.videomae import VideoMAE

Rows = list[dict[str, str]]
WORDS = {"pretrained": "pretrained", "random": "random weights"}
COLOURS = {"pretrained": "#0072B2", "random": "#8A8A8A"}
SETS = {"echo": "phantom echo", "cmr": "phantom CMR, 4CH cine"}


def held_out(mae: VideoMAE, volumes: VolumeSet, split: Path) -> Iterator[Tensor]:
    """The middle clip of every test loop, (1, channel, time, row, col)."""
    from cardiolens.datasets.splits import Split
    from cardiolens.loops import LoopTransform

    assert mae.card is not None
    transform = LoopTransform.from_dict(mae.card.transform)
    for key in Split.load(split)["test"]:
        loop = transform.prepare(volumes.load(key))
        yield transform.clip(loop, transform.starts(len(loop), 1)[0])[None]


def fill_in(final: Path, volumes: VolumeSet, split: Path, ratio: int) -> dict[str, float]:
    """Mean squared error of hidden pixels of held-out clips (greys from 0 to 1): of the model; of the mean of the
    visible pixels; of the mean of the nearest visible tubelet at the same time."""
    import torch

    from cardiolens.hub import load_model
    from cardiolens.models.videomae import to_tubelets

    mae = load_model(final)
    config = mae.config.encoder
    errors = []
    with torch.inference_mode():
        for number, clip in enumerate(held_out(mae, volumes, split)):
            out = mae(clip, generator=torch.Generator().manual_seed(number), mask_ratio=ratio / 100)
            truth = to_tubelets(clip, config.tubelet)[0]
            filled = to_tubelets(mae.reconstruct(clip, out), config.tubelet)[0]
            hidden = out.mask[0]
            near = _nearest(truth.mean(1).numpy(), hidden.numpy(), config.grid)
            guesses = (filled[hidden], truth[~hidden].mean(), torch.from_numpy(near)[hidden][:, None])
            errors.append([float((truth[hidden] - guess).square().mean()) for guess in guesses])
    found = np.mean(errors, axis=0)
    return {name: round(float(v), 6) for name, v in zip(("error", "error_mean", "error_near"), found, strict=True)}


def _nearest(means: Any, hidden: Any, grid: tuple[int, int, int]) -> Any:
    """Means of tokens, those of hidden ones taken from the nearest visible one of the same time."""
    from scipy.ndimage import distance_transform_edt

    means, hidden = means.reshape(grid).copy(), hidden.reshape(grid)
    for time in range(grid[0]):
        rows, cols = distance_transform_edt(hidden[time], return_distances=False, return_indices=True)
        means[time] = means[time][rows, cols]
    return means.reshape(-1)


def values(rows: Rows, metric: str, **wanted: Any) -> list[float]:
    """Numbers of a metric where all columns are as wanted."""
    here = [row for row in rows if all(row[name] == str(value) for name, value in wanted.items())]
    return [float(row[metric]) for row in here if row[metric] not in ("", "nan")]


def cell(rows: Rows, metric: str, digits: int, **wanted: Any) -> str:
    """Mean and range over the seeds."""
    found = values(rows, metric, **wanted)
    if not found:
        return "not run"
    text = f"{statistics.mean(found):.{digits}f}"
    return text if len(found) < 2 else f"{text} ({min(found):.{digits}f} to {max(found):.{digits}f})"


def verdict(rows: Rows) -> list[str]:
    """What the errors say of pretraining, a line a set."""
    lines = []
    for data, words in SETS.items():
        with_it, without = (values(rows, "mae", data=data, arm=arm, frames=16) for arm in ARMS)
        if not with_it or not without:
            lines.append(f"- {words}: not both arms have run.")
            continue
        gain = statistics.mean(without) - statistics.mean(with_it)
        apart = max(with_it) < min(without) or min(with_it) > max(without)
        lines.append(
            f"- {words}: EF error {statistics.mean(with_it):.2f} points pretrained, {statistics.mean(without):.2f} "
            f"from random weights: {abs(gain):.2f} {'less' if gain >= 0 else 'more'} with pretraining, "
            f"{'in every seed' if apart else 'but the seeds overlap'}."
        )
    return [*lines, ""]


def ef_table(rows: Rows) -> list[str]:
    lines = ["| data | frames | start | MAE, points | RMSE, points | R2 |", "|---|---|---|---|---|---|"]
    for data, words in SETS.items():
        for frames in FRAMES if data == "echo" else FRAMES[:1]:
            for arm in ARMS if frames == 16 else ARMS[:1]:
                wanted = {"data": data, "frames": frames, "arm": arm}
                cells = [cell(rows, name, digits, **wanted) for name, digits in (("mae", 2), ("rmse", 2), ("r2", 2))]
                lines.append(f"| {words} | {frames} | {WORDS[arm]} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def mask_table(rows: Rows) -> list[str]:
    lines = [
        "| data | hidden | model | nearest visible tubelet | mean of the visible |",
        "|---|---|---|---|---|",
    ]
    for data, ratio in [("echo", ratio) for ratio in RATIOS] + [("cmr", 90)]:
        wanted = {"data": data, "arm": "pretraining", "ratio": ratio}
        cells = [cell(rows, name, 4, **wanted) for name in ("error", "error_near", "error_mean")]
        lines.append(f"| {SETS[data]} | {ratio} % | " + " | ".join(cells) + " |")
    return [*lines, ""]


def write_page(rows: Rows, args: argparse.Namespace) -> None:
    """Write the page, and beside it the figures that rows and models allow."""
    size: Size = args.size
    path = args.results.with_suffix(".md")
    panels, dots = draw_panels(args, path), draw_errors(rows, path)
    minutes = sum(float(row["seconds"]) for row in rows) / 60
    hashes = ", ".join(sorted({f"{row['data']} {row['data_hash']}" for row in rows})) or "none"
    versions = ", ".join(sorted({row["version"] for row in rows})) or "none"
    spans = ", ".join(f"{frames} at a stride of {stride}" for frames, stride in STRIDES.items())
    lines = [
        "# EchoAI on phantoms",
        "",
        "Rendered hearts, not patients: no figure here is a clinical result.  For research use; not a medical device.",
        "The three experiments that EchoAI (arXiv 2311.12582) asks for, where the truth is known, at a laptop's size:",
        "reconstruction with 80, 90 and 95 % hidden; EF with and without pretraining; EF from 4, 8 and 16 frames.",
        "",
        "    python benchmarks/echoai_trial.py",
        "",
        f"{size.train} loops of each set to learn from, {size.val} to choose the epoch, {size.test} to measure, one of",
        f"a patient.  Pretraining sees the same {size.train} loops without labels, so it adds a task and no data: the",
        "paper's 1.5 million unlabelled videos are not imitated.  Model echoai-tiny: 64 x 64 pixels, tubelets of",
        f"4 x 8 x 8, width 96, depth 4.  Pretraining takes about {size.pretrain_steps} steps of {size.batch} clips, EF",
        f"about {size.steps} of {size.ef_batch}, whichever the start.  These are very short runs: they compare arms",
        f"and are nobody's best.  Frames on echo: {spans}, so the same time is seen;",
        "fewer frames start from the 16-frame pretraining.",
        "EF is the echo plane's own by discs, as EchoNet-Dynamic's labels are, and the whole heart's on CMR.",
        "",
        f"Version {versions}; data {hashes}; {minutes:.0f} minutes of one core in all.",
        "",
        "## EF with and without pretraining, and by frames",
        "",
        *verdict(rows),
        "Mean over the seeds, in brackets their range; the CSV has the bootstrap limits of each run over patients.",
        "",
        *ef_table(rows),
        *([f"![EF error by start and by frames, a point a seed]({dots})", ""] if dots else []),
        "## Reconstruction",
        "",
        "Mean squared error of the hidden pixels of held-out loops (greys from 0 to 1), beside two fillings that learn",
        "nothing.  One pretraining a ratio, measured with its own share hidden.",
        "",
        *mask_table(rows),
        *([f"![Held-out loop, what the model saw of it, and its reconstruction]({panels})", ""] if panels else []),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def draw_errors(rows: Rows, path: Path) -> str | None:
    """EF error by set and start, and by frames, a point a seed."""
    if not values(rows, "mae", arm="pretrained"):
        return None
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cardiolens.style import STYLE

    groups = [
        ("with and without pretraining", [(words, {"data": data, "frames": 16}) for data, words in SETS.items()]),
        ("frames, phantom echo", [(str(n), {"data": "echo", "frames": n}) for n in sorted(FRAMES)]),
    ]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        for axis, (title, places) in zip(figure.subplots(1, 2, sharey=True), groups, strict=True):
            for number, (_, wanted) in enumerate(places):
                for side, arm in enumerate(ARMS):
                    found = values(rows, "mae", arm=arm, **wanted)
                    x = number + 0.16 * (side - 0.5)
                    axis.plot([x] * len(found), found, "o", color=COLOURS[arm], markersize=5)
                    if found:
                        axis.hlines(statistics.mean(found), x - 0.07, x + 0.07, color=COLOURS[arm])
            axis.set_xticks(range(len(places)), [words for words, _ in places])
            axis.set_xlim(-0.5, len(places) - 0.5)
            axis.set_title(title)
        axes = figure.axes
        axes[0].set_ylabel("EF error on test hearts, points (phantom)")
        axes[0].set_ylim(bottom=0)
        marks = [axes[0].plot([], [], "o", color=COLOURS[arm], label=WORDS[arm])[0] for arm in ARMS]
        figure.legend(handles=marks, loc="outside lower center", ncols=2)
        file = path.with_name(f"{path.stem}_ef.png")
        figure.savefig(file, dpi=140)
    return file.name


def draw_panels(args: argparse.Namespace, path: Path) -> str | None:
    """A row a ratio: two moments of a held-out loop as it is, as the model saw it, and filled in; CMR below."""
    import torch

    from cardiolens.hub import load_model
    from cardiolens.models.videomae import from_tubelets, to_tubelets

    panels = []
    for data, ratio in [("echo", ratio) for ratio in RATIOS] + [("cmr", 90)]:
        final = args.out / "runs" / f"pretrain_{data}_{ratio}" / "final"
        if not (final / "card.json").exists():
            continue
        mae = load_model(final)
        clip = next(held_out(mae, volumes_of(data, args), args.out / f"split_{data}.json"))
        with torch.inference_mode():
            out = mae(clip, generator=torch.Generator().manual_seed(0), mask_ratio=ratio / 100)
            seen = to_tubelets(clip, mae.config.encoder.tubelet).masked_fill(out.mask[..., None], 0.35)
            shown = (clip, from_tubelets(seen, mae.config.encoder), mae.reconstruct(clip, out).clamp(0, 1))
        moments = (0, clip.shape[2] // 2)
        panels.append((f"{data}, {ratio} % hidden", [part[0, 0, at].numpy() for at in moments for part in shown]))
    if not panels:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 1.62 * len(panels) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 6, squeeze=False)
    for row, (words, images) in zip(axes, panels, strict=True):
        for axis, image in zip(row, images, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(words, fontsize=8)
    for axis, title in zip(axes[0], ("loop", "seen", "filled in") * 2, strict=True):
        axis.set_title(title, fontsize=9)
    file = path.with_name(f"{path.stem}_panels.png")
    figure.savefig(file, dpi=140)
    return file.name

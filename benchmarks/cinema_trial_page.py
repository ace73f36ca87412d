"""Page and figure of the CineMA trial, from its rows."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from cinema_trial import ARMS, STRUCTURES, Size

Rows = list[dict[str, str]]
WORDS = {"pretrained": "CineMA, pretrained", "random": "CineMA, random weights", "unet": "UNet, random weights"}
COLOURS = {"pretrained": "#0072B2", "random": "#8A8A8A", "unet": "#D55E00"}


def values(rows: Rows, metric: str, **wanted: Any) -> list[float]:
    """Numbers of a metric where all columns are as wanted."""
    here = [row for row in rows if all(row[name] == str(value) for name, value in wanted.items())]
    return [float(row[metric]) for row in here if row[metric] not in ("", "nan")]


def cell(rows: Rows, metric: str, digits: int, **wanted: Any) -> str:
    """Mean and range over the seeds."""
    found = values(rows, metric, **wanted)
    if not found:
        return "none to be had" if values(rows, "dice", **wanted) else "not run"
    text = f"{statistics.mean(found):.{digits}f}"
    return text if len(found) < 2 else f"{text} ({min(found):.{digits}f} to {max(found):.{digits}f})"


def table(rows: Rows, share: float) -> list[str]:
    lines = [
        "| structure | figure | " + " | ".join(WORDS[arm] for arm in ARMS) + " |",
        "|---|---|" + "---|" * len(ARMS),
    ]
    kinds = [("dice", "Dice", 3), ("hd95_mm", "HD95, mm", 1), ("ef_mae", "EF error, points", 1)]
    for structure in STRUCTURES:
        for metric, words, digits in kinds:
            if metric == "ef_mae" and structure == "LV myocardium":
                continue
            cells = [cell(rows, metric, digits, arm=arm, labels=share, structure=structure) for arm in ARMS]
            lines.append(f"| {structure} | {words} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def verdict(rows: Rows, size: Size) -> list[str]:
    """What the mean Dice says of the paper's claim, a line a share of the labels."""
    lines = []
    for share in size.shares:
        means = {arm: values(rows, "dice", arm=arm, labels=share, structure="mean") for arm in ARMS}
        if not all(means.values()):
            lines.append(f"- {100 * share:g} % of the labels: not all arms have run.")
            continue
        ours = statistics.mean(means["pretrained"])
        told = []
        for arm in ARMS[1:]:
            gain = ours - statistics.mean(means[arm])
            apart = min(means["pretrained"]) > max(means[arm]) or max(means["pretrained"]) < min(means[arm])
            seeds = "every seed" if apart else "but the seeds overlap"
            told.append(f"{abs(gain):.3f} {'above' if gain >= 0 else 'below'} {WORDS[arm]} ({seeds})")
        lines.append(
            f"- {100 * share:g} % of the labels: mean Dice of the pretrained {ours:.3f}, " + " and ".join(told) + "."
        )
    return [*lines, ""]


def write_page(rows: Rows, path: Path, size: Size) -> None:
    """Write the page, and beside it the figure that the rows allow."""
    picture = draw(rows, path, size)
    pretraining = next((row for row in rows if row["arm"] == "pretraining"), None)
    told = "not run yet"
    if pretraining:
        minutes = float(pretraining["seconds"]) / 60
        told = f"{pretraining['epochs']} epochs, {minutes:.1f} minutes, validation error {pretraining['loss']}"
    runs = {row["step"]: float(row["seconds"]) / 60 for row in rows if row["arm"] in ARMS}
    longest = f"{max(runs.values()):.1f} minutes" if runs else "none yet"
    hashes = ", ".join(sorted({f"{row['data_hash']} / {row['split_hash']}" for row in rows})) or "none"
    versions = ", ".join(sorted({row["version"] for row in rows})) or "none"
    lines = [
        "# Masked pretraining on phantoms",
        "",
        "Rendered hearts, not patients: no figure here is a clinical result.  For research use; not a medical device.",
        "The trial asks whether the claim of CineMA (Fu et al. 2025), that masked pretraining makes a better segmenter",
        "than random weights or a UNet, above all with few labels, holds where the truth is known, at a laptop's size.",
        "",
        "    python benchmarks/cinema_trial.py",
        "",
        f"Pretraining: {size.pretrain} patients of two phantom sites without labels, SAX, 2CH and 4CH ({told}).",
        f"Segmentation of the short axis at ED and ES: {size.train} labelled patients, {size.val} for the choice of",
        f"the epoch and {size.test} to measure, the same ones whatever share of the labels is taken; no patient is in",
        "two parts, and none of pretraining is among them.  Model cinema-tiny, 64 x 64 x 9 voxels of 2 x 2 x 10 mm;",
        f"the UNet is cinema-unet-tiny.  Every run has about {size.steps} steps of {size.batch} samples, so runs",
        "with few labels see them more often.  These are very short runs: they compare the arms and are nobody's best.",
        "Each seed draws another share of the labels and other weights.  Masks are compared on the grid of the scan;",
        "what lies outside the model's window counts as missed.  EF is by voxel counts.",
        "",
        f"Version {versions}; data and split {hashes}.  Longest run: {longest} (wall time of a machine that did other",
        "things as well).",
        "",
        *verdict(rows, size),
    ]
    if picture:
        lines += [f"![Mean Dice of the structures by arm and share of the labels]({picture})", ""]
    for share in size.shares:
        lines += [
            f"## {100 * share:g} % of the labels",
            "",
            "Mean over the seeds, in brackets their range.",
            "",
            *table(rows, share),
        ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def draw(rows: Rows, path: Path, size: Size) -> str | None:
    """A panel a structure: Dice by share of the labels, a point a seed."""
    if not any(values(rows, "dice", arm=arm) for arm in ARMS):
        return None
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cardiolens.style import STYLE

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        for axis, structure in zip(figure.subplots(1, len(STRUCTURES), sharey=True), STRUCTURES, strict=True):
            for place, arm in enumerate(ARMS):
                at, means = [], []
                for number, share in enumerate(size.shares):
                    found = values(rows, "dice", arm=arm, labels=share, structure=structure)
                    if found:
                        x = number + 0.12 * (place - 1)
                        axis.plot([x] * len(found), found, "o", color=COLOURS[arm], markersize=4)
                        at.append(x)
                        means.append(statistics.mean(found))
                axis.plot(at, means, color=COLOURS[arm], label=WORDS[arm])
            axis.set_xticks(range(len(size.shares)), [f"{100 * share:g} %" for share in size.shares])
            axis.set_xlim(-0.4, len(size.shares) - 0.6)
            axis.set_xlabel("share of the labels")
            axis.set_title(structure)
            if structure == STRUCTURES[0]:
                axis.set_ylabel("Dice, test patients (phantom)")
        axes = figure.axes[0]
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS))
        file = path.with_name(f"{path.stem}_dice.png")
        figure.savefig(file, dpi=140)
    return file.name

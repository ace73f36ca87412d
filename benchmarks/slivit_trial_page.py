"""Page and figures of the SLIViT trial, from its rows."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from slivit_trial import CONDITIONS, VALUES, Size

Rows = list[dict[str, str]]
NAMES = {
    "random": "SLIViT, random weights",
    "views": "SLIViT, trunk taught views",
    "simclr": "SLIViT, trunk by SimCLR",
    "r3d": "3D ResNet",
    "r2plus1d": "R(2+1)D",
    "vit3d": "3D ViT",
}
LABELS = {
    "edv": "EDV",
    "lv_mass": "LV mass",
    "left_ventricular_dilation": "LV dilation",
    "left_ventricular_hypertrophy": "LV hypertrophy",
    "right_ventricular_dilation": "RV dilation",
    "label": "LV dilation (.npz)",
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def of(rows: Rows, **wanted: Any) -> Rows:
    return [row for row in rows if all(row[name] == str(value) for name, value in wanted.items())]


def metric_of(label: str) -> str:
    return "r2" if label in VALUES else "auroc"


def cell(rows: Rows, **wanted: Any) -> str:
    """Mean and range over seeds; with one seed the bootstrap's limits."""
    found = [row for row in of(rows, **wanted) if row["value"] not in ("", "nan")]
    if not found:
        return "not run"
    numbers = [float(row["value"]) for row in found]
    if len(numbers) > 1:
        return f"{statistics.mean(numbers):.3f} ({min(numbers):.3f} to {max(numbers):.3f})"
    limits = f" [{float(found[0]['low']):.3f}, {float(found[0]['high']):.3f}]" if found[0]["low"] else ""
    return f"{numbers[0]:.3f}{limits}"


def table(rows: Rows, arms: list[tuple[str, dict[str, Any]]], first: str) -> list[str]:
    """Arms down, labels across."""
    names = (*VALUES, *CONDITIONS)
    heads = [f"{LABELS[n]}, {'R2' if n in VALUES else 'ROC AUC'}" for n in names]
    lines = [f"| {first} | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for words, wanted in arms:
        lines.append(
            f"| {words} | " + " | ".join(cell(rows, label=n, metric=metric_of(n), **wanted) for n in names) + " |"
        )
    return [*lines, ""]


def write_page(rows: Rows, path: Path, size: Size) -> None:
    """Write the page, and beside it the figures that the rows allow."""
    seconds = {row["step"]: float(row["seconds"]) for row in rows}
    hashes = ", ".join(sorted({row["data_hash"] for row in rows})) or "none"
    versions = ", ".join(sorted({row["version"] for row in rows})) or "none"
    initial = [(NAMES[a], {"study": "initialisation", "arm": a}) for a in ("random", "views", "simclr")]
    baselines = [(NAMES[a], {"study": "baseline", "arm": a}) for a in ("r3d", "r2plus1d", "vit3d")]
    designs = [("as released, trunk taught views", {"step": "init_views_s0"})]
    designs += [(r, {"study": "design", "arm": r}) for r in dict.fromkeys(r["arm"] for r in of(rows, study="design"))]
    sizes = [(f"{100 * f:g} %", {"step": f"size_{f:g}"}) for f in size.fractions]
    sizes.append(("100 %", {"step": "init_views_s0"}))
    pretraining = of(rows, study="pretraining", metric="val_accuracy")
    told = f"{float(pretraining[0]['value']):.3f}" if pretraining else "not run"
    lines = [
        "# SLIViT on phantoms",
        "",
        "Rendered hearts, not patients: no figure here is a clinical result.  For research use; not a medical device.",
        "The trial asks what Avram et al. (2024) say of SLIViT, where the truth is known, at a laptop's size: whether",
        "a trunk pretrained on 2D images helps, whether it beats networks that are 3D throughout, what the order of",
        "slices is worth.",
        "",
        "    python benchmarks/slivit_trial.py",
        "",
        f"Short-axis stacks at end-diastole: {size.train} patients to learn from, {size.val} for the choice of the",
        f"epoch, {size.test} to measure; {size.pretrain} others for the 2D pretraining, whose classes are the four",
        f"views (accuracy on held-out patients {told}).  No patient is in two parts.  Model slivit-tiny,",
        f"{size.slices} slices of {size.edge} x {size.edge} over 160 mm about the heart; one run learns EDV, LV mass",
        f"and three conditions at once, in {size.epochs} epochs of batches of 4, one cycle of the rate that peaks at",
        "0.001 in every arm.  These are very short runs: they compare the arms and are nobody's best.  In",
        "brackets the range over seeds, in square brackets 90 % bootstrap limits of one run.",
        "",
        f"Version {versions}; data {hashes}; {sum(seconds.values()) / 60:.0f} minutes in all (wall time of a machine",
        "that did other things as well).",
        "",
        "## Where the trunk starts, and the 3D baselines",
        "",
        *table(rows, initial + baselines, "model"),
        *_picture(draw_arms(rows, path), "ROC AUC and R2 by model, a point a seed"),
        *paired_table(rows),
        "## Extractor and integrator",
        "",
        "One seed.  `whole images` are as the scanner made them: the heart is a third of the field, and a pixel is not",
        "as long in every study.  `as released` cuts the trunk's map in memory order, so that a token is a group of",
        "channels of all slices; the others cut it slice by slice, as the paper describes.",
        "",
        *table(rows, designs, "design"),
        "## Patients to learn from",
        "",
        "One seed, trunk taught views; as many steps each.",
        "",
        *table(rows, sizes, "share"),
        "## Order of the slices",
        "",
        *order_table(rows, size),
        "## Likeness of trunks",
        "",
        f"Debiased linear CKA over the 4 x 4 places of each slice's map at 128 x 128, {size.cka_volumes} test volumes;",
        "in brackets the 5th and 95th percentile of the slices.",
        "",
        *likeness_table(rows),
        *_picture(draw_likeness(rows, path), "CKA between trunks"),
        "## The same through a .npz in MedMNIST's format",
        "",
        "The same patients as 28 x 28 x 28 voxels; the one label is LV dilation.",
        "",
        *[
            f"- {row['arm']}: {LABELS['label']} {cell(rows, step=row['step'], metric='auroc')} ROC AUC"
            for row in of(rows, study="medmnist", metric="auroc")
        ],
        "",
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def _picture(name: str | None, words: str) -> list[str]:
    return [f"![{words}]({name})", ""] if name else []


def paired_table(rows: Rows) -> list[str]:
    found = of(rows, study="paired")
    if not found:
        return []
    lines = [
        "SLIViT with the trunk taught views less the other, first seed, same bootstrap resamples.  p is twice the",
        "smaller share of resamples on one side of 0; the paper's t-test over resamples shrinks with their number and",
        "stands in the rows only.",
        "",
        "| against | label | difference | p |",
        "|---|---|---|---|",
    ]
    for row in found:
        against = row["note"].removeprefix("against ").partition(";")[0].removeprefix("init_")
        limits = f"{float(row['value']):+.3f} [{float(row['low']):+.3f}, {float(row['high']):+.3f}]"
        lines.append(f"| {NAMES[against]} | {LABELS[row['label']]} | {limits} | {float(row['p']):.3f} |")
    return [*lines, ""]


def order_table(rows: Rows, size: Size) -> list[str]:
    lines = [
        f"Trained models on {size.copies} shuffled copies of the test set (mean, 5th and 95th percentile), and models",
        "trained and tested on shuffled copies, one seed.",
        "",
    ]
    arms = [(arm, {"arm": arm}) for arm in dict.fromkeys(row["arm"] for row in of(rows, study="order"))]
    lines += table(rows, [("in order: memory cut", {"step": "init_views_s0"}), *arms], "model")
    for row in of(rows, study="order"):
        if row["note"].startswith("in order"):
            lines.append(f"- {row['arm'].removeprefix('tested shuffled: ')}, {LABELS[row['label']]}: {row['note']}")
    return [*lines, ""]


def likeness_table(rows: Rows) -> list[str]:
    found = of(rows, study="likeness", metric="cka")
    lines = ["| trunks | overall | top 5 % |", "|---|---|---|"]
    for row in found:
        lines.append(
            f"| {row['label']} | {cell(rows, label=row['label'], metric='cka')} | "
            f"{cell(rows, label=row['label'], metric='cka_top')} |"
        )
    return [*lines, ""] if found else []


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_arms(rows: Rows, path: Path) -> str | None:
    """A panel a label, an arm a colour, a point a seed."""
    import matplotlib as mpl

    from cardiolens.style import STYLE

    here = [row for row in rows if row["study"] in ("initialisation", "baseline") and row["value"] not in ("", "nan")]
    arms = [arm for arm in NAMES if of(here, arm=arm)]
    if not arms:
        return None
    names = [name for name in (*VALUES, *CONDITIONS) if of(here, label=name)]
    with mpl.rc_context(STYLE):
        figure = _figure(10.5, 3.4)
        for axis, name in zip(figure.subplots(1, len(names)), names, strict=True):
            for place, arm in enumerate(arms):
                found = [float(row["value"]) for row in of(here, arm=arm, label=name, metric=metric_of(name))]
                axis.plot([place] * len(found), found, "o", color=COLOURS[place], markersize=5, label=NAMES[arm])
            axis.set_title(LABELS[name])
            axis.set_ylabel("R2" if name in VALUES else "ROC AUC")
            axis.set_xticks([])
            axis.set_xlim(-0.7, len(arms) - 0.3)
            axis.axhline(0.0 if name in VALUES else 0.5, color="#999999", linewidth=0.8)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        file = path.with_name(f"{path.stem}_arms.png")
        figure.savefig(file, dpi=140)
    return file.name


def draw_likeness(rows: Rows, path: Path) -> str | None:
    """Overall CKA with its 5th and 95th percentile, and the mean of the top 5 %."""
    import matplotlib as mpl

    from cardiolens.style import STYLE

    found = sorted(of(rows, study="likeness", metric="cka"), key=lambda row: float(row["value"]))
    if not found:
        return None
    with mpl.rc_context(STYLE):
        figure = _figure(6.4, 0.6 + 0.3 * len(found))
        axis = figure.subplots()
        for place, row in enumerate(found):
            axis.plot([float(row["low"]), float(row["high"])], [place, place], color=COLOURS[0], linewidth=1)
            top = float(of(rows, study="likeness", metric="cka_top", label=row["label"])[0]["value"])
            axis.plot(
                float(row["value"]), place, "o", color=COLOURS[0], label="mean, 5th to 95th" if place == 0 else None
            )
            axis.plot(top, place, "^", color=COLOURS[1], label="top 5 %" if place == 0 else None)
        axis.set_yticks(range(len(found)), [row["label"] for row in found])
        axis.set_xlabel("CKA, debiased")
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        file = path.with_name(f"{path.stem}_cka.png")
        figure.savefig(file, dpi=140)
    return file.name

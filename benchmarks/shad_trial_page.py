"""Page and figures of the in-silico trial, from its rows alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shad_trial_cohorts import EXTERNAL, Size

Rows = Sequence[dict[str, str]]
SETS = {"internal": "internal test", "biobank": "external, biobank-like", "post_contrast": "external, after contrast"}
MAIN, BASE = "contrastive", "random"


def pick(rows: Rows, **wanted: object) -> list[dict[str, str]]:
    """Rows whose fields are these, as text or as numbers."""
    return [row for row in rows if all(_same(row[field], value) for field, value in wanted.items())]


def _same(found: str, value: object) -> bool:
    if isinstance(value, float):
        return bool(found) and float(found) == value
    return found == str(value)


def values(rows: Rows, **wanted: object) -> list[float]:
    return [float(row["value"]) for row in pick(rows, **wanted) if row["value"]]


def with_limits(row: dict[str, str], digits: int = 2) -> str:
    value = f"{float(row['value']):.{digits}f}"
    return value + (f" [{float(row['low']):.{digits}f}, {float(row['high']):.{digits}f}]" if row["low"] else "")


def one(rows: Rows, digits: int = 2, **wanted: object) -> str:
    found = pick(rows, **wanted)
    return with_limits(found[0], digits) if found and found[0]["value"] else "not run"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(line)} |" for line in lines), ""]


def p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"


def label_efficiency(rows: Rows) -> list[str]:
    """LVEF error on the internal test set by arm and share of the labels."""
    arms = dict.fromkeys(row["arm"] for row in pick(rows, metric="lvef_mae", data="internal"))
    shares = sorted({float(row["labels"]) for row in pick(rows, metric="lvef_mae", data="internal")})
    lines = []
    for arm in arms:
        line = [arm]
        for share in shares:
            found = values(rows, metric="lvef_mae", data="internal", arm=arm, labels=share)
            spread = f" ({min(found):.1f} to {max(found):.1f})" if len(found) > 1 else ""
            line.append(f"{statistics.mean(found):.2f}{spread}" if found else "")
        lines.append(line)
    return table(["arm", *(f"{share:.0%} of the labels" for share in shares)], lines)


def external_lvef(rows: Rows) -> list[str]:
    arms = dict.fromkeys(row["arm"] for row in pick(rows, metric="lvef_mae", data=EXTERNAL[0]))
    lines = []
    for arm in arms:
        for data, words in SETS.items():
            here = pick(rows, arm=arm, data=data, labels=1.0)
            lines.append(
                [
                    arm,
                    words,
                    one(here, metric="lvef_mae"),
                    one(here, metric="lvef_error_sd"),
                    one(here, metric="lvef_bias", digits=1),
                    f"{one(here, metric='lvef_mae_other_half_raw')} / "
                    f"{one(here, metric='lvef_mae_other_half_corrected')}",
                    one(here, metric="auroc_lvef_below_40", digits=3),
                    one(here, metric="lvef_mae_of_a_constant"),
                ]
            )
    head = ["arm", "test set", "MAE [95 %]", "sd of the error", "bias [limits of agreement]"]
    return table([*head, "raw / corrected, other half", "AUROC LVEF < 40 % [95 %]", "a constant"], lines)


def conditions(rows: Rows) -> list[str]:
    """AUROC of every condition, and the gain on the baseline with its p."""
    names = dict.fromkeys(row["condition"] for row in pick(rows, metric="auroc", arm=MAIN))
    lines = []
    for name in names:
        line = [name]
        for data in SETS:
            found = pick(rows, metric="auroc", arm=MAIN, data=data, condition=name)
            line.append(f"{with_limits(found[0])} ({found[0]['positive']})" if found and found[0]["value"] else "none")
        gain = pick(rows, metric="auroc_gain", data="internal", condition=name)
        line.append(f"{float(gain[0]['value']):+.2f} ({p_words(float(gain[0]['p']))})" if gain else "")
        line.append(one(rows, metric="zero_shot_auroc", data="internal", condition=name))
        lines.append(line)
    head = ["condition", *(f"{words} (positives)" for words in SETS.values())]
    return table([*head, "gain on the random encoder, internal (Holm)", "zero-shot, internal"], lines)


def means(rows: Rows) -> list[str]:
    arms = dict.fromkeys(row["arm"] for row in rows if row["metric"] in ("auroc_mean", "zero_shot_auroc_mean"))
    lines = []
    for metric, words in (("auroc_mean", "trained head"), ("zero_shot_auroc_mean", "zero-shot")):
        for arm in arms:
            if pick(rows, metric=metric, arm=arm):
                lines.append([arm, words, *(one(rows, metric=metric, arm=arm, data=data, digits=3) for data in SETS)])
    return table(["arm", "how", *SETS.values()], lines)


def found_again(rows: Rows) -> list[str]:
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows if row["step"].startswith("retrieval")):
        for data, words in SETS.items():
            here = pick(rows, arm=arm, data=data)
            for way in ("study_to_report", "report_to_study"):
                n = pick(here, metric=f"{way}_r_at_10")
                if n:
                    figures = [one(here, metric=f"{way}_r_at_{k}", digits=3) for k in (1, 5, 10)]
                    median = one(here, metric=f"{way}_median_rank", digits=0)
                    chance = f"{10 / int(n[0]['n']):.3f}"
                    lines.append([arm, words, way.replace("_", " "), *figures, median, n[0]["n"], chance])
    return table(["arm", "studies", "way", "R@1", "R@5", "R@10", "median rank", "n", "R@10 by chance"], lines)


def rescans(rows: Rows) -> list[str]:
    lines = []
    for what in ("predicted", "true"):
        here = pick(rows, step="rescan")
        lines.append(
            [
                what,
                one(here, metric=f"within_subject_cv_pct_of_{what}_lvef"),
                one(here, metric=f"icc_2_1_of_{what}_lvef"),
                one(here, metric=f"rescan_bias_of_{what}_lvef", digits=1),
            ]
        )
    return table(["LVEF", "within-subject CV, %", "ICC(2,1) [95 %]", "bias [limits of agreement], points"], lines)


def claims(rows: Rows, size: Size) -> list[str]:
    """What the paper says, what was found here, and whether it holds."""

    def mae(arm: str, share: float) -> float | None:
        found = values(rows, metric="lvef_mae", data="internal", arm=arm, labels=share)
        return statistics.mean(found) if found else None

    def few_labels(words: str, paper: str, share: float) -> list[str]:
        """The draws of the labelled patients one by one against the baseline with all labels."""
        draws = values(rows, metric="lvef_mae", data="internal", arm=frozen, labels=share)
        line, baseline = (
            compare(words, paper, mae(frozen, share), mae(plain, 1.0), "points", less=True),
            mae(plain, 1.0),
        )
        if baseline is None or len(draws) < 2:
            return line
        won = sum(draw < baseline for draw in draws)
        each = ", ".join(f"{draw:.2f}" for draw in draws)
        return [*line[:2], f"{line[2]}; the draws {each}", f"in {won} of {len(draws)} draws"]

    def compare(words: str, paper: str, a: float | None, b: float | None, unit: str, *, less: bool) -> list[str]:
        if a is None or b is None:
            return [words, paper, "not run", ""]
        holds = a < b if less else a > b  # the means; draws and limits stand beside them
        return [words, paper, f"{a:.2f} against {b:.2f} {unit}", "yes" if holds else "no"]

    frozen, plain, scratch = "contrastive, frozen", "random, frozen", "scratch, end to end"
    by_batch = {
        batch: mae(frozen if batch == size.batches[0] else f"contrastive batch {batch}, frozen", 1.0)
        for batch in size.batches
    }
    gains = [row for row in pick(rows, metric="auroc_gain", data="internal") if row["p"]]
    better = sum(float(row["p"]) < 0.05 and float(row["value"]) > 0 for row in gains)
    worse = sum(float(row["p"]) < 0.05 and float(row["value"]) < 0 for row in gains)
    mean = {a: next(iter(values(rows, metric="auroc_mean", data="internal", arm=a)), None) for a in (MAIN, BASE)}
    lines = [
        compare(
            "Contrastive pretraining lowers the LVEF error (encoder frozen)",
            "AUROC for LVEF < 40 % 0.880 against 0.751",
            mae(frozen, 1.0),
            mae(plain, 1.0),
            "points",
            less=True,
        ),
        few_labels(
            "With 1 % of the labels it beats the baseline with all of them",
            "fig. 3a (344 studies; here 4)",
            0.01,
        ),
        few_labels(
            "With 10 % of the labels it beats the baseline with all of them",
            "fig. 3a (3,449 studies; here 44)",
            0.1,
        ),
        compare(
            "Letting all weights train (transfer) is worse than a frozen encoder",
            "a marked decline",
            mae(frozen, 1.0),
            mae("contrastive, end to end", 1.0),
            "points",
            less=True,
        ),
        compare(
            "Pretraining beats training from scratch",
            "not compared",
            mae("contrastive, end to end", 1.0),
            mae(scratch, 1.0),
            "points",
            less=True,
        ),
        compare(
            "A larger batch gives a better start for LVEF",
            "improved, not clinically significant",
            by_batch[max(size.batches)],
            by_batch[min(size.batches)],
            f"points, batch {max(size.batches)} against {min(size.batches)}",
            less=True,
        ),
        compare(
            "AUROC gains over the conditions",
            "across most of the 35",
            mean[MAIN],
            mean[BASE],
            f"mean AUROC; {better} of {len(gains)} better, {worse} worse (Holm, p < 0.05)",
            less=False,
        ),
    ]
    swept = pick(rows, metric="sweep_mae", data="internal val")
    if swept:
        first, last = swept[0], swept[-1]
        lines.append(
            compare(
                "The error falls as pretraining goes on (fig. 3d: validation, 10 % of the labels)",
                "not monotonically",
                float(last["value"]),
                float(first["value"]),
                f"points, {last['condition']} against {first['condition'].removeprefix('epoch ')}",
                less=True,
            )
        )
    return table(["claim", "paper", "here", "holds here"], lines)


def write_page(rows: Rows, path: Path, size: Size) -> None:
    """Write the page, and beside it the figures that the rows allow."""
    figures = draw_figures(rows, path)

    def figure(name: str, words: str) -> list[str]:
        return [f"![{words}]({figures[name]})", ""] if name in figures else []

    versions = ", ".join(sorted({row["version"] for row in rows})) or "none"
    hashes = ", ".join(sorted({f"{row['data_hash']} / {row['split_hash']}" for row in rows})) or "none"
    lines = [
        "# In-silico trial",
        "",
        "Rendered hearts, not patients: no figure here is a clinical result, and cardiolens is no medical device.  The",
        "trial asks whether the claims of Shad et al. hold where the truth is known, at a size that two cores can do.",
        "",
        "    python benchmarks/shad_trial.py",
        "",
        f"Model {size.model}.  Internal cohort: {size.internal} patients of two phantom sites, of whom",
        f"{size.pretrain} + {size.pretrain_val} with their reports for pretraining, and {size.train} training,",
        f"{size.val} validation, {size.calibration} calibration and about {size.test} test with labels; no patient is",
        f"in two parts.  External: {size.external} patients of a biobank-like site and {size.external} of a site that",
        f"scans after contrast agent.  All are enriched, so that {size.at_least} or more positives of each condition",
        "are in each test set where the draw had as many (the table counts them); prevalence is no population's.",
        "Labels are the phantom's truth, not read from reports.  There are no Kinetics weights here: the baseline is",
        "the same network with random weights, frozen: weaker than the paper's.  Nothing was tuned on a test set.",
        "",
        "Seconds in the rows are wall time on a machine that did other things as well.",
        "",
        f"Version {versions}; data and split {hashes}.",
        "",
        "## The paper's claims",
        "",
        *claims(rows, size),
        "One pretraining run a batch size.  'Yes' and 'no' compare two figures and are no test: some tenths of a point",
        "lie within the limits.",
        "",
        "## LVEF by share of the labels",
        "",
        "Mean absolute error in points of LVEF, internal test set; in brackets the range over draws of the labelled",
        "patients.  Every arm chooses its epoch by the same labelled validation studies, also where few labels train.",
        "",
        f"Where everything trains, there were {size.end_to_end[1.0]} passes over all labels: too few for a network",
        "from scratch to learn from; a longer run would be a fairer rival.",
        "",
        *label_efficiency(rows),
        *figure("labels", "LVEF error against the share of the labels"),
        "## LVEF, internal and external",
        "",
        "The correction is a straight line fitted on one half of the studies and measured on the other.",
        "",
        *external_lvef(rows),
        "## Conditions",
        "",
        "AUROC with DeLong 95 % limits.  A curve is never turned round: below 0.5 is worse than a coin.",
        "",
        *means(rows),
        *conditions(rows),
        *figure("conditions", "AUROC of every condition, internal and external, against the random encoder"),
        "## Study and report find each other",
        "",
        *found_again(rows),
        "## By pretraining checkpoint",
        "",
        *figure("sweep", "Downstream error against epochs of pretraining"),
        "## Scanned twice",
        "",
        "The same hearts on another day, anew positioned, breathing and noisy; truth itself differs from day to day.",
        "",
        *rescans(rows),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def draw_figures(rows: Rows, path: Path) -> dict[str, str]:
    """Name to file name, of the figures whose rows are there."""
    import matplotlib as mpl

    from cardiolens.style import STYLE

    drawn = {}
    makers: dict[str, Callable[[Rows], Any]] = {
        "labels": _draw_labels,
        "conditions": _draw_conditions,
        "sweep": _draw_sweep,
    }
    for name, make in makers.items():
        with mpl.rc_context(STYLE):
            figure = make(rows)
            if figure is None:
                continue
            file = path.with_name(f"{path.stem}_{name}.png")
            figure.savefig(file, dpi=140)
            drawn[name] = file.name
    return drawn


def _axes(width: float, height: float, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns)


_COLOURS = ("#0072B2", "#8A8A8A", "#D55E00", "#009E73", "#CC79A7", "#E69F00")


def _draw_labels(rows: Rows) -> Any:
    arms = dict.fromkeys(
        row["arm"] for row in pick(rows, metric="lvef_mae", data="internal") if "batch" not in row["arm"]
    )
    if not arms:
        return None
    figure, axes = _axes(6.2, 4.0)
    for arm, colour in zip(arms, _COLOURS, strict=False):
        here = pick(rows, metric="lvef_mae", data="internal", arm=arm)
        shares = sorted({float(row["labels"]) for row in here})
        middle = [statistics.mean(values(here, labels=share)) for share in shares]
        axes.plot([100 * s for s in shares], middle, color=colour, label=arm)
        for row in here:
            axes.plot(100 * float(row["labels"]), float(row["value"]), "o", color=colour, markersize=4)
    constant = values(rows, metric="lvef_mae_of_a_constant", data="internal")
    if constant:
        axes.axhline(constant[0], color="#222222", linestyle=":", label="a constant")
    axes.set_xscale("log")
    axes.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes.set_xlabel("share of the labels, %")
    axes.set_ylabel("MAE, points of LVEF")
    axes.set_title("LVEF, internal test set (phantom)")
    axes.legend()
    return figure


def _draw_conditions(rows: Rows) -> Any:
    names = [row["condition"] for row in pick(rows, metric="auroc", arm=MAIN, data="internal") if row["value"]]
    if not names:
        return None
    names.sort(key=lambda name: values(rows, metric="auroc", arm=MAIN, data="internal", condition=name)[0])
    figure, axes = _axes(8.2, 9.5)
    sets = [(MAIN, "internal", "contrastive, internal test")]
    sets += [(MAIN, data, f"contrastive, {SETS[data]}") for data in EXTERNAL]
    sets += [(BASE, "internal", "random encoder, internal test")]
    for place, ((arm, data, words), colour) in enumerate(
        zip(sets, ("#0072B2", "#009E73", "#D55E00", "#8A8A8A"), strict=True)
    ):
        for height, name in enumerate(names):
            found = pick(rows, metric="auroc", arm=arm, data=data, condition=name)
            if not found or not found[0]["value"]:
                continue
            y = height + 0.27 - 0.18 * place
            low, high = float(found[0]["low"]), float(found[0]["high"])
            axes.plot([low, high], [y, y], color=colour, linewidth=1.2)
            label = words if height == 0 else None
            axes.plot(float(found[0]["value"]), y, "o", color=colour, markersize=3.5, label=label)
    axes.axvline(0.5, color="#222222", linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlabel("AUROC, DeLong 95 % limits")
    axes.set_title("35 conditions (phantom)")
    axes.legend(loc="upper left")
    return figure


def _draw_sweep(rows: Rows) -> Any:
    metrics = [m for m in ("sweep_mae", "sweep_mean_auroc") if pick(rows, metric=m)]
    if not metrics:
        return None
    figure, axes = _axes(4.2 * len(metrics), 3.6, len(metrics))
    words = {"sweep_mae": "LVEF MAE, points (10 % of the labels)", "sweep_mean_auroc": "mean AUROC over the conditions"}
    for axis, metric in zip(axes if len(metrics) > 1 else [axes], metrics, strict=True):
        for part, colour in (("internal val", "#8A8A8A"), ("internal test", "#0072B2")):
            here = pick(rows, metric=metric, data=part)
            epochs = [int(row["condition"].removeprefix("epoch ")) for row in here]
            axis.plot(epochs, [float(row["value"]) for row in here], "o-", color=colour, label=part)
        axis.set_xlabel("epochs of pretraining")
        axis.set_ylabel(words[metric])
        axis.legend()
    return figure

"""Write docs/models/: a page a bundled model from its card, and the list of them.

    python examples/model_cards.py

Nothing on these pages is typed by hand but the words below; a test compares them with what this script makes.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from cardiolens.models.card import Card
from cardiolens.models.registry import entry_of
from cardiolens.text.conditions import CONDITIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "models"
NAMES = {condition.column: condition.name for condition in CONDITIONS}
PARTS = ("val", "calibration", "test")
MADE = "<!-- written by examples/model_cards.py from the card that lies beside the weights -->"
RESEARCH = (
    '**Research use only, not a medical device.**  Learned from rendered hearts ("phantoms") alone; no figure from a '
    "phantom is a clinical result."
)
USES: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "shad-mvit-tiny": (
        "To show and test every step of the software without patient data; to study methods where the truth is known.",
        "Any statement about a patient.  It flags every study that does not say that the phantom made it: its figures "
        "are then struck through.",
        (
            ("results/bundled_model.md", "what it does on phantoms and on two real scans"),
            ("results/shad_trial.md", "the trial that it comes from"),
            ("results/explain_phantom.md", "whether its attention finds what was altered"),
            ("explanation/choices.md", "how it differs from the published design"),
        ),
    ),
    "segmenter": (
        "To draw chambers on short- and long-axis cines as a start that a reader corrects; to test measures and flags.",
        "Volumes or LVEF that nobody has looked at.  It has no out-of-domain check: it draws on any cine.",
        (
            ("results/segmenter.md", "what was measured, on real scans too"),
            ("explanation/segmenter.md", "how it was made and where it fails"),
            ("results/measures_phantom.md", "the error of the measures from perfect contours"),
        ),
    ),
}


def bundled(root: Path | None = None) -> list[tuple[Path, Card]]:
    """Folder and card of every model that the package brings."""
    if root is None:
        spec = importlib.util.find_spec("cardiolens")
        assert spec is not None and spec.origin is not None
        root = Path(spec.origin).parent / "weights"
    return [(path.parent, Card.read(path)) for path in sorted(root.glob("*/*/card.json"))]


def stem(card: Card) -> str:
    """Name of its page, without .md: `shad-mvit-tiny-phantom`."""
    return card.full_name.replace(":", "-")


def page(folder: Path, card: Card) -> str:
    """The page of one model."""
    use, misuse, links = USES[card.name]
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    facts = [
        ("what", entry_of(card.name).words),
        ("weights from", card.source),
        ("size", f"{size:.1f} MB, stored as {card.dtype}, computed in float32"),
        ("SHA-256 of the weights", f"`{card.sha256}`"),
        ("licence of code, weights, data", f"{card.licence.code}; {card.licence.weights}; {card.licence.data}"),
        ("to read", ", ".join(f"[{words}](../{target})" for target, words in links)),
        ("reporting sheets", f"[CLAIM 2024]({stem(card)}-claim.md), [TRIPOD+AI]({stem(card)}-tripod-ai.md)"),
    ]
    parts = [
        f"# `{card.full_name}`",
        MADE,
        RESEARCH,
        _table(("", ""), facts),
        f"**For.**  {use}\n\n**Not for.**  {misuse}",
        *(["## Notes", "\n".join(f"- {note}" for note in card.notes)] if card.notes else []),
        *(["## What goes in", _pairs(card.transform)] if card.transform else []),
        *(part for name, task in card.tasks.items() for part in _task(name, task)),
        "## Out-of-domain check",
        _domain(card.domain),
        "## Where it comes from",
        *_provenance(card.provenance),
        "## Network",
        _pairs(card.architecture),
    ]
    return "\n\n".join(parts) + "\n"


def index(models: list[tuple[Path, Card]]) -> str:
    """The list of bundled models."""
    rows = [
        (
            f"[`{card.full_name}`]({stem(card)}.md)",
            entry_of(card.name).words,
            ", ".join(card.tasks),
            f"[CLAIM]({stem(card)}-claim.md), [TRIPOD+AI]({stem(card)}-tripod-ai.md)",
        )
        for _, card in models
    ]
    return (
        "\n\n".join(
            [
                "# Model cards",
                MADE,
                "The models that come with the package.  Each page is made from the card that lies beside the weights; "
                "its reporting sheets say item by item what was done and what was not.",
                RESEARCH,
                _table(("model", "what", "tells", "sheets"), rows),
                "Other names that `cardiolens models` lists are untrained, or stand for weights of others, which you "
                "[bring yourself](../how-to/weights.md) under their own licence and with their own papers.  A model "
                "that you train gets a card of the same kind: `final/card.json` in its run folder, shown at the end of "
                "every report page.",
            ]
        )
        + "\n"
    )


def _task(name: str, task: dict[str, Any]) -> list[str]:
    if name == "lvef":
        return ["## LVEF", *_lvef(task)]
    return ["## Conditions", *_conditions(task)]


def _lvef(task: dict[str, Any]) -> list[str]:
    """Errors by part of the split, what was measured elsewhere, and the interval."""
    parts = []
    if metrics := task.get("metrics"):
        rows = [(name.removesuffix("_mae"), f"{value:.2f}") for name, value in metrics.items()]
        parts.append("Trained in mode `{}`.  Phantoms, points of LVEF:".format(task["mode"]))
        parts.append(_table(("part of the split", "mean absolute error"), rows))
    if measured := task.get("measured"):
        rows = [
            (row["on"], row["n"], f"{row['mae']:.1f}", f"{row['bias']:+.1f}", f"{row['most']:.1f}") for row in measured
        ]
        parts.append(_table(("measured on", "n", "mean absolute error, points", "bias", "largest error"), rows))
    if interval := task.get("conformal"):
        parts.append(
            f"Interval: ±{interval['quantile']:.1f} points, meant to hold for {100 * interval['coverage']:.0f} % of "
            f"studies like the {interval['n']} held-out ones that set it (split conformal)."
        )
    else:
        parts.append("No interval: the figure comes without a statement of how far off it may be.")
    return parts


def _conditions(task: dict[str, Any]) -> list[str]:
    """AUROC on the test part beside the operating point of the calibration part."""
    metrics, calibration = task["metrics"], task["calibration"]
    means = ", ".join(f"{part} {metrics[part]['mean_auroc']:.2f}" for part in PARTS)
    rows = []
    for label in task["labels"]:
        test, point = metrics["test"]["conditions"][label], calibration["conditions"].get(label)
        limits = "–" if test["low"] is None else f"{test['low']:.2f}\u00a0to\u00a0{test['high']:.2f}"
        chosen = ("–", "–", "not calibrated")
        if point:
            share = f"{point['positive']} of {point['n']}"
            chosen = (f"{point['sensitivity']:.2f}", f"{point['specificity']:.2f}", share)
        rows.append((NAMES[label], f"{test['auroc']:.2f}", limits, f"{test['positive']} of {test['n']}", *chosen))
    heads = ("condition", "AUROC, test", "limits", "positives", "sensitivity", "specificity", "calibration positives")
    left_out = "; ".join(f"{NAMES[label]}: {reason}" for label, reason in calibration["left_out"].items())
    return [
        f"Mean AUROC over the conditions on phantoms: {means}.  Cohorts are enriched: no prevalence here is a "
        f"population's.  Probabilities: {calibration['method']}.  {calibration['prevalence']}  Threshold: "
        f"{calibration['threshold']}; sensitivity and specificity are those on the calibration studies that chose it, "
        "so somewhat too good.  Limits are DeLong's, 95 %.",
        _table(heads, rows),
        *([f"Not calibrated, so without probability and flag: {left_out}."] if left_out else []),
    ]


def _domain(domain: dict[str, Any] | None) -> str:
    if domain is None:
        return "None.  Nothing tells whether a study is of the kind that the model knows."
    words = (
        f"A study is compared in {domain['dim']} figures (embedding and {len(domain['statistics'])} image statistics) "
        f"with {domain['n_fit']} training studies; the limit passes {100 * domain['quantile']:.0f} % of "
        f"{domain['n_held_out']} held-out ones."
    )
    if domain.get("manufacturer"):
        words += (
            f'  Besides, a study that does not name "{domain["manufacturer"]}" as its manufacturer is out of domain.'
        )
    return words


def _provenance(provenance: dict[str, Any] | None) -> list[str]:
    """The last training first, then the one that it started from, and so on."""
    parts: list[str] = []
    while provenance:
        rows = {name: value for name, value in provenance.items() if name != "start"}
        if parts:
            parts.append("Started from:")
        parts.append(_pairs(rows))
        provenance = provenance.get("start")
    return parts


def _pairs(values: dict[str, Any]) -> str:
    return _table(("", ""), [(name.replace("_", " "), _words(value)) for name, value in values.items()])


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name.replace('_', ' ')} {_words(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_words(each) for each in value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else "–" if value is None else str(value)


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    models = bundled()
    made = {PAGES / f"{stem(card)}.md": page(folder, card) for folder, card in models}
    return {PAGES / "index.md": index(models), **made}


def main() -> None:
    PAGES.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

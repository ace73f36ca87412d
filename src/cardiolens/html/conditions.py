"""What the report shows of conditions: groups by the operating threshold, the highest score first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cardiolens.conditions import ConditionFinding
from cardiolens.findings import Prediction
from cardiolens.text.conditions import CONDITIONS, NORMAL

if TYPE_CHECKING:
    from cardiolens.models.card import Card

_COLUMN = 8  # rows from which on a group is set in two columns


def condition_facts(prediction: Prediction, card: Card) -> dict[str, Any] | None:
    """Everything that the section shows; None where the model tells no condition."""
    findings = sorted(prediction.conditions, key=lambda finding: (-(finding.probability or 0.0), -finding.score))
    if not findings:
        return None
    measured = _measured(card)
    calibrated = [finding for finding in findings if finding.basis and finding.name != NORMAL]
    by_view = any(finding.attention for finding in findings)
    groups = [("", findings)]
    if any(finding.basis for finding in findings) and not prediction.out_of_domain:
        groups = [
            ("At or above the operating threshold", [f for f in findings if f.flagged]),
            ("Below the operating threshold", [f for f in findings if f.flagged is False]),
            (
                "Not calibrated: too few calibration studies with or without it, or a score that did not rise with it",
                [f for f in findings if f.flagged is None],
            ),
        ]
    by_chance = sum(1 - finding.basis.specificity for finding in calibrated if finding.basis)
    return {
        "flagged": [finding for finding in calibrated if finding.flagged],
        "calibrated": len(calibrated),
        "n": max((finding.basis.n for finding in calibrated if finding.basis), default=0),
        "by_chance": f"about {by_chance:.0f}" if by_chance >= 1.5 else f"{by_chance:.1f}" if calibrated else "",
        "groups": [(title, _columns([_row(f, measured) for f in rows])) for title, rows in groups if rows],
        "by_view": by_view,
        "ranked": bool(measured),
        "rule": _rule(card),
        "unknown": _unknown(findings),
    }


def _row(finding: ConditionFinding, measured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    most = max(finding.attention, key=lambda row: row.share, default=None)
    return {
        "words": finding.words,
        "score": finding.score,
        "threshold": finding.threshold,
        "flagged": finding.flagged,
        "alarming": finding.flagged and finding.name != NORMAL,
        "chance": f"{_percent(finding.probability)} ({finding.basis.positive})" if finding.basis else "–",
        "rank": _area(measured.get(finding.name)),
        "looked": f"{most.view} {most.share * 100:.0f} %" if most else "–",
    }


def _area(row: Mapping[str, Any] | None) -> str:
    """AUROC with its limits, which a single positive study does not have."""
    if row is None:
        return "–"
    limits = row.get("low"), row.get("high")
    if any(limit is None or math.isnan(limit) for limit in limits):
        return f"{row['auroc']:.2f} (no limits)"
    return f"{row['auroc']:.2f} ({limits[0]:.2f}–{limits[1]:.2f})"


def _percent(probability: float | None) -> str:
    if probability is None:
        return "–"
    value = 100 * probability
    return "< 1 %" if value < 1 else "> 99 %" if value > 99 else f"{value:.0f} %"


def _columns(rows: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    """One table, or two side by side."""
    if len(rows) < _COLUMN:
        return [rows]
    half = (len(rows) + 1) // 2
    return [rows[:half], rows[half:]]


def _measured(card: Card) -> dict[str, Mapping[str, Any]]:
    """Condition to its AUROC on the test part, where there was one and both classes were in it."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in card.tasks.values():
        test = (entry.get("metrics") or {}).get("test")
        if isinstance(test, Mapping):
            rows = test.get("conditions", {})
            found |= {name: row for name, row in rows.items() if row.get("auroc") is not None}
    return found


def _rule(card: Card) -> str:
    """How the thresholds were chosen, as the card has it."""
    rules = {str(entry["calibration"]["threshold"]) for entry in card.tasks.values() if entry.get("calibration")}
    return f" ({', '.join(sorted(rules))} on the calibration studies)" if rules else ""


def _unknown(findings: Sequence[ConditionFinding]) -> list[str]:
    """Of the 35 conditions those that the model does not know; none are named where it knows few of them."""
    known = {finding.name for finding in findings}
    absent = [condition.name for condition in CONDITIONS if condition.column not in known]
    return absent if len(absent) < len(CONDITIONS) / 2 else []

"""The cohort: flow with exclusions and reasons, who they are (table 1), how they were scanned."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from cardiolens.study import View
from cardiolens.validation.cohort import AGE_BANDS, Cohort, label_columns, views_of
from cardiolens.validation.drawing import boxes, capital, readable
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    from cardiolens.evaluation.figures import Drawn

_SHOWN = 4  # reasons named in the figure


def cohort_section(case: Case) -> Section:
    """Flow, demographics, scanners."""
    section = Section("cohort", "The cohort")
    section.notes += list(case.cohort.notes)
    steps = flow(case)
    section.figures.append(_flow_figure(steps))
    rows = [
        {"step": text, "n": n, "left_out": sum(lost.values()), "reasons": _reasons(lost)} for text, n, lost in steps
    ]
    section.tables.append(Table("flow", "Studies at each step, and why some went no further", pd.DataFrame(rows)))
    excluded = [*case.cohort.excluded, *case.readings.refused]
    listed = pd.DataFrame([vars(one) for one in excluded], columns=["key", "step", "reason"])
    section.tables.append(
        Table("exclusions", "Every study left out, or output missing, with its reason", listed, listed[:0])
    )
    section.tables.append(demographics(case.cohort, case.readings.keys))
    if nobody := _without(case.cohort.labels.reindex(case.readings.keys)):
        section.notes.append(f"No study with {', '.join(map(readable, nobody))}.")
    section.tables.append(scanners(case.cohort, case.readings.keys))
    return section


def flow(case: Case) -> list[tuple[str, int, dict[str, int]]]:
    """(step, studies, reason to how many were lost on the way to the next)."""
    cohort, readings = case.cohort, case.readings
    refused = {one.key for one in readings.refused if one.step == "refused"}
    lost = Counter(one.step for one in cohort.excluded)
    reasons = Counter(_brief(one.reason) for one in readings.refused if one.key in refused and one.step == "refused")
    outside = cohort.n_store - cohort.n_asked
    steps = [
        ("in the store", cohort.n_store, {"not in the part asked for": outside} if outside else {}),
        ("asked for", cohort.n_asked, dict(lost)),
        ("with a cine", len(cohort.keys), dict(reasons)),
        ("read by the model", len(readings.keys), {}),
    ]
    labels = cohort.labels.reindex(readings.keys)
    if "lvef" in readings.values.columns:
        known, given = _known(labels, "lvef"), readings.values["lvef"].notna().to_numpy()
        gaps = {"without a true LVEF": int((~known).sum()), "LVEF is NaN": int((known & ~given).sum())}
        steps.append(("with true and predicted LVEF", int((known & given).sum()), {}))
        steps[-2] = (*steps[-2][:2], {reason: count for reason, count in gaps.items() if count})
    if case.shared:
        some = labels[case.shared].notna().any(axis=1).to_numpy()
        gap = {"without a label of any condition": int((~some).sum())} if not some.all() else {}
        if "lvef" not in readings.values.columns:
            steps[-1] = (*steps[-1][:2], gap)
        steps.append(("with a condition known", int(some.sum()), {}))
    return steps


def _known(labels: pd.DataFrame, name: str) -> Any:
    if name not in labels:
        return pd.Series(False, index=labels.index).to_numpy()
    return labels[name].notna().to_numpy()


def _brief(reason: str) -> str:
    return reason if len(reason) <= 60 else reason[:57] + "…"


def _reasons(lost: dict[str, int]) -> str:
    return "; ".join(f"{reason}: {count}" for reason, count in lost.items())


def _flow_figure(steps: list[tuple[str, int, dict[str, int]]]) -> Drawn:
    from cardiolens.evaluation.figures import Drawn

    drawn = []
    for text, n, lost in steps:
        lines = [f"{count:,} {reason}" for reason, count in Counter(lost).most_common(_SHOWN)]
        if len(lost) > _SHOWN:
            lines.append(f"and {len(lost) - _SHOWN} more reasons, see flow.csv")
        drawn.append((f"{n:,} studies\n{text}", lines))
    words = "; ".join(f"{n:,} {text}" for text, n, _ in steps)
    return Drawn("flow", "Cohort flow", f"Studies at each step: {words}.", boxes(drawn, "Cohort flow"))


def demographics(cohort: Cohort, keys: list[str]) -> Table:
    """Table 1 of the studies that were read."""
    studies, labels = cohort.studies.loc[keys], cohort.labels.reindex(keys)
    n = len(studies)
    rows = [("Studies", f"{n:,}", ""), ("Patients", f"{studies['patient'].nunique():,}", "")]
    for name, title, unit in (("age", "Age", "years"), ("heart_rate", "Heart rate", "beats/min")):
        rows.append((f"{title}, {unit}: mean (SD)", *_mean(studies[name])))
    for value, count in studies["sex"].value_counts().items():
        rows.append((f"Sex {value}", _share(int(count), int(studies["sex"].notna().sum())), _unknown(studies["sex"])))
    if studies["age_group"].notna().any():
        for _, _, band in AGE_BANDS:
            count = int((studies["age_group"] == band).sum())
            rows.append((f"Age {band}", _share(count, int(studies["age_group"].notna().sum())), ""))
    for value, count in studies["site"].value_counts().items():
        rows.append((f"Site {value}", _share(int(count), n), ""))
    if "lvef" in labels and labels["lvef"].notna().any():
        lvef = labels["lvef"]
        rows.append(("LVEF, %: mean (SD)", *_mean(lvef)))
        rows.append(("LVEF < 40 %", _share(int((lvef < 40).sum()), int(lvef.notna().sum())), ""))
    for name in label_columns(labels):
        known = labels[name].notna()
        if (labels[name] == 1).any():
            rows.append(
                (
                    capital(readable(name)),
                    _share(int((labels[name] == 1).sum()), int(known.sum())),
                    _unknown(labels[name]),
                )
            )
    rows.append(("With a report", _share(int(studies["has_report"].sum()), n), ""))
    frame = pd.DataFrame(rows, columns=["What", "Value", "Unknown"])
    return Table("demographics", "Table 1: the studies that were read", frame)


def _without(labels: pd.DataFrame) -> list[str]:
    """Conditions with labels and not one positive."""
    return [name for name in label_columns(labels) if labels[name].notna().any() and not (labels[name] == 1).any()]


def scanners(cohort: Cohort, keys: list[str]) -> Table:
    """Studies by vendor, scanner and field strength, with what their cines are like."""
    studies = cohort.studies.loc[keys].copy()
    for name in ("vendor", "scanner"):
        studies[name] = studies[name].fillna("not said").astype(str)
    studies["field"] = [f"{value:g} T" if not math.isnan(value) else "not said" for value in studies["field_t"]]
    rows = []
    for (vendor, scanner, field), part in studies.groupby(["vendor", "scanner", "field"], sort=True):
        own = [str(key) for key in part.index]
        rows.append(
            {"vendor": vendor, "scanner": scanner, "field": field, "studies": len(part)}
            | {"patients": part["patient"].nunique(), "phases (median)": _median(part["phases"])}
            | {"pixel, mm (median)": _median(part["pixel_mm"]), "planes (median)": _median(part["planes"])}
            | {f"with {view}": count for view, count in views_of(own, studies)}
        )
    columns = ["vendor", "scanner", "field", "studies", "patients", "phases (median)", "pixel, mm (median)"]
    columns += ["planes (median)", *(f"with {view}" for view in View)]
    return Table("scanners", "How they were scanned", pd.DataFrame(rows, columns=columns))


def _median(column: pd.Series[float]) -> float | None:
    known = column.dropna()
    return round(float(known.median()), 2) if len(known) else None


def _mean(column: pd.Series[float]) -> tuple[str, str]:
    known = column.dropna()
    if known.empty:
        return "–", f"{len(column):,}"
    return (f"{known.mean():.1f} ({known.std():.1f})" if len(known) > 1 else f"{known.mean():.1f}"), _unknown(column)


def _unknown(column: pd.Series[Any]) -> str:
    count = int(column.isna().sum())
    return f"{count:,}" if count else ""


def _share(count: int, n: int) -> str:
    return f"{count:,} ({100 * count / n:.1f} %)" if n else "–"

"""Subgroups: how well the model does by sex, age, scanner, field strength and site, and whether they differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from cardiolens.stats import SubgroupTable, adjust_p_values, subgroup_table
from cardiolens.validation.cohort import Progress
from cardiolens.validation.drawing import readable, with_limits
from cardiolens.validation.lvef import LABEL, lvef_table
from cardiolens.validation.request import Case
from cardiolens.validation.sections import Section, Table

ATTRIBUTES = {
    "sex": "Sex",
    "age_group": "Age",
    "vendor": "Vendor",
    "scanner": "Scanner",
    "field_t": "Field strength, T",
    "site": "Site",
}
_FEWEST = 20  # positives, and negatives, for AUROC by group
_RESAMPLES = 1000


def subgroup_section(case: Case, progress: Progress = lambda what, done, total: None) -> Section:
    """A table of every figure in every group."""
    section = Section("subgroups", "Subgroups")
    studies = case.cohort.studies.loc[case.readings.keys]
    several = [name for name in ATTRIBUTES if studies[name].nunique() > 1]
    for name, title in ATTRIBUTES.items():
        if name not in several:
            known = studies[name].dropna().unique()
            what = f"all are {known[0]}" if len(known) else "it is not known of any study"
            section.notes.append(f"No subgroups by {title.split(',')[0].lower()}: {what}.")
    measures = list(_measures(case, section))
    if not several or not measures:
        if not measures:
            section.notes.append("No figure can be given by group: no labels, or too few positives.")
        return section
    found: list[tuple[str, str, SubgroupTable]] = []
    for number, (title, metric, keys, first, second) in enumerate(measures):
        progress("subgroups", number, len(measures))
        part = case.cohort.studies.loc[keys]
        for name in several:
            table = subgroup_table(
                metric,
                first,
                second,
                groups=part[name].tolist(),
                patients=part["patient"].to_numpy(),
                minimum=case.settings.minimum,
                n_resamples=_RESAMPLES,
                level=case.settings.level,
                seed=case.settings.seed,
            )
            found.append((title, name, table))
    progress("subgroups", len(measures), len(measures))
    section.words.append(
        "Each figure in each group with bootstrap limits by patient, and its difference from all other studies. "
        "p: that the figure is equal in all groups of an attribute (Wald, bootstrap covariance), corrected after Holm "
        "over the whole table. Groups differ in how sick they are as well: a difference is a question, not a verdict."
    )
    section.tables.append(_table(found))
    return section


def _measures(case: Case, section: Section) -> Iterator[tuple[str, str, list[str], Any, Any]]:
    """(title, metric, keys, first column, second column)."""
    if LABEL in case.readings.values.columns:
        table = lvef_table(case, case.readings).dropna(subset=["label", "prediction"])
        if len(table):
            keys = table["key"].tolist()
            pred, label = table["prediction"].to_numpy(), table["label"].to_numpy()
            yield "LVEF, MAE", "mae", keys, pred, label
            yield "LVEF, bias", "bias", keys, pred, label
            positive = label < 40
            if min(positive.sum(), (~positive).sum()) >= _FEWEST:
                yield "LVEF < 40 %, AUROC", "auroc", keys, positive, -pred
            else:
                section.notes.append(f"AUROC for LVEF < 40 % not by group: {int(positive.sum())} positives.")
    rare = []
    for name in case.shared:
        both = pd.DataFrame({"label": case.cohort.labels[name], "score": case.readings.conditions[name]})
        both = both.reindex(case.readings.keys).dropna()
        positive = both["label"].to_numpy() == 1
        if min(positive.sum(), (~positive).sum()) < _FEWEST:
            rare.append(f"{readable(name)} ({int(positive.sum())})")
            continue
        yield f"{readable(name)}, AUROC", "auroc", [str(k) for k in both.index], positive, both["score"].to_numpy()
    if rare:
        section.notes.append(f"AUROC not by group, fewer than {_FEWEST} positives or negatives: {', '.join(rare)}.")


def _table(found: list[tuple[str, str, SubgroupTable]]) -> Table:
    tests = {f"{title} {name}": table.interaction_p for title, name, table in found}
    corrected = adjust_p_values(tests)
    rows, shown = [], []
    for title, name, table in found:
        p = corrected[f"{title} {name}"]
        digits = 3 if table.metric == "auroc" else 2
        for group in table.groups:
            row: dict[str, Any] = {"figure": title, "attribute": name, "group": group.name, "n": group.n}
            row |= {"patients": group.n_patients, "value": group.value, "low": group.low, "high": group.high}
            row |= {"rest": group.rest, "difference": group.difference, "difference_low": group.difference_low}
            row |= {
                "difference_high": group.difference_high,
                "interaction_p": p.p_value,
                "interaction_p_holm": p.adjusted,
            }
            rows.append(row | {"refused": group.refused, "unknown": table.n_unknown, "note": table.interaction_note})
            first = group is table.groups[0]
            shown.append(
                {
                    "Figure": title if first else "",
                    "By": ATTRIBUTES[name] if first else "",
                    "Group": group.name,
                    "n": group.n,
                    "Value": group.refused or with_limits(group.value, group.low, group.high, digits),
                    "Minus the rest": with_limits(
                        group.difference, group.difference_low, group.difference_high, digits
                    ),
                    "p": _p(p.p_value) if first else "",
                    "p (Holm)": _p(p.adjusted) if first else "",
                }
            )
    return Table("subgroups", "Every figure by group", pd.DataFrame(rows), pd.DataFrame(shown))


def _p(value: float) -> str:
    return "–" if np.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"

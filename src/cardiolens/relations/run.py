"""Associations and survival of a whole table: every outcome by every exposure, written with their provenance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cardiolens._version import __version__
from cardiolens.errors import StatsError
from cardiolens.relations.table import Source
from cardiolens.stats import (
    Association,
    CoxModel,
    Disparity,
    KaplanMeier,
    adjust_p_values,
    associate,
    cox,
    disparity_ratios,
    kaplan_meier,
)
from cardiolens.store.atomic import write_whole


@dataclass(frozen=True, eq=False)
class Associations:
    """Fits by (outcome, exposure), those that could not be had with the reason, and disparity ratios by outcome."""

    source: Source
    fits: Mapping[tuple[str, str], Association]
    refused: Mapping[str, str]
    disparities: Mapping[str, tuple[Disparity, ...]]
    options: Mapping[str, Any]

    def table(self) -> pd.DataFrame:
        """One row an exposure term, with p-values corrected over all of them (Holm)."""
        rows = []
        for (outcome, exposure), fit in self.fits.items():
            for c in fit.exposure:
                rows.append(
                    {"outcome": outcome, "exposure": exposure, "term": c.term, "estimate": c.estimate, "low": c.low,
                     "high": c.high, "standard_error": c.standard_error, "p_value": c.p_value, "n": fit.n,
                     "rows_left_out": sum(fit.dropped.values()), "adjusted_for": " ".join(self.options["adjust"])}
                )  # fmt: skip
        return _corrected(rows)


@dataclass(frozen=True, eq=False)
class Survival:
    """Cox models by (exposure, horizon or None), those that could not be had, and Kaplan-Meier curves."""

    source: Source
    fits: Mapping[tuple[str, float | None], CoxModel]
    refused: Mapping[str, str]
    curves: KaplanMeier
    options: Mapping[str, Any]

    def table(self) -> pd.DataFrame:
        """One row an exposure term and horizon."""
        rows = []
        for (exposure, horizon), fit in self.fits.items():
            for h in fit.exposure:
                rows.append(
                    {"exposure": exposure, "horizon": horizon, "term": h.term, "hazard_ratio": h.ratio, "low": h.low,
                     "high": h.high, "p_value": h.p_value, "proportional_hazards_p": h.ph_p_value,
                     "c_index": fit.c_index, "n": fit.n, "events": fit.n_events,
                     "rows_left_out": sum(fit.dropped.values()), "adjusted_for": " ".join(self.options["adjust"])}
                )  # fmt: skip
        return _corrected(rows)

    def curve_table(self) -> pd.DataFrame:
        """One row a step of a curve."""
        table: pd.DataFrame = pd.DataFrame(
            [
                {"group": c.group, "time": t, "share": s, "low": lo, "high": hi, "n_at_risk": int(n)}
                for c in self.curves.curves
                for t, s, lo, hi, n in zip(c.times, c.share, c.low, c.high, c.n_at_risk, strict=True)
            ]
        )
        return table


def associate_table(
    source: Source,
    *,
    outcomes: Sequence[str],
    exposures: Sequence[str],
    adjust: Sequence[str] = (),
    references: Mapping[str, str] | None = None,
    robust: bool = True,
    disparity: tuple[str, str] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Associations:
    """Every outcome on every exposure, adjusted alike.

    Args:
        disparity: (column, group) whose disparity ratio is taken of each outcome, against all other groups.

    Raises:
        StatsError: a column that is missing, or no fit that could be had; a single one that could not be is told.
    """
    _columns_there(source, [*outcomes, *exposures, *adjust, *([disparity[0]] if disparity else [])])
    fits, refused = {}, {}
    for outcome in outcomes:
        for exposure in exposures:
            others = [a for a in adjust if a != exposure]
            try:
                fits[outcome, exposure] = associate(
                    source.frame, outcome=outcome, exposure=exposure, adjust=others, references=references,
                    robust=robust, level=level,
                )  # fmt: skip
            except StatsError as error:
                refused[f"{outcome} by {exposure}"] = str(error)
    _any(fits, refused)
    ratios: dict[str, tuple[Disparity, ...]] = {}
    if disparity is not None:
        for outcome in outcomes:
            values = pd.to_numeric(source.frame[outcome], errors="coerce")
            known = values.notna().to_numpy()
            groups = source.frame[disparity[0]][known].tolist()
            ratios[outcome] = disparity_ratios(values[known], groups, group=disparity[1], level=level, seed=seed)
    options = {
        "outcomes": list(outcomes), "exposures": list(exposures), "adjust": list(adjust), "robust": robust,
        "references": dict(references or {}), "disparity": list(disparity or ()), "level": level, "seed": seed,
    }  # fmt: skip
    return Associations(source, fits, refused, ratios, options)


def survive_table(
    source: Source,
    *,
    time: str,
    event: str,
    exposures: Sequence[str],
    adjust: Sequence[str] = (),
    references: Mapping[str, str] | None = None,
    horizons: Sequence[float] = (),
    group: str | None = None,
    cuts: Sequence[float] = (),
    level: float = 0.95,
) -> Survival:
    """A Cox model of each exposure over the whole follow-up and to each horizon; Kaplan-Meier curves by `group`.

    Args:
        group: column of the curves; by default the first exposure.

    Raises:
        StatsError: a column that is missing, or no model that could be had; a single one that could not be is told.
    """
    group = group or exposures[0]
    _columns_there(source, [time, event, *exposures, *adjust, group])
    fits: dict[tuple[str, float | None], CoxModel] = {}
    refused = {}
    for exposure in exposures:
        for horizon in (None, *horizons):
            others = [a for a in adjust if a != exposure]
            try:
                fits[exposure, horizon] = cox(
                    source.frame, time=time, event=event, exposure=exposure, adjust=others, references=references,
                    horizon=horizon, level=level,
                )  # fmt: skip
            except StatsError as error:
                refused[f"{exposure}{'' if horizon is None else f', up to {horizon:g}'}"] = str(error)
    _any(fits, refused)
    curves = kaplan_meier(source.frame, time=time, event=event, group=group, cuts=cuts, level=level)
    options = {
        "time": time, "event": event, "exposures": list(exposures), "adjust": list(adjust), "group": group,
        "references": dict(references or {}), "horizons": list(horizons), "cuts": list(cuts), "level": level,
    }  # fmt: skip
    return Survival(source, fits, refused, curves, options)


def write_associations(found: Associations, out: Path) -> list[Path]:
    """associations.csv, forest.png, results.json and index.html into a folder; disparity.csv where asked for."""
    from cardiolens.relations.drawing import association_forest
    from cardiolens.relations.page import association_page

    writer = _Writer(out)
    writer.csv("associations.csv", found.table())
    if found.disparities:
        rows = [{"outcome": name} | asdict(row) for name, ratios in found.disparities.items() for row in ratios]
        writer.csv("disparity.csv", pd.DataFrame(rows))
    png = association_forest(found)
    writer.bytes("forest.png", png)
    writer.json(found.source, found.options, {f"{o} by {e}": asdict(f) for (o, e), f in found.fits.items()},
                found.refused)  # fmt: skip
    writer.bytes("index.html", association_page(found, png).encode())
    return writer.written


def write_survival(found: Survival, out: Path) -> list[Path]:
    """cox.csv, kaplan_meier.csv, forest.png, kaplan_meier.png, results.json and index.html into a folder."""
    from cardiolens.relations.drawing import hazard_forest, kaplan_meier_curves
    from cardiolens.relations.page import survival_page

    writer = _Writer(out)
    writer.csv("cox.csv", found.table())
    writer.csv("kaplan_meier.csv", found.curve_table())
    forest, curves = hazard_forest(found), kaplan_meier_curves(found)
    writer.bytes("forest.png", forest)
    writer.bytes("kaplan_meier.png", curves)
    fits = {f"{e}{'' if h is None else f' up to {h:g}'}": asdict(f) for (e, h), f in found.fits.items()}
    writer.json(found.source, found.options, fits, found.refused)
    writer.bytes("index.html", survival_page(found, forest, curves).encode())
    return writer.written


@dataclass(eq=False)
class _Writer:
    """Files written whole into a folder."""

    out: Path
    written: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise StatsError(f"{self.out}: is a file; --out names a folder")
        self.out.mkdir(parents=True, exist_ok=True)

    def bytes(self, name: str, content: bytes) -> None:
        write_whole(self.out / name, content)
        self.written.append(self.out / name)

    def csv(self, name: str, table: pd.DataFrame) -> None:
        self.bytes(name, table.to_csv(index=False).encode())

    def json(
        self, source: Source, options: Mapping[str, Any], fits: Mapping[str, Any], refused: Mapping[str, str]
    ) -> None:
        found = {
            "research_use": "research use, not a medical device",
            "version": __version__,
            "table": source.name,
            "sha256": source.sha256,
            "rows": len(source.frame),
            "options": dict(options),
            "fits": fits,
            "not_fitted": dict(refused),
        }
        self.bytes("results.json", (json.dumps(_plain(found), indent=2, allow_nan=False) + "\n").encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _columns_there(source: Source, names: Sequence[str]) -> None:
    missing = sorted({name for name in names if name not in source.frame.columns})
    if missing:
        raise StatsError(
            f"{source.name}: no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, source.frame.columns))}"
        )


def _any(fits: Mapping[Any, Any], refused: Mapping[str, str]) -> None:
    if not fits:
        raise StatsError("no model could be fitted: " + "; ".join(f"{name}: {why}" for name, why in refused.items()))


def _corrected(rows: list[dict[str, Any]]) -> pd.DataFrame:
    adjusted = adjust_p_values({str(i): row["p_value"] for i, row in enumerate(rows)})
    for i, row in enumerate(rows):
        row["p_value_holm"] = adjusted[str(i)].adjusted
    table: pd.DataFrame = pd.DataFrame(rows)
    return table

"""Who is in the store: what is known of every study, its labels, and who drops out at which step and why."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from cardiolens.datasets.splits import patient_of
from cardiolens.errors import CardiolensError, ReportError
from cardiolens.store import StudyStore
from cardiolens.store.labels import read_by_key
from cardiolens.study import Cine, Study, View

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

PHANTOM = "cardiolens phantom"
AGE_BANDS = ((0, 40, "under 40"), (40, 60, "40 to 59"), (60, 75, "60 to 74"), (75, 200, "75 and over"))
Progress = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and of how many."""


@dataclass(frozen=True)
class Exclusion:
    """A study that dropped out; `step` names where."""

    key: str
    step: str
    reason: str


@dataclass(frozen=True, eq=False)
class Cohort:
    """The studies to be read.

    Attributes:
        studies: indexed by key: patient, site, sex, age, age_group, vendor, scanner, field_t, heart_rate, views, clips
            and the like; unknown is NaN or None.
        labels: indexed by the same keys: lvef and conditions as numbers, NaN where unknown.
        excluded: studies that cannot be read, or hold no cine.
        n_store, n_asked: studies in the store, and of these in the part asked for.
        notes: what to know about the labels.
    """

    studies: pd.DataFrame
    labels: pd.DataFrame
    excluded: tuple[Exclusion, ...]
    n_store: int
    n_asked: int
    notes: tuple[str, ...] = field(default=())

    @property
    def keys(self) -> list[str]:
        """Studies with a cine."""
        return [str(key) for key in self.studies.index]

    @property
    def n_synthetic(self) -> int:
        """Studies that say they come from the phantom."""
        return int(self.studies["synthetic"].sum()) if len(self.studies) else 0


def gather(store: StudyStore, keys: Sequence[str], labels: pd.DataFrame, progress: Progress) -> Cohort:
    """Read what the studies say of themselves, without their pixels.

    Args:
        keys: those asked for.
        labels: indexed by key, see `read_labels`.
    """
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    excluded: list[Exclusion] = []
    for number, key in enumerate(keys):
        progress("headers", number, len(keys))
        try:
            study = store.read(key)
        except CardiolensError as error:
            excluded.append(Exclusion(key, "unreadable", str(error)))
            continue
        if not study.cines:
            why = "; ".join(f"{r.series}: {r.reason}" for r in study.refused) or "no series"
            excluded.append(Exclusion(key, "no cine", f"no cine of a standard view ({why})"))
            continue
        rows[key] = _facts(key, study)
    progress("headers", len(keys), len(keys))
    studies = pd.DataFrame.from_dict(rows, orient="index", columns=list(_facts("", Study(()))))
    studies.index.name = "key"
    known = labels.reindex(studies.index)
    _fill_from_labels(studies, known)
    numbers = known[[name for name in known.columns if name in _label_columns()]].astype("float64")
    strangers = int((~labels.index.isin(list(store.keys()))).sum())
    notes = [f"{strangers} rows of the labels name no study of the store."] if strangers else []
    return Cohort(studies, numbers, tuple(excluded), len(store), len(keys), tuple(notes))


def read_labels(path: Path | None, store: StudyStore) -> pd.DataFrame:
    """The store's own labels, or a CSV with a column `key`; conditions checked to be 0, 1 or empty.

    Raises:
        ReportError: no such table, no key, a key twice, or a value that is no label.
    """
    table = store.labels() if path is None else read_by_key(path)
    path = path or store.path / "labels.csv"
    for name in [column for column in table.columns if column in _label_columns()]:
        table[name] = _numbers(table[name], name, path)
    return table


def label_columns(labels: pd.DataFrame) -> list[str]:
    """Conditions that the labels hold, in the paper's order."""
    from cardiolens.text.conditions import CONDITIONS

    return [condition.column for condition in CONDITIONS if condition.column in labels.columns]


def _label_columns() -> set[str]:
    from cardiolens.text.conditions import CONDITIONS

    return {"lvef", *(condition.column for condition in CONDITIONS)}


def _numbers(column: pd.Series[Any], name: str, path: Path) -> pd.Series[float]:
    import pandas as pd

    if column.dtype == object:
        words = {"true": 1, "yes": 1, "false": 0, "no": 0}
        column = column.map(lambda value: words.get(str(value).strip().lower(), value))
    values = pd.to_numeric(column, errors="coerce")
    wrong = values.isna() & column.notna()
    if name != "lvef":
        wrong |= values.notna() & ~values.isin([0, 1])
    elif not wrong.any():
        wrong = values.notna() & ~values.between(0, 100)
    if wrong.any():
        what = "LVEF is a percentage or empty" if name == "lvef" else "a condition is 0, 1 or empty"
        raise ReportError(f"{path}: column {name}: {what}; found {column[wrong].iloc[0]!r} in {int(wrong.sum())} rows")
    return values.astype("float64")


def _facts(key: str, study: Study) -> dict[str, Any]:
    """A row of `Cohort.studies`."""
    cines = study.cines
    return {
        "patient": patient_of(key),
        "site": study.site or key.split("_", maxsplit=1)[0],
        "sex": study.sex,
        "age": study.age,
        "age_group": _age_group(study.age),
        "vendor": _first(cines, "Manufacturer"),
        "scanner": _first(cines, "ManufacturerModelName"),
        "field_t": _number(_first(cines, "MagneticFieldStrength")),
        "heart_rate": _heart_rate(cines),
        "views": " ".join(str(cine.view) for cine in cines),
        "planes": sum(cine.n_slices for cine in cines),
        "phases": min((cine.n_phases for cine in cines), default=None),
        "pixel_mm": median(cine.spacing_mm[0] for cine in cines if cine.spacing_mm) if _spaced(cines) else None,
        "has_report": study.report is not None,
        "synthetic": bool(cines) and all(cine.attributes.get("Manufacturer") == PHANTOM for cine in cines),
    }


def _spaced(cines: Sequence[Cine]) -> bool:
    return any(cine.spacing_mm for cine in cines)


def _first(cines: Sequence[Cine], name: str) -> Any:
    return next((cine.attributes[name] for cine in cines if cine.attributes.get(name) not in (None, "")), None)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _heart_rate(cines: Sequence[Cine]) -> float | None:
    """Beats a minute as the header says, else from the trigger times."""
    said = [rate for cine in cines if (rate := _number(cine.attributes.get("HeartRate"))) and 20 <= rate <= 250]
    if said:
        return median(said)
    cycles = [cycle for cine in cines if (cycle := cine.cycle_ms)]
    return 60_000 / median(cycles) if cycles else None


def _age_group(age: float | None) -> str | None:
    if age is None or math.isnan(age):
        return None
    return next((name for low, high, name in AGE_BANDS if low <= age < high), None)


def _fill_from_labels(studies: pd.DataFrame, labels: pd.DataFrame) -> None:
    """Sex, age and heart rate from the table of labels where the header has none."""
    for name in ("sex", "age", "heart_rate"):
        if name in labels:
            studies[name] = studies[name].astype(object).where(studies[name].notna(), labels[name])
    for name in ("age", "heart_rate", "field_t", "pixel_mm"):
        studies[name] = studies[name].astype("float64")
    studies["age_group"] = [_age_group(age) for age in studies["age"]]


def views_of(keys: Sequence[str], studies: pd.DataFrame) -> Iterator[tuple[View, int]]:
    """How many of these studies hold each view."""
    for view in View:
        yield view, int(sum(str(view) in str(studies.loc[key, "views"]).split() for key in keys))

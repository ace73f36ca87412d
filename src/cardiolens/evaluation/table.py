"""Tables of predictions: which column is what, truth joined by study key, rows that cannot be used counted."""

from __future__ import annotations

import csv
import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cardiolens.errors import ReadError, StatsError

_LABEL = [
    *("label", "labels", "lvef_true", "true_lvef", "lvef_label", "label_lvef", "lvef_truth"),
    *("truth", "true", "y_true", "y", "target", "reference", "ground_truth"),
]
_LABEL_IN_TRUTH_TABLE = [*_LABEL, "lvef", "lvef_pct", "ef"]
_PREDICTION = [
    *("pred", "prediction", "predictions", "predicted", "lvef_pred", "pred_lvef", "predicted_lvef", "lvef_predicted"),
    *("y_pred", "score", "scores", "probability", "prob", "y_score", "lvef", "lvef_pct"),
]
_KEY = ["key", "study_key", "study", "accession", "accession_number", "accessionnumber", "study_id", "id"]
_PATIENT = ["patient", "patient_id", "patientid", "subject", "subject_id"]
_FLAG = ["out_of_domain"]
_TRUE = {"1", "1.0", "true", "t", "yes", "y", "positive"}
_FALSE = {"0", "0.0", "false", "f", "no", "n", "negative"}


@dataclass(frozen=True)
class ColumnNames:
    """Names that the user gave; None: guess."""

    label: str | None = None
    prediction: str | None = None
    key: str | None = None
    patient: str | None = None


@dataclass(frozen=True, eq=False)
class Predictions:
    """Rows fit for use: columns label, prediction, and where present key, patient, low, high, out_of_domain.

    `roles` says which column of the file each came from; `dropped` counts the rows left out, by reason.
    """

    frame: pd.DataFrame
    source: str
    sha256: str
    n_rows: int
    roles: dict[str, str]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    truth: dict[str, str] | None = None


def read_predictions(
    path: Path, *, task: str, names: ColumnNames | None = None, labels: Path | None = None, lenient: bool = False
) -> Predictions:
    """Read a table of predictions, and its truth from the same file or from `labels`, joined by key.

    `lenient`: names meant for another table are used where this one has them, and guessed otherwise.

    ReadError for a file that is missing or no table; StatsError for a column that is missing, ambiguous or not
    numeric, for duplicate keys where a join needs them, and where no row is left.
    """
    names = names or ColumnNames()
    table, digest = read_text_table(path)
    notes: list[str] = []
    dropped: dict[str, int] = {}
    if lenient:
        names = _present(names, table, labels is None)
    label_here = names.label if labels is None else None
    roles = {
        "prediction": _pick(table, path, "prediction", _PREDICTION, names.prediction, "--prediction", but=label_here)
    }
    truth_info = None
    if labels is None:
        label = _pick(table, path, "true value", _LABEL, names.label, "--label", but=roles["prediction"])
        roles["label"] = label
        joined = table
        _optional(joined, path, roles, names, notes)
        truth_column = table[label]
    else:
        joined, truth_column, truth_info = _join(table, path, labels, names, roles, dropped, notes)
    frame = pd.DataFrame({"label": _labels(truth_column, labels or path, task)})
    frame["prediction"] = _numeric(joined[roles["prediction"]], path)
    _extra_columns(frame, joined, path, roles)
    kept = _without_gaps(frame, dropped)
    if kept.empty:
        counted = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise StatsError(f"{path}: no row of {len(table)} can be used ({counted})")
    return Predictions(kept, path.name, digest, len(table), roles, dropped, tuple(notes), truth_info)


def read_text_table(path: Path) -> tuple[pd.DataFrame, str]:
    """A CSV table with a header, separated by comma, semicolon or tab: columns as text, gaps missing; and its sha256.

    Raises:
        ReadError: no such file, or no table in UTF-8.
        StatsError: a column named twice, or no rows.
    """
    if not path.is_file():
        raise ReadError(f"{path}: no such file; expected a CSV table")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"{path}: not a text table in UTF-8 ({error.reason} at byte {error.start})") from error
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    header = [name.strip() for name in next(csv.reader([first.strip()], delimiter=separator), [])]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise StatsError(f"{path}: the header names {', '.join(map(repr, twice))} more than once")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, skipinitialspace=True, index_col=False)
    except pd.errors.EmptyDataError:
        raise ReadError(f"{path}: the file is empty; expected a CSV table with a header line") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ReadError(f"{path}: not a readable table: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise StatsError(f"{path}: the table has no rows, only the columns {_listed(table)}")
    return table, hashlib.sha256(content).hexdigest()


def _pick(
    table: pd.DataFrame,
    path: Path,
    what: str,
    candidates: Sequence[str],
    named: str | None,
    flag: str,
    *,
    but: str | None = None,
) -> str:
    """The column the user named, or the only one with a usual name for its role."""
    if named is not None:
        if named not in table.columns:
            raise StatsError(f"{path}: no column {named!r} ({flag}); the columns are {_listed(table)}")
        return named
    found = [name for name in table.columns if name.lower() in candidates and name != but]
    if len(found) == 1:
        return found[0]
    problem = "no column with a usual name" if not found else f"several columns could be it ({', '.join(found)})"
    hint = f"name it with {flag}"
    if what == "true value" and not found:
        hint += ", or bring a table of true values with --labels"
    raise StatsError(f"{path}: {what}: {problem}; the columns are {_listed(table)}; {hint}")


def _present(names: ColumnNames, table: pd.DataFrame, label_too: bool) -> ColumnNames:
    """The names that this table has; a label that lies in the table of true values is left as it is."""

    def known(name: str | None) -> str | None:
        return name if name in table.columns else None

    label = known(names.label) if label_too else names.label
    return ColumnNames(label, known(names.prediction), known(names.key), known(names.patient))


def _optional(table: pd.DataFrame, path: Path, roles: dict[str, str], names: ColumnNames, notes: list[str]) -> None:
    """Key and patient columns: named ones must exist; a guess that is ambiguous is left out and said."""
    for role, candidates, named, flag in (
        ("key", _KEY, names.key, "--id"),
        ("patient", _PATIENT, names.patient, "--patient"),
    ):
        if role in roles:
            continue
        if named is not None:
            roles[role] = _pick(table, path, role, candidates, named, flag)
            continue
        found = [name for name in table.columns if name.lower() in candidates]
        if len(found) == 1:
            roles[role] = found[0]
        elif found:
            notes.append(
                f"Several columns could be the {role} ({', '.join(found)}); none is used. Name it with {flag}."
            )


def _join(
    table: pd.DataFrame,
    path: Path,
    labels: Path,
    names: ColumnNames,
    roles: dict[str, str],
    dropped: dict[str, int],
    notes: list[str],
) -> tuple[pd.DataFrame, pd.Series[str], dict[str, str]]:
    """Truth from another table by key: (rows with truth, their truth, what is known of the truth table)."""
    truth, digest = read_text_table(labels)
    label = _pick(truth, labels, "true value", _LABEL_IN_TRUTH_TABLE, names.label, "--label")
    if names.key is not None and names.key not in table.columns and names.key not in truth.columns:
        raise StatsError(f"no column {names.key!r} (--id); {path} has {_listed(table)}, {labels} has {_listed(truth)}")
    in_table, in_truth = (names.key if names.key in columns else None for columns in (table.columns, truth.columns))
    roles["key"] = _pick(table, path, "study key", _KEY, in_table, "--id")
    truth_key = _pick(truth, labels, "study key", _KEY, in_truth, "--id")
    for source, column, where in ((table, roles["key"], path), (truth, truth_key, labels)):
        repeated = source[column][source[column].duplicated() & source[column].notna()]
        if len(repeated):
            raise StatsError(
                f"{where}: {repeated.nunique()} keys of column {column!r} occur more than once, "
                f"{repeated.iloc[0]!r} for one; a join needs one row a study"
            )
    known = truth.dropna(subset=[truth_key]).set_index(truth_key)
    matched = table[roles["key"]].isin(known.index)
    if not matched.any():
        raise StatsError(
            f"no key of {path} ({table[roles['key']].iloc[0]!r}, ...) is in {labels} "
            f"({truth[truth_key].iloc[0]!r}, ...)"
        )
    joined = table[matched].reset_index(drop=True)
    rows = known.loc[joined[roles["key"]]].reset_index(drop=True)
    if not matched.all():
        dropped["without a true value (key not in the label table)"] = int((~matched).sum())
    unused = int((~known.index.isin(joined[roles["key"]])).sum())
    if unused:
        notes.append(f"{unused} rows of {labels.name} have no prediction.")
    _bring_patient(joined, rows, names.patient)
    _optional(joined, path, roles, names, notes)
    roles["label"] = label
    return joined, rows[label], {"file": labels.name, "sha256": digest, "rows": str(len(truth)), "label": label}


def _bring_patient(joined: pd.DataFrame, rows: pd.DataFrame, named: str | None) -> None:
    """Take the patient column from the table of true values where the predictions have none."""

    def present(table: pd.DataFrame) -> list[str]:
        return [name for name in table.columns if (name == named if named else name.lower() in _PATIENT)]

    if not present(joined):
        for name in present(rows):
            joined[name] = rows[name]


def _numeric(column: pd.Series[str], path: Path) -> pd.Series[float]:
    """Text to float64; missing stays NaN; anything else is an error with its row and value."""
    values: pd.Series[float] = pd.to_numeric(column, errors="coerce").astype(np.float64)
    wrong = (values.isna() & column.notna()) | np.isinf(values)
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise StatsError(
            f"{path}: column {column.name!r} is not numeric: {int(wrong.sum())} values such as {column.iloc[row]!r} "
            f"(row {row + 1} of the data)"
        )
    return values


def _labels(column: pd.Series[str], path: Path, task: str) -> pd.Series[float]:
    """True values: numbers for a regression, 0 or 1 (also true/false, yes/no) for a classification."""
    if task != "classification":
        return _numeric(column, path)
    return _yes_no(column, path, "labels of a classification must be 0 or 1")


def _yes_no(column: pd.Series[str], path: Path, rule: str) -> pd.Series[float]:
    text = column.str.strip().str.lower()
    values: pd.Series[float] = text.map({**dict.fromkeys(_TRUE, 1.0), **dict.fromkeys(_FALSE, 0.0)}).astype(np.float64)
    wrong = values.isna() & column.notna()
    if wrong.any():
        examples = ", ".join(repr(value) for value in column[wrong].unique()[:3])
        raise StatsError(f"{path}: column {column.name!r}: {rule}; found {examples} in {int(wrong.sum())} rows")
    return values


def _extra_columns(frame: pd.DataFrame, joined: pd.DataFrame, path: Path, roles: dict[str, str]) -> None:
    """Key, patient, the ends of the prediction interval and the out-of-domain flag, where the table has them."""
    for role in ("key", "patient"):
        if role in roles:
            frame[role] = joined[roles[role]]
    for stem in (roles["prediction"], "lvef"):
        ends = {role: f"{stem}_{role}" for role in ("low", "high")}
        if all(name in joined for name in ends.values()):
            for role, name in ends.items():
                roles[role] = name
                frame[role] = _numeric(joined[name], path)
            break
    flags = [name for name in joined.columns if name.lower() in _FLAG]
    if flags:
        roles["out_of_domain"] = flags[0]
        frame["out_of_domain"] = _yes_no(joined[flags[0]], path, "an out-of-domain flag is true or false")


def _without_gaps(frame: pd.DataFrame, dropped: dict[str, int]) -> pd.DataFrame:
    """Rows with both a label and a prediction, the others counted; a missing patient is its own patient's error."""
    for role, reason in (("label", "with no true value"), ("prediction", "with no prediction")):
        missing = frame[role].isna()
        if missing.any():
            dropped[reason] = int(missing.sum())
            frame = frame[~missing]
    if "patient" in frame and frame["patient"].isna().any():
        dropped["with no patient"] = int(frame["patient"].isna().sum())
        frame = frame[frame["patient"].notna()]
    kept: pd.DataFrame = frame.reset_index(drop=True)
    return kept


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(repr(name) for name in table.columns)

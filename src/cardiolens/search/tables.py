"""What is known of the studies, to colour by or to score against: labels.csv of a store, or any table with keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import ReportError

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """A table indexed by study key: the folder of a store, or a CSV file with a column `key`.

    Raises:
        ReportError: no such file, no labels in the store, no column `key`, or a key twice.
    """
    import pandas as pd

    from cardiolens.store import StudyStore

    if path.is_dir():
        labels = StudyStore(path).labels()
        if labels.empty:
            raise ReportError(f"{path} has no labels.csv; give a CSV file with a column `key`")
        return labels
    try:
        table = pd.read_csv(path, dtype={"key": str})
    except FileNotFoundError:
        raise ReportError(f"{path}: no such table") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ReportError(f"{path}: not a CSV table ({error})") from error
    if "key" not in table:
        raise ReportError(
            f"{path}: needs a column `key` with the keys of the studies, has {', '.join(table.columns[:8])}"
        )
    twice = table["key"][table["key"].duplicated()].unique()
    if len(twice):
        raise ReportError(f"{path}: more than one row for {', '.join(map(str, twice[:5]))}")
    by_key: pd.DataFrame = table.set_index("key")
    return by_key

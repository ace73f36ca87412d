"""What is known of the studies, to colour by or to score against: labels.csv of a store, or any table with keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import ReportError
from cardiolens.privacy import shown

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> pd.DataFrame:
    """A table indexed by study key, as it may be shown: the folder of a store, or a CSV file with a column `key`.

    Raises:
        ReportError: no such file, no labels in the store, no column `key`, or a key twice.
    """
    from cardiolens.store import StudyStore
    from cardiolens.store.labels import read_by_key

    if path.is_dir():
        labels = StudyStore(path).labels()
        if labels.empty:
            raise ReportError(f"{path} has no labels.csv; give a CSV file with a column `key`")
        return shown(labels)
    return shown(read_by_key(path))

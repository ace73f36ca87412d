"""Tables about studies: one row a study, indexed by store key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import ReportError

if TYPE_CHECKING:
    import pandas as pd


def read_by_key(path: Path) -> pd.DataFrame:
    """A CSV table with a column `key`, indexed by it.

    Raises:
        ReportError: no such table, not a table, no column `key`, or a key twice.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"key": str})
    except FileNotFoundError:
        raise ReportError(f"{path}: no such table") from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: not a CSV table ({error})") from error
    if "key" not in table:
        has = ", ".join(map(str, table.columns[:10]))
        raise ReportError(f"{path}: needs a column `key` with the keys of the studies, has {has}")
    twice = table["key"][table["key"].duplicated()].unique()
    if len(twice):
        raise ReportError(f"{path}: more than one row for {', '.join(map(str, twice[:10]))}")
    indexed: pd.DataFrame = table.set_index("key")
    return indexed

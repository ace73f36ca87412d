"""Tables about studies: one row a study, indexed by store key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import ReportError
from cardiolens.store.atomic import disk_errors, write_whole

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


def write_by_key(path: Path, table: pd.DataFrame, known: Sequence[str]) -> None:
    """Write a table indexed by key, whole.

    Raises:
        ReportError: a key twice, or one that is not among the known.
        StoreError: it cannot be written.
    """
    twice = table.index[table.index.duplicated()].unique()
    unknown = table.index.difference(known)
    for keys, what in ((twice, "more than one row"), (unknown, "no study in the store")):
        if len(keys):
            raise ReportError(f"labels: {what} for {', '.join(map(str, keys[:10]))} ({len(keys)} in all)")
    with disk_errors(path):
        write_whole(path, table.rename_axis("key").to_csv().encode("utf-8"))

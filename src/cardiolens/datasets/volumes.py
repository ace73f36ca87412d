"""Sets of volumes with labels, whatever their files: what the video and slice models learn from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split
    from cardiolens.volume import Volume


class VolumeSet(Protocol):
    """Volumes by key, with a table of labels.

    Keys are `patient/item` as in a study store, so that splits go by patient (`datasets.splits.patient_of`).  What
    cannot be read raises `ReadError` at `load`, naming the file.
    """

    @property
    def name(self) -> str:
        """Of the data set, for messages and provenance."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    def keys(self) -> tuple[str, ...]: ...

    def load(self, key: str) -> Volume: ...

    def labels(self) -> pd.DataFrame:
        """Indexed by key; one column a label, numbers, gaps as NaN."""

    def split(self) -> Split | None:
        """The publisher's own, with parts train, val, test; None where there is none."""

    def hash(self) -> str:
        """Of what the files hold, first 16 hex digits of a SHA-256; stands in every result."""

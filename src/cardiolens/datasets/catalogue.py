"""Every data set that there is an adapter for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cardiolens.datasets import (
    acdc,
    clinical,
    echonet,
    emidec,
    external,
    kaggle,
    landmark,
    mnms,
    mnms2,
    myops,
    rescan,
    sunnybrook,
    sunnybrook_edes,
    ukb,
    ukbb_cardiac,
)
from cardiolens.datasets.layout import Dataset
from cardiolens.errors import InputError

_MASKED = (acdc, mnms, mnms2, emidec, myops, rescan, sunnybrook, sunnybrook_edes, ukbb_cardiac)
_PUBLIC = (ukb, kaggle, *_MASKED, landmark, echonet)
DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {module.DATASET.name: module.DATASET for module in (*_PUBLIC, clinical, external)}
)


def find_dataset(name: str) -> Dataset:
    """The data set of this name.

    Raises:
        InputError: none; the message names those there are.
    """
    if name not in DATASETS:
        raise InputError(f"no data set {name!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name]

"""Phantom cohorts in the layouts of public data sets, so that readers of those can be tested without them.

    export("acdc", "out", 10, seed=1)        # out/database/training/patient001/Info.cfg, ...

Everything written says that it is synthetic.  Each module's docstring tells a layout; `README.md` in an export tells
where that is from and what could not be verified.  EchoNet's layout is in `phantom.echo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from cardiolens.errors import PhantomError
from cardiolens.phantom.exports import acdc, emidec, kaggle, landmark, mnms, mnms2, myops, rescan, ukb
from cardiolens.phantom.exports.build import Export, Layout, build
from cardiolens.phantom.exports.scan import Scan
from cardiolens.phantom.folder import Progress

__all__ = ["EXPORTS", "LAYOUTS", "Export", "Exporter", "Layout", "Scan", "export"]


class Exporter(Protocol):
    """Writes one data set's layout; see `build.build`."""

    def __call__(
        self,
        folder: str | Path,
        n: int,
        seed: int,
        *,
        workers: int | None = 1,
        progress: Progress | None = None,
        scan: Scan | None = None,
    ) -> Export: ...


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {m.LAYOUT.name: m.LAYOUT for m in (acdc, mnms, mnms2, kaggle, rescan, landmark, emidec, myops, ukb)}
)


EXPORTS: Mapping[str, Exporter] = MappingProxyType({name: partial(build, layout) for name, layout in LAYOUTS.items()})
"""Data set to what writes its layout."""


def export(
    dataset: str,
    folder: str | Path,
    n: int,
    seed: int,
    *,
    workers: int | None = 1,
    progress: Progress | None = None,
    scan: Scan | None = None,
) -> Export:
    """Write `n` synthetic cases in the layout of a data set, or finish what was begun.

    Args:
        dataset: key of `EXPORTS`.
        folder: absent, empty, or holding this same export.
        workers: processes; 1 for none but this, None for one a core.  The bytes are the same for any number.
        progress: called with (done, n) at the start and after every case.
        scan: None for the data set's own protocol.

    Raises:
        PhantomError: unknown data set, impossible settings, or a folder that holds something else.
    """
    if dataset not in EXPORTS:
        raise PhantomError(f"unknown data set {dataset!r}; known are {', '.join(EXPORTS)}")
    return EXPORTS[dataset](folder, n, seed, workers=workers, progress=progress, scan=scan)

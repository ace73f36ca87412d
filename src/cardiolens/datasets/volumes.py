"""Sets of volumes with labels, whatever their files: what the video and slice models learn from.

>>> loops = open_volumes("EchoNet-Dynamic")                   # doctest: +SKIP
>>> loops.load(loops.keys()[0]).images.shape                  # doctest: +SKIP
(167, 112, 112)

To add a kind: a class that is a `VolumeSet` in a file of its own, and an entry in `KINDS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from cardiolens.errors import InputError, ReadError

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


@dataclass(frozen=True)
class Kind:
    """A kind of set that `open_volumes` knows.

    Attributes:
        name: by which it can be asked for; looks_like: tells it from names of files alone, without heavy imports.
        opener: "module:callable" of `cardiolens.datasets`, imported when needed; called with the path and options.
        layout: what lies there, for messages.
    """

    name: str
    looks_like: Callable[[Path], bool]
    opener: str
    layout: str


def _echonet(path: Path) -> bool:
    return (path / "FileList.csv").is_file() and (path / "Videos").is_dir()


def _store(path: Path) -> bool:
    return path.is_dir() and next(path.glob("*/*.h5"), None) is not None


def _table(path: Path) -> bool:
    return (path / "labels.csv").is_file() and not _store(path)


def _npz(path: Path) -> bool:
    return path.is_file() and path.suffix == ".npz"


KINDS: tuple[Kind, ...] = (
    # the first that fits is taken
    Kind("echonet", _echonet, "echonet:EchoNet", "FileList.csv beside Videos/ with AVI loops (EchoNet-Dynamic)"),
    Kind("sax", _store, "sax_stacks:SaxStacks", "a store of studies: the short-axis stack of each at a phase"),
    Kind("cines", _store, "cine_volumes:CineVolumes", "by name, a store of studies: the planes of its cines over time"),
    Kind("medmnist", _npz, "medmnist:MedMNIST", "a .npz in MedMNIST's format, 3D"),
    Kind(
        "folder",
        _table,
        "volume_folder:VolumeFolder",
        "labels.csv beside volumes: DICOM, folders of images, TIFF, video",
    ),
)


def open_volumes(path: str | Path, *, kind: str | None = None, **options: Any) -> VolumeSet:
    """The set that lies at `path`.

    Args:
        path: a folder or file of one of `KINDS`.
        kind: name of one, where what lies there does not tell.
        options: of that kind's own opener.

    Raises:
        ReadError: nothing there, or nothing that is known.
        InputError: no such kind, or an option that it does not take.
    """
    where = Path(path)
    if not where.exists():
        raise ReadError(f"{where}: no such file or folder")
    found = _kind_of(where, kind)
    module, _, name = found.opener.partition(":")
    opener = getattr(import_module(f"cardiolens.datasets.{module}"), name)
    taken = [each for each in inspect.signature(opener).parameters if each not in ("self", "path")]
    unknown = sorted(set(options) - set(taken))
    if unknown:
        raise InputError(f"{where}: {found.name} takes no {', '.join(unknown)}; it takes {', '.join(taken) or 'none'}")
    return cast("VolumeSet", opener(where, **options))


def _kind_of(where: Path, name: str | None) -> Kind:
    if name is not None:
        named = next((each for each in KINDS if each.name == name), None)
        if named is None:
            raise InputError(f"no kind of set {name!r}; known are {', '.join(each.name for each in KINDS)}")
        return named
    found = next((each for each in KINDS if each.looks_like(where)), None)
    if found is None:
        told = "\n".join(f"    {each.name:10}{each.layout}" for each in KINDS)
        raise ReadError(f"{where}: no set of volumes that is known. Known are:\n{told}")
    return found

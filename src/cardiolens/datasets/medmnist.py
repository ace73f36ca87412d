"""MedMNIST's .npz files (Yang et al. 2023, medmnist.com), 2D and 3D: {train,val,test}_{images,labels} in one file.

>>> nodules = MedMNIST("nodulemnist3d.npz")                   # doctest: +SKIP
>>> nodules.load("train_00000/volume").images.shape           # doctest: +SKIP
(28, 28, 28)

The files do not say who an item is of: MedMNIST's own split stands for patients.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.errors import ReadError
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split

PARTS = ("train", "val", "test")
_KEYS = frozenset(f"{part}_{what}" for part in PARTS for what in ("images", "labels"))
_WHOLE = ", ".join(sorted(_KEYS))


class _Npz:
    """What 2D and 3D files share; arrays are read when they are wanted, and kept."""

    item: str  # second half of a key

    def __init__(self, path: str | Path) -> None:
        """Look at the names and types of the arrays.

        Raises:
            ReadError: no such file, no .npz, other keys, object arrays (which are never unpickled), or counts that
                do not fit.
        """
        self.path = Path(path)
        self.name = self.path.stem
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        try:
            with zipfile.ZipFile(self.path) as file:
                self._members = sorted((i.filename, i.CRC, i.file_size) for i in file.infolist())
        except (OSError, zipfile.BadZipFile) as error:
            raise ReadError(f"{self.path}: not a .npz file ({error})") from error
        found = {name.removesuffix(".npy") for name, _, _ in self._members}
        if found != _KEYS:
            told = ", ".join(sorted(found)[:8]) or "nothing"
            raise ReadError(f"{self.path}: holds {told}; a file in MedMNIST's format holds {_WHOLE}, and nothing else")
        self._labels = {part: self._labels_of(part) for part in PARTS}

    def _read(self, name: str) -> npt.NDArray[Any]:
        if name not in self._arrays:
            try:
                with np.load(self.path, allow_pickle=False) as arrays:
                    self._arrays[name] = arrays[name]
            except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
                words = (
                    "holds Python objects, which would have to be unpickled; it is not read"
                    if ("allow_pickle" in str(error))
                    else f"cannot be read ({error}); copy the file again"
                )
                raise ReadError(f"{self.path}: {name} {words}") from error
        return self._arrays[name]

    def _labels_of(self, part: str) -> npt.NDArray[Any]:
        labels = self._read(f"{part}_labels")
        labels = labels[:, None] if labels.ndim == 1 else labels
        if labels.ndim != 2 or labels.dtype.kind not in "buif":
            raise ReadError(
                f"{self.path}: {part}_labels must be numbers (item, label), got {labels.dtype} {labels.shape}"
            )
        return labels

    def _images(self, part: str) -> npt.NDArray[Any]:
        images = self._read(f"{part}_images")
        if len(images) != len(self._labels[part]) or images.dtype.kind not in "uif":
            raise ReadError(
                f"{self.path}: {part}_images is {images.dtype} {images.shape} and has {len(self._labels[part])} labels"
            )
        return images

    def keys(self) -> tuple[str, ...]:
        """`<part>_<number>/<item>`."""
        return tuple(f"{part}_{n:05d}/{self.item}" for part in PARTS for n in range(len(self._labels[part])))

    def _place(self, key: str) -> tuple[str, int]:
        part, _, number = key.partition("/")[0].rpartition("_")
        if part not in PARTS or not number.isdigit() or int(number) >= len(self._labels[part]):
            raise ReadError(f"{self.path}: no item {key!r}; keys are like {self.keys()[0]!r}")
        return part, int(number)

    def split(self) -> Split:
        """MedMNIST's own."""
        from cardiolens.datasets.splits import Split

        keys = self.keys()
        parts = {part: tuple(key for key in keys if key.startswith(part)) for part in PARTS}
        return Split({p: k for p, k in parts.items() if k}, {"source": "MedMNIST's own", "dataset": self.name})

    def hash(self) -> str:
        """Of the checksums of every array, as the file lists them."""
        return hashlib.sha256(repr(self._members).encode()).hexdigest()[:16]


class MedMNIST(_Npz):
    """A 3D set as a `VolumeSet`; labels are `label`, or `label_0`, ... where there are several."""

    item = "volume"

    def __init__(self, path: str | Path) -> None:
        """See `_Npz`; a 2D set is refused as well."""
        super().__init__(path)
        shape = self._images("train").shape
        if len(shape) not in (4, 5) or (len(shape) == 4 and shape[-1] == 3) or (len(shape) == 5 and shape[-1] != 3):
            raise ReadError(
                f"{self.path}: images {shape[1:]} are no volumes; a 2D set is for pretraining (kind slices2d)"
            )

    def load(self, key: str) -> Volume:
        part, number = self._place(key)
        return Volume(self._images(part)[number], "depth", source=f"{self.path.name}: {key}")

    def labels(self) -> pd.DataFrame:
        import pandas as pd

        table = np.concatenate([self._labels[part] for part in PARTS]).astype(float)
        names = ["label"] if table.shape[1] == 1 else [f"label_{n}" for n in range(table.shape[1])]
        found: pd.DataFrame = pd.DataFrame(table, index=pd.Index(self.keys(), name="key"), columns=names)
        return found


class MedMNISTImages(_Npz):
    """A 2D set as an `ImageSet`: of one class an image, or of several 0/1 columns (as ChestMNIST's findings)."""

    item = "image"

    def __init__(self, path: str | Path) -> None:
        """See `_Npz`; a 3D set is refused as well."""
        super().__init__(path)
        shape = self._images("train").shape
        if not (len(shape) == 3 or (len(shape) == 4 and shape[-1] == 3)):
            raise ReadError(f"{self.path}: images {shape[1:]} are volumes; 2D pretraining takes (row, col[, 3])")
        self.several = self._labels["train"].shape[1] > 1

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """`<file>:<number>`: the format has no names."""
        columns = self._labels["train"].shape[1]
        count = columns if self.several else 1 + int(max(v.max(initial=0) for v in self._labels.values()))
        return tuple(f"{self.name}:{number}" for number in range(count))

    def load(self, key: str) -> npt.NDArray[Any]:
        part, number = self._place(key)
        found: npt.NDArray[Any] = self._images(part)[number]
        return found

    def label(self, key: str) -> tuple[int, ...]:
        part, number = self._place(key)
        row = self._labels[part][number]
        return tuple(int(n) for n in np.flatnonzero(row)) if self.several else (int(row[0]),)

"""Sets of single 2D images with classes: what the trunk of SLIViT is pretrained on."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cardiolens.errors import ReadError

if TYPE_CHECKING:
    from cardiolens.datasets.splits import Split

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp"})
KERMANY = ("CNV", "DME", "DRUSEN", "NORMAL")
_PARTS = ("train", "val", "test")


class ImageSet(Protocol):
    """Images by key `patient/item`, each of one class or (`several`) of any number of them."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def several(self) -> bool: ...

    def keys(self) -> tuple[str, ...]: ...

    def load(self, key: str) -> npt.NDArray[Any]:
        """(row, col) or (row, col, 3)."""

    def label(self, key: str) -> tuple[int, ...]:
        """Numbers of its classes."""

    def split(self) -> Split | None: ...

    def hash(self) -> str: ...


class Kermany:
    """The OCT images of Kermany et al. 2018 (data.mendeley.com/datasets/rscbjbr9sj): PART/CLASS/CLASS-PATIENT-N.jpeg.

    Any folder of that form will do, whatever its classes are called.  A patient who stands in two parts is kept in the
    one held out, and left out of training.
    """

    several = False

    def __init__(self, path: str | Path) -> None:
        """List the folder.

        Raises:
            ReadError: no parts, or parts with different classes.
        """
        self.path = Path(path)
        self.name = self.path.name
        parts = [part for part in _PARTS if (self.path / part).is_dir()]
        if "train" not in parts:
            raise ReadError(f"{self.path}: no folder `train`; the layout is {'|'.join(_PARTS)}/{'|'.join(KERMANY)}/")
        names = {part: sorted(p.name for p in (self.path / part).iterdir() if p.is_dir()) for part in parts}
        self.classes = tuple(names["train"])
        strange = {name for part in parts for name in names[part]} - set(self.classes)
        if not self.classes or strange:
            raise ReadError(f"{self.path}: classes {sorted(strange) or 'none'} without images for training")
        self._files: dict[str, Path] = {}
        self._part: dict[str, str] = {}
        self._list([part for part in ("test", "val", "train") if part in parts])

    def _list(self, parts: list[str]) -> None:
        owner: dict[str, str] = {}
        left = 0
        for part in parts:
            for name in self.classes:
                folder = self.path / part / name
                for file in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if file.suffix.lower() not in SUFFIXES or file.name.startswith("."):
                        continue
                    patient = _patient(file.stem)
                    if owner.setdefault(patient, part) != part:
                        left += 1
                        continue
                    key = f"{patient}/{name}-{file.stem}"
                    self._files[key], self._part[key] = file, part
        if left:
            log.warning("%s: %d images left out: their patients are in a part that is held out", self.path, left)
        if not self._files:
            raise ReadError(f"{self.path}: no image in {', '.join(sorted(SUFFIXES))}")

    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self._files))

    def load(self, key: str) -> npt.NDArray[Any]:
        return read_image(self._files[key])

    def label(self, key: str) -> tuple[int, ...]:
        return (self.classes.index(self._files[key].parent.name),)

    def split(self) -> Split | None:
        """The folders'."""
        from cardiolens.datasets.splits import Split

        keys = self.keys()
        parts = {part: tuple(k for k in keys if self._part[k] == part) for part in _PARTS}
        return Split({p: k for p, k in parts.items() if k}, {"source": "folders", "dataset": self.name})

    def hash(self) -> str:
        """Of names and sizes."""
        digest = hashlib.sha256()
        for key in self.keys():
            digest.update(f"{key}\0{self._part[key]}\0{self._files[key].stat().st_size}\n".encode())
        return digest.hexdigest()[:16]


def _patient(stem: str) -> str:
    """Of CNV-1016042-12: 1016042; of any other name the name."""
    match = re.fullmatch(r"[A-Za-z]+-(\w+)-\d+", stem)
    return match[1] if match else stem


def read_image(path: Path) -> npt.NDArray[Any]:
    """(row, col) or (row, col, 3) of an image file; `ReadError` where it is none or damaged."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            grey = image.mode in ("L", "I", "F", "I;16", "1")
            return np.asarray(image if grey else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path}: no image that can be read ({error}); bring the file again or remove it") from error


def open_images(path: str | Path) -> ImageSet:
    """A 2D set: MedMNIST's .npz, a folder with `train/CLASS/` in it, or a store of studies (frames by view).

    Raises:
        ReadError: nothing there, or nothing that is known.
    """
    where = Path(path)
    if where.suffix == ".npz" and where.is_file():
        from cardiolens.datasets.medmnist import MedMNISTImages

        return MedMNISTImages(where)
    if where.is_dir() and next(where.glob("*/*.h5"), None) is not None:
        from cardiolens.datasets.store_images import StoreImages

        return StoreImages(where)
    if where.is_dir():
        return Kermany(where)
    raise ReadError(f"{where}: no 2D set; give a .npz in MedMNIST's format, or a folder with train/CLASS/*.jpeg")

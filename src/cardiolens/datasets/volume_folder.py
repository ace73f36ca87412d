"""A folder of volumes with labels.csv: DICOM (multi-frame, or a folder of slices), folders of images, TIFF, video.

labels.csv       file, patient (optional), split (optional), and a column a label
p001.dcm         an OCT volume, an ultrasound loop, ...
p002/            its slices, a file each
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.tables import number, read_rows, require_once
from cardiolens.errors import GeometryError, ReadError, ReportError
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split

log = logging.getLogger(__name__)

TABLE = "labels.csv"
_ABOUT = ("file", "patient", "split")
_SHOWN = 5


class VolumeFolder:
    """Volumes that a table names, as a `VolumeSet`; keys are `patient/file`."""

    def __init__(self, path: str | Path) -> None:
        """Read the table; no volume is opened.

        Raises:
            ReportError: no table, no column `file`, a file twice, one outside the folder, or two whose keys are the
                same once `/` is `_`.
        """
        self.path = Path(path)
        self.name = self.path.name
        self._rows: dict[str, dict[str, str]] = {}
        self._files: dict[str, Path] = {}
        seen: dict[str, list[int]] = defaultdict(list)
        root = self.path.resolve()
        for line, row in read_rows(self.path / TABLE, ("file",)):
            file = (self.path / row["file"]).resolve()
            if root not in file.parents:
                raise ReportError(f"{self.path / TABLE}: line {line}: `file` must lie in the folder")
            patient = row.get("patient") or row["file"]
            key = f"{patient.replace('/', '_')}/{row['file'].replace('/', '_')}"
            if key in self._rows and row["file"] not in seen:
                raise ReportError(f"{self.path / TABLE}: line {line}: two files are both called {key!r}; rename one")
            seen[row["file"]].append(line)
            self._rows[key], self._files[key] = row, file
        require_once(self.path / TABLE, "file", seen)
        if not self._rows:
            raise ReportError(f"{self.path / TABLE}: no rows")

    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self._rows))

    def load(self, key: str) -> Volume:
        """The volume; `ReadError` names what cannot be read."""
        if key not in self._files:
            raise ReadError(f"{self.path}: no volume {key!r}; keys are like {self.keys()[0]!r}")
        return read_volume(self._files[key])

    def labels(self) -> pd.DataFrame:
        """The columns that hold numbers; others are left out, and said."""
        import pandas as pd

        columns = [name for name in next(iter(self._rows.values())) if name not in _ABOUT]
        table: dict[str, list[float]] = {}
        for name in columns:
            found = [number(self._rows[key][name]) for key in self.keys()]
            if None in found:
                log.warning("%s: column %s holds texts and is no label", self.path / TABLE, name)
                continue
            table[name] = [math.nan if value is None else value for value in found]
        frame: pd.DataFrame = pd.DataFrame(table, index=pd.Index(self.keys(), name="key"), dtype=float)
        return frame

    def split(self) -> Split | None:
        """The column `split`; None where there is none."""
        from cardiolens.datasets.splits import Split

        parts: dict[str, list[str]] = defaultdict(list)
        for key in self.keys():
            if part := self._rows[key].get("split", "").lower():
                parts[part].append(key)
        if not parts:
            return None
        about = {"source": f"column split of {TABLE}", "dataset": self.name}
        return Split({part: tuple(keys) for part, keys in parts.items()}, about)

    def hash(self) -> str:
        """Of the table, and of every file's name and size."""
        digest = hashlib.sha256((self.path / TABLE).read_bytes())
        for key, file in sorted(self._files.items()):
            for each in sorted(file.rglob("*")) if file.is_dir() else [file]:
                size = each.stat().st_size if each.is_file() else -1
                digest.update(f"{key}\0{each.name}\0{size}\n".encode())
        return digest.hexdigest()[:16]


def read_volume(path: Path) -> Volume:
    """One volume: a folder of slices (DICOM, or images in natural order), a multi-frame DICOM, a TIFF, a video.

    Raises:
        ReadError: nothing there, nothing that is known, or images of different sizes.
    """
    from cardiolens.datasets.image_sets import SUFFIXES, read_image
    from cardiolens.dicom.files import FileRef, natural_key
    from cardiolens.io.video import is_video, read_video

    if not path.exists():
        raise ReadError(f"{path}: named in {TABLE} and not there")
    if path.is_file() and is_video(path):
        return read_video(path)
    if path.is_file() and path.suffix.lower() in (".tif", ".tiff"):
        return _of_tiff(path)
    found = _of_dicom(path)
    if found is not None:
        return found
    files = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES] if path.is_dir() else []
    if not files:
        raise ReadError(f"{path}: neither DICOM, nor a folder of images, nor a TIFF, nor a video")
    files.sort(key=lambda file: natural_key(FileRef(str(file))))
    return Volume(_stacked([read_image(file) for file in files], path), "depth", source=str(path))


def _of_dicom(path: Path) -> Volume | None:
    """Frames along the normal of their plane where they say where they lie, else as they are numbered."""
    from cardiolens.dicom.files import list_files, open_files
    from cardiolens.dicom.headers import FileKind, read_headers
    from cardiolens.dicom.pixels import decode, frame_ref

    refs, _ = list_files([path])
    results = [read_headers(ref, stream, Path(ref.path).stat().st_size) for ref, stream in open_files(refs)]
    damaged = [result for result in results if result.kind is FileKind.DAMAGED]
    if damaged:
        raise ReadError(f"{damaged[0].ref.name}: {damaged[0].problem}; bring the file again")
    frames = [frame for result in results for frame in result.frames]
    if not frames:
        return None
    series = {frame.file.texts.get("SeriesInstanceUID", "") for frame in frames}
    if len(series) > 1:
        raise ReadError(f"{path}: {len(series)} DICOM series; give each a row and a folder of its own")
    images = decode(frame_ref(frame) for frame in frames)
    depths = _depths(frames)
    order = sorted(range(len(frames)), key=lambda n: (depths[n], frames[n].instance or 0.0, frames[n].index))
    steps = np.diff([depths[n] for n in order])
    even = len(steps) > 0 and float(steps.min()) > 0 and float(np.ptp(steps)) < 0.1 * float(steps.mean())
    notes = () if np.ptp(depths) > 0 else ("order as numbered: the file does not say where its images lie",)
    try:
        return Volume(
            _stacked([images[frame_ref(frames[n])] for n in order], path),
            "depth",
            source=str(path),
            spacing_mm=frames[0].spacing,
            step_mm=float(steps.mean()) if even else None,
            notes=notes,
        )
    except GeometryError as error:
        raise ReadError(str(error)) from error


def _depths(frames: Any) -> list[float]:
    """Of each frame along the normal of its plane, mm; 0 where it does not say."""
    found = []
    for frame in frames:
        if frame.position is None or frame.orientation is None:
            return [0.0] * len(frames)
        row, col = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
        found.append(float(np.cross(row, col) @ np.array(frame.position)))
    return found


def _of_tiff(path: Path) -> Volume:
    from PIL import Image, ImageSequence, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            pages = [np.asarray(page) for page in ImageSequence.Iterator(image)]
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise ReadError(f"{path}: no TIFF that can be read ({error})") from error
    return Volume(_stacked(pages, path), "depth", source=str(path))


def _stacked(images: list[npt.NDArray[Any]], path: Path) -> npt.NDArray[Any]:
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        told = ", ".join(map(str, shapes[:_SHOWN]))
        raise ReadError(f"{path}: images of different sizes ({told}); a volume has one")
    return np.stack(images)

"""EchoNet-Dynamic: apical four-chamber loops with EF, volumes and tracings at end-diastole and end-systole.

>>> echo = EchoNet("EchoNet-Dynamic")                         # doctest: +SKIP
>>> loop = echo.load(echo.keys()[0])                          # doctest: +SKIP
>>> ed, es = echo.tracings(echo.keys()[0])                    # doctest: +SKIP
>>> ed.mask(112, 112).sum()                                   # doctest: +SKIP
1480

A loop is a patient: keys are `FileName/a4c`.  `DATASET.verified` says what of the layout was checked.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.layout import Case, Dataset, Found, Options, Remark, Seen
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.io.video import MAX_PIXELS, VariableRate, read_video
from cardiolens.volume import Volume

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.datasets.splits import Split

FILE_LIST, TRACINGS, VIDEOS = "FileList.csv", "VolumeTracings.csv", "Videos"
LABELS = ("ef", "esv", "edv", "lvef", "cardiomyopathy")
VIEW = "a4c"
_REDUCED = 50.0  # % below which SLIViT calls a heart one with cardiomyopathy (Avram et al., 2024)
_NUMBERS = {"ef": ("EF", 0.0, 100.0), "esv": ("ESV", 0.0, math.inf), "edv": ("EDV", 0.0, math.inf)}
_EDGE_BYTES = 4096

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EchoTracing:
    """The left ventricle as drawn on one image of a loop.

    Attributes:
        image: its number in the loop, from 0.
        lines: (line, 4) x1, y1, x2, y2 in pixels whose centres are whole numbers: the long axis first, then chords
            from apex to base.
    """

    image: int
    lines: Points

    @property
    def polygon(self) -> Points:
        """(point, 2) x, y: along one end of the chords and back along the other, as the data set's authors close it."""
        chords = self.lines[1:]
        return np.concatenate([chords[:, :2], chords[::-1, 2:]])

    def mask(self, rows: int, cols: int) -> npt.NDArray[np.bool_]:
        """(rows, cols): pixels whose centre lies inside."""
        from matplotlib.path import Path as Outline

        x, y = np.meshgrid(np.arange(cols), np.arange(rows))
        inside = Outline(self.polygon, closed=False).contains_points(np.stack([x, y], -1).reshape(-1, 2))
        return np.asarray(inside.reshape(rows, cols))

    @property
    def area(self) -> float:
        """Of the polygon, in pixels squared."""
        x, y = self.polygon.T
        return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))

    @property
    def volume(self) -> float:
        """By discs about the long axis, in pixels cubed: only ratios mean anything, since the videos have no scale."""
        lengths = np.hypot(self.lines[:, 2] - self.lines[:, 0], self.lines[:, 3] - self.lines[:, 1])
        return float(np.pi / 4.0 * (lengths[1:] ** 2).mean() * lengths[0])


@dataclass(frozen=True)
class _Row:
    """A line of the list: labels (NaN where missing) and part ("" where there is none)."""

    labels: dict[str, float]
    part: str


class EchoNet:
    """A copy of EchoNet-Dynamic, or of anything in its layout, as a `VolumeSet`.

    Attributes:
        name: "echonet".
        path: the folder with FileList.csv and Videos/.
        remarks: what does not fit: rows without a video, videos without a row, cells that hold no number.

    A video without a row is a key all the same, with no label and in no part of the split: pretraining may use it.
    """

    name = "echonet"

    def __init__(
        self, path: str | Path, *, variable_rate: VariableRate = "refuse", max_pixels: int = MAX_PIXELS
    ) -> None:
        """Look through the list and the folder; no video is opened.

        Args:
            variable_rate, max_pixels: see `io.video.read_video`.

        Raises:
            ReadError: no such folder, or no video in it.
            ReportError: a list that is absent, lacks a column or names a file twice.
        """
        self.path = Path(path)
        self._variable_rate, self._max_pixels = variable_rate, max_pixels
        self._videos = _videos(self.path / VIDEOS)
        remarks: list[Remark] = []
        rows = _rows(self.path / FILE_LIST, remarks)
        remarks += [Remark(stem, "a row without a video") for stem in rows if stem not in self._videos]
        remarks += [Remark(stem, "a video without a row") for stem in self._videos if stem not in rows]
        if not self._videos:
            raise ReadError(f"{self.path / VIDEOS}: no video here; unpack EchoNet-Dynamic whole")
        self._rows = {stem: row for stem, row in rows.items() if stem in self._videos}
        self.remarks = tuple(remarks)

    def keys(self) -> tuple[str, ...]:
        """`FileName/a4c` of every video that is there, sorted."""
        return tuple(f"{stem}/{VIEW}" for stem in sorted(self._videos))

    def load(self, key: str) -> Volume:
        """The loop.

        Raises:
            ReadError: no such key, or a video that cannot be read (`io.video.read_video`).
        """
        return read_video(self._video(key), variable_rate=self._variable_rate, max_pixels=self._max_pixels)

    def labels(self) -> pd.DataFrame:
        """`LABELS` by key, NaN where missing; volumes in ml, EF in %.  lvef is ef under the name of the CMR recipes."""
        import pandas as pd

        nothing = dict.fromkeys(LABELS, math.nan)
        rows = [self._rows[stem].labels if stem in self._rows else nothing for stem in sorted(self._videos)]
        index = pd.Index(self.keys(), name="key")
        frame: pd.DataFrame = pd.DataFrame(rows, index=index, columns=list(LABELS), dtype=float)
        return frame

    def split(self) -> Split | None:
        """The publisher's TRAIN, VAL and TEST; None where no row names a part."""
        from cardiolens.datasets.splits import Split

        parts: dict[str, list[str]] = defaultdict(list)
        for stem in sorted(self._rows):
            if self._rows[stem].part:
                parts[self._rows[stem].part].append(f"{stem}/{VIEW}")
        about = {"source": f"column Split of {FILE_LIST}", "dataset": self.name}
        return Split({name: tuple(keys) for name, keys in sorted(parts.items())}, about) if parts else None

    def hash(self) -> str:
        """Of both tables, and of every video's name, size, first and last 4 KiB."""
        digest = hashlib.sha256()
        for name in (FILE_LIST, TRACINGS):
            path = self.path / name
            digest.update(path.read_bytes() if path.is_file() else b"none")
        for stem, path in sorted(self._videos.items()):
            size = path.stat().st_size
            digest.update(f"{stem}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(_EDGE_BYTES))
                file.seek(max(0, size - _EDGE_BYTES))
                digest.update(file.read(_EDGE_BYTES))
        return digest.hexdigest()[:16]

    def tracings(self, key: str) -> tuple[EchoTracing, EchoTracing] | None:
        """End-diastole and end-systole: of the images traced, those that enclose most and least; None where none is.

        Raises:
            ReadError: no such key.
            ReportError: tracings of one image only, or without an axis and chords.
        """
        stem = self._video(key).stem
        found = self._traced.get(stem)
        if found is None:
            return None
        drawn = [EchoTracing(image, np.array(lines)) for image, lines in found.items()]
        if len(drawn) < 2 or any(len(tracing.lines) < 4 for tracing in drawn):
            raise ReportError(
                f"{self.path / TRACINGS}: {stem} has tracings of {len(drawn)} images with "
                f"{', '.join(str(len(each.lines)) for each in drawn)} lines; two with an axis and chords, are needed"
            )
        return max(drawn, key=lambda each: each.volume), min(drawn, key=lambda each: each.volume)

    def traced(self) -> tuple[str, ...]:
        """FileName of everything that the table of tracings names, whether its video is there or not."""
        return tuple(self._traced)

    @cached_property
    def _traced(self) -> dict[str, dict[int, list[tuple[float, ...]]]]:
        """Lines by file and image, as they stand in the table."""
        path, out = self.path / TRACINGS, defaultdict[str, dict[int, list[tuple[float, ...]]]](dict)
        if not path.is_file():
            return {}
        for line, row in read_rows(path, ("FileName", "X1", "Y1", "X2", "Y2", "Frame")):
            values = [number(row[name]) for name in ("X1", "Y1", "X2", "Y2", "Frame")]
            if any(value is None or not math.isfinite(value) for value in values):
                raise ReportError(f"{path}: line {line}: X1, Y1, X2, Y2 and Frame must be numbers")
            *ends, image = (float(value) for value in values if value is not None)
            out[_stem(row["FileName"])].setdefault(int(image), []).append(tuple(ends))
        return dict(out)

    def _video(self, key: str) -> Path:
        stem, _, view = key.partition("/")
        if view != VIEW or stem not in self._videos:
            raise ReadError(f"{self.path}: no loop {key!r}; keys are like {self.keys()[0]!r}")
        return self._videos[stem]


def _looks_like_echonet(path: Path) -> bool:
    """Whether a folder has the list and the folder of videos."""
    return (path / FILE_LIST).is_file() and (path / VIDEOS).is_dir()


def _stem(name: str) -> str:
    """FileName without .avi: the list leaves it out, the tracings have it."""
    return name[:-4] if name.lower().endswith(".avi") else name


def _videos(folder: Path) -> dict[str, Path]:
    try:
        with os.scandir(folder) as entries:
            return {_stem(e.name): Path(e.path) for e in entries if e.name.lower().endswith(".avi") and e.is_file()}
    except OSError as error:
        raise ReadError(f"{folder}: {error.strerror}; give the folder that holds {FILE_LIST} and {VIDEOS}/") from error


def _rows(path: Path, remarks: list[Remark]) -> dict[str, _Row]:
    """Of every file that the list names."""
    if not path.is_file():
        raise ReportError(f"{path}: not there; EchoNet-Dynamic's list belongs beside {VIDEOS}/")
    named, split = [column for column, *_ in _NUMBERS.values()], "Split" in read_header(path)
    need = ("FileName", *named, *(("Split",) if split else ()))
    out: dict[str, _Row] = {}
    lines: dict[str, list[int]] = defaultdict(list)
    for line, row in read_rows(path, need):
        stem = _stem(row["FileName"])
        lines[stem].append(line)
        out[stem] = _Row(_labels(stem, row, remarks), _part(stem, row.get("Split", ""), remarks))
    require_once(path, "FileName", lines)
    if not split:
        remarks.append(Remark(FILE_LIST, "no column Split: there is no official split"))
    return out


def _labels(stem: str, row: dict[str, str], remarks: list[Remark]) -> dict[str, float]:
    out = {}
    for name, (column, low, high) in _NUMBERS.items():
        value = number(row[column])
        if value is None or value < low or value > high:
            remarks.append(Remark(stem, f"{column} is no number in range: taken as missing", row[column]))
            value = math.nan
        out[name] = value
    ef = out["ef"]
    return {**out, "lvef": ef, "cardiomyopathy": math.nan if math.isnan(ef) else float(ef < _REDUCED)}


def _part(stem: str, text: str, remarks: list[Remark]) -> str:
    part = text.strip().lower()
    if part not in ("train", "val", "test"):
        if part:
            remarks.append(Remark(stem, "Split is neither TRAIN, VAL nor TEST: in no part", text))
        return ""
    return part


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    if not _looks_like_echonet(folder):
        raise DATASET.nothing_in(folder)
    excluded = read_exclusions(options.exclude).cases
    echo = EchoNet(folder)
    labels, split = echo.labels(), echo.split()
    part_of = {key: part for part, keys in split.parts.items() for key in keys} if split is not None else {}
    cases, skipped, remarks = [], [], list(echo.remarks)
    for place, key in enumerate(echo.keys(), start=1):
        seen(place)
        stem = key.partition("/")[0]
        if stem in excluded:
            skipped.append(Remark(stem, "on the exclusion list"))
            continue
        identity = Identity(f"echonet/{stem}", Pseudonym(stem), Pseudonym(stem))
        unit = Unit((str(folder / VIDEOS / f"{stem}.avi"),), (identity,))
        row = {str(name): float(value) for name, value in labels.loc[key].items()}
        cases.append(Case(stem, unit, identity, row, part_of.get(key)))
        try:
            if echo.tracings(key) is None:
                remarks.append(Remark(stem, "no tracings"))
        except ReportError as error:
            remarks.append(Remark(stem, "tracings that are no pair", str(error)))
    remarks += [
        Remark(stem, "tracings without a video") for stem in echo.traced() if f"{stem}/{VIEW}" not in labels.index
    ]
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=excluded)


DATASET = Dataset(
    name="echonet",
    title="EchoNet-Dynamic, apical four-chamber echocardiograms",
    holds="about 10,000 grey loops of 112 x 112 pixels as AVI with EF, ESV, EDV and tracings at ED and ES; no scale",
    licence="Stanford University School of Medicine EchoNet-Dynamic Dataset Research Use Agreement (not checked here)",
    source="echonet.github.io/dynamic",
    citation="Ouyang et al., Nature 2020;580:252, doi:10.1038/s41586-020-2145-8",
    layout="""\
FileList.csv                 FileName, EF, ESV, EDV, FrameHeight, FrameWidth, FPS, NumberOfFrames, Split
VolumeTracings.csv           FileName, X1, Y1, X2, Y2, Frame: a line a row, the long axis first in each image
Videos/0X1A2B3C4D5E6F.avi    one loop a patient""",
    labels={
        "ef": "left ventricular ejection fraction, %",
        "esv": "end-systolic volume, ml",
        "edv": "end-diastolic volume, ml",
        "lvef": "ef again, as the CMR recipes call it",
        "cardiomyopathy": "1 where ef is below 50 % (as SLIViT's task), else 0",
    },
    official_split="TRAIN, VAL and TEST of the column Split",
    verified="columns, closing of the tracings, against the authors' reader (github.com/echonet/dynamic, "
    "echonet/datasets/echo.py), and the whole path on phantoms in this layout",
    unverified="a real copy: the data set is given out on request only",
    options=("exclude",),
    public_names=True,
    cines=False,
    find=_find,
)

"""ACDC, the Automated Cardiac Diagnosis Challenge: short-axis cines with masks at end-diastole and end-systole.

>>> from cardiolens.datasets import acdc
>>> masks = acdc.masks("database/training/patient001")       # doctest: +SKIP
>>> masks.ed.shape, masks.labels                             # doctest: +SKIP
((10, 256, 216), {1: 'RV', 2: 'LV myocardium', 3: 'LV'})

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames, relabel
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.tables import number
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReadError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Study, View

RV, MYOCARDIUM, LV = 1, 2, 3
LABELS: Mapping[int, str] = MappingProxyType({RV: "RV", MYOCARDIUM: "LV myocardium", LV: "LV"})
_PARTS = {"training": "train", "testing": "test"}
_CASE = re.compile(r"patient\d+")


@dataclass(frozen=True)
class Masks:
    """Contours of the observers, in the orientation of the cine that `ingest` stores.

    Attributes:
        ed, es: (slice, row, col) uint8, keys of `labels`, 0 elsewhere.
        ed_phase, es_phase: index of the phase from 0 (`Info.cfg` counts from 1).
        voxel_ml: volume of one voxel; None when the header gives no spacing.
    """

    ed: npt.NDArray[np.uint8]
    es: npt.NDArray[np.uint8]
    ed_phase: int
    es_phase: int
    voxel_ml: float | None
    labels: Mapping[int, str] = field(default_factory=lambda: LABELS)


@dataclass(frozen=True)
class Info:
    """What `Info.cfg` says: frames counted from 1, height in cm, weight in kg; NaN or None where it says nothing."""

    ed: int
    es: int
    n_frames: int
    group: str | None
    height: float
    weight: float

    @property
    def labels(self) -> dict[str, Label]:
        """Under the names of the file."""
        frames: dict[str, Label] = {"ED": self.ed, "ES": self.es, "NbFrame": self.n_frames}
        return {"Group": self.group, **frames, "Height": self.height, "Weight": self.weight}


def read_info(path: Path) -> Info:
    """Read an `Info.cfg`, one `key: value` a line.

    Raises:
        ReadError: not readable, without ED, ES or NbFrame, or with a value that is no number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: cannot be read ({error})") from error
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def frame(name: str) -> int:
        text = said.get(name, "")
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise ReadError(f"{path}: {name} is {text!r}; a frame number from 1 is needed, as in `{name}: 1`")
        return int(text)

    def size(name: str) -> float:
        value = number(said.get(name, ""))
        if value is None:
            raise ReadError(f"{path}: {name} is {said[name]!r}, not a number")
        return value

    info = Info(frame("ED"), frame("ES"), frame("NbFrame"), said.get("Group") or None, size("Height"), size("Weight"))
    if max(info.ed, info.es) > info.n_frames:
        raise ReadError(f"{path}: ED {info.ed} or ES {info.es} is beyond NbFrame {info.n_frames}")
    return info


def masks(folder: str | Path) -> Masks:
    """The masks of a case, e.g. of ``database/training/patient001``.

    Raises:
        ReadError: files that are absent, damaged or of other labels.
        GeometryError: masks that do not lie on the cine's grid.
    """
    from cardiolens.io.nifti import read_label_map, read_nifti

    case = Path(folder)
    info = read_info(case / "Info.cfg")
    cine_path = str(case / f"{case.name}_4d.nii.gz")
    cine = read_nifti(cine_path, View.SAX)
    slices, frames, rows, cols = cine.shape
    if frames != info.n_frames:
        raise GeometryError(f"{cine_path}: {frames} frames, Info.cfg says NbFrame {info.n_frames}")
    arrays = []
    for phase in (info.ed, info.es):
        path = case / f"{case.name}_frame{phase:02d}_gt.nii.gz"
        values = read_label_map(str(path), cine_path)
        if values.shape != (slices, rows, cols):
            raise GeometryError(f"{path}: shape {values.shape}, the cine's frames have {(slices, rows, cols)}")
        if not set(np.unique(values).tolist()) <= {0, *LABELS}:
            raise ReadError(f"{path}: holds other labels than 0, 1, 2 and 3")
        arrays.append(values.astype(np.uint8))
    has_volume = cine.spacing_mm is not None and cine.slice_positions_mm is not None and slices > 1
    volume = cine.voxel_volume_ml() if has_volume else None
    return Masks(arrays[0], arrays[1], info.ed - 1, info.es - 1, volume)


def derived(found: Masks) -> dict[str, float]:
    """Volumes (ml) by counting voxels and ejection fractions (%); NaN where spacing or the chamber is absent."""
    out: dict[str, float] = {}
    for label, edv, esv, ef in ((LV, "edv", "esv", "lvef"), (RV, "rv_edv", "rv_esv", "rvef")):
        ends = [int((mask == label).sum()) for mask in (found.ed, found.es)]
        scale = math.nan if found.voxel_ml is None or not ends[0] else found.voxel_ml
        out |= {edv: ends[0] * scale, esv: ends[1] * scale}
        out[ef] = 100.0 * (ends[0] - ends[1]) / ends[0] if ends[0] else math.nan
    return out


def read_case(paths: Sequence[str], *, n_frames: int) -> Study:
    """The cine of a case.

    Raises:
        ReadError: not readable, or with another number of frames than `Info.cfg` says.
    """
    from cardiolens.reading import read_study

    study = read_study(paths[0], view=View.SAX)
    cine = study.cine(View.SAX)
    if cine.n_phases != n_frames:
        raise ReadError(f"{paths[0]}: {cine.n_phases} frames, Info.cfg says NbFrame {n_frames}")
    if cine.affine is not None and _is_placeholder(paths[0]):
        note = "orientation in the header is a placeholder (axes of the body, origin 0): only spacing is kept"
        cine = dataclasses.replace(cine, affine=None, notes=(*cine.notes, note), frames=cine.__dict__["_frames"])
    return dataclasses.replace(study, cines=(cine,))


def _is_placeholder(path: str) -> bool:
    """Whether the affine is spacing alone.  No short axis lies along the body with its corner at the very centre."""
    import nibabel

    affine: npt.NDArray[Any] = np.asarray(nibabel.load(path).affine)  # type: ignore[attr-defined]
    turned = affine[:3, :3] - np.diag(np.diag(affine[:3, :3]))
    return not np.any(np.abs(turned) > 1e-6) and not np.any(np.abs(affine[:3, 3]) > 1e-6)


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`."""
    folder = Path(case.unit.paths[0]).parent
    found = masks(folder)
    cine = read_case(case.unit.paths, n_frames=int(float(str(case.labels["NbFrame"])))).cine(View.SAX)
    labels = np.stack([found.ed, found.es], axis=1)
    known = {RV: "RV cavity", MYOCARDIUM: "LV myocardium", LV: "LV cavity"}
    phases, names = (found.ed_phase, found.es_phase), ("ED", "ES")
    return [
        LabelledFrames(
            cine, phases, names, relabel(labels, known, str(folder)), tuple(known.values()), source=f"acdc {case.name}"
        )
    ]


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    cases: list[Case] = []
    skipped: list[Remark] = []
    remarks: list[Remark] = []
    for place, (case, part) in enumerate(_folders(folder), start=1):
        seen(place)
        if case.name in exclusions.cases:
            skipped.append(Remark(case.name, "on the exclusion list"))
            continue
        cine = case / f"{case.name}_4d.nii.gz"
        try:
            info = read_info(case / "Info.cfg")
            if not cine.is_file():
                raise ReadError(f"{cine}: no such file")
        except ReadError as error:
            skipped.append(Remark(case.name, "Info.cfg or the 4-D cine is absent or damaged", str(error)))
            continue
        labels: dict[str, Label] = {"case": case.name, **info.labels}
        try:
            labels |= derived(masks(case))
        except (ReadError, GeometryError) as error:
            remarks.append(Remark(case.name, "no usable masks: volumes and LVEF are missing", str(error)))
        if info.group is None:
            remarks.append(Remark(case.name, "no Group in Info.cfg"))
        identity = Identity(f"acdc/{case.name}", Pseudonym(case.name), Pseudonym(case.name))
        reader = functools.partial(read_case, n_frames=info.n_frames)
        unit = Unit((str(cine),), (identity,), reader, f"acdc 1 {info.n_frames}")
        cases.append(Case(case.name, unit, identity, labels, part))
    if not cases and not skipped:
        archive = next(folder.glob("*.zip"), None)
        raise DATASET.nothing_in(folder, f"; unpack {archive.name} first" if archive else "")
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _folders(folder: Path) -> list[tuple[Path, str]]:
    """(case, part of the official split), whether the folder is the database, what holds it, or one part of it."""
    tops = [top for top in (folder, folder / "database") if any((top / part).is_dir() for part in _PARTS)]
    parts = [(top / name, part) for top in tops[:1] for name, part in _PARTS.items()]
    if not tops and folder.name in _PARTS:
        parts = [(folder, _PARTS[folder.name])]
    found = [
        (case, part)
        for top, part in parts
        if top.is_dir()
        for case in sorted(top.iterdir())
        if case.is_dir() and _CASE.fullmatch(case.name)
    ]
    names = [case.name for case, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(f"{folder}: {', '.join(twice)} in training and in testing; a patient is in one part only")
    return found


DATASET = Dataset(
    name="acdc",
    title="ACDC, Automated Cardiac Diagnosis Challenge",
    holds="150 patients (100 training, 50 testing), short-axis cines as 4-D NIfTI, masks at ED and ES, five groups",
    licence="registration with the publisher and citation; the terms of the download hold (not checked here)",
    source="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
    citation="Bernard et al., IEEE Trans Med Imaging 2018;37:2514, doi:10.1109/TMI.2018.2837502",
    layout="""\
database/training/patient001/Info.cfg
                             patient001_4d.nii.gz
                             patient001_frame01.nii.gz  patient001_frame01_gt.nii.gz    ED
                             patient001_frame12.nii.gz  patient001_frame12_gt.nii.gz    ES
database/testing/patient101/...""",
    labels={
        "case": "name of the case",
        "Group": "NOR, MINF, DCM, HCM or RV",
        "ED": "end-diastolic frame, counted from 1",
        "ES": "end-systolic frame, counted from 1",
        "NbFrame": "frames of the cine",
        "Height": "cm",
        "Weight": "kg",
        "edv": "LV end-diastolic volume, ml; voxels of the mask times their size (derived)",
        "esv": "LV end-systolic volume, ml (derived)",
        "lvef": "LV ejection fraction, % (derived)",
        "rv_edv": "RV end-diastolic volume, ml (derived)",
        "rv_esv": "RV end-systolic volume, ml (derived)",
        "rvef": "RV ejection fraction, % (derived)",
    },
    official_split="training → train, testing → test",
    verified="folders, file names and the keys of Info.cfg against the README and reader of CineMA "
    "(github.com/mathpluscode/CineMA, cinema/data/acdc); labels 1 RV, 2 myocardium, 3 LV against the publisher's page "
    "on evaluation; 150 cases in five groups against the publisher's page on the databases",
    unverified="headers of the real NIfTI files: an affine without rotation and origin is taken for a placeholder and "
    "dropped, spacing is kept; whether every real testing case has a Group",
    options=("exclude",),
    public_names=True,
    masks=masks_of,
    find=_find,
)

"""M&Ms-2: short-axis and four-chamber cines, with masks on stills of both at end-diastole and end-systole.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames, volumes
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.nifti_labels import need, read_labels
from cardiolens.datasets.tables import number, read_rows, require_once
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import CardiolensError, GeometryError, ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Cine, Study, View

LABELS: Mapping[int, str] = MappingProxyType({1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"})
TABLE = "dataset_information.csv"
_COLUMNS = ("SUBJECT_CODE", "DISEASE", "VENDOR", "SCANNER", "FIELD")
_VIEWS = {"SA": View.SAX, "LA": View.CH4}
_LAST_OF_PART = ((160, "train"), (200, "val"))
_ENDS = ("ED", "ES")


def read_table(path: Path) -> dict[str, dict[str, Label]]:
    """Facts by subject, as 001, under the names of the table.

    Raises:
        ReportError: other columns, a subject twice, or a code that is no number.
    """
    lines: dict[str, list[int]] = {}
    rows: dict[str, dict[str, Label]] = {}
    for line, row in read_rows(path, _COLUMNS, keep=lambda column: False):
        code, field = number(row["SUBJECT_CODE"]), number(row["FIELD"])
        if code is None or not float(code).is_integer():
            raise ReportError(f"{path}: line {line}: SUBJECT_CODE is {row['SUBJECT_CODE']!r}, not a number")
        subject = f"{int(code):03d}"
        lines.setdefault(subject, []).append(line)
        texts: dict[str, Label] = {name: row[name] or None for name in ("DISEASE", "VENDOR", "SCANNER")}
        rows[subject] = {**texts, "FIELD": row["FIELD"] if field is None else field}
    require_once(path, "SUBJECT_CODE", lines)
    return rows


def read_case(paths: Sequence[str]) -> Study:
    """The cines of a case; the letters in a file's name tell its view."""
    from cardiolens.io.nifti import read_nifti

    return Study(tuple(read_nifti(path, _VIEWS[Path(path).name.split("_")[1]]) for path in paths))


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`: one entry for the short axis, one for the four-chamber view."""
    folder = Path(case.unit.paths[0]).parent
    found = [_masks(folder, letters) for letters in _VIEWS if any(folder.glob(f"*_{letters}_E[DS]_gt.nii.gz"))]
    if not found:
        raise ReadError(f"{folder}: no masks (…_SA_ED_gt.nii.gz)")
    return found


def _masks(folder: Path, letters: str) -> LabelledFrames:
    """End-diastole and end-systole as the two phases of one grid.  Raises where files are absent or do not fit."""
    from cardiolens.io.nifti import read_still

    name, view = folder.name, _VIEWS[letters]
    stills: dict[str, Cine] = {}
    labels = []
    for end in _ENDS:
        path = folder / f"{name}_{letters}_{end}_gt.nii.gz"
        if not path.is_file():
            continue
        image = need(folder / f"{name}_{letters}_{end}.nii.gz")
        stills[end] = read_still(str(image), view)
        labels.append(read_labels(path, image, stills[end], LABELS))
    first = next(iter(stills.values()))
    if any(still.shape != first.shape for still in stills.values()):
        raise GeometryError(f"{folder}: {letters}_ED and {letters}_ES have different shapes")
    frames = np.concatenate([still.frames for still in stills.values()], axis=1)
    both = dataclasses.replace(first, frames=frames, trigger_times_ms=None)
    notes = tuple(f"no mask of {letters} at {end}" for end in _ENDS if end not in stills)
    return LabelledFrames(
        both,
        tuple(range(len(stills))),
        tuple(stills),
        np.concatenate(labels, axis=1),
        tuple(LABELS.values()),
        source=f"mnms2 {name} {letters}",
        notes=notes,
    )


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    root = folder / "MnM2" if (folder / "MnM2").is_dir() else folder
    top = root / "dataset"
    folders = (
        [each for each in sorted(top.iterdir()) if each.is_dir() and re.fullmatch(r"\d{3}", each.name)]
        if (top.is_dir())
        else []
    )
    if not folders:
        raise DATASET.nothing_in(folder)
    rows = read_table(root / TABLE) if (root / TABLE).is_file() else {}
    remarks = [] if rows else [Remark("table", f"no {TABLE}: cases have no labels")]
    cases, skipped = [], []
    for place, case in enumerate(folders, start=1):
        seen(place)
        name = case.name
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        cines = {letters: case / f"{name}_{letters}_CINE.nii.gz" for letters in _VIEWS}
        paths = tuple(str(path) for path in cines.values() if path.is_file())
        if not paths:
            skipped.append(Remark(name, "no cine in its folder", str(case)))
            continue
        remarks += [Remark(name, f"no {k}_CINE") for k, path in cines.items() if not path.is_file()]
        labels: dict[str, Label] = {"case": name, **rows.get(name, {}), **_derived(case, remarks)}
        if rows and name not in rows:
            remarks.append(Remark(name, "no row in the table: all labels are missing"))
        identity = Identity(f"mnms2/{name}", Pseudonym(name), Pseudonym(name))
        part = next((part for last, part in _LAST_OF_PART if int(name) <= last), "test")
        cases.append(Case(name, Unit(paths, (identity,), read_case, "mnms2 1"), identity, labels, part))
    there = {each.name for each in folders}
    remarks += [Remark(name, "a row for a case that is not here") for name in sorted(set(rows) - there)]
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _derived(folder: Path, remarks: list[Remark]) -> dict[str, Label]:
    try:
        found = _masks(folder, "SA") if any(folder.glob("*_SA_E[DS]_gt.nii.gz")) else None
    except CardiolensError as error:
        remarks.append(Remark(folder.name, "no usable masks: volumes and LVEF are missing", str(error)))
        return {}
    if found is None:
        remarks.append(Remark(folder.name, "no usable masks: volumes and LVEF are missing", f"{folder}: none there"))
        return {}
    remarks += [Remark(folder.name, "a mask at one end of the beat only: LVEF is missing", n) for n in found.notes]
    return dict(volumes(found))


DATASET = Dataset(
    name="mnms2",
    title="M&Ms-2, right ventricle in short-axis and four-chamber view",
    holds="360 patients, three vendors, SAX and 4CH cines as 4-D NIfTI, stills at ED and ES with masks",
    licence="registration with the organisers; the terms of the download hold (not checked here)",
    source="https://www.ub.edu/mnms-2/",
    citation="Martin-Isla et al., IEEE J Biomed Health Inform 2023;27:3302, doi:10.1109/JBHI.2023.3267857",
    layout="""\
MnM2/dataset_information.csv                    SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD
     dataset/001/001_SA_CINE.nii.gz             4-D, short axis
                 001_SA_ED.nii.gz, 001_SA_ED_gt.nii.gz, 001_SA_ES.nii.gz, 001_SA_ES_gt.nii.gz
                 001_LA_CINE.nii.gz, ...        the same five of the four-chamber view""",
    labels={
        "case": "number of the subject",
        "DISEASE": "group, such as NOR, LV, HCM, ARR, FALL, CIA, RV, TRI",
        "VENDOR": "manufacturer",
        "SCANNER": "model",
        "FIELD": "tesla",
        "edv, esv, rv_edv, rv_esv": "volumes, ml; voxels of the short-axis mask times their size (derived)",
        "lvef, rvef": "ejection fractions, % (derived)",
    },
    official_split="subjects 1 to 160 → train, 161 to 200 → val, the rest → test",
    verified="folders, file names, columns, labels 1 LV, 2 myocardium, 3 RV, and the split by number, against the "
    "reader of CineMA (github.com/mathpluscode/CineMA, cinema/data/mnms2)",
    unverified="headers of the real NIfTI files; which phases of the cine the stills are (no table tells, so masks "
    "come with the stills and not with the cine)",
    options=("exclude",),
    public_names=True,
    masks=masks_of,
    find=_find,
)

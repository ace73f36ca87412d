"""M&Ms, the Multi-Centre, Multi-Vendor and Multi-Disease challenge: short-axis cines with masks at ED and ES.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames, volumes
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.nifti_labels import need, read_labels
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReadError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Study, View

LABELS: Mapping[int, str] = MappingProxyType({1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"})
_PARTS = {"Training/Labeled": "train", "Training/Unlabeled": None, "Validation": "val", "Testing": "test"}
_UNLABELLED = "Unlabeled"
_CODE = "External code"
_COLUMNS = ("VendorName", "Vendor", "Centre", "ED", "ES", "Age", "Pathology", "Sex", "Height", "Weight")
_NUMBERS = ("Centre", "ED", "ES", "Age", "Height", "Weight")


def read_table(path: Path) -> tuple[dict[str, dict[str, Label]], list[Remark]]:
    """Facts by external code, under the names of the table; NaN or None where it says nothing or no number.

    Raises:
        ReportError: other columns, or a case twice.
    """
    remarks = []
    lines: dict[str, list[int]] = {}
    rows: dict[str, dict[str, Label]] = {}
    for line, row in read_rows(path, (_CODE, *_COLUMNS), keep=lambda column: False):
        code = row[_CODE]
        lines.setdefault(code, []).append(line)
        rows[code] = {name: row[name] or None for name in _COLUMNS if name not in _NUMBERS}
        for name in _NUMBERS:
            value = number(row[name])
            if value is None:
                remarks.append(Remark(code, "a field that is no number", f"{path}: line {line}, {name} {row[name]!r}"))
            rows[code][name] = math.nan if value is None else value
    require_once(path, _CODE, lines)
    return rows, remarks


def read_case(paths: Sequence[str]) -> Study:
    """The cine of a case; `ReadError` where it cannot be read."""
    from cardiolens.reading import read_study

    return read_study(paths[0], view=View.SAX)


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`; none for cases of Training/Unlabeled."""
    image = Path(case.unit.paths[0])
    if image.parents[1].name == _UNLABELLED:
        return []
    return [_masks(image, case.labels)]


def _masks(image: Path, facts: Mapping[str, Label]) -> LabelledFrames:
    """Raises `ReadError` or `GeometryError` where masks and table do not fit the cine."""
    code = image.parent.name
    cine = read_case([str(image)]).cine(View.SAX)
    labels = read_labels(image.with_name(f"{code}_sa_gt.nii.gz"), image, cine, LABELS)
    ends: dict[str, int] = {}
    for name in ("ED", "ES"):
        value = facts.get(name)
        if not isinstance(value, float) or not value.is_integer() or not 0 <= value < cine.n_phases:
            raise ReadError(f"{code}: {name} is {value} in the table; the cine has frames 0 to {cine.n_phases - 1}")
        ends[name] = int(value)
    filled = set(np.flatnonzero(labels.any((0, 2, 3))).tolist())
    notes = [f"nothing is drawn at {name}, frame {phase}" for name, phase in ends.items() if phase not in filled]
    drawn = {name: phase for name, phase in ends.items() if phase in filled}
    if not drawn or len(set(ends.values())) < 2:
        raise ReadError(
            f"{code}: ED {ends['ED']} and ES {ends['ES']} in the table; frames with masks: {sorted(filled)}"
        )
    beyond = sorted(filled - set(ends.values()))
    if beyond:
        notes.append(f"masks at frames {beyond} too, which are neither ED nor ES in the table: left out")
    phases = tuple(drawn.values())
    return LabelledFrames(
        cine,
        phases,
        tuple(drawn),
        labels[:, list(phases)],
        tuple(LABELS.values()),
        source=f"mnms {code}",
        notes=tuple(notes),
    )


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    root = folder / "OpenDataset" if (folder / "OpenDataset").is_dir() else folder
    folders = _folders(root)
    if not folders:
        raise DATASET.nothing_in(folder)
    table = _table_in(root)
    rows, remarks = read_table(table) if table is not None else ({}, [])
    if table is None:
        remarks.append(Remark("table", "no table of information: cases have no labels"))
    cases, skipped = [], []
    for place, (code, (top, part)) in enumerate(sorted(folders.items()), start=1):
        seen(place)
        image = top / f"{code}_sa.nii.gz"
        if code in exclusions.cases:
            skipped.append(Remark(code, "on the exclusion list"))
            continue
        if not image.is_file():
            skipped.append(Remark(code, "no cine in its folder", str(image)))
            continue
        cases.append(_case(code, image, part, rows, remarks))
    remarks += [Remark(code, "a row for a case that is not here") for code in sorted(set(rows) - set(folders))]
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _case(
    code: str, image: Path, part: str | None, rows: Mapping[str, Mapping[str, Label]], remarks: list[Remark]
) -> Case:
    facts = rows.get(code, {})
    labels: dict[str, Label] = {"case": code, **facts}
    if facts:
        labels |= {"age": facts["Age"], "sex": facts["Sex"] if facts["Sex"] in ("F", "M") else None}
        if image.parents[1].name != _UNLABELLED:
            labels |= _derived(code, image, facts, remarks)
    elif rows:
        remarks.append(Remark(code, "no row in the table: all labels are missing"))
    identity = Identity(f"mnms/{code}", Pseudonym(code), Pseudonym(code))
    return Case(code, Unit((str(image),), (identity,), read_case, "mnms 1"), identity, labels, part)


def _derived(code: str, image: Path, facts: Mapping[str, Label], remarks: list[Remark]) -> dict[str, Label]:
    try:
        found = _masks(image, facts)
    except (ReadError, GeometryError) as error:
        remarks.append(Remark(code, "no usable masks: volumes and LVEF are missing", str(error)))
        return {}
    remarks += [Remark(code, "masks and table do not quite fit", note) for note in found.notes]
    return dict(volumes(found))


def _folders(root: Path) -> dict[str, tuple[Path, str | None]]:
    """Code to (folder, part).  Raises `ReadError` for a case in two parts."""
    found: dict[str, tuple[Path, str | None]] = {}
    for name, part in _PARTS.items():
        for top in sorted((root / name).iterdir()) if (root / name).is_dir() else ():
            if not (top.is_dir() and any(top.glob("*_sa*.nii.gz"))):
                continue
            if top.name in found:
                raise ReadError(f"{top.name} is in {found[top.name][0]} and in {top}; a patient is in one part only")
            found[top.name] = (top, part)
    return found


def _table_in(root: Path) -> Path | None:
    """The table by its columns, since its name carries a date."""
    for path in sorted(root.glob("*.csv")):
        if _CODE in read_header(path):
            return need(path)
    return None


DATASET = Dataset(
    name="mnms",
    title="M&Ms, Multi-Centre, Multi-Vendor and Multi-Disease challenge",
    holds="345 patients, six centres, four vendors, short-axis cines as 4-D NIfTI, masks at ED and ES (25 without)",
    licence="registration with the organisers; the terms of the download hold (not checked here)",
    source="https://www.ub.edu/mnms/",
    citation="Campello et al., IEEE Trans Med Imaging 2021;40:3543, doi:10.1109/TMI.2021.3090082",
    layout="""\
OpenDataset/211230_M&Ms_Dataset_information_diagnosis_opendataset.csv    External code, Vendor, Centre, ED, ES, ...
            Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz, A0S9V9_sa_gt.nii.gz
            Training/Unlabeled/..., Validation/..., Testing/...""",
    labels={
        "case": "external code",
        "VendorName": "manufacturer",
        "Vendor": "A, B, C or D",
        "Centre": "number of the centre",
        "ED": "end-diastolic frame, counted from 0",
        "ES": "end-systolic frame, counted from 0",
        "Age": "years",
        "Pathology": "group, such as NOR, HCM, DCM",
        "Sex": "F or M",
        "Height": "as in the table, often missing",
        "Weight": "as in the table, often missing",
        "age, sex": "the same under the names that all sets share",
        "edv, esv, rv_edv, rv_esv": "volumes, ml; voxels of the mask times their size (derived)",
        "lvef, rvef": "ejection fractions, % (derived)",
    },
    official_split="Training/Labeled → train, Validation → val, Testing → test; Training/Unlabeled is in none",
    verified="folders, file names, columns, labels 1 LV, 2 myocardium, 3 RV, and frames from 0, against the reader of "
    "CineMA (github.com/mathpluscode/CineMA, cinema/data/mnms)",
    unverified="headers of the real NIfTI files; units of Height and Weight; the masks of Training/Unlabeled are taken "
    "for empty and not read; frames other than ED and ES are taken for empty and told when they are not",
    options=("exclude",),
    public_names=True,
    masks=masks_of,
    find=_find,
)

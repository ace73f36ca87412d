"""Kaggle's Second Annual Data Science Bowl (2015/16): DICOM cines with two volumes of the left ventricle.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.datasets.assemble import assemble
from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.dicom.headers import Frame

_PARTS = {"train": "train", "validate": "val", "test": "test"}
_SERIES = re.compile(r"(sax|2ch|4ch)_\d+", re.IGNORECASE)
_VIEWS = {"sax": View.SAX, "2ch": View.CH2, "4ch": View.CH4}
_ROOT = "second-annual-data-science-bowl"
_PHASES = ("Systole", "Diastole")


def read_case(paths: Sequence[str]) -> Study:
    """The files of one case; the folder of a series names its view.

    Raises:
        ReadError: nothing to read.
    """
    return assemble(paths, _folder_of, _view_of, not_named="in no folder named sax_N, 2ch_N or 4ch_N")


def _folder_of(frame: Frame) -> str | None:
    name = Path(frame.file.ref.path).parent.name
    return name if _SERIES.fullmatch(name) else None


def _view_of(group: str) -> View | None:
    return _VIEWS[group.partition("_")[0].lower()]


def read_labels(folder: Path) -> tuple[dict[str, dict[str, float]], list[Remark]]:
    """Volumes (ml) by case, from train.csv, validate.csv and solution.csv as far as they are there.

    Raises:
        ReportError: a table with other columns, or a case twice.
    """
    volumes: dict[str, dict[str, float]] = {}
    remarks: list[Remark] = []
    for name in ("train.csv", "validate.csv", "solution.csv"):
        path = next((top / name for top in (folder, folder / name.partition(".")[0]) if (top / name).is_file()), None)
        if path is None:
            remarks.append(Remark(name, f"no {name}: its cases have no labels"))
            continue
        rows = _solution(path) if name == "solution.csv" else _volumes(path)
        for case, phase, text in rows:
            value = number(text)
            if value is None or value <= 0:
                remarks.append(Remark(case, "a volume that is no positive number", f"{path}: {phase} {text!r}"))
                value = math.nan
            if phase in volumes.setdefault(case, {}):
                raise ReportError(f"{path}: case {case} has a second {phase}; keep one")
            volumes[case][phase] = value
    return volumes, remarks


def _volumes(path: Path) -> list[tuple[str, str, str]]:
    """(case, phase, text) of train.csv or validate.csv."""
    lines: dict[str, list[int]] = defaultdict(list)
    rows = []
    for line, row in read_rows(path, ("Id", *_PHASES), keep=lambda column: False):
        lines[row["Id"]].append(line)
        rows += [(row["Id"], phase, row[phase]) for phase in _PHASES]
    require_once(path, "Id", lines)
    return rows


def _solution(path: Path) -> list[tuple[str, str, str]]:
    """The same of solution.csv, whose Id is 701_Diastole or 701_Systole; of a table in the other form too."""
    if {"Id", *_PHASES} <= set(read_header(path)):
        return _volumes(path)
    lines: dict[str, list[int]] = defaultdict(list)
    rows = []
    for line, row in read_rows(path, ("Id", "Volume"), keep=lambda column: False):
        case, _, phase = row["Id"].partition("_")
        if phase not in _PHASES:
            raise ReportError(f"{path}: line {line}: Id is {row['Id']!r}; 701_Systole or 701_Diastole is expected")
        lines[row["Id"]].append(line)
        rows.append((case, phase, row["Volume"]))
    require_once(path, "Id", lines)
    return rows


def lvef(systole: float, diastole: float) -> float:
    """Ejection fraction in %; NaN where a volume is missing or systole is the larger."""
    return 100.0 * (diastole - systole) / diastole if systole <= diastole and diastole > 0 else math.nan


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    root = folder / _ROOT if (folder / _ROOT).is_dir() else folder
    folders = _folders(root)
    if not folders:
        archive = next(root.glob("*.zip"), None)
        raise DATASET.nothing_in(root, f"; unpack {archive.name} first" if archive else "")
    volumes, remarks = read_labels(root)
    cases, skipped = [], []
    for place, (name, (top, part)) in enumerate(folders.items(), start=1):
        seen(place)
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        paths = _files(top)
        if not paths:
            skipped.append(Remark(name, "no file in a folder named sax_N, 2ch_N or 4ch_N", str(top)))
            continue
        known = volumes.get(name, {})
        found = {phase: known.get(phase, math.nan) for phase in _PHASES}
        ratio = lvef(found["Systole"], found["Diastole"])
        if not known:
            remarks.append(Remark(name, "no row in the tables: Systole, Diastole and LVEF are missing"))
        elif math.isnan(ratio) and not any(map(math.isnan, found.values())):
            remarks.append(Remark(name, "Systole is larger than Diastole: LVEF is missing", str(found)))
        labels: dict[str, Label] = {"case": name, **found, "lvef": ratio}
        identity = Identity(f"kaggle/{name}", Pseudonym(name), Pseudonym(name))
        cases.append(Case(name, Unit(tuple(paths), (identity,), read_case, "kaggle 1"), identity, labels, part))
    remarks += [Remark(name, "a row for a case that is not here") for name in sorted(set(volumes) - set(folders))]
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _folders(root: Path) -> dict[str, tuple[Path, str]]:
    """Case to (its folder, part), from train/train/1 as from train/1.

    Raises:
        ReadError: a case in two places.
    """
    found: dict[str, tuple[Path, str]] = {}
    for name, part in _PARTS.items():
        for top in (root / name / name, root / name):
            for case in sorted(top.iterdir(), key=lambda path: path.name.zfill(9)) if top.is_dir() else ():
                if not (case.name.isdigit() and case.is_dir()):
                    continue
                if case.name in found:
                    raise ReadError(f"case {case.name} is in {found[case.name][0]} and in {case}; keep one of them")
                found[case.name] = (case, part)
    return found


def _files(case: Path) -> list[str]:
    """Files of a case's series, whether they lie in case/study or straight in the case."""
    top = case / "study" if (case / "study").is_dir() else case
    series = [folder for folder in sorted(top.iterdir()) if folder.is_dir() and _SERIES.fullmatch(folder.name)]
    return [str(path) for folder in series for path in sorted(folder.iterdir()) if path.is_file()]


DATASET = Dataset(
    name="kaggle",
    title="Kaggle Second Annual Data Science Bowl",
    holds="1,140 examinations (500 train, 200 validate, 440 test), DICOM, short axis, 2CH and 4CH; LV volumes",
    licence="the competition's rules, to be accepted on its page (not checked here)",
    source="https://www.kaggle.com/c/second-annual-data-science-bowl",
    citation="Second Annual Data Science Bowl, Kaggle, 2016",
    layout="""\
second-annual-data-science-bowl/train.csv, validate.csv        Id,Systole,Diastole
                                solution.csv                   Id,Volume,Usage (Id: 701_Systole); may be absent
                                train/train/1/study/sax_5/IM-4557-0001.dcm
                                train/train/1/study/2ch_21/..., 4ch_22/...
                                validate/validate/501/..., test/test/701/...
(train/1/study/... without the repeated folder is read as well)""",
    labels={
        "case": "number of the case",
        "Systole": "LV end-systolic volume, ml",
        "Diastole": "LV end-diastolic volume, ml",
        "lvef": "LV ejection fraction, % (derived: (Diastole - Systole) / Diastole)",
    },
    official_split="train → train, validate → val, test → test",
    verified="folders, tables and their columns, series folders, 30 phases in most cases and other numbers in some, a "
    "case of black images (761) against the README and reader of CineMA (github.com/mathpluscode/CineMA, "
    "cinema/data/kaggle), which also reads solution.csv; file names as quoted in public code",
    unverified="DICOM headers of the real files; that a case is a patient (the publisher does not say that no patient "
    "comes twice); the values of Usage in solution.csv",
    options=("exclude",),
    public_names=True,
    find=_find,
)

"""Sunnybrook Cardiac Data: short-axis cines as DICOM, and expert contours of the left ventricle as text files.

>>> from cardiolens import read_study
>>> from cardiolens.datasets import sunnybrook
>>> study = read_study("SCD0000101")                                                  # doctest: +SKIP
>>> drawn = sunnybrook.contours("SCD_ManualContours", "SC-HF-I-1")                    # doctest: +SKIP
>>> ed, es = sunnybrook.contour_masks(study, drawn)                                   # doctest: +SKIP
>>> ed.phases, ed.structures, es.structures                                           # doctest: +SKIP
((18,), ('LV cavity', 'LV myocardium'), ('LV cavity',))

`read_edes` reads the PNG planes of `sunnybrook_edes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.sunnybrook_contours import Contours, area, contours, drawn_on, fill, same_patient
from cardiolens.datasets.sunnybrook_edes import EdesPatient, read_edes
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import CardiolensError, GeometryError, ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.segmentation import STRUCTURES
from cardiolens.study import Cine, Study, View

__all__ = [
    "DATASET",
    "Contours",
    "EdesPatient",
    "Ends",
    "contour_masks",
    "contours",
    "ends_of",
    "image_numbers",
    "read_edes",
]

Numbers = npt.NDArray[np.int64]
_CASE = re.compile(r"SCD\d{7}|SC-(HF-I|HF-NI|HYP|N)-\d+", re.IGNORECASE)
_TABLE_COLUMNS = ("PatientID", "OriginalID", "Gender", "Age", "Pathology")


@dataclass(frozen=True)
class Ends:
    """End-diastole and end-systole of a set of contours.

    Attributes:
        ed, es: phase from 0; None where it was not drawn.
        edv, esv: ml, areas inside the contours times the step between planes; lvef: %; NaN where unknown.
    """

    ed: int | None
    es: int | None
    edv: float
    esv: float
    lvef: float


def image_numbers(cine: Cine) -> Numbers:
    """(slice, time) number of every image: the last digits of its file name, as the contours' names have it.

    Raises:
        ReadError: pixels that were read already (the files are then forgotten), no DICOM, or phases resampled.
    """
    from cardiolens.dicom.pixels import DicomFrames

    held = cine.__dict__["_frames"]
    if not isinstance(held, DicomFrames):
        raise ReadError(
            f"{cine.source}: which file an image came from is known until pixels are read; read the study anew, or "
            "take image_numbers(cine) first and pass it as numbers="
        )
    if any(plane.resampling is not None for plane in held.planes):
        raise ReadError(f"{cine.source}: phases were resampled, so that contours fit no single image")
    names = [[Path(frame.file.member or frame.file.path).stem for frame in plane.frames] for plane in held.planes]
    found = [[re.search(r"(\d+)$", name) for name in plane] for plane in names]
    if not all(each for plane in found for each in plane):
        raise ReadError(f"{cine.source}: a file whose name ends in no number, such as {names[0][0]}")
    return np.array([[int(each[1]) for each in plane if each] for plane in found], dtype=np.int64)


def ends_of(cine: Cine, drawn: Mapping[int, Contours], numbers: Numbers | None = None) -> Ends:
    """Which phases the contours are of, and the volumes inside them.

    Raises:
        ReadError: contours of images that are not in the cine, of more than two phases, or none.
        GeometryError: no spacing.
    """
    places = _places(cine, drawn, image_numbers(cine) if numbers is None else numbers)
    areas: dict[int, float] = {}
    for count in drawn_on(drawn):
        outline = drawn[count].endocardium
        assert outline is not None  # noqa: S101 - that is what drawn_on gives
        phase = places[count][1]
        areas[phase] = areas.get(phase, 0.0) + area(outline)
    if not 1 <= len(areas) <= 2:
        raise ReadError(
            f"{cine.source}: endocardium was drawn at {len(areas)} phases "
            f"({', '.join(str(phase + 1) for phase in sorted(areas))}); end-diastole and end-systole are needed"
        )
    outer = {places[count][1] for count, each in drawn.items() if each.epicardium is not None}
    ml = cine.voxel_volume_ml()
    if len(areas) == 1:
        (phase,) = areas
        is_ed = phase in outer
        volume = areas[phase] * ml
        return Ends(
            phase if is_ed else None,
            None if is_ed else phase,
            volume if is_ed else math.nan,
            math.nan if is_ed else volume,
            math.nan,
        )
    es, ed = sorted(areas, key=areas.__getitem__)
    edv, esv = areas[ed] * ml, areas[es] * ml
    return Ends(ed, es, edv, esv, 100.0 * (edv - esv) / edv)


def contour_masks(study: Study, drawn: Mapping[int, Contours], numbers: Numbers | None = None) -> list[LabelledFrames]:
    """The contours filled, on the grid of the short-axis cine: end-diastole, then end-systole.

    LV cavity lies inside the endocardium, papillary muscle included; LV myocardium between epicardium and endocardium.
    The epicardium was drawn at end-diastole, so muscle is among the `structures` of that only.  `drawn` of the result
    tells which planes have contours; the others lie beyond the ventricle or were left out.

    Args:
        numbers: of the images, (slice, time); by default `image_numbers`, which needs pixels unread.

    Raises:
        ReadError: as `ends_of`, or an epicardium without endocardium or at another phase than end-diastole.
    """
    cine = study.cine(View.SAX)
    known = image_numbers(cine) if numbers is None else numbers
    ends, places = ends_of(cine, drawn, known), _places(cine, drawn, known)
    for count, each in drawn.items():
        if each.endocardium is None or (each.epicardium is not None and places[count][1] != ends.ed):
            raise ReadError(
                f"{cine.source}: image {count} has an epicardium and no endocardium, or not at end-diastole"
            )
    phases = ((ends.ed, "ED"), (ends.es, "ES"))
    return [
        _filled(cine, {places[count][0]: drawn[count] for count in drawn if places[count][1] == phase}, phase, name)
        for phase, name in phases
        if phase is not None
    ]


def _filled(cine: Cine, by_plane: Mapping[int, Contours], phase: int, name: str) -> LabelledFrames:
    slices, _, rows, cols = cine.shape
    labels = np.zeros((slices, 1, rows, cols), np.uint8)
    seen = np.zeros((slices, 1), bool)
    outer = [plane for plane, each in by_plane.items() if each.epicardium is not None]
    notes = []
    for plane, each in by_plane.items():
        if each.epicardium is not None:
            labels[plane, 0][fill(each.epicardium, rows, cols)] = STRUCTURES["LV myocardium"]
        if each.endocardium is not None:
            labels[plane, 0][fill(each.endocardium, rows, cols)] = STRUCTURES["LV cavity"]
        seen[plane] = True
    structures = ("LV cavity", "LV myocardium") if outer else ("LV cavity",)
    if 0 < len(outer) < len(by_plane):
        notes.append(f"no epicardium on {len(by_plane) - len(outer)} of {len(by_plane)} planes at {name}")
    return LabelledFrames(
        cine, (phase,), (name,), labels, structures, source=f"sunnybrook {name}", drawn=seen, notes=tuple(notes)
    )


def _places(cine: Cine, drawn: Mapping[int, Contours], numbers: Numbers) -> dict[int, tuple[int, int]]:
    """Number of an image with contours to (slice, phase) in the cine."""
    if numbers.shape != cine.shape[:2]:
        raise GeometryError(
            f"{cine.source}: numbers have shape {numbers.shape}, the cine (slice, time) {cine.shape[:2]}"
        )
    if len(np.unique(numbers)) != numbers.size:
        raise ReadError(f"{cine.source}: two images have one number in their file names; keep one short-axis series")
    where = {int(n): (int(i), int(t)) for (i, t), n in np.ndenumerate(numbers)}
    beyond = sorted(set(drawn) - set(where))
    if beyond:
        raise ReadError(
            f"{cine.source}: contours of {len(beyond)} images that are not in the cine (first {beyond[0]}); are these "
            "the contours of this patient?"
        )
    return {count: where[count] for count in drawn}


def read_case(paths: Sequence[str]) -> Study:
    """The short axis of a case and whatever other cines lie beside it."""
    from cardiolens.reading import read_study

    return read_study(list(paths))


def read_patients(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the table of patients by both of their names; any CSV in or just above the folder with its columns.

    Raises:
        ReportError: a patient in two rows.
    """
    for path in sorted([*folder.glob("*.csv"), *folder.absolute().parent.glob("*.csv")]):
        try:
            fits = set(_TABLE_COLUMNS) <= set(read_header(path))
        except ReportError:  # another file, in no form that concerns us
            continue
        if fits:
            return _patients_in(path)
    return {}


def _patients_in(path: Path) -> dict[str, dict[str, str]]:
    lines: dict[str, list[int]] = {}
    patients: dict[str, dict[str, str]] = {}
    for line, row in read_rows(path, _TABLE_COLUMNS):
        lines.setdefault(row["PatientID"], []).append(line)
        patients[row["PatientID"]] = patients[same_patient(row["OriginalID"])] = row
    require_once(path, "PatientID", lines)
    return patients


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`: contours are looked for in the case's folder, beside it and two folders up."""
    drawn = _contours_near(Path(case.unit.paths[0]), str(case.labels["OriginalID"]))
    return contour_masks(read_case(case.unit.paths), drawn)


def _contours_near(image: Path, patient: str) -> dict[int, Contours]:
    case = next(folder for folder in image.parents if _CASE.fullmatch(folder.name))
    failed: ReadError | None = None
    for top in (case, case.parent, case.parent.parent):
        try:
            return contours(top, patient)
        except ReadError as error:
            failed = error
            if "no contour of" not in str(error):
                raise
    assert failed is not None  # noqa: S101 - else the loop has returned
    raise failed


def _labels(name: str, paths: Sequence[str], row: Mapping[str, str], remarks: list[Remark]) -> dict[str, Label]:
    """Of one case; what is missing is told in `remarks`."""
    original = row.get("OriginalID") or (name if name.upper().startswith("SC-") else "")
    labels: dict[str, Label] = {"case": name, "OriginalID": original or None}
    if row:
        age = number(row["Age"])
        labels |= {"Gender": row["Gender"] or None, "Age": age, "Pathology": row["Pathology"] or None}
    else:
        remarks.append(Remark(name, "no row in the table of patients: sex, age and pathology are missing"))
    if not original:
        remarks.append(Remark(name, "no OriginalID, by which contours are named: volumes and LVEF are missing"))
        return labels
    try:
        drawn = _contours_near(Path(paths[0]), original)
        ends = ends_of(read_case(paths).cine(View.SAX), drawn)
    except (CardiolensError, KeyError) as error:
        remarks.append(Remark(name, "no usable contours: volumes and LVEF are missing", str(error)))
        return labels
    if ends.ed is None or ends.es is None:
        remarks.append(Remark(name, "contours of one end of the beat only: LVEF is missing"))
    labels |= {key: None if end is None else end + 1 for key, end in (("ED", ends.ed), ("ES", ends.es))}
    return labels | {"edv": ends.edv, "esv": ends.esv, "lvef": ends.lvef}


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    cases: list[Case] = []
    skipped: list[Remark] = []
    remarks: list[Remark] = []
    folders = _folders(folder)
    rows = read_patients(folder)
    for place, top in enumerate(folders, start=1):
        seen(place)
        name = top.name
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        paths = tuple(str(path) for path in sorted(top.rglob("*")) if path.is_file() and path.suffix.lower() != ".txt")
        if not paths:
            skipped.append(Remark(name, "no image in its folder", str(top)))
            continue
        row = rows.get(name) or rows.get(same_patient(name), {})
        labels = _labels(name, paths, row, remarks)
        identity = Identity(f"sunnybrook/{name}", Pseudonym(name), Pseudonym(name))
        cases.append(Case(name, Unit(paths, (identity,), read_case, "sunnybrook 1"), identity, labels))
    if not cases and not skipped:
        raise DATASET.nothing_in(folder)
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _folders(folder: Path) -> list[Path]:
    """Folders of patients that hold images, at most three deep; those of contours are left out."""
    if _CASE.fullmatch(folder.name):
        return [folder]
    found = {path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth) if _CASE.fullmatch(path.name)}
    return sorted(path for path in found if path.is_dir() and not _only_contours(path))


def _only_contours(folder: Path) -> bool:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return bool(files) and all(path.suffix.lower() == ".txt" for path in files)


DATASET = Dataset(
    name="sunnybrook",
    title="Sunnybrook Cardiac Data",
    holds="45 patients in four groups, short-axis cine DICOM, expert contours of the LV at ED and ES",
    licence="CC0 (public domain)",
    source="https://www.cardiacatlas.org/sunnybrook-cardiac-data/",
    citation="Radau et al., MIDAS Journal 2009, doi:10.54294/g80ruo",
    layout="""\
<any folders>/SCD0000101/[CINESAX_300/]IM-0003-0048.dcm      images; the last number of a name is the image's
              scd_patientdata.csv                            PatientID,OriginalID,Gender,Age,Pathology (any name)
<any folders>/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001-0048-icontour-manual.txt    endocardium; o: epicardium
(2009 challenge: images straight in SC-HF-I-1/, contours as above; the zeros of SC-HF-I-01 may be absent)""",
    labels={
        "case": "folder of the patient",
        "OriginalID": "by which contours are named",
        "Gender": "Male or Female",
        "Age": "years",
        "Pathology": "group, in words",
        "ED": "end-diastolic phase of the contours, counted from 1",
        "ES": "end-systolic phase, counted from 1",
        "edv": "LV end-diastolic volume, ml; areas inside the endocardium times the step of the planes (derived)",
        "esv": "LV end-systolic volume, ml (derived)",
        "lvef": "LV ejection fraction, % (derived)",
    },
    official_split="",
    verified="two real patients with their contours: numbers, phases, and the volumes that another "
    "implementation made of the same contours, to the last digit; the table of 45 patients",
    unverified="the folders around the images and contours of the published archives (three levels are looked "
    "through); whether coordinates count from 0 (as other software takes them) or from 1: the edge of the blood does "
    "not tell; contours of papillary muscle (p1, p2), which are not read",
    options=("exclude",),
    public_names=True,
    masks=masks_of,
    find=_find,
)

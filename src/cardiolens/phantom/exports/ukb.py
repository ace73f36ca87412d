"""UK Biobank: heart MRI as bulk archives, one a participant and data field, and a table of other fields.

    bulk/20208/9000000_20208_2_0.zip     long axis: DICOM files, flat, and manifest.cvs (so spelt in most of them)
    bulk/20209/9000000_20209_2_0.zip     short axis
    ukb_fields.csv                       eid and one column a field, "field-instance.array"

Series are CINE_segmented_LAX_2Ch, _3Ch, _4Ch and CINE_segmented_SAX_b1, b2, ...; the column of the manifest that names
them is "series discription", and its dates hold a comma without quotes.  Participants are numbered from 9,000,000,
which no real participant has.

Fields: 31 sex (0 F, 1 M), 21000 ethnic background (top-level codes), 21001 BMI, 21003 age, 2443 diabetes diagnosed by a
doctor (0, 1), 2966 age when high blood pressure was diagnosed, 40007 age at death, 40008 age at cancer diagnosis, 22420
LVEF.  Instance 0 is recruitment, 2 the imaging visit.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens.phantom.exports.build import Case, Layout, Record, csv_bytes
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, scan_heart, truth_record
from cardiolens.study import View

if TYPE_CHECKING:
    import numpy as np

    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.phantom.persons.covariates import Person

TABLE = "ukb_fields.csv"
HEADER = (
    "eid",
    "31-0.0",
    "21000-0.0",
    "21001-2.0",
    "21003-2.0",
    "2443-2.0",
    "2966-2.0",
    "40007-0.0",
    "40008-0.0",
    "22420-2.0",
)
MANIFEST_HEADER = "filename,patientid,studyid,seriesid,series discription,date,modality"
_FIRST_EID = 9_000_000
_POPULATION = "biobank"
_ANY = Group("any", None)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in a zip, so that the same case gives the same bytes
_LONG_AXIS = (View.CH2, View.CH3, View.CH4)


def _name(index: int) -> str:
    return str(_FIRST_EID + index)


def _write(case: Case) -> Record:
    from cardiolens.phantom.dicom import write_dicom
    from cardiolens.phantom.disease import find_population
    from cardiolens.phantom.persons.covariates import draw_person

    eid, rng = _name(case.index), case.rng("heart")
    person = draw_person(rng, find_population(_POPULATION))
    heart = draw_heart(rng, _ANY, population=_POPULATION, person=person)
    study = scan_heart(heart, case.scan, case.rng("scan"), tuple(View))
    study = replace(study, patient=eid, accession=eid, site="UKB layout", sex=heart.sex, age=float(int(heart.age)))
    flat = case.part / "flat"
    files = write_dicom(study, flat, style="ukb", seed=case.seed * 1_000_003 + case.index)
    phases = study.cine(View.SAX).n_phases
    series = [files[i : i + phases] for i in range(0, len(files), phases)]
    for field, part in ((20208, series[: len(_LONG_AXIS)]), (20209, series[len(_LONG_AXIS) :])):
        _zip(case.part / "bulk" / str(field) / f"{eid}_{field}_2_0.zip", part, eid)
    for path in files:
        path.unlink()
    flat.rmdir()
    return _row(case, eid, person, heart)


def _zip(path: Path, series: Sequence[Sequence[Path]], eid: str) -> None:
    """The files of these series and their manifest."""
    import pydicom

    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [MANIFEST_HEADER]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for files in series:
            head = pydicom.dcmread(files[0], stop_before_pixels=True)
            date = datetime.strptime(head.StudyDate, "%Y%m%d")
            written = f"{_MONTHS[date.month - 1]} {date.day}, {date.year}"
            for file in files:
                lines.append(
                    f"{file.name},{eid},{head.StudyInstanceUID},{head.SeriesInstanceUID},"
                    f"{head.SeriesDescription},{written},MR"
                )
                archive.writestr(_entry(file.name), file.read_bytes())
        archive.writestr(_entry("manifest.cvs"), "\n".join(lines) + "\n")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _row(case: Case, eid: str, person: Person, heart: HeartParameters) -> Record:
    from cardiolens.phantom.persons.followup import follow_up
    from cardiolens.phantom.persons.population import ETHNIC_GROUPS

    rng = case.rng("table")
    after = follow_up(person, heart, rng=rng)
    pressure, cancer = (_onset(rng, person.age) for _ in range(2))
    row: list[Any] = [
        int(eid),
        int(person.sex == "M"),
        ETHNIC_GROUPS[person.ethnic_group],
        round(person.bmi, 2),
        int(person.age),
        int(person.diabetes),
        int(pressure) if person.hypertension else None,
        round(person.age + after.years, 1) if after.death else None,
        round(cancer, 1) if person.cancer else None,
        round(heart.lvef_pct, 1),
    ]
    return truth_record(heart, row=row, person=person.to_dict(), follow_up=after.to_dict())


def _onset(rng: np.random.Generator, age: float) -> float:
    """Age (years) at which something was diagnosed before the scan."""
    return float(rng.uniform(min(35.0, age - 1.0), age))


def _tables(records: Sequence[Record]) -> Mapping[str, bytes]:
    return {TABLE: csv_bytes(HEADER, [record["row"] for record in records])}


LAYOUT = Layout(
    name="ukb",
    title="UK Biobank",
    root="ukb",
    capacity=100_000,
    scan=Scan(matrix=208, field_mm=380.0, phases=(50, 50), slice_thickness_mm=8, slice_gap_mm=2),
    source="https://biobank.ndph.ox.ac.uk/showcase, fields 20208 and 20209; CineMA's script for UK Biobank and "
    "github.com/baiwenjia/ukbb_cardiac, for the zips' names, the manifest and the series",
    unverified="the folders around the zips and the table's file name, which every project chooses; further columns of "
    "the manifest and their order; DICOM headers, which are the phantom's own. Derived InlineVF series are left out.",
    case_name=_name,
    write=_write,
    tables=_tables,
)

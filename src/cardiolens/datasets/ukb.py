"""UK Biobank heart MRI: bulk archives of DICOM, one a participant, field and visit, and a table of other fields.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import functools
import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from cardiolens.datasets.assemble import assemble
from cardiolens.datasets.exclusions import Exclusions, matches, read_exclusions
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.tables import number, read_header, read_rows, require_once
from cardiolens.errors import ReadError, ReportError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.dicom.headers import Frame

LONG_AXIS, SHORT_AXIS = "20208", "20209"
SERIES: Mapping[str, View | None] = MappingProxyType(
    {
        r"CINE_segmented_SAX(_b\d+)?": View.SAX,
        r"CINE_segmented_LAX_2Ch": View.CH2,
        r"CINE_segmented_LAX_3Ch": View.CH3,
        r"CINE_segmented_LAX_4Ch": View.CH4,
        r"CINE_segmented_LAX": None,  # all three under one name: geometry tells them apart
    }
)
"""Series description (a regular expression for all of it) to view.  Other series, such as InlineVF, are not read."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "31": "sex, 0 female, 1 male",
        "21000": "ethnic background, data-coding 1001",
        "21001": "body mass index, kg/m2",
        "21003": "age at the visit, years",
        "2443": "diabetes diagnosed by a doctor, 0 no, 1 yes",
        "2966": "age when high blood pressure was diagnosed, years",
        "40007": "age at death, years",
        "40008": "age at cancer diagnosis, years",
        "22420": "LV ejection fraction, %",
        "22421": "LV end-diastolic volume, ml",
        "22422": "LV end-systolic volume, ml",
    }
)
_NEGATIVE_IS_MISSING = {"21000", "2443", "2966"}  # -1 do not know, -3 prefer not to answer
_ZIP = re.compile(r"(\d+)_(20208|20209)_(\d+)_(\d+)\.zip", re.IGNORECASE)
_COLUMNS = (
    re.compile(r"(?:f\.)?(?P<field>\d+)[-.](?P<instance>\d+)\.(?P<array>\d+)"),  # 22420-2.0, f.22420.2.0
    re.compile(r"(?:participant\.)?p(?P<field>\d+)(?:_i(?P<instance>\d+))?(?:_a(?P<array>\d+))?"),  # p22420_i2
)
_EIDS = ("eid", "participant.eid", "f.eid")

MAX_MEMBERS = 20_000
MAX_MEMBER_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Column:
    """A column of a table of fields."""

    name: str
    field: str
    instance: str
    array: str


def parse_column(name: str) -> Column | None:
    """Field, instance and array index of a column name as ukbconv and the Research Analysis Platform write it."""
    for pattern in _COLUMNS:
        found = pattern.fullmatch(name)
        if found:
            return Column(name, found["field"], found["instance"] or "0", found["array"] or "0")
    return None


def check_archive(path: str) -> None:
    """Refuse a bulk archive that unpacks to more than a heart scan can be.  Reads its table of contents only.

    Raises:
        ReadError: truncated, not a zip, or over the bounds at the top of this file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [info.file_size for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ReadError(f"{path}: a truncated or damaged archive ({error}); fetch it again") from error
    if len(sizes) > MAX_MEMBERS or max(sizes, default=0) > MAX_MEMBER_BYTES or sum(sizes) > MAX_TOTAL_BYTES:
        raise ReadError(
            f"{path}: unpacks to {len(sizes)} files and {sum(sizes) / 2**20:.0f} MiB, its largest file to "
            f"{max(sizes) / 2**20:.0f} MiB, which no bulk archive of field 20208 or 20209 does; fetch it again"
        )


def read_case(paths: Sequence[str], *, without: tuple[str, ...] = ()) -> Study:
    """One visit from its archives.

    Args:
        without: patterns of series descriptions to leave out.

    Raises:
        ReadError: an archive that is damaged or too large, or nothing to read in them.
    """
    for path in paths:
        check_archive(path)

    def series_of(frame: Frame) -> str | None:
        description = frame.file.texts["SeriesDescription"]
        known = any(re.fullmatch(pattern, description) for pattern in SERIES)
        return description if known and not matches(description, without) else None

    return assemble(paths, series_of, _view_of, not_named="no cine of the series map, or on the exclusion list")


def _view_of(description: str) -> View | None:
    return next(view for pattern, view in SERIES.items() if re.fullmatch(pattern, description))


def read_fields(path: Path, eids: set[str]) -> tuple[dict[str, dict[Column, float]], list[Remark]]:
    """The known fields (`FIELDS`) of these participants; NaN where missing or refused to answer.

    Raises:
        ReportError: no column eid, no known field, or a participant twice.
    """
    header = read_header(path)
    eid = next((name for name in _EIDS if name in header), None)
    if eid is None:
        raise ReportError(f"{path}: needs the column eid; has {', '.join(header[:20])}")
    parsed = [column for column in map(parse_column, header) if column is not None and column.field in FIELDS]
    if not parsed:
        raise ReportError(
            f"{path}: none of the fields {', '.join(FIELDS)}; columns are named as 22420-2.0 or p22420_i2. "
            f"It has {', '.join(header[:20])}"
        )
    wanted = {column.name for column in parsed}
    lines: dict[str, list[int]] = defaultdict(list)
    fields: dict[str, dict[Column, float]] = {}
    remarks: list[Remark] = []
    for line, row in read_rows(path, (eid,), keep=wanted.__contains__):
        who = row[eid]
        if who not in eids:
            continue
        lines[who].append(line)
        fields[who] = {}
        for column in parsed:
            value = number(row[column.name])
            if value is None:
                remarks.append(Remark(who, "a field that is no number", f"{path}: line {line}, {column.name}"))
            if value is None or (column.field in _NEGATIVE_IS_MISSING and value < 0):
                value = math.nan
            fields[who][column] = value
    require_once(path, "eid", lines)
    return fields, remarks


def labels_of(fields: Mapping[Column, float], instance: str) -> dict[str, Label]:
    """Every field under its own column name, and what of them holds for this visit under ours."""
    labels: dict[str, Label] = {column.name: value for column, value in fields.items()}
    at = {(c.field, c.instance): value for c, value in fields.items() if c.array == "0"}
    told = {column.field for column in fields}
    labels["instance"] = int(instance)
    for ours, field in (("lvef", "22420"), ("edv", "22421"), ("esv", "22422"), ("age", "21003"), ("bmi", "21001")):
        if field in told:
            labels[ours] = at.get((field, instance), math.nan)
    if "31" in told:
        labels["sex"] = {0.0: "F", 1.0: "M"}.get(at.get(("31", "0"), math.nan))
    return labels


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude, parts=True)
    strange = [who for who in {*exclusions.cases, *exclusions.series} - {"*"} if not who.isdigit()]
    if strange:
        raise ReportError(f"{options.exclude}: {len(strange)} entries are no participant number; eids are digits")
    visits, skipped, remarks = _visits(folder, seen)
    if not visits and not skipped:
        raise DATASET.nothing_in(folder)
    table: dict[str, dict[Column, float]] | None = None
    if options.table is not None:
        table, more = read_fields(options.table, {eid for eid, _ in visits})
        remarks += more
    cases = []
    for (eid, instance), archives in sorted(visits.items()):
        name = f"{eid}_{instance}"
        if eid in exclusions.cases or (eid, instance) in exclusions.instances:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        for field, what in ((LONG_AXIS, "no long-axis archive (20208)"), (SHORT_AXIS, "no short-axis archive (20209)")):
            if field not in archives:
                remarks.append(Remark(name, what))
        labels: dict[str, Label] = {}
        if table is not None:
            if eid not in table:
                remarks.append(Remark(name, "no row in the table: all labels are missing"))
            labels = labels_of(table.get(eid, {}), instance)
        cases.append(_case(eid, instance, archives, labels, exclusions))
    gone = exclusions.cases | {f"{eid}_{instance}" for eid, instance in exclusions.instances}
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=gone)


def _case(
    eid: str, instance: str, archives: Mapping[str, Path], labels: Mapping[str, Label], exclusions: Exclusions
) -> Case:
    name, without = f"{eid}_{instance}", exclusions.series_of(eid)
    identity = Identity(f"ukb/{eid}/{instance}", eid, name)
    paths = tuple(str(archives[field]) for field in sorted(archives))
    unit = Unit(paths, (identity,), functools.partial(read_case, without=without), f"ukb 1 {without}")
    return Case(name, unit, identity, labels)


def _visits(folder: Path, seen: Seen) -> tuple[dict[tuple[str, str], dict[str, Path]], list[Remark], list[Remark]]:
    """(eid, instance) to field to archive; what is skipped; what else is amiss."""
    visits: dict[tuple[str, str], dict[str, Path]] = {}
    skipped: list[Remark] = []
    remarks: list[Remark] = []
    for place, path in enumerate(sorted(folder.rglob("*.zip")), start=1):
        seen(place)
        found = _ZIP.fullmatch(path.name)
        if found is None:
            remarks.append(Remark(path.name, "an archive of another field or name"))
            continue
        eid, field, instance, array = found.groups()
        name = f"{eid}_{instance}"
        held = visits.setdefault((eid, instance), {}).get(field) if array == "0" else None
        if array != "0":
            skipped.append(Remark(name, "an archive with an array index other than 0", str(path)))
        elif held is None:
            visits[eid, instance][field] = path
        elif held.stat().st_size == path.stat().st_size:
            remarks.append(Remark(name, "a copy of an archive: the first is used", f"{held} = {path}"))
        else:
            raise ReadError(f"{held} and {path} have one name and different sizes; keep the whole one")
    return visits, skipped, remarks


DATASET = Dataset(
    name="ukb",
    title="UK Biobank heart MRI",
    holds="participants of the imaging study, DICOM, short axis (field 20209) and 2CH, 3CH, 4CH (20208), 50 phases",
    licence="an approved application and its material transfer agreement; withdrawn participants must be removed",
    source="https://biobank.ndph.ox.ac.uk/showcase, fields 20208 and 20209",
    citation="Petersen et al., J Cardiovasc Magn Reson 2016;18:8, doi:10.1186/s12968-016-0227-4",
    layout="""\
<any folders>/<eid>_20208_2_0.zip     long axis: DICOM files, flat, and manifest.csv or .cvs
              <eid>_20209_2_0.zip     short axis; instance 2 is the first imaging visit, 3 the repeat
--table FIELDS.csv                    eid, 22420-2.0, 31-0.0, ... (or p22420_i2, p31, ...)
--exclude LIST                        eid | eid,instance | eid,series | *,series, one a line""",
    labels={
        "FIELD-INSTANCE.ARRAY": "every known field under its own column name: "
        + "; ".join(f"{field} {what}" for field, what in FIELDS.items()),
        "instance": "imaging visit, 2 or 3",
        "lvef, edv, esv": "fields 22420 (%), 22421 and 22422 (ml) of this visit",
        "age, bmi": "fields 21003 (years) and 21001 (kg/m2) of this visit",
        "sex": "F or M, from field 31",
    },
    official_split="",
    verified="archive names, the manifest, series descriptions and that a series may come more than once or under one "
    "mixed name, against the converters of github.com/baiwenjia/ukbb_cardiac and CineMA; that lists of withdrawn "
    "participants are one eid a line without a header, against public code",
    unverified="headers of the real files; data-codings of the fields (negative answers of 21000, 2443 and 2966 are "
    "taken as missing); whether bulk archives with an array index other than 0 exist (skipped and counted)",
    options=("table", "exclude"),
    public_names=False,
    find=_find,
)

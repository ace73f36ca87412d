"""An external validation set: a folder of studies and a table of labels, no reports (as Penn's in Shad et al.)."""

from __future__ import annotations

from pathlib import Path

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.matching import match_labels
from cardiolens.errors import ReportError
from cardiolens.ingest import Identity, Unit, find_units


def studies_under(folder: Path, options: Options, seen: Seen) -> tuple[list[Unit], list[Remark]]:
    """Every study under a folder but those on the exclusion list (by accession or patient); and the latter."""
    exclusions = read_exclusions(options.exclude)
    kept, skipped = [], []
    for unit in find_units([folder], seen=seen):
        out = {each for each in unit.identities if {each.accession, each.patient} & exclusions.cases}
        skipped += [Remark(each.accession, "on the exclusion list") for each in sorted(out, key=lambda e: e.accession)]
        if not out:
            kept.append(unit)
        elif len(out) < len(unit.identities):
            raise ReportError(
                f"{options.exclude}: names some of the studies of an archive that holds several; unpack that archive"
            )
    return kept, skipped


def cases_of(units: list[Unit], labels: dict[Identity, dict[str, Label]], columns: tuple[str, ...]) -> tuple[Case, ...]:
    """A case for each study; those without a row have all labels missing."""
    missing: dict[str, Label] = dict.fromkeys(columns)
    return tuple(
        Case(f"{identity.accession} {identity.uid or unit.paths[0]}", unit, identity, labels.get(identity, missing))
        for unit in units
        for identity in unit.identities
    )


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    if options.table is None:
        raise ReportError("an external set needs its labels: give --table (CSV with accession, study or patient)")
    units, skipped = studies_under(folder, options, seen)
    matched = match_labels(options.table, units, folder)
    return Found(
        cases_of(units, matched.labels, matched.columns),
        tuple(skipped),
        matched.remarks,
        withdrawn=read_exclusions(options.exclude).cases,
    )


DATASET = Dataset(
    name="external",
    title="an external validation set",
    holds="studies of another institution, DICOM or NIfTI, with labels and without reports",
    licence="your own agreement with the institution",
    source="the institution",
    citation="the institution's own; the role is that of the external cohorts of Shad et al.",
    layout="""\
<any folders>/...              DICOM in any structure, zip or tar, or NIfTI: one study an examination
--table LABELS.csv             accession (or study: the folder's name; or patient), and a column a label
--exclude LIST                 accession or patient, one a line""",
    labels={"any column of the table": "as in the table, in its own unit; empty, NA, NaN and . are missing"},
    official_split="",
    verified="nothing to verify: the layout is ours",
    unverified="",
    options=("table", "exclude"),
    public_names=False,
    own_site=True,
    find=_find,
)

"""A hospital's own archive: DICOM in any structure and a table of reports, as `cardiolens ingest --reports` takes it.

This adapter adds the comparison before anything is read in: reports for no study, studies without a report.
"""

from __future__ import annotations

from pathlib import Path

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.external import cases_of, studies_under
from cardiolens.datasets.layout import Dataset, Found, Options, Remark, Seen
from cardiolens.datasets.matching import match_labels
from cardiolens.ingest import Identity, match_reports


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    units, skipped = studies_under(folder, options, seen)
    identities = [identity for unit in units for identity in unit.identities]
    remarks: list[Remark] = []
    reports: dict[Identity, str] = {}
    if options.reports is not None:
        unknown: list[str] = []
        reports = match_reports(options.reports, identities, ignore_unknown=True, unknown=unknown)
        remarks += [Remark(name, "a report for no study") for name in unknown]
    remarks += [
        Remark(identity.accession, "a study without a report") for identity in identities if identity not in reports
    ]
    columns: tuple[str, ...] = ()
    labels = {}
    if options.table is not None:
        matched = match_labels(options.table, units, folder)
        columns, labels = matched.columns, matched.labels
        remarks += matched.remarks
    return Found(
        cases_of(units, labels, columns),
        tuple(skipped),
        tuple(remarks),
        reports,
        withdrawn=read_exclusions(options.exclude).cases,
    )


DATASET = Dataset(
    name="clinical",
    title="a clinical archive",
    holds="studies of one institution, DICOM, each with its report",
    licence="your own institution's",
    source="your PACS and reporting system",
    citation="your own",
    layout="""\
<any folders>/...              DICOM in any structure, zip or tar
--reports REPORTS.csv          accession (or patient), report
--table LABELS.csv             optional: accession (or study: the folder's name; or patient), and a column a label
--exclude LIST                 accession or patient, one a line""",
    labels={"any column of the table": "as in the table, in its own unit; empty, NA, NaN and . are missing"},
    official_split="",
    verified="nothing to verify: the layout is ours",
    unverified="",
    options=("reports", "table", "exclude"),
    public_names=False,
    own_site=True,
    find=_find,
)

"""From folders, archives and files to a store: find the studies, read them, pseudonymise them, write them, tell.

>>> from cardiolens.ingest import ingest
>>> result = ingest(["scans/"], "cohort", reports="reports.csv")     # doctest: +SKIP
>>> result.totals["ingested"]                                        # doctest: +SKIP
120

A rerun goes on where the last one stopped: a study whose files, report and site are unchanged is not read again.
"""

from cardiolens.ingest._manifest import MANIFEST, Record, read_manifest
from cardiolens.ingest._reports import match_reports
from cardiolens.ingest._run import IngestResult, Progress, ingest, ingest_units
from cardiolens.ingest._sources import Identity, Unit, find_units, study_id

__all__ = [
    "MANIFEST",
    "Identity",
    "IngestResult",
    "Progress",
    "Record",
    "Unit",
    "find_units",
    "ingest",
    "ingest_units",
    "match_reports",
    "read_manifest",
    "study_id",
]

"""From folders, archives and files to a store: find the studies, read them, pseudonymise them, write them, tell.

>>> from cardiolens.ingest import ingest
>>> result = ingest(["scans/"], "cohort", reports="reports.csv")     # doctest: +SKIP
>>> result.totals["ingested"]                                        # doctest: +SKIP
120

A rerun goes on where the last one stopped: a study whose files, report and site are unchanged is not read again.
"""

from cardiolens.ingest._manifest import MANIFEST, Record, read_manifest
from cardiolens.ingest._run import IngestResult, ingest

__all__ = ["MANIFEST", "IngestResult", "Record", "ingest", "read_manifest"]

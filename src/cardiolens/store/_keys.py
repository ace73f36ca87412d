"""Keys: `<site>_<patient>/<accession>`, and the study that goes under one."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from cardiolens.dicom.deid import Pseudonym, load_key, pseudonymise, relabel
from cardiolens.errors import StoreError
from cardiolens.study import Study

_PART_OF_KEY = r"[^/\\\0.][^/\\\0]*"
KEY = re.compile(rf"{_PART_OF_KEY}/{_PART_OF_KEY}")
UNKNOWN_SITE = "unknown"


def site_part(site: str | None) -> str:
    """The site as it stands in a key: lower case, a-z, 0-9 and hyphens."""
    if site is None or not site.strip():
        return UNKNOWN_SITE
    plain = unicodedata.normalize("NFKD", site).encode("ascii", "ignore").decode("ascii").lower()
    short = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-")
    return short or "site-" + hashlib.sha256(site.strip().encode("utf-8", "surrogatepass")).hexdigest()[:8]


def identified(study: Study, key: str | None) -> tuple[Study, str]:
    """The study under pseudonyms, and its key.

    Raises:
        StoreError: a key of another form; or none given and the study carries neither patient nor accession.
    """
    if key is not None:
        if not KEY.fullmatch(key):
            raise StoreError(f"{key!r} is no key; a key is site_patient/accession")
        folder, accession = key.split("/")
        return relabel(study, Pseudonym(folder.partition("_")[2] or folder), Pseudonym(accession)), key
    if not (isinstance(study.patient, Pseudonym) and isinstance(study.accession, Pseudonym)):
        study = pseudonymise(study, load_key())
    return study, f"{site_part(study.site)}_{study.patient}/{study.accession}"

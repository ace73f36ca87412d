"""What makes a cohort this cohort and no other: `CohortConfig`, checked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from cardiolens._version import __version__
from cardiolens.errors import PhantomError
from cardiolens.phantom.dicom.styles import STYLES
from cardiolens.phantom.disease import check_condition
from cardiolens.phantom.heart.parts import check_whole
from cardiolens.phantom.sites import site_named

MOST_SEEDS = 1_000_000
_SCHEMA = 3
_FEWEST_PHASES = 8  # what the DICOM reader takes for a cine
_MOST_SESSIONS = 9
_CROP_MM = (100.0, 400.0)


@dataclass(frozen=True)
class CohortConfig:
    """What makes a cohort this cohort and no other; the number of patients is not part of it.

    Attributes:
        seed: 0 to 999,999.
        format: "dicom" or "store".
        site: names in `sites.SITES`; of several, patient i comes from the (i mod their number)-th.
        style: DICOM layout, see `phantom.dicom`; None for the one of the scanner.
        matrix: pixels along an edge, () for the scanner's; of several, patient i has the (i mod their number)-th.
        phases, sax_planes: frames a beat, planes of the short-axis stack; None for the scanner's.
        condition: every patient has this one; None draws them by the prevalence at the site.
        enrich: share of the patients that are given one of the 35 conditions each, in turn and the rare ones more often
            (`disease.enrichment`); the others are drawn by the prevalence at the site.
        masks: write masks as NIfTI, beside the DICOM or under `truth/` of a store.
        crop_mm: edge of the square about the heart that a store keeps; None for the whole field.
        sessions: examinations of each patient, on the same scanner.
    """

    seed: int
    format: str = "dicom"
    site: tuple[str, ...] = ("default",)
    style: str | None = None
    matrix: tuple[int, ...] = ()
    phases: int | None = None
    sax_planes: int | None = None
    condition: str | None = None
    enrich: float = 0.0
    masks: bool = True
    crop_mm: float | None = None
    sessions: int = 1

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, 0, MOST_SEEDS - 1)
        if self.format not in ("dicom", "store"):
            raise PhantomError(f'format must be "dicom" or "store", got {self.format!r}')
        if not self.site:
            raise PhantomError("a cohort needs a site; name one, or leave it at 'default'")
        for name in self.site:
            site_named(name)
        if self.style is not None and self.style not in STYLES:
            raise PhantomError(f"unknown DICOM style {self.style!r}; choose one of {', '.join(STYLES)}")
        check_condition(self.condition)
        if not 0.0 <= self.enrich <= 1.0:
            raise PhantomError(f"enrich is a share of the patients, 0 to 1, got {self.enrich:g}")
        if self.enrich and self.condition is not None:
            raise PhantomError(
                "condition gives every patient the same one, so there is nothing to enrich; set one of the two"
            )
        for edge in self.matrix:
            check_whole("matrix", edge, 32, 1024)
        for name, low, high in (("phases", _FEWEST_PHASES, 100), ("sax_planes", 1, 40)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), low, high)
        check_whole("sessions", self.sessions, 1, _MOST_SESSIONS)
        self._check_crop()

    def _check_crop(self) -> None:
        if self.crop_mm is None:
            return
        if self.format != "store":
            raise PhantomError('crop_mm goes with format "store"; a scanner sends its whole field')
        low, high = _CROP_MM
        if not low <= self.crop_mm <= high:
            raise PhantomError(f"crop_mm must be {low:g} to {high:g}, so that the heart is in it, got {self.crop_mm:g}")

    def identity(self) -> dict[str, Any]:
        """What a second call must repeat, as JSON gives it back; the version too, since another version may draw other
        hearts."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {**plain, "cardiolens": __version__, "schema": _SCHEMA}

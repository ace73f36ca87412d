"""One examination that a worker is to make, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiolens.phantom.cohort.config import CohortConfig
from cardiolens.phantom.disease import dealt_condition
from cardiolens.phantom.sites import SITES, Site

_STREAMS = {"heart": 0, "report": 1, "scan": 2, "person": 3, "after": 4, "protocol": 5, "session": 6}


@dataclass(frozen=True)
class StudyOrder:
    """Examination `session` (from 0) of patient `index` of the cohort `config` in `folder`."""

    folder: Path
    config: CohortConfig
    index: int
    session: int = 0

    @property
    def name(self) -> str:
        """Study name and accession: cohort seed and patient, at most 16 characters; later sessions begin P2, P3."""
        head = "PH" if self.session == 0 else f"P{self.session + 1}"
        return f"{head}{self.config.seed:06d}-{self.index:06d}"

    @property
    def patient(self) -> str:
        return f"P{self.config.seed:06d}-{self.index:06d}"

    @property
    def site(self) -> Site:
        return SITES[self.config.site[self.index % len(self.config.site)]]

    @property
    def institution(self) -> str:
        """What the study says of its site."""
        return "phantom" if self.site.name == "default" else f"phantom-{self.site.name}"

    @property
    def key(self) -> str:
        """Key in a store."""
        return f"{self.institution}_{self.patient}/{self.name}"

    @property
    def condition(self) -> str | None:
        """What the patient has for certain; None for what the draw gives."""
        config = self.config
        return config.condition or dealt_condition(config.seed, self.index, config.enrich)

    @property
    def matrix(self) -> int | None:
        edges = self.config.matrix
        return edges[self.index % len(edges)] if edges else None

    @property
    def uid_seed(self) -> int:
        """Seed of the DICOM identifiers and of the date; a later session comes weeks later."""
        return self.config.seed * 1_000_003 + self.index + 7 * self.session

    def rng(self, stream: str, *, by_session: bool = False) -> np.random.Generator:
        """Random numbers of this patient alone, a stream for each purpose; `by_session` for this session alone."""
        later = [self.session] if by_session and self.session else []
        return np.random.default_rng([self.config.seed, self.index, _STREAMS[stream], *later])

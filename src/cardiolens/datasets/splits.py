"""Splits by patient, as versioned files with a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiolens.errors import TrainingError

_VERSION = 1


def patient_of(key: str) -> str:
    """The patient part of a store key `site_pseudonym/accession`."""
    return key.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Split:
    """Which study belongs to which part; no patient is in two.

    Attributes:
        parts: name of a part to store keys, sorted.
    """

    parts: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        owner: dict[str, str] = {}
        for part, keys in self.parts.items():
            for key in keys:
                if owner.setdefault(patient_of(key), part) != part:
                    raise TrainingError(
                        f"a patient is in both '{owner[patient_of(key)]}' and '{part}' of the split (study {key}); "
                        "split by patient, not by study"
                    )

    def __getitem__(self, part: str) -> tuple[str, ...]:
        if part not in self.parts:
            raise TrainingError(f"the split has no part '{part}'; it has {', '.join(self.parts)}")
        return self.parts[part]

    @property
    def hash(self) -> str:
        """SHA-256 of the parts, first 16 hex digits."""
        text = json.dumps({part: list(keys) for part, keys in sorted(self.parts.items())}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        fields = {"version": _VERSION, "hash": self.hash, "parts": {p: list(k) for p, k in self.parts.items()}}
        path.write_text(json.dumps(fields, indent=1))

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split file; one that was edited by hand no longer fits its hash and is refused."""
        try:
            fields = json.loads(path.read_text())
            split = cls({part: tuple(keys) for part, keys in fields["parts"].items()})
        except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise TrainingError(f"{path}: not a split file ({error}); make one with a recipe's `split:`") from error
        if fields.get("hash") != split.hash:
            raise TrainingError(f"{path}: the split does not fit its hash; it was edited; make a new one")
        return split

    def require_known(self, keys: Sequence[str]) -> None:
        """Raise when the split names studies that the store does not hold."""
        missing = sorted({k for part in self.parts.values() for k in part} - set(keys))
        if missing:
            raise TrainingError(f"the split names {len(missing)} studies that are not in the store, first {missing[0]}")


def make_split(keys: Sequence[str], fractions: Mapping[str, float], seed: int) -> Split:
    """Deal patients at random into parts whose fractions sum to at most 1.

    The order of `keys` does not matter; the same keys, fractions and seed give the same split.
    """
    if not fractions or any(f <= 0 for f in fractions.values()) or sum(fractions.values()) > 1 + 1e-9:
        raise TrainingError(f"split fractions must be positive and sum to at most 1, got {dict(fractions)}")
    patients = sorted({patient_of(key) for key in keys})
    order = np.random.default_rng(seed).permutation(len(patients))
    bounds = np.round(np.cumsum([0.0, *fractions.values()]) * len(patients)).astype(int)
    part_of = {
        patients[i]: part
        for part, start, stop in zip(fractions, bounds[:-1], bounds[1:], strict=True)
        for i in order[start:stop]
    }
    split = Split({part: tuple(sorted(k for k in keys if part_of.get(patient_of(k)) == part)) for part in fractions})
    empty = [part for part, part_keys in split.parts.items() if not part_keys]
    if empty:
        raise TrainingError(f"{len(patients)} patients are too few for the split {dict(fractions)}: {empty} is empty")
    return split


def take_fraction(keys: Sequence[str], fraction: float, seed: int) -> tuple[str, ...]:
    """A seeded share of the patients behind `keys`, at least one; a smaller share is part of a larger one."""
    if not 0 < fraction <= 1:
        raise TrainingError(f"a data fraction lies in (0, 1], got {fraction}")
    patients = sorted({patient_of(key) for key in keys})
    order = np.random.default_rng(seed).permutation(len(patients))
    kept = {patients[i] for i in order[: max(1, round(fraction * len(patients)))]}
    return tuple(key for key in keys if patient_of(key) in kept)

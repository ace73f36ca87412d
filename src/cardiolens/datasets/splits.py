"""Splits by patient, as versioned files with a hash; the paper's splits by name; overlap refused.

>>> from cardiolens.datasets import named_split, refuse_overlap
>>> pretraining = named_split(store.keys(), "shad_pretrain", seed=0)         # doctest: +SKIP
>>> downstream = named_split(store.keys(), "shad_downstream", seed=0)        # doctest: +SKIP
>>> refuse_overlap(pretraining, downstream)                                  # doctest: +SKIP

The two are dealt from one pack: 75 % of the patients for pretraining, 25 % for what comes after.  The same keys and the
same seed are needed for that, and `refuse_overlap` tells when they were not the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cardiolens.errors import TrainingError
from cardiolens.store.atomic import disk_errors, write_whole

_VERSION = 1
_PSEUDONYM = re.compile(r"[a-z2-7]{16}")


@dataclass(frozen=True)
class Plan:
    """A split of the paper.

    Attributes:
        version: raised when the same seed would give another split.
        first: shares of a first deal, one part of which is then dealt by `parts`; None to deal all.
        taken: that part.
        parts: shares, in their proportion.
        source: where it stands.
    """

    name: str
    version: int
    parts: Mapping[str, float]
    source: str
    first: Mapping[str, float] | None = None
    taken: str = ""


_HALVES: Mapping[str, float] = MappingProxyType({"pretraining": 0.75, "downstream": 0.25})
_SHAD = "Shad et al., A generalizable deep learning system for cardiac MRI, Methods"
PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        plan.name: plan
        for plan in (
            Plan(
                "shad_pretrain",
                1,
                {"train": 2 / 3, "val": 1 / 3},
                f"{_SHAD}: 75:25 pretraining : downstream, then 66:33 train : val, by patient",
                _HALVES,
                "pretraining",
            ),
            Plan(
                "shad_downstream",
                1,
                {"train": 0.5, "val": 0.25, "test": 0.25},
                f"{_SHAD}: 75:25 pretraining : downstream, then 50:25:25 train : val : test, by patient",
                _HALVES,
                "downstream",
            ),
            Plan(
                "ukb_lvef",
                1,
                {"train": 0.8, "val": 0.1, "test": 0.1},
                f"{_SHAD}: UK Biobank LVEF, 80:10:10 train : val : test, by participant",
            ),
        )
    }
)


def patient_of(key: str) -> str:
    """The patient part of a store key `site_pseudonym/accession`."""
    return key.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Split:
    """Which study belongs to which part; no patient is in two.

    Attributes:
        parts: name of a part to store keys, sorted.
        about: how it was made (plan, version, seed, ...); stands in the file and is not part of the hash.
    """

    parts: Mapping[str, tuple[str, ...]]
    about: Mapping[str, Any] = field(default_factory=dict, compare=False)

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
        """Write the split whole."""
        fields: dict[str, Any] = {"version": _VERSION, "hash": self.hash}
        if self.about:
            fields["about"] = dict(self.about)
        fields["parts"] = {part: list(keys) for part, keys in self.parts.items()}
        with disk_errors(path):
            write_whole(path, (json.dumps(fields, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read a split file; one that was edited by hand no longer fits its hash and is refused."""
        try:
            fields = json.loads(path.read_text())
            parts = {part: tuple(keys) for part, keys in fields["parts"].items()}
            split = cls(parts, dict(fields.get("about", {})))
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


def named_split(keys: Collection[str], plan: str, seed: int, *, only: Collection[str] | None = None) -> Split:
    """A split of the paper (`PLANS`) over these studies.

    Args:
        keys: of every study of the cohort, so that `shad_pretrain` and `shad_downstream` are dealt from one pack.
        seed: the same for the two.
        only: studies to keep once dealt, such as those with a label; the deal does not depend on it.

    Raises:
        TrainingError: an unknown plan, or too few patients for it.
    """
    if plan not in PLANS:
        raise TrainingError(f"no split named {plan!r}; known are {', '.join(PLANS)}")
    named = PLANS[plan]
    pack = sorted(keys)
    dealt = pack
    if named.first is not None:
        dealt = list(make_split(pack, named.first, seed)[named.taken])
    split = make_split(dealt, named.parts, seed)
    kept = set(dealt if only is None else only)
    parts = {part: tuple(key for key in split[part] if key in kept) for part in split.parts}
    empty = [part for part, found in parts.items() if not found]
    if empty:
        raise TrainingError(f"split {plan}: no study is left in {', '.join(empty)} of those that were to be kept")
    about = {
        "plan": named.name,
        "plan_version": named.version,
        "seed": seed,
        "source": named.source,
        "dealt": f"{len({patient_of(key) for key in pack})} patients, {len(pack)} studies",
        "dealt_hash": hashlib.sha256("\n".join(pack).encode()).hexdigest()[:16],
    }
    return Split(parts, about)


def refuse_overlap(
    pretraining: Split,
    downstream: Split,
    *,
    seen: Collection[str] = ("train",),
    held_out: Collection[str] | None = None,
) -> None:
    """Raise when a patient that pretraining learns from is one that a downstream result is measured on.

    Args:
        seen: parts of the pretraining split that it learns from.
        held_out: parts of the downstream split that must be new to the encoder; None for all but "train".

    Raises:
        TrainingError: naming how many patients, of which parts, and a study of the first.
    """
    new = [part for part in downstream.parts if part != "train"] if held_out is None else list(held_out)
    learnt = {_person(key): (part, key) for part in seen for key in pretraining[part]}
    shared = {
        _person(key): (*learnt[_person(key)], part, key)
        for part in new
        for key in downstream[part]
        if _person(key) in learnt
    }
    if shared:
        part, key, other, again = min(shared.values(), key=lambda each: each[3])
        raise TrainingError(
            f"{len(shared)} patients of the pretraining split's '{part}' are in the held-out parts of the downstream "
            f"split ({', '.join(new)}), first {again} in '{other}' ({key} in pretraining): results on them would be "
            "of patients already seen. Make both splits from the same store and seed: cardiolens datasets split STORE "
            "--as shad_pretrain, and --as shad_downstream"
        )


def _person(key: str) -> str:
    """Who a study is of: the pseudonym alone, which is the same under every site name, else site and patient."""
    patient = patient_of(key)
    found = patient.rpartition("_")[2]
    return found if _PSEUDONYM.fullmatch(found) else patient

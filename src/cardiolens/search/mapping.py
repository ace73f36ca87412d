"""A map of an index, coloured by what is known of its clips, beside another encoder's map of the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from cardiolens.errors import InputError
from cardiolens.search.index import EmbeddingIndex
from cardiolens.search.maps import Method, expected_share, neighbour_correlation, neighbour_share, project

if TYPE_CHECKING:
    import pandas as pd

PointsOf = Literal["clip", "study"]
VIEW = "view"
_MOST_GROUPS = 8
_OTHER = "other"


@dataclass(frozen=True, eq=False)
class Colour:
    """What the points are coloured by.

    Attributes:
        values: (point,) float with NaN where unknown, or str with "" where unknown.
        groups: names of the groups, in the order of the key; empty for a number.
    """

    name: str
    values: npt.NDArray[Any]
    groups: tuple[str, ...]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(point,)."""
        known: npt.NDArray[np.bool_] = self.values != "" if self.groups else np.isfinite(self.values)
        return known


@dataclass(frozen=True, eq=False)
class Together:
    """How far near points share a colour: share of the same group, or correlation with the neighbours' mean."""

    value: float
    expected: float | None
    n: int

    def words(self, k: int) -> str:
        """One line for the figure."""
        if self.expected is None:
            return f"correlation with mean of {k} nearest: {self.value:.2f}"
        return f"{k} nearest of same colour: {self.value:.0%} ({self.expected:.0%} at random)"


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """One index on the plane: places (point, 2), and one `Together` a colour."""

    title: str
    places: npt.NDArray[np.float64]
    together: tuple[Together, ...]


@dataclass(frozen=True, eq=False)
class Maps:
    """Maps of the same points by one or two encoders.

    Attributes:
        points: the index of the points drawn; of studies, its views and planes mean nothing.
        left_out: clips of the index that are not drawn because the other does not hold them.
        thinned: clips not drawn because there are too many to draw; the numbers count them.
    """

    points: EmbeddingIndex
    colours: tuple[Colour, ...]
    maps: tuple[EmbeddingMap, ...]
    method: Method
    by: PointsOf
    k: int
    left_out: int
    thinned: int

    def to_dict(self) -> dict[str, Any]:
        """The numbers, for JSON."""
        found = {
            one.title: {
                colour.name: {
                    "same_share" if t.expected is not None else "correlation": None if np.isnan(t.value) else t.value,
                    "expected": t.expected,
                    "n": t.n,
                }
                for colour, t in zip(self.colours, one.together, strict=True)
            }
            for one in self.maps
        }
        what = {"method": self.method, "by": self.by, "k": self.k}
        count = {"points": len(self.points), "left_out": self.left_out, "thinned": self.thinned}
        return {**what, **count, "maps": found}


def make_maps(
    index: EmbeddingIndex,
    colours: Sequence[str],
    *,
    table: pd.DataFrame | None = None,
    against: EmbeddingIndex | None = None,
    method: Method = "tsne",
    by: PointsOf = "clip",
    k: int = 10,
    most: int = 4000,
    seed: int = 0,
) -> Maps:
    """Project one index, or two on the clips that both hold, and measure how far near points share their colour.

    Args:
        colours: "view", or columns of the table.
        table: what is known of the studies, indexed by key.
        by: a point a clip, or a study (its vector is the mean of its views).
        k: neighbours counted, always of other patients.
        most: points drawn at most, a random choice by the seed; the numbers are taken over all.

    Raises:
        InputError: an unknown column (those there are named), no clip in common, too few points.
    """
    index.require_clips()
    if by not in ("clip", "study") or not colours:
        raise InputError(f"a map has points by clip or by study ({by!r}) and one colour or more")
    mine, other = (index, None) if against is None else _common(index, against)
    left_out = len(index) - len(mine)
    if by == "study":
        mine, other = _by_study(mine), None if other is None else _by_study(other)
    chosen = tuple(_colour(name, mine, table, by) for name in colours)
    drawn = np.arange(len(mine))
    if len(mine) > most:
        drawn = np.sort(np.random.default_rng(seed).choice(len(mine), size=most, replace=False))
    maps = tuple(
        EmbeddingMap(title, project(one.rows[drawn], method, seed), tuple(_together(one, c, k) for c in chosen))
        for title, one in _titled(mine, other)
    )
    shown = tuple(Colour(c.name, c.values[drawn], c.groups) for c in chosen)
    return Maps(mine.take(drawn), shown, maps, method, by, k, left_out, len(mine) - len(drawn))


def _titled(mine: EmbeddingIndex, other: EmbeddingIndex | None) -> list[tuple[str, EmbeddingIndex]]:
    """Each index with its name; two of one name are told apart by the hash of their video tower."""
    found = [mine] if other is None else [mine, other]
    names = [str(one.meta.get("model", "index")) for one in found]
    if len(set(names)) < len(names):
        names = [
            f"{name} {one.meta.get('model_hash', i)}" for i, (name, one) in enumerate(zip(names, found, strict=True))
        ]
    if len(set(names)) < len(names):
        names = [f"{name} ({one.meta.get('space')})" for name, one in zip(names, found, strict=True)]
    if len(set(names)) < len(names):
        raise InputError("both indexes are of the same model; --against takes that of another")
    return list(zip(names, found, strict=True))


def _common(index: EmbeddingIndex, against: EmbeddingIndex) -> tuple[EmbeddingIndex, EmbeddingIndex]:
    """Both, cut to the clips that both hold, in the order of the first."""
    against.require_clips()
    there = {where: i for i, where in enumerate(zip(against.keys, against.views, against.planes, strict=True))}
    places = [there.get(where, -1) for where in zip(index.keys, index.views, index.planes, strict=True)]
    both = np.array(places, dtype=np.int64)
    if not (both >= 0).any():
        raise InputError("the two indexes have no clip in common; embed the same studies with both models")
    return index.take(both >= 0), against.take(both[both >= 0])


def _by_study(index: EmbeddingIndex) -> EmbeddingIndex:
    keys, vectors = index.study_vectors()
    first = np.unique(index.study_of, return_index=True)[1]
    views = tuple(index.views[i] for i in first)
    return EmbeddingIndex(keys, views, (0,) * len(keys), vectors, index.meta, index.patients, index.contents)


def _colour(name: str, index: EmbeddingIndex, table: pd.DataFrame | None, by: PointsOf) -> Colour:
    columns = [] if table is None else [str(column) for column in table.columns]
    if name == VIEW and by == "clip":
        return _grouped(name, np.array([str(view) for view in index.views]))
    if table is None or name not in columns:
        there = ", ".join([VIEW] * (by == "clip") + columns) or "none: give --table, a store or a CSV file"
        raise InputError(f"no column {name!r} to colour by; there are: {there}")
    import pandas as pd

    values = table[name].reindex(list(index.keys))
    if values.isna().all():
        raise InputError(f"column {name!r} is empty for every study of the index")
    numbers = pd.to_numeric(values, errors="coerce")
    if bool((numbers.isna() == values.isna()).all()) and numbers.nunique() > _MOST_GROUPS:
        return Colour(name, numbers.to_numpy(float), ())
    if set(numbers.dropna().unique()) <= {0, 1} and bool((numbers.isna() == values.isna()).all()):
        return Colour(name, numbers.map({0: "no", 1: "yes"}).fillna("").to_numpy(str), ("no", "yes"))
    return _grouped(
        name, values.map(lambda v: "" if pd.isna(v) else f"{v:g}" if isinstance(v, float) else str(v)).to_numpy(str)
    )


def _grouped(name: str, values: npt.NDArray[Any]) -> Colour:
    """Groups in alphabetical order; of too many, the rarer ones together."""
    names, counts = np.unique(values[values != ""], return_counts=True)
    if len(names) > _MOST_GROUPS:
        kept = set(names[np.argsort(-counts, kind="stable")[: _MOST_GROUPS - 1]].tolist())
        values = np.array([v if v in kept or v == "" else _OTHER for v in values.tolist()])
        return Colour(name, values, (*sorted(kept - {_OTHER}), _OTHER))
    return Colour(name, values, tuple(names.tolist()))


def _together(index: EmbeddingIndex, colour: Colour, k: int) -> Together:
    known = colour.known
    patients = [index.patient(key) for key, there in zip(index.keys, known, strict=True) if there]
    rows, values = index.rows[known], colour.values[known]
    if not colour.groups:
        return Together(neighbour_correlation(rows, values, k, patients=patients), None, len(rows))
    groups = values.tolist()
    share = neighbour_share(rows, groups, k, patients=patients)
    return Together(share, expected_share(groups, patients), len(rows))

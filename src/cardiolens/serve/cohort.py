"""The whole store at a glance: the map of its embeddings, distributions of a column, tables by subgroup."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cardiolens.errors import InputError, StatsError
from cardiolens.store.atomic import disk_errors, write_whole

if TYPE_CHECKING:
    from cardiolens.search import EmbeddingIndex
    from cardiolens.serve.desk import Desk

log = logging.getLogger(__name__)

_WORDS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "principal components"}
_SHORT = ("lv", "rv", "la", "ra", "lvef", "rvef", "edv", "esv", "mapse", "bsa", "gls")
_BINS = 24
_MOST_GROUPS = 12
_FEWEST = 5  # studies in a group of which a mean is told
PREDICTED = ("predicted_lvef", "contour_lvef")


def index_of(desk: Desk) -> EmbeddingIndex:
    """The index of the store by this model, as last made.

    Raises:
        InputError: there is none yet.
    """
    from cardiolens.search import EmbeddingIndex

    path = desk.index_path
    if not path.is_file():
        raise InputError("no study is embedded yet; make the index first")
    stamp = path.stat().st_mtime_ns
    held = desk.index_held
    if held is None or held[0] != stamp:
        held = desk.index_held = (stamp, EmbeddingIndex.load(path))
    return held[1]


def index_state(desk: Desk) -> dict[str, Any]:
    """Whether there is an index, and how many studies of the store it lacks."""
    total = len(desk.catalogue.keys)
    text = desk.engines.model.has_text
    reason = "" if text else f"{desk.engines.card.full_name} has no text tower, so it cannot be asked in words"
    try:
        there = set(index_of(desk).studies)
    except InputError as error:
        return {"there": False, "studies": 0, "missing": total, "reason": str(error), "text": text, "no_text": reason}
    missing = sum(key not in there for key in desk.catalogue.keys)
    return {"there": True, "studies": len(there), "missing": missing, "reason": "", "text": text, "no_text": reason}


# --- the map ---------------------------------------------------------------------------------------------------------


def default_method() -> str:
    """UMAP where umap-learn is installed, else t-SNE."""
    return "umap" if importlib.util.find_spec("umap") else "tsne"


def make_places(desk: Desk, method: str = "") -> dict[str, Any]:
    """Lay the studies out in two dimensions and keep it.

    Raises:
        InputError: no index, fewer than four studies, or a method that is not installed.
    """
    from cardiolens.search import project

    chosen = method or default_method()
    if chosen not in _WORDS:
        raise InputError(f"a map is made by {', '.join(_WORDS)}, not {chosen!r}")
    index = index_of(desk)
    keys, rows = index.study_vectors()
    places = project(rows, chosen)  # type: ignore[arg-type]
    places = (places - places.min(0)) / np.maximum(np.ptp(places, axis=0).max(), 1e-9)
    found = {
        "keys": list(keys),
        "places": np.round(places, 4).tolist(),
        "method": chosen,
        "method_words": _WORDS[chosen],
        "store_hash": index.meta.get("store_hash"),
    }
    path = _places_path(desk, chosen)
    with disk_errors(path):
        write_whole(path, json.dumps(found).encode())
    return found


def kept_places(desk: Desk, method: str = "") -> dict[str, Any] | None:
    """The map of the index as it is now; None where it is not laid out yet."""
    chosen = method or default_method()
    try:
        found = json.loads(_places_path(desk, chosen).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(found, dict) and found.get("store_hash") == index_of(desk).meta.get("store_hash")
    return found if fits else None


def _places_path(desk: Desk, method: str) -> Any:
    return desk.index_path.with_name(f"map-{desk.engines.video}-{method}.json")


# --- columns ---------------------------------------------------------------------------------------------------------


def values_of(desk: Desk, name: str, keys: Sequence[str]) -> pd.Series:
    """A label, a trait, a predicted figure or a condition's probability ("probability:NAME") of some studies.

    A figure that is not to be used (`is_void`) is None.

    Raises:
        InputError: no such column.
    """
    catalogue = desk.catalogue
    kind, _, condition = name.partition(":")
    if kind in ("probability", "score") and condition:
        shorts = [desk.results.short(key, catalogue.facts(key)["content"]).get(kind, {}) for key in keys]
        values = [
            None if is_void(desk, key, name) else short.get(condition) for key, short in zip(keys, shorts, strict=True)
        ]
    elif name in (*PREDICTED, "sex", "age", "site") or name in catalogue.labels.columns:
        for key in keys if name in ("sex", "age", "site", *PREDICTED) else ():
            catalogue.facts(key)
        values = [None if is_void(desk, key, name) else catalogue.value(key, name) for key in keys]
    else:
        raise InputError(f"there is no column {name!r}")
    found: pd.Series = pd.Series(values, index=list(keys), dtype=object)
    return found


def is_void(desk: Desk, key: str, name: str) -> bool:
    """Whether a study has a figure of that name that is not to be used: out of domain, or flagged as an error."""
    if name not in PREDICTED and not name.startswith(("probability:", "score:")):
        return False
    short = desk.results.short(key, desk.catalogue.facts(key)["content"])
    if name == "contour_lvef":
        return short.get("contour_worst") == "error"
    return short.get("out_of_domain") is True


def column(desk: Desk, name: str, keys: Sequence[str]) -> dict[str, Any]:
    """A column as numbers or as groups, a value a study (None where it is not known), with its distribution."""
    values = values_of(desk, name, keys)
    known = values.dropna()
    void = sum(is_void(desk, key, name) for key in keys)
    numbers = pd.to_numeric(known, errors="coerce")
    if len(known) and bool(numbers.notna().all()) and numbers.nunique() > _MOST_GROUPS:
        number = pd.to_numeric(values, errors="coerce")
        counts, edges = np.histogram(numbers.to_numpy(float), bins=_BINS)
        return {
            "name": name,
            "kind": "number",
            "values": [None if pd.isna(v) else round(float(v), 4) for v in number],
            "known": len(known),
            "void": void,
            "histogram": {"counts": counts.tolist(), "edges": np.round(edges, 4).tolist()},
            "mean": float(numbers.mean()),
            "sd": float(numbers.std()) if len(numbers) > 1 else None,
            "median": float(numbers.median()),
        }
    words = known.map(_word)
    groups = words.value_counts()
    shown = list(groups.index[:_MOST_GROUPS])
    told = words.where(words.isin(shown), "other").reindex(values.index)
    names = sorted(shown) + (["other"] if len(groups) > _MOST_GROUPS else [])
    return {
        "name": name,
        "kind": "groups",
        "values": [None if pd.isna(v) else str(v) for v in told],
        "known": len(known),
        "void": void,
        "groups": [{"name": one, "n": int((told == one).sum())} for one in names],
    }


def _spoken(name: str) -> str:
    return " ".join(word.upper() if word in _SHORT else word for word in name.split("_"))


def names_of(desk: Desk) -> list[dict[str, str]]:
    """Columns that can be shown, with what they are called."""
    out = [{"name": one["name"], "words": _spoken(one["name"]), "of": "labels"}
           for one in desk.catalogue.columns()]  # fmt: skip
    there = {one["name"] for one in out}
    out += [{"name": one, "words": one, "of": "study"} for one in ("sex", "age", "site") if one not in there]
    out += [
        {"name": "predicted_lvef", "words": "LVEF, video model", "of": "results"},
        {"name": "contour_lvef", "words": "LVEF, contours", "of": "results"},
    ]
    for head in desk.engines.predictor.condition_heads:
        out += [
            {"name": f"probability:{name}", "words": f"probability of {name.replace('_', ' ')}", "of": "results"}
            for name in head.labels
            if name in head.calibration
        ]
    return out


# --- subgroups -------------------------------------------------------------------------------------------------------


def subgroups(desk: Desk, by: str, keys: Sequence[str]) -> dict[str, Any]:
    """A row a group: studies, LVEF as labelled and as predicted, how far apart; a number is cut into quarters.

    Predictions that are not to be used are left out and counted (`void`).
    """
    values = values_of(desk, by, keys)
    known = values.dropna()
    numbers = pd.to_numeric(known, errors="coerce")
    if len(known) and bool(numbers.notna().all()) and numbers.nunique() > _MOST_GROUPS:
        cut = pd.qcut(numbers, 4, duplicates="drop")
        groups = cut.map(lambda one: f"{one.left:.4g} to {one.right:.4g}").astype(str)
        order = [f"{one.left:.4g} to {one.right:.4g}" for one in cut.cat.categories]
    else:
        groups = known.map(_word)
        order = list(groups.value_counts().index[:_MOST_GROUPS])
    labelled = _numbers(desk, "lvef", keys)
    predicted = _numbers(desk, "predicted_lvef", keys)
    rows = [_group(name, list(groups.index[groups == name]), labelled, predicted) for name in order]
    rows.append(_group("all", list(keys), labelled, predicted))
    void = sum(is_void(desk, key, "predicted_lvef") for key in keys)
    return {"by": by, "rows": rows, "unknown": len(keys) - len(known), "fewest": _FEWEST, "void": void}


def _numbers(desk: Desk, name: str, keys: Sequence[str]) -> pd.Series:
    numbers: pd.Series = pd.Series(np.nan, index=list(keys))
    if name in desk.catalogue.labels.columns or name in PREDICTED:
        numbers = pd.to_numeric(values_of(desk, name, keys), errors="coerce")
    return numbers


def _group(name: str, keys: list[str], labelled: pd.Series, predicted: pd.Series) -> dict[str, Any]:
    from cardiolens.stats import bland_altman, mae

    label, told = labelled.loc[keys].dropna(), predicted.loc[keys].dropna()
    row: dict[str, Any] = {"group": name, "n": len(keys), "labelled": len(label), "predicted": len(told)}
    for what, values in (("label", label), ("prediction", told)):
        if len(values) >= _FEWEST:
            row |= {f"{what}_mean": float(values.mean()), f"{what}_sd": float(values.std())}
    both = label.index.intersection(told.index)
    if len(both) >= _FEWEST:
        one, other = told.loc[both].to_numpy(float), label.loc[both].to_numpy(float)
        try:
            agreement = bland_altman(one, other)
            row |= {"both": len(both), "mae": float(mae(one, other)), "bias": float(agreement.bias)}
            row |= {"loa_low": float(agreement.low), "loa_high": float(agreement.high)}
        except StatsError as error:
            row["not_computed"] = str(error)
    return row


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

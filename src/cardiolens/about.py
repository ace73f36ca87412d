"""What a model, an export, an index or a store is: the facts behind `cardiolens info`.  Offline; imports no PyTorch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from cardiolens.errors import CheckpointError, InputError

_LOOKED_AT = 200  # studies of a store whose headers are read for shapes
_NOTE = "research use only, not a medical device"


def describe(what: str) -> dict[str, Any]:
    """Facts as plain values, ready for JSON; `is` says of what: "model", "export", "index" or "store".

    Args:
        what: a name that `list_models` gives, a model folder, a folder by `cardiolens export`, an index file by
            `cardiolens embed`, or a store.

    Raises:
        InputError: it is none of these.
        CheckpointError: the weights of a known name are not on this machine.
    """
    from cardiolens.models.registry import MODELS

    path = Path(what).expanduser()
    if what.partition(":")[0] in MODELS:
        return _model(_folder_of(what)) if ":" in what else _untagged(what)
    if (path / "edge.json").is_file():
        return _export(path)
    if (path / "card.json").is_file():
        return _model(path)
    if path.is_file():
        return _index(path)
    if path.is_dir() and (any(path.glob("*/*.h5")) or not any(path.iterdir())):
        return _store(path)
    there = "no file or folder is called so" if not path.exists() else "nothing that cardiolens wrote lies there"
    raise InputError(
        f"{what}: {there}; give a name that `cardiolens models` lists, a model folder, an export, an index or a store"
    )


def _folder_of(name: str) -> Path:
    from cardiolens.models.locate import local_tags

    plain, _, tag = name.partition(":")
    found = local_tags(plain).get(tag)
    if found is None:
        raise CheckpointError(f"{name}: its weights are not on this machine; cardiolens models says where they are")
    return found


def _untagged(name: str) -> dict[str, Any]:
    """An architecture without weights; of a name with one tag on this machine, that model."""
    from cardiolens.models.locate import local_tags
    from cardiolens.models.registry import MODELS

    tags = local_tags(name)
    if len(tags) == 1:
        return _model(next(iter(tags.values())))
    entry = MODELS[name]
    return {"is": "model", "name": name, "words": entry.words, "weights": sorted(tags), "trained": False, "note": _NOTE}


def _model(folder: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    from cardiolens.models.card import Card

    if not (folder / "card.json").is_file():
        return {"is": "model", "name": str(folder), "weights": [str(folder)], "trained": True, "note": _NOTE}
    card, weights = Card.read(folder / "card.json"), folder / "model.safetensors"
    sizes: dict[str, int] = Counter()
    try:
        with safe_open(weights, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 # the file is no mapping
                count = 1
                for length in file.get_slice(name).get_shape():
                    count *= length
                sizes[name.split(".")[0]] += count
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights} cannot be read ({error}); copy the folder again") from error
    return {
        "is": "model",
        "name": card.full_name,
        "trained": bool(card.sha256),
        "source": card.source,
        "folder": str(folder),
        "mib": round(weights.stat().st_size / 2**20, 1),
        "parameters": sum(sizes.values()),
        "parameters_by_part": dict(sizes),
        "transform": card.transform,
        "tasks": {task: _task(entry) for task, entry in card.tasks.items()},
        "domain_check": card.domain is not None,
        "licence": card.licence.model_dump(),
        "notes": list(card.notes),
        "sha256": card.sha256,
        "note": _NOTE,
    }


def _task(entry: dict[str, Any]) -> dict[str, Any]:
    """What a head tells, and its figures that are one number."""
    out: dict[str, Any] = {key: entry[key] for key in ("kind", "unit") if key in entry}
    if "labels" in entry:
        out["labels"] = len(entry["labels"])
    for name, value in entry.get("metrics", {}).items():
        if isinstance(value, (int, float)):
            out[name] = value
        elif isinstance(value, dict) and "mean_auroc" in value:
            out[f"{name}_mean_auroc"] = value["mean_auroc"]
    return out


def _export(folder: Path) -> dict[str, Any]:
    from cardiolens.edge.folder import EdgeFolder

    held = EdgeFolder.open(folder)
    return {
        "is": "export",
        "name": held.fields["model"],
        "folder": str(folder),
        "mib": round(
            sum((folder / name).stat().st_size for name in held.files if (folder / name).is_file()) / 2**20, 1
        ),
        "heads": {task: head.outputs for task, head in held.heads.items()},
        "precisions": {precision: dict(held.parity.get(precision, {})) for precision in held.precisions},
        "weights_sha256": held.fields["weights_sha256"],
        "note": _NOTE,
    }


def _index(path: Path) -> dict[str, Any]:
    from cardiolens.search.index import EmbeddingIndex
    from cardiolens.search.nearest import EXACT_UP_TO, folder_of

    index = EmbeddingIndex.load(path)
    graphs = folder_of(path) / "nearest.json"
    built = json.loads(graphs.read_text(encoding="utf-8")) if graphs.is_file() else None
    return {
        "is": "index",
        "file": str(path),
        "mib": round(path.stat().st_size / 2**20, 1),
        "clips": len(index),
        "studies": len(index.studies),
        "patients": len({index.patient(key) for key in index.studies}),
        "width": int(index.rows.shape[1]),
        "model": index.meta.get("model"),
        "model_hash": index.meta.get("model_hash"),
        "space": index.meta.get("space"),
        "left_out": len(index.meta.get("skipped", {})),
        "graphs": None if built is None else {"recall_at_10": built["recall"], "studies": len(built["studies"])},
        "searched": "approximately, by graphs" if built is not None and len(index) > EXACT_UP_TO else "exactly",
        "note": _NOTE,
    }


def _store(path: Path) -> dict[str, Any]:
    from cardiolens.errors import StoreError
    from cardiolens.store import StudyStore

    store = StudyStore(path)
    keys = store.keys()
    step = max(1, len(keys) // _LOOKED_AT)
    facts, damaged = [], 0
    for key in keys[::step][:_LOOKED_AT]:
        try:
            facts.append(store.info(key))
        except StoreError:
            damaged += 1
    views = Counter(view for one in facts for view in one["views"])
    labels = store.labels() if (path / "labels.csv").is_file() else None
    return {
        "is": "store",
        "folder": str(path),
        "studies": len(keys),
        "mib": round(sum(file.stat().st_size for file in path.glob("*/*.h5")) / 2**20, 1),
        "looked_at": len(facts),
        "damaged": damaged,
        "views": dict(views),
        "planes_a_study": round(sum(s[0] for one in facts for s in one["views"].values()) / max(len(facts), 1), 1),
        "phases": _range([shape[1] for one in facts for shape in one["views"].values()]),
        "with_report": sum(one["has_report"] for one in facts),
        "with_geometry": sum(all(one["has_geometry"].values()) for one in facts),
        "labels": [] if labels is None else list(map(str, labels.columns)),
        "note": _NOTE,
    }


def _range(values: list[int]) -> list[int]:
    return [min(values), max(values)] if values else []

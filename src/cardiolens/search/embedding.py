"""A store to an index: every usable plane of every study through the video tower, a study at a time."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from cardiolens._version import __version__
from cardiolens.datasets.splits import patient_of
from cardiolens.errors import InputError, ReadError, StoreError
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.search.index import EmbeddingIndex, Progress, Rows
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.data import ClipSource
from cardiolens.training.features import ClipTable, encoder_table, state_hash
from cardiolens.transforms import ClipTransform

log = logging.getLogger(__name__)

Space = Literal["embedding", "features"]
_NAMED = 10  # skipped studies named in a message


def video_hash(model: DualEncoder) -> str:
    """What an index depends on: the video tower with its projection; heads and text tower do not enter."""
    parts = f"{state_hash(model.video_encoder)}{state_hash(model.video_proj)}"
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def title_of(model: DualEncoder) -> str:
    """The model as figures name it: by its tag, else by the recipe it came from, else that it is untrained."""
    card = model.card
    if card.tag:
        return card.full_name
    recipe, epoch = (card.provenance.get(name) for name in ("recipe", "epoch"))
    if recipe:
        return f"{card.name} ({recipe}{'' if epoch is None else f', epoch {epoch}'})"
    return f"{card.name} (untrained)" if any(note.startswith("untrained") for note in card.notes) else card.name


def embed_store(
    model: DualEncoder,
    store: StudyStore,
    keys: Sequence[str] | None = None,
    *,
    folder: str | Path | None = None,
    batch: int = 16,
    space: Space = "embedding",
    previous: EmbeddingIndex | None = None,
    progress: Progress | None = None,
) -> EmbeddingIndex:
    """Embed all usable planes of all views of some studies, or of all.

    A study that cannot be read, or has no cine, is left out, logged and listed in `meta["skipped"]`.

    Args:
        model: any with a video tower, on the device where it shall compute; it needs no text tower.
        keys: studies; None for the whole store.
        folder: where the encoder's features are kept a study at a time, so that a stopped run goes on and heads can
            train from them (`finetune --cache` uses the same files); None keeps nothing.
        batch: clips at a time.
        space: "embedding", the projected vectors that text is compared with, or "features", those before the
            projection, which is untrained in an encoder that never saw reports.
        previous: an index whose rows are taken over where model and study are as they were.
        progress: called after each study.

    Raises:
        InputError: no study left to embed, or a key twice.
        StoreError: a key that is not in the store.
    """
    if space not in ("embedding", "features"):
        raise InputError(f"space is 'embedding' or 'features', not {space!r}")
    wanted = _wanted(store, keys)
    transform = ClipTransform.from_dict(model.card.transform)
    meta: dict[str, Any] = {
        "model": title_of(model),
        "model_hash": video_hash(model),
        "transform": transform.to_dict(),
        "space": space,
        "cardiolens": __version__,
    }
    kept = _kept(previous, meta)
    parts: dict[str, tuple[list[tuple[View, int]], Rows]] = {}
    patients: dict[str, str] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        where = folder if folder is not None else stack.enter_context(tempfile.TemporaryDirectory())
        source = ClipSource(store, transform, cache=False)
        table = encoder_table(Path(where), model, source)
        table.batch = batch
        for done, key in enumerate(wanted, 1):
            try:
                if kept is not None and kept.contents.get(key) == store.hash_of(key):
                    parts[key] = _rows_of(kept, key)
                else:
                    parts[key] = _embedded(model, table, key, space)
                patients[key] = store.read(key).patient or patient_of(key)
            except (ReadError, StoreError) as error:
                parts.pop(key, None)
                skipped[key] = str(error)
            if progress is not None:
                progress(key, done, len(wanted))
    if skipped:
        log.warning("%d of %d studies left out: %s", len(skipped), len(wanted), "; ".join([*skipped.values()][:_NAMED]))
    if not parts:
        raise InputError(
            f"nothing to embed: all {len(wanted)} studies were left out, the first because: {_first(skipped)}"
        )
    meta |= {"store_hash": _contents_hash(contents := {key: store.hash_of(key) for key in parts}), "skipped": skipped}
    return EmbeddingIndex(
        tuple(key for key, (where, _) in parts.items() for _ in where),
        tuple(view for where, _ in parts.values() for view, _ in where),
        tuple(plane for where, _ in parts.values() for _, plane in where),
        np.concatenate([rows for _, rows in parts.values()]),
        meta,
        patients,
        contents,
    )


def require_made_by(model: DualEncoder, index: EmbeddingIndex) -> None:
    """Refuse an index whose vectors are not those of this model.

    Raises:
        InputError: another model or transform made it, or it holds features before the projection.
    """
    index.require_clips()
    if index.meta.get("space") != "embedding":
        raise InputError(
            "the index holds features before the projection, which cannot be compared with text; "
            "make one without --features"
        )
    made, now = index.meta.get("model_hash"), video_hash(model)
    if made != now:
        raise InputError(
            f"the index was made by another model ({index.meta.get('model')}, video tower {made}) than "
            f"{model.card.full_name} (video tower {now}); give that model, or embed the store again with this one"
        )
    transform = ClipTransform.from_dict(model.card.transform).to_dict()
    if index.meta.get("transform") != transform:
        raise InputError("the index was made with another clip transform than the model's card tells; embed again")


def _wanted(store: StudyStore, keys: Sequence[str] | None) -> list[str]:
    wanted = store.keys() if keys is None else list(keys)
    if not wanted:
        raise InputError(f"no study to embed: {store.path} is empty" if keys is None else "no study to embed: no keys")
    if len(set(wanted)) < len(wanted):
        raise InputError("a study is named more than once among the keys")
    absent = [key for key in wanted if key not in store]
    if absent:
        raise StoreError(f"{len(absent)} of {len(wanted)} studies are not in {store.path}, first {absent[0]}")
    return wanted


def _kept(previous: EmbeddingIndex | None, meta: dict[str, Any]) -> EmbeddingIndex | None:
    """The earlier index, if its rows are what would be computed now."""
    if previous is None or any(previous.meta.get(name) != meta[name] for name in ("model_hash", "transform", "space")):
        return None
    return previous


def _rows_of(index: EmbeddingIndex, key: str) -> tuple[list[tuple[View, int]], Rows]:
    chosen = index.clips_of[key]
    return [(index.views[i], index.planes[i]) for i in chosen], index.rows[chosen]


def _embedded(model: DualEncoder, table: ClipTable, key: str, space: Space) -> tuple[list[tuple[View, int]], Rows]:
    """(view, plane) of each clip of a study, and (clip, width) of unit length."""
    if not table.source.shapes(key):
        raise ReadError(f"{key}: holds no cine of a standard view")
    try:
        found = table.compute([key], key)[key]
    except SafetensorError as error:
        raise InputError(f"{table.folder}: kept features of {key} are damaged ({error}); delete that folder") from error
    with torch.inference_mode():
        features = torch.stack(list(found.values())).to(model.video_proj.weight)
        vectors = model.project(features) if space == "embedding" else F.normalize(features, dim=-1)
    if not bool(torch.isfinite(vectors).all()):
        raise ReadError(f"{key}: the model gives NaN for it")
    return list(found), vectors.float().cpu().numpy()


def _contents_hash(contents: dict[str, str]) -> str:
    """Over keys and contents; that of `StudyStore.hash` where every study was embedded."""
    digest = hashlib.sha256()
    for key in sorted(contents):
        digest.update(f"{key}\0{contents[key]}\n".encode())
    return digest.hexdigest()


def _first(skipped: dict[str, str]) -> str:
    return next(iter(skipped.values()))

"""Results to files and back: a `Prediction`, and what a segmenter drew."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from cardiolens.attention import ViewAttention
from cardiolens.conditions import Basis, ConditionFinding
from cardiolens.contours import SegmenterLike
from cardiolens.errors import CheckpointError, ReadError, StoreError
from cardiolens.findings import ClipFinding, Interval, Prediction
from cardiolens.models.card import Card
from cardiolens.segmentation import Segmentation
from cardiolens.study import Study, View


def pack_prediction(prediction: Prediction) -> bytes:
    """As an .npz file: the embeddings, and everything else as JSON."""
    named = {one.name: getattr(prediction, one.name) for one in fields(Prediction) if one.name != "embeddings"}
    plain = {**named, "interval": None, "provenance": dict(prediction.provenance)}
    if prediction.interval is not None:
        plain["interval"] = asdict(prediction.interval)
    for name in ("clips", "attention", "conditions"):
        plain[name] = [asdict(one) for one in named[name]]
    return _npz({"embeddings": prediction.embeddings, "facts": _text(plain)})


def unpack_prediction(content: bytes) -> Prediction:
    """`StoreError` where the file is none of `pack_prediction`."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            embeddings, plain = file["embeddings"], json.loads(file["facts"].tobytes())
        plain["interval"] = Interval(**plain["interval"]) if plain["interval"] else None
        plain["clips"] = tuple(ClipFinding(**{**one, "view": View(one["view"])}) for one in plain["clips"])
        plain["attention"] = _attention(plain["attention"])
        plain["conditions"] = tuple(map(_condition, plain["conditions"]))
        plain |= {name: tuple(plain[name]) for name in ("domain_reasons", "notes")}
        return Prediction(embeddings=embeddings, **plain)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"a kept prediction cannot be read ({error}); delete it, and it is made anew") from error


def _attention(rows: Sequence[Mapping[str, Any]]) -> tuple[ViewAttention, ...]:
    return tuple(ViewAttention(**{**row, "view": View(row["view"])}) for row in rows)


def _condition(plain: dict[str, Any]) -> ConditionFinding:
    basis = Basis(**plain["basis"]) if plain["basis"] else None
    return ConditionFinding(**{**plain, "basis": basis, "attention": _attention(plain["attention"])})


class Kept:
    """What a segmenter drew on one study, as a segmenter: gives the masks that were kept, and the reasons of those
    views that were not drawn."""

    def __init__(self, segmentations: Sequence[Segmentation], skipped: Mapping[str, str], card: Card | None) -> None:
        self.segmentations, self.skipped, self.card = tuple(segmentations), dict(skipped), card

    def __call__(
        self, study: Study, views: Sequence[View] | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Segmentation, ...]:
        wanted = study.views if views is None else views
        lost = [view for view in wanted if str(view) in self.skipped]
        if lost:
            raise ReadError(self.skipped[str(lost[0])])
        return tuple(one for one in self.segmentations if one.view in wanted)


def pack_contours(segmentations: Sequence[Segmentation], skipped: Mapping[str, str], segmenter: SegmenterLike) -> bytes:
    """As a compressed .npz file: labels and confidence of each view, the rest as JSON."""
    card: Card | None = getattr(segmenter, "card", None)
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {"skipped": dict(skipped), "card": None if card is None else card.model_dump(mode="json")}
    facts["views"] = {}
    for one in segmentations:
        view = str(one.view)
        arrays[f"labels_{view}"] = one.labels
        if one.confidence is not None:
            arrays[f"confidence_{view}"] = one.confidence
        facts["views"][view] = {"structures": one.structures, "source": one.source, "notes": one.notes}
    return _npz({**arrays, "facts": _text(facts)})


def unpack_contours(content: bytes, study: Study) -> Kept:
    """`StoreError` where the file is none of `pack_contours`, or of another study."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            found = [
                Segmentation(
                    study.cine(view),
                    file[f"labels_{view}"],
                    tuple(own["structures"]),
                    file.get(f"confidence_{view}"),
                    own["source"],
                    tuple(own["notes"]),
                )
                for view, own in facts["views"].items()
            ]
        card = None if facts["card"] is None else Card.model_validate(facts["card"])
        return Kept(found, facts["skipped"], card)
    except (OSError, ValueError, KeyError, TypeError, CheckpointError) as error:
        raise StoreError(f"kept contours cannot be read ({error}); delete them, and they are drawn anew") from error


def _text(plain: Mapping[str, Any]) -> Any:
    return np.frombuffer(json.dumps(plain).encode("utf-8"), dtype=np.uint8)


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()

"""Models by name: `list_models()`, `load_model("shad-mvit-tiny:phantom")`, `save_model(model, folder)`.

A checkpoint is a folder: `model.safetensors`, `card.json` and, where there is a text tower, `tokenizer/`.
Nothing heavy is imported until a model is loaded.
"""

from __future__ import annotations

import fnmatch
import logging
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cardiolens._version import __version__
from cardiolens.errors import CheckpointError
from cardiolens.models.card import UNKNOWN_LICENCE, Card, Licence
from cardiolens.models.locate import Located, local_tags, locate
from cardiolens.models.registry import MODELS, ModelEntry, entry_of

if TYPE_CHECKING:
    from cardiolens.models.build import Model

log = logging.getLogger(__name__)

__all__ = ["Card", "ModelInfo", "describe_models", "list_models", "load_model", "save_model"]


@dataclass(frozen=True)
class ModelInfo:
    """A line of the list of models: name, what it is, where its weights are, who may use them."""

    name: str
    words: str
    weights: str
    licence: str


def describe_models(pattern: str | None = None) -> list[ModelInfo]:
    """Every model and tag by name, with weights and licence; `pattern` as in "shad-*"."""
    rows: list[ModelInfo] = []
    for entry in MODELS.values():
        rows.append(ModelInfo(entry.name, entry.words, "untrained, or give weights=FILE", Licence().code))
        tags = local_tags(entry.name)
        for tag, path in tags.items():
            card = Card.read(path / "card.json") if (path / "card.json").is_file() else None
            known = entry.hub.get(tag)
            licence = card.licence.weights if card else known.licence if known else UNKNOWN_LICENCE
            words = card.source if card and card.source else known.words if known else "weights on this machine"
            rows.append(ModelInfo(f"{entry.name}:{tag}", words, str(path), licence))
        for tag, hub in entry.hub.items():
            if tag not in tags:
                where = f"to be brought from {hub.url}"
                rows.append(ModelInfo(f"{entry.name}:{tag}", hub.words, where, hub.licence))
    return [row for row in rows if pattern is None or fnmatch.fnmatch(row.name, pattern)]


def list_models(pattern: str | None = None) -> list[str]:
    """Names that `load_model` takes, with tags: "shad-mvit-b16", "shad-mvit-tiny:phantom"; `pattern` as in "shad-*"."""
    return [info.name for info in describe_models(pattern)]


def load_model(
    name: str | Path,
    weights: str | Path | None = None,
    *,
    legacy_keys: bool = False,
    kinetics: str | Path | None = None,
    text: Mapping[str, Any] | None = None,
    download: bool = False,
    slices: int | None = None,
) -> Any:
    """Build a model by name and load its weights, strictly; it comes in evaluation mode.

    >>> model = load_model("shad-mvit-tiny:phantom")                                  # doctest: +SKIP
    >>> model = load_model("shad-mvit-b16", weights="cmr_c0.1.ckpt")                  # doctest: +SKIP
    >>> head = load_model("shad-mil-regression", weights="lvef_head.ckpt")            # doctest: +SKIP
    >>> mae = load_model("cinema-base", weights="cinema.safetensors")                 # doctest: +SKIP

    Args:
        name: a name of `list_models()`, or the folder of a checkpoint.
        weights: a tag, a hub id, or a file or folder in any published layout (the authors' Lightning checkpoint,
            pytorchvideo's and torchvision's Kinetics files, CineMA's safetensors, ours); None leaves the model
            untrained, and says so.
        legacy_keys: lose the tensors that the authors' own loader lost, and take them from `kinetics` instead.
        kinetics: a Kinetics-400 file of the same network; for `legacy_keys` only.
        text: {"pretrained": FOLDER} for a BERT from a local Hugging Face folder (with `freeze_layers`, `pooling`,
            `max_tokens`), or {"tokenizer": a ReportTokenizer or its folder} for an untrained text tower.
        download: whether the Hugging Face hub may be asked for weights that are not on this machine.
        slices: of a SLIViT, where the weights were made for another count: their position table is interpolated, which
            is said.

    Returns:
        By name a `DualEncoder` ("shad-..."), a `GatedAttentionMIL` ("shad-mil-..."), a `ConvMAE` ("cinema-base" and the
        other sizes), a `ConvUNetR` ("cinema-unetr-..."), a `ConvViT` ("cinema-convvit-...") or a baseline (`UNet`,
        `ResNet`), a `SLIViT`, `SliceClassifier` or `VolumeNet` ("slivit", "slivit-trunk", its 3D baselines), a
        `Segmenter` ("segmenter"); each carries a `card`.

    Raises:
        CheckpointError: naming the file or the tensors at fault and what to do.
    """
    entry, wanted = _entry_and_weights(name, weights)
    if entry.family == "segmenter":
        from cardiolens.segmenter import load_segmenter

        return load_segmenter(wanted) if wanted is not None else load_segmenter()
    if wanted is None:
        if legacy_keys or kinetics:
            raise CheckpointError("legacy_keys and kinetics say how to read a checkpoint: give weights= as well")
        from cardiolens.models.build import untrained

        log.warning("%s is untrained: no weights were given", entry.name)
        return _with_slices(untrained(entry, text), slices).eval()
    found = locate(entry, wanted, download=download)
    from cardiolens.models.build import from_file, from_folder

    if found.path.is_dir():
        if legacy_keys or kinetics:
            raise CheckpointError(f"{found.path} is a checkpoint of our own: legacy_keys and kinetics have no meaning")
        model = from_folder(entry, found.path, text)
    else:
        kinetics_path = Path(kinetics).expanduser() if kinetics else None
        model = from_file(entry, found.path, legacy_keys=legacy_keys, kinetics=kinetics_path, text=text)
    _tell(model.card, found)
    return _with_slices(model, slices).eval()


def _with_slices(model: Any, slices: int | None) -> Any:
    if slices is None:
        return model
    if not hasattr(model, "set_slices"):
        raise CheckpointError(f"{model.card.name}: slices= is for SLIViT alone")
    before = model.config.slices
    model.set_slices(slices)
    if slices != before:
        log.warning("%s: %s", model.card.full_name, model.card.notes[-1])
    return model


def _entry_and_weights(name: str | Path, weights: str | Path | None) -> tuple[ModelEntry, str | Path | None]:
    """Split "name:tag"; a checkpoint folder stands for the model its card names."""
    text = str(name)
    if text not in MODELS and weights is None and (Path(text).expanduser() / "card.json").is_file():
        folder = Path(text).expanduser()
        return entry_of(Card.read(folder / "card.json").name), folder
    plain, _, tag = text.partition(":")
    if tag and weights is not None:
        raise CheckpointError(f"{text} names weights already; give either the tag or weights=, not both")
    return entry_of(plain), tag or weights


def _tell(card: Card | None, found: Located) -> None:
    """Fill what the place of the weights tells, and say the licence and every note."""
    if card is None:
        raise AssertionError("every loaded model carries a card")
    if not card.source:
        card.source = found.source
    card.tag = card.tag or found.tag
    if found.licence is not None:
        card.licence = card.licence.model_copy(update={"weights": found.licence})
    restricted = "NC" in card.licence.weights
    log.log(
        logging.WARNING if restricted else logging.INFO,
        "%s: licence of the weights: %s; of their data: %s",
        card.source,
        card.licence.weights,
        card.licence.data,
    )


def save_model(model: Model, folder: str | Path, *, dtype: Literal["float32", "float16"] = "float32") -> Path:
    """Write a checkpoint folder, whole or not at all, replacing an older checkpoint there.

    Args:
        dtype: "float16" halves the encoders; heads and the domain reference stay float32, since they measure.

    Returns:
        The folder.

    Raises:
        CheckpointError: the folder holds files that are no checkpoint's, or nothing can be written.
    """
    from safetensors import SafetensorError

    from cardiolens.models.build import write_folder

    folder = Path(folder)
    ours = {"model.safetensors", "card.json", "tokenizer"}
    if folder.exists() and (not folder.is_dir() or (others := {p.name for p in folder.iterdir()} - ours)):
        what = f"holds {', '.join(sorted(others)[:3])}" if folder.is_dir() else "is a file"
        raise CheckpointError(f"{folder} {what}: give a new folder, or that of an older checkpoint")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.new")
    old = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.old")
    try:
        fresh.mkdir()
        write_folder(model, fresh, dtype, _stamped(model.card))
        if folder.exists():
            folder.replace(old)
        fresh.replace(folder)
    except SafetensorError as error:
        raise CheckpointError(f"{folder}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    return folder


def _stamped(card: Card | None) -> Card:
    if card is None:
        raise CheckpointError("the model carries no card; set model.card before saving it")
    card = card.model_copy(deep=True)
    card.provenance = {"version": __version__, "created": datetime.now(timezone.utc).isoformat(timespec="seconds")} | (
        card.provenance
    )
    return card

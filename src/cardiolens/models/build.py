"""From a name and a file to a model, and from a model to a checkpoint folder; `cardiolens.hub` is the door."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cardiolens.errors import CheckpointError
from cardiolens.files import sha256_of
from cardiolens.models import build_cinema, build_slices
from cardiolens.models.build_cinema import CinemaModel
from cardiolens.models.build_slices import SliceModel
from cardiolens.models.card import Card, Licence
from cardiolens.models.checkpoint import read_tensors, select, shapes_of
from cardiolens.models.domain import DomainReference
from cardiolens.models.dual_encoder import DualEncoder, VideoConfig
from cardiolens.models.layouts import (
    AUTHORS,
    AUTHORS_HEAD,
    OWN,
    OWN_TEXT,
    PYTORCHVIDEO,
    TORCHVISION,
    VIDEO_LAYOUTS,
    Layout,
    clean_name,
    detect,
    legacy_name,
)
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.models.mvit import MViTConfig
from cardiolens.models.registry import ModelEntry
from cardiolens.models.resnet3d import ResNet3dConfig
from cardiolens.models.text import TextConfig, TextEncoder
from cardiolens.text.tokenizer import ReportTokenizer

log = logging.getLogger(__name__)

Model = DualEncoder | GatedAttentionMIL | CinemaModel | SliceModel
Config = TypeVar("Config", MViTConfig, ResNet3dConfig, MILConfig, TextConfig)

_UNFILLED = torch.device("meta")  # shapes without numbers: drawing 36 million random ones takes longer than loading
_HALVED = (  # what float16 halves: all but the heads and the domain reference
    *("video_encoder.", "video_proj.", "text_encoder.", "text_proj.", "classifier."),
    *("encoder.", "to_decoder.", "mask_tokens.", "decoder.", "decoder_norm.", "decoders.", "networks."),
    *("feature_extractor.", "to_patch_embedding.", "transformer."),
)
_SHAD = ("dual", "mil")


def _builder(entry: ModelEntry) -> ModuleType:
    """What builds the models of a family that is not Shad et al.'s."""
    return build_slices if entry.family in build_slices.FAMILIES else build_cinema


def untrained(entry: ModelEntry, text: Mapping[str, Any] | None) -> Model:
    """A model with random weights, its card saying so."""
    if entry.family not in _SHAD:
        _refuse_text(entry, text)
        found: Model = _builder(entry).untrained(entry)
        return found
    card = _card(entry, notes=["untrained: random weights; its output means nothing"])
    if entry.family == "mil":
        return _head(MILConfig(**entry.architecture), card)
    video = _video_config(entry.architecture["video"], entry.name)
    model = DualEncoder(video, embed_dim=entry.architecture["embed_dim"], card=card)
    return _finish(model, entry, text)


def from_file(
    entry: ModelEntry, file: Path, *, legacy_keys: bool, kinetics: Path | None, text: Mapping[str, Any] | None
) -> Model:
    """Load a published file, its layout told by its names."""
    if entry.family not in _SHAD:
        if legacy_keys or kinetics is not None:
            raise CheckpointError(f"legacy_keys and kinetics concern the models of Shad et al., not {entry.name}")
        _refuse_text(entry, text)
        found: Model = _builder(entry).from_file(entry, file)
        return found
    if legacy_keys and kinetics is None:
        raise CheckpointError(
            "legacy_keys loses tensors that the authors' loader left at their Kinetics-400 values: give kinetics=FILE "
            "(pytorchvideo's MVIT_B_16x4 or torchvision's mvit_v1_b), or load without legacy_keys"
        )
    if kinetics is not None and not legacy_keys:
        raise CheckpointError(
            "kinetics= is read only with legacy_keys=True; to load a Kinetics file give it as weights="
        )
    raw, names = _cleaned(file)
    tensors = {clean: raw[name] for clean, name in names.items()}
    if entry.family == "mil":
        if legacy_keys:
            raise CheckpointError("legacy_keys concerns the video encoder; load the head without it")
        return _head_from_file(entry, file, tensors)
    layout = _video_layout(entry, file, tensors)
    if legacy_keys and layout is not AUTHORS:
        raise CheckpointError(f"legacy_keys concerns {AUTHORS.title}; {file} has {layout.title}")
    video = _video_config(entry.architecture["video"] | layout.overrides, entry.name)
    with _UNFILLED:
        model = DualEncoder(video, embed_dim=entry.architecture["embed_dim"], card=_card(entry, layout, file))
        _make_room(model, layout, tensors)
    wanted = shapes_of(model)
    state = select(wanted, tensors, layout, file=file, model=entry.name)
    if kinetics is not None:
        lost = [n for n, s in wanted.items() if (slot := layout.slot(n, s)) and _is_lost(names[slot.name])]
        state |= _from_kinetics(lost, model, kinetics)
        model.card.notes.append(
            f"legacy_keys: {', '.join(lost)} are those of {kinetics.name}, as with the authors' own loader"
        )
    _fill(model, state)
    _say_set_aside(model, layout, tensors, state)
    return _finish(model, entry, text)


def _refuse_text(entry: ModelEntry, text: Mapping[str, Any] | None) -> None:
    if text is not None:
        raise CheckpointError(f"{entry.name} has no text tower; leave text= out")


def _cleaned(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by the file's names, and cleaned name -> the file's name."""
    raw = read_tensors(file)
    names = {clean_name(name): name for name in raw}
    if len(names) != len(raw):
        raise CheckpointError(f"{file} holds tensors both with and without 'model.' in front; keep one of each")
    return raw, names


def _video_layout(entry: ModelEntry, file: Path, tensors: Mapping[str, Tensor]) -> Layout:
    layout = detect(tensors, VIDEO_LAYOUTS)
    network = entry.architecture["video"].get("kind", "mvit")
    if layout is not None and layout.network != network:
        raise CheckpointError(
            f"{file} has {layout.title}, {entry.name} is another kind of network; load it under a name of "
            f"list_models('shad-{layout.network}-*')"
        )
    if layout is not None:
        return layout
    if detect(tensors, (AUTHORS_HEAD,)):
        raise CheckpointError(
            f"{file} is a head, not a video encoder: load it as shad-mil-regression or -classification"
        )
    if detect(tensors, (OWN,)):
        raise CheckpointError(f"{file} is our own model.safetensors without its card.json: bring the whole folder")
    raise CheckpointError(
        f"{file} has no layout known for {entry.name}; its tensors are called {', '.join(list(tensors)[:4])}, ... "
        f"Known are {'; '.join(layout.title for layout in VIDEO_LAYOUTS)}; and our own checkpoint folders"
    )


def _make_room(model: DualEncoder, layout: Layout, tensors: Mapping[str, Tensor]) -> None:
    """Add the parts that only some files carry: a Kinetics classifier, a head."""
    slot = layout.slot("classifier.bias", ())
    if slot is not None:
        stem = slot.name.removesuffix("bias")
        found = next((tensors[stem + kind] for kind in ("weight", "bias") if stem + kind in tensors), None)
        if found is not None:
            model.classifier = nn.Linear(model.video_encoder.config.out_width, len(found))
    if layout is AUTHORS and detect(tensors, (AUTHORS_HEAD,)):
        config = _head_config(tensors, {"embed_dim": model.embed_dim})
        model.heads["mil"] = GatedAttentionMIL(config)
        model.card.notes.append(
            f"the file's head was loaded as heads['mil'], taken for {config.kind} since it has "
            f"{'a' if config.layer_norm else 'no'} LayerNorm; the file does not say which task it is for"
        )


def _head_config(tensors: Mapping[str, Tensor], known: Mapping[str, Any]) -> MILConfig:
    kind: Literal["regression", "classification"] = "regression"
    if any(name.startswith("attention_net.6.layernorm.") for name in tensors):
        kind = "classification"
    last = tensors.get("classifier_head.fc.0.bias")
    return MILConfig(**({"kind": kind, "outputs": 1 if last is None else last.numel()} | dict(known)))


def _is_lost(name: str) -> bool:
    return legacy_name(name) != clean_name(name)


def _from_kinetics(lost: list[str], model: DualEncoder, file: Path) -> dict[str, Tensor]:
    raw, names = _cleaned(file)
    tensors = {clean: raw[name] for clean, name in names.items()}
    layout = detect(tensors, (PYTORCHVIDEO, TORCHVISION))
    if layout is None:
        raise CheckpointError(f"{file} is no Kinetics file: give pytorchvideo's MVIT_B_16x4 or torchvision's mvit_v1_b")
    wanted = {name: shape for name, shape in shapes_of(model).items() if name.startswith("video_encoder.")}
    head = [name for name in tensors if name.startswith("head.")]
    state = select(wanted, tensors, layout, file=file, model=model.card.name, known=head)
    beyond = [name for name in lost if name not in state]
    if beyond:
        raise CheckpointError(f"legacy_keys would also lose {', '.join(beyond[:5])}, which no Kinetics file has")
    return {name: state[name] for name in lost}


def _fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load what `select` took, as copies; parts that the layout never carries start at random."""
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    copies = {name: tensor.to(dtypes[name], copy=True) for name, tensor in state.items()}
    left = model.load_state_dict(copies, strict=False, assign=True)
    if left.unexpected_keys:
        raise AssertionError(f"select gave names the model has not: {left.unexpected_keys[:3]}")
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight.is_meta:
            module.to_empty(device="cpu", recurse=False)
            module.reset_parameters()


def _say_set_aside(
    model: DualEncoder, layout: Layout, tensors: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    if "video_proj.weight" not in state:
        model.card.notes.append(
            "the projection to the embedding is untrained: this layout has none; `features` are trained, `embed` is not"
        )
    aside = [name for name in tensors if layout.set_aside.match(name)]
    if "mil" in model.heads:
        aside = [name for name in aside if not name.startswith(("attention_net.", "classifier_head."))]
    if aside:
        rest = f" and {len(aside) - 5} more" if len(aside) > 5 else ""
        model.card.notes.append(f"not loaded, set aside: {', '.join(aside[:5])}{rest}")
    for note in model.card.notes:
        log.warning("%s: %s", model.card.name, note)


def _head_from_file(entry: ModelEntry, file: Path, tensors: Mapping[str, Tensor]) -> GatedAttentionMIL:
    if not detect(tensors, (AUTHORS_HEAD,)):
        raise CheckpointError(
            f"{file} holds no head in {AUTHORS_HEAD.title}; its tensors are called {', '.join(list(tensors)[:4])}, ..."
        )
    card = _card(entry, AUTHORS_HEAD, file)
    head = _head(_head_config(tensors, entry.architecture), card)
    _fill(head, select(shapes_of(head), tensors, AUTHORS_HEAD, file=file, model=entry.name))
    aside = [name for name in tensors if AUTHORS_HEAD.set_aside.match(name)]
    if aside:
        card.notes.append(f"not loaded, set aside: {len(aside)} tensors of the encoders, such as {aside[0]}")
    return head


def _head(config: MILConfig, card: Card) -> GatedAttentionMIL:
    head = GatedAttentionMIL(config)
    head.card = card
    card.architecture = {"family": "mil"} | config.to_dict()
    return head


def _card(
    entry: ModelEntry, layout: Layout | None = None, file: Path | None = None, notes: list[str] | None = None
) -> Card:
    card = Card(name=entry.name, transform=dict(entry.transform), notes=notes or [])
    if layout is None or file is None:
        card.licence = Licence(weights="none: untrained", data="none: untrained")
        return card
    card.licence = Licence(weights=layout.weights_licence, data=layout.data_licence)
    card.provenance = {"file": file.name, "file_sha256": sha256_of(file), "layout": layout.title}
    return card


def _finish(model: DualEncoder, entry: ModelEntry, text: Mapping[str, Any] | None) -> DualEncoder:
    if text is not None:
        model.attach_text(_text_tower(text, entry.architecture["text"]))
        model.card.notes.append("the projection of the text tower is untrained")
    model.card.architecture = model.architecture()
    return model


def _text_tower(text: Mapping[str, Any], defaults: Mapping[str, Any]) -> TextEncoder:
    """A tower from {"pretrained": FOLDER, ...} or {"tokenizer": ..., ...}; other keys override the defaults."""
    options = {key: value for key, value in text.items() if key not in ("pretrained", "tokenizer")}
    if ("pretrained" in text) == ("tokenizer" in text):
        raise CheckpointError('text= takes either {"pretrained": FOLDER} or {"tokenizer": TOKENIZER or its FOLDER}')
    if "pretrained" in text:
        allowed = ("freeze_layers", "pooling", "max_tokens")
        unknown = [key for key in options if key not in allowed]
        if unknown:
            raise CheckpointError(
                f"text= with a pretrained folder takes {', '.join(allowed)}, not {', '.join(unknown)}"
            )
        kept = {key: value for key, value in defaults.items() if key in allowed}
        return TextEncoder.from_pretrained(text["pretrained"], **(kept | options))
    held = text["tokenizer"]
    tokenizer = held if isinstance(held, ReportTokenizer) else ReportTokenizer.load(Path(held))
    scratch = {**defaults, "freeze_layers": 0, **options, "vocabulary": len(tokenizer)}
    return TextEncoder(_config(TextConfig, scratch, "text="), tokenizer)


def _video_config(design: Mapping[str, Any], where: str) -> VideoConfig:
    """The settings of a video encoder; an MViT's have no `kind`, as in the cards of the first version."""
    if design.get("kind") == "resnet3d":
        return _config(ResNet3dConfig, design, where)
    return _config(MViTConfig, design, where)


def _config(kind: type[Config], values: Mapping[str, Any], where: str) -> Config:
    try:
        return kind(**values)
    except TypeError as error:
        raise CheckpointError(f"{where}: not an architecture of this version ({error})") from error


def from_folder(entry: ModelEntry, folder: Path, text: Mapping[str, Any] | None) -> Model:
    """Load a checkpoint of our own; its hash must be the card's."""
    card = Card.read(folder / "card.json")
    if card.name != entry.name:
        raise CheckpointError(f"{folder} holds {card.name}, not {entry.name}; load it by that name")
    file = folder / "model.safetensors"
    tensors = read_tensors(file)
    if card.sha256 != sha256_of(file):
        raise CheckpointError(f"{file} is not the file its card.json describes (sha256 differs); copy the folder again")
    design = dict(card.architecture)
    if entry.family not in _SHAD:
        _refuse_text(entry, text)
        found: Model = _builder(entry).load_own(card, file, tensors)
        return found
    if design.pop("family", None) == "mil":
        head = _head(_config(MILConfig, design, f"{folder}/card.json"), card)
        _fill(head, select(shapes_of(head), tensors, OWN, file=file, model=card.name))
        return head
    model = _own_dual(card, folder)
    if text is not None:
        if design.get("text"):
            raise CheckpointError(f"{folder} has a text tower of its own; leave text= out")
        model.attach_text(_text_tower(text, entry.architecture["text"]))
    wanted = {name: shape for name, shape in shapes_of(model).items() if not name.startswith("text_")}
    _fill(model, select(wanted, tensors, OWN, file=file, model=card.name))
    if design.get("text"):
        model.defer_text(partial(load_text, folder, dict(design["text"]), model.embed_dim))
    return model


def _own_dual(card: Card, folder: Path) -> DualEncoder:
    design, where = card.architecture, f"{folder}/card.json"
    if not {"video", "embed_dim"} <= design.keys():
        raise CheckpointError(f"{where}: architecture lacks 'video' or 'embed_dim'")
    video = _video_config(design["video"], where)
    configs = {task: _config(MILConfig, values, where) for task, values in design.get("heads", {}).items()}
    with _UNFILLED:
        heads = {task: GatedAttentionMIL(config) for task, config in configs.items()}
        model = DualEncoder(video, embed_dim=int(design["embed_dim"]), card=card, heads=heads)
        if card.domain is not None:
            model.domain = DomainReference(int(card.domain["dim"]))
        if design.get("classifier"):
            model.classifier = nn.Linear(video.out_width, int(design["classifier"]))
    return model


def load_text(folder: Path, design: Mapping[str, Any], embed_dim: int) -> tuple[TextEncoder, nn.Linear]:
    """The text tower of a checkpoint folder and its projection; imports transformers."""
    config = _config(TextConfig, design, f"{folder}/card.json")
    text = TextEncoder(config, ReportTokenizer.load(folder / "tokenizer"))
    projection = nn.Linear(config.width, embed_dim)
    both = nn.ModuleDict({"text_encoder": text, "text_proj": projection})
    file = folder / "model.safetensors"
    _fill(
        both,
        select(shapes_of(both), read_tensors(file), OWN_TEXT, file=file, model=Card.read(folder / "card.json").name),
    )
    return text, projection


def write_folder(model: Model, folder: Path, dtype: Literal["float32", "float16"], card: Card) -> None:
    """Write weights, tokenizer and card into an empty folder; the card gets architecture, dtype and hash."""
    if isinstance(model, DualEncoder):
        if model.has_text:
            model.text_tower().tokenizer.save(folder / "tokenizer")
        card.architecture = model.architecture()
        card.domain = None if model.domain is None else {**(card.domain or {}), "dim": model.domain.dim}
    elif isinstance(model, GatedAttentionMIL):
        card.architecture = {"family": "mil"} | model.config.to_dict()
    else:
        card.architecture = model.architecture()
    card.dtype = dtype
    state = {name: _stored(name, tensor, dtype) for name, tensor in model.state_dict().items()}
    file = folder / "model.safetensors"
    save_file(state, file, metadata={"format": "pt", "model": card.name})
    card.sha256 = sha256_of(file)
    (folder / "card.json").write_text(card.to_json(), encoding="utf-8")


def _stored(name: str, tensor: Tensor, dtype: str) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if dtype == "float16" and tensor.is_floating_point() and name.startswith(_HALVED):
        tensor = tensor.half()
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} does not fit into float16; save as float32")
    return tensor

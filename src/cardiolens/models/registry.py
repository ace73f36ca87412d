"""The models known by name: architecture here, weights apart from it.  Imports no torch, so listing is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cardiolens.errors import CheckpointError
from cardiolens.models.cinema_sizes import CINEMA_SIZES, grid_transform, spacing_of

Family = Literal[
    "dual",
    "mil",
    "convmae",
    "convvit",
    "unetr",
    "unet",
    "resnet",
    "segmenter",
    "slivit",
    "trunk",
    "volume",
    "videomae",
    "vivit",
]

NON_COMMERCIAL = "CC-BY-NC 4.0 (no commercial use)"


@dataclass(frozen=True)
class HubWeights:
    """Published weights: hub id, licence, what they are, and the file where the hub id holds several."""

    hub_id: str
    licence: str
    words: str
    file: str | None = None

    @property
    def url(self) -> str:
        """Where a person finds them."""
        return f"https://huggingface.co/{self.hub_id}" + (f"/blob/main/{self.file}" if self.file else "")


@dataclass(frozen=True)
class ModelEntry:
    """One architecture by name.

    Attributes:
        family: "dual" for a video (and text) encoder, "mil" for a head over the clips of a study; of CineMA "convmae"
            for the autoencoder, "convvit" for one with heads, "unetr" for a segmenter, and its baselines "unet" and
            "resnet"; "segmenter" for the bundled one, whose networks its card describes; "slivit", its 2D "trunk", and
            "volume" for its 3D baselines; of EchoAI "videomae" for the autoencoder, "vivit" for one with a head.
        architecture, transform: as in the card.
        hub: published weights by tag.
    """

    name: str
    family: Family
    words: str
    architecture: Mapping[str, Any]
    transform: Mapping[str, Any] = field(default_factory=dict)
    hub: Mapping[str, HubWeights] = field(default_factory=dict)


_B16: dict[str, Any] = {"frames": 16, "crop": 224, "channels": 3}
_PAPER_TEXT: dict[str, Any] = {"freeze_layers": 6, "pooling": "cls", "max_tokens": 256}
_TINY: dict[str, Any] = {
    "frames": 16,
    "crop": 64,
    "channels": 1,
    "motion": True,
    "stem": [16, 32],
    "patch_kernel": [1, 3, 3],
    "patch_stride": [1, 2, 2],
    "width": 64,
    "head_width": 64,
    "stage_starts": [1],
    "kv_stride": [2, 1, 1, 1],
    "output": "mean",
}
_TINY_RESNET: dict[str, Any] = {
    "kind": "resnet3d",
    "crop": 64,
    "channels": 1,
    "depths": [1, 1, 1, 1],
    "width": 16,
    "stem_stride": [2, 2, 2],
    "norm": "group",
    "motion": True,
}
_TINY_TEXT: dict[str, Any] = {
    "width": 128,
    "layers": 2,
    "heads": 2,
    "hidden": 512,
    "vocabulary": 4000,
    "positions": 256,
    "max_tokens": 192,
    "pooling": "mean",
}


_MATH = "mathpluscode/CineMA"


def _fine_tuned(folder: str, name: str, words: str) -> HubWeights:
    return HubWeights(_MATH, "MIT", f"the authors', {words}", f"finetuned/{folder}/{name}/{name}_0.safetensors")


_PUBLISHED: dict[str, dict[str, HubWeights]] = {
    "cinema-base": {
        "pretrained": HubWeights(
            _MATH, "MIT", "the authors' pretraining on 74,916 studies of UK Biobank", "pretrained/cinema.safetensors"
        )
    },
    "cinema-unetr-base": {
        "acdc-sax": _fine_tuned("segmentation", "acdc_sax", "SAX, fine-tuned on ACDC"),
        "mnms-sax": _fine_tuned("segmentation", "mnms_sax", "SAX, fine-tuned on M&Ms"),
        "mnms2-sax": _fine_tuned("segmentation", "mnms2_sax", "SAX, fine-tuned on M&Ms-2"),
        "mnms2-4ch": _fine_tuned("segmentation", "mnms2_lax_4c", "4CH, fine-tuned on M&Ms-2"),
    },
    "cinema-convvit-base": {
        "landmarks-2ch": _fine_tuned("landmark_coordinate", "lax_2c", "landmarks in 2CH"),
        "landmarks-4ch": _fine_tuned("landmark_coordinate", "lax_4c", "landmarks in 4CH"),
    },
}


def _cinema() -> list[ModelEntry]:
    """CineMA by size: the autoencoder, a segmenter of SAX, a classifier of SAX at ED and ES; and the baselines."""
    found = []
    for size, parts in CINEMA_SIZES.items():
        encoder = parts["encoder"]
        sax = encoder | {"views": {"SAX": encoder["views"]["SAX"]}}
        words = {"tiny": "for a laptop: CineMA at half the resolution"}.get(size, f"CineMA (Fu et al.), {size} size")
        first, second = encoder["stem_channels"]
        channels = [first // 2, first, second, 2 * second, 4 * second]
        designs: dict[Family, tuple[str, str, dict[str, Any]]] = {
            "convmae": (f"cinema-{size}", "masked autoencoder of four views", {"encoder": encoder} | parts["decoder"]),
            "unetr": (
                f"cinema-unetr-{size}",
                "ConvUNetR segmenter; untrained: of SAX, four classes",
                {"encoder": sax, "classes": 4, "channels": channels},
            ),
            "convvit": (
                f"cinema-convvit-{size}",
                "ConvViT heads for a diagnosis, a value or landmarks; untrained: of SAX at ED and ES, two classes",
                {"encoder": sax | {"in_channels": 2}, "outputs": 2},
            ),
        }
        for family, (name, what, architecture) in designs.items():
            views = (encoder if family == "convmae" else sax)["views"]
            transform = grid_transform(spacing_of(size), views)
            hub = _PUBLISHED.get(name, {})
            found.append(ModelEntry(name, family, f"{words}: {what}", architecture, transform, hub))
    return found + _baselines()


_STRETCH = [2.0, 98.0]  # percentiles of a volume that become 0 and 1; the paper says contrast stretching, numbers ours
_TRUNKS: dict[str, dict[str, Any]] = {
    "": {},
    "-tiny": {
        "depths": [1, 1, 2, 1],
        "widths": [24, 48, 96, 192],
        "channels": 1,
        "layer_scale": 0.1,
        "wide_start": True,
    },
}


def _slivit() -> list[ModelEntry]:
    """SLIViT by size, its trunk, and the 3D baselines of its paper."""
    found = []
    for suffix, trunk in _TRUNKS.items():
        size, words = (256, "full size") if not suffix else (96, "for a laptop")
        small = bool(suffix)
        vit = {"width": 96, "mlp": 192, "heads": 4, "head_width": 24, "layers": 2} if small else {}
        image = {"size": size, "stretch": _STRETCH}
        slices = 12 if small else 32
        transform = {"slices": slices, **image}
        clip = {"frames": slices, "crop": size, "channels": 1}
        narrow = {"width": 16, "depths": [1, 1, 1, 1], "norm": "group", "stem_stride": [1, 2, 2]} if small else {}
        patches = {"width": 96, "heads": 4, "layers": 2, "layers_depth": 2} if small else {}
        net = "SLIViT (Avram et al.): 2D ConvNeXt features of each slice, a vision transformer over the slices"
        encoders: dict[str, tuple[str, dict[str, Any]]] = {
            "r3d": ("3D ResNet-18", {"kind": "resnet3d", **clip, **narrow}),
            "r2plus1d": ("R(2+1)D-18", {"kind": "resnet3d", **clip, **narrow, "block": "factorised"}),
            "vit3d": ("factorised 3D ViT", {"kind": "vit3d", **clip, **patches}),
        }
        design = {"trunk": trunk, "slices": slices, "size": size, **vit}
        found += [
            ModelEntry(f"slivit{suffix}", "slivit", f"{net}; {words}", design, transform),
            ModelEntry(
                f"slivit-trunk{suffix}",
                "trunk",
                f"the ConvNeXt trunk of SLIViT, for pretraining on 2D images; {words}",
                {"trunk": trunk, "size": size},
                image,
            ),
        ]
        found += [
            ModelEntry(f"slivit-{name}{suffix}", "volume", f"{what}, a 3D baseline of SLIViT; {words}", one, transform)
            for name, (what, encoder) in encoders.items()
            for one in [{"encoder": encoder}]
        ]
    return found


_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # what VideoMAE's inputs are brought to
_ECHOAI: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {  # encoder, decoder, transform
    "base": (
        _IMAGENET,
        {},
        {"frames": 16, "stride": 4, "short_side": 224, "crop": 224, "channels": 3},
    ),
    "tiny": (
        {
            **{"frames": 16, "crop": 64, "channels": 1, "tubelet": [4, 8, 8]},
            **{"width": 96, "layers": 4, "heads": 4, "positions": "axes", "mean": [0.25], "std": [0.25]},
        },
        {"decoder_width": 64, "decoder_layers": 2, "decoder_heads": 4},
        {"frames": 16, "stride": 3, "short_side": 64, "crop": 64, "channels": 1},
    ),
}
_KINETICS = "learned from Kinetics-400 by VideoMAE's authors"


def _echoai() -> list[ModelEntry]:
    """EchoAI by size: the autoencoder, and the encoder with a head.  Its paper gives no size: base is VideoMAE-Base."""
    found = []
    for size, (encoder, decoder, transform) in _ECHOAI.items():
        words = "for a laptop: EchoAI" if size == "tiny" else "EchoAI in the size of VideoMAE-Base"
        published = {} if size == "tiny" else {"kinetics": _video_mae("videomae-base", _KINETICS)}
        labelled = "videomae-base-finetuned-kinetics"
        tuned = {} if size == "tiny" else {"kinetics": _video_mae(labelled, f"{_KINETICS}, and its 400 classes")}
        found += [
            ModelEntry(
                f"echoai-{size}",
                "videomae",
                f"{words}: masked autoencoder of video",
                {"encoder": encoder} | decoder,
                transform,
                published,
            ),
            ModelEntry(
                f"echoai-ef-{size}",
                "vivit",
                f"{words}: video transformer with a head for EF or any other label",
                {"encoder": encoder, "answers": {"names": ["ef"], "kinds": ["value"]}},
                transform,
                tuned,
            ),
        ]
    return found


def _video_mae(name: str, words: str) -> HubWeights:
    return HubWeights(f"MCG-NJU/{name}", NON_COMMERCIAL, words, "pytorch_model.bin")


def _baselines() -> list[ModelEntry]:
    found = []
    for size, suffix in (("base", ""), ("tiny", "-tiny")):
        views = {"SAX": CINEMA_SIZES[size]["encoder"]["views"]["SAX"]}
        transform = grid_transform(spacing_of(size), views)
        small: dict[str, Any] = {} if size == "base" else {"channels": [8, 16, 32, 64]}
        what = "UNet with residual units from MONAI, CineMA's baseline for masks"
        found.append(ModelEntry(f"cinema-unet{suffix}", "unet", what, {"views": views} | small, transform))
        small = {} if size == "base" else {"block": "basic", "layers": [1, 1, 1, 1], "widths": [8, 16, 32, 64]}
        what = "ResNet from MONAI, CineMA's baseline for a diagnosis or a value"
        name = "cinema-resnet50" if size == "base" else "cinema-resnet-tiny"
        found.append(ModelEntry(name, "resnet", what, {"views": views} | small, transform))
    return found


MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry("segmenter", "segmenter", "chambers on cines of any view, without geometry: two small U-Nets", {}),
        ModelEntry(
            "shad-mvit-b16",
            "dual",
            "Shad et al.: MViT-B 16x4 on cine clips, 512-d embedding, BERT text tower",
            {"video": _B16, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 16, "short_side": 264, "crop": 224, "channels": 1},
            {"cmr_c0.1": HubWeights("rohanshad/cmr_c0.1", NON_COMMERCIAL, "the authors' contrastive pretraining")},
        ),
        ModelEntry(
            "shad-mvit-b32",
            "dual",
            "Shad et al., the 32-frame variant: MViT-B 32x3",
            {"video": _B16 | {"frames": 32}, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 32, "short_side": 264, "crop": 224, "channels": 1},
        ),
        ModelEntry(
            "shad-mvit-tiny",
            "dual",
            "for a laptop: grey 16 x 64 x 64 clips, convolutional stem, four MViT blocks, two-layer text tower",
            {"video": _TINY, "embed_dim": 512, "text": _TINY_TEXT},
            {"frames": 16, "short_side": 128, "crop": 64, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-18",
            "dual",
            "the other encoder that Shad et al. tried: 3D ResNet-18 (torchvision's r3d_18), BERT text tower",
            {"video": {"kind": "resnet3d"}, "embed_dim": 512, "text": _PAPER_TEXT},
            {"frames": 16, "short_side": 132, "crop": 112, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-50",
            "dual",
            "3D ResNet-50: the same with bottleneck blocks; no published weights",
            {
                "video": {"kind": "resnet3d", "block": "bottleneck", "depths": [3, 4, 6, 3]},
                "embed_dim": 512,
                "text": _PAPER_TEXT,
            },
            {"frames": 16, "short_side": 132, "crop": 112, "channels": 1},
        ),
        ModelEntry(
            "shad-resnet3d-tiny",
            "dual",
            "for a laptop: grey 16 x 64 x 64 clips, 3D ResNet with four blocks, two-layer text tower",
            {"video": _TINY_RESNET, "embed_dim": 512, "text": _TINY_TEXT},
            {"frames": 16, "short_side": 128, "crop": 64, "channels": 1},
        ),
        ModelEntry(
            "shad-mil-regression",
            "mil",
            "Shad et al.: gated-attention head over a study's clips, for LVEF",
            {"kind": "regression"},
        ),
        ModelEntry(
            "shad-mil-classification",
            "mil",
            "Shad et al.: gated-attention head over a study's clips, for a diagnosis",
            {"kind": "classification"},
        ),
        *_cinema(),
        *_slivit(),
        *_echoai(),
    )
}


def entry_of(name: str) -> ModelEntry:
    """The entry of a plain name (without tag); `CheckpointError` lists the names there are."""
    if name not in MODELS:
        raise CheckpointError(f"no model is called {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]

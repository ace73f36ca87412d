"""Video and report encoders with a common 512-d space (Shad et al.), and the heads that measure from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens.errors import CheckpointError, InputError
from cardiolens.models.card import Card
from cardiolens.models.domain import DomainReference
from cardiolens.models.mil import GatedAttentionMIL, MILOutput
from cardiolens.models.mvit import MViT, MViTConfig
from cardiolens.models.resnet3d import ResNet3d, ResNet3dConfig
from cardiolens.models.text import TextEncoder

log = logging.getLogger(__name__)

VideoConfig = MViTConfig | ResNet3dConfig

_RAW_INTENSITY = 16.0  # no scaled or standardised clip goes beyond this, every DICOM grey scale does


class DualEncoder(nn.Module):
    """A clip or a report in, a unit vector out.

    >>> model = cardiolens.load_model("shad-mvit-tiny:phantom")                 # doctest: +SKIP
    >>> model.embed(torch.rand(4, 1, 16, 64, 64)).shape                         # doctest: +SKIP
    torch.Size([4, 512])

    Attributes:
        video_encoder, video_proj: clip -> features -> embedding.
        text_encoder, text_proj: report -> features -> embedding; None until needed, see `text_tower`.
        heads: by task, such as "lvef", a `GatedAttentionMIL` over the clips of a study; ask them by `measure`.
        domain: reference for telling whether a study is of the kind the model learned from; None when there is none.
        classifier: the Kinetics classifier that a Kinetics file brings; None otherwise.
        card: what the model is.
    """

    def __init__(
        self,
        video: VideoConfig,
        *,
        card: Card,
        embed_dim: int = 512,
        text: TextEncoder | None = None,
        heads: Mapping[str, GatedAttentionMIL] | None = None,
    ) -> None:
        super().__init__()
        self.card = card
        self.embed_dim = embed_dim
        self.video_encoder: MViT | ResNet3d = MViT(video) if isinstance(video, MViTConfig) else ResNet3d(video)
        self.video_proj = nn.Linear(video.out_width, embed_dim)
        self.text_encoder: TextEncoder | None = None
        self.text_proj: nn.Linear | None = None
        self.heads = nn.ModuleDict(dict(heads or {}))
        self.domain: DomainReference | None = None
        self.classifier: nn.Linear | None = None
        self._text_loader: Callable[[], tuple[TextEncoder, nn.Linear]] | None = None
        if text is not None:
            self.attach_text(text)

    def features(self, clips: Tensor) -> Tensor:
        """(batch, 1 or 3, time, row, col) in [0, 1] -> (batch, width) before the projection; 768 for MViT-B."""
        return self.video_encoder(self._checked(clips))  # type: ignore[no-any-return]

    def embed(self, clips: Tensor) -> Tensor:
        """(batch, 1 or 3, time, row, col) in [0, 1] -> (batch, 512) of unit length.

        Raises:
            InputError: another shape, whole numbers, NaN, or grey levels that were never scaled to [0, 1].
        """
        return self.project(self.features(clips))

    def project(self, features: Tensor) -> Tensor:
        """Features (..., 768) -> embeddings (..., 512) of unit length."""
        return F.normalize(self.video_proj(features), dim=-1)

    def measure(self, task: str, features: Tensor, mask: Tensor | None = None) -> MILOutput:
        """What a head says of studies.

        Args:
            task: name of the head.
            features: (study, clip, width), as `features` gives them: a head may have a projection of its own.
            mask: (study, clip) bool, True for a real clip; None when there is no padding.

        Raises:
            CheckpointError: no such head.
        """
        if task not in self.heads:
            have = ", ".join(self.heads) or "none"
            raise CheckpointError(f"{self.card.full_name} has no head '{task}' (heads: {have})")
        head = cast(GatedAttentionMIL, self.heads[task])
        found: MILOutput = head(features if head.projection is not None else self.project(features), mask)
        return found

    def forward(self, clips: Tensor) -> Tensor:
        """The same as `embed`."""
        return self.embed(clips)

    def attention_maps(self, clips: Tensor) -> list[Tensor]:
        """Attention of every block, (batch, heads, 1 + queries, 1 + keys) each; see `MViT.attention_maps`.

        Raises:
            InputError: the encoder is a convolutional network, which has none.
        """
        if not isinstance(self.video_encoder, MViT):
            raise InputError(
                f"{self.card.name} is a convolutional network and has no attention; take a shad-mvit model"
            )
        return self.video_encoder.attention_maps(self._checked(clips))

    @property
    def has_text(self) -> bool:
        """Whether there is a text tower, loaded or waiting to be."""
        return self.text_encoder is not None or self._text_loader is not None

    def attach_text(self, text: TextEncoder, projection: nn.Linear | None = None) -> None:
        """Give the model a text tower; without a projection it gets an untrained one."""
        self.text_encoder = text
        self.text_proj = projection or nn.Linear(text.config.width, self.embed_dim)
        self._text_loader = None

    def defer_text(self, loader: Callable[[], tuple[TextEncoder, nn.Linear]]) -> None:
        """Let the text tower be loaded on first use, since transformers takes seconds to import."""
        self._text_loader = loader

    def text_tower(self) -> TextEncoder:
        """The text encoder, loaded now if it was waiting; call it before building an optimiser.

        Raises:
            CheckpointError: the model has none.
        """
        if self._text_loader is not None:
            text, projection = self._text_loader()
            weight = self.video_proj.weight
            self.attach_text(
                text.to(weight.device).train(self.training), projection.to(weight.device).train(self.training)
            )
        if self.text_encoder is None:
            raise CheckpointError(
                f"{self.card.name} was loaded without a text tower; give "
                'load_model(..., text={"pretrained": FOLDER}) the local folder of a BERT'
            )
        return self.text_encoder

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Reports or sentences -> (batch, 512) of unit length."""
        ids, mask = self.text_tower().tokenize(texts)
        device = self.video_proj.weight.device
        return self.embed_tokens(ids.to(device), mask.to(device))

    def embed_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids (batch, token) int64 and mask (batch, token) bool -> (batch, 512) of unit length."""
        features = self.text_tower()(ids, mask)
        return F.normalize(cast(nn.Linear, self.text_proj)(features), dim=-1)

    def architecture(self) -> dict[str, Any]:
        """What `card.architecture` must say for the model to be built again."""
        heads = {name: head.config.to_dict() for name, head in self.heads.items()}  # type: ignore[operator, union-attr]
        text = self.card.architecture.get("text") if self._text_loader is not None else None
        if self.text_encoder is not None:
            text = self.text_encoder.config.to_dict()
        return {
            "family": "dual",
            "video": self.video_encoder.config.to_dict(),
            "embed_dim": self.embed_dim,
            "text": text,
            "heads": heads,
            "classifier": None if self.classifier is None else self.classifier.out_features,
        }

    def _checked(self, clips: Tensor) -> Tensor:
        """Clips of the right shape and range, with the channels that the encoder takes."""
        config = self.video_encoder.config
        want = (config.frames, config.crop, config.crop)
        if clips.ndim != 5 or clips.shape[1] not in (1, 3) or tuple(clips.shape[2:]) != want:
            raise InputError(
                f"{self.card.name} takes clips (batch, 1 or 3 channels, {want[0]} frames, {want[1]} rows, {want[2]} "
                f"columns), got {tuple(clips.shape)}; ClipTransform with the card's settings makes them"
            )
        if not clips.is_floating_point():
            raise InputError(f"clips must be floating point in [0, 1], got {clips.dtype}; ClipTransform scales them")
        if clips.numel():
            self._check_range(clips)
        if config.channels == 1 and clips.shape[1] == 3:
            return clips.mean(1, keepdim=True)
        return clips

    def _check_range(self, clips: Tensor) -> None:
        low, high = (float(v) for v in torch.aminmax(clips.detach()))
        if not (low > -_RAW_INTENSITY and high < _RAW_INTENSITY):  # also catches NaN
            raise InputError(
                f"clips must lie in [0, 1], these reach from {low:g} to {high:g}; scale them with ClipTransform"
            )
        if low < -1e-3 or high > 1 + 1e-3:
            log.warning(
                "clips reach from %.3g to %.3g, the model expects [0, 1]: were they standardised by mistake?", low, high
            )

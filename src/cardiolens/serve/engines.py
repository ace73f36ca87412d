"""The models behind the application, and the lock under which they answer."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cardiolens.contours import SegmenterLike
from cardiolens.errors import CheckpointError
from cardiolens.inference import Predictor
from cardiolens.search.embedding import video_hash

if TYPE_CHECKING:
    from cardiolens.models.card import Card
    from cardiolens.models.dual_encoder import DualEncoder

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Engines:
    """The models.

    Attributes:
        model: the video model.
        segmenter: draws; None where there is none, for the reason in `no_segmenter`.
        lock: held while the video model computes for a person who waits.
    """

    model: DualEncoder
    segmenter: SegmenterLike | None
    no_segmenter: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    predictor: Predictor = field(init=False)
    video: str = field(init=False)

    def __post_init__(self) -> None:
        self.predictor = Predictor(self.model)
        self.video = video_hash(self.model)

    @property
    def card(self) -> Card:
        """Of the video model."""
        return self.predictor.card

    @property
    def reads(self) -> str:
        """Hash of the video model's weights, by which its results are kept."""
        return str(self.card.sha256)

    @property
    def draws(self) -> str | None:
        """Hash of the segmenter's weights; its class where it has none; None without a segmenter."""
        if self.segmenter is None:
            return None
        card = getattr(self.segmenter, "card", None)
        return str(card.sha256) if card is not None else type(self.segmenter).__name__


def load_engines(model: str, segmenter: str | None) -> Engines:
    """Load both models.

    Raises:
        CheckpointError: a model that is missing, damaged, untrained or of the wrong kind.  The bundled segmenter may be
            missing: then there are no contours, and the pages say so.
    """
    from cardiolens.hub import load_model
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.locate import local_tags
    from cardiolens.models.registry import MODELS
    from cardiolens.segmenter import load_segmenter
    from cardiolens.segmenter.bundle import DEFAULT

    tags = list(local_tags(model)) if model in MODELS else []
    network = load_model(f"{model}:{tags[0]}" if len(tags) == 1 else model)
    if not isinstance(network, DualEncoder):
        raise CheckpointError(f"{model} does not read studies; take a shad- model, or a folder that finetune wrote")
    if segmenter is None:
        return Engines(network, None, "The server was started without a segmenter.")
    try:
        return Engines(network, load_segmenter(segmenter))
    except CheckpointError as error:
        if segmenter != DEFAULT:
            raise
        log.warning("no contours: %s", error)
        return Engines(network, None, f"No segmenter is installed ({error}).")

"""Where the heads of a recipe start from, made once: weights, training studies, clips, features of a frozen encoder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch

from cardiolens.datasets.cine_volumes import CineVolumes, item_of
from cardiolens.datasets.image_sets import ImageSet
from cardiolens.datasets.sax_stacks import SaxStacks
from cardiolens.datasets.shuffled import Shuffled
from cardiolens.datasets.splits import Split
from cardiolens.datasets.store_images import StoreImages
from cardiolens.datasets.volumes import VolumeSet
from cardiolens.hub import load_model
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL, with_projection
from cardiolens.origin import PHANTOM, is_rendered
from cardiolens.store import StudyStore
from cardiolens.training.data import ClipSource
from cardiolens.training.features import ClipTable, StudyFeatures, encoder_table, state_hash
from cardiolens.training.labelled import LabelledRun
from cardiolens.training.recipe import FinetuneRecipe
from cardiolens.training.run import RunFolder
from cardiolens.training.tasks import Task
from cardiolens.transforms import ClipTransform

logger = logging.getLogger(__name__)

_LOOKED_AT = 100  # training studies, to tell whether the phantom rendered them


def rendered_alone(store: StudyStore, keys: Sequence[str]) -> bool:
    """Whether the phantom rendered all of these studies, as far as some of them tell."""
    return all(is_rendered(store.read(key)) for key in keys[:: -(-len(keys) // _LOOKED_AT)])


def rendered_set(volumes: VolumeSet | ImageSet, keys: Sequence[str]) -> bool:
    """Whether the phantom made what these keys name: cines of a store tell it; of other sets the manifest beside."""
    inner = volumes.volumes if isinstance(volumes, Shuffled) else volumes
    if isinstance(inner, CineVolumes | SaxStacks | StoreImages):
        return rendered_alone(StudyStore(inner.path), tuple(dict.fromkeys(map(item_of, keys))))
    try:
        kind = json.loads((inner.path / "manifest.json").read_text()).get("kind", "")
    except (OSError, ValueError, AttributeError):
        return False
    return str(kind).startswith(PHANTOM)


class Start(LabelledRun):
    """What the heads of a recipe share.

    Attributes:
        train: keys of the training studies that the recipe takes.
        source: prepared clips.
        cache: folder of what is computed once.
        table: features of the encoder, where it is frozen and nothing augmented; else None.
        encoder: hash of the initial encoder and projection.
    """

    def __init__(
        self, folder: RunFolder, recipe: FinetuneRecipe, store: StudyStore, split: Split, cache_folder: Path | None
    ) -> None:
        """Load the weights.

        Args:
            folder: of the run.
            cache_folder: where prepared clips and features are kept; by default features in the run folder, clips in
                memory.

        Raises:
            TrainingError: the weights have learned from patients that the split holds out.
        """
        super().__init__(folder, recipe, split, store.hash())
        self.recipe = recipe
        self._model: DualEncoder | None = load_model(recipe.model, weights=recipe.weights)
        self._drawn = torch.get_rng_state()
        self._phantom = rendered_alone(store, self.train) or None
        self.starts_from(self._model.card)
        transform = ClipTransform.from_dict(self._model.card.transform)
        self.source = ClipSource(store, transform, cache=recipe.cache, folder=cache_folder)
        self.cache = cache_folder or folder.path
        self.encoder = f"{state_hash(self._model.video_encoder)}-{state_hash(self._model.video_proj)}"
        frozen = recipe.mode != "transfer" and recipe.augment.severity == 0
        self.table: ClipTable | None = encoder_table(self.cache, self._model, self.source) if frozen else None
        self._features: dict[str, StudyFeatures] = {}

    def model(self) -> DualEncoder:
        """The initial model, generators as they stand behind its loading; the second time after a training it is
        loaded anew if everything in it trains."""
        if self._model is None:
            L.seed_everything(self.recipe.seed, verbose=False)
            self._model = load_model(self.recipe.model, weights=self.recipe.weights)
        torch.set_rng_state(self._drawn)
        found = self._model
        if self.recipe.mode == "transfer":
            self._model = None
        return found

    def features(self, keys: Sequence[str]) -> dict[str, StudyFeatures] | None:
        """Features of these studies, read once; None where clips are to be encoded at every step."""
        if self.table is None:
            return None
        missing = [key for key in keys if key not in self._features]
        self._features |= self.table.compute(missing, "features")
        return {key: self._features[key] for key in keys}

    def provenance(self, **facts: Any) -> dict[str, Any]:
        """For the card of what was trained from here."""
        return super().provenance(**{"phantom": self._phantom, "start": self._start, **facts})


def add_head(model: DualEncoder, recipe: FinetuneRecipe, task: Task, *, own: bool) -> None:
    """Give the model an untrained head for the task, and see to the heads that it has already.

    Args:
        own: the head gets a projection of its own, a copy of the model's, which then stays as it is.
    """
    head = GatedAttentionMIL(task.head(model.embed_dim))
    model.heads[recipe.task] = with_projection(head, model.video_proj) if own else head
    if not own:
        _keep_true(model, recipe)


def _keep_true(model: DualEncoder, recipe: FinetuneRecipe) -> None:
    """What was measured on the embedding goes where that changes; other heads keep the projection that they know."""
    others = [name for name in model.heads if name != recipe.task]
    if recipe.mode == "linear":
        return
    if model.domain is not None:
        logger.info("the out-of-domain reference of the weights does not fit a projection that trains; it is taken off")
    model.domain, model.card.domain = None, None
    for name in others:
        if recipe.mode == "transfer":
            logger.warning("mode transfer trains the encoder, so the head '%s' of the weights is taken off", name)
            del model.heads[name]
            model.card.tasks.pop(name, None)
        else:
            head = model.heads[name]
            assert isinstance(head, GatedAttentionMIL)  # noqa: S101 - a DualEncoder has no others
            model.heads[name] = with_projection(head, model.video_proj)

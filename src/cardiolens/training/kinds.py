"""Which kinds of recipes `cardiolens pretrain` and `cardiolens finetune` run, and with what."""

from __future__ import annotations

from pathlib import Path

from cardiolens.store import StudyStore
from cardiolens.training.cine_recipe import LandmarkRecipe, MaskedRecipe, SegmentationRecipe, TabularRecipe
from cardiolens.training.recipe import FinetuneRecipe, PretrainRecipe, RunRecipe
from cardiolens.training.slice_recipe import ImagesRecipe, SimCLRRecipe, Slices2dRecipe, SlicesRecipe
from cardiolens.training.video_recipe import MaskedVideoRecipe, VideoRecipe

PRETRAINING: dict[str, type[RunRecipe]] = {
    "pretrain": PretrainRecipe,
    "masked": MaskedRecipe,
    "masked_video": MaskedVideoRecipe,
    "slices2d": Slices2dRecipe,
    "simclr": SimCLRRecipe,
}
DOWNSTREAM: dict[str, type[RunRecipe]] = {
    "finetune": FinetuneRecipe,
    "segmentation": SegmentationRecipe,
    "tabular": TabularRecipe,
    "landmarks": LandmarkRecipe,
    "video": VideoRecipe,
    "slices": SlicesRecipe,
}


def pretrain_any(settings: RunRecipe, store: StudyStore | Path | None, out: Path) -> Path:
    """Run, or go on with, a pretraining of any kind.

    Args:
        store: the data, or where they lie; None for what the recipe names.

    Returns:
        the folder of the final model.
    """
    from cardiolens.training.run import open_store

    path = store.path if isinstance(store, StudyStore) else store
    if isinstance(settings, MaskedVideoRecipe):
        from cardiolens.training.masked_video import pretrain_video
        from cardiolens.training.video_data import open_loops

        return pretrain_video(settings, open_loops(settings, path), out)
    if isinstance(settings, ImagesRecipe):
        from cardiolens.training.slice_images import open_mixture, pretrain_images

        return pretrain_images(settings, open_mixture(settings, path), out)
    studies = store if isinstance(store, StudyStore) else open_store(settings, path)
    if isinstance(settings, MaskedRecipe):
        from cardiolens.training.masked import pretrain_masked

        return pretrain_masked(settings, studies, out)
    from cardiolens.training.contrastive import pretrain

    assert isinstance(settings, PretrainRecipe)  # noqa: S101 - the only other kind
    return pretrain(settings, studies, out)

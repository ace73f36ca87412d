"""The clips of many studies as embeddings, and what a head makes of all or some of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from cardiolens.errors import CardiolensError, CheckpointError
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.mil import GatedAttentionMIL
    from cardiolens.store import StudyStore

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with what is at hand, how many are done, and of how many."""

_STUDIES = 256  # pooled at once


@dataclass(frozen=True, eq=False)
class StudyClips:
    """One study as a model sees it.

    Attributes:
        key: of the study.
        views, planes: of each clip.
        features: (clip, width) of the encoder, before any projection: a head may have one of its own.
    """

    key: str
    views: tuple[View, ...]
    planes: tuple[int, ...]
    features: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class Pooled:
    """What a head says of one study.

    Attributes:
        attention: weight of each clip, 0 for one that was left out; adds up to 1.
        output: one number an output, in the head's unit.
    """

    attention: tuple[float, ...]
    output: tuple[float, ...]


def require_trained(model: DualEncoder) -> None:
    """Raise `CheckpointError` for a model of random weights, whose attention tells of nothing but chance."""
    if not (model.card.sha256 or model.card.provenance.get("file_sha256")):
        raise CheckpointError(
            f"{model.card.full_name} has random weights, so its attention explains nothing; load trained ones, "
            f"such as {model.card.name}:TAG of cardiolens models, or a model folder"
        )


def outputs_of(model: DualEncoder) -> dict[str, tuple[str, ...]]:
    """Head to the names of its outputs, as the model's card has them; numbered where it is silent."""
    found: dict[str, tuple[str, ...]] = {}
    for name, module in model.heads.items():
        count = cast("GatedAttentionMIL", module).config.outputs
        task = model.card.tasks.get(name, {})
        names = tuple(map(str, task.get("labels", ()))) or ((str(task["label"]),) if "label" in task else ())
        if len(names) != count:
            names = (name,) if count == 1 else tuple(f"{name}_{number}" for number in range(count))
        found[name] = names
    return found


def clips_of_study(model: DualEncoder, study: Study, key: str, *, batch: int = 16) -> tuple[StudyClips, Tensor]:
    """Every clip of a study: its features, and the clips themselves (clip, channel, time, row, col).

    Raises:
        ReadError: no cine, or pixels that cannot be read.
    """
    from cardiolens.clips import clips_of
    from cardiolens.transforms import ClipTransform

    bag = clips_of(study, ClipTransform.from_dict(model.card.transform), plane_sampling="all")
    device = model.video_proj.weight.device
    with torch.inference_mode():
        parts = [model.features(part.to(device)).float().cpu() for part in torch.split(bag.clips, batch)]
    return StudyClips(key, bag.views, bag.planes, torch.cat(parts)), bag.clips


def clips_of_store(
    model: DualEncoder,
    store: StudyStore,
    keys: Sequence[str],
    folder: Path,
    progress: Progress = lambda key, done, total: None,
) -> tuple[list[StudyClips], dict[str, str]]:
    """Every clip of many studies; features are kept in `folder`, so that a stopped call goes on where it was.

    Returns:
        The studies, and key to reason of those that could not be read.
    """
    from cardiolens.training.data import ClipSource
    from cardiolens.training.features import encoder_table
    from cardiolens.transforms import ClipTransform

    source = ClipSource(store, ClipTransform.from_dict(model.card.transform), cache=False)
    table = encoder_table(folder, model, source)
    found: list[StudyClips] = []
    skipped: dict[str, str] = {}
    for number, key in enumerate(keys):
        progress(key, number, len(keys))
        try:
            if not source.shapes(key):
                skipped[key] = "no cine of a standard view"
                continue
            features = table.compute([key], "features")[key]
        except CardiolensError as error:
            log.warning("%s is left out: %s", key, error)
            skipped[key] = str(error)
            continue
        views, planes = zip(*features, strict=True)
        found.append(StudyClips(key, views, planes, torch.stack(list(features.values()))))
    progress("", len(keys), len(keys))
    return found, skipped


def pool(
    model: DualEncoder, task: str, studies: Sequence[StudyClips], keep: Iterable[View] = tuple(View)
) -> list[Pooled | None]:
    """What a head says of each study from the clips of some views alone; None where a study holds none of them."""
    kept, model = frozenset(keep), model.eval()
    device = model.video_proj.weight.device
    out: list[Pooled | None] = []
    for start in range(0, len(studies), _STUDIES):
        part = studies[start : start + _STUDIES]
        bags = torch.nn.utils.rnn.pad_sequence([one.features for one in part], batch_first=True).to(device)
        mask = torch.zeros(bags.shape[:2], dtype=torch.bool, device=device)
        for row, one in enumerate(part):
            mask[row, : len(one.views)] = torch.tensor([view in kept for view in one.views])
        some = mask.any(1)
        answers: list[Pooled | None] = [None] * len(part)
        if bool(some.any()):
            with torch.inference_mode():
                said = model.measure(task, bags[some], mask[some])
            for at, row in enumerate(torch.nonzero(some)[:, 0].tolist()):
                weights = said.attention[at, : len(part[row].views)].double().cpu().tolist()
                answers[row] = Pooled(tuple(weights), tuple(said.output[at].double().cpu().tolist()))
        out += answers
    return out

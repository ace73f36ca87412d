"""Do attention and occlusion find what was altered?  Pairs of phantom hearts that differ in one structure tell.

Both hearts of a pair are scanned with the same seed, so their images differ by the structure alone.  Where they differ
without noise is the mask; a map that knows of the structure lies on the mask more than the mask's share of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiolens.explain.bags import StudyClips, clips_of_study, outputs_of, pool, require_trained
from cardiolens.explain.maps import attention_maps, to_full
from cardiolens.explain.occlusion import Score, answer_of, distance_from, occlusion
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.phantom.heart import HeartParameters

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Alter = Callable[["HeartParameters"], "HeartParameters"]

_CHANGED = 0.1  # of the clip's grey range
_LEAST_AREA = 0.003  # share of the clip's pixels that must have changed for it to show the structure
_CELLS = 8  # the pointing game is played on a grid of 8 x 8
_MATRIX, _PHASES, _PLANES = 128, 16, 8


def _thrombus(heart: HeartParameters) -> HeartParameters:
    from cardiolens.phantom.heart.parts import Mass

    return replace(heart, masses=(Mass(kind="thrombus", site="LV apex", size_mm=26.0),))


ALTERATIONS: Mapping[str, Alter] = MappingProxyType(
    {
        "LV that hardly contracts": lambda heart: replace(heart, lvef_pct=25.0, mapse_mm=5.0),
        "thick LV wall": lambda heart: replace(heart, wall_mm=15.0),
        "large RV": lambda heart: replace(heart, rv_edv_ml=1.9 * heart.rv_edv_ml),
        "pericardial effusion": lambda heart: replace(heart, effusion_mm=22.0),
        "thrombus in the LV apex": _thrombus,
    }
)
"""What is done to a healthy heart, one structure each."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One heart without and with an alteration, as the model reads it.

    Attributes:
        heart: number of the heart; alteration: of `ALTERATIONS`.
        before, after: embeddings; clips_before, clips_after: (clip, channel, time, row, col).
        masks: (clip, time, row, col): what changed.
    """

    heart: int
    alteration: str
    before: StudyClips
    after: StudyClips
    clips_before: Tensor = field(repr=False)
    clips_after: Tensor = field(repr=False)
    masks: BoolArray = field(repr=False)

    @property
    def showing(self) -> list[int]:
        """Clips that show the structure."""
        return [int(i) for i in np.flatnonzero(self.masks.mean((1, 2, 3)) >= _LEAST_AREA)]


@dataclass(frozen=True)
class Finding:
    """How well one heat found the structure in one clip.

    Attributes:
        gain: share of the heat inside the mask over the mask's share of the clip; 1 is chance.
        hit: whether the hottest of 8 x 8 cells (mean over time) holds a part of the structure.
        chance: share of the cells that do.
    """

    heart: int
    alteration: str
    view: str
    plane: int
    method: str
    gain: float
    hit: bool
    chance: float


@dataclass(frozen=True)
class Answer:
    """What the alteration did to the answers of one pair.

    Attributes:
        output: of the head; None of a model without heads.
        before, after: its answer from all views.
        moved_most: the view from which alone the answer changes most; changed_most: the view of whose pixels most did.
        relative_before, relative_after: relative attention, in the pooling, of the clips that show the structure.
    """

    heart: int
    alteration: str
    output: str
    before: float
    after: float
    moved_most: str
    changed_most: str
    relative_before: float
    relative_after: float


def healthy_hearts(count: int, seed: int = 0) -> list[HeartParameters]:
    """Normal hearts, drawn from the phantom's healthy population."""
    from cardiolens.phantom import sample_parameters

    rng = np.random.default_rng([seed, 41])
    return [sample_parameters(rng, condition="normal") for _ in range(count)]


def make_pairs(
    model: DualEncoder,
    hearts: Sequence[HeartParameters],
    alterations: Mapping[str, Alter] = ALTERATIONS,
    *,
    views: tuple[View, ...] = tuple(View),
    seed: int = 0,
) -> Iterator[Pair]:
    """Scan every heart as it is and with each alteration, and find what changed.

    Raises:
        PhantomError: an alteration that no heart can have.
    """
    for number, heart in enumerate(hearts):
        scan = 1000 * seed + number
        before, clips_before = _read(model, _scan(heart, scan, views), f"heart {number}")
        clean = _quiet(model, heart, scan, views)
        for name, alter in alterations.items():
            altered = alter(heart)
            after, clips_after = _read(model, _scan(altered, scan, views), f"heart {number}, {name}")
            changed = (_quiet(model, altered, scan, views) - clean).abs().amax(1) > _CHANGED
            yield Pair(number, name, before, after, clips_before, clips_after, changed.numpy())


def findings(model: DualEncoder, pair: Pair, untrained: DualEncoder | None = None) -> list[Finding]:
    """How every method does on every clip of a pair that shows the structure.

    Methods: "rollout"; "last block" (mean over its heads of each patch's attention to the cls token); "rollout, change"
    (without sign, from the heart before); "occlusion, answer" (first output of the first head) and "occlusion,
    embedding"; for comparison both rollouts of random weights, "centre of the image" (a Gaussian that knows nothing)
    and "change of the image" (blurred to the size of a patch: the most that such a map could find).
    """
    require_trained(model)
    out = []
    for place in pair.showing:
        mask = pair.masks[place]
        for method, heat in heats_of(model, pair, place, untrained).items():
            view, plane = str(pair.after.views[place]), pair.after.planes[place]
            gain, hit, chance = score_heat(heat, mask)
            out.append(Finding(pair.heart, pair.alteration, view, plane, method, gain, hit, chance))
    return out


def heats_of(model: DualEncoder, pair: Pair, place: int, untrained: DualEncoder | None = None) -> dict[str, FloatArray]:
    """Every method's heat (time, row, col) on one clip; see `findings`."""
    clip, earlier = pair.clips_after[place], pair.clips_before[place]
    now, then = attention_maps(model, clip), attention_maps(model, earlier)
    last = max(one.block for one in now)
    mean = torch.stack([one.values for one in now if one.block == last]).mean(0)
    step = next(one.step for one in now if one.block == last)
    scores: dict[str, Score] = {"occlusion, embedding": distance_from(model, pair.after.features[place])}
    for name in list(model.heads)[:1]:
        scores["occlusion, answer"] = answer_of(model, name, pair.after.features, place)
    heats = {
        "rollout": now.full_rollout(),
        "last block": to_full(mean, now.size, step, "centres"),
        "rollout, change": (now.full_rollout() - then.full_rollout()).abs(),
    }
    heats |= {name: heat.expand(now.size) for name, heat in occlusion(model, clip, scores).items()}
    if untrained is not None:
        blank = [attention_maps(untrained, each).full_rollout() for each in (clip, earlier)]
        heats["rollout, random weights"] = blank[0]
        heats["rollout, change, random weights"] = (blank[0] - blank[1]).abs()
    heats["centre of the image"] = _centre(now.size)
    heats["change of the image"] = _coarse((clip - earlier).abs().mean(0), now.step)
    return {name: heat.float().cpu().numpy() for name, heat in heats.items()}


def score_heat(heat: FloatArray, mask: BoolArray) -> tuple[float, bool, float]:
    """`gain`, `hit` and `chance` of a heat (time, row, col), nowhere negative, on a mask of the same shape."""
    total, area = float(heat.sum()), float(mask.mean())
    gain = float(heat[mask].sum()) / total / area if total > 0 and area > 0 else float("nan")
    holds = _cells(mask.astype(np.float32)) > 0
    cells = _cells(heat)
    return gain, bool(holds.flat[int(cells.argmax())]), float(holds.mean())


def answers(model: DualEncoder, pair: Pair) -> list[Answer]:
    """What the alteration did to every output of every head."""
    out = []
    names = outputs_of(model)
    area = pair.masks.mean((1, 2, 3))
    by_view = {
        view: float(np.mean([area[i] for i, own in enumerate(pair.after.views) if own == view]))
        for view in dict.fromkeys(pair.after.views)
    }
    both = [pair.before, pair.after]
    for name in model.heads:
        full = [_answered(one) for one in pool(model, name, both)]
        alone = {view: [_answered(one) for one in pool(model, name, both, [view])] for view in by_view}
        relative = [_relative(one.attention, pair.showing) for one in full]
        for place, output in enumerate(names[name]):
            moves = {view: abs(after.output[place] - before.output[place]) for view, (before, after) in alone.items()}
            out.append(
                Answer(
                    heart=pair.heart,
                    alteration=pair.alteration,
                    output=output,
                    before=full[0].output[place],
                    after=full[1].output[place],
                    moved_most=str(max(moves, key=lambda view: moves[view])),
                    changed_most=str(max(by_view, key=lambda view: by_view[view])),
                    relative_before=relative[0],
                    relative_after=relative[1],
                )
            )
    return out


def _answered(said: Any) -> Any:
    if said is None:
        raise AssertionError("the study holds every view that was asked for")
    return said


def _relative(attention: Sequence[float], places: Sequence[int]) -> float:
    """Mean weight of some clips over an even one; NaN for none."""
    return float(np.mean([attention[i] for i in places])) * len(attention) if places else float("nan")


def _scan(heart: HeartParameters, seed: int, views: tuple[View, ...], noise: float | None = None) -> Study:
    from cardiolens.phantom import render_study

    return render_study(
        heart, seed=seed, matrix=_MATRIX, phases=_PHASES, sax_planes=_PLANES, views=views, noise=noise, slice_gap_mm=3.0
    )


def _read(model: DualEncoder, study: Study, key: str) -> tuple[StudyClips, Tensor]:
    return clips_of_study(model, study, key)


def _quiet(model: DualEncoder, heart: HeartParameters, seed: int, views: tuple[View, ...]) -> Tensor:
    """The clips without noise."""
    from cardiolens.clips import clips_of
    from cardiolens.transforms import ClipTransform

    return clips_of(_scan(heart, seed, views, noise=0.0), ClipTransform.from_dict(model.card.transform)).clips


def _cells(values: FloatArray) -> FloatArray:
    """Mean over time and over each of 8 x 8 cells."""
    flat = torch.from_numpy(np.ascontiguousarray(values)).mean(0)[None, None]
    return np.asarray(torch.nn.functional.adaptive_avg_pool2d(flat, _CELLS)[0, 0].numpy())


def _centre(size: tuple[int, int, int]) -> Tensor:
    """A Gaussian in the middle, its deviation a fifth of the edge."""
    time, rows, cols = size
    row = torch.exp(-0.5 * ((torch.arange(rows) - (rows - 1) / 2) / (0.2 * rows)) ** 2)
    col = torch.exp(-0.5 * ((torch.arange(cols) - (cols - 1) / 2) / (0.2 * cols)) ** 2)
    return (row[:, None] * col[None])[None].expand(time, -1, -1)


def _coarse(change: Tensor, step: tuple[int, int, int]) -> Tensor:
    """A change (time, row, col) as a map of patches would show it."""
    pooled = torch.nn.functional.avg_pool3d(change[None, None], step, ceil_mode=True)[0, 0]
    size = (change.shape[0], change.shape[1], change.shape[2])
    return to_full(pooled, size, step, "resize")

"""Phantom hearts with their masks, as the segmenter learns from them: `make_samples`, `read_sample`.

A sample is one heart as one scanner sees it: the short-axis stack and the three long-axis planes at a few moments of
the beat, at the stored resolution around the heart and, coarser, the whole field.  Every scanner of every site takes
part, and every condition comes as often as health: what is common teaches nothing about the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens.phantom import SITES, masks, render_study, sample_parameters
from cardiolens.phantom.folder import Kind, Progress, check_counts, claim, make_all
from cardiolens.segmentation import STRUCTURES
from cardiolens.store.atomic import write_whole
from cardiolens.study import Cine, View
from cardiolens.text.conditions import CONDITION_NAMES

Labels = npt.NDArray[np.uint8]
KIND = Kind("segmenter samples", "folder of segmenter samples", "hearts")
WHOLE = 112
"""Pixels along the longer side of the whole field, coarse."""
_VERSION = 1
_AROUND = 1.75  # side of what is kept in full, in sides of the heart's box
_HEART = tuple(STRUCTURES[name] for name in ("LV cavity", "LV myocardium", "RV cavity"))


@dataclass(frozen=True, eq=False)
class Sample:
    """One view of one heart.

    Attributes:
        near, near_labels: (slice, time, row, col) uint8, around the heart.
        whole, whole_labels: likewise, all of the field with its longer side at `WHOLE` pixels.
    """

    near: Labels
    near_labels: Labels
    whole: Labels
    whole_labels: Labels


def make_samples(
    folder: str | Path, n: int, *, seed: int = 0, workers: int | None = None, progress: Progress | None = None
) -> None:
    """Render `n` hearts into `folder`, one file each; what is there already stays, so a stopped call goes on.

    Raises:
        PhantomError: `folder` holds something else, or samples of another seed.
    """
    folder = Path(folder)
    check_counts(n, 1_000_000, KIND, workers)
    claim(folder, KIND, {"seed": seed, "version": _VERSION}, n)
    left = [number for number in range(n) if not sample_path(folder, number).is_file()]
    make_all(partial(_make, str(folder), seed), left, workers, progress, n)


def sample_path(folder: Path, number: int) -> Path:
    """File of heart `number`."""
    return folder / f"{number:05d}.npz"


def read_sample(path: Path) -> Mapping[View, Sample]:
    """Read one file: every view that it holds."""
    with np.load(path, allow_pickle=False) as held:
        return {
            view: Sample(*(held[f"{view}_{part}"] for part in ("near", "near_labels", "whole", "whole_labels")))
            for view in View
            if f"{view}_near" in held
        }


def draw_sample(seed: int, number: int) -> dict[View, Sample]:
    """Heart `number` of `seed`: one in three drawn by a population, the others with a condition each, dealt in turn."""
    rng = np.random.default_rng([seed, number, 71])
    condition = None if number % 3 == 0 else CONDITION_NAMES[(number * 2 // 3) % len(CONDITION_NAMES)]
    parameters = sample_parameters(rng, condition=condition, population="default")
    site = SITES[list(SITES)[int(rng.integers(len(SITES)))]]
    protocol = site.protocol(rng).with_(
        recon_matrix=None,
        phases=3,
        trigger_delay=float(rng.uniform(-0.12, 0.12)),
        gating="retrospective",
        covered=1.0,
        slice_thickness_mm=float(rng.choice([6.0, 8.0, 8.0, 10.0])),
        slice_gap_mm=float(rng.choice([0.0, 0.0, 2.0])),
        sax_planes=int(rng.integers(9, 15)),
    )
    study = render_study(parameters, seed=int(rng.integers(2**31)), protocol=protocol)
    return {cine.view: _sample(cine, masks(parameters, cine)) for cine in study.cines}


def _make(folder: str, seed: int, number: int) -> str:
    parts = {
        f"{view}_{name}": getattr(sample, name)
        for view, sample in draw_sample(seed, number).items()
        for name in ("near", "near_labels", "whole", "whole_labels")
    }
    buffer = BytesIO()
    np.savez_compressed(buffer, **parts)
    write_whole(sample_path(Path(folder), number), buffer.getvalue())
    return str(number)


def _sample(cine: Cine, labels: Labels) -> Sample:
    frames = np.asarray(cine.frames, dtype=np.float32)
    frames *= 255.0 / max(float(np.percentile(frames, 99.8)), 1.0)
    pixels = np.clip(frames, 0, 255).astype(np.uint8)
    box = _box(np.isin(labels, _HEART) if cine.view is View.SAX else labels > 0)
    step = max(pixels.shape[2:]) / WHOLE
    rows, cols = (np.minimum(np.round(np.arange(0, n, step)), n - 1).astype(int) for n in pixels.shape[2:])
    return Sample(
        np.ascontiguousarray(pixels[..., box[0], box[1]]),
        np.ascontiguousarray(labels[..., box[0], box[1]]),
        _averaged(pixels, step)[..., rows[:, None], cols],
        labels[..., rows[:, None], cols],
    )


def _averaged(pixels: Labels, step: float) -> Labels:
    from scipy.ndimage import gaussian_filter

    blur = 0.35 * step
    return np.asarray(np.round(gaussian_filter(pixels.astype(np.float32), (0, 0, blur, blur))), dtype=np.uint8)


def _box(heart: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """A square box of `_AROUND` times the heart's longer side, as far as the image reaches."""
    out = []
    sides = [np.flatnonzero(heart.any(axis=(0, 1, other))) for other in (3, 2)]
    half = 0.5 * _AROUND * max(int(side[-1] - side[0] + 1) if len(side) else 64 for side in sides)
    for side, length in zip(sides, heart.shape[2:], strict=True):
        middle = (side[0] + side[-1]) / 2 if len(side) else length / 2
        out.append(slice(max(0, int(middle - half)), min(length, int(middle + half) + 1)))
    return out[0], out[1]

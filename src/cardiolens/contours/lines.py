"""Masks as lines over the images: polylines, pictures, a video a view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cardiolens.dicom.write import COLOURS
from cardiolens.explain.tiles import RGB, gathered, line, under, widened
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Cine, FloatArray

_EDGE = 232  # pixels of a tile's longer side
_WIDEST = 1600  # pixels of a picture
_MARGIN_MM = 30.0  # around what was drawn
_OVERSAMPLE = 2  # lines are drawn larger and reduced, which smooths them
_SECONDS = 3.0  # least length of a video: the beat is repeated
_NOMINAL_CYCLE_MS = 1000.0


def outlines(labels: npt.NDArray[np.uint8], structure: str) -> list[FloatArray]:
    """Closed lines around a structure in one image, in pixels: (n, 2) of (col, row), pixel centres at whole numbers.

    The line of the myocardium is its outer one, the epicardium: the inner one is that of the cavity.
    """
    from contourpy import contour_generator

    values = [STRUCTURES[structure]]
    if structure == "LV myocardium":
        values.append(STRUCTURES["LV cavity"])
        if not (labels == values[0]).any():
            return []
    inside = np.isin(labels, values)
    if not inside.any():
        return []
    around = np.pad(inside, 1).astype(np.float64)
    return [np.asarray(found) - 1.0 for found in contour_generator(z=around).lines(0.5)]


def shown_box(segmentation: Segmentation) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) pixels, ends excluded, around what was drawn; the whole image where nothing was."""
    rows, cols = segmentation.cine.shape[2:]
    drawn = np.asarray(segmentation.labels.any((0, 1)))
    if not drawn.any():
        return 0, rows, 0, cols
    tall, wide = segmentation.cine.spacing_mm or (1.5, 1.5)
    top, bottom = (int(i) for i in np.flatnonzero(drawn.any(axis=1))[[0, -1]])
    left, right = (int(i) for i in np.flatnonzero(drawn.any(axis=0))[[0, -1]])
    row, col = round(_MARGIN_MM / tall), round(_MARGIN_MM / wide)
    return max(0, top - row), min(rows, bottom + row + 1), max(0, left - col), min(cols, right + col + 1)


def contour_pictures(segmentation: Segmentation, phases: Sequence[int] | None = None, *, edge: int = _EDGE) -> RGB:
    """Every plane with its lines, side by side: (time, row, col, 3), at the true aspect ratio, cut to what was drawn.

    Args:
        phases: from 0; None for all.
        edge: longer side of a plane's tile in pixels; smaller where many planes would grow too wide.
    """
    cine = segmentation.cine
    chosen = list(range(cine.n_phases)) if phases is None else list(phases)
    columns = min(cine.n_slices, 6 if cine.n_slices > 8 else 4)
    edge = min(edge if cine.n_slices > 1 else 2 * edge, _WIDEST // columns)
    box = shown_box(segmentation)
    grey = _grey(cine, chosen, box)
    size = _tile_size(cine, box, edge)
    tiles = [
        under(f"plane {plane + 1}", _place(cine, plane), _drawn(segmentation, plane, chosen, grey[plane], box, size))
        for plane in range(cine.n_slices)
    ]
    return np.stack([gathered([tile[i] for tile in tiles], columns) for i in range(len(chosen))])


def contour_video(
    segmentation: Segmentation, marks: dict[int, str], progress: Callable[[int, int], None] = lambda done, total: None
) -> bytes:
    """MP4 of every plane with its lines, at the recorded heart rate, the beat repeated for three seconds at least.

    Args:
        marks: phase (from 0) to what it is called, as {18: "ED"}; pictures count from 1.
        progress: called with phases done and phases in all.
    """
    from cardiolens.explain.video import to_mp4

    cine = segmentation.cine
    frames = []
    for phase in range(cine.n_phases):
        progress(phase, cine.n_phases)
        (picture,) = contour_pictures(segmentation, [phase])
        wide = max(picture.shape[1], 480)
        mark = f"   {marks[phase]}" if phase in marks else ""
        top = line(f"{segmentation.view}   phase {phase + 1} of {cine.n_phases}{mark}", wide, 15)
        below = line("Research use only, not a medical device", wide, 12, faint=True)
        frames.append(np.concatenate([top, widened(picture, wide), below]))
    fps = min(cine.n_phases * 1000.0 / (cine.cycle_ms or _NOMINAL_CYCLE_MS), 60.0)
    beats = max(1, round(_SECONDS * fps / cine.n_phases))
    progress(cine.n_phases, cine.n_phases)
    return to_mp4(np.tile(np.stack(frames), (beats, 1, 1, 1)), fps)


def _grey(cine: Cine, phases: Sequence[int], box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """(slice, phase, row, col) of the box in 0 to 255, all planes windowed alike."""
    top, bottom, left, right = box
    cut = np.nan_to_num(np.asarray(cine.frames[:, :, top:bottom, left:right], dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(cut[:, :, ::2, ::2], (1.0, 99.5))
    scaled: npt.NDArray[np.uint8] = (
        ((cut[:, list(phases)] - low) * (255.0 / max(float(high - low), 1e-6))).clip(0, 255).astype(np.uint8)
    )
    return scaled


def _tile_size(cine: Cine, box: tuple[int, int, int, int], edge: int) -> tuple[int, int]:
    """(width, height) of a tile whose longer side has `edge` pixels."""
    top, bottom, left, right = box
    tall, wide = cine.spacing_mm or (1.0, 1.0)
    height, width = (bottom - top) * tall, (right - left) * wide
    scale = edge / max(height, width)
    return max(16, round(width * scale)), max(16, round(height * scale))


def _place(cine: Cine, plane: int) -> str:
    at = cine.slice_positions_mm
    return "" if at is None or cine.n_slices < 2 else f"{at[plane] - at[0]:.0f} mm"


def _drawn(
    segmentation: Segmentation,
    plane: int,
    phases: Sequence[int],
    grey: npt.NDArray[np.uint8],
    box: tuple[int, int, int, int],
    size: tuple[int, int],
) -> RGB:
    """One plane at some phases, enlarged, with its lines: (phase, row, col, 3)."""
    from PIL import Image, ImageDraw

    large = size[0] * _OVERSAMPLE, size[1] * _OVERSAMPLE
    factor = np.array([large[0] / grey.shape[2], large[1] / grey.shape[1]])
    corner = np.array([box[2], box[0]])
    out = np.empty((len(phases), size[1], size[0], 3), np.uint8)
    for i, phase in enumerate(phases):
        picture = Image.fromarray(grey[i]).resize(large, Image.Resampling.BICUBIC).convert("RGB")
        pen = ImageDraw.Draw(picture)
        for name in segmentation.structures:
            for found in outlines(segmentation.labels[plane, phase], name):
                points = (found - corner + 0.5) * factor - 0.5
                pen.line([tuple(p) for p in points.tolist()], fill=COLOURS[name], width=2 * _OVERSAMPLE, joint="curve")
        out[i] = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    return out

"""Reads the HDF5 files that the authors of Shad et al. publish: `<institution>_<patient>/<accession>.h5`.

One dataset a series or view, float or integer, `[channel, frame, row, col]`, `[frame, channel, row, col]` or grey
`[frame, row, col]`, the planes of a stack one after the other in the frame axis.  Two attributes:

``slice_frames``
    index of the last frame of each plane, *inclusive*: 3 planes of 30 frames are `[29, 59]` or `[29, 59, 89]`.  The
    authors' writer notes where the slice location changes, so the last plane's end is not listed and a single plane has
    an empty list; a list that does go to the last frame is read the same.
``total_images``
    number of files of the series; more than there are frames when some were corrupt.

The files carry no pixel spacing, positions or times: the cines say so and measures in mm refuse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from cardiolens.errors import StoreError
from cardiolens.study import Refusal, View

NO_GEOMETRY = "published HDF5 layout: no pixel spacing, slice positions or trigger times, so measures in mm refuse"
_CHANNELS = (1, 3)
_MIN_SIDE = 16  # pixels; a shorter image side is a channel or frame axis
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_VIEW_NAME = re.compile(r"(SAX|2CH|3CH|4CH)(?:[_ -]\d+)?", re.IGNORECASE)


class UnknownLayoutError(StoreError):
    """A dataset whose layout cannot be told; the message is the reason."""


@dataclass(frozen=True)
class Layout:
    """How one dataset is to be read.

    Attributes:
        name: of the dataset.
        view: which plane.
        frame_axis: of the dataset.
        channel_axis: of the dataset, or None when grey.
        planes: (first, last + 1) frame of each plane that is used.
        n_phases: phases of every plane, after resampling.
        size: (row, col).
        notes: what was found and done.
    """

    name: str
    view: View
    frame_axis: int
    channel_axis: int | None
    planes: tuple[tuple[int, int], ...]
    n_phases: int
    size: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self.planes), self.n_phases, *self.size)


def layouts(file: h5py.File) -> tuple[dict[View, Layout], list[Refusal]]:
    """The datasets of a published file that are cines, one a view, and the others with their reasons.

    Raises:
        StoreError: no dataset can be used.
    """
    found: dict[View, Layout] = {}
    refused: list[Refusal] = []
    for name in file:
        try:
            layout = layout_of(file[name], name)
        except UnknownLayoutError as reason:
            refused.append(Refusal(name, str(reason)))
            continue
        rival = found.get(layout.view, layout)
        best, other = (layout, rival) if _worth(layout) > _worth(rival) else (rival, layout)
        found[layout.view] = best
        if other is not best:
            refused.append(Refusal(other.name, f"a second {other.view}; {best.name} has as many frames or more"))
    if not found:
        reasons = "; ".join(f"{refusal.series}: {refusal.reason}" for refusal in refused) or "the file is empty"
        raise StoreError(f"no dataset can be read as a cine view ({reasons})")
    return found, refused


def _worth(layout: Layout) -> int:
    return len(layout.planes) * layout.n_phases


def layout_of(dataset: object, name: str) -> Layout:
    """Tell view, axes and planes of one dataset.

    Raises:
        UnknownLayoutError: with the reason.
    """
    if not isinstance(dataset, h5py.Dataset):
        raise UnknownLayoutError("a group, not a dataset of frames")
    if dataset.dtype.kind not in "uif" or min(dataset.shape, default=0) < 1:
        raise UnknownLayoutError(f"shape {dataset.shape} of {dataset.dtype} holds no frames")
    view = _view_of(name)
    if view is None:
        raise UnknownLayoutError("the name tells none of SAX, 2CH, 3CH, 4CH")
    ends = _integers(dataset, "slice_frames")
    total = _integers(dataset, "total_images")
    frame_axis, channel_axis = _axes(dataset, ends, total)
    n_frames = dataset.shape[frame_axis]
    notes = [NO_GEOMETRY]
    if total and total[0] != n_frames:
        notes.append(f"{total[0]} images were counted and {n_frames} stored")
    planes, n_phases, plane_notes = _planes(ends, n_frames)
    size = tuple(side for axis, side in enumerate(dataset.shape) if axis not in (frame_axis, channel_axis))
    return Layout(name, view, frame_axis, channel_axis, planes, n_phases, (size[0], size[1]), (*notes, *plane_notes))


def _view_of(name: str) -> View | None:
    if direct := _VIEW_NAME.fullmatch(name.strip()):
        return View(direct.group(1).upper())
    from cardiolens.dicom.views import classify_description

    return classify_description(name.replace("_", " "))


def _integers(dataset: h5py.Dataset, attribute: str) -> list[int] | None:
    """An attribute as integers; None when it is absent."""
    if attribute not in dataset.attrs:
        return None
    value = np.asarray(dataset.attrs[attribute])
    if value.size and (value.dtype.kind not in "uif" or (value != np.round(value)).any()):
        raise UnknownLayoutError(f"{attribute} = {value.tolist()!r} is not a list of whole numbers")
    return [int(number) for number in value.reshape(-1)]


def _axes(dataset: h5py.Dataset, ends: list[int] | None, total: list[int] | None) -> tuple[int, int | None]:
    """(frame axis, channel axis).  Sizes first, then the attributes, then whether three channels are copies."""
    shape = dataset.shape
    if dataset.ndim == 3:
        if min(shape[1:]) < _MIN_SIDE:
            raise UnknownLayoutError(f"shape {shape} is not [frame, row, col]")
        return 0, None
    if dataset.ndim != 4:
        raise UnknownLayoutError(f"shape {shape} has {dataset.ndim} axes; 3 or 4 are known")
    candidates = []
    for frame_axis, channel_axis, sides in ((1, 0, shape[2:]), (0, 1, shape[2:]), (0, 3, shape[1:3])):
        fits = ends is None or not ends or max(ends) < shape[frame_axis]
        if shape[channel_axis] in _CHANNELS and min(sides) >= _MIN_SIDE and fits:
            candidates.append((frame_axis, channel_axis))
    if len(candidates) > 1 and total:
        candidates = [c for c in candidates if shape[c[0]] == total[0]] or candidates
    if len(candidates) > 1:  # e.g. (3, 3, row, col): three copies of a grey image are the channels
        copied = [c for c in candidates if shape[c[1]] == 3 and _copies(dataset, c[1])]
        candidates = copied if len(copied) == 1 else candidates
    if len(candidates) != 1:
        why = "fits more than one of" if candidates else "is none of"
        raise UnknownLayoutError(f"shape {shape} {why} [channel, frame, row, col] and [frame, channel, row, col]")
    return candidates[0]


def _copies(dataset: h5py.Dataset, axis: int) -> bool:
    """Whether the entries along an axis are all the same."""
    values = np.moveaxis(dataset[()], axis, 0)
    return bool((values[1:] == values[:1]).all())


def _planes(ends: list[int] | None, n_frames: int) -> tuple[tuple[tuple[int, int], ...], int, list[str]]:
    """(first, last + 1) of each plane, the phases that all get, and notes."""
    lasts = list(ends or [])
    if lasts and (lasts[0] < 0 or lasts[-1] >= n_frames or any(np.diff(lasts) <= 0)):
        raise UnknownLayoutError(f"slice_frames {lasts} are no ascending indices of {n_frames} frames")
    if not lasts or lasts[-1] != n_frames - 1:
        lasts.append(n_frames - 1)
    firsts = [0, *(last + 1 for last in lasts[:-1])]
    lengths = [last + 1 - first for first, last in zip(firsts, lasts, strict=True)]
    n_phases = _common_phases(lengths)
    if n_phases < 2:
        raise UnknownLayoutError("planes of a single frame: no time axis, or frames ordered by phase and not by plane")
    kept: list[tuple[int, int]] = []
    notes = ["no slice_frames: read as a single plane"] if ends is None else []
    for number, (first, last, length) in enumerate(zip(firsts, lasts, lengths, strict=True), start=1):
        if 2 * length < n_phases:
            notes.append(f"plane {number} of {len(lasts)} left out: {length} of {n_phases} phases, fewer than half")
            continue
        if length != n_phases:
            notes.append(f"plane {number} of {len(lasts)} resampled in time from {length} to {n_phases} phases")
        kept.append((first, last + 1))
    return tuple(kept), n_phases, notes


def _common_phases(lengths: list[int]) -> int:
    """The number of phases that most planes have, single frames apart; the larger where two are as common."""
    counts = Counter(length for length in lengths if length > 1)
    return max(counts, key=lambda length: (counts[length], length), default=1)


def read_plane(
    dataset: h5py.Dataset, layout: Layout, plane: int, indices: Iterable[int] | None = None
) -> npt.NDArray[Any]:
    """(time, row, col) of one plane, grey, in the dataset's own type; `indices` choose phases, in their order."""
    first, stop = layout.planes[plane]
    chosen = None if indices is None else list(indices)
    resampled = stop - first != layout.n_phases
    if chosen is None or resampled:
        frames = _grey(_frame_range(dataset, layout, first, stop), layout)
        if resampled:
            frames = resample_cycle(frames, layout.n_phases)
        return frames if chosen is None else frames[chosen]
    unique = sorted(set(chosen))
    parts = [_frame_range(dataset, layout, first + index, first + index + 1) for index in unique]
    frames = _grey(np.concatenate(parts, axis=layout.frame_axis), layout)
    return frames[[unique.index(index) for index in chosen]]


def _frame_range(dataset: h5py.Dataset, layout: Layout, first: int, stop: int) -> npt.NDArray[Any]:
    where: list[slice] = [slice(None)] * dataset.ndim
    where[layout.frame_axis] = slice(first, stop)
    values: npt.NDArray[Any] = dataset[tuple(where)]
    return values


def _grey(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """(frame, row, col) of values with the dataset's axes; colour becomes luminance."""
    if layout.channel_axis is None:
        return values
    channels = np.moveaxis(values, layout.channel_axis, 0)
    if len(channels) == 1 or bool((channels[1:] == channels[:1]).all()):
        return np.ascontiguousarray(channels[0])
    luma = np.tensordot(np.asarray(_LUMA), channels.astype(np.float64), axes=1)
    return _as(luma, values.dtype)


def resample_cycle(frames: npt.NDArray[Any], n_phases: int) -> npt.NDArray[Any]:
    """(time, row, col) to `n_phases` evenly over the cardiac cycle, linearly, the last phase followed by the first."""
    n = len(frames)
    where = np.arange(n_phases) * (n / n_phases)
    below = np.floor(where).astype(int)
    part = (where - below)[:, None, None]
    low, high = frames[below % n].astype(np.float64), frames[(below + 1) % n].astype(np.float64)
    return _as(low * (1 - part) + high * part, frames.dtype)


def _as(values: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return (np.rint(values) if dtype.kind in "ui" else values).astype(dtype)

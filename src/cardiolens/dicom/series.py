"""Frames → piles: one series, one orientation, one kind of image, its planes by position and its phases ranked in time.

A series number or UID alone does not say what belongs together: exports share UIDs between series, carry stray frames
of other planes, and interleave slices with phases.  Position along the normal comes first, time second.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cardiolens.dicom.headers import Frame

log = logging.getLogger(__name__)

SAME_PLANE_MM = 0.5  # along the normal; no stack is cut finer, and rounding of positions is far below
SAME_ORIGIN_MM = 2.0  # in the plane; a field of view moved further is another acquisition
SAME_DIRECTION = 0.9994  # cosine of 2 degrees

Digest = Callable[[Frame], bytes | None]

# What phases are ranked by, best first.  ContentTime comes last: it is when the image was computed, and scanners that
# reconstruct in parallel write it out of order (the Sunnybrook images of GE do).
_RANKS: tuple[tuple[str, Callable[[Frame], float | None]], ...] = (
    ("TriggerTime", lambda frame: frame.trigger_ms),
    ("cardiac phase", lambda frame: frame.cardiac_phase),
    ("temporal position", lambda frame: frame.temporal_index),
    ("AcquisitionTime", lambda frame: frame.acquisition_s),
    ("InstanceNumber", lambda frame: frame.instance),
    ("ContentTime", lambda frame: frame.content_s),
)


@dataclass(frozen=True)
class Plane:
    """One position over time.  `axis` holds what the frames are ranked by, `axis_name` what that is."""

    frames: tuple[Frame, ...]
    axis: tuple[float, ...]
    axis_name: str
    position_mm: float | None

    @property
    def n_phases(self) -> int:
        return len(self.frames)

    @property
    def times_ms(self) -> tuple[float, ...] | None:
        """Delays after the R wave, or None when phases are ranked by something else."""
        return self.axis if self.axis_name == "TriggerTime" else None

    @property
    def origin(self) -> npt.NDArray[np.float64] | None:
        """(3,) centre of the first pixel, patient LPS mm."""
        position = self.frames[0].position
        return None if position is None else np.array(position)

    def expected_phases(self) -> int:
        """Phases with the holes in an even time axis counted: 18 of 20 images with two gaps of double width give 20."""
        steps = np.diff(self.axis)
        if len(steps) < 4:
            return self.n_phases
        ratios = steps / np.median(steps)
        whole = np.round(ratios)
        even = np.abs(ratios - whole) < 0.2
        if not even.all() or (whole > 1).sum() * 3 > len(steps):
            return self.n_phases
        return self.n_phases + int((whole - 1).sum())


@dataclass(frozen=True)
class Pile:
    """Images of one series that share orientation, matrix and kind.

    Attributes:
        label: series number, with "/2", "/3" for further parts of one series.
        description: SeriesDescription, may be empty.
        planes: in ascending position along the normal (in order of appearance when positions are unknown).
        orientation: (6,) row then column direction, or None.
        n_orientations: distinct orientations in the series it comes from.
        notes: what was found on the way (duplicates, missing geometry).
    """

    label: str
    description: str
    planes: tuple[Plane, ...]
    orientation: npt.NDArray[np.float64] | None
    spacing: tuple[float, float] | None
    n_orientations: int
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Frame:
        return self.planes[0].frames[0]

    @property
    def n_phases(self) -> int:
        """Of the fullest plane."""
        return max(plane.n_phases for plane in self.planes)

    @property
    def n_files(self) -> int:
        return len({frame.file.ref for plane in self.planes for frame in plane.frames})

    @property
    def rows(self) -> int:
        return self.first.file.rows

    @property
    def cols(self) -> int:
        return self.first.file.cols

    @property
    def name(self) -> str:
        """For messages: series 300 "SAX cine"."""
        return f"series {self.label}" + (f' "{self.description}"' if self.description else "")


def make_piles(frames: Iterable[Frame], digest: Digest) -> list[Pile]:
    """Sort the frames of one study into piles.

    Args:
        frames: of one study, duplicates by UID already gone.
        digest: gives a hash of a frame's pixels, or None when they cannot be decoded; called only where two frames
            claim the same plane and time.
    """
    series: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        series.setdefault((frame.file.texts["SeriesInstanceUID"], frame.file.series_number), []).append(frame)
    piles: list[Pile] = []
    labels: Counter[str] = Counter()
    for (_, number), members in sorted(series.items(), key=lambda item: _series_order(item[1][0])):
        for pile in _split_series(members, digest):
            base = str(number) if number is not None else "?"
            labels[base] += 1
            label = base if labels[base] == 1 else f"{base}/{labels[base]}"
            piles.append(replace(pile, label=label))
    return piles


def _series_order(frame: Frame) -> tuple[float, str, str]:
    number = frame.file.series_number
    return (np.inf if number is None else number, frame.file.texts["SeriesTime"], frame.file.texts["SeriesInstanceUID"])


def _split_series(frames: Sequence[Frame], digest: Digest) -> list[Pile]:
    """Part one series by matrix, kind and orientation, largest part first."""
    groups: dict[tuple[object, ...], list[Frame]] = {}
    directions: list[npt.NDArray[np.float64]] = []
    for frame in frames:
        spacing = None if frame.spacing is None else tuple(round(s, 3) for s in frame.spacing)
        file = frame.file
        key = (
            file.texts["SeriesDescription"],
            file.rows,
            file.cols,
            file.samples,
            spacing,
            frame.component,
            frame.echo,
        )
        groups.setdefault((*key, _direction_index(frame, directions)), []).append(frame)
    piles = []
    for group in sorted(groups.values(), key=len, reverse=True):
        piles += _pile_group(group, len(directions), digest)
    return piles


def _direction_index(frame: Frame, directions: list[npt.NDArray[np.float64]]) -> int:
    """Index of the frame's orientation among those seen; -1 when it has none."""
    if frame.orientation is None or frame.position is None:
        return -1
    mine = np.array(frame.orientation)
    for index, other in enumerate(directions):
        if same_direction(mine, other):
            return index
    directions.append(mine)
    return len(directions) - 1


def same_direction(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> bool:
    """Whether row and column directions (6,) agree within 2 degrees."""
    return bool(a[:3] @ b[:3] > SAME_DIRECTION and a[3:] @ b[3:] > SAME_DIRECTION)


def normal_of(orientation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(3,) unit normal: row direction (increasing column) x column direction (increasing row)."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _pile_group(frames: Sequence[Frame], n_orientations: int, digest: Digest) -> list[Pile]:
    """Planes of a group; a second acquisition of the same planes becomes a pile of its own."""
    first = frames[0]
    known = first.orientation is not None and first.position is not None
    orientation = np.array(first.orientation) if known else None
    notes: list[str] = []
    positions = _positions(frames, orientation, notes)
    rounds: list[list[Plane]] = []
    for position, members in positions:
        for turn, plane in enumerate(_acquisitions(members, position, digest, notes)):
            if len(rounds) <= turn:
                rounds.append([])
            rounds[turn].append(plane)
    if not known and len(positions) == 1 and len(rounds) > 1:
        notes.append(f"no positions: {len(rounds)} images share each time, taken as planes in order of InstanceNumber")
        rounds = [[plane for planes in rounds for plane in planes]]
    if not rounds:
        return []
    return [
        Pile(
            "",
            first.file.texts["SeriesDescription"],
            tuple(planes),
            orientation,
            first.spacing,
            n_orientations,
            tuple(notes),
        )
        for planes in rounds
    ]


def _positions(
    frames: Sequence[Frame], orientation: npt.NDArray[np.float64] | None, notes: list[str]
) -> list[tuple[float | None, list[Frame]]]:
    """Frames by plane: position along the normal; else SliceLocation or stack index; else one plane."""
    if orientation is not None:
        normal = normal_of(orientation)
        along = np.array([normal @ np.array(frame.position) for frame in frames])
    else:
        hints = [frame.plane_hint for frame in frames]
        cycle = _cycle_length(frames)
        if cycle:
            hints = [float(frame.index // cycle) for frame in frames]
        if len(set(hints)) < 2 or None in hints:
            return [(None, list(frames))]
        notes.append(
            "positions are absent: planes told apart by " + ("count" if cycle else "SliceLocation or stack index")
        )
        along = np.array(hints, dtype=float)
    order = np.argsort(along, kind="stable")
    breaks = np.flatnonzero(np.diff(along[order]) > (SAME_PLANE_MM if orientation is not None else 1e-3)) + 1
    groups = np.split(order, breaks)
    return [
        (float(np.mean(along[group])) if orientation is not None else None, [frames[i] for i in sorted(group)])
        for group in groups
    ]


def _cycle_length(frames: Sequence[Frame]) -> int | None:
    """Phases a plane in one plain multi-frame file whose count CardiacNumberOfImages divides; else None."""
    file = frames[0].file
    count = int(file.numbers.get("CardiacNumberOfImages", 0))
    alone = all(frame.file is file for frame in frames)
    return count if alone and 1 < count < len(frames) and len(frames) % count == 0 else None


def _acquisitions(frames: list[Frame], position: float | None, digest: Digest, notes: list[str]) -> list[Plane]:
    """The frames of one plane as one or more acquisitions, each ranked in time; identical images dropped."""
    planes: list[Plane] = []
    for members in _by_origin(frames):
        rest = members
        for name, value in _RANKS:
            values = [value(frame) for frame in rest]
            if None in values or (len(set(values)) < 2 and len(rest) > 1):
                continue
            if len(set(values)) < len(rest):
                rest = _drop_identical(rest, value, digest, notes)
                values = [value(frame) for frame in rest]
            distinct = len(set(values))
            if distinct == len(rest):
                planes.append(_ranked(rest, value, name, position))
                break
            if name == "TriggerTime" and distinct * 3 >= len(rest) and not _count_is_meant(rest):
                planes += [_ranked(part, value, name, position) for part in _repeats(rest, value)]
                break
        else:
            notes.append("no time or number tells the phases apart: taken in order of file name")
            planes.append(Plane(tuple(rest), tuple(map(float, range(len(rest)))), "file name", position))
    return planes


def _by_origin(frames: list[Frame]) -> list[list[Frame]]:
    """Part frames of one plane whose field of view was moved."""
    parts: list[list[Frame]] = []
    for frame in frames:
        for part in parts:
            other = part[0].position
            if (
                frame.position is None
                or other is None
                or np.linalg.norm(np.subtract(frame.position, other)) < SAME_ORIGIN_MM
            ):
                part.append(frame)
                break
        else:
            parts.append([frame])
    return sorted(parts, key=len, reverse=True)


def _count_is_meant(frames: Sequence[Frame]) -> bool:
    """Whether CardiacNumberOfImages says that all these frames are phases of one beat."""
    return frames[0].file.numbers.get("CardiacNumberOfImages") == len(frames)


def _drop_identical(
    frames: list[Frame], value: Callable[[Frame], float | None], digest: Digest, notes: list[str]
) -> list[Frame]:
    """Of frames with equal time keep one of each pixel content; those that cannot be decoded go as well."""
    counts = Counter(value(frame) for frame in frames)
    kept, seen = [], set()
    for frame in frames:
        if counts[value(frame)] > 1:
            content = digest(frame)
            if content is None or (value(frame), content) in seen:
                why = "cannot be decoded" if content is None else "is a duplicate (same plane, time and pixels)"
                notes.append(f"{frame.file.ref.short_name} {why}: left out")
                continue
            seen.add((value(frame), content))
        kept.append(frame)
    return kept


def _repeats(frames: Sequence[Frame], value: Callable[[Frame], float | None]) -> list[list[Frame]]:
    """Frames of several acquisitions of one plane, parted: the n-th image at each time makes the n-th acquisition."""

    def order(frame: Frame) -> tuple[float, float, float]:
        return frame.acquisition_number or 0.0, frame.acquisition_s or 0.0, frame.instance or 0.0

    parts: list[list[Frame]] = []
    seen: Counter[float | None] = Counter()
    for frame in sorted(frames, key=order):
        turn = seen[value(frame)]
        seen[value(frame)] += 1
        if len(parts) <= turn:
            parts.append([])
        parts[turn].append(frame)
    return parts


def _ranked(
    frames: Sequence[Frame], value: Callable[[Frame], float | None], name: str, position: float | None
) -> Plane:
    pairs = sorted(((value(frame) or 0.0, i) for i, frame in enumerate(frames)))
    return Plane(tuple(frames[i] for _, i in pairs), tuple(time for time, _ in pairs), name, position)

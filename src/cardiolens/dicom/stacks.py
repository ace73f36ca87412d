"""Piles → stacks: planes of one view put together, whether they come as one series or one series a plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean

import numpy as np
import numpy.typing as npt

from cardiolens.dicom.kind import is_original, is_steady_state
from cardiolens.dicom.series import Pile, Plane, normal_of, same_direction
from cardiolens.dicom.timing import TimedPlane, common_count, to_count

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """Parallel planes of one or more piles: what may become a `Cine`.

    Attributes:
        piles: in the order of their planes; one entry a pile.
        planes: ascending along the normal, all with the same number of phases.
        dropped: planes refused by name, each with its reason.
        notes: resampling, uneven gaps, planes shifted sideways.
    """

    piles: tuple[Pile, ...]
    planes: tuple[TimedPlane, ...]
    dropped: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def first(self) -> Pile:
        return self.piles[0]

    @property
    def n_phases(self) -> int:
        return len(self.planes[0].resampling.left) if self.planes[0].resampling else self.planes[0].plane.n_phases

    @property
    def positions_mm(self) -> FloatArray | None:
        positions = [timed.plane.position_mm for timed in self.planes]
        return None if None in positions else np.array(positions, dtype=float)

    @property
    def label(self) -> str:
        """Series numbers: "300", or "5-16 (12 series)"."""
        labels = [pile.label for pile in sorted(self.piles, key=_label_order)]
        return labels[0] if len(labels) == 1 else f"{labels[0]}-{labels[-1]} ({len(labels)} series)"

    @property
    def name(self) -> str:
        described = Counter(pile.description for pile in self.piles if pile.description)
        return f"series {self.label}" + (f' "{described.most_common(1)[0][0]}"' if described else "")

    @property
    def number(self) -> float:
        """Mean series number: later acquisitions have higher ones."""
        return mean(pile.first.file.series_number or 0 for pile in self.piles)

    @property
    def original(self) -> bool:
        return all(is_original(pile) for pile in self.piles)

    @property
    def steady_state(self) -> bool:
        return is_steady_state(self.first.first)


def _label_order(pile: Pile) -> tuple[float, str]:
    number = pile.first.file.series_number
    return (np.inf if number is None else number, pile.label)


def parallel(a: Pile, b: Pile) -> bool:
    """Whether two piles could be planes of one stack: same direction, matrix, spacing and patient space."""
    if a.orientation is None or b.orientation is None or a.spacing is None or b.spacing is None:
        return False
    same_grid = (a.rows, a.cols) == (b.rows, b.cols) and np.allclose(a.spacing, b.spacing, rtol=1e-3)
    ratio = a.n_phases / b.n_phases
    return (
        same_grid
        and 0.5 <= ratio <= 2.0
        and a.first.file.samples == b.first.file.samples
        and same_direction(a.orientation, b.orientation)
    )


def collide(a: Sequence[Plane], b: Sequence[Plane]) -> bool:
    """Whether planes of two piles cut the same tissue: nearer than 3/4 of the slice thickness or 2/5 of the step."""
    ours, theirs = _positions(a), _positions(b)
    steps = [step for positions in (ours, theirs) for step in np.diff(positions)]
    thickness = a[0].frames[0].file.numbers.get("SliceThickness", 0.0)
    limit = max(0.75 * thickness, 0.4 * float(np.median(steps)) if steps else 0.0, 2.0)
    return bool(np.abs(ours[:, None] - theirs[None, :]).min() < limit)


def _positions(planes: Iterable[Plane]) -> FloatArray:
    return np.sort([plane.position_mm for plane in planes if plane.position_mm is not None])


def group(piles: Sequence[Pile], long_axis: frozenset[str], short_axis: frozenset[str]) -> list[tuple[Pile, ...]]:
    """Which cine piles make one stack.

    Multi-plane piles come first, then the fullest, then the latest.  A pile joins a stack when it is parallel to it
    and cuts other tissue; one that cuts the same tissue starts a stack of its own (a rescan).  Two lone planes side by
    side are only joined when their descriptions say short axis: two long-axis scans a few mm apart are rescans.

    Args:
        long_axis: labels of piles whose description names a long-axis view; never joined.
        short_axis: labels of piles whose description names the short axis.
    """

    def order(pile: Pile) -> tuple[int, bool, int, float]:
        return (-len(pile.planes), not is_original(pile), -pile.n_phases, -(pile.first.file.series_number or 0))

    stacks: list[list[Pile]] = []
    for pile in sorted(piles, key=order):
        home = None
        if pile.label not in long_axis:
            home = next((stack for stack in stacks if _fits(pile, stack, long_axis)), None)
        if home is None:
            stacks.append([pile])
        else:
            home.append(pile)
    result: list[tuple[Pile, ...]] = []
    for stack in stacks:
        n_planes = sum(len(pile.planes) for pile in stack)
        if n_planes < 3 and not all(pile.label in short_axis for pile in stack):
            result += [(pile,) for pile in stack]
        else:
            result.append(tuple(stack))
    return result


def _fits(pile: Pile, stack: Sequence[Pile], long_axis: frozenset[str]) -> bool:
    return stack[0].label not in long_axis and all(
        parallel(pile, other) and not collide(pile.planes, other.planes) for other in stack
    )


def assemble(piles: Sequence[Pile]) -> Stack:
    """Planes in ascending position with one phase count; ragged ones resampled or dropped, both said."""
    planes = [plane for pile in piles for plane in pile.planes]
    if all(plane.position_mm is not None for plane in planes):
        planes.sort(key=lambda plane: plane.position_mm or 0.0)
    count = common_count(planes)
    kept: list[TimedPlane] = []
    dropped, resampled = [], []
    for index, plane in enumerate(planes):
        where = f"plane {index + 1} of {len(planes)}"
        if plane.position_mm is not None and len(planes) > 1:
            where += f" (at {plane.position_mm:.1f} mm)"
        timed = to_count(plane, count)
        if timed is None:
            dropped.append(f"{where}: {plane.n_phases} of {count} phases, fewer than half; plane left out")
            continue
        if timed.resampling is not None:
            how = "in time" if plane.times_ms else f"by {plane.axis_name}"
            resampled.append(f"{where}: {plane.n_phases} phases resampled linearly {how} to {count}")
        kept.append(timed)
    notes = [*resampled, *_gap_notes(kept), *_shift_notes(piles[0], kept)]
    return Stack(tuple(piles), tuple(kept), tuple(dropped), tuple(notes))


def _gap_notes(planes: Sequence[TimedPlane]) -> list[str]:
    positions = [timed.plane.position_mm for timed in planes]
    if len(positions) < 3 or None in positions:
        return []
    steps = np.diff(np.array(positions, dtype=float))
    if steps.max() - steps.min() <= max(0.1, 0.02 * float(np.median(steps))):
        return []
    return [f"slice gaps are uneven: {steps.min():.1f} to {steps.max():.1f} mm (true positions kept)"]


def _shift_notes(pile: Pile, planes: Sequence[TimedPlane]) -> list[str]:
    """Say when planes do not lie on one straight line, which a single affine cannot hold."""
    origins = [timed.plane.origin for timed in planes]
    if pile.orientation is None or pile.spacing is None or len(origins) < 3 or any(o is None for o in origins):
        return []
    points = np.array(origins)
    along = points @ normal_of(pile.orientation)
    fit = np.polynomial.polynomial.polyfit(along, points, 1)
    off = np.linalg.norm(points - (fit[0] + along[:, None] * fit[1]), axis=1).max()
    if off <= max(pile.spacing):
        return []
    return [f"planes are shifted sideways by up to {off:.1f} mm; the affine follows their mean"]

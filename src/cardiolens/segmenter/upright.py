"""Which way up: images turned as people hang them, by their geometry, so that the networks need not know other ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cardiolens.study import Cine, View

T = TypeVar("T", bound=np.generic)
_USUAL: Mapping[View, tuple[tuple[float, float, float], tuple[float, float, float]]] = MappingProxyType(
    {
        View.SAX: ((0.70, 0.68, 0.17), (-0.16, 0.38, -0.90)),
        View.CH2: ((-0.61, 0.75, -0.08), (0.20, 0.03, -0.95)),
        View.CH3: ((-0.09, 0.97, -0.12), (0.78, -0.01, -0.61)),
        View.CH4: ((0.73, 0.54, 0.36), (-0.65, 0.65, 0.37)),
    }
)
"""Along a row and down a column in the patient (LPS) as the phantom hangs each view: means of its planes."""


@dataclass(frozen=True)
class Turn:
    """A quarter turn count and a mirroring; `of(frames)` applies them, `back(labels)` undoes them."""

    quarters: int = 0
    mirrored: bool = False

    def of(self, frames: npt.NDArray[T]) -> npt.NDArray[T]:
        """(..., row, col) as people hang it."""
        turned = np.rot90(frames, self.quarters, axes=(-2, -1))
        return np.ascontiguousarray(turned[..., ::-1] if self.mirrored else turned)

    def back(self, labels: npt.NDArray[T]) -> npt.NDArray[T]:
        """(..., row, col) on the grid that `of` was given."""
        turned = labels[..., ::-1] if self.mirrored else labels
        return np.ascontiguousarray(np.rot90(turned, -self.quarters, axes=(-2, -1)))


def turn_of(cine: Cine) -> Turn:
    """What brings a cine nearest to how its view is usually hung; nothing for one without geometry."""
    if cine.affine is None:
        return Turn()
    right, down = (cine.affine[:3, axis] / np.linalg.norm(cine.affine[:3, axis]) for axis in (0, 1))
    usual = [np.array(direction) for direction in _USUAL[cine.view]]
    best, turn = -np.inf, Turn()
    for quarters in range(4):
        for mirrored in (False, True):
            new_right, new_down = _axes(right, down, quarters)
            agreement = (-new_right if mirrored else new_right) @ usual[0] + new_down @ usual[1]
            if agreement > best + 1e-9:
                best, turn = agreement, Turn(quarters, mirrored)
    return turn


def _axes(
    right: npt.NDArray[np.float64], down: npt.NDArray[np.float64], quarters: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Directions along a row and down a column after `np.rot90` by so many quarters (anticlockwise on the image)."""
    for _ in range(quarters):
        right, down = down, -right
    return right, down

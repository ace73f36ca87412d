"""Hearts of known volume as label stacks, and one phantom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Cine, View

ROWS = 64


def bullet(planes: int, shares: Any, *, radius: float = 18.0, wall: float = 6.0, apex_first: bool = True) -> np.ndarray:
    """Labels (slice, time, row, col) of a half-ellipsoid LV whose radius is scaled by sqrt(share) at each phase, with
    an RV crescent on the left; the first plane is the apical one."""
    shares = np.atleast_1d(np.asarray(shares, dtype=float))
    y, x = np.mgrid[:ROWS, :ROWS] - (ROWS - 1) / 2.0
    far = np.hypot(x - 6, y)
    out = np.zeros((planes, len(shares), ROWS, ROWS), np.uint8)
    for k in range(planes):
        height = (k + 0.5) / planes  # 0 apex, 1 base
        widest = np.sqrt(1.0 - (1.0 - height) ** 2)
        for i, share in enumerate(shares):
            cavity = radius * widest * np.sqrt(share)
            outer = np.sqrt(cavity**2 + (radius * widest + wall) ** 2 - (radius * widest) ** 2)
            out[k, i][(np.hypot(x + 8, y) < outer) & (x < 0)] = STRUCTURES["RV cavity"]
            out[k, i][far < outer] = STRUCTURES["LV myocardium"]
            out[k, i][far < cavity] = STRUCTURES["LV cavity"]
    return out if apex_first else out[::-1]


def stack(labels: np.ndarray, **geometry: Any) -> Segmentation:
    """A short-axis segmentation; 2 x 2 mm pixels and 8 mm steps unless told."""
    planes = len(labels)
    known: dict[str, Any] = {
        "spacing_mm": (2.0, 2.0),
        "slice_positions_mm": np.arange(planes) * 8.0,
        "attributes": {"HeartRate": 60.0},
    }
    cine = Cine(View.SAX, np.zeros(labels.shape, np.uint8), source="test", **{**known, **geometry})
    return Segmentation(cine, labels, ("LV cavity", "LV myocardium", "RV cavity"), source="test")


@pytest.fixture(scope="session")
def make_bullet() -> Callable[..., np.ndarray]:
    return bullet


@pytest.fixture(scope="session")
def make_stack() -> Callable[..., Segmentation]:
    return stack


@pytest.fixture(scope="session")
def beat() -> np.ndarray:
    """Volume shares of a beat of 20 phases: end-systole (0.4) at phase 7, end-diastole (1.0) at the last."""
    return np.array([0.98, 0.9, 0.78, 0.65, 0.54, 0.46, 0.42, 0.40, 0.44, 0.55, 0.68, 0.77, 0.82, 0.84, 0.85, 0.86,
                     0.87, 0.9, 0.96, 1.0])  # fmt: skip


@pytest.fixture(scope="session")
def phantom_heart() -> tuple[Any, list[Segmentation]]:
    """(parameters, segmentations of SAX, 2CH and 4CH) of a heart whose second segment is twice as thick; its planes
    are planned and not painted, since only labels are wanted."""
    from cardiolens.phantom import HeartParameters, masks
    from cardiolens.phantom.anatomy.planes import long_axis_plane, short_axis_planes

    heart = HeartParameters(segment_thickness=(1.0, 2.0, *(1.0,) * 15), roll_deg=12.0)
    rng, phases, field = np.random.default_rng(5), 15, {"matrix": 160, "field_mm": 300.0}
    out = []
    for view in (View.SAX, View.CH2, View.CH4):
        if view is View.SAX:
            planes = short_axis_planes(heart, rng, n=14, step_mm=8.0, **field)
        else:
            planes = long_axis_plane(heart, view, rng, **field)
        cine = Cine(
            view,
            np.zeros((len(planes.corner), phases, planes.rows, planes.cols), np.uint8),
            spacing_mm=(planes.spacing_mm, planes.spacing_mm),
            slice_positions_mm=planes.positions_mm,
            trigger_times_ms=np.tile(np.arange(phases) / phases * heart.rr_ms, (len(planes.corner), 1)),
            affine=planes.affine,
            attributes={"HeartRate": heart.heart_rate},
        )
        out.append(Segmentation(cine, masks(heart, cine), source="phantom"))
    return heart, out

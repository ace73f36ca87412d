"""Looking at rendered pixels at places of the heart: what `phantom_conditions.py` measures with.

A `Look` samples the images of one rendered study at points in heart coordinates (see
`phantom.anatomy.planes`).  The anatomy tells only where to look; every figure is made of pixels.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation, binary_erosion, map_coordinates

from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.anatomy.sampling import FlatTables, Sampler
from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.vessels import GreatVessels, great_vessels
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import Mass
from cardiolens.phantom.mr import Contrast
from cardiolens.phantom.painting.canvas import Canvas
from cardiolens.phantom.painting.masses import lump_of
from cardiolens.phantom.render import SHIFTS, render_study
from cardiolens.phantom.truth.on_images import masks
from cardiolens.study import View

FloatArray = npt.NDArray[np.float64]
PHASES, MATRIX = 12, 160
DARK = 0.68  # half way from muscle to blood


class Look:
    """One heart, rendered in some views.

    Attributes:
        ed, es, peak, open: frames at end-diastole, end-systole, mid ejection, and with the mitral valve widest open.
    """

    def __init__(self, parameters: HeartParameters, seed: int, views: tuple[View, ...]) -> None:
        self.p, self.seed = parameters, seed
        self.study = render_study(parameters, seed=seed, matrix=MATRIX, phases=PHASES, views=views)
        self.anatomy, self._frame = anatomy_of(parameters), heart_frame(parameters)
        self.flat = FlatTables(self.anatomy.tables(np.arange(PHASES) / PHASES))
        self.tables, beat = self.flat.source, beat_times(parameters)
        self.ed, self.es = 0, round(beat.end_systole * PHASES)
        self.peak = round(0.5 * (beat.ejection + beat.end_systole) * PHASES)
        self.open = int(np.argmax(self.tables.opening))
        self._planes = {cine.view: _geometry(cine) for cine in self.study.cines}
        self._frames = {cine.view: cine.frames.astype(np.float32) for cine in self.study.cines}
        self._labels: dict[View, npt.NDArray[np.uint8]] = {}

    def signal(self, view: View, points: FloatArray, i: int, reach_mm: float = 6.0) -> FloatArray:
        """Signal (...,) in units of LV blood at heart points (..., 3) in frame i, in the nearest plane; NaN further
        than `reach_mm` from any plane or outside the image."""
        if view not in self._planes:
            return np.full(points.shape[:-1], np.nan)
        return self._raw(view, points, i, reach_mm) / self.blood[view]

    def any_view(self, points: FloatArray, i: int, reach_mm: float = 5.0) -> FloatArray:
        """`signal` of all views that cut the points, those of each view after one another."""
        return np.concatenate([self.signal(view, points, i, reach_mm).ravel() for view in self._planes])

    @cached_property
    def blood(self) -> dict[View, float]:
        """Median signal about the long axis of the LV at end-diastole."""
        z = -np.linspace(0.15, 0.6, 12)[:, None] * self.anatomy.length
        x, y = self.anatomy.centre(z)
        off = np.array([-7.0, -3.5, 0.0, 3.5, 7.0])
        points = np.stack(np.broadcast_arrays(x + off, y + 0.3 * off, z + 0 * off), axis=-1)
        return {view: float(np.nanmedian(self._raw(view, points, 0, 8.0))) for view in self._planes}

    def _raw(self, view: View, points: FloatArray, i: int, reach_mm: float) -> FloatArray:
        corners, right, down, spacing = self._planes[view]
        normal = np.cross(right, down)
        place = self._frame.to_patient(points)
        off = (place[..., None, :] - corners) @ normal
        k = np.abs(off).argmin(-1)
        away = place - corners[k]
        row, col = away @ down / spacing, away @ right / spacing
        out = np.full(points.shape[:-1], np.nan)
        rows, cols = self._frames[view].shape[-2:]
        near = np.abs(np.take_along_axis(off, k[..., None], -1)[..., 0]) <= reach_mm
        near &= (row >= 0) & (row <= rows - 1) & (col >= 0) & (col <= cols - 1)
        for plane in np.unique(k[near]):
            there = near & (k == plane)
            image = self._frames[view][plane, i % PHASES]
            out[there] = map_coordinates(image, [row[there], col[there]], order=1)
        return out

    def normal(self, view: View) -> FloatArray:
        """Normal of a view's planes in heart coordinates."""
        _, right, down, _ = self._planes[view]
        return np.asarray(np.cross(right, down) @ self._frame.axes)

    # -- places --------------------------------------------------------------------------------------------------------

    @cached_property
    def canvas(self) -> Canvas:
        """A canvas of one point, for its places."""
        point = np.zeros((1, 3), dtype=np.float32)
        return Canvas(self.anatomy, self.flat, Sampler(self.anatomy, point), point, point[:, 0], Contrast(), 2.0)

    def vessels(self, i: int) -> GreatVessels:
        return great_vessels(self.anatomy, float(self.tables.share[i % PHASES]))

    def mass_centre(self, mass: Mass, i: int) -> FloatArray:
        """Where the centre of such a mass lies in this heart, whether it has one or not."""
        return np.asarray(lump_of(self.canvas, mass).centre(i % PHASES))

    def radius(self, name: str, degrees: FloatArray, z: FloatArray, i: int) -> FloatArray:
        """Radius (mm) of a surface of `Tables` ("endo2", "rv", ...) at angles and heights (n,)."""
        n = np.round(degrees / 360.0 * N_ANGLES).astype(int) % N_ANGLES
        k = np.clip(np.round((z - self.anatomy.heights[0]) / STEP_MM).astype(int), 0, len(self.anatomy.heights) - 1)
        value = getattr(self.tables, name)[n, k, i % PHASES]
        return np.sqrt(np.maximum(value, 0.0)) if name.endswith("2") else value

    def ring(self, degrees: FloatArray, radius: FloatArray, z: FloatArray) -> FloatArray:
        """Heart points (..., 3) at angles, distances from the long axis and heights."""
        x, y = self.anatomy.centre(z)
        angle = np.deg2rad(degrees)
        return np.stack(np.broadcast_arrays(x + radius * np.cos(angle), y - radius * np.sin(angle), z), axis=-1)

    def heights(self, low: float, high: float, i: int) -> FloatArray:
        """Heights (n,) of the short-axis planes between two shares of the inner LV length."""
        corners, right, down, spacing = self._planes[View.SAX]
        rows, cols = self._frames[View.SAX].shape[-2:]
        middle = corners + 0.5 * spacing * (rows * down + cols * right)
        z = self._frame.to_heart(middle)[:, 2]
        mitral = float(self.tables.mitral_z[i % PHASES])
        length = self.anatomy.inner_share * float(
            self.anatomy.lv_length(self.tables.share[i % PHASES : i % PHASES + 1])[0]
        )
        u = (mitral - z) / length
        return z[(u >= low) & (u <= high)]

    # -- areas ---------------------------------------------------------------------------------------------------------

    def bright_area(self, view: View, chamber: int, i: int) -> float:
        """Area (cm2, all planes) of pixels like blood in a chamber's mask grown by a pixel, other chambers left out."""
        label, images = self._label(view)[:, i % PHASES], self._frames[view][:, i % PHASES]
        spacing, count = self._planes[view][3], 0
        for mask, image in zip(label, images, strict=True):
            where = binary_dilation(mask == chamber) & ((mask == chamber) | (mask == 0))
            if where.any():
                count += int((image[where] > DARK * self._reference(image, mask == chamber, view)).sum())
        return count * spacing**2 / 100.0

    def dark_share(self, view: View, chamber: int, i: int, below: float = 0.8) -> float:
        """Share of a chamber, two pixels from its wall, that is darker than blood."""
        mask = binary_erosion(self._label(view)[0, i % PHASES] == chamber, iterations=2)
        image = self._frames[view][0, i % PHASES]
        return float((image[mask] < below * self._reference(image, mask, view)).mean()) if mask.sum() > 5 else np.nan

    def _reference(self, image: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], view: View) -> float:
        """Blood in this chamber: the ninth decile, so that a mass in it does not count."""
        return float(np.percentile(image[mask], 80)) if mask.sum() > 8 else self.blood[view]

    def _label(self, view: View) -> npt.NDArray[np.uint8]:
        if view not in self._labels:
            self._labels[view] = masks(self.p, next(c for c in self.study.cines if c.view == view))
        return self._labels[view]


def _geometry(cine) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Corners (slice, 3) with the breath-holds' shifts, right, down (3,) and spacing; patient mm."""
    right, down = (cine.affine[:3, k] / np.linalg.norm(cine.affine[:3, k]) for k in (0, 1))
    corners = cine.affine[:3, 3] + np.arange(cine.n_slices)[:, None] * cine.affine[:3, 2]
    shifts = [[float(v) for v in plane.split(",")] for plane in str(cine.attributes[SHIFTS]).split(";")]
    return corners + np.array(shifts), right, down, float(cine.spacing_mm[0])


def mean(values: FloatArray) -> float:
    """Of what is not NaN; NaN if nothing is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def run(profile: FloatArray, step_mm: float, start: int, bright: bool, level: float) -> tuple[float, float]:
    """Width (mm) of the stretch about index `start` that stays above (or below) a level, and its middle's distance
    (mm) from the start; NaN if it is not so at the start."""
    inside = profile > level if bright else profile < level
    if not inside[start]:
        return np.nan, np.nan
    outside = np.flatnonzero(~inside)
    low = outside[outside < start].max(initial=-1)
    high = outside[outside > start].min(initial=len(profile))
    return float((high - low - 1) * step_mm), float((0.5 * (high + low) - start) * step_mm)

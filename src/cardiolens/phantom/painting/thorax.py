"""What lies about the heart and does not move with it: chest wall, lungs, liver, stomach, spine, great veins, aorta."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy.planes import HeartFrame, Planes, heart_frame
from cardiolens.phantom.anatomy.solids import Image, capsule, ellipsoid
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.mr.contrast import Contrast
from cardiolens.phantom.mr.texture import look_up, texture_volume
from cardiolens.phantom.painting.brush import cover, ink, paint

_WALL_MM = 13.0


class Thorax:
    """The still part of one patient."""

    def __init__(self, parameters: HeartParameters) -> None:
        p = parameters
        rng = np.random.default_rng([p.body_seed, 3])
        self._fat_mm = p.subcutaneous_fat_mm
        lean = 0.45 * (p.height_cm - 170.0)
        self.half_width = 124.0 + lean + 0.9 * p.subcutaneous_fat_mm + _WALL_MM + rng.normal(0, 4)
        self.half_depth = 78.0 + 0.4 * lean + 0.9 * p.subcutaneous_fat_mm + _WALL_MM + rng.normal(0, 3)
        self._dome = rng.normal([-50.0, 28.0, 6.0], [4.0, 5.0, 5.0])
        self._rib_phase, self._disc_phase = rng.uniform(0, 30.0, 2)
        self._stomach = np.array([78.0, -20.0, -112.0]) + rng.normal(0, 8, 3)
        self._gas = rng.random() < 0.6
        self._liver_edge = rng.normal(45.0, 15.0)
        self.frame: HeartFrame = heart_frame(p)
        self._make_room(p)
        self._spine_y = self.half_depth - 0.8 * self._fat_mm - 38.0
        self.texture = texture_volume(rng)
        self._vessels = self._lung_vessels(rng)
        self._pleural_mm, self._wires = p.pleural_effusion_mm, p.surgery.wires
        self._wire_z = np.arange(-70.0, 60.0, 26.0) + rng.normal(0.0, 4.0, 5)
        self._right_atrium = self.frame.to_patient(np.array([-46.0, 12.0, 22.0]))
        self._left_atrium = self.frame.to_patient(np.array([8.0, 8.0, 28.0]))

    @property
    def front_y(self) -> float:
        """Patient y (mm) of the skin in front."""
        return -self.half_depth

    def grain(self, points: Image) -> dict[str, Image]:
        """Small differences from place to place at patient points (n, 3): unit deviation, at four scales."""
        scales = {"speckle": 3.0, "middle": 9.0, "slow": 11.0, "vessel": 14.0}
        return {name: look_up(self.texture, points + 3.0 * mm, mm) for name, mm in scales.items()}

    def render(
        self, points: Image, grain: dict[str, Image], contrast: Contrast, width_mm: float
    ) -> tuple[Image, Image]:
        """Signal and share of lung at patient points (n, 3), without heart, shading or noise."""
        x, y, z = (np.ascontiguousarray(points[:, i]) for i in range(3))
        speckle = grain["speckle"]
        skin, inner = self._walls(x, y, z)
        image = np.zeros(len(points), dtype=np.float32)
        paint(image, contrast.fat, cover(skin, width_mm))
        self._chest_wall(image, inner, (x, y, z), contrast, width_mm, speckle)
        lung_value = contrast.lung * (1.0 + 0.35 * speckle)
        dome = self._diaphragm(x, y, inner)
        lung = cover(np.minimum(inner, z - dome), width_mm)
        paint(image, np.maximum(lung_value, 0.0), lung)
        if self._pleural_mm > 0:  # it gathers behind, the patient lying on the back
            depth = np.minimum(np.minimum(inner, z - dome), self._pleural_mm * np.clip(y / 60.0, 0.0, 1.3) - inner)
            paint(image, contrast.pleural_fluid, cover(depth, width_mm))
        self._abdomen(image, points, np.minimum(inner - 2.0, dome - z), contrast, width_mm, grain)
        self._middle(image, points, contrast, width_mm, grain)
        image *= 1.0 + 0.04 * speckle
        if self._wires:
            self._void_wires(image, points, contrast)
        return image, lung

    def _void_wires(self, image: Image, points: Image, contrast: Contrast) -> None:
        """Steel loops that close the sternum: each a void some way into the chest."""
        reach = 3.0 + contrast.void_bloom
        near = np.flatnonzero((np.abs(points[:, 0]) < 30.0) & (points[:, 1] < self.front_y + self._fat_mm + 60.0))
        if len(near) == 0:
            return
        place = points[near]
        inner = self._walls(place[:, 0], place[:, 1], place[:, 2])[1]
        for z in self._wire_z:
            gap = np.sqrt((place[:, 0] / 1.2) ** 2 + (inner + 6.0) ** 2 + (0.9 * (place[:, 2] - z)) ** 2)
            image[near] *= 1.0 - np.clip((reach - gap) / 3.0, 0.0, 1.0)

    def _walls(self, x: Image, y: Image, z: Image) -> tuple[Image, Image]:
        """Depth (mm) below the skin and below the inner chest wall, negative outside."""
        rise = np.minimum(
            (z + 20.0 + np.sqrt((z + 20.0) ** 2 + 2500.0)) / 380.0, 1.3
        )  # the chest narrows and its front leans back towards the neck
        shape = np.abs(x / (self.half_width * (1.0 - 0.3 * rise * rise))) ** 2.4
        shape = shape + np.abs((y - 14.0 * rise) / (self.half_depth * (1.0 - 0.24 * rise))) ** 2.4
        skin = (1.0 - shape ** np.float32(1 / 2.4)) * np.float32(self.half_depth)
        behind = np.clip(y / 50.0, 0.0, 1.0)
        inner = skin - self._fat_mm * (1.0 - 0.25 * behind) - _WALL_MM
        return skin, inner - 26.0 * np.exp(-((x / 48.0) ** 2)) * behind

    def _make_room(self, parameters: HeartParameters) -> None:
        """Widen the chest until apex and RV free wall lie inside it."""
        depth, side = parameters.lv_length_mm, 0.7 * (parameters.rv_edv_ml + parameters.lv_edv_ml) ** (1 / 3) * 10.0
        tips = np.array([[0.0, 8.0, -depth - 6.0], [-side, 6.0, -0.45 * depth], [-0.4 * side, -10.0, -0.8 * depth]])
        tips = self.frame.to_patient(tips).astype(np.float32)
        for _ in range(40):
            if float(self._walls(tips[:, 0], tips[:, 1], tips[:, 2])[1].min()) > 5.0:
                break
            self.half_depth += 2.0
            self.half_width += 1.5

    def _diaphragm(self, x: Image, y: Image, inner: Image) -> Image:
        low, right, left = self._dome
        height = low + right * np.exp(-(((x + 72.0) / 70.0) ** 2) - ((y - 5.0) / 85.0) ** 2)
        height = height + left * np.exp(-(((x - 80.0) / 45.0) ** 2) - ((y - 10.0) / 70.0) ** 2)
        return np.asarray(height - 70.0 * np.clip(1.0 - inner / 45.0, 0.0, 1.5) ** 2, dtype=np.float32)

    def _chest_wall(
        self,
        image: Image,
        inner: Image,
        xyz: tuple[Image, Image, Image],
        contrast: Contrast,
        width: float,
        speckle: Image,
    ) -> None:
        """Muscle layers with fat between them, and ribs that slope forward and down."""
        x, y, z = xyz
        muscle = inner + _WALL_MM
        paint(image, contrast.skeletal * (1.0 + 0.12 * speckle), cover(muscle, width))
        ink(image, muscle, contrast.ink)
        between = 1.0 - np.abs(inner + 6.5 + 1.2 * speckle)
        paint(image, 0.6 * contrast.fat, 0.7 * cover(between, 2.0))
        slope = z - 0.35 * y + 0.12 * np.abs(x) + self._rib_phase
        rib = 7.0 - np.hypot(13.0 * np.sin(slope * np.float32(np.pi / 31.0)), 1.25 * (inner + 5.5)) + 0.8 * speckle
        sternum = 8.0 - np.hypot(0.45 * x, 1.25 * (inner + 6.0))
        rib = np.where(y < 0, np.maximum(np.minimum(rib, np.abs(x) - 26.0), sternum), rib)
        ink(image, rib, 0.45, 2.5)
        paint(image, contrast.marrow * (0.9 + 0.2 * speckle), 0.6 * cover(rib - 1.0, 2.5))
        paint(image, 0.65 * contrast.fat, 0.5 * cover(1.5 + 0.8 * speckle - np.abs(inner), 2.0))

    def _abdomen(
        self, image: Image, points: Image, below: Image, contrast: Contrast, width: float, grain: dict[str, Image]
    ) -> None:
        speckle, slow = grain["speckle"], grain["slow"]
        x, z = points[:, 0], points[:, 2]
        share = cover(below, width)
        belly = np.full(len(points), 0.8 * contrast.fat, dtype=np.float32) * (1.0 + 0.06 * speckle)
        folds = np.minimum(slow - 0.7, 1.2 - slow) * 9.0
        paint(belly, contrast.gut * (1.0 + 0.2 * speckle), 0.7 * cover(folds, 4.0))
        spleen = ellipsoid(points, [112.0, 52.0, -100.0], [30.0, 42.0, 38.0]) + 2.0 * slow
        paint(belly, contrast.spleen, cover(spleen, width))
        stomach = ellipsoid(points, self._stomach, [42.0, 50.0, 40.0]) + 3.0 * slow
        ink(belly, stomach, 0.7, 3.0)
        gas = cover(-(points[:, 1] - self._stomach[1] + 8.0), 2.0) if self._gas else np.zeros_like(belly)
        paint(belly, contrast.gut * (1.2 + 0.3 * speckle) * (1.0 - gas) + 0.03 * gas, cover(stomach - 2.0, width))
        liver = np.minimum(below - 1.0, self._liver_edge - x + 0.25 * (z + 80.0) + 3.0 * slow)
        vessel = np.hypot(grain["vessel"], grain["middle"])
        tone = contrast.liver * (1.0 + 0.05 * speckle + 0.7 * np.clip(0.5 - vessel, 0.0, 0.25) / 0.25)
        ink(belly, liver, 0.5 * contrast.ink)
        paint(belly, tone, cover(liver, width))
        paint(image, belly, share)
        ink(image, below, 0.75 * contrast.ink, 2.0)

    def _middle(self, image: Image, points: Image, contrast: Contrast, width: float, grain: dict[str, Image]) -> None:
        """Mediastinal fat, great veins, pulmonary arteries and veins near the heart, descending aorta and spine."""
        heart = self.frame.to_heart(points.astype(np.float64)).astype(np.float32)
        speckle, slow = grain["speckle"], grain["middle"]
        fat = ellipsoid(heart, [-14.0, -6.0, 26.0], [60.0, 50.0, 52.0])
        pad = ellipsoid(heart, [-45.0, 30.0, -52.0], [46.0, 30.0, 46.0])
        column = 36.0 - np.hypot(points[:, 0] - 2.0, (points[:, 1] - 16.0) * 0.62)
        column = np.minimum(column, 0.5 * (points[:, 2] - 5.0))
        fat = np.maximum(np.maximum(fat, pad), column) + 5.0 * slow
        tone = contrast.epicardial_fat * (0.8 + 0.07 * speckle + 0.10 * slow)
        ink(image, fat, 0.5, 2.0)
        paint(image, tone, cover(fat, 2.5))
        y = self._spine_y
        body = np.maximum(19.0 - np.hypot(points[:, 0], (points[:, 1] - y) * 1.15), -20.0)
        disc = np.cos((points[:, 2] + self._disc_phase) * np.float32(2 * np.pi / 27.0)) > 0.88
        paint(
            image, np.where(disc, 0.3, contrast.marrow * (1.0 + 0.08 * speckle)).astype(np.float32), cover(body, width)
        )
        ink(image, body, 0.8, 2.0)
        canal = 8.0 - np.hypot(points[:, 0], points[:, 1] - y - 25.0)
        paint(image, 1.1, cover(canal, width))
        paint(image, 0.5, cover(canal - 3.5, width))
        ra, la = self._right_atrium, self._left_atrium
        tubes: list[tuple[npt.ArrayLike, npt.ArrayLike, tuple[float, float]]] = [
            ([ra[0] - 4, ra[1] + 4, ra[2] + 15], [ra[0] - 6, ra[1] - 2, 150.0], (10.0, 9.0)),
            ([ra[0], ra[1] + 10, ra[2] - 15], [ra[0] + 2, ra[1] + 18, -170.0], (11.0, 11.0)),
            (la + np.array([12.0, 6.0, 6.0]), la + np.array([52.0, 22.0, 22.0]), (7.0, 4.5)),
            (la + np.array([12.0, 10.0, -10.0]), la + np.array([50.0, 34.0, -16.0]), (6.5, 4.0)),
            (la + np.array([-18.0, 4.0, 8.0]), la + np.array([-60.0, 8.0, 20.0]), (7.0, 4.5)),
            (la + np.array([-18.0, 8.0, -8.0]), la + np.array([-58.0, 26.0, -14.0]), (6.5, 4.0)),
            ([27.0, y - 17.0, -170.0], [24.0, y - 20.0, 90.0], (10.0, 12.0)),
        ]
        for start, end, radius in tubes:
            if float(capsule(points[::61], start, end, radius).max()) < -20.0:
                continue  # far from this plane
            distance = capsule(points, start, end, radius)
            ink(image, distance + 1.0, 0.8, 2.0)
            paint(image, contrast.right_blood * (1.0 + 0.05 * speckle), cover(distance, width))

    def _lung_vessels(self, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Beads (n, 4) of x, y, z, radius along branches that leave the hila; mm."""
        beads = []
        for side in (-1.0, 1.0):
            hilum = np.array([side * 55.0 + 8.0, 22.0, 15.0])
            for _ in range(260):
                out = rng.normal(0.0, 1.0, 3) * np.array([1.0, 0.9, 1.4])
                far = float(rng.uniform(0.0, 1.0))
                start = hilum + out / np.linalg.norm(out) * (8.0 + 95.0 * far)
                heading = out + rng.normal(0.0, 0.7, 3)
                heading /= np.linalg.norm(heading)
                length = rng.uniform(10.0, 35.0)
                t = np.arange(0.0, 1.0, 1.8 / length)[:, None]
                path = start + heading * length * t + rng.normal(0.0, 6.0, 3) * t * t
                radius = (3.2 - 2.3 * far) * rng.uniform(0.5, 1.0) * (1.0 - 0.5 * t)
                beads.append(np.hstack([path, radius]))
        return np.vstack(beads)

    def add_lung_vessels(
        self, image: Image, lung: Image, planes: Planes, k: int, shift: npt.ArrayLike, thickness_mm: float, value: float
    ) -> None:
        """Draw the vessels that cross plane k into `image` (row, col), inside the lung only."""
        away = self._vessels[:, :3] - np.asarray(shift) - planes.corner[k]
        depth = np.abs(away @ planes.normal)
        radius = self._vessels[:, 3]
        hit = depth < radius + 0.3 * thickness_mm
        col, row = away[hit] @ planes.right / planes.spacing_mm, away[hit] @ planes.down / planes.spacing_mm
        size = np.maximum(radius[hit] / planes.spacing_mm, 0.45)
        share = np.minimum(1.0, 1.6 * radius[hit] / thickness_mm)
        inside = (col > 3) & (row > 3) & (col < planes.cols - 4) & (row < planes.rows - 4)
        layer = np.zeros_like(image)
        for c, r, s, a in zip(col[inside], row[inside], size[inside], share[inside], strict=True):
            c0, r0 = round(c), round(r)
            window = layer[r0 - 3 : r0 + 4, c0 - 3 : c0 + 4]
            d = np.hypot(np.arange(r0 - 3, r0 + 4)[:, None] - r, np.arange(c0 - 3, c0 + 4)[None] - c)
            np.maximum(window, a * np.clip(s - d + 0.5, 0.0, 1.0), out=window)
        image += lung * layer * (value - image)

"""Masses: each goes with the part of the heart that it is attached to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from cardiolens.phantom.anatomy.sampling import Surfaces
from cardiolens.phantom.anatomy.shapes import N_ANGLES, STEP_MM
from cardiolens.phantom.anatomy.solids import Image, ellipsoid
from cardiolens.phantom.anatomy.vessels import great_vessels
from cardiolens.phantom.heart.parts import MASS_SITES, Mass
from cardiolens.phantom.painting.brush import cover, ink
from cardiolens.phantom.painting.canvas import Canvas, Point


class Lump(ABC):
    """An uneven ellipsoid; each site says where its centre is, and some what else there is."""

    def __init__(self, canvas: Canvas, mass: Mass) -> None:
        self._c, self._mass = canvas, mass
        p = canvas.anatomy.parameters
        rng = np.random.default_rng([p.body_seed, 5, MASS_SITES.index(mass.site), round(10 * mass.size_mm)])
        self._flat = 1.0 - rng.uniform(0.1, 0.4, 3) * np.array([0.3, 1.0, 1.0])
        self._angle = float(rng.normal(0.0, 12.0))
        phases = (0, int(np.argmax(canvas.tables.share)), int(np.argmax(canvas.tables.opening)))
        middle = np.mean([self.centre(i) for i in phases], axis=0)
        self._at = canvas.near(middle, 0.62 * mass.size_mm + 20.0 + 20.0 * mass.mobile)
        self._tone = self._signal()

    @abstractmethod
    def centre(self, i: int) -> Point:
        """Heart mm of its centre at phase i."""

    def _signal(self) -> Image:
        c, kind = self._c.contrast, self._mass.kind
        value = {
            "thrombus": c.thrombus,
            "myxoma": c.myxoma,
            "tumor": c.tumor,
            "cyst": c.cyst,
            "lipoma": c.fat,
            "vegetation": c.thrombus,
        }[kind]
        rough = {"myxoma": 0.2, "tumor": 0.16}.get(kind, 0.05)
        return np.asarray(value * (1.0 + rough * self._c.speckle[self._at]))

    def _shape(self, s: Surfaces, i: int) -> Image:
        """Signed distance (mm, positive inside) at the points that it may touch."""
        at, c = self._at, self._c
        radii = 0.5 * self._mass.size_mm * self._flat
        return np.asarray(ellipsoid(c.points[at], self.centre(i), radii) + 0.9 * c.speckle[at])

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        shape = self._shape(s, i)
        if self._mass.kind in ("lipoma", "cyst", "tumor"):
            border = image[at]
            ink(border, shape, 0.5 * c.contrast.ink, 1.8)
            image[at] = border
        image[at] += cover(shape, 1.3 * c.width) * (self._tone - image[at])


class ApicalClot(Lump):
    """It fills the apex of the LV up to an uneven, slanting top."""

    def centre(self, i: int) -> Point:
        return self._c.on_ring(20.0 + self._angle, 3.0, self._apex(i) + 0.42 * self._mass.size_mm)

    def _apex(self, i: int) -> float:
        """Height (mm) of the inner apex at phase i."""
        a, t = self._c.anatomy, self._c.tables
        return float(t.mitral_z[i] - a.inner_share * a.lv_length(t.share[i : i + 1])[0])

    def _shape(self, s: Surfaces, i: int) -> Image:
        at, c, size = self._at, self._c, self._mass.size_mm
        inner = np.sqrt(np.maximum(s.endo2[at], 0.0)) - c.at.radius[at] + 1.0
        turn = np.deg2rad(20.0 + self._angle)
        slant = 0.35 * (np.cos(turn) * c.at.x[at] - np.sin(turn) * c.at.y[at])
        top = self._apex(i) + 0.62 * size + slant + 1.2 * c.speckle[at] - c.points[at][:, 2]
        return np.asarray(np.minimum(inner, top))


class LvWallMass(Lump):
    """In the lateral wall of the LV."""

    def centre(self, i: int) -> Point:
        return self._c.wall_point(15.0 + self._angle, 0.45, i)


class RvWallMass(Lump):
    """At the free wall of the RV, mostly within."""

    def centre(self, i: int) -> Point:
        c, a, t = self._c, self._c.anatomy, self._c.tables
        z = -0.45 * a.length - 0.3 * a.parameters.tapse_mm * float(t.share[i])
        k = int((z - a.heights[0]) / STEP_MM)
        n = round((205.0 + self._angle) / 360.0 * N_ANGLES) % N_ANGLES
        return c.on_ring(205.0 + self._angle, float(t.rv[n, k, i]) - 0.2 * self._mass.size_mm, z)


class PericardialMass(Lump):
    """Outside the pericardium, at the right heart border, where it rests."""

    def centre(self, i: int) -> Point:
        c, a, t = self._c, self._c.anatomy, self._c.tables
        z, degrees = -0.3 * a.length, 222.0 + self._angle
        k = int((z - a.heights[0]) / STEP_MM)
        n = round(degrees / 360.0 * N_ANGLES) % N_ANGLES
        return c.on_ring(degrees, float(np.sqrt(t.fluid2[n, k].max())) + 0.36 * self._mass.size_mm, z)


class AtrialSeptumMass(Lump):
    """In the left atrium on a stalk from the septum; a mobile one swings through the mitral valve."""

    def centre(self, i: int) -> Point:
        a, t, mass = self._c.anatomy, self._c.tables, self._mass
        wide = float(np.sqrt(max(float(t.la2[:, i].max()), 1.0)))
        swing, room = 26.0 * mass.mobile * float(t.opening[i]), max(wide - 0.45 * mass.size_mm, 2.0)
        z = float(t.mitral_z[i]) + 0.5 * mass.size_mm + 6.0 - swing
        return np.array([a.left_atrium.centre_x(wide) - room, a.left_atrium.y, z])


class AppendageClot(Lump):
    """In the left atrial appendage, a pouch of blood that holds it."""

    def centre(self, i: int) -> Point:
        left, t = self._c.anatomy.left_atrium, self._c.tables
        wide = float(np.sqrt(max(float(t.la2[:, i].max()), 1.0)))
        return np.array([left.centre_x(2.0 * wide) - 1.0, left.y - 13.0, float(t.mitral_z[i]) + 16.0])

    def draw(self, image: Image, s: Surfaces, i: int) -> None:
        at, c = self._at, self._c
        pouch = ellipsoid(c.points[at], self.centre(i), 0.62 * self._mass.size_mm + np.array([5.0, 4.0, 4.0]))
        image[at] += cover(pouch, c.width) * (c.contrast.blood - image[at])
        super().draw(image, s, i)


class RightAtrialMass(Lump):
    """At the free wall of the right atrium."""

    def centre(self, i: int) -> Point:
        right, t = self._c.anatomy.right_atrium, self._c.tables
        wide = float(np.sqrt(max(float(t.ra2[:, i].max()), 1.0)))
        room = max(wide - 0.35 * self._mass.size_mm, 2.0)
        return np.array([right.centre_x(wide) - room, right.y, 0.5 * (right.roof + float(t.tricuspid_z[i]))])


class MitralVegetation(Lump):
    """On the mitral valve; a mobile one goes with the inflow."""

    def centre(self, i: int) -> Point:
        t = self._c.tables
        return np.array([5.0, 2.0, float(t.mitral_z[i]) + 3.0 - 8.0 * self._mass.mobile * float(t.opening[i])])


class AorticVegetation(Lump):
    """On the aortic valve."""

    def centre(self, i: int) -> Point:
        return np.asarray(great_vessels(self._c.anatomy, float(self._c.tables.share[i])).annulus)


_AT: Mapping[str, type[Lump]] = MappingProxyType(
    {
        "LV apex": ApicalClot,
        "LV wall": LvWallMass,
        "RV wall": RvWallMass,
        "LA septum": AtrialSeptumMass,
        "LA appendage": AppendageClot,
        "RA wall": RightAtrialMass,
        "mitral valve": MitralVegetation,
        "aortic valve": AorticVegetation,
        "pericardium": PericardialMass,
    }
)


def lump_of(canvas: Canvas, mass: Mass) -> Lump:
    """The mass as it is drawn at its site."""
    return _AT[mass.site](canvas, mass)

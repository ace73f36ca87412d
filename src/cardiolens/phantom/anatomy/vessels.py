"""The great vessels where they leave the heart: aortic root, ascending aorta and arch, pulmonary trunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy.solids import Image, capsule
from cardiolens.phantom.anatomy.whole_heart import Anatomy

Point = npt.NDArray[np.float64]
_OVERRIDE_MM = 22.0  # how far an aorta that rides wholly over the RV starts from its place


@dataclass(frozen=True, eq=False)
class GreatVessels:
    """Centre lines (heart mm) and radii at one moment.

    Attributes:
        annulus, sinus, bend, arch: along the aorta; `annulus` is where its valve lies.
        trunk, fork: pulmonary valve, and where its trunk ends.
        radii: of annulus, sinus, ascending aorta, pulmonary valve and trunk.
    """

    annulus: Point
    sinus: Point
    bend: Point
    arch: Point
    trunk: Point
    fork: Point
    radii: tuple[float, float, float, float, float]

    @property
    def aortic_axis(self) -> Point:
        """Unit vector out of the LV through the aortic valve."""
        along = self.sinus - self.annulus
        return np.asarray(along / np.linalg.norm(along))

    @property
    def pulmonary_axis(self) -> Point:
        """Unit vector out of the RV through the pulmonary valve."""
        along = self.fork - self.trunk
        return np.asarray(along / np.linalg.norm(along))

    def distances(self, points: Image) -> tuple[Image, Image]:
        """Signed distances (mm, positive inside) of points (n, 3) to aorta and pulmonary trunk."""
        annulus, sinus, ascending, valve, trunk = self.radii
        aorta = capsule(points, self.annulus, self.sinus, (annulus, sinus))
        aorta = np.maximum(aorta, capsule(points, self.sinus, self.bend, (sinus, ascending)))
        aorta = np.maximum(aorta, capsule(points, self.bend, self.arch, (ascending, 0.95 * ascending)))
        return aorta, capsule(points, self.trunk, self.fork, (valve, trunk))


def great_vessels(anatomy: Anatomy, share: float) -> GreatVessels:
    """The vessels when `share` of the stroke volume is out."""
    p, v = anatomy.parameters, anatomy.parameters.vessels
    size = (p.lv_edv_ml / 160.0) ** (1 / 3)
    base = float(anatomy.mitral_z(np.array([share]))[0])
    annulus = np.array([-11.0 * size - _OVERRIDE_MM * v.override, -13.0 * size, base - 3.0])
    sinus = annulus + np.array([-6.0, -5.0, 20.0])
    bend = sinus + np.array([-7.0, -14.0, 26.0]) + [0.0, 0.0, 0.5 * p.mapse_mm * share]
    arch = bend + np.array([14.0, -75.0, 34.0])
    trunk = np.array([-20.0, -46.0 * size, 16.0 - 0.4 * p.tapse_mm * share])
    fork = np.array([4.0, -48.0 * size, 56.0])
    root, ascending, pulmonary = (0.5 * d for d in (v.aortic_root_mm, v.ascending_aorta_mm, v.pulmonary_trunk_mm))
    return GreatVessels(
        annulus, sinus, bend, arch, trunk, fork, (0.5 * root + 4.0, root, ascending, 0.5 * pulmonary + 6.0, pulmonary)
    )

"""What an ultrasound image says of its parts: `SequenceOfUltrasoundRegions` (DICOM PS3.3 C.8.5.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cardiolens.dicom.tags import Tags

SPATIAL = {0: "no spatial format", 1: "2D", 2: "M-mode", 3: "spectral", 4: "wave form", 5: "graphics"}
DATA = {
    0: "nothing",
    1: "tissue",
    2: "colour flow",
    3: "pulsed-wave Doppler",
    4: "continuous-wave Doppler",
    5: "Doppler mean trace",
    6: "Doppler mode trace",
    7: "Doppler maximum trace",
    8: "volume trace",
    10: "ECG trace",
    11: "pulse trace",
    12: "phonocardiogram",
    13: "grey bar",
    14: "colour bar",
    15: "integrated backscatter",
    16: "area trace",
    17: "d(area)/dt",
    18: "another physiological trace",
}
_CM = 3  # of PhysicalUnitsXDirection


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes:
        spatial, data: codes of `SPATIAL` and `DATA`.
        box: (first row, first col, last row, last col) in pixels, ends included; None where not given.
        step_cm: (down, across) of a pixel; None where the units are not cm or no step is given.
    """

    spatial: int
    data: int
    box: tuple[int, int, int, int] | None
    step_cm: tuple[float, float] | None

    @property
    def is_tissue(self) -> bool:
        """A grey 2D image."""
        return self.spatial == 1 and self.data in (1, 15)

    @property
    def words(self) -> str:
        """For messages: "2D, tissue"."""
        return f"{SPATIAL.get(self.spatial, self.spatial)}, {DATA.get(self.data, self.data)}"

    def fits(self, rows: int, cols: int) -> bool:
        """Whether the box lies in an image of this size; one that does not was made for another size of it."""
        if self.box is None:
            return False
        top, left, bottom, right = self.box
        return 0 <= top < bottom <= rows and 0 <= left < right <= cols  # a last pixel one too far is common


def read_regions(tags: Tags) -> tuple[Region, ...]:
    """The regions of a data set, in its order; items without a format are left out."""
    return tuple(r for item in tags.items("SequenceOfUltrasoundRegions") if (r := _region(item)) is not None)


def spacing_of(regions: Sequence[Region], rows: int, cols: int) -> tuple[tuple[float, float] | None, str]:
    """(row, col) mm of the only 2D tissue region, or None and why."""
    tissue = [region for region in regions if region.is_tissue]
    if not tissue:
        return None, "no region says how long a pixel is: distances are unknown"
    if len(tissue) > 1:
        return None, "several 2D regions: distances are unknown"
    only = tissue[0]
    if not only.fits(rows, cols):
        return None, (
            f"the 2D region {only.box} lies outside the image of {rows} x {cols}, which was resized since: its "
            "distances do not hold and are left out"
        )
    if only.step_cm is None:
        return None, "the 2D region gives no distance in cm: distances are unknown"
    return (10.0 * only.step_cm[0], 10.0 * only.step_cm[1]), ""


def _region(item: Tags) -> Region | None:
    spatial, data = item.integer("RegionSpatialFormat"), item.integer("RegionDataType")
    if spatial is None or data is None:
        return None
    names = ("RegionLocationMinY0", "RegionLocationMinX0", "RegionLocationMaxY1", "RegionLocationMaxX1")
    ends = [item.integer(name) for name in names]
    box = None if None in ends else (ends[0] or 0, ends[1] or 0, ends[2] or 0, ends[3] or 0)
    units = {item.integer("PhysicalUnitsXDirection"), item.integer("PhysicalUnitsYDirection")}
    steps = [abs(item.number(name) or 0.0) for name in ("PhysicalDeltaY", "PhysicalDeltaX")]
    known = units == {_CM} and all(math.isfinite(step) and step > 0 for step in steps)
    return Region(spatial, data, box, (steps[0], steps[1]) if known else None)

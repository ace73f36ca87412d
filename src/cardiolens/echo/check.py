"""Is this a grey apical loop that a model of EF can read?  Each reason why not has a name.

What is looked at: the regions and the view that the file tells, colour and motion of the pixels, the outline of the
sector.  **Which view the pixels show is not looked at**: parasternal, apical and subcostal loops come through the same
wedge, and telling them apart takes a classifier trained on real loops, which this package has not.  A loop whose file
says nothing of its view passes, and `Checked.view_checked` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiolens.echo.clean import SIZE, clean_loop
from cardiolens.echo.read import EchoLoop, NotUltrasoundError, read_loop
from cardiolens.echo.regions import Region
from cardiolens.echo.sector import FrozenError, Grey, NoSectorError, Sector, find_sector, grey_of
from cardiolens.echo.views import APICAL, FOUR_CHAMBER, VIEWS, ToldView
from cardiolens.errors import ReadError
from cardiolens.io.video import MAX_PIXELS
from cardiolens.volume import Volume

REFUSALS: Mapping[str, str] = MappingProxyType(
    {  # in the order in which they are looked for; the first is what a table shows
        "unreadable": "damaged, truncated, empty, too large, or of a form that cannot be decoded",
        "not_ultrasound": "DICOM of another modality, three-dimensional ultrasound, or no image",
        "still": "one image only",
        "spectral_doppler": "the file has a pulsed- or continuous-wave Doppler region",
        "m_mode": "the file has an M-mode region",
        "colour_doppler": "the file has a colour flow region, or pixels inside the sector are in colours",
        "split_screen": "the file has several 2D regions side by side",
        "non_apical": "the file says that it is a parasternal, subcostal, suprasternal or transoesophageal view",
        "other_apical": "the file says that it is an apical view other than the four-chamber view",
        "frozen": "no pixel changes from image to image",
        "no_sector": "nothing in the images moves as a sector does",
        "other_probe": "what moves is no wedge that is narrow at its top: a linear or curved probe, or no ultrasound",
        "upside_down": "the sector is narrow at its bottom: turn the loop over",
        "no_times": "when the images were taken is unknown, so beats cannot be found",
        "too_short": "shorter than one clip of the model, or than one beat",
    }
)
_COLOURED, _COLOURED_SHARE = 48, 0.004  # spread of R, G, B of a coloured pixel; share of the sector that is flow
_BRIGHT, _TINTED, _ONE_HUE = 64, 0.85, 0.97  # a tint: most bright pixels are coloured, all of nearly one hue
_NARROW = 0.45  # of its largest width, how wide the top of a phased array's sector is at most
_LOOKED_AT = 24


@dataclass(frozen=True)
class Refusal:
    """Why a loop is not read: a name of `REFUSALS`, and what was found."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


@dataclass(frozen=True, eq=False)
class Checked:
    """A file looked at.

    Attributes:
        key: of the file; "" where it could not be opened.
        refused: every reason found, in the order of `REFUSALS`; () for a loop that may be read.
        clean: the loop blanked, cut and small; None where it was refused before.
        sector: where it lies in the stored images; None likewise.
        view: what the file says.
        loop: as stored; None where it could not be read.
    """

    key: str
    refused: tuple[Refusal, ...]
    clean: Volume | None = None
    sector: Sector | None = None
    view: ToldView = field(default_factory=ToldView)
    loop: EchoLoop | None = None

    @property
    def view_checked(self) -> bool:
        """Whether anything says that this is the four-chamber view."""
        return self.view.view == FOUR_CHAMBER


def check_file(path: str | Path, *, size: int = SIZE, max_pixels: int = MAX_PIXELS) -> Checked:
    """Read, check and clean one file; nothing that is in it raises."""
    try:
        loop = read_loop(path, max_pixels=max_pixels)
    except NotUltrasoundError as error:
        return Checked("", (Refusal("not_ultrasound", _without(path, error)),))
    except ReadError as error:
        return Checked("", (Refusal("unreadable", _without(path, error)),))
    return check_loop(loop, size=size)


def check_loop(loop: EchoLoop, *, size: int = SIZE) -> Checked:
    """Check and clean a loop that was read."""
    refused = [*_by_file(loop)]
    if len(loop.volume) < 2:
        refused = [Refusal("still", "one image"), *refused]
        return Checked(loop.key, _ordered(refused), view=loop.view, loop=loop)
    grey = grey_of(loop.volume.images)
    try:
        sector = find_sector(grey, loop.regions)
    except (FrozenError, NoSectorError) as error:
        name = "frozen" if isinstance(error, FrozenError) else "no_sector"
        return Checked(loop.key, _ordered([*refused, Refusal(name, str(error))]), view=loop.view, loop=loop)
    flow = flow_share(loop.volume.images, sector.mask) if loop.volume.in_colour else 0.0
    if flow > _COLOURED_SHARE:
        refused.append(Refusal("colour_doppler", f"{flow:.1%} of the sector is in colours"))
    refused += _outline(sector)
    if loop.volume.times_ms is None:
        refused.append(Refusal("no_times", loop.volume.notes[-1] if loop.volume.notes else "no times"))
    clean = clean_loop(loop.volume, grey, sector, size)
    return Checked(loop.key, _ordered(refused), clean, sector, loop.view, loop)


def _without(path: str | Path, error: ReadError) -> str:
    """The message without the path, which may be a patient's name."""
    return str(error).replace(f"{path}: ", "").replace(str(path), "[file]")


def _ordered(refused: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """By the order of the table, each name once."""
    first: dict[str, Refusal] = {}
    for each in refused:
        first.setdefault(each.name, each)
    return tuple(sorted(first.values(), key=lambda each: list(REFUSALS).index(each.name)))


def _by_file(loop: EchoLoop) -> list[Refusal]:
    """What regions and told view say."""
    found = [Refusal(name, region.words) for region in loop.regions if (name := _of_region(region))]
    tissue = sum(region.is_tissue for region in loop.regions)
    if tissue > 1:
        found.append(Refusal("split_screen", f"{tissue} 2D regions"))
    view = loop.view.view
    if view and view not in APICAL:
        found.append(Refusal("non_apical", loop.view.words))
    elif view and view != FOUR_CHAMBER:
        found.append(Refusal("other_apical", f"{VIEWS[view]}, by {loop.view.by}"))
    return found


def _of_region(region: Region) -> str:
    if region.spatial == 3 or region.data in (3, 4, 5, 6, 7):
        return "spectral_doppler"
    if region.spatial == 2:
        return "m_mode"
    return "colour_doppler" if region.data == 2 else ""


def _outline(sector: Sector) -> list[Refusal]:
    top, bottom = sector.top_width, sector.bottom_width
    if top <= _NARROW:
        return []
    if bottom <= _NARROW:
        return [Refusal("upside_down", f"{top:.0%} of its width at the top, {bottom:.0%} at the bottom")]
    return [Refusal("other_probe", f"the top has {top:.0%} of the largest width")]


def flow_share(images: Grey, mask: npt.NDArray[np.bool_]) -> float:
    """Largest share of the masked pixels (row, col) of any image (image, row, col, 3) that is in colours.

    A tint, where most bright pixels have one and the same hue, is no flow.
    """
    shares = []
    for image in images[:: -(-len(images) // _LOOKED_AT)]:
        pixels = image[mask].astype(np.int16)
        coloured = np.ptp(pixels, axis=1) > _COLOURED
        bright = pixels.max(axis=1) > _BRIGHT
        tinted = bright.any() and coloured[bright].mean() > _TINTED and _one_hue(pixels[coloured])
        shares.append(0.0 if tinted else float(coloured.mean()))
    return max(shares)


def _one_hue(pixels: npt.NDArray[np.int16]) -> bool:
    """Whether coloured pixels (pixel, 3) are all of nearly one hue: the mean of their directions is long."""
    red, green, blue = pixels.T.astype(np.float64)
    hue = np.arctan2(np.sqrt(3.0) * (green - blue), 2.0 * red - green - blue)
    return bool(np.hypot(np.cos(hue).mean(), np.sin(hue).mean()) > _ONE_HUE)

"""How hospitals lay a cine study out in DICOM: which planes share a series, what it is called, how its files are named.

Each style follows the habits of one kind of archive without claiming to come from it: the manufacturer of every file is
"cardiolens phantom", and the style stands in the model name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cardiolens.study import Cine, Study, View

StyleName = Literal["siemens", "ge", "ukb", "enhanced"]
STYLES: tuple[str, ...] = get_args(StyleName)

_LONG_AXIS = (View.CH2, View.CH3, View.CH4)
_DESCRIPTIONS = {
    "siemens": {
        View.SAX: "shortaxis_cine_trufi_retro_b{n}",
        View.CH2: "2chamber_cine_trufi_retro",
        View.CH3: "3chamber_cine_trufi_retro",
        View.CH4: "4chamber_cine_trufi_retro",
    },
    "ge": {
        View.SAX: "SAX FIESTA BH",
        View.CH2: "2CH FIESTA BH",
        View.CH3: "3CH FIESTA BH",
        View.CH4: "4CH FIESTA BH",
    },
    "ukb": {
        View.SAX: "CINE_segmented_SAX_b{n}",
        View.CH2: "CINE_segmented_LAX_2Ch",
        View.CH3: "CINE_segmented_LAX_3Ch",
        View.CH4: "CINE_segmented_LAX_4Ch",
    },
    "enhanced": {
        View.SAX: "sBTFE_BH_SA",
        View.CH2: "sBTFE_BH_2CH",
        View.CH3: "sBTFE_BH_3CH",
        View.CH4: "sBTFE_BH_4CH",
    },
}
_IMAGE_TYPE = {
    "siemens": ("ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"),
    "ge": ("ORIGINAL", "PRIMARY", "CARDIAC", "NONE"),
    "ukb": ("ORIGINAL", "PRIMARY", "M", "RETRO", "NORM", "DIS2D"),
    "enhanced": ("ORIGINAL", "PRIMARY", "CARDIAC", "NONE"),
}
LOCALIZER_DESCRIPTION = {"siemens": "localizer", "ge": "3-pl Loc FIESTA BH", "ukb": "localizer", "enhanced": "SURVEY"}


@dataclass(frozen=True)
class SeriesPlan:
    """One series to write.

    Attributes:
        cine: where the pixels and the geometry come from.
        planes: indices into `cine.frames`, those that this series holds.
        number: SeriesNumber, from 1 in the study.
        description: SeriesDescription.
        image_type: ImageType of every image in it.
        order: (plane, phase) of the instances 1, 2, ...
    """

    cine: Cine
    planes: tuple[int, ...]
    number: int
    description: str
    image_type: tuple[str, ...]
    order: tuple[tuple[int, int], ...]


def plan_series(study: Study, style: str, *, first_number: int = 1) -> list[SeriesPlan]:
    """The series of a study in the style's manner, long-axis views first, as they are scanned."""
    plans: list[SeriesPlan] = []
    long_axis = [cine for cine in study.cines if cine.view in _LONG_AXIS]
    for cine in [*long_axis, *(c for c in study.cines if c.view is View.SAX)]:
        for planes in _split(cine, style):
            description = _DESCRIPTIONS[style][cine.view].format(n=planes[0] + 1)
            plans.append(
                SeriesPlan(
                    cine=cine,
                    planes=planes,
                    number=first_number + len(plans),
                    description=description,
                    image_type=_IMAGE_TYPE[style],
                    order=tuple(_order(planes, cine.n_phases, style)),
                )
            )
    return plans


def file_names(style: str, series: list[SeriesPlan], rng: np.random.Generator) -> dict[tuple[int, int], str]:
    """(series number, instance number from 1) → path below the study's folder; empty for names made of UIDs (ukb).

    "siemens" says series and instance; "ge" shuffles all instances of the study under names that say nothing.
    """
    instances = [(plan.number, index + 1) for plan in series for index in range(len(plan.order))]
    if style == "siemens":
        return {(number, i): f"MR.{number:04d}.{i:04d}.IMA" for number, i in instances}
    if style == "ge":
        places = rng.permutation(len(instances))
        return {key: f"A{place // 100:02d}/I{place:05d}" for key, place in zip(instances, places, strict=True)}
    return {}


def _split(cine: Cine, style: str) -> list[tuple[int, ...]]:
    planes = range(cine.n_slices)
    if style in ("siemens", "ukb"):
        return [(plane,) for plane in planes]
    return [tuple(planes)]


def _order(planes: tuple[int, ...], n_phases: int, style: str) -> Iterator[tuple[int, int]]:
    """GE numbers all planes of a phase before the next phase; the others all phases of a plane first."""
    if style == "ge":
        yield from ((plane, phase) for phase in range(n_phases) for plane in planes)
    else:
        yield from ((plane, phase) for plane in planes for phase in range(n_phases))

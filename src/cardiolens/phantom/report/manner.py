"""How one reader writes: the habits of a report, and the figures as that reader rounds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.phantom.report.meaning import Meaning, lv_function_of
from cardiolens.phantom.truth import Truth


@dataclass(frozen=True)
class Manner:
    """Habits of the one who dictates.

    Attributes:
        upper: headings in capitals.
        by_structure: findings under sub-headings, else as running text.
        numbered: impression as a numbered list.
        british: spelling.
        ml: unit of volumes as written.
        tight: no space before the unit of a percentage.
        lvef: how the LVEF is written.
        numbers: the findings give figures (else categories alone).
        naming: how openly a diagnosis is told.
        wordy: share of optional sentences.
    """

    upper: bool
    by_structure: bool
    numbered: bool
    british: bool
    ml: str
    tight: bool
    lvef: str
    numbers: bool
    naming: str
    wordy: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Manner:
        return cls(
            upper=bool(rng.random() < 0.7),
            by_structure=bool(rng.random() < 0.5),
            numbered=bool(rng.random() < 0.5),
            british=bool(rng.random() < 0.3),
            ml=str(rng.choice(["ml", "mL", "cc"], p=[0.6, 0.33, 0.07])),
            tight=bool(rng.random() < 0.8),
            lvef=str(rng.choice(["whole", "decimal", "about", "range", "percent"], p=[0.68, 0.08, 0.1, 0.08, 0.06])),
            numbers=bool(rng.random() < 0.88),
            naming=str(rng.choice(["named", "hedged", "described"], p=[0.5, 0.22, 0.28])),
            wordy=float(rng.uniform(0.0, 0.5)),
        )


def measures(truth: Truth, manner: Manner) -> dict[str, str]:
    """Every figure but the LVEF, rounded, with its unit."""
    ml, bsa = manner.ml, truth.bsa_m2
    index = f"{ml}/m2"
    percent = "%" if manner.tight else " %"
    return {
        "edv": f"{truth.edv_ml:.0f} {ml}",
        "edvi": f"{truth.edv_ml / bsa:.0f} {index}",
        "esv": f"{truth.esv_ml:.0f} {ml}",
        "sv": f"{round(truth.edv_ml) - round(truth.esv_ml)} {ml}",
        "mass": f"{truth.lv_mass_g:.0f} g",
        "massi": f"{truth.lv_mass_g / bsa:.0f} g/m2",
        "rv_edv": f"{truth.rv_edv_ml:.0f} {ml}",
        "rv_edvi": f"{truth.rv_edv_ml / bsa:.0f} {index}",
        "rv_esv": f"{truth.rv_esv_ml:.0f} {ml}",
        "rvef": f"{truth.rvef_pct:.0f}{percent}",
        "la": f"{truth.la_volume_ml:.0f} {ml}",
        "lai": f"{truth.la_volume_ml / bsa:.0f} {index}",
        "wall": f"{truth.wall_thickness_mm:.0f} mm",
        "edd": f"{truth.lv_edd_mm:.0f} mm",
        "mapse": f"{truth.mapse_mm:.0f} mm",
        "long_axis": "reduced" if truth.mapse_mm < 9.5 else "normal",
        "tapse": f"{truth.tapse_mm:.0f} mm",
        "effusion_mm": f"{truth.effusion_mm:.0f} mm",
        "height": f"{truth.height_cm:.0f} cm",
        "weight": f"{truth.weight_kg:.0f} kg",
        "bsa": f"{bsa:.1f} m2",
        "rate": f"{truth.heart_rate:.0f}",
    }


def lvef_values(truth: Truth, meaning: Meaning, manner: Manner) -> dict[str, str]:
    """The LVEF as this reader writes it; a rounding that would fall into another category is not used."""
    whole = f"{meaning.lvef}%" if manner.tight else f"{meaning.lvef} %"
    fives = 5 * round(meaning.lvef / 5)
    low = 5 * (meaning.lvef // 5)
    written = whole
    if manner.lvef == "percent":
        written = f"{meaning.lvef} percent"
    elif manner.lvef == "decimal" and lv_function_of(truth.lvef_pct) == meaning.lv_function:
        written = f"{truth.lvef_pct:.1f}%"
    elif manner.lvef == "about" and lv_function_of(fives) == meaning.lv_function:
        written = f"approximately {fives}%"
    elif manner.lvef == "range":
        written = f"{low}-{low + 5}%"
    return {"ef": written}

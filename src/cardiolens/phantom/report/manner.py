"""How one reader writes: the habits of a report, and the figures as that reader rounds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cardiolens.phantom.heart import HeartParameters, limits
from cardiolens.phantom.report.meaning import Meaning, lv_function_of
from cardiolens.phantom.truth import Truth


@dataclass(frozen=True)
class Manner:
    """Habits of the one who dictates.

    Attributes:
        headings: "upper", "title", or "few", where only the impression is sure to have one.
        by_structure: findings under sub-headings, else as running text.
        lines: each structure, or each sentence of the impression, on a line of its own: "", "-" or "1.".
        british: spelling.
        ml: unit of volumes as written; per_m2: of area; cm: lengths of 10 mm or more in cm.
        tight: no space before the unit of a percentage.
        lvef: how the LVEF is written.
        numbers: the findings give figures (else categories alone).
        openness: lean towards naming a diagnosis, 0 only describes to 1 always names.
        wordy: share of optional sentences.
        careless: chance of a slip in a sentence.
    """

    headings: str
    by_structure: bool
    lines: str
    british: bool
    ml: str
    per_m2: str
    cm: bool
    tight: bool
    lvef: str
    numbers: bool
    openness: float
    wordy: float
    careless: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Manner:
        return cls(
            headings=str(rng.choice(["upper", "title", "few"], p=[0.6, 0.28, 0.12])),
            by_structure=bool(rng.random() < 0.5),
            lines=str(rng.choice(["", "-", "1."], p=[0.4, 0.15, 0.45])),
            british=bool(rng.random() < 0.18),
            ml=str(rng.choice(["ml", "mL", "cc"], p=[0.6, 0.33, 0.07])),
            per_m2=str(rng.choice(["/m2", "/m²", " per m2"], p=[0.8, 0.12, 0.08])),
            cm=bool(rng.random() < 0.25),
            tight=bool(rng.random() < 0.8),
            lvef=str(rng.choice(["whole", "decimal", "about", "range", "percent"], p=[0.68, 0.08, 0.1, 0.08, 0.06])),
            numbers=bool(rng.random() < 0.88),
            openness=float(rng.uniform(0.0, 1.0)),
            wordy=float(rng.uniform(0.0, 0.6)),
            careless=float(rng.choice([0.0, 0.03, 0.1], p=[0.55, 0.3, 0.15])),
        )

    def length(self, mm: float) -> str:
        """A length as this reader writes it."""
        return f"{mm / 10:.1f} cm" if self.cm and mm >= 10 else f"{mm:.0f} mm"

    @property
    def percent(self) -> str:
        return "%" if self.tight else " %"


def measures(parameters: HeartParameters, truth: Truth, manner: Manner) -> dict[str, str]:
    """Every figure but the LVEF, rounded, with its unit."""
    ml, bsa, long = manner.ml, truth.bsa_m2, manner.length
    index, per_area = f"{ml}{manner.per_m2}", f"g{manner.per_m2}"
    p = parameters
    return {
        "edv": f"{truth.edv_ml:.0f} {ml}",
        "edvi": f"{truth.edv_ml / bsa:.0f} {index}",
        "esv": f"{truth.esv_ml:.0f} {ml}",
        "sv": f"{round(truth.edv_ml) - round(truth.esv_ml)} {ml}",
        "mass": f"{truth.lv_mass_g:.0f} g",
        "massi": f"{truth.lv_mass_g / bsa:.0f} {per_area}",
        "rv_edv": f"{truth.rv_edv_ml:.0f} {ml}",
        "rv_edvi": f"{truth.rv_edv_ml / bsa:.0f} {index}",
        "rv_esv": f"{truth.rv_esv_ml:.0f} {ml}",
        "rvef": f"{truth.rvef_pct:.0f}{manner.percent}",
        "la": f"{truth.la_volume_ml:.0f} {ml}",
        "lai": f"{truth.la_volume_ml / bsa:.0f} {index}",
        "ra": f"{truth.ra_volume_ml:.0f} {ml}",
        "rai": f"{truth.ra_volume_ml / bsa:.0f} {index}",
        "wall": long(truth.wall_thickness_mm),
        "rv_wall": f"{truth.rv_wall_mm:.0f} mm",
        "edd": long(truth.lv_edd_mm),
        "mapse": f"{truth.mapse_mm:.0f} mm",
        "long_axis": "reduced" if truth.mapse_mm < limits.MAPSE_MM else "normal",
        "tapse": f"{truth.tapse_mm:.0f} mm",
        "effusion_mm": long(truth.effusion_mm),
        "pericardium": f"{truth.pericardium_mm:.0f} mm",
        "root": long(truth.aortic_root_mm),
        "ascending": long(truth.ascending_aorta_mm),
        "trunk": long(truth.pulmonary_trunk_mm),
        "atrial_septum": long(truth.atrial_septum_mm),
        "asd": long(p.septa.asd_mm),
        "vsd": long(p.septa.vsd_mm),
        "noncompacted": long(p.noncompacted_mm),
        "bulge": long(p.aneurysm_mm),
        "height": f"{truth.height_cm:.0f} cm",
        "weight": f"{truth.weight_kg:.0f} kg",
        "bsa": f"{bsa:.1f} m2",
        "rate": f"{truth.heart_rate:.0f}",
        "age": f"{int(truth.age)}",
    }


def lvef_written(truth: Truth, meaning: Meaning, manner: Manner) -> str:
    """The LVEF as this reader writes it; a rounding that would fall into another category is not used."""
    fives, low = 5 * round(meaning.lvef / 5), 5 * (meaning.lvef // 5)
    if manner.lvef == "percent":
        return f"{meaning.lvef} percent"
    if manner.lvef == "decimal" and lv_function_of(truth.lvef_pct) == meaning.lv_function:
        return f"{truth.lvef_pct:.1f}%"
    if manner.lvef == "about" and lv_function_of(fives) == meaning.lv_function:
        return f"approximately {fives}%"
    if manner.lvef == "range":
        return f"{low}-{low + 5}%"
    return f"{meaning.lvef}{manner.percent}"

"""Body surface, indexed figures, and z-scores against published figures of healthy people.

Body surface: Mosteller, N Engl J Med 1987;317:1098; Du Bois & Du Bois, Arch Intern Med 1916;17:863.  Reference:
Petersen et al., J Cardiovasc Magn Reson 2017;19:18: 804 healthy White participants of UK Biobank, 45 to 74 years,
papillary muscle counted as cavity.  The table (`data/reference.csv`) says for each figure where it was read; figures by
decade of age are in the paper and not here, since they could not be checked.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from cardiolens.errors import InputError
from cardiolens.measures.flags import Flag

INDEXED: Mapping[str, str] = {
    "lv_edv_ml": "lv_edvi_ml_m2",
    "lv_esv_ml": "lv_esvi_ml_m2",
    "lv_sv_ml": "lv_svi_ml_m2",
    "lv_mass_g": "lv_mass_index_g_m2",
    "rv_edv_ml": "rv_edvi_ml_m2",
    "rv_esv_ml": "rv_esvi_ml_m2",
    "rv_sv_ml": "rv_svi_ml_m2",
    "la_max_ml": "la_max_index_ml_m2",
    "ra_max_ml": "ra_max_index_ml_m2",
    "cardiac_output_l_min": "cardiac_index_l_min_m2",
}
"""Figure to its name when divided by body surface."""


@dataclass(frozen=True)
class Reference:
    """One figure of healthy people of one sex between two ages (years, both included)."""

    figure: str
    unit: str
    sex: str
    age_from: float
    age_to: float
    mean: float
    sd: float
    source: str
    read_from: str


def bsa_m2(height_cm: float, weight_kg: float, formula: str = "mosteller") -> float:
    """Body surface area, by "mosteller" or "dubois".

    Raises:
        InputError: a size that nobody has, or an unknown formula.

    >>> round(bsa_m2(180, 80), 3)
    2.0
    """
    if not 30.0 <= height_cm <= 260.0 or not 1.0 <= weight_kg <= 400.0:
        raise InputError(f"height {height_cm:g} cm, weight {weight_kg:g} kg: give cm (30 to 260) and kg (1 to 400)")
    if formula == "mosteller":
        return math.sqrt(height_cm * weight_kg / 3600.0)
    if formula == "dubois":
        return float(0.007184 * height_cm**0.725 * weight_kg**0.425)
    raise InputError(f"unknown formula {formula!r}; known: mosteller, dubois")


def indexed(figures: Mapping[str, float], bsa: float) -> dict[str, float]:
    """Figures per m2 of body surface, under their own names."""
    return {name: figures[plain] / bsa for plain, name in INDEXED.items() if plain in figures}


@lru_cache(maxsize=1)
def references() -> tuple[Reference, ...]:
    """The table of published figures."""
    text = files("cardiolens.measures").joinpath("data/reference.csv").read_text(encoding="utf-8")
    return tuple(
        Reference(
            row["figure"], row["unit"], row["sex"], float(row["age_from"]), float(row["age_to"]),
            float(row["mean"]), float(row["sd"]), row["source"], row["read_from"],
        )
        for row in csv.DictReader(text.splitlines())
    )  # fmt: skip


def z_scores(
    figures: Mapping[str, float], sex: str | None, age: float | None
) -> tuple[dict[str, float], tuple[Flag, ...]]:
    """Standard deviations from the mean of healthy people of the same sex, and a flag where the table does not apply.

    None where sex or age is unknown.
    """
    if sex is None or age is None:
        return {}, ()
    table = {r.figure: r for r in references() if r.sex == sex and r.age_from <= age < r.age_to + 1}
    if not table:
        spans = sorted({(r.age_from, r.age_to) for r in references() if r.sex == sex})
        covered = ", ".join(f"{low:g} to {high:g}" for low, high in spans)
        words = f"no z-scores: reference figures cover {covered} years, this patient is {age:g}"
        return {}, (Flag("outside_reference", "info", words),)
    return {name: (value - table[name].mean) / table[name].sd for name, value in figures.items() if name in table}, ()

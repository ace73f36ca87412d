"""A heart being drawn: plain values that scenarios change in place, and the changes that many scenarios share.

How far a disease moves a figure from normal is this package's choice, made to span mild to severe; it is not fitted
to patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from cardiolens.phantom.heart import RANGES, HeartParameters
from cardiolens.phantom.heart.parts import N_SEGMENTS, Mass, Septa, Surgery, Tissue, Valves, Vessels

Rng = np.random.Generator


def clip_normal(rng: Rng, mean: float, sd: float, low: float, high: float) -> float:
    """One normal number, brought within limits."""
    return float(np.clip(rng.normal(mean, sd), low, high))


class Draft:
    """One heart on its way to `HeartParameters`.

    Attributes:
        of: fields of `HeartParameters` that are plain numbers and lists.
        valves, vessels, septa, tissue: fields of the parts of the same names.
        masses, surgeries, wires: what is there; `wires` is set by any open operation.
        causes: diseases that no single measurement defines, with their severity from 0 to 1.
    """

    def __init__(self, of: dict[str, Any], vessels: dict[str, float], septa: dict[str, Any]) -> None:
        self.of = of
        self.valves: dict[str, Any] = {}
        self.vessels: dict[str, float] = vessels
        self.septa = septa
        self.tissue: dict[str, Any] = {}
        self.masses: list[Mass] = []
        self.surgeries: list[str] = []
        self.wires = False
        self.causes: dict[str, float] = {}

    @property
    def bsa_m2(self) -> float:
        return math.sqrt(self.of["height_cm"] * self.of["weight_kg"] / 3600.0)

    def scale(self, name: str, factor: float) -> None:
        """Multiply one plain field."""
        self.of[name] = self.of[name] * factor

    def at_least(self, name: str, value: float) -> None:
        """Raise one plain field to a value."""
        self.of[name] = max(self.of[name], value)

    def worsen(self, valve: str, value: float) -> None:
        """A valve defect of at least `value`."""
        self.valves[valve] = max(self.valves.get(valve, 0.0), float(np.clip(value, 0.0, 1.0)))

    def operate(self, kind: str) -> None:
        """An open operation some time ago, with its wires."""
        if kind not in self.surgeries:
            self.surgeries.append(kind)
        self.wires = True

    def thin_free_wall(self, rng: Rng) -> None:
        """Even concentric thickening is most at the septum."""
        for segment in (4, 5, 6, 10, 11, 12, 15, 16):
            self.of["segment_thickness"][segment - 1] *= rng.uniform(0.78, 0.88)

    def mark(self, field: str, segments: Iterable[int], value: float) -> None:
        """Set a per-segment field of the tissue."""
        values = list(self.tissue.get(field, (0.0,) * N_SEGMENTS))
        for segment in segments:
            values[segment - 1] = float(np.clip(value, 0.0, 1.0))
        self.tissue[field] = tuple(values)

    def balance_flow(self, rng: Rng) -> None:
        """Make the ventricles pump the same blood.

        What the left ejects, less what leaks back, and what crosses a defect, is what the right ejects, but for its
        own leaks.  The RVEF follows; where it would stray more than a fourth from what was drawn, the RV volume does.
        The regurgitant fractions (0.55 of the stroke at the worst mitral leak, 0.5 aortic, 0.35 tricuspid, 0.45
        pulmonary) and the flow through a defect of given width are this package's choice.
        """
        of, v, s = self.of, self.valves, self.septa
        lost = 0.55 * v.get("mitral_regurgitation", 0.0) + 0.5 * v.get("aortic_regurgitation", 0.0)
        forward = of["lv_edv_ml"] * of["lvef_pct"] / 100.0 * max(1.0 - lost, 0.35)
        shunt = (1.0 + s.get("asd_mm", 0.0) / 25.0) / (1.0 + s.get("vsd_mm", 0.0) / 20.0)
        back = 0.35 * v.get("tricuspid_regurgitation", 0.0) + 0.45 * v.get("pulmonary_regurgitation", 0.0)
        stroke = forward * shunt * rng.uniform(0.94, 1.06) / (1.0 - min(back, 0.6))
        drawn = of["rvef_pct"]
        of["rvef_pct"] = float(
            np.clip(100.0 * stroke / of["rv_edv_ml"], max(12.0, 0.8 * drawn), min(74.0, 1.25 * drawn))
        )
        of["rv_edv_ml"] = float(np.clip(100.0 * stroke / of["rvef_pct"], *RANGES["rv_edv_ml"][:2]))

    def finish(self) -> HeartParameters:
        """Within what the anatomy can hold; conditions are not labelled yet."""
        of: dict[str, Any] = {k: float(np.clip(v, *RANGES[k][:2])) if k in RANGES else v for k, v in self.of.items()}
        of["mapse_mm"] = min(of["mapse_mm"], 0.2 * of["lv_length_mm"])
        of["tapse_mm"] = min(of["tapse_mm"], 0.3 * of["lv_length_mm"])
        of["segment_thickness"] = tuple(float(np.clip(v, 0.3, 4.5)) for v in of["segment_thickness"])
        of["segment_motion"] = tuple(float(np.clip(v, -0.5, 1.4)) for v in of["segment_motion"])
        return HeartParameters(
            **of,
            valves=Valves(**self.valves),
            vessels=Vessels(**self.vessels),
            septa=Septa(**self.septa),
            tissue=Tissue(**self.tissue),
            masses=tuple(self.masses),
            surgery=Surgery(kinds=tuple(self.surgeries), wires=self.wires),
        )


def scale_lv(draft: Draft, factor: float, *, rounder: float = 1.0) -> None:
    """Enlarge the LV cavity by a volume factor; `rounder` < 1 shortens it against its width."""
    of = draft.of
    of["lv_edv_ml"] = float(np.clip(of["lv_edv_ml"] * factor, 50.0, 480.0))
    of["lv_length_mm"] = float(np.clip(of["lv_length_mm"] * factor ** (1 / 3) * rounder, 62.0, 135.0))


def scale_rv(draft: Draft, factor: float) -> None:
    """Enlarge the RV cavity by a volume factor."""
    draft.of["rv_edv_ml"] = float(np.clip(draft.of["rv_edv_ml"] * factor, 60.0, 420.0))


def fail_pump(draft: Draft, lvef: float, rng: Rng) -> None:
    """Set the LVEF and what goes with it: less long-axis motion and twist, larger atrium, leaking mitral valve, faster
    heart when it is low."""
    of, lack = draft.of, float(np.clip((60.0 - lvef) / 50.0, 0.0, 1.0))
    of["lvef_pct"] = lvef
    of["mapse_mm"] = max(3.0, of["mapse_mm"] * (1.0 - 0.7 * lack))
    of["twist_deg"] = max(0.5, of["twist_deg"] * (1.0 - 0.8 * lack))
    of["tapse_mm"] = max(7.0, of["tapse_mm"] * (1.0 - 0.35 * lack))
    of["rvef_pct"] = float(np.clip(of["rvef_pct"] - 14.0 * lack * rng.uniform(0.3, 1.6), 12.0, 75.0))
    of["la_max_ml"] *= 1.0 + lack * rng.uniform(0.1, 1.0)
    of["la_ef_pct"] = max(12.0, of["la_ef_pct"] * (1.0 - 0.5 * lack))
    of["heart_rate"] = float(np.clip(of["heart_rate"] + 12.0 * lack, 45.0, 115.0))
    if lack > 0.3 and rng.random() < 0.6:
        draft.worsen("mitral_regurgitation", rng.uniform(0.1, 0.25 + 0.5 * lack))


def fibrillate(draft: Draft, rng: Rng) -> None:
    """Atrial fibrillation: large atria that do not contract, uneven beats."""
    of = draft.of
    of["rhythm"], of["atrial_kick"] = "atrial fibrillation", 0.0
    of["la_max_ml"] *= rng.uniform(1.15, 1.7)
    of["ra_max_ml"] *= rng.uniform(1.1, 1.5)
    of["la_ef_pct"] = max(10.0, 0.55 * of["la_ef_pct"])
    of["ra_ef_pct"] = max(10.0, 0.6 * of["ra_ef_pct"])
    of["heart_rate"] = float(np.clip(of["heart_rate"] + rng.uniform(0.0, 20.0), 50.0, 120.0))


def load_rv(draft: Draft, rng: Rng, *, volume: float = 0.0, pressure: float = 0.0) -> None:
    """Load the RV with volume or pressure (0 to 1): it widens or thickens, flattens the septum in diastole or systole,
    and backs up into the right atrium."""
    of, septa = draft.of, draft.septa
    scale_rv(draft, 1.0 + volume * rng.uniform(0.6, 1.0) + 0.45 * pressure * rng.uniform(0.3, 1.0))
    of["rv_wall_mm"] += pressure * rng.uniform(3.0, 6.5)
    of["rvef_pct"] = float(np.clip(of["rvef_pct"] - 22.0 * pressure * rng.uniform(0.5, 1.2) - 6.0 * volume, 12.0, 75.0))
    of["tapse_mm"] *= 1.0 - 0.4 * pressure * rng.uniform(0.5, 1.2)
    of["ra_max_ml"] *= 1.0 + 0.5 * volume * rng.uniform(0.4, 1.0) + 0.7 * pressure * rng.uniform(0.3, 1.0)
    septa["shift_systole"] = max(septa.get("shift_systole", 0.0), min(1.25, 1.1 * pressure * rng.uniform(0.7, 1.1)))
    septa["shift_diastole"] = max(
        septa.get("shift_diastole", 0.0), min(1.1, (0.75 * volume + 0.35 * pressure) * rng.uniform(0.7, 1.1))
    )
    if pressure > 0.3 or volume > 0.5:
        draft.worsen("tricuspid_regurgitation", rng.uniform(0.1, 0.8))

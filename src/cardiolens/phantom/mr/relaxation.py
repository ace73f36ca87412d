"""Relaxation times and proton densities of what a cine shows, at 1.5 and 3 T, before and after gadolinium.

Sources: S - Stanisz et al., Magn Reson Med 2005;54:507 (in vitro at 37 degrees; blood, heart); B - de Bazelaire et al.,
Radiology 2004;230:652 (in vivo; liver, spleen, paravertebral muscle, marrow, subcutaneous fat).  The other tissues, the
proton densities and the shares of contrast agent are this package's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RELAXIVITY_PER_MM_S = 4.5
"""Of a common extracellular agent in blood, per mmol/l and second; the transverse one is taken 1.2 times as large."""
_TRANSVERSE = 1.2


@dataclass(frozen=True)
class Relaxation:
    """One tissue.

    Attributes:
        t1_ms, t2_ms: at 1.5 T and at 3 T; protons: density, water at 1.
        agent: concentration of contrast agent in it when that in blood is 1, some ten minutes after injection.
        shift_ppm: chemical shift against water.
    """

    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    protons: float
    agent: float
    shift_ppm: float = 0.0

    def at(self, field_t: float, agent_mm: float = 0.0) -> tuple[float, float]:
        """T1 and T2 (ms) at a field strength (between 1.5 and 3 T interpolated, beyond them held), with `agent_mm`
        mmol/l in blood."""
        share = min(max((field_t - 1.5) / 1.5, 0.0), 1.0)
        t1, t2 = ((1.0 - share) * low + share * high for low, high in (self.t1_ms, self.t2_ms))
        rate = RELAXIVITY_PER_MM_S * agent_mm * self.agent / 1000.0
        return 1.0 / (1.0 / t1 + rate), 1.0 / (1.0 / t2 + _TRANSVERSE * rate)


TISSUES: Mapping[str, Relaxation] = MappingProxyType(
    {
        "blood": Relaxation((1441.0, 1932.0), (290.0, 275.0), 0.85, 1.0),  # S
        "right_blood": Relaxation((1441.0, 1932.0), (255.0, 225.0), 0.85, 1.0),  # less oxygen, shorter T2
        "myocardium": Relaxation((1030.0, 1471.0), (40.0, 47.0), 0.80, 0.45),  # S
        "skeletal": Relaxation((856.0, 898.0), (27.0, 29.0), 0.79, 0.2),  # B
        "liver": Relaxation((586.0, 809.0), (46.0, 34.0), 0.72, 0.4),  # B
        "spleen": Relaxation((1057.0, 1328.0), (79.0, 61.0), 0.80, 0.55),  # B
        "marrow": Relaxation((549.0, 586.0), (49.0, 49.0), 0.65, 0.2),  # B
        "fat": Relaxation((343.0, 382.0), (58.0, 68.0), 0.95, 0.02, shift_ppm=-3.4),  # B
        "fluid": Relaxation((2800.0, 3000.0), (600.0, 550.0), 0.98, 0.05),
        "pleural_fluid": Relaxation((2600.0, 2800.0), (500.0, 450.0), 0.98, 0.05),
        "cyst": Relaxation((2600.0, 2800.0), (900.0, 800.0), 0.98, 0.0),
        "thrombus": Relaxation((1150.0, 1350.0), (50.0, 45.0), 0.80, 0.0),
        "tumor": Relaxation((1250.0, 1600.0), (65.0, 62.0), 0.82, 0.5),
        "myxoma": Relaxation((1450.0, 1750.0), (100.0, 95.0), 0.85, 0.35),
        "pericardium": Relaxation((900.0, 1000.0), (12.0, 12.0), 0.60, 0.1),
    }
)
"""Tissue name, as in `Contrast`, to its relaxation."""

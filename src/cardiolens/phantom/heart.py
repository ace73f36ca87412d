"""What a phantom heart is made of: `HeartParameters`, checked, and `sample_parameters`, which draws them.

Sizes of healthy hearts follow the UK Biobank reference cohort at 1.5 T (Petersen et al., J Cardiovasc Magn Reson
2017;19:18, doi 10.1186/s12968-017-0327-9): LVEF 61 +- 5 % in women and 58 +- 5 % in men, LV mass 42 +- 7 and 53 +- 9
g/m2, LV EDV 74 +- 12 and 85 +- 15 ml/m2, RV EDV 77 +- 13 and 93 +- 17 ml/m2.  Body surface area after Mosteller (N
Engl J Med 1987;317:1098). Segments are the 17 of the American Heart Association (Cerqueira et al., Circulation
2002;105:539).  How far each disease moves a figure from normal is this package's choice, made to span mild to
severe; it is not fitted to patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError

N_SEGMENTS = 17
WALLS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "anterior": (1, 7, 13),
        "anteroseptal": (2, 8, 14),
        "inferoseptal": (3, 9, 14),
        "inferior": (4, 10, 15),
        "inferolateral": (5, 11, 16),
        "anterolateral": (6, 12, 16),
    }
)
"""AHA segment numbers (1 to 17) of each wall; 14 and 16 are the septal and lateral apex, 17 the apical cap."""

_RANGES: Mapping[str, tuple[float, float, str]] = MappingProxyType(
    {
        "age": (16.0, 100.0, "years"),
        "height_cm": (120.0, 220.0, "cm"),
        "weight_kg": (30.0, 200.0, "kg"),
        "heart_rate": (30.0, 160.0, "beats/min"),
        "lv_edv_ml": (40.0, 600.0, "ml"),
        "lvef_pct": (5.0, 80.0, "%"),
        "lv_length_mm": (55.0, 150.0, "mm"),
        "wall_mm": (3.0, 30.0, "mm"),
        "mapse_mm": (0.0, 25.0, "mm"),
        "twist_deg": (0.0, 25.0, "degrees"),
        "rv_edv_ml": (40.0, 600.0, "ml"),
        "rvef_pct": (5.0, 80.0, "%"),
        "tapse_mm": (0.0, 35.0, "mm"),
        "la_max_ml": (15.0, 350.0, "ml"),
        "la_ef_pct": (5.0, 80.0, "%"),
        "ra_max_ml": (15.0, 350.0, "ml"),
        "ra_ef_pct": (5.0, 80.0, "%"),
        "effusion_mm": (0.0, 30.0, "mm"),
        "epicardial_fat_mm": (0.0, 20.0, "mm"),
        "subcutaneous_fat_mm": (3.0, 60.0, "mm"),
        "axis_left_deg": (15.0, 75.0, "degrees"),
        "axis_down_deg": (0.0, 60.0, "degrees"),
        "roll_deg": (-45.0, 45.0, "degrees"),
    }
)


@dataclass(frozen=True, kw_only=True)
class HeartParameters:
    """One heart in one body, at rest.  Everything the anatomy needs, and nothing of the scanner.

    Attributes:
        sex, age, height_cm, weight_kg, heart_rate: "F" or "M"; years; cm; kg; beats per minute.
        lv_edv_ml, lvef_pct: LV cavity at end-diastole, papillary muscles counted as blood; ejection fraction.
        lv_length_mm: inner LV length at end-diastole, mitral plane to endocardial apex.
        wall_mm: wall thickness at end-diastole of a segment whose thickness factor is 1, at mid-ventricle.
        segment_thickness, segment_motion: factor per AHA segment on thickness and on inward motion (1 normal, 0
            akinetic).
        mapse_mm, tapse_mm: travel of the mitral and the tricuspid plane towards the apex.
        twist_deg: apex against base at end-systole, seen from the apex anticlockwise.
        rv_edv_ml, rvef_pct; la_max_ml, la_ef_pct; ra_max_ml, ra_ef_pct: the other chambers.
        effusion_mm: pericardial fluid, at its thickest; epicardial_fat_mm; subcutaneous_fat_mm.
        axis_left_deg, axis_down_deg: where the apex points: degrees to the left of straight ahead, and below
            horizontal.
        roll_deg: turn of the heart about its long axis.
        body_seed: small individual differences of shape, thorax, vessels and papillary muscles.
        conditions: names out of `CONDITIONS`, "normal" left out.

    Raises:
        PhantomError: a value that no heart can have, naming the field, the value and the limits.
    """

    sex: str = "M"
    age: float = 55.0
    height_cm: float = 175.0
    weight_kg: float = 78.0
    heart_rate: float = 65.0
    lv_edv_ml: float = 160.0
    lvef_pct: float = 60.0
    lv_length_mm: float = 94.0
    wall_mm: float = 7.0
    segment_thickness: tuple[float, ...] = (1.0,) * N_SEGMENTS
    segment_motion: tuple[float, ...] = (1.0,) * N_SEGMENTS
    mapse_mm: float = 13.0
    tapse_mm: float = 20.0
    twist_deg: float = 10.0
    rv_edv_ml: float = 170.0
    rvef_pct: float = 56.0
    la_max_ml: float = 75.0
    la_ef_pct: float = 58.0
    ra_max_ml: float = 85.0
    ra_ef_pct: float = 45.0
    effusion_mm: float = 0.0
    epicardial_fat_mm: float = 4.0
    subcutaneous_fat_mm: float = 18.0
    axis_left_deg: float = 43.0
    axis_down_deg: float = 22.0
    roll_deg: float = 0.0
    body_seed: int = 0
    conditions: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.sex not in ("F", "M"):
            raise PhantomError(f'phantom heart: sex must be "F" or "M", got {self.sex!r}')
        for name, (low, high, unit) in _RANGES.items():
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and low <= value <= high):
                raise PhantomError(f"phantom heart: {name} must lie in {low:g} to {high:g} {unit}, got {value}")
        self._check_segments("segment_thickness", 0.25, 5.0)
        self._check_segments("segment_motion", -0.5, 1.5)
        unknown = sorted(set(self.conditions) - set(CONDITIONS))
        if unknown:
            raise PhantomError(f"phantom heart: unknown condition {unknown}; known are {', '.join(CONDITIONS)}")
        if self.mapse_mm > 0.35 * self.lv_length_mm:
            raise PhantomError(
                f"phantom heart: mapse_mm {self.mapse_mm:g} is more than a third of lv_length_mm {self.lv_length_mm:g}"
            )

    def _check_segments(self, name: str, low: float, high: float) -> None:
        values = getattr(self, name)
        if len(values) != N_SEGMENTS or not all(low <= v <= high for v in values):
            raise PhantomError(
                f"phantom heart: {name} must be {N_SEGMENTS} factors in {low:g} to {high:g}, got {values}"
            )

    @property
    def bsa_m2(self) -> float:
        """Body surface area in m2 (Mosteller)."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600.0)

    @property
    def lv_esv_ml(self) -> float:
        return self.lv_edv_ml * (1.0 - self.lvef_pct / 100.0)

    @property
    def rv_esv_ml(self) -> float:
        return self.rv_edv_ml * (1.0 - self.rvef_pct / 100.0)

    @property
    def rr_ms(self) -> float:
        """Length of one beat in ms."""
        return 60000.0 / self.heart_rate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


Draw = dict[str, Any]


def _clip_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def _normal_draw(rng: np.random.Generator) -> Draw:
    """A healthy adult of either sex."""
    female = bool(rng.random() < 0.5)
    age = _clip_normal(rng, 55.0, 15.0, 18.0, 90.0)
    height = _clip_normal(rng, 163.0 if female else 176.0, 6.5, 145.0, 200.0)
    bmi = _clip_normal(rng, 25.0, 3.5, 18.0, 40.0)
    weight = bmi * (height / 100.0) ** 2
    bsa = math.sqrt(height * weight / 3600.0)
    size = float(rng.normal())  # hearts that are large are large in every chamber
    rest = math.sqrt(1.0 - 0.75**2)
    edvi, edvi_sd, rvi, rvi_sd = (74.0, 12.0, 77.0, 13.0) if female else (85.0, 15.0, 93.0, 17.0)
    ageing = -0.25 * (age - 60.0)
    edv = bsa * max(45.0, edvi + ageing + edvi_sd * size)
    rv_edv = bsa * max(45.0, rvi + ageing + rvi_sd * (0.75 * size + rest * float(rng.normal())))
    lvef = _clip_normal(rng, 61.0 if female else 58.0, 5.0, 50.0, 75.0)
    la_max = bsa * _clip_normal(rng, 38.0, 8.0, 20.0, 60.0)
    return {
        "sex": "F" if female else "M",
        "age": round(age, 1),
        "height_cm": round(height, 1),
        "weight_kg": round(weight, 1),
        "heart_rate": round(_clip_normal(rng, 66.0, 10.0, 45.0, 105.0), 1),
        "lv_edv_ml": edv,
        "lvef_pct": lvef,
        "lv_length_mm": 94.0 * (edv / 160.0) ** (1 / 3) * _clip_normal(rng, 1.0, 0.04, 0.9, 1.1),
        "wall_mm": _clip_normal(rng, 5.5 if female else 6.5, 0.6, 4.2, 9.0),
        "segment_thickness": list(rng.normal(1.0, 0.04, N_SEGMENTS).clip(0.88, 1.12)),
        "segment_motion": list(rng.normal(1.0, 0.04, N_SEGMENTS).clip(0.88, 1.12)),
        "mapse_mm": _clip_normal(rng, 13.0, 1.8, 8.0, 18.0),
        "tapse_mm": _clip_normal(rng, 20.0, 3.0, 13.0, 28.0),
        "twist_deg": _clip_normal(rng, 10.0, 2.5, 4.0, 18.0),
        "rv_edv_ml": rv_edv,
        "rvef_pct": _clip_normal(rng, 58.0 if female else 54.0, 6.0, 42.0, 72.0),
        "la_max_ml": la_max,
        "la_ef_pct": _clip_normal(rng, 60.0, 6.0, 45.0, 72.0),
        "ra_max_ml": la_max * _clip_normal(rng, 1.12, 0.15, 0.8, 1.5),
        "ra_ef_pct": _clip_normal(rng, 45.0, 7.0, 28.0, 62.0),
        "effusion_mm": 0.0,
        "epicardial_fat_mm": _clip_normal(rng, 4.0 + 0.25 * (bmi - 25.0), 1.3, 1.5, 10.0),
        "subcutaneous_fat_mm": _clip_normal(rng, (20.0 if female else 15.0) + 1.2 * (bmi - 25.0), 5.0, 5.0, 50.0),
        "axis_left_deg": _clip_normal(rng, 43.0, 5.0, 30.0, 58.0),
        "axis_down_deg": _clip_normal(rng, 23.0, 6.0, 8.0, 40.0),
        "roll_deg": _clip_normal(rng, 0.0, 5.0, -12.0, 12.0),
        "body_seed": int(rng.integers(2**31)),
        "conditions": (),
    }


def _scale_lv(draw: Draw, factor: float, *, rounder: float = 1.0) -> None:
    """Enlarge the LV cavity by a volume factor; `rounder` < 1 shortens it against its width."""
    draw["lv_edv_ml"] = float(np.clip(draw["lv_edv_ml"] * factor, 50.0, 480.0))
    draw["lv_length_mm"] = float(np.clip(draw["lv_length_mm"] * factor ** (1 / 3) * rounder, 62.0, 135.0))


def _fail_pump(draw: Draw, lvef: float, rng: np.random.Generator) -> None:
    """Set the LVEF and what goes with it: less long-axis motion and twist, larger atrium, faster heart when it is
    low."""
    lack = float(np.clip((60.0 - lvef) / 50.0, 0.0, 1.0))
    draw["lvef_pct"] = lvef
    draw["mapse_mm"] = max(3.0, draw["mapse_mm"] * (1.0 - 0.7 * lack))
    draw["twist_deg"] = max(0.5, draw["twist_deg"] * (1.0 - 0.8 * lack))
    draw["tapse_mm"] = max(7.0, draw["tapse_mm"] * (1.0 - 0.35 * lack))
    draw["rvef_pct"] = float(np.clip(draw["rvef_pct"] - 14.0 * lack * rng.uniform(0.3, 1.6), 12.0, 75.0))
    draw["la_max_ml"] *= 1.0 + lack * rng.uniform(0.1, 1.0)
    draw["la_ef_pct"] = max(12.0, draw["la_ef_pct"] * (1.0 - 0.5 * lack))
    draw["heart_rate"] = float(np.clip(draw["heart_rate"] + 12.0 * lack, 45.0, 115.0))


def _normal(draw: Draw, rng: np.random.Generator) -> None:
    """Nothing to change."""


def _dilated(draw: Draw, rng: np.random.Generator) -> None:
    severity = rng.uniform(0.15, 1.0)
    _scale_lv(draw, 1.25 + 1.1 * severity, rounder=1.0 - 0.06 * severity)
    draw["wall_mm"] *= rng.uniform(0.92, 1.08)
    _fail_pump(draw, float(np.clip(47.0 - 35.0 * severity + rng.normal(0, 3.0), 10.0, 49.0)), rng)


def _hypertrophic(draw: Draw, rng: np.random.Generator) -> None:
    """Asymmetric septal hypertrophy: the septum at 15 mm or more, the free wall near normal."""
    draw["wall_mm"] = _clip_normal(rng, 8.5, 1.0, 7.0, 11.0)
    peak = rng.uniform(16.0, 26.0) / draw["wall_mm"]
    factors = draw["segment_thickness"]
    for segment, share in {2: 1.0, 3: 0.85, 8: 0.95, 9: 0.85, 1: 0.35, 7: 0.35, 14: 0.35, 4: 0.1, 10: 0.1}.items():
        factors[segment - 1] = 1.0 + share * (peak - 1.0)
    _scale_lv(draw, rng.uniform(0.75, 0.98))
    _fail_pump(draw, _clip_normal(rng, 67.0, 6.0, 50.0, 77.0), rng)
    draw["mapse_mm"] *= rng.uniform(0.6, 0.9)
    draw["la_max_ml"] *= rng.uniform(1.1, 1.7)


def _concentric(draw: Draw, rng: np.random.Generator) -> None:
    draw["wall_mm"] = rng.uniform(11.0, 15.5)
    _scale_lv(draw, rng.uniform(0.8, 1.1))
    _fail_pump(draw, _clip_normal(rng, 60.0, 8.0, 38.0, 75.0), rng)
    draw["mapse_mm"] *= rng.uniform(0.65, 0.9)
    draw["la_max_ml"] *= rng.uniform(1.1, 1.5)


_TERRITORIES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"LAD": (1, 2, 7, 8, 13, 14, 17), "RCA": (3, 4, 9, 10, 15), "LCX": (5, 6, 11, 12, 16)}
)


def _ischemic(draw: Draw, rng: np.random.Generator) -> None:
    """One coronary territory (sometimes two) moves little or not at all, thin where old; the rest works harder or
    fails."""
    names = list(_TERRITORIES)
    first = int(rng.choice(3, p=[0.5, 0.3, 0.2]))
    hit = [names[first]]
    if rng.random() < 0.3:
        hit.append(names[(first + 1 + int(rng.integers(2))) % 3])
    motion = rng.uniform(-0.05, 0.5)
    thin = rng.uniform(0.5, 0.75) if motion < 0.15 else rng.uniform(0.75, 1.0)
    extent = rng.uniform(0.6, 1.0)
    lost = 0.0
    for name in hit:
        for segment in _TERRITORIES[name]:
            basal_spared = segment <= 6 and rng.random() > extent
            if not basal_spared:
                draw["segment_motion"][segment - 1] = motion + rng.normal(0, 0.03)
                draw["segment_thickness"][segment - 1] *= thin
                lost += (1.0 - motion) / N_SEGMENTS
    lvef = float(np.clip(63.0 - 75.0 * lost + rng.normal(0.0, 4.0), 12.0, 58.0))
    _scale_lv(draw, 1.0 + 1.3 * lost * rng.uniform(0.6, 1.4), rounder=0.98)
    _fail_pump(draw, lvef, rng)


def _rv_dilation(draw: Draw, rng: np.random.Generator) -> None:
    draw["rv_edv_ml"] = float(np.clip(draw["rv_edv_ml"] * rng.uniform(1.4, 2.1), 150.0, 420.0))
    draw["rvef_pct"] = _clip_normal(rng, 38.0, 9.0, 15.0, 55.0)
    draw["tapse_mm"] *= rng.uniform(0.55, 0.85)
    draw["ra_max_ml"] *= rng.uniform(1.3, 2.1)
    _fail_pump(draw, _clip_normal(rng, 56.0, 6.0, 40.0, 68.0), rng)


def _effusion(draw: Draw, rng: np.random.Generator) -> None:
    draw["effusion_mm"] = rng.uniform(6.0, 20.0)
    draw["heart_rate"] = float(np.clip(draw["heart_rate"] + rng.uniform(0.0, 15.0), 45.0, 115.0))


@dataclass(frozen=True)
class _Condition:
    change: Callable[[Draw, np.random.Generator], None]
    prevalence: float


CONDITIONS: Mapping[str, _Condition] = MappingProxyType(
    {
        "normal": _Condition(_normal, 0.30),
        "dilated cardiomyopathy": _Condition(_dilated, 0.20),
        "ischemic cardiomyopathy": _Condition(_ischemic, 0.20),
        "hypertrophic cardiomyopathy": _Condition(_hypertrophic, 0.10),
        "left ventricular hypertrophy": _Condition(_concentric, 0.08),
        "right ventricular dilation": _Condition(_rv_dilation, 0.07),
        "pericardial effusion": _Condition(_effusion, 0.05),
    }
)
"""Conditions of version one, with their share of a cohort drawn without naming one (a referral centre, not a
population)."""


def sample_parameters(rng: np.random.Generator, *, condition: str | None = None) -> HeartParameters:
    """Draw one heart.

    Args:
        rng: source of every random number; the same state gives the same heart.
        condition: a name out of `CONDITIONS`; None draws one by prevalence, and now and then adds an effusion.

    Raises:
        PhantomError: unknown condition.
    """
    if condition is not None and condition not in CONDITIONS:
        raise PhantomError(f"unknown condition {condition!r}; known are {', '.join(CONDITIONS)}")
    name = condition
    if name is None:
        share = np.array([c.prevalence for c in CONDITIONS.values()])
        name = list(CONDITIONS)[int(rng.choice(len(share), p=share / share.sum()))]
    draw = _normal_draw(rng)
    CONDITIONS[name].change(draw, rng)
    found = () if name == "normal" else (name,)
    if condition is None and name not in ("normal", "pericardial effusion") and rng.random() < 0.06:
        _effusion(draw, rng)
        found = (*found, "pericardial effusion")
    return HeartParameters(**_settled(draw), conditions=found)


def _settled(draw: Draw) -> Draw:
    """Bring a draw within what the anatomy can hold, and freeze its lists."""
    low_high = {name: limits[:2] for name, limits in _RANGES.items()}
    out = {k: float(np.clip(v, *low_high[k])) if k in low_high else v for k, v in draw.items() if k != "conditions"}
    out["mapse_mm"] = min(out["mapse_mm"], 0.2 * out["lv_length_mm"])
    out["tapse_mm"] = min(out["tapse_mm"], 0.3 * out["lv_length_mm"])
    out["segment_thickness"] = tuple(float(np.clip(v, 0.3, 4.5)) for v in draw["segment_thickness"])
    out["segment_motion"] = tuple(float(np.clip(v, -0.4, 1.4)) for v in draw["segment_motion"])
    return out

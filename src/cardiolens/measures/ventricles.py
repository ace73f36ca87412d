"""Ventricular volumes, ejection fraction and mass from a short-axis stack."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cardiolens.errors import InputError
from cardiolens.measures.flags import Flag
from cardiolens.measures.phases import HeartPhases, find_phases
from cardiolens.measures.quality import stack_flags
from cardiolens.measures.volumes import VolumeCurve, counts_of, volume_curve
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine

MUSCLE_G_PER_ML = 1.05
"""Density of myocardium; Schulz-Menger et al., J Cardiovasc Magn Reson 2020;22:19."""
_FEWEST = 3  # planes below which a sum of discs is no volume
_RATES = (20.0, 250.0)  # beats per minute that a header may name


@dataclass(frozen=True, eq=False)
class Ventricles:
    """What a short-axis stack tells.  `figures` and `refused` (name to reason) share the names of `Measures`."""

    phases: HeartPhases
    figures: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    curves: dict[str, VolumeCurve] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()


def measure_short_axis(segmentation: Segmentation, *, ed: int | None = None, es: int | None = None) -> Ventricles:
    """Volumes of both ventricles and LV mass, all at the phases of the LV curve (of the RV's where no LV was drawn).

    Args:
        ed, es: phase numbers from 0 that a reader chose; None finds them from the curve.

    Raises:
        InputError: a phase number outside the cine or at which nothing was drawn; neither ventricle drawn at all.
    """
    curves = _curves(segmentation)
    leading = next((c for c in (curves.get("LV cavity"), curves.get("RV cavity")) if c is not None), None)
    if leading is None:
        raise InputError(f"{segmentation.cine.source}: no ventricle in the labels (LV cavity 1, RV cavity 3)")
    phases = chosen_phases(leading, ed, es, segmentation.cine)
    found = Ventricles(phases, curves=curves)
    planes = _planes_at(segmentation, phases.ed)
    for chamber, prefix in (("LV cavity", "lv"), ("RV cavity", "rv")):
        _chamber(found, chamber, prefix, planes, given_ed=ed is not None)
    _mass(found, segmentation)
    rate, rate_flags = heart_rate(segmentation.cine)
    _output(found, rate)
    flags, notes = stack_flags(segmentation, phases, curves)
    more = (*_ef_flags(found), *rate_flags)
    return Ventricles(phases, found.figures, found.refused, curves, (*flags, *more), notes)


def chosen_phases(curve: VolumeCurve, ed: int | None, es: int | None, cine: Cine) -> HeartPhases:
    """ED and ES of the curve, or those that a reader chose."""
    for name, phase in (("ed", ed), ("es", es)):
        if phase is None:
            continue
        if not 0 <= phase < cine.n_phases:
            raise InputError(f"{cine.source}: {name}={phase}; phases run from 0 to {cine.n_phases - 1}")
        if not curve.drawn[phase]:
            known = ", ".join(map(str, np.flatnonzero(curve.drawn)))
            raise InputError(f"{cine.source}: nothing was drawn at {name}={phase}; phases with labels: {known}")
    found = find_phases(curve.values)
    return HeartPhases(found.ed if ed is None else ed, found.es if es is None else es, found.outliers)


def heart_rate(cine: Cine) -> tuple[float | None, tuple[Flag, ...]]:
    """Beats per minute: HeartRate or NominalInterval of the header, else from the trigger times (flagged)."""
    said = _number(cine.attributes.get("HeartRate"))
    if said is not None and _RATES[0] <= said <= _RATES[1]:
        return said, ()
    interval = _number(cine.attributes.get("NominalInterval"))
    if interval and _RATES[0] <= 60000.0 / interval <= _RATES[1]:
        return 60000.0 / interval, ()
    times = cine.trigger_times_ms
    if times is None or cine.n_phases < 10:
        return None, ()
    beats = times[:, -1] - times[:, 0] + np.median(np.diff(times, axis=1), axis=1)
    beat = float(np.median(beats))
    if beat <= 0 or not _RATES[0] <= 60000.0 / beat <= _RATES[1]:
        return None, ()
    words = (
        f"heart rate {60000.0 / beat:.0f}/min from trigger times: too high where the phases do not cover the whole beat"
    )
    return 60000.0 / beat, (Flag("heart_rate_estimated", "info", words),)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _curves(segmentation: Segmentation) -> dict[str, VolumeCurve]:
    """Curve of each ventricular structure that was drawn anywhere."""
    muscle = "LV myocardium"
    curves = {}
    for name, within in (("LV cavity", muscle), (muscle, None), ("RV cavity", None)):
        if name in segmentation.structures and counts_of(segmentation, name).any():
            curves[name] = volume_curve(segmentation, name, within=within)
    return curves


def _planes_at(segmentation: Segmentation, phase: int) -> dict[str, int]:
    return {
        name: int((counts_of(segmentation, name)[:, phase] > 0).sum())
        for name in ("LV cavity", "RV cavity")
        if name in segmentation.structures
    }


def _chamber(found: Ventricles, chamber: str, prefix: str, planes: dict[str, int], *, given_ed: bool) -> None:
    """EDV, ESV, SV and EF of one ventricle, or the reason why not."""
    volumes = [f"{prefix}_edv_ml", f"{prefix}_esv_ml", f"{prefix}_sv_ml"]
    ratio = f"{prefix}ef_pct"
    curve = found.curves.get(chamber)
    if curve is None:
        found.refused.update(dict.fromkeys([*volumes, ratio], f"{chamber} not in the labels"))
        return
    if planes[chamber] < _FEWEST:
        reason = f"{chamber} in {planes[chamber]} plane(s) at end-diastole; a sum of discs needs {_FEWEST}"
        found.refused.update(dict.fromkeys([*volumes, ratio], reason))
        return
    ed, es = found.phases.ed, found.phases.es
    if es is None:
        reason = "one phase drawn; end-systole unknown"
        found.refused.update(dict.fromkeys([*volumes[1:], ratio], reason))
        if not given_ed:
            found.refused[volumes[0]] = "one phase drawn, of which nobody said that it is end-diastole (give ed=)"
            return
    edv = float(curve.values[ed])
    esv = float(curve.values[es]) if es is not None else np.nan
    if curve.unit == "ml":
        known = {volumes[0]: edv, volumes[1]: esv, volumes[2]: edv - esv}
        found.figures.update({name: value for name, value in known.items() if np.isfinite(value)})
    else:
        found.refused.update(dict.fromkeys(volumes, "volumes in ml need pixel spacing and plane positions"))
    if es is not None and np.isfinite(edv) and np.isfinite(esv) and edv > 0:
        found.figures[ratio] = 100.0 * (1.0 - esv / edv)
    elif es is not None:
        found.refused[ratio] = f"{chamber} not drawn at both ED and ES"


def _mass(found: Ventricles, segmentation: Segmentation) -> None:
    """LV mass at end-diastole, and at end-systole as a check."""
    curve = found.curves.get("LV myocardium")
    if curve is None:
        found.refused["lv_mass_g"] = "LV myocardium not in the labels"
    elif curve.unit != "ml":
        found.refused["lv_mass_g"] = "mass needs pixel spacing and plane positions"
    elif not curve.drawn[found.phases.ed]:
        found.refused["lv_mass_g"] = "LV myocardium not drawn at end-diastole"
    elif "lv_edv_ml" in found.refused and "nobody said" not in found.refused["lv_edv_ml"]:
        found.refused["lv_mass_g"] = found.refused["lv_edv_ml"]
    else:
        found.figures["lv_mass_g"] = MUSCLE_G_PER_ML * float(curve.values[found.phases.ed])
        es = found.phases.es
        if es is not None and curve.drawn[es]:
            found.figures["lv_mass_es_g"] = MUSCLE_G_PER_ML * float(curve.values[es])


def _output(found: Ventricles, rate: float | None) -> None:
    if rate is None:
        found.refused["heart_rate_bpm"] = "neither HeartRate, NominalInterval nor ten trigger times"
    else:
        found.figures["heart_rate_bpm"] = rate
    if "lv_sv_ml" not in found.figures:
        found.refused["cardiac_output_l_min"] = "no stroke volume: " + found.refused.get("lv_sv_ml", "")
    elif rate is None:
        found.refused["cardiac_output_l_min"] = "heart rate unknown"
    else:
        found.figures["cardiac_output_l_min"] = found.figures["lv_sv_ml"] * rate / 1000.0


def _ef_flags(found: Ventricles) -> tuple[Flag, ...]:
    """Doubts that the figures themselves raise."""
    flags, f = [], found.figures
    for name, side in (("lvef_pct", "LV"), ("rvef_pct", "RV")):
        if name in f and not 10.0 <= f[name] <= 80.0:
            severity = "error" if f[name] <= 0.0 or f[name] > 90.0 else "warning"
            flags.append(Flag("ef_implausible", severity, f"{side} ejection fraction {f[name]:.1f} %"))
    if "lv_mass_es_g" in f and f["lv_mass_g"] > 0:
        off = f["lv_mass_es_g"] / f["lv_mass_g"] - 1.0
        if abs(off) > 0.2:
            words = f"LV mass {f['lv_mass_g']:.0f} g at ED, {f['lv_mass_es_g']:.0f} g at ES ({100 * off:+.0f} %)"
            flags.append(Flag("mass_disagrees", "warning", words))
    left, right = f.get("lv_sv_ml"), f.get("rv_sv_ml")
    if left and right and abs(left - right) > 0.3 * max(left, right):
        words = f"stroke volume LV {left:.0f} ml, RV {right:.0f} ml: regurgitation, a shunt, or a wrong contour"
        flags.append(Flag("stroke_volumes_differ", "info", words))
    return tuple(flags)

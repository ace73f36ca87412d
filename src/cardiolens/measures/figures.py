"""`Measures`, and `measure`, which fills it from the segmentations of one study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from cardiolens.errors import InputError
from cardiolens.measures.flags import Flag
from cardiolens.measures.long_axis import LongAxis, measure_long_axis
from cardiolens.measures.reference import bsa_m2, indexed, z_scores
from cardiolens.measures.ventricles import Ventricles, measure_short_axis
from cardiolens.measures.volumes import VolumeCurve
from cardiolens.measures.wall import wall_thickness
from cardiolens.segmentation import Segmentation
from cardiolens.study import View


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class Measures:
    """Figures of one study, None where there is none; `refused` then says why.

    Attributes:
        lv_edv_ml, lv_esv_ml, lv_sv_ml, lvef_pct, lv_mass_g: of the short axis; papillary muscle counts as cavity.
        lv_mass_es_g: mass at end-systole, a check on `lv_mass_g`.
        rv_edv_ml, rv_esv_ml, rv_sv_ml, rvef_pct: at the phases of the left ventricle.
        heart_rate_bpm, cardiac_output_l_min: LV stroke volume times heart rate.
        lv_length_ed_mm, lv_length_es_mm, mapse_mm, gls_pct: means of 2CH and 4CH, as CineMA defines them;
            mapse_axial_mm: the way along the long axis alone.
        lv_edv_long_axis_ml, lv_esv_long_axis_ml, lvef_long_axis_pct: discs of the 2CH and 4CH.
        la_max_ml, la_min_ml, la_ef_pct; ra_max_ml, ra_min_ml, ra_ef_pct: by area and length, RA from the 4CH alone.
        bsa_m2: body surface (Mosteller); indexed: figures per m2, by names of `reference.INDEXED`.
        z_scores: standard deviations from healthy people of the same sex, 45 to 74 years; see `reference`.
        wall_ed_mm, wall_es_mm: thickness of AHA segments 1 to 16, NaN where no plane shows one; () for none.
        by_view: long-axis figures of each view alone.
        ed_phase, es_phase: numbers from 0 within the short-axis cine (None: no such cine, or no such phase).
        curves: by structure, over the phases of the short-axis cine.
        refused: figure to reason.
        flags, notes: doubts, and what was done.
        sources: who drew each view.
    """

    lv_edv_ml: float | None = None
    lv_esv_ml: float | None = None
    lv_sv_ml: float | None = None
    lvef_pct: float | None = None
    lv_mass_g: float | None = None
    lv_mass_es_g: float | None = None
    rv_edv_ml: float | None = None
    rv_esv_ml: float | None = None
    rv_sv_ml: float | None = None
    rvef_pct: float | None = None
    heart_rate_bpm: float | None = None
    cardiac_output_l_min: float | None = None
    lv_length_ed_mm: float | None = None
    lv_length_es_mm: float | None = None
    mapse_mm: float | None = None
    mapse_axial_mm: float | None = None
    gls_pct: float | None = None
    lv_edv_long_axis_ml: float | None = None
    lv_esv_long_axis_ml: float | None = None
    lvef_long_axis_pct: float | None = None
    la_max_ml: float | None = None
    la_min_ml: float | None = None
    la_ef_pct: float | None = None
    ra_max_ml: float | None = None
    ra_min_ml: float | None = None
    ra_ef_pct: float | None = None
    bsa_m2: float | None = None
    indexed: Mapping[str, float] = field(default_factory=_none, repr=False)
    z_scores: Mapping[str, float] = field(default_factory=_none, repr=False)
    wall_ed_mm: tuple[float, ...] = field(default=(), repr=False)
    wall_es_mm: tuple[float, ...] = field(default=(), repr=False)
    by_view: Mapping[str, Mapping[str, float]] = field(default_factory=_none, repr=False)
    ed_phase: int | None = None
    es_phase: int | None = None
    curves: Mapping[str, VolumeCurve] = field(default_factory=_none, repr=False)
    refused: Mapping[str, str] = field(default_factory=_none, repr=False)
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=_none, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """Every single figure that there is, by name, indexed ones too."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if type(value) is float} | dict(self.indexed)

    @property
    def wall_thickening_pct(self) -> tuple[float, ...]:
        """Systolic thickening of AHA segments 1 to 16; () where either phase has no thickness."""
        return tuple(100.0 * (es / ed - 1.0) for ed, es in zip(self.wall_ed_mm, self.wall_es_mm, strict=False))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: every field, curves as lists (None where nobody drew), flags as mappings."""
        out: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "curves":
                value = {
                    name: {"unit": c.unit, "values": [None if math.isnan(v) else float(v) for v in c.values]}
                    for name, c in value.items()
                }
            elif f.name == "flags":
                value = [{"code": flag.code, "severity": flag.severity, "words": flag.words} for flag in value]
            elif f.name == "by_view":
                value = {name: dict(figures) for name, figures in value.items()}
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = [None if isinstance(v, float) and math.isnan(v) else v for v in value]
            out[f.name] = value
        return out


def measure(
    segmentations: Sequence[Segmentation],
    *,
    sex: str | None = None,
    age: float | None = None,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    ed: int | None = None,
    es: int | None = None,
) -> Measures:
    """Every figure that the segmentations of one study allow.

    Args:
        segmentations: at most one a view.
        sex, age, height_cm, weight_kg: "F" or "M"; years; for indexed values and z-scores.
        ed, es: phases of the short-axis cine (from 0) that a reader chose; None finds them from the volume curve.

    Raises:
        InputError: no segmentation, two of one view, a phase that is not there, a sex or size that nobody has.
    """
    if sex not in (None, "F", "M"):
        raise InputError(f'sex must be "F", "M" or None, got {sex!r}')
    by_view = _by_view(segmentations)
    found = _Found()
    for segmentation in by_view.values():
        found.notes += [f"{segmentation.view}: {note}" for note in segmentation.notes]
    found.sources.update({str(view): s.source for view, s in by_view.items()})
    if View.SAX in by_view:
        _short_axis(found, by_view[View.SAX], ed, es)
    elif ed is not None or es is not None:
        raise InputError("ed= and es= are phases of the short-axis cine, and none was given")
    else:
        found.flags.append(Flag("no_short_axis", "info", "no short-axis stack was segmented"))
        found.refused.update(dict.fromkeys(_SHORT_AXIS, "no short-axis stack was segmented"))
    found.long_axis(measure_long_axis(by_view))
    _compare(found)
    _body(found, sex, age, height_cm, weight_kg)
    return found.measures()


def _short_axis(found: _Found, segmentation: Segmentation, ed: int | None, es: int | None) -> None:
    """Ventricles and walls; what a reader chose is written down."""
    ventricles = measure_short_axis(segmentation, ed=ed, es=es)
    found.short_axis(ventricles)
    if ed is not None or es is not None:
        alone = measure_short_axis(segmentation).phases
        for name, chosen, of_curve in (("ED", ed, alone.ed), ("ES", es, alone.es)):
            if chosen is not None:
                was = "none" if of_curve is None else str(of_curve + 1)
                found.notes.append(f"{name} set to phase {chosen + 1} by a reader; the volume curve says {was}")
    walls = wall_thickness(segmentation, ventricles.phases.ed, ventricles.phases.es)
    if isinstance(walls, str):
        found.refused["wall_ed_mm"] = found.refused["wall_es_mm"] = walls
        return
    found.figures["wall_ed_mm"] = tuple(float(v) for v in walls.ed_mm)
    if walls.es_mm is None:
        found.refused["wall_es_mm"] = "one phase drawn; end-systole unknown"
    else:
        found.figures["wall_es_mm"] = tuple(float(v) for v in walls.es_mm)


def _compare(found: _Found) -> None:
    short, long = found.figures.get("lvef_pct"), found.figures.get("lvef_long_axis_pct")
    if short is not None and long is not None and abs(short - long) > 15.0:
        words = f"LVEF {short:.0f} % of the short axis, {long:.0f} % of the long axes"
        found.flags.append(Flag("views_disagree", "warning", words))


def _body(found: _Found, sex: str | None, age: float | None, height: float | None, weight: float | None) -> None:
    """Indexed figures and z-scores."""
    plain = {name: value for name, value in found.figures.items() if type(value) is float}
    if height is None or weight is None:
        found.refused["bsa_m2"] = found.refused["indexed"] = "height and weight are needed"
        indexed_figures: dict[str, float] = {}
    else:
        found.figures["bsa_m2"] = bsa_m2(height, weight)
        indexed_figures = indexed(plain, found.figures["bsa_m2"])
        found.figures["indexed"] = MappingProxyType(indexed_figures)
    scores, flags = z_scores(plain | indexed_figures, sex, age)
    found.figures["z_scores"] = MappingProxyType(scores)
    found.flags += flags
    if sex is None or age is None:
        found.refused["z_scores"] = "sex and age are needed"
    elif flags:
        found.refused["z_scores"] = flags[0].words


_SHORT_AXIS = (
    *("lv_edv_ml", "lv_esv_ml", "lv_sv_ml", "lvef_pct", "lv_mass_g", "rv_edv_ml", "rv_esv_ml", "rv_sv_ml", "rvef_pct"),
    *("heart_rate_bpm", "cardiac_output_l_min", "wall_ed_mm", "wall_es_mm"),
)


@dataclass(eq=False)
class _Found:
    """What has been measured so far."""

    figures: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    curves: dict[str, VolumeCurve] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def long_axis(self, found: LongAxis) -> None:
        """2CH and 4CH."""
        self.figures.update(found.figures)
        self.figures["by_view"] = MappingProxyType(found.by_view)
        self.refused.update(found.refused)
        self.flags += found.flags
        self.notes += found.notes

    def short_axis(self, ventricles: Ventricles) -> None:
        """The short axis."""
        self.figures.update(ventricles.figures, ed_phase=ventricles.phases.ed, es_phase=ventricles.phases.es)
        self.refused.update(ventricles.refused)
        self.curves.update(ventricles.curves)
        self.flags += ventricles.flags
        self.notes += ventricles.notes

    def measures(self) -> Measures:
        """All of it, closed."""
        return Measures(
            **self.figures,
            curves=MappingProxyType(self.curves),
            refused=MappingProxyType(self.refused),
            flags=tuple(self.flags),
            notes=tuple(self.notes),
            sources=MappingProxyType(self.sources),
        )


def _by_view(segmentations: Sequence[Segmentation]) -> dict[View, Segmentation]:
    by_view: dict[View, Segmentation] = {}
    for segmentation in segmentations:
        if segmentation.view in by_view:
            raise InputError(f"two segmentations of {segmentation.view}; give one a view")
        by_view[segmentation.view] = segmentation
    if not by_view:
        raise InputError("measure: no segmentation given")
    return by_view

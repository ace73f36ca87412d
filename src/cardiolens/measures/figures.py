"""`Measures`, and `measure`, which fills it from the segmentations of one study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from cardiolens.errors import InputError
from cardiolens.measures.flags import Flag
from cardiolens.measures.ventricles import Ventricles, measure_short_axis
from cardiolens.measures.volumes import VolumeCurve
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
    ed_phase: int | None = None
    es_phase: int | None = None
    curves: Mapping[str, VolumeCurve] = field(default_factory=_none, repr=False)
    refused: Mapping[str, str] = field(default_factory=_none, repr=False)
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=_none, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """Every figure that there is, by name, without phases."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in found.items() if type(value) is float}

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
            elif isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
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
    by_view = _by_view(segmentations)
    found = Found()
    found.sources.update({str(view): s.source for view, s in by_view.items()})
    if View.SAX in by_view:
        found.take(measure_short_axis(by_view[View.SAX], ed=ed, es=es))
    else:
        found.flags.append(Flag("no_short_axis", "info", "no short-axis stack was segmented"))
    return found.measures()


@dataclass(eq=False)
class Found:
    """What has been measured so far."""

    figures: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    curves: dict[str, VolumeCurve] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def take(self, ventricles: Ventricles) -> None:
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

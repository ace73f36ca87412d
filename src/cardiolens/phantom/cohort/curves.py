"""Volumes of the chambers and thickness of the segments over one beat, from the anatomy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens.phantom.anatomy import Anatomy, anatomy_of
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.motion import atrial_filling, emptying
from cardiolens.phantom.shapes import segment_centre

FloatArray = npt.NDArray[np.float64]

_SEGMENTS = 16  # without the apical cap, which has no thickness across
_AROUND, _ALONG = 0.35, 0.12  # half width of the middle of a segment: of its angle, and of the inner length
_STATES = 6
N_PHASES = 32


def curves_of(parameters: HeartParameters) -> dict[str, Any]:
    """Curves at `N_PHASES` even phases from the R wave.

    Returns:
        "phase" (n,) as shares of the beat; "lv_ml", "rv_ml", "la_ml", "ra_ml" (n,); "segment_mm" (16, n), thickness of
        AHA segments 1 to 16.
    """
    anatomy = anatomy_of(parameters)
    phase = np.arange(N_PHASES) / N_PHASES
    share, filling = emptying(parameters, phase), atrial_filling(parameters, phase)
    states = np.linspace(0.0, 1.0, _STATES)  # the anatomy changes smoothly with the share that is out
    rv, segments = anatomy.rv_ml(states), segment_thickness(anatomy, states)
    return {
        "phase": phase,
        "lv_ml": parameters.lv_edv_ml - (parameters.lv_edv_ml - parameters.lv_esv_ml) * share,
        "rv_ml": np.interp(share, states, rv),
        "la_ml": parameters.la_max_ml * (1.0 - parameters.la_ef_pct / 100.0 * (1.0 - filling)),
        "ra_ml": parameters.ra_max_ml * (1.0 - parameters.ra_ef_pct / 100.0 * (1.0 - filling)),
        "segment_mm": np.stack([np.interp(share, states, thickness) for thickness in segments]),
    }


def segment_thickness(anatomy: Anatomy, share: FloatArray) -> FloatArray:
    """Mean radial thickness (16, n) in mm of the middle of each segment when `share` (n,) of the stroke is out."""
    endo, epi = (np.sqrt(np.maximum(a, 0.0)) for a in anatomy.lv_material(share))
    wall = epi - endo
    u = anatomy.material_s * anatomy.length / anatomy.parameters.lv_length_mm
    out = np.empty((_SEGMENTS, len(share)))
    for segment in range(1, _SEGMENTS + 1):
        angle, along = segment_centre(segment)
        width = np.deg2rad(60.0 if segment <= 12 else 90.0)
        off = np.abs((anatomy.angles - angle + np.pi) % (2 * np.pi) - np.pi)
        out[segment - 1] = wall[off <= _AROUND * width][:, np.abs(u - along) <= _ALONG].mean((0, 1))
    return out

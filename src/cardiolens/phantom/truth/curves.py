"""How a phantom heart's volumes, walls and valve planes run through the beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import atrial_filling, emptying
from cardiolens.phantom.anatomy.shapes import FloatArray
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth.figures import wall_by_segment


@dataclass(frozen=True, eq=False)
class Curves:
    """One beat.  Arrays (phase,), but for the last two, (segment 1 to 16, phase).

    Attributes:
        phase: fraction of the RR interval after the R wave.
        lv_ml, rv_ml, la_ml, ra_ml: chamber volumes.
        mitral_mm, tricuspid_mm: how far each valve plane has come towards the apex.
        thickness_mm: radial thickness of each AHA segment; radius_mm: distance of its inner side from the long axis.
    """

    phase: FloatArray
    lv_ml: FloatArray
    rv_ml: FloatArray
    la_ml: FloatArray
    ra_ml: FloatArray
    mitral_mm: FloatArray
    tricuspid_mm: FloatArray
    thickness_mm: FloatArray
    radius_mm: FloatArray


def curves_of(parameters: HeartParameters, phases: Any = 25) -> Curves:
    """Curves at `phases`: their number, evenly through the beat, or the fractions of the RR interval themselves.

    Raises:
        PhantomError: no phase at all, or walls that cannot reach the LVEF asked for.
    """
    if np.size(phases) == 0 or (isinstance(phases, int) and phases < 1):
        raise PhantomError(f"curves_of: phases must be 1 or more, or a list of fractions of the beat, got {phases!r}")
    p, a = parameters, anatomy_of(parameters)
    at = np.arange(phases) / phases if isinstance(phases, int) else np.asarray(phases, dtype=np.float64)
    share, filling = emptying(p, at), atrial_filling(p, at)
    endo, epi = (np.sqrt(np.maximum(field, 0.0)) for field in a.lv_material(share))
    return Curves(
        phase=at,
        lv_ml=a.cavity_ml(share),
        rv_ml=p.rv_edv_ml - (p.rv_edv_ml - p.rv_esv_ml) * share,
        la_ml=p.la_max_ml * (1.0 - p.la_ef_pct / 100.0 * (1.0 - filling)),
        ra_ml=p.ra_max_ml * (1.0 - p.ra_ef_pct / 100.0 * (1.0 - filling)),
        mitral_mm=p.mapse_mm * share,
        tricuspid_mm=p.tapse_mm * share,
        thickness_mm=wall_by_segment(a, epi - endo),
        radius_mm=wall_by_segment(a, endo),
    )

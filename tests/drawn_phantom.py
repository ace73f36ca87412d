"""A tiny phantom study, and a segmenter that knows the truth of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from cardiolens.phantom import HeartParameters, masks, render_study
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine, Study, View

PLANES, PHASES, SIDE = 9, 9, 64


@cache
def parameters() -> HeartParameters:
    return HeartParameters()


@cache
def phantom() -> Study:
    """SAX of nine planes and 4CH, 64 x 64, nine phases."""
    study = render_study(
        parameters(),
        seed=3,
        matrix=SIDE,
        phases=PHASES,
        sax_planes=PLANES,
        field_mm=280.0,
        sub_slices=1,
        breath_hold_mm=0.0,
        views=(View.SAX, View.CH4),
    )
    return replace(study, patient="P1", accession="A1")


class Oracle:
    """Draws the phantom's true masks on any cine in its patient space; counts what it drew."""

    def __init__(self, views: tuple[View, ...] = tuple(View)) -> None:
        self.views, self.drawn = views, []

    def __call__(self, study, views=None, *, progress=None):
        out = []
        for cine in study.cines:
            if cine.view in self.views and (views is None or cine.view in views):
                self.drawn.append(cine.view)
                out.append(Segmentation(cine, truth(cine), source="oracle"))
                if progress:
                    progress(cine.n_phases, cine.n_phases)
        return tuple(out)


def truth(cine: Cine) -> np.ndarray:
    return masks(parameters(), cine)


def planes(cine: Cine, keep) -> Cine:
    """Some planes of a short axis, at their places."""
    keep = list(keep)
    affine = np.array(cine.affine)
    step = affine[:3, 2] / np.diff(cine.slice_positions_mm).mean()
    at = cine.slice_positions_mm[keep]
    affine[:3, 3] += step * (at[0] - cine.slice_positions_mm[0])
    affine[:3, 2] = step * (np.diff(at).mean() if len(at) > 1 else 10.0)
    return other(cine, cine.frames[keep], affine=affine, at=at, times=cine.trigger_times_ms[keep])


def other(cine: Cine, frames, *, affine, at=None, times=None, spacing=None) -> Cine:
    """A cine of the same heart with other frames and geometry."""
    attributes = {k: v for k, v in cine.attributes.items() if not k.endswith("shifts_mm")}
    return Cine(
        cine.view,
        frames,
        source=cine.source,
        spacing_mm=spacing or cine.spacing_mm,
        slice_positions_mm=cine.slice_positions_mm if at is None else at,
        trigger_times_ms=cine.trigger_times_ms if times is None else times,
        affine=affine,
        attributes=attributes,
    )

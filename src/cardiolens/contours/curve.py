"""The volume curves as a figure, with ED and ES marked."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cardiolens.dicom.write import COLOURS
from cardiolens.measures import Measures
from cardiolens.study import Cine, FloatArray


def curve_figure(measures: Measures, cine: Cine | None) -> bytes | None:
    """PNG of every curve over the heart cycle; None without a curve.

    Args:
        cine: the short-axis cine, whose trigger times make the axis; without them the phase numbers do.
    """
    if not measures.curves:
        return None
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cardiolens.style import INK, STYLE

    units = {curve.unit for curve in measures.curves.values()}
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.9), layout="constrained")
        FigureCanvasAgg(figure)
        axes: Any = figure.subplots()
        at, label = _times(cine, max(len(curve.values) for curve in measures.curves.values()))
        top = 0.0
        for name, curve in measures.curves.items():
            colour = tuple(value / 255 for value in COLOURS.get(name, (120, 120, 120)))
            axes.plot(at, curve.values, "o-", ms=3.4, lw=1.7, color=colour, label=name)
            top = max(top, float(np.nanmax(curve.values)))
        for name, phase in (("ED", measures.ed_phase), ("ES", measures.es_phase)):
            if phase is not None:
                axes.axvline(at[phase], color=INK, lw=1.0, ls=(0, (4, 3)))
                axes.annotate(
                    f"{name}, phase {phase + 1}",
                    (at[phase], top * 1.10),
                    ha="center",
                    va="bottom",
                    fontsize=9,
                    color=INK,
                )
        axes.set_ylim(0, top * 1.10)
        axes.set_xlabel(label)
        axes.set_ylabel("volume (ml)" if units == {"ml"} else "voxels (no lengths known)")
        axes.legend(loc="lower right")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()


def _times(cine: Cine | None, phases: int) -> tuple[FloatArray, str]:
    """Where the phases lie on the axis, and its label; the mean over planes, whose trigger times differ a little."""
    if cine is not None and cine.trigger_times_ms is not None and cine.n_phases == phases:
        times = cine.trigger_times_ms.mean(0)
        if (np.diff(times) > 0).all():
            return np.asarray(times), "time after the R wave (ms)"
    return np.arange(1.0, phases + 1.0), "phase"

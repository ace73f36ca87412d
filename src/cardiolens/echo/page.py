"""One page a loop: EF of each beat, the cleaned loop playing, the rhythm that was found, or why it was not read."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cardiolens.echo.check import REFUSALS, Checked
from cardiolens.echo.ef import BeatEF
from cardiolens.html.parts import environment, page_parts
from cardiolens.volume import Volume

if TYPE_CHECKING:
    from cardiolens.models.card import Card

_FILM_SIDE, _FILM_IMAGES = 280, 60


def loop_page(
    name: str, checked: Checked, found: BeatEF | None, card: Card | None, provenance: Mapping[str, str]
) -> str:
    """HTML of one loop; it holds no image outside the sector, no name and no text of the file."""
    loop = found.loop if found is not None else checked.clean
    return environment().get_template("echo.html").render(
        **page_parts(),
        name=name,
        study=_facts(checked, found),
        refused=[
            {"name": each.name, "meaning": REFUSALS[each.name], "detail": each.detail} for each in checked.refused
        ],
        ef=None if found is None else found.ef,
        spread=None if found is None else found.spread,
        out_of_domain=found is not None and meaningless(checked, card),
        by_beats=found is not None and found.by_beats,
        each_ef=[]
        if found is None
        else [
            {"first": first + 1, "last": last, "ef": float(ef)}
            for (first, last), ef in zip(found.spans, found.each, strict=True)
        ],
        doubts=doubts(checked, found, card),
        error_words="" if found is None else error_words(card),
        film=None if loop is None else _film(loop),
        curve=None if found is None else _curve(found),
        notes=[*(loop.notes if loop is not None else ()), *(found.notes if found is not None else ())],
        provenance=list(provenance.items()),
        loops={},
    )  # fmt: skip


def doubts(checked: Checked, found: BeatEF | None, card: Card | None) -> list[str]:
    """What a reader must know beside the figure."""
    from cardiolens.origin import learned_from_phantom

    said = []
    if found is not None and not checked.view_checked:
        said.append("Nothing says that this is the apical four-chamber view, and its pixels were not checked for it.")
    if found is not None and card is not None and learned_from_phantom(card):
        said.append("The model learned from simulated loops alone: its figure on a real loop means nothing.")
    if found is not None and meaningless(checked, card):
        said.append("This loop comes from a scanner: do not use the figure.")
    return said


def meaningless(checked: Checked, card: Card | None) -> bool:
    """Whether a model of simulated loops alone was given a loop that names the scanner it comes from."""
    from cardiolens.origin import PHANTOM, learned_from_phantom

    if card is None or checked.loop is None or not learned_from_phantom(card):
        return False
    return checked.loop.volume.attributes.get("Manufacturer", PHANTOM) != PHANTOM


def error_words(card: Card | None) -> str:
    """How far the model was off in its own test, from the card; "" where it does not say."""
    if card is None:
        return ""
    test = next((task.get("metrics", {}).get("test") for task in card.tasks.values()), None) or {}
    if "mae" not in test:
        return ""
    low, high = test.get("mae_low"), test.get("mae_high")
    limits = f" [{low:.1f}, {high:.1f}]" if low is not None and high is not None else ""
    count = test.get("n", "?")
    return f"On {count} loops of its own test the model was off by {test['mae']:.1f}{limits} points on average."


def _facts(checked: Checked, found: BeatEF | None) -> list[tuple[str, str]]:
    volume = checked.loop.volume if checked.loop is not None else None
    rate = volume.attributes.get("frame_rate") if volume is not None else None
    facts = [
        ("View", checked.view.words),
        ("Images", "" if volume is None else f"{len(volume)}"),
        ("Rate", f"{rate:.0f} /s" if isinstance(rate, float) else ""),
        ("Heart rate", f"{found.beats.heart_rate:.0f} /min" if found and found.beats.heart_rate else ""),
        ("Sector", checked.sector.found_by if checked.sector is not None else ""),
    ]
    return [(label, value) for label, value in facts if value]


def _film(loop: Volume) -> str:
    """An animated WebP of the start of the loop, at its own pace, as a data URI."""
    every = max(1, len(loop) // _FILM_IMAGES)
    step = 40.0 if loop.times_ms is None or len(loop) < 2 else float(np.median(np.diff(loop.times_ms)))
    pictures = [
        Image.fromarray(image).resize((_FILM_SIDE, _FILM_SIDE), Image.Resampling.BICUBIC)
        for image in loop.images[::every][:_FILM_IMAGES]
    ]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=max(10, round(step * every)),
        loop=0,
        quality=60,
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _curve(found: BeatEF) -> str:
    """The pattern over time with the beats, PNG as a data URI."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cardiolens.style import INK, STYLE

    times: Any = found.loop.times_ms
    with rc_context(STYLE):
        figure = Figure(figsize=(8.0, 2.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes: Any = figure.subplots()
        axes.plot(times / 1000.0, found.beats.pattern, lw=1.5)
        for start in found.beats.starts:
            axes.axvline(times[start] / 1000.0, color=INK, lw=1.0, ls=(0, (4, 3)))
        axes.set_xlabel("time (s)")
        axes.set_ylabel("pattern")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

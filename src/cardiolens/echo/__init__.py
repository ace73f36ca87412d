"""Echocardiogram loops: read, checked, cleaned, and their EF beat by beat.

>>> from cardiolens.echo import ModelReader, beat_by_beat, check_file
>>> looked = check_file("IM0001.dcm")                         # doctest: +SKIP
>>> looked.refused                                            # doctest: +SKIP
(Refusal(name='colour_doppler', detail='12.3% of the sector is in colours'),)
>>> beat_by_beat(looked.clean, ModelReader(model)).ef         # doctest: +SKIP
57.3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.echo.beats import Beats, find_beats
    from cardiolens.echo.check import REFUSALS, Checked, check_file, check_loop
    from cardiolens.echo.ef import BeatEF, ModelReader, ReadsClips, beat_by_beat
    from cardiolens.echo.read import EchoLoop, read_loop
    from cardiolens.echo.run import EchoRun, read_echoes

_WHERE = {
    "REFUSALS": "check",
    "BeatEF": "ef",
    "Beats": "beats",
    "Checked": "check",
    "EchoLoop": "read",
    "EchoRun": "run",
    "ModelReader": "ef",
    "ReadsClips": "ef",
    "beat_by_beat": "ef",
    "check_file": "check",
    "check_loop": "check",
    "find_beats": "beats",
    "read_echoes": "run",
    "read_loop": "read",
}

__all__ = [
    "REFUSALS",
    "BeatEF",
    "Beats",
    "Checked",
    "EchoLoop",
    "EchoRun",
    "ModelReader",
    "ReadsClips",
    "beat_by_beat",
    "check_file",
    "check_loop",
    "find_beats",
    "read_echoes",
    "read_loop",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

"""Segmentation of cines without geometry: `load_segmenter()`, trained on the phantom alone.

>>> segmenter = load_segmenter()                                                  # doctest: +SKIP
>>> short_axis, *long_axes = segmenter(cardiolens.read_study("path/to/dicom"))    # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.segmenter.bundle import load_segmenter, save_segmenter
    from cardiolens.segmenter.segmenter import Segmenter

_WHERE = {"Segmenter": "segmenter", "load_segmenter": "bundle", "save_segmenter": "bundle"}

__all__ = ["Segmenter", "load_segmenter", "save_segmenter"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"cardiolens.segmenter.{_WHERE[name]}"), name)

"""DICOM in and out.

    >>> from cardiolens.dicom import series_table
    >>> for finding in series_table("scan/"):
    ...     print(finding.name, finding.view, finding.reason)

`cardiolens.read_study` is the door for reading; this room holds what lies behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.dicom.findings import SeriesFinding
    from cardiolens.dicom.read import Examination, series_table
    from cardiolens.dicom.views import classify_description

__all__ = ["Examination", "SeriesFinding", "classify_description", "series_table"]

_HOMES = {
    "SeriesFinding": "findings",
    "Examination": "read",
    "series_table": "read",
    "classify_description": "views",
}


def __getattr__(name: str) -> Any:
    """Import on first use: pydicom is not needed by every verb."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

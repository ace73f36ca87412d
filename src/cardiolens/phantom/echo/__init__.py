"""The same hearts as apical four-chamber ultrasound, and data sets of it in EchoNet-Dynamic's layout."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.phantom.echo.dataset import EchoSet, write_echonet
    from cardiolens.phantom.echo.probe import Probe, place_probe
    from cardiolens.phantom.echo.render import Echo, render_echo
    from cardiolens.phantom.echo.tracing import Tracing

_WHERE = {
    "Echo": "render",
    "EchoSet": "dataset",
    "Probe": "probe",
    "Tracing": "tracing",
    "place_probe": "probe",
    "render_echo": "render",
    "write_echonet": "dataset",
}

__all__ = ["Echo", "EchoSet", "Probe", "Tracing", "place_probe", "render_echo", "write_echonet"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

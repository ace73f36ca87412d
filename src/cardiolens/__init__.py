"""cardiolens: learn from cardiac MRI cine studies and their reports; measure, explain and search them.

>>> import cardiolens
>>> study = cardiolens.read_study("path/to/dicom")        # doctest: +SKIP
>>> [cine.view for cine in study.cines]                   # doctest: +SKIP
>>> model = cardiolens.load_model("shad-mvit-tiny:phantom")  # doctest: +SKIP

Research software; not a medical device.
"""

from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__

if TYPE_CHECKING:
    from cardiolens.hub import list_models, load_model
    from cardiolens.reading import read_study
    from cardiolens.store import StudyStore
    from cardiolens.study import Cine, Study, View

__all__ = ["Cine", "Study", "StudyStore", "View", "__version__", "list_models", "load_model", "read_study"]

_HOMES = {
    "Cine": "cardiolens.study",
    "Study": "cardiolens.study",
    "View": "cardiolens.study",
    "StudyStore": "cardiolens.store",
    "read_study": "cardiolens.reading",
    "list_models": "cardiolens.hub",
    "load_model": "cardiolens.hub",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import cardiolens` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)

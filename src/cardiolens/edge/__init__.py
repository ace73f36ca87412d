"""A model as ONNX graphs, and prediction from them without PyTorch.

>>> from cardiolens.edge import OnnxEngine, export_model
>>> export_model(cardiolens.load_model("shad-mvit-tiny:phantom"), "edge")        # doctest: +SKIP
>>> cardiolens.inference.Predictor(OnnxEngine("edge"))(study).lvef_pct           # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from cardiolens.edge.engine import OnnxEngine
from cardiolens.edge.folder import EdgeFolder

if TYPE_CHECKING:
    from cardiolens.edge.export import export_model

__all__ = ["EdgeFolder", "OnnxEngine", "export_model"]


def __getattr__(name: str) -> Any:
    """The export brings PyTorch with it, so it is imported on first use."""
    if name != "export_model":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cardiolens.edge.export import export_model

    return export_model

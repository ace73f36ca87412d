"""Published checkpoints made from their names, as the golden files were; see tests/golden/fill.py."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
_spec = importlib.util.spec_from_file_location("golden_fill", GOLDEN / "fill.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
fill = _module.fill


def published(name: str) -> dict[str, torch.Tensor]:
    """The publisher's state dict of a golden file, in the publisher's names; without tables that are computed."""
    shapes = json.loads((GOLDEN / f"{name}.keys.json").read_text())
    shapes = shapes.get("parameters", shapes)
    return {key: torch.from_numpy(fill(key, tuple(shape))) for key, shape in shapes.items()}


def expected(name: str) -> dict[str, np.ndarray]:
    """What the publisher's own code computed."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def given(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(fill(f"input:{name}", shape))


def relative_error(found: torch.Tensor | np.ndarray, truth: np.ndarray) -> float:
    """Largest difference over largest value."""
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else np.asarray(found)
    assert found.shape == truth.shape
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def kinetics_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """pytorchvideo's Kinetics file of a network in the authors' layout, with other numbers."""
    trunk = {k.removeprefix("video_encoder."): v + 0.5 for k, v in state.items() if k.startswith("video_encoder.")}
    return trunk | {"head.proj.weight": torch.zeros(400, 768), "head.proj.bias": torch.zeros(400)}

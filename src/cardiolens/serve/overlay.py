"""Where the video model looked on one plane: its attention rollout, coarse as it is, for laying over the cine."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cardiolens.clips import choose_planes
from cardiolens.errors import InputError
from cardiolens.explain.maps import attention_maps
from cardiolens.html.loops import model_field
from cardiolens.transforms import ClipTransform

if TYPE_CHECKING:
    from cardiolens.serve.desk import Desk


def attention_told(desk: Desk, key: str, view: str, plane: int) -> dict[str, Any]:
    """The rollout of one plane.

    Returns:
        ``grid`` (time, row, col); ``values`` base64 of bytes, 255 at the 95th percentile; ``field`` [left, top, width,
        height] of the cine that it covers, in fractions; ``times`` the place of each phase of the cine in the grid.

    Raises:
        InputError: a plane that the model does not read, or a model without attention.
    """
    cine = desk.store.read(key).cine(view)
    read = choose_planes(cine.n_slices)
    if plane not in read:
        raise InputError(
            f"the model does not read plane {plane + 1} of {view}; it reads {read[0] + 1} to {read[-1] + 1}"
        )
    engines = desk.engines
    transform = ClipTransform.from_dict(engines.card.transform)
    clip = transform(desk.store.frames(key, view, plane))
    with engines.lock:
        maps = attention_maps(engines.model, clip.to(engines.predictor.device))
    rollout = maps.rollout.numpy()
    top = max(float(np.percentile(rollout, 95.0)), 1e-12)
    values = (255 * np.clip(rollout / top, 0, 1)).round().astype(np.uint8)
    picked = torch.linspace(0, cine.n_phases - 1, transform.frames).long().numpy()
    nearest = np.abs(np.arange(cine.n_phases)[:, None] - picked[None]).argmin(1)
    return {
        "view": view,
        "plane": plane,
        "grid": list(rollout.shape),
        "values": base64.b64encode(values.tobytes()).decode("ascii"),
        "field": model_field(cine, transform.short_side, transform.crop),
        "times": np.minimum(nearest // maps.step[0], rollout.shape[0] - 1).tolist(),
    }

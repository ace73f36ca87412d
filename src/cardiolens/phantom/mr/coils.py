"""What the receive coils do: shading, and noise raised by parallel imaging."""

from __future__ import annotations

import numpy as np

from cardiolens.phantom.mr.texture import Image


def coil_shading(points: Image, front_y: float, shading: float) -> Image:
    """Receive sensitivity at patient points (..., 3), mm: strongest under the front coil, about 1 at the heart."""
    if shading <= 0:
        return np.ones(points.shape[:-1], dtype=np.float32)
    front = np.sqrt((points[..., 0] - 25.0) ** 2 * 0.5 + (points[..., 1] - front_y) ** 2 + points[..., 2] ** 2 * 0.35)
    back = np.sqrt(points[..., 0] ** 2 * 0.4 + (points[..., 1] + front_y) ** 2 + points[..., 2] ** 2 * 0.35)
    sense = 0.45 + shading * (1.9 * np.exp(-front / 52.0) + 0.45 * np.exp(-back / 55.0))
    return np.asarray(sense / (0.45 + 0.5 * shading), dtype=np.float32)


def noise_gain(points: Image, shade: Image, acceleration: float, evened: float) -> Image | None:
    """Factor (same shape as `shade`) on the noise: the root of the acceleration and the coil geometry, worst deep in
    the body, and what evening the picture lifts; None where it is 1 everywhere."""
    if acceleration <= 1 and evened <= 0:
        return None
    gain = np.ones_like(shade)
    if acceleration > 1:
        deep = np.exp(-((points[..., 0] / 110.0) ** 2) - (points[..., 1] / 70.0) ** 2)
        gain *= np.float32(np.sqrt(acceleration)) * (1.0 + 0.3 * (acceleration - 1.0) * deep).astype(np.float32)
    if evened > 0:
        gain *= shade ** np.float32(-evened)
    return gain

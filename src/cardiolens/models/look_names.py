"""What is measured of the look of a clip: every statistic with its name in plain words, in order; no arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

TIME, ROW, COL = 1, 2, 3
CUTS = (  # name, axes, radius in pixels and frames
    ("within the frame, next pixels", (ROW, COL), 1),
    ("within the frame, 2 pixels apart", (ROW, COL), 2),
    ("within the frame, 4 pixels apart", (ROW, COL), 4),
    ("along columns and time, next frames", (TIME, ROW), 1),
    ("along rows and time, next frames", (TIME, COL), 1),
    ("along columns and time, 2 frames apart", (TIME, ROW), 2),
)
SCALES = (1, 2, 4, 8)
CURVATURE = (0.5, 0.75, 0.9, 0.98)
SLOPE = (0.25, 0.5, 0.75, 0.9, 0.98)
_SIDES = (("bright against dark spots (skewness)", False), ("strongest bright against strongest dark spots", True))
_TIES = ("edges to brightness", "fine detail to brightness", "fine detail to edges", "bright spots to brightness")


def _words() -> tuple[tuple[str, bool], ...]:
    columns = [
        (f"share of pattern {code} of neighbouring pixels {words}", True) for words, _, _ in CUTS for code in range(10)
    ]
    for scale in SCALES:
        at = f"at {scale} pixel" + ("s" if scale > 1 else "")
        columns += [(f"fine detail {at}, {share:.0%} level", True) for share in CURVATURE]
        columns += [(f"edges {at}, {share:.0%} level", True) for share in SLOPE]
        columns += [(f"{words} {at}", log) for words, log in _SIDES]
        columns += [(f"tie of {words} {at}", False) for words in _TIES]
    columns += [(f"tie of edges at {fine} and {coarse} pixels", False) for fine, coarse in pairwise(SCALES)]
    return tuple(columns)


TEXTURES = _words()
"""What each column of `texture_statistics` is, and whether it is a logarithm."""


@dataclass(frozen=True)
class Statistic:
    """One measured property of a clip: short name, what it is in plain words, whether measured as a logarithm."""

    name: str
    words: str
    log: bool = False


PLAIN = (
    Statistic("dark_level", "grey level of the dark parts (5th percentile)"),
    Statistic("lower_level", "grey level of the darker quarter (25th percentile)"),
    Statistic("middle_level", "middle grey level (median)"),
    Statistic("upper_level", "grey level of the brighter quarter (75th percentile)"),
    Statistic("bright_level", "grey level of the bright parts (95th percentile)"),
    Statistic("dark_share", "share of the image that is almost black"),
    Statistic("grey_entropy", "spread of grey levels (entropy)"),
    Statistic("centre_to_border", "brightness of the centre against the border", log=True),
    Statistic("noise_level", "pixel noise within a frame", log=True),
    Statistic("noise_grain", "grain of the noise (likeness of neighbouring pixels)"),
    Statistic("detail_tails", "how fine detail is concentrated on few edges (kurtosis)", log=True),
    Statistic("flat_texture", "texture in the most even quarter of the image", log=True),
    Statistic("middle_texture", "texture in the middle of the image's range", log=True),
    Statistic("edge_strength", "strength of the strongest edges", log=True),
    Statistic("edge_density", "share of the image that is edge", log=True),
    Statistic("spectral_slope", "fall of detail from coarse to fine (spectral slope)"),
    Statistic("fine_detail", "share of fine detail in the image", log=True),
    Statistic("motion_share", "share of the image's variation that is motion", log=True),
    Statistic("motion_peak", "motion of the most moving parts", log=True),
    Statistic("still_level", "flicker of the stillest parts from frame to frame", log=True),
    Statistic("frame_noise", "noise from frame to frame", log=True),
    Statistic("slow_motion", "share of motion that follows the heart cycle smoothly"),
)
STATISTICS = (*PLAIN, *(Statistic(f"texture_{i}", words, log) for i, (words, log) in enumerate(TEXTURES)))

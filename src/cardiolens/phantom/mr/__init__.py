"""How a magnetic resonance scanner sees the phantom: tissue signal, coils, k-space, noise, field, heart beats."""

from cardiolens.phantom.mr.beats import acquisition_of, frame_times, gather, heart_phases, smear
from cardiolens.phantom.mr.coils import coil_shading, noise_gain
from cardiolens.phantom.mr.contrast import Contrast, contrast_of
from cardiolens.phantom.mr.kspace import KSpace, fold, stretch, zoom_of
from cardiolens.phantom.mr.noise import NoiseBank
from cardiolens.phantom.mr.off_resonance import OffResonance
from cardiolens.phantom.mr.protocol import Protocol
from cardiolens.phantom.mr.steady_state import bssfp, slice_offsets, slice_signal
from cardiolens.phantom.mr.texture import Image, look_up, texture_volume

__all__ = [
    "Contrast",
    "Image",
    "KSpace",
    "NoiseBank",
    "OffResonance",
    "Protocol",
    "acquisition_of",
    "bssfp",
    "coil_shading",
    "contrast_of",
    "fold",
    "frame_times",
    "gather",
    "heart_phases",
    "look_up",
    "noise_gain",
    "slice_offsets",
    "slice_signal",
    "smear",
    "stretch",
    "texture_volume",
    "zoom_of",
]

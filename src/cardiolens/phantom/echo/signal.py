"""From scatterers to a grey picture: random scatterers, point spread, envelope, shadows, gain, log compression.

Fully developed speckle is the magnitude of a complex Gaussian field (Wagner et al., IEEE Trans Sonics Ultrason
1983;30:156): here white scatterers, fixed in the tissue, blurred by a point spread that is fixed in the beams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from cardiolens.phantom.anatomy.solids import Image
from cardiolens.phantom.echo.probe import FloatArray
from cardiolens.phantom.echo.sector import Field, Sector

_BLOCK = (64, 160, 16)  # cells of the block of scatterers along right, depth and normal; it is repeated, staggered
_STAGGER = 23
_ELEVATION = 2.5  # the slice is this much thicker than the speckle is wide
_AXIAL_MM, _LATERAL_RAD = 0.9, np.deg2rad(1.15)  # standard deviations of the point spread


@dataclass(frozen=True)
class Settings:
    """How one examination was set up.

    Attributes:
        range_db: dynamic range shown; gain_db: added before; gamma: of the grey map.
        attenuation_db: left at the far end when time-gain compensation has done its work.
        noise_db: electronic noise at the far end, relative to the brightest pericardium; it grows with depth.
        haze_db: reverberation under the transducer, relative likewise.
        persistence: share of the picture before that is kept.
    """

    range_db: float = 55.0
    gain_db: float = 0.0
    gamma: float = 1.0
    attenuation_db: float = 6.0
    noise_db: float = -50.0
    haze_db: float = -22.0
    persistence: float = 0.3


def draw_settings(rng: np.random.Generator) -> Settings:
    """As different machines and hands set them."""
    return Settings(
        range_db=float(rng.uniform(44.0, 56.0)),
        gain_db=float(np.clip(rng.normal(1.4, 2.2), -4.0, 5.0)),
        gamma=float(rng.uniform(1.0, 1.5)),
        attenuation_db=float(rng.uniform(1.0, 12.0)),
        noise_db=float(rng.uniform(-58.0, -46.0)),
        haze_db=float(rng.uniform(-30.0, -16.0)),
        persistence=float(rng.uniform(0.1, 0.45)),
    )


def scatterers(rng: np.random.Generator) -> Field:
    """A block of complex unit noise, flat, that fits itself at its borders."""
    block = rng.standard_normal((2, *_BLOCK))
    block = gaussian_filter(block, (0.0, 0.8, 0.8, 0.8), mode="wrap")
    block /= block.std() * np.sqrt(2.0)
    return np.asarray((block[0] + 1j * block[1]).astype(np.complex64).ravel())


def cell_mm(sector: Sector) -> FloatArray:
    """(3,) cells of the block of scatterers along right, depth and normal: no finer than the beams can follow."""
    fine = 0.6 * float(sector.ranges[1] - sector.ranges[0])
    wide = 0.55 * float(sector.angles[1] - sector.angles[0]) * 0.6 * sector.probe.depth_mm
    return np.array([max(wide, fine), fine * 1.2, _ELEVATION * max(wide, fine)])


def look_up_cells(block: Field, cells: Image) -> Field:
    """The scatterers in the cells (n, 3), float, of the repeated block: (n,) complex."""
    right, deep, off = (np.floor(cells[:, i]).astype(np.int32) for i in range(3))
    again, deep = np.divmod(deep, _BLOCK[1])
    right = (right + _STAGGER * again) % _BLOCK[0]
    return np.asarray(block[(right * _BLOCK[1] + deep) * _BLOCK[2] + off % _BLOCK[2]])


def spread(field: Field, sector: Sector) -> Field:
    """Blur a complex (beam, sample) field by the point spread and keep its power."""
    lateral = max(_LATERAL_RAD / float(sector.angles[1] - sector.angles[0]), 0.6)
    axial = max(_AXIAL_MM / float(sector.ranges[1] - sector.ranges[0]), 0.6)
    out = np.empty(field.shape, dtype=np.complex64)
    for part in ("real", "imag"):
        blurred = gaussian_filter1d(getattr(field, part), lateral, axis=0, truncate=2.5)
        setattr(out, part, gaussian_filter1d(blurred, axial, axis=1, truncate=2.5))
    return np.asarray(out * np.float32(2.0 * np.sqrt(np.pi * lateral * axial)))


def gain_map(sector: Sector, settings: Settings, rng: np.random.Generator) -> Image:
    """dB (beam, sample) that the way to each place costs: attenuation left over, rib and lung shadows at the sides,
    dropout of single beams."""
    down = sector.ranges / sector.probe.depth_mm
    angle = sector.angles / sector.probe.half_angle
    bands = np.interp(down, np.linspace(0.0, 1.0, 9), rng.normal(0.0, 1.2, 9))  # sliders of the time-gain compensation
    depth_db = -settings.attenuation_db * down**1.5 + bands
    beam_db = np.zeros_like(angle)
    for sign, chance in ((-1.0, 0.35), (1.0, 0.5)):
        if rng.random() < chance:
            edge, deep = rng.uniform(0.55, 0.95), rng.uniform(8.0, 28.0)
            beam_db -= deep / (1.0 + np.exp(-(sign * angle - edge) / 0.06))
    if rng.random() < 0.3:  # a rib across part of the sector
        beam_db -= rng.uniform(4.0, 10.0) * np.exp(-(((angle - rng.uniform(-0.8, 0.8)) / rng.uniform(0.06, 0.12)) ** 2))
    beam_db += 1.2 * gaussian_filter1d(rng.standard_normal(len(angle)), 2.0)
    start = np.clip((down - 0.05) / 0.12, 0.0, 1.0)
    return np.asarray(depth_db[None] + beam_db[:, None] * start[None], dtype=np.float32)


def near_field(sector: Sector, settings: Settings, rng: np.random.Generator) -> Image:
    """Amplitude (beam, sample) of the reverberation under the transducer, in bands that repeat."""
    reach = sector.ranges
    period, fade = rng.uniform(4.0, 7.0), rng.uniform(7.0, 15.0)
    bands = 0.6 + 0.4 * np.cos(2 * np.pi * reach / period)
    grain = np.abs(spread(rng.standard_normal(sector.shape) + 1j * rng.standard_normal(sector.shape), sector))
    level = 10.0 ** (settings.haze_db / 20.0) * np.exp(-reach / fade) * bands
    face = 0.7 * np.exp(-((reach / 4.0) ** 2))
    return np.asarray((level[None] + face[None]) * (0.5 + 0.4 * grain), dtype=np.float32)


def noise_level(sector: Sector, settings: Settings) -> Image:
    """Amplitude (1, sample) of electronic noise, lifted by the time-gain compensation."""
    down = sector.ranges / sector.probe.depth_mm
    return np.asarray(10.0 ** ((settings.noise_db - 22.0 * (1.0 - down)) / 20.0)[None], dtype=np.float32)


def compress(envelope: Image, settings: Settings) -> Image:
    """Grey from 0 to 1: decibels below full scale, over the dynamic range."""
    level = 20.0 * np.log10(np.maximum(envelope, 1e-6)) + np.float32(settings.gain_db)
    grey = np.clip(1.0 + level * np.float32(1.0 / settings.range_db), 0.0, 1.0)
    return np.asarray(grey ** np.float32(settings.gamma), dtype=np.float32)

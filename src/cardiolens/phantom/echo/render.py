"""One heart as an apical four-chamber clip.

echo = render_echo(HeartParameters(lvef_pct=35.0), seed=1)
echo.frames                 # (time, row, col) uint8
echo.ed, echo.es            # frames of the tracings
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.motion import beat_times
from cardiolens.phantom.echo.beats import Rhythm, rhythm
from cardiolens.phantom.echo.leaflets import LeafletPainter
from cardiolens.phantom.echo.probe import FloatArray, Probe, place_probe
from cardiolens.phantom.echo.sector import Sector, scan_converter, sector_of, undrifted
from cardiolens.phantom.echo.signal import (
    Settings,
    cell_mm,
    compress,
    draw_settings,
    gain_map,
    look_up_cells,
    near_field,
    noise_level,
    scatterers,
    spread,
)
from cardiolens.phantom.echo.tissue import Tissue, tissue
from cardiolens.phantom.echo.tracing import Tracing, trace
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth import Truth, truth_of

_STREAMS = {"probe": 0, "rhythm": 1, "tissue": 2, "signal": 3, "breath": 4, "overlay": 5}
_PHASES = 30  # moments of the beat at which the heart is built; between them it is interpolated
_BREATH_S = 4.2


@dataclass(frozen=True, eq=False, kw_only=True)
class Echo:
    """A clip and what is true of it.

    Attributes:
        frames: (time, row, col) uint8; fps: frames a second; mm_per_pixel: edge of a pixel.
        phases: (time,) share of the beat that has passed.
        ed, es: frames at end-diastole and at the end-systole after it; ed_tracing, es_tracing: their tracings.
        drift: (time, 2) turn in radians and depth in mm by which breathing has moved the picture.
        truth: of the whole heart, in three dimensions; probe, settings: how it was looked at.
    """

    frames: npt.NDArray[np.uint8]
    fps: float
    mm_per_pixel: float
    phases: FloatArray
    ed: int
    es: int
    ed_tracing: Tracing
    es_tracing: Tracing
    drift: FloatArray
    truth: Truth
    probe: Probe
    settings: Settings

    @property
    def edv_ml(self) -> float:
        """End-diastolic volume by discs in this one plane; the heart's own is `truth.edv_ml`."""
        return self.ed_tracing.volume_ml

    @property
    def esv_ml(self) -> float:
        """End-systolic volume by discs in this one plane."""
        return self.es_tracing.volume_ml

    @property
    def ef_pct(self) -> float:
        """Ejection fraction (%) of those two."""
        return 100.0 * (1.0 - self.esv_ml / self.edv_ml)


def render_echo(
    parameters: HeartParameters,
    *,
    seed: int,
    frames: int | None = None,
    fps: float = 50.0,
    size: int = 112,
    beats: int = 3,
    overlay: bool = False,
) -> Echo:
    """Render an apical four-chamber clip.

    Args:
        seed: of window, machine, speckle and noise; the heart is `parameters`.
        frames: how many; None for `beats` whole beats.
        size: pixels along an edge, 64 to 800; EchoNet-Dynamic has 112.
        overlay: burn an ECG and a line of text in outside the sector.

    Raises:
        PhantomError: settings out of range, a clip too short for one systole, or a heart that cannot be.
    """
    _check(seed, frames, fps, size, beats)
    streams = {name: np.random.default_rng([seed, number]) for name, number in _STREAMS.items()}
    anatomy = anatomy_of(parameters)
    probe = place_probe(parameters, streams["probe"])
    timing = rhythm(parameters, streams["rhythm"], frames=frames, fps=fps, beats=beats)
    drift = _breathing(len(timing.phases), fps, streams["breath"])
    ends = (0.0, beat_times(parameters).end_systole)
    traced = [
        trace(anatomy, phase, probe, size, drift[i]) for phase, i in zip(ends, (timing.ed, timing.es), strict=True)
    ]
    sector = sector_of(probe, size)
    grid = np.arange(_PHASES) / _PHASES
    heart = tissue(anatomy, grid, sector, streams["tissue"])
    settings = draw_settings(streams["signal"])
    pictures = _pictures(heart, sector, timing, drift, settings, streams["signal"])
    if overlay:
        from cardiolens.phantom.echo.overlay import burn_in

        pictures = burn_in(pictures, sector, timing, parameters, fps)
    return Echo(
        frames=pictures,
        fps=float(fps),
        mm_per_pixel=probe.mm_per_pixel(size),
        phases=timing.phases,
        ed=timing.ed,
        es=timing.es,
        ed_tracing=traced[0],
        es_tracing=traced[1],
        drift=drift,
        truth=truth_of(parameters),
        probe=probe,
        settings=settings,
    )


def _check(seed: int, frames: int | None, fps: float, size: int, beats: int) -> None:
    if seed < 0:
        raise PhantomError(f"phantom echo: seed must not be negative, got {seed}")
    if frames is not None and not 8 <= frames <= 2000:
        raise PhantomError(f"phantom echo: frames must be 8 to 2000, got {frames}")
    if not 15.0 <= fps <= 200.0:
        raise PhantomError(f"phantom echo: fps must be 15 to 200, got {fps:g}")
    if not 64 <= size <= 800:
        raise PhantomError(f"phantom echo: size must be 64 to 800 pixels, got {size}")
    if not 1 <= beats <= 20:
        raise PhantomError(f"phantom echo: beats must be 1 to 20, got {beats}")


def _breathing(count: int, fps: float, rng: np.random.Generator) -> FloatArray:
    """Turn (radians) and depth (mm), (time, 2), of a quiet breath."""
    period = _BREATH_S * rng.uniform(0.75, 1.4)
    wave = np.sin(2 * np.pi * (np.arange(count) / fps / period + rng.uniform()))
    wander = np.cumsum(rng.normal(0.0, 0.02, count)) * np.sqrt(1.0 / fps)
    return np.stack([np.deg2rad(rng.uniform(0.2, 0.9)) * wave, rng.uniform(0.3, 1.8) * wave + wander], axis=1)


def _pictures(
    heart: Tissue, sector: Sector, timing: Rhythm, drift: FloatArray, settings: Settings, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """(time, row, col)."""
    block, cell = scatterers(rng), cell_mm(sector).astype(np.float32)
    loss = 10.0 ** (gain_map(sector, settings, rng) / 20.0)
    reverberation, noise = near_field(sector, settings, rng), noise_level(sector, settings)
    to_pixels = scan_converter(sector)
    cells = heart.place / cell
    valves = LeafletPainter(heart.valves, _PHASES, sector)
    scale, grey = np.float32(np.sqrt(0.5)), None
    out = np.empty((len(timing.phases), sector.size, sector.size), dtype=np.uint8)
    for i, phase in enumerate(timing.phases):
        low, part = divmod(phase * _PHASES, 1.0)
        a, b, t = int(low) % _PHASES, (int(low) + 1) % _PHASES, np.float32(part)
        strength = heart.strength[a] + t * (heart.strength[b] - heart.strength[a])
        valves.draw(strength, float(phase))
        where = cells[a] + t * (cells[b] - cells[a])
        flow = heart.blood[a] if part < 0.5 else heart.blood[b]
        where += np.where(flow > 0.5, np.float32(rng.uniform(0.0, 40.0)), np.float32(0.0))[:, None]
        field = (strength * look_up_cells(block, where)).reshape(sector.shape)
        echo = undrifted(spread(field, sector), sector, drift[i])
        hiss = rng.standard_normal((2, *sector.shape), dtype=np.float32) * (noise * scale)
        echo = echo * loss + hiss[0] + 1j * hiss[1]
        now = compress(np.abs(echo) + reverberation, settings)
        grey = now if grey is None else now + np.float32(settings.persistence) * (grey - now)
        out[i] = np.rint(255.0 * (to_pixels @ grey.ravel())).reshape(sector.size, sector.size).astype(np.uint8)
    return out

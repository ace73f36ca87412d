"""One patient of an echo data set: drawn, rendered, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens.phantom.folder import plain, read_record
from cardiolens.store.atomic import write_whole

VIDEOS, TRUTH = "Videos", "truth"
_STREAMS = {"heart": 0, "clip": 1, "echo": 2}
_DIGITS = 6  # after the point, of every figure in a record
_SPLITS = ("TRAIN", "TRAIN", "VAL", "TRAIN", "TRAIN", "TEST", "TRAIN", "TRAIN")  # near EchoNet-Dynamic's 74/13/13 %


@dataclass(frozen=True)
class EchoOrder:
    """What a worker needs to make clip `index`; see `dataset.write_echonet` for the rest."""

    folder: Path
    index: int
    seed: int
    size: int
    fps: float | None
    condition: str | None
    population: str
    overlay: bool

    @property
    def name(self) -> str:
        """ "0X" and sixteen hexadecimal digits, as EchoNet-Dynamic names its clips."""
        digest = hashlib.sha256(f"cardiolens phantom echo {self.seed} {self.index}".encode()).hexdigest()
        return f"0X{digest[:16].upper()}"

    @property
    def split(self) -> str:
        """TRAIN, VAL or TEST; of a clip's number alone, so that a data set that grows keeps its splits."""
        return _SPLITS[self.index % len(_SPLITS)]

    @property
    def video(self) -> Path:
        return self.folder / VIDEOS / f"{self.name}.avi"

    @property
    def record(self) -> Path:
        return self.folder / TRUTH / f"{self.name}.json"

    def rng(self, stream: str) -> np.random.Generator:
        """Random numbers of this clip alone."""
        return np.random.default_rng([self.seed, self.index, _STREAMS[stream]])


def is_finished(order: EchoOrder) -> bool:
    """Whether clip and record are there; the record comes last."""
    return order.record.is_file() and order.video.is_file()


def make_clip(order: EchoOrder) -> str:
    """Make one clip; gives its name.  The same order gives the same bytes."""
    from cardiolens.phantom.disease import sample_parameters
    from cardiolens.phantom.echo.render import render_echo
    from cardiolens.phantom.echo.video import to_avi

    parameters = sample_parameters(order.rng("heart"), condition=order.condition, population=order.population)
    rng = order.rng("clip")
    fps = order.fps if order.fps is not None else float(np.clip(round(rng.normal(51.0, 6.0)), 30, 80))
    echo = render_echo(
        parameters,
        seed=int(order.rng("echo").integers(2**31)),
        fps=fps,
        size=order.size,
        beats=int(rng.integers(2, 5)),
        overlay=order.overlay,
    )
    content = to_avi(echo.frames, fps)
    row = {
        "FileName": order.name,
        "EF": round(echo.ef_pct, _DIGITS),
        "ESV": round(echo.esv_ml, _DIGITS),
        "EDV": round(echo.edv_ml, _DIGITS),
        "FrameHeight": order.size,
        "FrameWidth": order.size,
        "FPS": round(fps, _DIGITS),
        "NumberOfFrames": len(echo.frames),
        "Split": order.split,
    }
    record = {
        "index": order.index,
        "row": row,
        "tracings": [
            {"frame": frame, "lines": np.round(tracing.lines, _DIGITS).tolist()}
            for frame, tracing in ((echo.es, echo.es_tracing), (echo.ed, echo.ed_tracing))
        ],
        "mm_per_pixel": round(echo.mm_per_pixel, _DIGITS),
        "truth": plain(asdict(echo.truth), _DIGITS),
        "parameters": plain(parameters.to_dict(), 17),
        "window": plain({**asdict(echo.probe), **asdict(echo.settings)}, _DIGITS),
        "video_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_whole(order.video, content)
    write_whole(order.record, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return order.name


def record_of(order: EchoOrder) -> dict[str, Any]:
    """The record of a finished clip.

    Raises:
        PhantomError: it is missing or damaged.
    """
    return read_record(order.record, "it")

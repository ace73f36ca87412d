"""Rendered loops, and a writer of ultrasound DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from us_factory import FPS, WriteDicom, write_loop

from cardiolens.phantom.echo import Echo, render_echo
from cardiolens.phantom.heart import HeartParameters


@pytest.fixture(scope="session")
def echo() -> Echo:
    """Four seconds of a heart at 66 a minute, with text and ECG burned in."""
    return render_echo(HeartParameters(heart_rate=66.0), seed=3, fps=FPS, frames=120, overlay=True)


@pytest.fixture(scope="session")
def frames(echo: Echo) -> np.ndarray:
    return echo.frames


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests only")


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    def write(images: np.ndarray, photometric: str = "MONOCHROME2", name: str = "loop.dcm", **tags: Any) -> Path:
        return write_loop(tmp_path / name, images, photometric, **tags)

    return write

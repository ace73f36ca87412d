"""`Protocol`: what is refused, what is neutral, what the header says."""

from __future__ import annotations

from typing import Any

import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.mr import Protocol


@pytest.mark.parametrize(
    "wrong",
    [
        {"field_strength_t": 30.0},
        {"echo_ms": 4.0},
        {"matrix": 8},
        {"phases": 12.5},
        {"vendor": "toshiba"},
        {"gating": "none"},
        {"phase_encoding": "UP"},
        {"partial_fourier": 0.4},
        {"recon_matrix": 128},
        {"slice_gap_mm": -1.0},
        {"acquired": (0.1, 1.0)},
        {"covered": 0.8},
        {"trigger_delay": 0.6},
        {"noise": -0.1},
        {"recon_matrix": 300.5},
        {"slice_gap_mm": "two"},
        {"acquired": 0.5},
        {"wrap": "yes"},
    ],
)
def test_what_no_scanner_does_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(PhantomError, match=f"protocol: {next(iter(wrong))}"):
        Protocol(**wrong)


def test_neutral_adds_nothing_but_what_is_named() -> None:
    plain = Protocol.neutral(wrap=True)
    assert plain.noise == plain.shading == plain.off_resonance_hz == plain.breath_hold_mm == plain.breathing_mm == 0
    assert plain.acquired == (1.0, 1.0) and plain.wrap


def test_overrides_skip_none_and_a_matrix_takes_the_stored_one_along() -> None:
    base = Protocol(matrix=192, recon_matrix=256)
    assert base.with_(phases=None) == base
    assert base.with_(matrix=128).stored_matrix == 128
    assert base.with_(phases=30).stored_matrix == 256


def test_one_vendor_calls_a_whole_segment_the_repetition_time() -> None:
    assert Protocol(vendor="siemens", repetition_ms=3.0, lines_per_segment=13).header_repetition_ms == 39.0
    assert Protocol(vendor="ge", repetition_ms=3.0).header_repetition_ms == 3.0

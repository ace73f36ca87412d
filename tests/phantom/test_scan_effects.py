"""What a protocol does to rendered images, one effect at a time, and what the cine says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.mr import Contrast, Protocol
from cardiolens.phantom.render import TRIGGER_DELAY, render_study
from cardiolens.phantom.truth.on_images import masks
from cardiolens.study import Cine, View

HEART = HeartParameters()
FIXED = Contrast(noise=0.0, shading=0.0, acquired=(1.0, 1.0))


def scan(
    heart: HeartParameters = HEART, view: View = View.CH4, contrast: Contrast | None = FIXED, **changes: Any
) -> Cine:
    protocol = Protocol.neutral(**{"matrix": 96, "phases": 8, **changes})
    return render_study(heart, seed=2, protocol=protocol, contrast=contrast, views=(view,), sub_slices=1).cine(view)


@pytest.fixture(scope="module")
def plain() -> Cine:
    return scan()


def test_the_cine_says_how_it_was_scanned_in_the_words_of_dicom(plain: Cine) -> None:
    cine = scan(phases=2, vendor="siemens", field_strength_t=3.0, repetition_ms=3.0, echo_ms=1.4, flip_deg=42.0)
    said = cine.attributes
    assert (said["MagneticFieldStrength"], said["EchoTime"], said["FlipAngle"]) == (3.0, 1.4, 42.0)
    assert said["RepetitionTime"] == 36.0 and plain.attributes["RepetitionTime"] == 3.36
    assert said["Manufacturer"] == "cardiolens phantom" and said["SliceThickness"] == 8.0
    assert said["HeartRate"] == HEART.heart_rate


def test_banding_darkens_the_heart_and_only_darkens(plain: Cine) -> None:
    dark = scan(off_resonance_hz=300.0)
    heart = masks(HEART, plain)[0, 0] > 0
    ratio = (dark.frames[0, 0][heart] + 1.0) / (plain.frames[0, 0][heart] + 1.0)
    assert ratio.min() < 0.5 and ratio.max() < 1.06


def test_a_field_smaller_than_the_body_folds_when_it_is_not_oversampled() -> None:
    settings: dict[str, Any] = {"phase_field": 0.6, "phases": 1}
    without, folded = (scan(wrap=wrap, **settings).frames[0, 0].astype(float) for wrap in (False, True))
    assert without.shape == folded.shape == (58, 96)
    assert (folded >= without - 1).all() and folded.sum() > 1.15 * without.sum()
    wide, same = (scan(wrap=wrap, phases=1, field_mm=560.0).frames for wrap in (False, True))
    np.testing.assert_array_equal(wide, same, "nothing to fold in a wide field")


@pytest.mark.parametrize("encoding", ["COL", "ROW"])
def test_partial_fourier_softens_edges_across_the_phase_encoding(plain: Cine, encoding: str) -> None:
    soft = scan(phases=1, partial_fourier=0.6, phase_encoding=encoding).frames[0, 0].astype(float)
    sharp = plain.frames[0, 0].astype(float)
    lost = [np.abs(np.diff(soft, axis=a)).sum() / np.abs(np.diff(sharp, axis=a)).sum() for a in (0, 1)]
    along, across = lost if encoding == "COL" else lost[::-1]
    assert along < across - 0.02


def test_zero_filling_gives_more_pixels_of_the_same_field(plain: Cine) -> None:
    fine = scan(recon_matrix=144)
    assert fine.shape[2:] == (144, 144) and fine.spacing_mm == pytest.approx((350 / 144, 350 / 144))
    assert fine.affine is not None and plain.affine is not None
    np.testing.assert_allclose(fine.affine[:3, 3], plain.affine[:3, 3])
    np.testing.assert_allclose(fine.frames[..., ::3, ::3].astype(float), plain.frames[..., ::2, ::2], atol=4)


def test_noise_of_air_is_rician() -> None:
    cine = scan(contrast=replace(FIXED, noise=0.05, scale=1000.0), phases=4)
    corner = cine.frames[0, :, :12, :12].astype(float)
    assert corner.mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.12)


def test_more_channels_and_acceleration_raise_the_floor() -> None:
    noisy = replace(FIXED, noise=0.03, scale=1000.0)
    one, four, fast = (
        scan(contrast=noisy, phases=2, **more).frames[0, :, :12, :12].mean()
        for more in ({}, {"channels": 4}, {"acceleration": 2.0})
    )
    assert four > 1.8 * one and fast > 1.3 * one


def test_frames_of_an_irregular_rhythm_ghost_and_those_of_a_regular_one_do_not(plain: Cine) -> None:
    irregular = replace(HEART, rhythm="atrial fibrillation")
    blurred, kept = scan(irregular, arrhythmia=1.0), scan(irregular, arrhythmia=0.0)
    np.testing.assert_array_equal(kept.frames, plain.frames)
    heart = (masks(HEART, plain)[0] > 0).any(0)
    rows = np.flatnonzero(heart.any(1))
    outside = np.zeros_like(heart)
    outside[: rows[0] - 6, heart.any(0)] = True
    change = np.abs(blurred.frames[0].astype(float) - plain.frames[0])
    assert change[4:, outside].mean() > 0.5, "ghosts above the heart, along the phase encoding"
    assert change[0].max() <= 1, "all beats begin alike"


def test_a_triggered_scan_misses_the_end_of_the_beat_and_its_times_say_so() -> None:
    short = scan(view=View.CH4, gating="prospective", covered=0.8)
    assert short.trigger_times_ms is not None
    assert short.trigger_times_ms[0, -1] == pytest.approx(0.7 * HEART.rr_ms)
    assert short.attributes["CardiacSynchronizationTechnique"] == "PROSPECTIVE"
    whole = scan(phases=20, matrix=64)
    same = scan(phases=8, matrix=64, gating="prospective", covered=0.8)
    np.testing.assert_allclose(same.frames[0].astype(float), whole.frames[0, :16:2], atol=4)


def test_a_late_trigger_is_known_to_nobody_but_the_phantom(plain: Cine) -> None:
    late = scan(trigger_delay=0.25)
    np.testing.assert_array_equal(late.frames[0, :-2], plain.frames[0, 2:])
    np.testing.assert_array_equal(late.trigger_times_ms, plain.trigger_times_ms)
    assert late.attributes[TRIGGER_DELAY] == 0.25 and TRIGGER_DELAY not in plain.attributes


def test_a_thick_slice_mixes_blood_and_muscle_where_the_wall_runs_askew() -> None:
    def mixed(thickness: float) -> float:
        """Share of the heart's pixels between muscle and blood, in a plane near the apex."""
        protocol = Protocol.neutral(
            matrix=192, phases=1, sax_planes=5, slice_thickness_mm=thickness, slice_gap_mm=20.0 - thickness
        )
        study = render_study(HEART, seed=2, protocol=protocol, contrast=FIXED, views=(View.SAX,), sub_slices=5)
        cine = study.cine("SAX")
        label = masks(HEART, cine)[:, 0]
        lowest = int(np.flatnonzero((label == 1).any((1, 2)))[0])
        value = cine.frames[lowest, 0][(label[lowest] == 1) | (label[lowest] == 2)] / FIXED.scale
        return float(((value > 0.5) & (value < 0.85)).mean())

    assert mixed(18.0) > 1.3 * mixed(4.0)


def test_evening_takes_the_shading_out() -> None:
    shaded = replace(FIXED, shading=1.5)
    raw, even = (scan(contrast=shaded, phases=1, evened=e).frames[0, 0].astype(float) for e in (0.0, 1.0))
    flat = scan(phases=1).frames[0, 0]
    assert np.abs(even - flat).max() <= 1 < np.abs(raw - flat).max()


def test_masks_follow_the_heart_and_not_the_trigger(plain: Cine) -> None:
    late = scan(trigger_delay=0.25)
    np.testing.assert_array_equal(masks(HEART, late)[0, :-2], masks(HEART, plain)[0, 2:])


@pytest.mark.parametrize(
    "more", [{"recon_matrix": 144}, {"phase_field": 0.75}, {"phase_encoding": "ROW", "phase_field": 0.75}]
)
def test_masks_lie_on_the_blood_whatever_the_matrix(more: dict[str, Any]) -> None:
    cine = scan(phases=1, **more)
    label, frame = masks(HEART, cine)[0, 0], cine.frames[0, 0].astype(float)
    assert np.median(frame[label == 1]) > 2 * np.median(frame[label == 2]) > 0
    assert (frame[label == 1] > 0.7 * np.median(frame[label == 1])).mean() > 0.9

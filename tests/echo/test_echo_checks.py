"""What is refused and why, what is blanked, and the ultrasound files that come with pydicom."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from us_factory import FPS, WriteDicom, region

from cardiolens.echo.check import REFUSALS, check_file, flow_share
from cardiolens.echo.sector import find_sector
from cardiolens.phantom.echo import Echo
from cardiolens.phantom.echo.sector import sector_of, visible
from cardiolens.phantom.echo.video import to_avi

BUNDLED = Path(pydicom.data.__file__).parent / "test_files"
ULTRASOUND = {  # of the package's own files: those of modality US, by reason; "" is read
    "ExplVR_BigEnd.dcm": "still",
    "examples_jpeg2k.dcm": "still",
    "examples_palette.dcm": "still",
    "examples_rgb_color.dcm": "still",
    "examples_ybr_color.dcm": "",
}
OTHERS = {"MR_small.dcm": "not_ultrasound", "rtdose.dcm": "not_ultrasound", "MR_truncated.dcm": "unreadable"}


def names(path: Path) -> list[str]:
    return [each.name for each in check_file(path).refused]


@pytest.mark.parametrize(("file", "reason"), [*ULTRASOUND.items(), *OTHERS.items()])
def test_files_of_pydicom_are_read_or_refused_for_the_right_reason(file: str, reason: str) -> None:
    if not (BUNDLED / file).is_file():
        pytest.skip(f"this pydicom has no {file}")
    assert names(BUNDLED / file) == ([reason] if reason else [])


def test_no_ultrasound_file_of_pydicom_is_forgotten() -> None:
    found = set()
    for path in BUNDLED.glob("*.dcm"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=["Modality"])
        if header.get("Modality") == "US":
            found.add(path.name)
    assert found <= set(ULTRASOUND)


def test_a_real_apical_loop_loses_its_text_and_keeps_its_sector() -> None:
    if not (BUNDLED / "examples_ybr_color.dcm").is_file():
        pytest.skip("this pydicom has no examples_ybr_color.dcm")
    checked = check_file(BUNDLED / "examples_ybr_color.dcm")
    assert checked.sector is not None and checked.clean is not None and checked.loop is not None
    mask, grey = checked.sector.mask, checked.loop.volume.images.max(axis=-1)
    written = [(slice(0, 30), slice(0, 40)), (slice(10, 210), slice(290, 320)), (slice(215, 240), slice(30, 290))]
    assert all(grey[0][place].max() > 60 and not mask[place].mean() > 0.03 for place in written)
    assert mask[70:185, 140:200].all()  # the heart
    assert checked.clean.images.shape == (30, 112, 112) and checked.clean.spacing_mm is None
    assert not checked.view_checked


def test_burned_in_text_and_ecg_are_blanked_and_tissue_stays(echo: Echo, write_dicom: WriteDicom) -> None:
    checked = check_file(write_dicom(echo.frames, SequenceOfUltrasoundRegions=[region(delta=0.1)]))
    assert checked.refused == () and checked.clean is not None
    inside = visible(sector_of(echo.probe, 112))
    blanked = checked.clean.images == 0
    burned = echo.frames.max(0) > 100
    assert blanked.all(0)[~inside & burned].mean() > 0.85  # a line of the ECG may touch the sector
    spread = echo.frames.std(0)
    assert not blanked.all(0)[inside & (spread > 5)].mean() > 0.03
    assert checked.clean.spacing_mm == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ([region(data=2)], "colour_doppler"),
        ([region(), region(data=2)], "colour_doppler"),
        ([region(spatial=3, data=3)], "spectral_doppler"),
        ([region(), region(spatial=3, data=4)], "spectral_doppler"),
        ([region(spatial=2, data=1)], "m_mode"),
        ([region(), region()], "split_screen"),
    ],
)
def test_regions_say_what_is_no_grey_loop(
    frames: np.ndarray, write_dicom: WriteDicom, regions: list[Any], reason: str
) -> None:
    assert names(write_dicom(frames[:30], SequenceOfUltrasoundRegions=regions))[0] == reason


@pytest.mark.parametrize(
    ("view", "reason"), [("PLAX", "non_apical"), ("Subcostal 4CH", "non_apical"), ("A2C", "other_apical")]
)
def test_told_views_that_are_not_apical_four_chamber_are_refused(
    frames: np.ndarray, write_dicom: WriteDicom, view: str, reason: str
) -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99TEST", view
    assert names(write_dicom(frames[:30], ViewCodeSequence=[code], SeriesDescription="A4C")) == [reason]


def test_colour_inside_the_sector_is_doppler_and_a_coloured_bar_outside_is_not(
    frames: np.ndarray, tmp_path: Path
) -> None:
    rgb = np.repeat(frames[:30, ..., None], 3, axis=-1)
    bar, flow = rgb.copy(), rgb.copy()
    bar[:, 5:30, 100:108] = (220, 60, 20)
    flow[10:20, 50:60, 52:66] = (30, 60, 220)
    assert check_rgb(bar, tmp_path) == [] and check_rgb(flow, tmp_path) == ["colour_doppler"]


def check_rgb(images: np.ndarray, folder: Path) -> list[str]:
    import av

    path = folder / "colour.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt, stream.options = "yuvj444p", {"qmin": "2", "qmax": "2"}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return names(path)


def test_a_sepia_tint_is_no_flow() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 1))
    sepia = (grey * np.array([1.0, 0.72, 0.4])).astype(np.uint8)
    everywhere = np.ones((40, 40), dtype=bool)
    assert flow_share(sepia, everywhere) == 0.0
    sepia[:, 10:20, 10:20] = (20, 30, 230)
    assert flow_share(sepia, everywhere) > 0.05


def test_frozen_upside_down_linear_and_shapeless_loops_have_their_reasons(
    frames: np.ndarray, write_dicom: WriteDicom
) -> None:
    rng = np.random.default_rng(1)
    linear = np.zeros_like(frames[:20])
    linear[:, 20:100, 10:100] = rng.integers(0, 255, (20, 80, 90))
    speck = np.zeros_like(frames[:20])
    speck[:, 5:10, 5:10] = rng.integers(0, 255, (20, 5, 5))
    assert names(write_dicom(np.repeat(frames[:1], 20, 0))) == ["frozen"]
    assert names(write_dicom(np.ascontiguousarray(frames[:30, ::-1]))) == ["upside_down"]
    assert names(write_dicom(linear)) == ["other_probe"]
    assert names(write_dicom(speck)) == ["no_sector"]
    assert names(write_dicom(frames[:1])) == ["still"]
    assert names(write_dicom(frames[:30], FrameTime=None)) == ["no_times"]


def test_bad_files_are_refused_and_their_names_are_not_repeated(tmp_path: Path, frames: np.ndarray) -> None:
    gif = tmp_path / "Meier_Erna.gif"
    Image.fromarray(frames[0]).save(gif, save_all=True, append_images=[Image.fromarray(frames[1])])
    cut = tmp_path / "Meier_cut.avi"
    cut.write_bytes(to_avi(frames[:20], FPS)[:9000])
    for path, reason in ((gif, "not_ultrasound"), (cut, "unreadable"), (tmp_path / "Meier_gone.avi", "unreadable")):
        (refusal,) = check_file(path).refused
        assert refusal.name == reason and "Meier" not in str(refusal)


def test_every_reason_is_in_the_table_and_explained() -> None:
    assert all(words and not words.endswith(".") for words in REFUSALS.values())


@settings(max_examples=15, deadline=None)
@given(turn=st.floats(25, 45), lean=st.floats(-4, 4), size=st.sampled_from([96, 160, 240]), seed=st.integers(0, 99))
def test_a_noisy_wedge_is_found_whatever_its_angle(turn: float, lean: float, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, : int(1.3 * size)]
    across, down = x - 0.65 * size, y - 0.06 * size
    angle, reach = np.rad2deg(np.arctan2(across, down)), np.hypot(across, down)
    wedge = (np.abs(angle - lean) < turn) & (reach < 0.86 * size) & (reach > 0.02 * size)
    images = np.where(wedge, rng.integers(10, 90, (12, *wedge.shape)), 0).astype(np.uint8)
    images[:, : size // 10, : size // 5] = 200  # text
    images[:, -size // 40 :, : size // 2] = rng.integers(0, 255, (12, 1, 1))  # an ECG
    found = find_sector(images).mask
    overlap = (found & wedge).sum() / (found | wedge).sum()
    assert overlap > 0.9

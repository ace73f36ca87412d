"""Ultrasound DICOM: colours, compression, times, regions; and nothing of the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import JPEG2000Lossless, RLELossless
from us_factory import FPS, WriteDicom, as_jpeg, region

from cardiolens.echo.read import NotUltrasoundError, read_loop
from cardiolens.echo.regions import spacing_of
from cardiolens.echo.views import view_of_text
from cardiolens.errors import ReadError


def coloured(frames: np.ndarray) -> np.ndarray:
    images = np.repeat(frames[:6, ..., None], 3, axis=-1)
    images[:, 40:60, 50:70] = (200, 40, 30)
    return images


def test_grey_images_times_and_spacing_come_as_stored(frames: np.ndarray, write_dicom: WriteDicom) -> None:
    path = write_dicom(frames, SequenceOfUltrasoundRegions=[region(delta=0.125)], ViewName="AP4")
    loop = read_loop(path)
    assert (loop.volume.images == frames).all() and loop.volume.spacing_mm == (1.25, 1.25)
    assert loop.volume.times_ms is not None and np.allclose(np.diff(loop.volume.times_ms), 1000 / FPS)
    assert loop.view.view == "A4C" and loop.view.by == "ViewName" and not loop.volume.notes


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_every_colour_space_becomes_rgb(frames: np.ndarray, write_dicom: WriteDicom, photometric: str) -> None:
    images = coloured(frames)
    stored = images if photometric == "RGB" else convert_color_space(images.copy(), "RGB", "YBR_FULL")
    if photometric == "YBR_FULL_422":  # Y1 Y2 Cb Cr of two neighbours
        y, c = stored[..., 0].reshape(len(stored), 112, 56, 2), stored[:, :, ::2, 1:]
        stored = np.concatenate([y, c], axis=-1)
    path = write_dicom(images, photometric, PixelData=np.ascontiguousarray(stored).tobytes())
    read = read_loop(path).volume
    away = np.abs(read.images.astype(int) - images)
    assert read.images.shape == images.shape and np.median(away) <= 2 and (away > 40).mean() < 0.01
    assert np.abs(read.images[:, 50, 60].astype(int) - (200, 40, 30)).max() <= 4


def test_a_palette_becomes_rgb(frames: np.ndarray, write_dicom: WriteDicom) -> None:
    ramp = np.arange(256, dtype=np.uint16)
    tags: dict[str, object] = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    tags |= {f"{c}PaletteColorLookupTableData": (ramp * 257).tobytes() for c in ("Red", "Green")}
    read = read_loop(write_dicom(
        frames[:4], "PALETTE COLOR", **tags, BluePaletteColorLookupTableData=(ramp * 0).tobytes()
    )).volume  # fmt: skip
    assert (read.images[..., 0] == frames[:4]).all() and (read.images[..., 2] == 0).all()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, "jpeg"])
def test_compressed_loops_decode(frames: np.ndarray, write_dicom: WriteDicom, syntax: str) -> None:
    images = coloured(frames)
    path = write_dicom(images, "RGB")
    data = pydicom.dcmread(path)
    if syntax == "jpeg":
        as_jpeg(data, images)
    else:
        data.compress(syntax)
    data.save_as(path)
    away = np.abs(read_loop(path).volume.images.astype(int) - images)
    assert away.max() == 0 if syntax != "jpeg" else np.median(away) <= 4


def test_a_vector_of_frame_times_is_followed(frames: np.ndarray, write_dicom: WriteDicom) -> None:
    path = write_dicom(frames[:4], FrameTime=None, FrameTimeVector=[0.0, 30.0, 40.0, 30.0])
    assert read_loop(path).volume.times_ms.tolist() == [0, 30, 70, 100]  # type: ignore[union-attr]
    read = read_loop(write_dicom(frames[:4], FrameTimeVector=[0.0, 30.0, 40.0])).volume
    assert (
        read.times_ms is not None
        and np.allclose(np.diff(read.times_ms), 1000 / FPS)
        and "does not fit the 4 images" in read.notes[-1]
    )
    path = write_dicom(frames[:4], FrameTime=None)
    read = read_loop(path).volume
    assert read.times_ms is None and "unknown" in read.notes[-1]


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ([], "no region says"),
        ([region(data=2)], "no region says"),
        ([region(spatial=3, data=3)], "no region says"),
        ([region(), region()], "several 2D regions"),
        ([region(box=(0, 0, 500, 300))], "outside the image"),
        ([region(delta=0.0)], "no distance in cm"),
    ],
)
def test_distances_are_never_invented(
    frames: np.ndarray, write_dicom: WriteDicom, regions: list[pydicom.Dataset], reason: str
) -> None:
    loop = read_loop(write_dicom(frames[:2], SequenceOfUltrasoundRegions=regions))
    assert loop.volume.spacing_mm is None and reason in " ".join(loop.volume.notes)
    assert spacing_of(loop.regions, 112, 112)[0] is None


def test_nothing_of_the_patient_is_kept(frames: np.ndarray, write_dicom: WriteDicom) -> None:
    path = write_dicom(frames[:2], name="Meier_Erna_AP4.dcm", StudyDate="20240102", AccessionNumber="A-778899")
    loop = read_loop(path)
    said = repr(loop) + repr(loop.volume) + repr(loop.volume.attributes) + repr(loop.volume.notes)
    assert not any(word in said for word in ("Meier", "Erna", "4711", "20240102", "778899"))
    assert len(loop.patient) == 16 and loop.key == loop.volume.source


def test_other_dicom_and_too_large_loops_are_refused(
    frames: np.ndarray, write_dicom: WriteDicom, tmp_path: Path
) -> None:
    with pytest.raises(NotUltrasoundError, match="modality MR"):
        read_loop(write_dicom(frames[:2], Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"))
    with pytest.raises(NotUltrasoundError, match="three-dimensional"):
        read_loop(write_dicom(frames[:2], SOPClassUID="1.2.840.10008.5.1.4.1.1.6.2"))
    with pytest.raises(ReadError, match="max_pixels"):
        read_loop(write_dicom(frames[:2]), max_pixels=112 * 112)
    path = write_dicom(frames)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ReadError, match="truncated"):
        read_loop(path)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("AP4", "A4C"),
        ("A4C zoom", "A4C"),
        ("Apical four chamber", "A4C"),
        ("apical 4-chamber view", "A4C"),
        ("4CH", "A4C"),
        ("Apical_2_chamber", "A2C"),
        ("AP3", "A3C"),
        ("APLAX", "A3C"),
        ("apical 5 chamber", "A5C"),
        ("RV focused apical 4 chamber", "RVF"),
        ("PLAX", "PLAX"),
        ("Parasternal long axis", "PLAX"),
        ("PSAX AV level", "PSAX"),
        ("short axis mid", "PSAX"),
        ("Subcostal 4 chamber", "SC"),
        ("SSN arch", "SSN"),
        ("TEE 4 chamber", "TEE"),
        ("Adult Echo", ""),
        ("resting study 4", ""),
        ("", ""),
    ],
)
def test_views_are_told_by_words(text: str, view: str) -> None:
    assert view_of_text(text) == view

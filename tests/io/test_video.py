"""Videos: what comes out is what went in, and what is no even loop is refused with the reason."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cardiolens.errors import ReadError
from cardiolens.io.video import even_in_time, is_video, read_video
from cardiolens.phantom.echo.video import to_avi
from cardiolens.volume import Volume


def loop(count: int = 8, rows: int = 32, cols: int = 48) -> np.ndarray:
    """(image, row, col) uint8: a smooth blob that wanders."""
    y, x = np.mgrid[:rows, :cols]
    centres = [(10 + i, 12 + 2 * i) for i in range(count)]
    return np.stack([(220 * np.exp(-((y - r) ** 2 + (x - c) ** 2) / 90.0)) for r, c in centres]).astype(np.uint8)


def write(path: Path, images: np.ndarray, stamps_ms: Sequence[int], codec: str = "ffv1") -> Path:
    """A Matroska or MP4 file with the given time stamps; lossless by default."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1000)
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = {"ffv1": "gray", "mpeg4": "yuv420p", "libx264rgb": "rgb24"}[codec]
        stream.codec_context.time_base = Fraction(1, 1000)
        for image, stamp in zip(images, stamps_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def avi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    path.write_bytes(to_avi(loop(), 50.0))
    return path


def test_a_grey_avi_gives_grey_images_and_its_times(avi: Path) -> None:
    read = read_video(avi)
    assert read.images.shape == (8, 32, 48) and read.images.dtype == np.uint8 and read.along == "time"
    assert np.abs(read.images.astype(int) - loop()).max() <= 6
    assert read.times_ms is not None and np.allclose(read.times_ms, 20.0 * np.arange(8))
    assert read.attributes["frame_rate"] == 50.0 and read.spacing_mm is None and not read.notes
    assert is_video(avi)


@settings(max_examples=8, deadline=None)
@given(count=st.integers(1, 5), rows=st.integers(8, 20), cols=st.integers(8, 20), seed=st.integers(0, 99))
def test_lossless_images_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, count: int, rows: int, cols: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, rows, cols), dtype=np.uint8)
    path = write(tmp_path_factory.mktemp("lossless") / "a.mkv", images, [40 * i for i in range(count)])
    assert (read_video(path).images == images).all()


def test_colour_that_comes_late_makes_the_whole_loop_rgb(tmp_path: Path) -> None:
    images = np.repeat(loop()[..., None], 3, axis=-1)
    images[5:, 4:12, 4:12] = (230, 20, 20)
    read = read_video(write(tmp_path / "colour.mp4", images, [20 * i for i in range(8)], codec="mpeg4"))
    assert read.in_colour and read.images.shape == (8, 32, 48, 3)
    assert read.images[0].max(axis=-1).astype(int).max() > 150
    assert read.images[6, 7, 7, 0] > 150 > read.images[6, 7, 7, 1]


def test_an_uneven_rate_is_refused_and_can_be_kept_with_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "uneven.mkv", loop(6), [0, 40, 80, 200, 240, 280])
    with pytest.raises(ReadError, match=r"variable frame rate: 1 of 5 steps .*\(ffmpeg"):
        read_video(path)
    read = read_video(path, variable_rate="keep")
    assert read.times_ms is not None and read.times_ms.tolist() == [0, 40, 80, 200, 240, 280]
    assert "variable frame rate" in read.notes[0] and "frame_rate" not in read.attributes
    even = even_in_time(read)
    assert even.times_ms is not None and np.allclose(np.diff(even.times_ms), 40.0) and len(even) == 8
    assert (even.images[-1] == read.images[-1]).all() and "nearest image" in even.notes[-1]


def test_times_that_only_round_are_even(tmp_path: Path) -> None:
    stamps = [round(1000 * i / 60) for i in range(8)]  # 16 and 17 ms
    assert read_video(write(tmp_path / "sixty.mkv", loop(), stamps)).attributes["frame_rate"] == pytest.approx(60, 0.02)


def test_a_loop_can_be_brought_to_another_rate() -> None:
    at_50 = Volume(loop(9), "time", times_ms=np.arange(9, dtype=np.float64) * 20.0)
    at_25 = even_in_time(at_50, 40.0)
    assert at_25.times_ms is not None and at_25.times_ms.tolist() == [0, 40, 80, 120, 160]
    assert (at_25.images == at_50.images[::2]).all() and at_25.attributes["frame_rate"] == 25.0
    assert even_in_time(at_50, 20.1) is at_50


def test_evening_out_needs_times() -> None:
    with pytest.raises(ReadError, match="unknown"):
        even_in_time(Volume(loop(), "time"))


def test_an_avi_without_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p"
        container.start_encoding()
    with pytest.raises(ReadError, match="without images"):
        read_video(path)


def test_a_gif_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop.avi"  # the name does not matter
    Image.fromarray(loop()[0]).save(path, format="GIF", save_all=True, append_images=[Image.fromarray(loop()[1])])
    with pytest.raises(ReadError, match="a GIF"):
        read_video(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not a video at all, only text", "not a video"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x.avi\n", "playlist"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "single picture"),
        (b"RIFF\x00\x10\x00\x00AVI " + bytes(20), "truncated"),
        (struct.pack("<4sI4s", b"RIFF", 36, b"AVI ") + bytes(32), "decoded|no pictures|without images"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(64), "decoded|no pictures|without images"),
    ],
)
def test_other_files_are_refused_with_what_they_are(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "file.avi"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=reason):
        read_video(path)


def test_a_file_that_is_gone_is_a_read_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be opened"):
        read_video(tmp_path / "gone.avi")


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.0, 0.999))
def test_a_truncated_avi_never_passes(avi: Path, tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    content = avi.read_bytes()
    path = tmp_path_factory.mktemp("cut") / "cut.avi"
    path.write_bytes(content[: int(share * (len(content) - 2))])
    with pytest.raises(ReadError):
        read_video(path)


@settings(max_examples=40, deadline=None)
@given(place=st.floats(0.0, 0.999), value=st.integers(0, 255))
def test_a_flipped_byte_gives_a_loop_or_a_read_error(
    avi: Path, tmp_path_factory: pytest.TempPathFactory, place: float, value: int
) -> None:
    content = bytearray(avi.read_bytes())
    content[int(place * len(content))] = value
    path = tmp_path_factory.mktemp("flip") / "flip.avi"
    path.write_bytes(content)
    try:
        assert len(read_video(path)) >= 1
    except ReadError as error:
        assert str(path) in str(error)


def test_size_is_limited_before_and_while_decoding(avi: Path, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="max_pixels"):
        read_video(avi, max_pixels=8 * 32 * 48 - 1)
    assert len(read_video(avi, max_pixels=8 * 32 * 48)) == 8
    headless = write(tmp_path / "no_count.mkv", loop(), [20 * i for i in range(8)])  # Matroska promises no count
    with pytest.raises(ReadError, match="max_pixels"):
        read_video(headless, max_pixels=5 * 32 * 48)


def test_a_header_that_lies_about_the_size_is_refused(avi: Path, tmp_path: Path) -> None:
    content = avi.read_bytes()
    jpeg = content.index(b"\xff\xc0")  # start of frame of the first picture: rows and columns at 5 and 7
    forged = content[: jpeg + 5] + struct.pack(">HH", 60000, 60000) + content[jpeg + 9 :]
    path = tmp_path / "bomb.avi"
    path.write_bytes(forged)
    with pytest.raises(ReadError):
        read_video(path)


def test_sound_alone_holds_no_pictures(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    path = tmp_path / "sound.avi"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ReadError, match="no pictures"):
        read_video(path)

"""Videos and sheets: that they play, and that they show what is there."""

import io

import av
import numpy as np
import pytest
import torch

from cardiolens.errors import InputError, StoreError
from cardiolens.explain import video
from cardiolens.explain.maps import attention_maps
from cardiolens.explain.pictures import blended, cine_frames, contact_sheet, overlay, tiled
from cardiolens.explain.video import to_mp4, write_mp4


def decoded(content):
    with av.open(io.BytesIO(content)) as file:
        stream = file.streams.video[0]
        return (
            stream.codec_context.name,
            float(stream.average_rate),
            [f.to_ndarray(format="rgb24") for f in file.decode(stream)],
        )


def test_a_video_plays_back_with_its_frames_colours_and_rate_and_is_the_same_each_time():
    frames = np.zeros((6, 33, 41, 3), dtype=np.uint8)
    for i in range(6):
        frames[i, :, :, i % 3] = 200
    content = to_mp4(frames, 12.5)
    assert content == to_mp4(frames, 12.5)
    name, rate, back = decoded(content)
    assert (name, rate, len(back)) == ("h264", 12.5, 6)
    assert back[0].shape == (34, 42, 3)
    for i, picture in enumerate(back):
        assert np.abs(picture[:33, :41].astype(int) - frames[i]).max() < 12


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), 10, "needs uint8 pictures"),
        (np.zeros((2, 8, 8), np.uint8), 10, "needs uint8 pictures"),
        (np.zeros((2, 8, 8, 3)), 10, "needs uint8 pictures"),
        (np.zeros((2, 8, 8, 3), np.uint8), 0, "more than 0"),
        (np.zeros((2, 8, 8, 3), np.uint8), float("nan"), "more than 0"),
    ],
)
def test_what_is_no_video_is_refused(frames, fps, message):
    with pytest.raises(InputError, match=message):
        to_mp4(frames, fps)


def test_a_library_without_the_encoder_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", frozenset({"mpeg4"}))
    with pytest.raises(StoreError, match=r"libx264.*pip install"):
        to_mp4(np.zeros((2, 8, 8, 3), np.uint8), 10)


def test_nothing_is_left_where_the_disk_refuses(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        write_mp4(tmp_path / "file" / "clip.mp4", np.zeros((2, 8, 8, 3), np.uint8), 10)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert video.to_mp4 is to_mp4


def test_every_map_has_a_tile_beside_the_cine(model):
    torch.manual_seed(0)
    clip = torch.rand(1, 16, 64, 64)
    maps = attention_maps(model, clip)
    frames = tiled(maps, clip, edge=64)
    assert frames.shape == (16, 2 * (64 + 28 + 4) + 4, 4 * (64 + 4) + 4, 3)
    cine = frames[:, 4 + 28 : 4 + 28 + 64, 4 : 4 + 64]
    assert np.abs(cine.astype(int) - (255 * clip[0, ..., None].numpy())).max() <= 1
    tile = frames[:, 4 + 28 : 4 + 28 + 64, 72 : 72 + 64]  # block 0, head 0: 8 x 8 patches of 8 x 8 pixels
    flat = tile.reshape(16, 8, 8, 8, 8, 3)
    assert (flat == flat[:, :, :1, :, :1]).all()
    brightest = np.unravel_index(tile.sum(-1).argmax(), tile.shape[:3])
    values = maps.maps[0].full(maps.size)
    assert values[brightest] == values.max()


def test_the_heat_is_drawn_where_it_is_hot_and_nowhere_else():
    clip, heat = torch.full((1, 2, 16, 16), 0.2), np.zeros((2, 16, 16), dtype=np.float32)
    heat[1, 8:, 8:] = 1.0
    frames = blended(clip, heat, edge=16)
    assert (frames[0] == 51).all()
    assert (frames[1, :6, :6] == 51).all()
    assert frames[1, 12, 12, 0] > 150
    assert (blended(clip, np.zeros_like(heat), edge=16) == cine_frames(clip, 16)).all()


def test_sheet_and_overlay_have_their_parts(model):
    clip = torch.rand(1, 16, 64, 64)
    maps = attention_maps(model, clip)
    assert overlay(maps, clip, edge=96).shape == (16, 96, 96, 3)
    sheet = contact_sheet(maps, clip, title="SAX plane 1", edge=64)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 8 * (64 + 4) + 4
    assert sheet.shape[0] > 3 * (64 + 28)

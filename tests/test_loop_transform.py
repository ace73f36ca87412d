"""Loops to clips: which frames, which size, what is refused; planes of cines as loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.datasets.cine_volumes import CineVolumes, item_of
from cardiolens.errors import CheckpointError, InputError, ReadError
from cardiolens.loops import LoopTransform
from cardiolens.volume import Volume
from cine_store import write_store


def loop_of(frames, rows=20, cols=24, colour=False):
    """A loop whose frame t is a ramp plus t."""
    images = (
        np.arange(rows * cols, dtype=np.float32).reshape(rows, cols)[None] + 100.0 * np.arange(frames)[:, None, None]
    )
    return Volume(np.repeat(images[..., None], 3, -1) if colour else images, "time", source="ramp")


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 8),
    stride=st.one_of(st.none(), st.integers(1, 5)),
    extra=st.integers(0, 30),
    clips=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_clips_lie_within_the_loop_and_their_frames_ascend(frames, stride, extra, clips, seed):
    transform = LoopTransform(frames, stride, short_side=8, crop=8, channels=1)
    loop = torch.arange(transform.extent + extra, dtype=torch.uint8).view(-1, 1, 1).expand(-1, 8, 8)
    starts = transform.starts(len(loop), clips)
    drawn = transform.random_start(len(loop), np.random.default_rng(seed))
    assert 1 <= len(starts) <= clips
    assert len(set(starts)) == len(starts)
    for start in [*starts, drawn]:
        shown = (transform.clip(loop, start)[0, :, 0, 0] * 255).round().long()
        assert shown.shape == (frames,)
        steps = shown.diff()
        assert bool((steps == stride).all()) if stride else bool((steps >= 0).all())
    if stride is None and frames > 1:
        assert int(shown[-1]) == len(loop) - 1


def test_a_loop_is_resized_cropped_and_scaled_between_its_percentiles():
    transform = LoopTransform(4, 2, short_side=10, crop=8, channels=3)
    clips = transform.clips(loop_of(12), 2)
    assert clips.shape == (2, 3, 4, 8, 8)
    assert 0 <= float(clips.min()) < float(clips.max()) <= 1
    assert torch.equal(clips[:, 0], clips[:, 2])
    assert torch.allclose(clips * 255, (clips * 255).round(), atol=1e-4)
    assert bool((clips[0, 0].mean((1, 2)).diff() > 0).all())  # later frames of the ramp are brighter
    grey, colour = (transform.prepare(loop_of(12, colour=colour)) for colour in (False, True))
    assert torch.equal(grey, colour)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (loop_of(6), "6 frames are too few for a clip of 4 at a stride of 2, which spans 7"),
        (Volume(np.zeros((9, 8, 8)), "depth", source="stack"), "run along depth"),
        (Volume(np.full((9, 8, 8), np.nan), "time", source="nan"), "NaN"),
    ],
)
def test_what_is_no_loop_or_too_short_is_refused(volume, words):
    with pytest.raises(InputError, match=words):
        LoopTransform(4, 2, short_side=8, crop=8).prepare(volume)


def test_a_transform_comes_back_from_a_card_and_an_unknown_field_is_refused():
    transform = LoopTransform(8, None, 100, 96, 1)
    assert LoopTransform.from_dict(transform.to_dict()) == transform
    with pytest.raises(CheckpointError, match="unknown fields"):
        LoopTransform.from_dict({**transform.to_dict(), "views": {}})
    with pytest.raises(CheckpointError, match="impossible"):
        LoopTransform(short_side=64, crop=65)


def test_planes_of_a_store_are_loops_with_the_labels_of_their_study(tmp_path):
    store = write_store(tmp_path / "store", count=3)
    planes = CineVolumes(store.path)
    assert len(planes.keys()) == 3 * (2 + 1)
    key = planes.keys()[0]
    assert key == "test_p00/a00:SAX:0"
    assert item_of(key) == "test_p00/a00"
    loop = planes.load(key)
    assert np.array_equal(loop.images, store.frames("test_p00/a00", "SAX", 0))
    assert loop.along == "time"
    labels = planes.labels()
    assert tuple(labels.index) == planes.keys()
    assert labels.loc[key, "lvef"] == store.labels().loc["test_p00/a00", "lvef"]
    assert "group" not in labels.columns  # texts are no labels of a volume
    assert planes.split() is None
    assert planes.hash() == store.hash()
    assert CineVolumes(store.path, views=["4CH"]).keys() == tuple(f"test_p{n:02d}/a{n:02d}:4CH:0" for n in range(3))
    assert len(CineVolumes(store.path, planes="middle").keys()) == 3 * 2


def test_planes_that_are_not_there_are_named(tmp_path):
    store = write_store(tmp_path / "store", count=1)
    with pytest.raises(ReadError, match="no study has a cine of 3CH"):
        CineVolumes(store.path, views=["3CH"]).keys()
    with pytest.raises(InputError, match="SAX, 2CH, 3CH, 4CH"):
        CineVolumes(store.path, views=["5CH"])
    with pytest.raises(InputError, match="middle"):
        CineVolumes(store.path, planes="first")
    with pytest.raises(ReadError, match="no plane"):
        CineVolumes(store.path).load("test_p00/a00:SAX:9")

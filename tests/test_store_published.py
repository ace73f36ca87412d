"""The HDF5 layouts that the authors of Shad et al. publish."""

import h5py
import numpy as np
import pytest

from cardiolens.errors import StoreError
from cardiolens.store import StudyStore
from cardiolens.store._published import resample_cycle
from cardiolens.study import View

KEY = "stanford_RF3da/RF9xk"


@pytest.fixture
def write(tmp_path):
    def writer(**datasets):
        path = tmp_path / f"{KEY}.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, (array, attributes) in datasets.items():
                dataset = file.create_dataset(name, data=array)
                for attribute, value in attributes.items():
                    dataset.attrs.create(attribute, value, dtype="i")
        return StudyStore(tmp_path)

    return writer


def stack(n_frames: int, side: int = 20, dtype: str = "f4") -> np.ndarray:
    """(frame, row, col), each frame its own number."""
    return (np.arange(n_frames)[:, None, None] + np.zeros((1, side, side))).astype(dtype)


def rgb(frames: np.ndarray, axis: int) -> np.ndarray:
    return np.repeat(np.expand_dims(frames, axis), 3, axis=axis)


@pytest.mark.parametrize("ends", [[9, 19], [9, 19, 29]], ids=["as the authors write it", "last plane listed too"])
@pytest.mark.parametrize("layout", ["grey", "cfhw", "fchw", "cfhw one channel", "fhwc"])
def test_slice_frames_are_inclusive_ends_in_every_axis_order(write, layout, ends):
    frames = stack(30)
    arrays = {
        "grey": frames,
        "cfhw": rgb(frames, 0),
        "fchw": rgb(frames, 1),
        "cfhw one channel": frames[None],
        "fhwc": rgb(frames, 3),
    }
    store = write(SAX=(arrays[layout], {"slice_frames": ends, "total_images": 30}))
    cine = store.read(KEY).cine("SAX")
    np.testing.assert_array_equal(cine.frames, frames.reshape(3, 10, 20, 20))
    assert cine.frames.dtype == np.float32
    np.testing.assert_array_equal(store.frames(KEY, "SAX", 1, [9, 0]), frames[[19, 10]])
    np.testing.assert_array_equal(store.frames(KEY, "SAX", 2), frames[20:])


def test_a_single_plane_has_an_empty_list_or_none(write):
    store = write(**{"4CH": (stack(12), {"slice_frames": [], "total_images": 12}), "2CH": (stack(8), {})})
    study = store.read(KEY)
    assert study.views == (View.CH2, View.CH4)
    assert study.cine("4CH").shape == (1, 12, 20, 20) and study.cine("2CH").shape == (1, 8, 20, 20)
    assert "no slice_frames: read as a single plane" in study.cine("2CH").notes


def test_identity_comes_from_the_key_and_geometry_is_none_and_said(write):
    store = write(SAX=(stack(20), {"slice_frames": [9]}))
    study = store.read(KEY)
    assert (study.site, study.patient, study.accession) == ("stanford", "RF3da", "RF9xk")
    cine = study.cine("SAX")
    assert cine.spacing_mm is cine.slice_positions_mm is cine.trigger_times_ms is cine.affine is None
    assert any("no pixel spacing" in note for note in cine.notes)
    assert store.report(KEY) is None
    assert store.info(KEY)["published"]
    store.verify()
    assert store.hash() == StudyStore(store.path).hash()


def test_series_names_are_read_as_descriptions_and_others_refused_by_name(write):
    store = write(
        SAX_FIESTA_BH_1=(stack(20), {"slice_frames": [9]}),
        cine_4CH=(stack(10), {"slice_frames": []}),
        T2_MAP=(stack(10), {"slice_frames": []}),
    )
    study = store.read(KEY)
    assert study.views == (View.SAX, View.CH4)
    assert [refusal.series for refusal in study.refused] == ["T2_MAP"]


def test_of_two_datasets_of_a_view_the_larger_is_kept(write):
    store = write(SAX_1=(stack(10), {"slice_frames": []}), SAX_2=(stack(20), {"slice_frames": [9]}))
    study = store.read(KEY)
    assert study.cine("SAX").shape == (2, 10, 20, 20)
    assert study.refused[0].series == "SAX_1" and "second SAX" in study.refused[0].reason


def test_ragged_planes_are_resampled_or_left_out_by_name(write):
    store = write(SAX=(stack(10 + 6 + 10 + 4), {"slice_frames": [9, 15, 25]}))
    cine = store.read(KEY).cine("SAX")
    assert cine.shape == (3, 10, 20, 20)
    assert "plane 2 of 4 resampled in time from 6 to 10 phases" in cine.notes
    assert "plane 4 of 4 left out: 4 of 10 phases, fewer than half" in cine.notes
    np.testing.assert_array_equal(cine.frames[2], stack(30)[16:26])
    np.testing.assert_array_equal(cine.frames[1], resample_cycle(stack(16)[10:], 10))
    np.testing.assert_array_equal(store.frames(KEY, "SAX", 1, [3, 0]), cine.frames[1][[3, 0]])


def test_resampling_a_cosine_over_the_cycle_keeps_it():
    def wave(n: int) -> np.ndarray:
        return np.cos(2 * np.pi * np.arange(n) / n)[:, None, None] * np.ones((1, 2, 2))

    assert np.abs(resample_cycle(wave(40), 50) - wave(50)).max() < 0.005
    np.testing.assert_array_equal(resample_cycle(wave(20), 20), wave(20))


def test_colour_becomes_luminance_and_equal_channels_stay_as_they_are(write):
    colour = np.zeros((3, 4, 20, 20), np.uint8)
    colour[0], colour[1], colour[2] = 200, 100, 50
    store = write(
        **{"2CH": (colour, {"slice_frames": []}), "4CH": (rgb(stack(5, dtype="u1"), 0), {"slice_frames": []})}
    )
    study = store.read(KEY)
    assert np.unique(study.cine("2CH").frames).tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]
    np.testing.assert_array_equal(study.cine("4CH").frames[0], stack(5, dtype="u1"))


def test_three_frames_of_three_channels_are_told_by_the_equal_copies(write):
    frames = stack(3)
    for array in (rgb(frames, 0), rgb(frames, 1)):
        store = write(SAX=(array, {"slice_frames": [], "total_images": 3}))
        np.testing.assert_array_equal(store.read(KEY).cine("SAX").frames[0], frames)
        store.close()


@pytest.mark.parametrize(
    ("array", "attributes", "reason"),
    [
        (np.random.default_rng(0).random((3, 3, 20, 20)), {"slice_frames": []}, "fits more than one"),
        (stack(30).reshape(2, 15, 20, 20), {"slice_frames": []}, "is none of"),
        (np.zeros((5, 20)), {}, "has 2 axes"),
        (np.zeros((30, 20, 3)), {}, r"not \[frame, row, col\]"),
        (stack(20), {"slice_frames": [9, 20]}, "no ascending indices of 20 frames"),
        (stack(20), {"slice_frames": [9, 9]}, "no ascending indices"),
        (stack(20), {"slice_frames": list(range(19))}, "planes of a single frame"),
        (stack(1), {}, "planes of a single frame"),
    ],
)
def test_what_cannot_be_interpreted_is_refused_by_name_with_the_reason(write, array, attributes, reason):
    store = write(SAX=(array, attributes))
    with pytest.raises(StoreError, match=rf"SAX: .*{reason}"):
        store.read(KEY)


def test_a_published_study_can_be_written_to_a_store_of_ours(write, tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a secret for the tests")
    study = write(SAX=(stack(20), {"slice_frames": [9]})).read(KEY)
    ours = StudyStore(tmp_path / "ours", mode="a")
    key = ours.write(study)
    assert "RF3da" not in key and key.startswith("stanford_")
    np.testing.assert_array_equal(ours.read(key).cine("SAX").frames, study.cine("SAX").frames)
    assert b"RF3da" not in (ours.path / f"{key}.h5").read_bytes()

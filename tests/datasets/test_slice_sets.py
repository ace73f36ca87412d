"""Sets of volumes and of images for slice models: what is read, what is refused."""

import csv

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from cardiolens.annotation import Annotation
from cardiolens.datasets.image_sets import open_images
from cardiolens.datasets.medmnist import MedMNIST
from cardiolens.datasets.shuffled import Shuffled, order_of
from cardiolens.datasets.volumes import open_volumes
from cardiolens.errors import InputError, ReadError, ReportError
from cardiolens.slices import SliceTransform, equally_spaced
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View
from cardiolens.volume import Volume

PARTS = ("train", "val", "test")


def npz(path, shape, labels=1, **changes):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in zip(PARTS, (6, 3, 3), strict=True):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f"{part}_labels"] = rng.integers(0, 2, (count, labels), dtype=np.uint8)
    arrays |= changes
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path, arrays


def table(folder, rows):
    folder.mkdir(exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_medmnist_file_gives_its_volumes_labels_and_own_split(tmp_path):
    path, arrays = npz(tmp_path / "nodules.npz", (5, 8, 8))
    found = open_volumes(path)
    assert (found.name, len(found.keys())) == ("nodules", 12)
    np.testing.assert_array_equal(found.load("val_00002/volume").images, arrays["val_images"][2])
    assert found.labels().loc["test_00001/volume", "label"] == arrays["test_labels"][1, 0]
    assert {part: len(keys) for part, keys in found.split().parts.items()} == {"train": 6, "val": 3, "test": 3}
    other, _ = npz(tmp_path / "other.npz", (5, 8, 8), train_labels=np.ones((6, 1), np.uint8))
    assert open_volumes(other).hash() != found.hash() == open_volumes(path).hash()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_images": None, "pictures": np.zeros(3)}, "holds pictures, .*a file in MedMNIST's format holds"),
        ({"test_labels": np.array([[{"a": 1}]] * 3, dtype=object)}, "Python objects"),
        ({"train_images": np.array([None] * 6, dtype=object)}, "Python objects"),
        ({"val_labels": np.zeros((9, 1), np.uint8)}, "val_images is .* has 9 labels"),
        ({"train_images": np.zeros((6, 8, 8), np.uint8)}, "no volumes"),
    ],
)
def test_a_medmnist_file_of_another_make_is_refused_without_unpickling(tmp_path, changes, message):
    path, _ = npz(tmp_path / "x.npz", (5, 8, 8), **changes)
    with pytest.raises(ReadError, match=message):
        found = MedMNIST(path)
        [found.load(key) for key in found.keys()]  # noqa: SIM118 - no dict


def test_what_is_no_npz_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK no zip")
    with pytest.raises(ReadError, match=r"not a \.npz"):
        open_volumes(tmp_path / "x.npz")


def test_2d_sets_give_images_and_classes_single_or_several(tmp_path):
    path, arrays = npz(tmp_path / "organ.npz", (8, 8), val_labels=np.array([[2], [0], [1]], np.uint8))
    organ = open_images(path)
    assert (organ.classes, organ.several) == (("organ:0", "organ:1", "organ:2"), False)
    assert organ.label("val_00000/image") == (2,)
    np.testing.assert_array_equal(organ.load("test_00001/image"), arrays["test_images"][1])
    path, arrays = npz(tmp_path / "chest.npz", (8, 8, 3), labels=4)
    chest = open_images(path)
    assert chest.several
    assert chest.label("train_00003/image") == tuple(np.flatnonzero(arrays["train_labels"][3]))
    with pytest.raises(ReadError, match="are volumes"):
        open_images(npz(tmp_path / "v.npz", (5, 8, 8))[0])


def test_a_kermany_folder_gives_classes_by_folder_and_keeps_patients_apart(tmp_path, caplog):
    files = ["train/CNV/CNV-1-1", "train/CNV/CNV-2-1", "train/NORMAL/NORMAL-3-1", "test/NORMAL/NORMAL-2-1"]
    for number, name in enumerate(files):
        path = tmp_path / f"{name}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12, 16), 10 * number, np.uint8)).save(path)
    found = open_images(tmp_path)
    assert found.classes == ("CNV", "NORMAL")
    assert found.split().parts == {"train": ("1/CNV-CNV-1-1", "3/NORMAL-NORMAL-3-1"), "test": ("2/NORMAL-NORMAL-2-1",)}
    assert "1 images left out" in caplog.text
    assert found.label("3/NORMAL-NORMAL-3-1") == (1,)
    assert found.load("3/NORMAL-NORMAL-3-1").shape == (12, 16)
    (tmp_path / "train/CNV/CNV-1-1.jpeg").write_bytes(b"no image")
    with pytest.raises(ReadError, match="no image that can be read"):
        found.load("1/CNV-CNV-1-1")


def test_a_folder_with_a_table_gives_dicom_slices_multiframes_and_images(tmp_path):
    folder = tmp_path / "set"
    table(
        folder,
        [
            {"file": "slices", "patient": "a", "split": "train", "grade": "2"},
            {"file": "loop.dcm", "patient": "b", "split": "val", "grade": "1"},
            {"file": "drawn", "patient": "c", "split": "test", "grade": ""},
        ],
    )
    (folder / "slices").mkdir()
    one = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    for number, place in enumerate((10.0, -5.0, 2.5)):
        one.ImagePositionPatient, one.SOPInstanceUID = [0, 0, place], f"1.2.3.{number}"
        one.PixelData = np.full((128, 128), 100 + 10 * number, np.int16).tobytes()
        one.save_as(folder / "slices" / f"{number}.dcm")
    one.NumberOfFrames, one.SOPInstanceUID = 10, "1.2.4"
    one.PixelData = np.repeat(np.arange(10), 128 * 128).astype(np.int16).tobytes()
    one.save_as(folder / "loop.dcm")
    (folder / "drawn").mkdir()
    for number in (10, 2):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / "drawn" / f"s{number}.png")
    found = open_volumes(folder)
    slices = found.load("a/slices")
    assert slices.step_mm == 7.5
    assert np.diff(slices.images[:, 0, 0]).tolist() == [10, -20]  # by position, whatever the files are called
    assert np.diff(found.load("b/loop.dcm").images[:, 5, 5]).tolist() == [1] * 9
    assert found.load("c/drawn").images[:, 0, 0].tolist() == [2, 10]
    assert found.labels()["grade"].tolist()[:2] == [2.0, 1.0]
    assert found.split().parts["test"] == ("c/drawn",)


def test_a_table_that_names_what_is_not_there_or_lies_outside_is_refused(tmp_path):
    table(tmp_path / "set", [{"file": "gone", "grade": 1}])
    found = open_volumes(tmp_path / "set")
    with pytest.raises(ReadError, match="not there"):
        found.load("gone/gone")
    table(tmp_path / "set", [{"file": "../x", "grade": 1}])
    with pytest.raises(ReportError, match="must lie in the folder"):
        open_volumes(tmp_path / "set")
    table(tmp_path / "set", [{"file": name, "patient": "p", "grade": 1} for name in ("a/1.dcm", "a_1.dcm")])
    with pytest.raises(ReportError, match=r"line 3: two files are both called 'p/a_1\.dcm'"):
        open_volumes(tmp_path / "set")


def test_the_sax_stack_of_a_study_comes_at_ed_or_any_phase(tmp_path):
    frames = np.arange(4 * 3 * 8 * 8).reshape(4, 3, 8, 8).astype(np.uint16)
    cine = Cine("SAX", frames, spacing_mm=(1.5, 1.5), slice_positions_mm=np.array([0.0, 8.0, 16.0, 24.0]))
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(Study((cine,), patient="p", accession="a", site="s"), key="s_p/a")
    store.write(Study((Cine("4CH", frames[:1]),), patient="q", accession="a", site="s"), key="s_q/a")
    first = open_volumes(tmp_path / "store", kind="sax", field_mm=None).load("s_p/a")
    np.testing.assert_array_equal(first.images, frames[:, 0])
    assert (first.step_mm, first.spacing_mm, first.along) == (8.0, (1.5, 1.5), "depth")
    assert "phase 0" in first.notes[0]
    drawn = Annotation((1, 2), np.zeros((4, 2, 8, 8), np.uint8), ("LV cavity",), ed=1, es=2)
    store.annotate("s_p/a", {View.SAX: drawn})
    np.testing.assert_array_equal(
        open_volumes(tmp_path / "store", kind="sax", field_mm=None).load("s_p/a").images, frames[:, 1]
    )
    last = open_volumes(tmp_path / "store", kind="sax", phase="ES", field_mm=None).load("s_p/a")
    np.testing.assert_array_equal(last.images, frames[:, 2])
    with pytest.raises(ReadError, match="no phase 3"):
        open_volumes(tmp_path / "store", kind="sax", phase=3, field_mm=None).load("s_p/a")
    with pytest.raises(ReadError, match="no short-axis stack"):
        open_volumes(tmp_path / "store", kind="sax", field_mm=None).load("s_q/a")


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0)])
def test_a_sax_stack_is_cut_to_the_same_millimetres_in_every_study(tmp_path, spacing):
    frames = np.ones((2, 1, 40, 60), np.uint16)
    frames[..., 19:21, 29:31] = 9
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(Study((Cine("SAX", frames, spacing_mm=spacing),), patient="p", accession="a", site="s"), key="s_p/a")
    found = open_volumes(tmp_path / "store", kind="sax", field_mm=20).load("s_p/a")
    edges = tuple(round(20 / step) for step in spacing)
    assert found.images.shape == (2, *edges)
    assert np.argwhere(found.images[0] == 9).mean(0).tolist() == [(edge - 1) / 2 for edge in edges]
    assert any("image centre" in note for note in found.notes)
    whole = open_volumes(tmp_path / "store", kind="sax", field_mm=80).load("s_p/a").images
    assert whole.shape == (2, *(round(80 / step) for step in spacing))
    assert whole.sum() == frames.sum()  # beyond the edge of the image there is nothing


def test_a_sax_stack_without_pixel_spacing_is_refused_by_name_unless_whole_images_are_wanted(tmp_path):
    store = StudyStore(tmp_path / "store", mode="a")
    cine = Cine("SAX", np.ones((2, 1, 8, 8), np.uint16))
    store.write(Study((cine,), patient="p", accession="a", site="s"), key="s_p/a")
    with pytest.raises(ReadError, match=r"needs pixel spacing.*field_mm: null"):
        open_volumes(tmp_path / "store", kind="sax").load("s_p/a")
    assert open_volumes(tmp_path / "store", kind="sax", field_mm=None).load("s_p/a").images.shape == (2, 8, 8)
    for wrong in (-1, "160", float("inf"), float("nan"), 1e-9):
        with pytest.raises(ReadError, match="field_mm is"):
            open_volumes(tmp_path / "store", kind="sax", field_mm=wrong)


def test_a_shuffled_copy_has_the_same_slices_in_one_random_order(tmp_path):
    plain = open_volumes(npz(tmp_path / "x.npz", (5, 8, 8))[0])
    copy, key = Shuffled(plain, 3), "train_00000/volume"
    np.testing.assert_array_equal(copy.load(key).images, plain.load(key).images[order_of(3, key, 5)])
    assert sorted(order_of(3, key, 5).tolist()) == [0, 1, 2, 3, 4]
    orders = {tuple(order_of(seed, key, 5)) for seed in range(20)}
    assert len(orders) > 10


def test_slices_are_equally_spaced_stretched_and_square():
    assert equally_spaced(10, 4).tolist() == [0, 3, 6, 9]
    assert equally_spaced(2, 4).tolist() == [0, 0, 1, 1]
    volume = Volume(np.linspace(100, 900, 7 * 20 * 30).reshape(7, 20, 30), "depth", source="ramp")
    found = SliceTransform(4, 32)(volume)
    assert found.shape == (4, 32, 32)
    assert (float(found.min()), float(found.max())) == (0.0, 1.0)
    colour = Volume(np.zeros((3, 8, 8, 3), np.uint8), "time")
    assert SliceTransform(2, 32)(colour).shape == (2, 32, 32)


def test_a_volume_with_one_slice_is_refused():
    with pytest.raises(InputError, match="one slice"):
        SliceTransform(4, 32)(Volume(np.zeros((1, 8, 8)), "depth", source="flat.dcm"))

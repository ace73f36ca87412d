"""Rescan: pickles read without running them, geometry, masks, pairs; damage is told."""

import collections
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cardiolens.datasets import rescan
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.labelled import volumes
from cardiolens.datasets.layout import tally
from cardiolens.datasets.masks import each_labelled, load_masks
from cardiolens.datasets.plain_pickle import parse, read_plain
from cardiolens.errors import GeometryError, ReadError
from cardiolens.store import StudyStore


def look(folder):
    return find_dataset("rescan").look_through(folder)


@settings(max_examples=40)
@given(
    st.sampled_from(range(6)),
    arrays.arrays(
        st.sampled_from(["u1", "<i2", ">i2", "<u2", "<f4", "<f8", "?"]), arrays.array_shapes(max_dims=4, max_side=4)
    ),
)
def test_arrays_come_back_as_pickle_would_give_them_in_every_protocol(protocol, values):
    content = {
        "a": values,
        "b": np.asfortranarray(values),
        "n": [1, 2.5, None, True, ("x", -70000)],
        "s": values.flat[0],
    }
    found = parse(pickle.dumps(content, protocol=protocol))
    for name in "ab":
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert found["n"] == content["n"]
    np.testing.assert_equal(found["s"], values.flat[0])


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (Harm(), "system"),
        (np.array([{}], dtype=object), "only numbers"),
        (np.array(["text"]), "only numbers"),
        (collections.Counter(), "Counter"),
        ({1, 2}, "EMPTY_SET|FROZENSET"),
        (np.random.default_rng, "default_rng"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_is_no_plain_array_is_refused_and_not_run(tmp_path, monkeypatch, content, told, protocol):
    monkeypatch.chdir(tmp_path)
    if protocol == 2 and isinstance(content, set):
        told = "names|builtin"
    data = pickle.dumps({"image_voxels": content}, protocol=protocol)
    if callable(content) and not isinstance(content, Harm):
        found = parse(data)  # a name alone is kept as a name; nothing is imported
        assert not callable(found["image_voxels"])
        return
    with pytest.raises(ReadError, match=told):
        parse(data)
    assert not (tmp_path / "harm").exists()


@settings(max_examples=40)
@given(st.integers(0, 400))
def test_a_pickle_cut_anywhere_is_refused(place):
    data = pickle.dumps({"a": np.arange(40), "b": 1.5}, protocol=4)
    with pytest.raises(ReadError):
        parse(data[: min(place, len(data) - 1)])


def test_scans_come_into_a_store_by_patient(exports, tmp_path):
    done = import_dataset("rescan", exports["rescan"].parent, tmp_path / "store", workers=1)
    store = StudyStore(tmp_path / "store")
    assert set(done.keys.values()) == set(store.keys()) and not done.found.remarks
    pairs = collections.Counter(key.partition("/")[0] for key in store)
    assert sorted(pairs.values()) == [1, 2, 2]  # train, test A and B, test_retest_100 A and B1
    labels = store.labels()
    truth = {path.stem: json.loads(path.read_text()) for path in (exports["rescan"].parent / "truth").glob("*.json")}
    (row,) = [each["row"] for each in truth.values() if "row" in each]
    for folder, edv, esv in ((row[0], *row[3:5]), (row[1], *row[5:7])):
        found = labels.loc[done.keys[f"test-retest-100-{folder}"]]
        assert (found["edv"], found["esv"]) == (edv, esv)
        assert found["lvef"] == pytest.approx(100 * (edv - esv) / edv)
    assert labels["subject"].nunique() == 3


def test_geometry_is_right_handed_and_masks_turn_with_the_planes(exports):
    folder = exports["rescan"] / "train" / "A" / "s_0000"
    study = rescan.read_case([str(folder / f"{name}.pickle") for name in ("SAX", "2C", "4C")])
    assert [str(view) for view in study.views] == ["SAX", "2CH", "4CH"]
    cine = study.cine("SAX")
    raw = pickle.loads((folder / "SAX.pickle").read_bytes())  # noqa: S301 - written by this test session
    for plane in range(cine.n_slices):  # the file runs the other way
        np.testing.assert_array_equal(cine.frames[plane], raw["image_voxels"][-1 - plane])
        where = cine.affine[:3, 3] + plane * cine.affine[:3, 2]
        np.testing.assert_allclose(where, raw["ImagePositionPatient"][-1 - plane], atol=1e-6)
    case = next(case for case in look(exports["rescan"]).cases if case.name == "train-A-s-0000")
    (frames,) = load_masks("rescan", case)
    pixels = frames.frames().astype(float)
    assert pixels[frames.mask("LV cavity")].mean() > 1.3 * pixels[frames.mask("LV myocardium")].mean()
    counts = frames.mask("LV cavity").sum((0, 2, 3))
    assert (frames.place("ED"), frames.place("ES")) == (counts.argmax(), counts.argmin())
    assert volumes(frames)["edv"] == pytest.approx(counts.max() * cine.voxel_volume_ml())


def test_faults_are_told_case_by_case(copy_of):
    folder = copy_of("rescan")
    test = folder / "test"
    (test / "scan_00_A" / "2C.pickle").unlink()
    (test / "scan_00_B" / "SAX.pickle").write_bytes(b"\x80\x04}\x94.")  # an empty dictionary
    segs = folder / "train" / "A" / "s_0000" / "SAX_segs.pickle"
    values = parse(segs.read_bytes())["image_segmentation"]
    segs.write_bytes(pickle.dumps({"image_segmentation": values[1:]}))
    found = look(folder)
    assert tally(found.remarks) == {"no 2C.pickle": 1}
    skipped = []
    kept = {case.name for case, _ in each_labelled("rescan", folder, skipped)}
    assert kept == {"test-scan-00-A"}
    assert tally(skipped) == {"no masks published": 2, "no usable masks": 2}
    with pytest.raises(ReadError, match="no image_voxels"):
        rescan.read_case([str(test / "scan_00_B" / "SAX.pickle")])
    segs.write_bytes(pickle.dumps({"image_segmentation": np.zeros_like(values)}))
    case = next(case for case in found.cases if case.part == "train")
    with pytest.raises(ReadError, match="no LV cavity at any phase"):
        load_masks("rescan", case)
    (test / "scan_00_B" / "SAX.pickle").unlink()
    assert tally(look(folder).skipped) == {"no SAX.pickle": 1}


def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path):
    whole = {
        "image_voxels": np.ones((3, 2, 4, 4)),
        "ImagePositionPatient": np.arange(9.0).reshape(3, 3),
        "ImageOrientationPatient": np.array([1.0, 0, 0, 0, 1, 0]),
        "PixelSpacing": np.array([1.0, 1.0]),
    }
    for name, value in (("ImagePositionPatient", np.zeros((2, 3))), ("PixelSpacing", np.ones(3))):
        path = tmp_path / "SAX.pickle"
        path.write_bytes(pickle.dumps({**whole, name: value}))
        with pytest.raises(GeometryError, match="3 planes"):
            rescan.read_case([str(path)])
    path.write_bytes(pickle.dumps({**whole, "image_voxels": np.ones((2, 4, 4))}))
    with pytest.raises(ReadError, match="4 axes"):
        rescan.read_case([str(path)])


def test_a_table_row_without_scan_or_volume_is_told(copy_of):
    folder = copy_of("rescan")
    table = folder / "test_retest_100" / "labels.csv"
    header, row = table.read_text().splitlines()[:2]
    cells = row.split(",")
    cells[4] = "-1"
    table.write_text("\n".join([header, ",".join(cells), "7,8,,10,5,10,5,,"]) + "\n")
    found = look(folder)
    assert tally(found.remarks) == {"a row for a scan that is not here": 2, "a volume that is no positive number": 1}
    bad = next(case for case in found.cases if case.name.endswith(cells[0]))
    assert np.isnan(bad.labels["lvef"]) and bad.labels["edv"] > 0
    table.write_text("\n".join([header, row, row]) + "\n")
    with pytest.raises(Exception, match="there twice"):
        look(folder)
    table.unlink()
    assert "no test_retest_100/labels.csv: volumes and pairs are missing" in tally(look(folder).remarks)


def test_a_file_that_is_no_pickle_is_named(tmp_path):
    (tmp_path / "SAX.pickle").write_bytes(b"PK\x03\x04")
    with pytest.raises(ReadError, match=r"SAX\.pickle"):
        read_plain(tmp_path / "SAX.pickle")

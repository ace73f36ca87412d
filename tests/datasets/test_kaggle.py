"""Kaggle DSB-2: nested and plain folders, volumes, and the oddities of the real set."""

import math
import shutil

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from cardiolens.datasets import Split, kaggle
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import Options, tally
from cardiolens.errors import ReadError, ReportError
from cardiolens.store import StudyStore
from cardiolens.study import View


def look(folder, **options):
    return find_dataset("kaggle").look_through(folder, Options(**options))


def files(folder, case="1", split="train"):
    return kaggle._files(folder / split / split / case)


def rewrite(folder, change):
    for path in sorted(folder.iterdir()):
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)


def test_cases_volumes_and_split_come_in(exports, tmp_path):
    done = import_dataset("kaggle", exports["kaggle"].parent, tmp_path / "store", workers=1)
    store = StudyStore(tmp_path / "store")
    assert store.keys() == ["kaggle_1/1", "kaggle_2/2", "kaggle_501/501", "kaggle_701/701"]
    assert {str(view) for view in store.read("kaggle_1/1").views} == {"SAX", "2CH", "4CH"}
    line = (exports["kaggle"] / "train.csv").read_text().splitlines()[1].split(",")
    labels = store.labels()
    assert labels.loc["kaggle_1/1", ["Systole", "Diastole"]].tolist() == [float(line[1]), float(line[2])]
    assert labels.loc["kaggle_1/1", "lvef"] == pytest.approx(100 * (1 - float(line[1]) / float(line[2])))
    split = Split.load(done.split)
    assert {part: len(keys) for part, keys in split.parts.items()} == {"train": 2, "val": 1, "test": 1}


def test_plain_folders_give_the_same_cases_as_nested_ones(copy_of):
    folder = copy_of("kaggle")
    nested = {case.name: case.labels for case in look(folder).cases}
    for split in ("train", "validate", "test"):
        for case in list((folder / split / split).iterdir()):
            case.rename(folder / split / case.name)
        (folder / split / split).rmdir()
    assert {case.name: case.labels for case in look(folder).cases} == nested


def test_a_case_in_two_places_is_an_error(copy_of):
    folder = copy_of("kaggle")
    shutil.copytree(folder / "train" / "train" / "1", folder / "train" / "1")
    with pytest.raises(ReadError, match="case 1 is in"):
        look(folder)


def test_the_folder_names_the_view_where_headers_say_nothing(copy_of):
    folder = copy_of("kaggle")

    def forget(data):
        data.SeriesDescription = ""
        del data.ImageOrientationPatient, data.ImagePositionPatient

    for series in (folder / "train" / "train" / "1" / "study").glob("?ch_*"):
        rewrite(series, forget)
    study = kaggle.read_case(files(folder))
    assert {str(view) for view in study.views} == {"SAX", "2CH", "4CH"}
    assert study.cine("2CH").affine is None  # not made up


def test_a_repeated_slice_and_one_of_another_resolution_leave_the_stack_whole(copy_of):
    folder = copy_of("kaggle")
    series = sorted((folder / "train" / "train" / "1" / "study").glob("sax_*"))
    whole = kaggle.read_case(files(folder)).cine("SAX")
    repeat = series[0].with_name("sax_90")
    shutil.copytree(series[2], repeat)
    uid = generate_uid()

    def again(data):
        data.SeriesInstanceUID, data.SeriesNumber = uid, 90
        data.SOPInstanceUID = generate_uid()
        data.PixelData = np.roll(data.pixel_array, 1).tobytes()

    rewrite(repeat, again)
    study = kaggle.read_case(files(folder))
    assert study.cine("SAX").shape == whole.shape

    def coarser(data):
        data.PixelData = np.ascontiguousarray(data.pixel_array[::2, ::2]).tobytes()
        data.Rows, data.Columns = data.Rows // 2, data.Columns // 2
        data.PixelSpacing = [2 * float(each) for each in data.PixelSpacing]

    shutil.rmtree(repeat)
    rewrite(series[0], coarser)
    study = kaggle.read_case(files(folder))
    assert study.cine("SAX").n_slices == whole.n_slices - 1
    assert any("another SAX is kept" in refusal.reason for refusal in study.refused)


def test_of_two_folders_of_a_view_one_is_kept_and_the_other_told(copy_of):
    folder = copy_of("kaggle")
    first = next((folder / "train" / "train" / "1" / "study").glob("2ch_*"))
    second = first.with_name("2ch_90")
    shutil.copytree(first, second)
    uid = generate_uid()

    def again(data):
        data.SeriesInstanceUID, data.SeriesNumber = uid, 90
        data.SOPInstanceUID = generate_uid()
        data.PixelData = np.roll(data.pixel_array, 3).tobytes()

    rewrite(second, again)
    study = kaggle.read_case(files(folder))
    assert View.CH2 in study.views
    assert any("2CH" in refusal.reason for refusal in study.refused)


def test_black_images_are_refused_with_the_reason(copy_of, tmp_path):
    folder = copy_of("kaggle")
    for series in (folder / "test" / "test" / "701" / "study").iterdir():
        rewrite(series, lambda data: setattr(data, "PixelData", bytes(len(data.PixelData))))
    done = import_dataset("kaggle", folder, tmp_path / "store", workers=1)
    assert "701" not in done.keys and len(done.keys) == 3
    refused = next(record for record in done.result.records if record.status == "refused")
    assert any("same value" in series["reason"] for series in refused.refused)


def test_a_case_without_short_axis_comes_in_and_is_counted(copy_of, tmp_path):
    folder = copy_of("kaggle")
    for series in (folder / "train" / "train" / "2" / "study").glob("sax_*"):
        shutil.rmtree(series)
    done = import_dataset("kaggle", folder, tmp_path / "store", workers=1)
    assert done.no_sax == ("kaggle_2/2",) and len(done.keys) == 4


def test_without_solution_the_test_cases_have_no_labels_and_it_is_said(copy_of, tmp_path):
    folder = copy_of("kaggle")
    (folder / "solution.csv").unlink()
    found = look(folder)
    labels = {case.name: case.labels for case in found.cases}
    assert all(math.isnan(labels["701"][name]) for name in ("Systole", "Diastole", "lvef"))
    assert any("no solution.csv" in what for what in tally(found.remarks))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Id,ESV,EDV\n1,50,100\n", "needs the column Systole, Diastole"),
        ("Id,Systole,Diastole\n1,50,100\n1,51,100\n", "lines 2, 3"),
        ("Id,Systole,Diastole\n1,50\n", "line 2 has 2 fields"),
        ("", "empty"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error(copy_of, text, told):
    folder = copy_of("kaggle")
    (folder / "train.csv").write_text(text)
    with pytest.raises(ReportError, match=told):
        look(folder)


def test_odd_rows_are_counted_and_give_missing_labels(copy_of):
    folder = copy_of("kaggle")
    (folder / "train.csv").write_text("Id,Systole,Diastole\n1,n/a,100\n2,120,100\n99,50,100\n")
    found = look(folder)
    labels = {case.name: case.labels for case in found.cases}
    assert math.isnan(labels["1"]["Systole"]) and labels["1"]["Diastole"] == 100 and math.isnan(labels["1"]["lvef"])
    assert labels["2"]["Systole"] == 120 and math.isnan(labels["2"]["lvef"])
    assert {remark.case for remark in found.remarks} >= {"2", "99"}


@given(st.floats(0.1, 500), st.floats(0.1, 500))
def test_lvef_is_a_percentage_or_missing(systole, diastole):
    value = kaggle.lvef(systole, diastole)
    assert math.isnan(value) == (systole > diastole)
    assert math.isnan(value) or 0 <= value < 100


def test_excluded_cases_are_skipped_and_leave_the_store(copy_of, tmp_path):
    folder, store = copy_of("kaggle"), tmp_path / "store"
    import_dataset("kaggle", folder, store, workers=1)
    (tmp_path / "out.txt").write_text("501  # black\n")
    done = import_dataset("kaggle", folder, store, Options(exclude=tmp_path / "out.txt"), workers=1)
    assert done.removed == ("kaggle_501/501",) and "kaggle_501/501" not in StudyStore(store)
    assert len(StudyStore(store).labels()) == 3 and done.result.counts["skipped"] == 3

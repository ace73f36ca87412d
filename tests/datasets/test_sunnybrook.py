"""Sunnybrook: contours on the right images, the published volumes, ED and ES planes; what does not fit is told."""

import csv
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cardiolens import read_study
from cardiolens.datasets import sunnybrook
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import tally
from cardiolens.datasets.masks import each_labelled
from cardiolens.datasets.sunnybrook_contours import Contours, area, fill, read_contour
from cardiolens.datasets.sunnybrook_edes import read_patient
from cardiolens.errors import GeometryError, InputError, ReadError
from cardiolens.study import Cine, Study, View

SQUARE = np.array([[4.0, 4.0], [12.0, 4.0], [12.0, 12.0], [4.0, 12.0]])
BIG = np.array([[2.0, 2.0], [14.0, 2.0], [14.0, 14.0], [2.0, 14.0]])


@pytest.fixture(scope="module")
def real(shared_data):
    return shared_data / "real"


@pytest.fixture(scope="module")
def volumes(real):
    with (real / "sunnybrook_cine" / "volumes.csv").open() as stream:
        return list(csv.DictReader(stream))


def small(numbers=None, **more):
    """A study of 3 planes and 4 phases, and the numbers of its images."""
    frames = np.random.default_rng(0).integers(0, 99, (3, 4, 20, 20)).astype(np.uint16)
    cine = Cine(View.SAX, frames, spacing_mm=(2.0, 1.0), slice_positions_mm=np.arange(3) * 10.0, **more)
    return Study((cine,)), np.arange(1, 13).reshape(3, 4) if numbers is None else numbers


def test_contours_give_the_published_volumes_on_the_published_phases(real, volumes):
    for row in volumes:
        cine = read_study(real / "sunnybrook_cine" / row["patient_id"]).cine("SAX")
        drawn = sunnybrook.contours(real / "sunnybrook_cine" / "contours", row["original_id"])
        ends = sunnybrook.ends_of(cine, drawn)
        assert (ends.ed + 1, ends.es + 1) == (int(row["ed_phase"]), int(row["es_phase"]))
        told = [f"{value:.1f}" for value in (ends.edv, ends.esv, ends.lvef)]
        assert told == [row["edv_ml"], row["esv_ml"], row["lvef_pct"]]


def test_masks_of_real_contours_lie_on_bright_blood_with_muscle_around_it(real, volumes):
    row = volumes[0]
    study = read_study(real / "sunnybrook_cine" / row["patient_id"])
    drawn = sunnybrook.contours(real / "sunnybrook_cine", row["original_id"].replace("-I-1", "-I-01"))
    ed, es = sunnybrook.contour_masks(study, drawn)
    assert (ed.names, es.names) == (("ED",), ("ES",))
    assert ed.structures == ("LV cavity", "LV myocardium") and es.structures == ("LV cavity",)
    assert (ed.drawn.sum(), es.drawn.sum()) == (int(row["n_ed_contours"]), int(row["n_es_contours"]))
    ml = study.cine("SAX").voxel_volume_ml()
    for frames, known in ((ed, row["edv_ml"]), (es, row["esv_ml"])):
        assert frames.mask("LV cavity").sum() * ml == pytest.approx(float(known), rel=0.02)  # whole pixels
    for plane in np.flatnonzero(ed.drawn[:, 0]):
        image = ed.frames()[plane, 0].astype(float)
        blood, muscle = (image[ed.mask(name)[plane, 0]].mean() for name in ed.structures)
        assert blood > 1.2 * muscle
    assert ed.segmentation().mask("LV cavity").sum() == ed.mask("LV cavity").sum()
    with pytest.raises(ReadError, match="read the study anew"):  # frames() above has read the pixels
        sunnybrook.contour_masks(study, drawn)


def test_a_copy_is_found_with_volumes_phases_and_pathology(real):
    found = find_dataset("sunnybrook").look_through(real / "sunnybrook_cine")
    assert [case.name for case in found.cases] == ["SCD0000101", "SCD0000201"] and not found.remarks
    assert found.cases[1].labels["Pathology"] == "Heart failure with infarct"
    assert round(found.cases[1].labels["lvef"], 1) == 25.5 and found.cases[1].labels["ED"] == 20


def test_a_case_without_contours_or_row_is_kept_and_told(real, tmp_path):
    shutil.copytree(real / "sunnybrook_cine" / "SCD0000101", tmp_path / "data" / "SC-HF-I-1")
    found = find_dataset("sunnybrook").look_through(tmp_path / "data")
    assert tally(found.remarks) == {
        "no row in the table of patients: sex, age and pathology are missing": 1,
        "no usable contours: volumes and LVEF are missing": 1,
    }
    skipped = []
    assert list(each_labelled("sunnybrook", tmp_path / "data", skipped)) == []
    assert "no contour of SC-HF-I-1" in skipped[0].detail


@given(
    st.integers(3, 12),
    st.floats(2.0, 7.0),
    st.floats(8.0, 11.0),
    st.floats(8.0, 11.0),
)
def test_filled_pixels_are_near_the_area_of_any_outline(corners, radius, x, y):
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    outline = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], 1)
    mask = fill(outline, 20, 20)
    around = np.linalg.norm(outline - np.roll(outline, 1, 0), axis=1).sum()
    assert abs(mask.sum() - area(outline)) <= 0.5 * around
    assert mask[round(y), round(x)] and not mask[0, 0]


def test_an_outline_on_whole_pixels_counts_from_zero_and_is_cut_at_the_border():
    mask = fill(np.array([[2.5, 4.5], [7.5, 4.5], [7.5, 6.5], [2.5, 6.5]]), 20, 20)
    assert sorted(zip(*np.nonzero(mask), strict=True)) == [(y, x) for y in (5, 6) for x in range(3, 8)]
    assert fill(np.array([[-5.0, -5.0], [3.0, -5.0], [3.0, 3.0], [-5.0, 3.0]]), 20, 20).sum() > 0
    assert not fill(np.array([[30.0, 30.0], [33.0, 30.0], [33.0, 33.0]]), 20, 20).any()


def test_the_end_with_less_inside_is_systole_and_one_end_gives_no_fraction():
    study, numbers = small()
    cine = study.cine("SAX")
    drawn = {2: Contours(SQUARE), 6: Contours(BIG), 8: Contours(SQUARE), 4: Contours(SQUARE / 2)}
    ends = sunnybrook.ends_of(cine, drawn, numbers)
    assert (ends.ed, ends.es) == (1, 3)
    assert ends.edv == pytest.approx((64 + 144) * 0.02) and ends.lvef == pytest.approx(100 * (1 - 80 / 208))
    only = sunnybrook.ends_of(cine, {2: Contours(SQUARE, BIG)}, numbers)
    assert (only.ed, only.es) == (1, None) and np.isnan(only.lvef) and np.isnan(only.esv)
    systole = sunnybrook.contour_masks(study, {2: Contours(SQUARE)}, numbers)
    assert [each.names for each in systole] == [("ES",)]


@pytest.mark.parametrize(
    ("drawn", "match"),
    [
        ({99: Contours(SQUARE)}, "not in the cine"),
        ({1: Contours(SQUARE), 2: Contours(SQUARE), 3: Contours(SQUARE)}, "at 3 phases"),
        ({1: Contours(None, BIG), 2: Contours(SQUARE)}, "epicardium and no endocardium"),
        ({1: Contours(SQUARE, BIG), 2: Contours(BIG)}, "not at end-diastole"),
    ],
)
def test_contours_that_cannot_be_of_this_cine_are_refused(drawn, match):
    study, numbers = small()
    with pytest.raises(ReadError, match=match):
        sunnybrook.contour_masks(study, drawn, numbers)


def test_two_images_of_one_number_and_a_cine_without_spacing_are_refused():
    study, _ = small()
    with pytest.raises(ReadError, match="one number"):
        sunnybrook.contour_masks(study, {1: Contours(SQUARE)}, np.ones((3, 4), int))
    bare = Study((Cine(View.SAX, study.cine("SAX").frames),))
    with pytest.raises(GeometryError, match="spacing"):
        sunnybrook.contour_masks(bare, {1: Contours(SQUARE)}, np.arange(1, 13).reshape(3, 4))


@pytest.mark.parametrize("text", ["1 2\n3 4\n", "a b\n", "1 2 3\n4 5 6\n7 8 9\n", "1 2\nnan 3\n4 5\n", ""])
def test_a_file_that_is_no_outline_is_refused(tmp_path, text):
    path = tmp_path / "IM-0001-0048-icontour-manual.txt"
    path.write_text(text)
    with pytest.raises(ReadError, match=r"outline|contour"):
        read_contour(path)


def test_the_same_contour_in_two_folders_is_refused(real, tmp_path):
    source = real / "sunnybrook_cine" / "contours" / "SC-HF-I-1"
    for name in ("a/SC-HF-I-1", "b/SC-HF-I-01/contours-manual/IRCCI-expert"):
        shutil.copytree(source, tmp_path / name)
    with pytest.raises(ReadError, match="keep one"):
        sunnybrook.contours(tmp_path, "SC-HF-I-1")
    assert len(sunnybrook.contours(tmp_path / "b", "SC-HF-I-1")) == 18


def test_edes_planes_phases_and_fractions_of_the_fifteen(real, volumes):
    patients = {each.id: each for each in sunnybrook.read_edes(real / "sunnybrook_edes")}
    assert len(patients) == 15 and {each.group for each in patients.values()} == {"HF-I", "HF-NI", "HYP", "N"}
    for each in patients.values():
        assert each.ed.shape == each.ed_mask.shape == (len(each.ed_planes), 1, *each.ed.shape[2:])
        assert each.es.shape == each.es_mask.shape and set(each.es_planes) <= set(each.ed_planes)
        assert each.ed.spacing_mm is None and 10 < each.lvef < 80
    for row, name in zip(volumes, ("SC-HF-I-01", "SC-HF-I-02"), strict=True):
        known = patients[name]
        assert (known.ed_phase, known.es_phase) == (int(row["ed_phase"]), int(row["es_phase"]))
        assert known.lvef == pytest.approx(float(row["lvef_pct"]), abs=1.0)  # outlines are inside these masks
    short = patients["SC-HYP-01"]
    assert (short.ed_planes, short.es_planes) == ((2, 3, 4, 5, 6, 7, 8), (2, 3, 4, 5, 6))


def test_edes_images_are_those_of_the_cine(real, volumes):
    cine = read_study(real / "sunnybrook_cine" / volumes[1]["patient_id"]).cine("SAX")
    numbers = sunnybrook.image_numbers(cine)
    patient = next(each for each in sunnybrook.read_edes(real / "sunnybrook_edes") if each.id == "SC-HF-I-02")
    for plane, image in zip(patient.ed_planes, patient.ed.frames[:, 0], strict=True):
        where = np.argwhere(numbers == plane * 20 + patient.ed_phase)[0]
        same = np.corrcoef(cine.frames[tuple(where)].ravel(), image.ravel())[0, 1]
        assert same > 0.99, plane


def png(folder, name, values):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(folder / "images" / name)
    Image.fromarray(np.asarray(values, np.uint8)).save(folder / "masks" / name)


def test_edes_faults_are_told_by_patient(tmp_path):
    half = np.zeros((8, 8))
    half[:4] = 255
    for number, mask in ((1, half), (21, half), (5, half)):
        png(tmp_path, f"SC-N-01-IM-0001-{number:04d}.dcm.png", mask)
    png(tmp_path, "SC-N-02-IM-0001-0001.dcm.png", half)  # one phase only
    png(tmp_path, "SC-N-03-IM-0001-0001.dcm.png", half[:4])  # another shape
    png(tmp_path, "SC-N-03-IM-0001-0009.dcm.png", half)
    found = find_dataset("sunnybrook_edes").look_through(tmp_path)
    assert [case.name for case in found.cases] == ["SC-N-01"] and found.cases[0].labels["lvef"] == 50.0
    assert {remark.case: remark.detail.partition(": ")[2][:30] for remark in found.skipped} == {
        "SC-N-02": "SC-N-02 has images of the phas",
        "SC-N-03": "images and masks of SC-N-03 ha",
    }
    skipped = []
    ((_, frames),) = each_labelled("sunnybrook_edes", tmp_path, skipped)
    assert len(skipped) == 2 and [each.names for each in frames] == [("ED",), ("ES",)]
    with pytest.raises(ReadError, match="images of the phases"):
        read_patient(tmp_path, "SC-N-02", {1: "SC-N-02-IM-0001-0001.dcm.png"})
    (tmp_path / "masks" / "SC-N-01-IM-0001-0001.dcm.png").unlink()
    with pytest.raises(ReadError, match="in images or in masks only"):
        sunnybrook.read_edes(tmp_path)


def test_stills_do_not_go_into_a_store(tmp_path):
    with pytest.raises(InputError, match="no cines"):
        import_dataset("sunnybrook_edes", tmp_path, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_numbers_need_names_that_end_in_one():
    with pytest.raises(ReadError, match="known until pixels are read"):
        sunnybrook.image_numbers(small()[0].cine("SAX"))

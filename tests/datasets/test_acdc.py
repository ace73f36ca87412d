"""ACDC: cines, labels and masks of the publisher's layout; what is missing or contradicts itself is told."""

import json
import math

import nibabel
import numpy as np
import pytest

from cardiolens.datasets import Split, acdc
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import tally
from cardiolens.errors import GeometryError, ReadError
from cardiolens.store import StudyStore

CASE = "training/patient001"


def look(folder):
    return find_dataset("acdc").look_through(folder)


def spoil(folder, old, new):
    path = folder / CASE / "Info.cfg"
    path.write_text(path.read_text().replace(old, new))


def test_cines_labels_and_split_come_in_under_public_names(exports, tmp_path):
    done = import_dataset("acdc", exports["acdc"], tmp_path / "store", workers=1)
    store = StudyStore(tmp_path / "store")
    assert store.keys() == ["acdc_patient001/patient001", "acdc_patient101/patient101"]
    assert done.keys["patient101"] == "acdc_patient101/patient101"
    labels = store.labels()
    for name, key in done.keys.items():
        folder = next(exports["acdc"].glob(f"*/{name}"))
        truth = json.loads((exports["acdc"].parent / "truth" / f"{name}.json").read_text())
        assert labels.loc[key, "Group"] == truth["group"]
        assert labels.loc[key, "ED"] == truth["ed"] + 1 and labels.loc[key, "ES"] == truth["es"] + 1
        voxels = [
            int((np.asarray(nibabel.load(folder / f"{name}_frame{truth[end] + 1:02d}_gt.nii.gz").dataobj) == 3).sum())
            for end in ("ed", "es")
        ]
        assert labels.loc[key, "lvef"] == pytest.approx(100 * (1 - voxels[1] / voxels[0]))
        cine = store.read(key).cine("SAX")
        image = nibabel.load(folder / f"{name}_4d.nii.gz")
        assert labels.loc[key, "edv"] == pytest.approx(
            voxels[0] * np.prod(image.header.get_zooms()[:3]) / 1000, rel=1e-4
        )
        assert sorted(cine.shape) == sorted(image.shape)
        np.testing.assert_array_equal(np.sort(cine.frames, axis=None), np.sort(image.get_fdata(), axis=None))
    split = Split.load(tmp_path / "store" / "splits" / "acdc_official.json")
    assert split["test"] == ("acdc_patient101/patient101",) and len(split["train"]) == 1


def test_masks_lie_on_the_phases_of_the_stored_cine(exports, tmp_path):
    case = exports["acdc"] / CASE
    masks = acdc.masks(case)
    cine = acdc.read_case([str(case / "patient001_4d.nii.gz")], n_frames=8).cine("SAX")
    assert masks.ed.shape == masks.es.shape == (cine.n_slices, *cine.shape[2:])
    assert masks.labels == {1: "RV", 2: "LV myocardium", 3: "LV"}
    truth = json.loads((exports["acdc"].parent / "truth" / "patient001.json").read_text())
    assert (masks.ed_phase, masks.es_phase) == (truth["ed"], truth["es"])
    for mask, phase in ((masks.ed, masks.ed_phase), (masks.es, masks.es_phase)):
        frames = cine.frames[:, phase].astype(float)
        assert frames[mask == acdc.LV].mean() > 1.2 * frames[mask == acdc.MYOCARDIUM].mean()  # blood is brighter
    assert masks.voxel_ml == pytest.approx(cine.voxel_volume_ml())


def test_masks_turn_with_the_planes_of_a_cine_that_is_stored_upside_down(copy_of):
    case = copy_of("acdc") / CASE
    right = acdc.masks(case)
    for path in case.glob("*.nii.gz"):
        image = nibabel.load(path)
        turn = np.diag([1.0, 1.0, -1.0, 1.0])
        turn[2, 3] = image.shape[2] - 1
        nibabel.save(
            nibabel.Nifti1Image(np.asarray(image.dataobj)[:, :, ::-1], image.affine @ turn, image.header), path
        )
    turned = acdc.masks(case)
    np.testing.assert_array_equal(turned.ed, right.ed)
    np.testing.assert_array_equal(turned.es, right.es)


def test_an_empty_cavity_has_no_volume_and_no_fraction():
    empty = np.zeros((2, 4, 4), np.uint8)
    found = acdc.derived(acdc.Masks(empty, empty, 0, 1, 0.5))
    assert all(map(math.isnan, found.values()))
    half = empty.copy()
    half[0, :2] = acdc.LV
    found = acdc.derived(acdc.Masks(half, empty, 0, 1, None))
    assert found["lvef"] == 100.0 and math.isnan(found["edv"])


def test_a_placeholder_orientation_is_dropped_and_spacing_kept(copy_of):
    case = copy_of("acdc") / CASE
    path = case / "patient001_4d.nii.gz"
    image = nibabel.load(path)
    zooms = image.header.get_zooms()
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([*zooms[:3], 1.0]), image.header), path)
    cine = acdc.read_case([str(path)], n_frames=8).cine("SAX")
    assert cine.affine is None and cine.spacing_mm == pytest.approx((zooms[1], zooms[0]))
    assert cine.voxel_volume_ml() == pytest.approx(np.prod(zooms[:3]) / 1000, rel=1e-5)
    assert any("placeholder" in note for note in cine.notes)


@pytest.mark.parametrize(
    ("old", "new"), [("ED: ", "EX: "), ("ES: ", "ES: nine"), ("NbFrame: 8", ""), ("Height: ", "Height: tall ")]
)
def test_a_damaged_info_skips_the_case_and_the_others_come_in(copy_of, old, new):
    folder = copy_of("acdc")
    spoil(folder, old, new)
    found = look(folder)
    assert [remark.case for remark in found.skipped] == ["patient001"] and "Info.cfg" in found.skipped[0].detail
    assert {case.name for case in found.cases} == {"patient101"}


def test_other_frames_than_info_says_are_refused(copy_of, tmp_path):
    folder = copy_of("acdc")
    spoil(folder, "NbFrame: 8", "NbFrame: 30")
    done = import_dataset("acdc", folder, tmp_path / "store", workers=1)
    assert set(done.keys) == {"patient101"}
    assert any("NbFrame 30" in str(record.reason) for record in done.result.records)
    with pytest.raises(GeometryError, match="NbFrame"):
        acdc.masks(folder / CASE)


def test_absent_masks_and_group_leave_labels_missing_and_are_counted(copy_of):
    folder = copy_of("acdc")
    next((folder / CASE).glob("*_gt.nii.gz")).unlink()
    spoil(folder, "Group: ", "Grp: ")
    found = look(folder)
    labels = next(case.labels for case in found.cases if case.name == "patient001")
    assert labels["Group"] is None and math.isnan(labels.get("lvef", math.nan)) and "edv" not in labels
    assert tally(found.remarks) == {
        "no usable masks: volumes and LVEF are missing": 1,
        "no Group in Info.cfg": 1,
    }


def test_a_mask_of_other_labels_is_refused(copy_of):
    case = copy_of("acdc") / CASE
    path = next(case.glob("*_gt.nii.gz"))
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.full(image.shape, 7, np.uint8), image.affine, image.header), path)
    with pytest.raises(ReadError, match="other labels"):
        acdc.masks(case)


def test_a_patient_in_both_parts_is_an_error(copy_of):
    folder = copy_of("acdc")
    (folder / "testing" / "patient101").rename(folder / "testing" / "patient001")
    with pytest.raises(ReadError, match="patient001 in training and in testing"):
        look(folder)


def test_a_folder_of_something_else_shows_the_layout(tmp_path):
    with pytest.raises(ReadError, match=r"Info\.cfg"):
        look(tmp_path)
    (tmp_path / "acdc.zip").write_bytes(b"")
    with pytest.raises(ReadError, match=r"unpack acdc\.zip"):
        look(tmp_path)

"""Masks as NIfTI: read by nibabel alone, they lie on the images in the file and in the patient."""

import gzip

import nibabel
import numpy as np
import pytest

from cardiolens.io.masks import encode_masks
from cardiolens.io.nifti import read_nifti
from cardiolens.measures import correct
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine
from drawn_phantom import phantom, truth

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def drawn():
    cine = phantom().cine("SAX")
    return Segmentation(cine, truth(cine), source="oracle")


def written(segmentation, folder):
    path = folder / f"mask_{segmentation.view}.nii.gz"
    path.write_bytes(encode_masks(segmentation))
    return path, nibabel.load(path)


def test_a_voxel_lies_where_its_pixel_lies_in_the_patient(drawn, tmp_path):
    _, image = written(drawn, tmp_path)
    data = np.asanyarray(image.dataobj)
    assert (data.dtype, data.shape) == (np.uint8, (*drawn.cine.shape[:1:-1], *drawn.cine.shape[:2]))
    for plane, phase, row, col in np.argwhere(drawn.labels == 3)[::997]:
        assert data[col, row, plane, phase] == 3
        there = LPS_TO_RAS @ drawn.cine.affine @ [col, row, plane, 1]
        np.testing.assert_allclose(image.affine @ [col, row, plane, 1], there, atol=1e-4)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header.get_zooms()[3] == pytest.approx(np.diff(drawn.cine.trigger_times_ms).mean() / 1000, rel=0.01)


def test_the_same_labels_give_the_same_bytes(drawn):
    assert encode_masks(drawn) == encode_masks(drawn)


def test_a_file_written_is_a_correction_that_changes_nothing(drawn, tmp_path):
    path, _ = written(drawn, tmp_path)
    empty = Segmentation(drawn.cine, np.zeros_like(drawn.labels))
    np.testing.assert_array_equal(correct(empty, path).labels, drawn.labels)


@pytest.mark.parametrize("reverse", [False, True], ids=["as scanned", "in reverse order"])
def test_masks_of_a_nifti_cine_lie_on_its_file_voxel_by_voxel(drawn, tmp_path, reverse):
    frames = np.transpose(drawn.cine.frames, (3, 2, 0, 1)).astype(np.int16)
    affine = LPS_TO_RAS @ drawn.cine.affine
    if reverse:
        frames, affine = frames[:, :, ::-1], affine @ reverse_slices(drawn.cine.n_slices)
    nibabel.save(nibabel.Nifti1Image(frames, affine), tmp_path / "cine_SAX.nii.gz")
    cine = read_nifti(str(tmp_path / "cine_SAX.nii.gz"))
    labels = (cine.frames > np.percentile(cine.frames, 90)).astype(np.uint8)
    _, image = written(Segmentation(cine, labels), tmp_path)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), frames > np.percentile(frames, 90))
    np.testing.assert_allclose(image.affine, affine, atol=1e-3)


def reverse_slices(slices):
    turn = np.eye(4)
    turn[2, 2], turn[2, 3] = -1, slices - 1
    return turn


def test_a_cine_without_geometry_gets_a_file_that_claims_none(drawn, tmp_path):
    bare = Cine("SAX", drawn.cine.frames)
    path, image = written(Segmentation(bare, drawn.labels), tmp_path)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
    read = read_nifti(str(path))
    assert (read.spacing_mm, read.affine) == (None, None)
    np.testing.assert_array_equal(read.frames, drawn.labels)


def test_spacing_without_a_place_in_the_patient_is_kept(drawn, tmp_path):
    cine = Cine("SAX", drawn.cine.frames, spacing_mm=(1.5, 2.0), slice_positions_mm=drawn.cine.slice_positions_mm)
    path, _ = written(Segmentation(cine, drawn.labels), tmp_path)
    assert gzip.decompress(path.read_bytes())[:4] == (348).to_bytes(4, "little")
    assert read_nifti(str(path)).spacing_mm == pytest.approx((1.5, 2.0))

"""NIfTI in: axes, geometry, views, refusals."""

import gzip
import pickle

import nibabel
import numpy as np
import pytest

from cardiolens.errors import NoCineError, ReadError
from cardiolens.io.nifti import read_label_map, read_nifti, read_still
from cardiolens.reading import read_studies, read_study
from cardiolens.study import View


def write(path, affine=None, shape=(6, 5, 3, 10), zooms=None, units=("mm", "sec"), code=1, dt=0.08, dtype=np.int16):
    """A file whose voxel (x, y, z, t) holds 1000 z + 100 t + 10 y + x."""
    x, y, z, t = np.indices(shape)
    affine = np.diag([1.25, 1.5, 8.0, 1.0]) if affine is None else affine
    image = nibabel.Nifti1Image((1000 * z + 100 * t + 10 * y + x).astype(dtype), affine)
    image.header.set_xyzt_units(*units)
    image.header.set_zooms((*(zooms or image.header.get_zooms()[:3]), dt))
    image.set_sform(affine, code=code)
    image.set_qform(affine if code else None, code=code)
    nibabel.save(image, path)
    return path


def test_axes_become_slice_time_row_col(tmp_path):
    cine = read_study(write(tmp_path / "sax.nii.gz"), view="SAX").cine("SAX")
    assert cine.shape == (3, 10, 5, 6)
    assert cine.frames.dtype == np.int16
    z_of_first = cine.frames[0, 0, 0, 0] // 1000
    assert z_of_first in (0, 2)
    assert cine.frames[1, 4, 3, 2] == 1000 + 400 + 30 + 2


@pytest.mark.parametrize("sign", [1, -1])
def test_voxels_keep_their_place_in_the_patient(tmp_path, sign):
    """The same point by the file's own RAS affine and by the cine's LPS affine."""
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = q * [1.25, 1.5, sign * 8.0]
    affine[:3, 3] = [10, -20, 30]
    cine = read_study(write(tmp_path / "a.nii", affine), view=View.SAX).cine("SAX")
    assert cine.spacing_mm == pytest.approx((1.5, 1.25), rel=1e-5)
    assert (np.diff(cine.slice_positions_mm) > 0).all()
    for s in range(3):
        z = cine.frames[s, 0, 0, 0] // 1000
        lps = cine.affine @ [2, 3, s, 1]
        ras = affine @ [2, 3, z, 1]
        np.testing.assert_allclose(lps[:3], ras[:3] * [-1, -1, 1], atol=1e-4)


def test_times_come_from_the_interval_when_the_unit_is_known(tmp_path):
    cine = read_study(write(tmp_path / "a.nii"), view="4CH").cine("4CH")
    np.testing.assert_allclose(cine.trigger_times_ms[2], np.arange(10) * 80.0, rtol=1e-5)
    unknown = read_study(write(tmp_path / "b.nii", units=("mm", "unknown")), view="4CH").cine("4CH")
    assert unknown.trigger_times_ms is None


def test_identity_without_units_is_no_geometry(tmp_path, caplog):
    cine = read_study(write(tmp_path / "a.nii", np.eye(4), units=("unknown", "unknown")), view="SAX").cine("SAX")
    assert (cine.spacing_mm, cine.affine, cine.slice_positions_mm) == (None, None, None)
    assert any("no geometry" in note for note in cine.notes)
    assert "no geometry" in caplog.text


def test_spacing_without_a_form_code_is_kept_without_a_place(tmp_path):
    cine = read_study(write(tmp_path / "a.nii", zooms=(1.25, 1.5, 8.0), code=0), view="SAX").cine("SAX")
    assert cine.spacing_mm == (1.5, 1.25)
    assert cine.affine is None
    assert cine.voxel_volume_ml() == pytest.approx(0.015)


def test_lazy_frames_travel(tmp_path):
    cine = read_study(write(tmp_path / "a.nii"), view="SAX").cine("SAX")
    again = pickle.loads(pickle.dumps(cine))  # noqa: S301 - our own object
    np.testing.assert_array_equal(again.frames, cine.frames)


def test_a_folder_of_views_is_one_study(tmp_path):
    for name in ("patient_SAX.nii.gz", "patient_LAX_2CH.nii.gz", "patient_LAX_4CH.nii.gz", "label_SAX.nii.gz"):
        write(tmp_path / name)
    study = read_study(tmp_path)
    assert study.views == (View.SAX, View.CH2, View.CH4)
    (refusal,) = study.refused
    assert "label map" in refusal.reason


def test_two_folders_are_two_studies(tmp_path):
    for patient in "ab":
        (tmp_path / patient).mkdir()
        write(tmp_path / patient / "SAX.nii.gz")
        write(tmp_path / patient / "2CH.nii.gz")
    assert len(list(read_studies(tmp_path))) == 2
    with pytest.raises(ReadError, match="2 studies"):
        read_study(tmp_path)


def test_a_name_that_tells_no_view_asks_for_it(tmp_path):
    with pytest.raises(ReadError, match="pass view="):
        read_study(write(tmp_path / "image.nii"))


def test_three_axes_are_no_cine(tmp_path):
    path = tmp_path / "SAX.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 3), np.int16), np.eye(4)), path)
    with pytest.raises(ReadError, match="four axes"):
        read_study(path)


def test_damage_is_named(tmp_path):
    path = write(tmp_path / "SAX.nii.gz", shape=(40, 40, 3, 10))
    whole = path.read_bytes()
    path.write_bytes(b"not nifti")
    with pytest.raises(ReadError, match=r"SAX\.nii\.gz"):
        read_study(path)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:9000]))
    cine = read_study(path, view="SAX").cine("SAX")
    with pytest.raises(ReadError, match="truncated"):
        _ = cine.frames


def test_a_folder_with_no_usable_file_says_why(tmp_path):
    write(tmp_path / "x.nii")
    write(tmp_path / "y.nii")
    with pytest.raises(NoCineError, match=r"x\.nii[\s\S]*y\.nii"):
        read_study(tmp_path)


def test_a_still_has_one_phase_and_a_label_map_may_run_over_time(tmp_path):
    values = np.arange(3 * 4 * 2).reshape(3, 4, 2).astype(np.int16)
    affine = np.diag([1.5, 2.0, -8.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "still.nii.gz")
    still = read_still(str(tmp_path / "still.nii.gz"), View.SAX)
    assert still.shape == (2, 1, 4, 3)
    labels = read_label_map(str(tmp_path / "still.nii.gz"), str(tmp_path / "still.nii.gz"))
    np.testing.assert_array_equal(labels, still.frames[:, 0])
    over_time = np.stack([values, values + 100], axis=-1)
    nibabel.save(nibabel.Nifti1Image(over_time, affine), tmp_path / "cine.nii.gz")
    cine = read_nifti(str(tmp_path / "cine.nii.gz"), View.SAX)
    found = read_label_map(str(tmp_path / "cine.nii.gz"), str(tmp_path / "cine.nii.gz"))
    np.testing.assert_array_equal(found, cine.frames)
    with pytest.raises(ReadError, match="a still needs"):
        read_still(str(tmp_path / "cine.nii.gz"), View.SAX)
    (tmp_path / "cut.nii.gz").write_bytes((tmp_path / "cine.nii.gz").read_bytes()[:60])
    with pytest.raises(ReadError, match="not a readable NIfTI"):
        read_still(str(tmp_path / "cut.nii.gz"), View.SAX)

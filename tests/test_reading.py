"""The one door: what it takes, what it refuses, and the real scans it must read."""

import shutil
import time

import numpy as np
import pytest

from cardiolens.errors import NoCineError, ReadError
from cardiolens.reading import read_studies, read_study
from cardiolens.study import View


def test_an_empty_folder_is_one_clear_message(tmp_path):
    with pytest.raises(ReadError, match=r"no DICOM images and no NIfTI here \(it is empty\)"):
        read_study(tmp_path)


def test_no_path_is_refused():
    with pytest.raises(ReadError, match="no path"):
        read_study([])


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(ReadError, match="1 files ignored: not DICOM"):
        read_study(tmp_path / "a.txt")


@pytest.mark.parametrize(("name", "planes"), [("SCD0000101", 12), ("SCD0000201", 13)])
def test_sunnybrook_cine_reads_as_a_short_axis_stack(shared_data, name, planes):
    start = time.process_time()
    study = read_study(shared_data / "real" / "sunnybrook_cine" / name)
    assert time.process_time() - start < 10
    assert study.views == (View.SAX,)
    cine = study.cine("SAX")
    assert cine.shape == (planes, 20, 256, 256)
    assert cine.spacing_mm == pytest.approx((1.367188, 1.367188))
    np.testing.assert_allclose(np.diff(cine.slice_positions_mm).mean(), 10.0, atol=0.01)
    assert (np.diff(cine.trigger_times_ms, axis=1) > 0).all()
    assert cine.frames.dtype == np.int16
    assert cine.frames.max() > 500
    assert study.patient == name
    assert (study.sex, study.age) == (None, None)


def test_real_localizer_is_refused_beside_the_cine_it_shares_its_uid_with(shared_data):
    cine, scout = (shared_data / "real" / p for p in ("sunnybrook_cine/SCD0000101", "localizer"))
    study = read_study([cine, scout])
    assert study.views == (View.SAX,)
    (refusal,) = study.refused
    assert "localizer" in refusal.reason
    assert refusal.n_files == 15
    with pytest.raises(NoCineError, match="localizer"):
        read_study(scout)
    (alone,) = read_studies(scout)
    assert alone.cines == ()


def test_real_cine_survives_truncated_duplicated_and_renamed_files(shared_data, tmp_path):
    whole = shared_data / "real" / "sunnybrook_cine" / "SCD0000101"
    shutil.copytree(whole, tmp_path / "scan")
    files = sorted((tmp_path / "scan").iterdir())
    for path in files[::10]:
        path.write_bytes(path.read_bytes()[:60_000])
    shutil.copy(files[1], tmp_path / "scan" / "copy of 1")
    shutil.copy(files[2], tmp_path / "scan" / "another")
    files[3].rename(tmp_path / "scan" / "renamed.txt")
    study = read_study(tmp_path)
    cine, full = study.cine("SAX"), read_study(whole).cine("SAX")
    assert cine.shape == full.shape
    assert any(note.startswith("24 damaged files left out") for note in study.notes)
    assert any(note.startswith("2 duplicate files left out") for note in study.notes)
    assert sum("resampled linearly in time" in note for note in cine.notes) >= 10
    np.testing.assert_allclose(cine.trigger_times_ms, full.trigger_times_ms, atol=0.5)
    same = (cine.frames == full.frames).mean(axis=(2, 3)) > 0.999
    assert same.sum() == 240 - 24  # every whole image is where it was
    error = np.abs(cine.frames.astype(float) - full.frames)[~same].mean() / full.frames.mean()
    assert error < 0.15  # the others are interpolated

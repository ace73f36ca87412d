"""`cardiolens segment`: what it writes, what it says, and how it ends."""

import csv
import json

import av
import nibabel
import numpy as np
import pytest

import cardiolens.segmenter.bundle
from cardiolens.cli import main
from cardiolens.dicom.read import series_table
from cardiolens.phantom import write_dicom
from cardiolens.segmentation import STRUCTURES
from drawn_phantom import PHASES, Oracle, phantom

SECRETS = ("P1-Quillfeather", "ACC-0815")


@pytest.fixture(autouse=True)
def oracle(monkeypatch):
    """The phantom's truth in place of the bundled model."""
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")
    monkeypatch.setattr(cardiolens.segmenter.bundle, "load_segmenter", lambda weights="phantom", **_: Oracle())


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan") / "in"
    write_dicom(phantom(), folder, style="ge", patient_id=SECRETS[0], accession=SECRETS[1])
    return folder


@pytest.fixture(scope="module")
def whole(scan, tmp_path_factory):
    """Everything written once."""
    out = tmp_path_factory.mktemp("whole") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")
        patch.setattr(cardiolens.segmenter.bundle, "load_segmenter", lambda weights="phantom", **_: Oracle())
        assert run(scan, "--out", out) == 0
    return out


def run(*arguments):
    """Exit code of a call."""
    try:
        main(["segment", *map(str, arguments)])
    except SystemExit as end:
        return end.code or 0
    return 0


def table(out):
    return json.loads((out / "measures.json").read_text())


def quick(scan, out, *more):
    return run(scan, "--out", out, "--no-dicom-seg", "--no-video", "--only", "SAX", *more)


def test_a_dicom_study_gives_every_kind_of_file(whole):
    fields = table(whole)
    names = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
    assert sorted(fields["files"]) == names
    seg = [f"seg/{view}_phase_{phase:02d}.dcm" for view in ("SAX", "4CH") for phase in range(1, PHASES + 1)]
    others = [f"{stem}_{view}{end}" for view in ("SAX", "4CH") for stem, end in KINDS]
    assert set(names) == {*seg, *others, "measures.csv", "measures.json", "report.html", "volume_curve.png"}
    assert fields["finished"] is True
    assert "not a medical device" in fields["what"]


KINDS = (("mask", ".nii.gz"), ("mask", ".json"), ("contours", ".mp4"))


def test_masks_json_and_table_agree_with_each_other(whole):
    fields, labels = table(whole), np.asanyarray(nibabel.load(whole / "mask_SAX.nii.gz").dataobj)
    side = json.loads((whole / "mask_SAX.json").read_text())
    assert side["labels"] == {"background": 0, **STRUCTURES}
    (row,) = csv.DictReader((whole / "measures.csv").open(newline=""))
    assert float(row["lv_edv_ml"]) == pytest.approx(fields["measures"]["lv_edv_ml"], abs=1e-3)
    assert row["study"] == fields["study"]
    counts = (labels == 1).sum((0, 1, 2))
    assert fields["phases_from_1"] == {"ed": int(counts.argmax()) + 1, "es": int(counts.argmin()) + 1}
    assert row["es_phase_from_1"] == str(fields["phases_from_1"]["es"])


def test_the_video_shows_every_phase_at_least_once(whole):
    with av.open(str(whole / "contours_SAX.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) % PHASES == 0
    red = np.array([((f[..., 0] > 150) & (f[..., 1] < 110) & (f[..., 2] < 110)).sum() for f in frames[:PHASES]])
    assert red.min() > 50  # the line of the LV cavity
    assert red.max() > 1.15 * red.min()  # it moves


def test_only_the_seg_files_carry_the_patient(whole):
    for path in whole.rglob("*"):
        if path.is_file():
            held = path.name.encode() + path.read_bytes()
            assert any(secret.encode() in held for secret in SECRETS) == (path.suffix == ".dcm"), path


def test_seg_files_beside_the_images_do_not_become_cines(whole, scan, tmp_path):
    for number, path in enumerate([*(whole / "seg").iterdir(), *(p for p in scan.rglob("*") if p.is_file())]):
        (tmp_path / str(number)).write_bytes(path.read_bytes())
    views = [finding.view for finding in series_table(str(tmp_path)) if finding.view is not None]
    assert sorted(map(str, views)) == ["4CH", "SAX"]


def test_a_correction_is_measured_recorded_and_keeps_what_the_model_drew(scan, tmp_path, capsys):
    out = tmp_path / "out"
    assert quick(scan, out) == 0
    first = table(out)
    image = nibabel.load(out / "mask_SAX.nii.gz")
    model = np.asanyarray(image.dataobj).copy()
    labels = model.copy()
    labels[..., 3][labels[..., 3] == 1] = 2
    nibabel.save(nibabel.Nifti1Image(labels, image.affine, image.header), tmp_path / "mine_SAX.nii.gz")
    assert quick(scan, out, "--corrected", tmp_path / "mine_SAX.nii.gz", "--phase-ed", 2) == 0
    second = table(out)
    assert "a person changed" in capsys.readouterr().out
    assert [change["what"] for change in second["changes"]] == ["contours", "ed_phase"]
    assert second["changes"][0]["phases_from_1"] == [4]
    assert second["phases_from_1"]["ed"] == 2
    assert second["before_changes"]["lv_edv_ml"] == first["measures"]["lv_edv_ml"]
    assert second["measures"]["lv_edv_ml"] != first["measures"]["lv_edv_ml"]
    np.testing.assert_array_equal(np.asanyarray(nibabel.load(out / "mask_SAX.nii.gz").dataobj), labels)
    np.testing.assert_array_equal(np.asanyarray(nibabel.load(out / "model_SAX.nii.gz").dataobj), model)
    assert "Changed by a person" in (out / "report.html").read_text()


def test_a_folder_written_anew_keeps_no_file_of_the_call_before(scan, tmp_path):
    out = tmp_path / "out"
    assert run(scan, "--out", out, "--no-dicom-seg", "--no-video") == 0
    (out / "mine.txt").write_text("notes of the reader")
    assert quick(scan, out) == 0
    assert not (out / "mask_4CH.nii.gz").exists()
    assert (out / "mine.txt").exists()


def test_a_call_that_was_stopped_can_be_made_again(scan, tmp_path, monkeypatch):
    out = tmp_path / "out"

    class Stopped(Oracle):
        def __call__(self, *_, **__):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cardiolens.segmenter.bundle, "load_segmenter", lambda weights="phantom", **_: Stopped())
        assert quick(scan, out) == 130
    assert table(out)["finished"] is False
    assert quick(scan, out) == 0
    assert table(out)["finished"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "5CH"], "no such view"),
        (["--only", "2CH"], "no 2CH in this study"),
        (["--phase-es", "99"], "has 9 phases, counted from 1"),
        (["--corrected", "absent_SAX.nii.gz"], "no such mask file"),
    ],
)
def test_what_cannot_be_done_is_named_and_ends_with_1(scan, tmp_path, capsys, arguments, words):
    assert run(scan, "--out", tmp_path / "out", *arguments) == 1
    assert words in capsys.readouterr().err


def test_a_folder_of_something_else_is_left_alone(scan, tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("mine")
    assert quick(scan, tmp_path) == 1
    assert "is not empty and holds no contours" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_nifti_cine_gives_masks_and_says_why_no_seg(tmp_path, capsys):
    cine = phantom().cine("SAX")
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ cine.affine
    image = nibabel.Nifti1Image(np.transpose(cine.frames, (3, 2, 0, 1)).astype(np.int16), affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], float(np.diff(cine.trigger_times_ms).mean()) / 1000))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "scan_SAX.nii.gz")
    assert run(tmp_path / "scan_SAX.nii.gz", "--out", tmp_path / "out", "--no-video") == 0
    assert "no DICOM SEG, since the images did not come as DICOM" in capsys.readouterr().err
    assert not (tmp_path / "out" / "seg").exists()
    assert table(tmp_path / "out")["study"].startswith("unknown_content/")

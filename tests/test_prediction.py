"""Many studies through one model: tables, pages, failures, and going on after a stop."""

import csv
import hashlib
import json
import math
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cardiolens import prediction
from cardiolens.errors import CheckpointError, ReadError
from cardiolens.hub import load_model
from cardiolens.inference import Predictor
from cardiolens.prediction import FIELDS, predict
from cardiolens.store import StudyStore
from synthetic_studies import beating, beating_study, save_predictor

sys.path.insert(0, str(Path(__file__).parent / "dicom"))
from dicom_factory import image, save


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")


@pytest.fixture(scope="module")
def model(predictor_folder):
    return load_model(predictor_folder)


@pytest.fixture
def store(tmp_path):
    """Three studies."""
    made = StudyStore(tmp_path / "store", mode="a")
    for i in range(3):
        made.write(beating_study(300 + i, sax=1, patient=f"p{i}", accession=f"a{i}"), key=f"site_p{i}/a{i}")
    return made.path


def dicom(folder: Path, seed: int = 1, **tags) -> Path:
    """A SAX cine of one study as DICOM files."""
    frames = beating(np.random.default_rng(seed), planes=3, phases=12, side=64).astype(np.int16)
    images = [
        image(plane, phase, n_phases=12, array=frames[plane, phase], **tags)
        for plane in range(len(frames))
        for phase in range(frames.shape[1])
    ]
    save(images, folder)
    return folder


def table(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(out: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()}


@pytest.fixture
def counted(monkeypatch):
    """The keys of the studies that are computed, in order."""
    seen = []
    real = prediction._one

    def one(predictor, study, key, digest, out):
        seen.append(key)
        return real(predictor, study, key, digest, out)

    monkeypatch.setattr(prediction, "_one", one)
    return seen


# What comes out ------------------------------------------------------------------------------------------------------


def test_a_store_gives_a_row_and_a_page_a_study(store, model, tmp_path):
    steps = []
    run = predict([store], model, tmp_path / "out", progress=lambda *step: steps.append(step))
    assert [row["key"] for row in run.rows] == ["site_p0/a0", "site_p1/a1", "site_p2/a2"]
    assert (run.failed, run.reused) == ((), 0)
    assert sorted(content(tmp_path / "out")) == [
        "predictions.csv",
        "predictions.json",
        *(f"site_p{i}__a{i}.html" for i in range(3)),
    ]
    assert steps[0] == ("site_p0/a0", 0, 3)
    assert steps[-1] == ("", 3, 3)


def test_rows_hold_what_the_predictor_says(store, model, tmp_path):
    run = predict([store], model, tmp_path / "out")
    expected = Predictor(model)(StudyStore(store).read("site_p1/a1"))
    row = run.rows[1]
    assert tuple(row) == FIELDS
    assert row["lvef"] == pytest.approx(expected.lvef_pct, abs=1e-3)
    assert (row["lvef_low"], row["coverage"]) == (pytest.approx(expected.interval.low, abs=1e-3), 0.9)
    assert row["out_of_domain"] is expected.out_of_domain
    assert row["attention_2CH"] == pytest.approx(expected.view_attention["2CH"], abs=1e-3)
    assert (row["attention_3CH"], row["planes"]) == (0.0, "SAX:1 2CH:1 4CH:1")
    assert row["study_sha256"] == expected.provenance["study_sha256"]
    page = (tmp_path / "out" / row["page"]).read_text(encoding="utf-8")
    assert "site_p1/a1" in page
    assert row["study_sha256"] in page


def test_csv_and_json_agree(store, model, tmp_path):
    predict([store], model, tmp_path / "out")
    fields = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert fields["weights_sha256"] == model.card.sha256
    assert fields["failed"] == []
    rows = table(tmp_path / "out")
    assert len(rows) == len(fields["studies"]) == 3
    for text, row in zip(rows, fields["studies"], strict=True):
        assert list(text) == list(row) == list(FIELDS)
        assert text == {name: "" if value is None else str(value) for name, value in row.items()}


def test_a_model_without_interval_or_reference_leaves_these_cells_empty(store, tmp_path):
    model = load_model(save_predictor(tmp_path / "bare", domain=False))
    del model.card.tasks["lvef"]["conformal"]
    predict([store], model, tmp_path / "out")
    row = table(tmp_path / "out")[0]
    assert [row[name] for name in ("lvef_low", "lvef_high", "coverage", "out_of_domain", "domain_score")] == [""] * 5
    assert math.isfinite(float(row["lvef"]))


def test_one_file_of_a_store_is_one_study(store, model, tmp_path):
    run = predict([store / "site_p2" / "a2.h5"], model, tmp_path / "out")
    assert [row["key"] for row in run.rows] == ["site_p2/a2"]


# DICOM, identifiers --------------------------------------------------------------------------------------------------

SECRETS = ("Quillfeather", "Jane", "MRN-4711", "ACC-0815", "19700102")


def test_a_dicom_folder_is_read_and_no_identifier_is_written(model, tmp_path):
    source = dicom(
        tmp_path / "in",
        PatientName="Quillfeather^Jane",
        PatientID="MRN-4711",
        AccessionNumber="ACC-0815",
        PatientBirthDate="19700102",
        SeriesDescription="cine SAX MRN-4711",
    )
    run = predict([source], model, tmp_path / "out")
    (row,) = run.rows
    assert row["planes"] == "SAX:3"
    for path in (tmp_path / "out").iterdir():
        written = path.name + path.read_text(encoding="utf-8")
        assert not [secret for secret in SECRETS if secret.lower() in written.lower()], path


def test_two_examinations_in_one_folder_are_two_rows(model, tmp_path):
    dicom(tmp_path / "in" / "a", 1, StudyInstanceUID="1.2.3.4.5.6.1", AccessionNumber="A1", SeriesInstanceUID="1.2.1")
    dicom(tmp_path / "in" / "b", 2, StudyInstanceUID="1.2.3.4.5.6.2", AccessionNumber="A2", SeriesInstanceUID="1.2.2")
    run = predict([tmp_path / "in"], model, tmp_path / "out")
    assert len({row["key"] for row in run.rows}) == 2
    assert len({row["key"].split("/")[0] for row in run.rows}) == 1  # of one patient


def test_two_sources_of_one_examination_are_kept_apart(model, tmp_path):
    first, second = dicom(tmp_path / "first", 1), dicom(tmp_path / "second", 2)
    run = predict([first, second], model, tmp_path / "out")
    keys = [row["key"] for row in run.rows]
    assert keys[1] == keys[0] + "-part2"
    assert run.rows[0]["study_sha256"] != run.rows[1]["study_sha256"]
    assert len(list((tmp_path / "out").glob("*.html"))) == 2
    again = predict([first, second], model, tmp_path / "out")
    assert (again.reused, [row["key"] for row in again.rows]) == (2, keys)


def test_input_without_any_identifier_goes_by_its_content(model, tmp_path):
    frames = beating(np.random.default_rng(3), planes=3, side=48)
    volume = nibabel.Nifti1Image(np.ascontiguousarray(frames.transpose(3, 2, 0, 1)), np.diag([1.5, 1.5, 8.0, 1.0]))
    nibabel.save(volume, tmp_path / "sa.nii.gz")
    (row,) = predict([tmp_path / "sa.nii.gz"], model, tmp_path / "out").rows
    assert row["key"] == "unknown_content/" + row["study_sha256"][:16]
    assert row["planes"] == "SAX:3"


# Going on ------------------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(store, model, tmp_path, counted):
    predict([store], model, tmp_path / "out")
    before = content(tmp_path / "out")
    run = predict([store], model, tmp_path / "out")
    assert run.reused == 3
    assert counted == ["site_p0/a0", "site_p1/a1", "site_p2/a2"]
    assert content(tmp_path / "out") == before


def test_a_changed_study_and_a_lost_page_are_done_again(store, model, tmp_path, counted):
    predict([store], model, tmp_path / "out")
    (store / "site_p0" / "a0.h5").unlink()
    StudyStore(store, mode="a").write(beating_study(900, sax=1, patient="p0", accession="a0"), key="site_p0/a0")
    (tmp_path / "out" / "site_p2__a2.html").unlink()
    counted.clear()
    assert predict([store], model, tmp_path / "out").reused == 1
    assert counted == ["site_p0/a0", "site_p2/a2"]


def test_stopped_in_the_middle_it_keeps_the_rows_and_goes_on(store, model, tmp_path, monkeypatch):
    real = prediction._one

    def stop(predictor, study, key, digest, out):
        if key == "site_p1/a1":
            raise KeyboardInterrupt
        return real(predictor, study, key, digest, out)

    with monkeypatch.context() as patched:
        patched.setattr(prediction, "_one", stop)
        with pytest.raises(KeyboardInterrupt):
            predict([store], model, tmp_path / "out")
    assert [row["key"] for row in table(tmp_path / "out")] == ["site_p0/a0"]
    run = predict([store], model, tmp_path / "out")
    assert (run.reused, len(table(tmp_path / "out"))) == (1, 3)


def test_predictions_of_another_model_are_not_mixed(store, model, tmp_path):
    predict([store], model, tmp_path / "out")
    other = load_model(save_predictor(tmp_path / "other", seed=1, domain=False))
    before = content(tmp_path / "out")
    with pytest.raises(CheckpointError, match="another model"):
        predict([store], other, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_folder_of_other_things_is_left_alone(store, model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ReadError, match="not empty"):
        predict([store], model, tmp_path / "out")
    assert list(content(tmp_path / "out")) == ["thesis.txt"]
    (tmp_path / "out" / "predictions.json").write_text("[1, 2]")
    with pytest.raises(ReadError, match="not a table of predictions"):
        predict([store], model, tmp_path / "out")


# Failures ------------------------------------------------------------------------------------------------------------


def test_a_damaged_study_is_listed_and_the_others_go_on(store, model, tmp_path):
    (store / "site_p1" / "a1.h5").write_bytes(b"no study")
    run = predict([store], model, tmp_path / "out")
    assert [row["key"] for row in run.rows] == ["site_p0/a0", "site_p2/a2"]
    (one,) = run.failed
    assert one.where == one.study == "site_p1/a1"
    fields = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert fields["failed"] == [{"study": "site_p1/a1", "reason": one.told}]
    assert "damaged" in one.told or "HDF5" in one.told


def test_a_source_named_after_a_patient_leaves_no_name_behind(store, model, tmp_path):
    source = tmp_path / "Doe_Jane"
    source.mkdir()
    (source / "Doe_Jane_sax.dcm").write_bytes(b"no dicom")
    run = predict([store, source], model, tmp_path / "out")
    (one,) = run.failed
    assert "Doe_Jane" in one.where
    assert not any(b"doe_jane" in file.read_bytes().lower() for file in (tmp_path / "out").rglob("*"))


def test_a_dicom_study_without_a_cine_fails_under_its_pseudonym(store, model, tmp_path):
    save([image(0, 0, SeriesDescription="localizer", PatientID="MRN-4711")], tmp_path / "scout")
    run = predict([store, tmp_path / "scout"], model, tmp_path / "out")
    (one,) = run.failed
    assert "no cine" in one.why
    assert "MRN-4711" not in one.where + one.why + one.study
    assert len(run.rows) == 3


def test_nothing_to_read_is_an_error(model, tmp_path):
    with pytest.raises(ReadError, match="nothing of that name"):
        predict([tmp_path / "nowhere"], model, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="no study could be predicted"):
        predict([tmp_path / "empty"], model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_real_scan_is_read_whole_and_names_nobody(shared_data, model, tmp_path):
    source = next(path for path in sorted((shared_data / "real" / "sunnybrook_cine").iterdir()) if path.is_dir())
    run = predict([source], model, tmp_path / "out")
    (row,) = run.rows
    assert run.failed == ()
    assert row["planes"].startswith("SAX:")
    assert 0 <= row["lvef_low"] <= row["lvef"] <= row["lvef_high"] <= 100
    assert row["out_of_domain"] is True  # beating discs are what this model knows
    for path in (tmp_path / "out").iterdir():
        assert path.stat().st_size < 6_000_000
        assert source.name.lower() not in (path.name + path.read_text(encoding="utf-8")).lower()

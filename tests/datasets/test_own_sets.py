"""Clinical archives and external sets: reports and labels matched to studies, what does not fit listed."""

import json
import math
import shutil
import zipfile

import pytest

from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import Options, tally
from cardiolens.errors import InputError, ReadError, ReportError
from cardiolens.store import StudyStore


@pytest.fixture
def archive(exports, tmp_path):
    """Three DICOM studies in folders; patient, accession and folder are the case numbers 1, 2 and 501."""
    top = tmp_path / "archive"
    for split, case in (("train", "1"), ("train", "2"), ("validate", "501")):
        shutil.copytree(exports["kaggle"] / split / split / case / "study", top / f"study_{case}")
    return top


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_clinical_brings_reports_in_and_lists_what_has_no_partner(archive, tmp_path):
    reports = table(tmp_path, "accession;report\n1;LVEF 50 %.\n501;Normal.\n777;Lost.\n")
    found = find_dataset("clinical").look_through(archive, Options(reports=reports))
    assert tally(found.remarks) == {"a report for no study": 1, "a study without a report": 1}
    assert {remark.case for remark in found.remarks} == {"777", "2"}
    done = import_dataset("clinical", archive, tmp_path / "store", Options(reports=reports), site="Ward 7", workers=1)
    store = StudyStore(tmp_path / "store")
    texts = {name.split()[0]: store.report(key) for name, key in done.keys.items()}
    assert texts == {"1": "LVEF 50 %.", "2": None, "501": "Normal."}
    assert all(key.startswith("ward-7_") for key in store)
    summary = (tmp_path / "store" / "datasets" / "clinical.json").read_text()
    assert json.loads(summary)["remarks"] == tally(found.remarks) and "777" not in summary


@pytest.mark.parametrize("column", ["accession", "patient", "study"])
def test_external_labels_are_matched_by_any_of_three_columns(archive, tmp_path, column):
    names = {"1": "1", "2": "2", "501": "501"} if column != "study" else {c: f"study_{c}" for c in ("1", "2", "501")}
    rows = [(names["1"], "48.5", "1", "mild"), (names["2"], "NA", "0", ""), (names["501"], "0", "", "none seen")]
    text = f"{column},LVEF,HCM,grade\n" + "".join(",".join(row) + "\n" for row in rows)
    found = find_dataset("external").look_through(archive, Options(table=table(tmp_path, text)))
    by_case = {case.identity.accession: case.labels for case in found.cases}
    assert by_case["1"] == {"LVEF": 48.5, "HCM": 1, "grade": "mild"}
    assert math.isnan(by_case["2"]["LVEF"]) and by_case["2"]["HCM"] == 0 and by_case["2"]["grade"] is None
    assert by_case["501"]["LVEF"] == 0 and math.isnan(by_case["501"]["HCM"]) and not found.reports


def test_rows_and_studies_without_a_partner_are_counted_and_missing(archive, tmp_path):
    path = table(tmp_path, "accession,MRN,lvef\n1,secret-1,50\n888,secret-2,60\n")
    done = import_dataset("external", archive, tmp_path / "s", Options(table=path), workers=1)
    assert tally(done.found.remarks) == {
        "a study without a row of labels (by accession)": 2,
        "a row of labels for no study (by accession)": 1,
        "a column left out of the labels: MRN": 1,
    }
    labels = StudyStore(tmp_path / "s").labels()
    assert labels["lvef"].notna().sum() == 1 and list(labels.columns) == ["lvef"]
    assert b"secret" not in b"".join(p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,lvef\n1,50\n", "accession, study or patient"),
        ("accession,patient\n1,1\n", "no column of labels"),
        ("accession,lvef\n1,50\n1,51\n", "lines 2, 3"),
        ("accession,lvef,lvef\n1,50,51\n", "twice"),
        ("accession,lvef\n1,50,7\n", "line 2 has 3 fields"),
    ],
)
def test_a_table_that_does_not_fit_is_an_error_before_any_work(archive, tmp_path, text, told):
    with pytest.raises(ReportError, match=told):
        import_dataset("external", archive, tmp_path / "s", Options(table=table(tmp_path, text)), workers=1)
    assert not (tmp_path / "s").exists()


def test_a_patient_with_two_studies_cannot_be_labelled_by_patient(archive, tmp_path, exports):
    import pydicom

    for path in (archive / "study_2").rglob("*.dcm"):
        data = pydicom.dcmread(path)
        data.PatientID = "1"
        data.save_as(path)
    with pytest.raises(ReportError, match="more than one study by patient"):
        find_dataset("external").look_through(archive, Options(table=table(tmp_path, "patient,lvef\n1,50\n")))


def test_excluded_patients_are_left_out_and_leave_the_store(archive, tmp_path):
    labels = table(tmp_path, "accession,lvef\n1,50\n2,60\n501,70\n")
    import_dataset("external", archive, tmp_path / "s", Options(table=labels), workers=1)
    out = table(tmp_path, "patient\n2\n", "out.csv")
    done = import_dataset("external", archive, tmp_path / "s", Options(table=labels, exclude=out), workers=1)
    assert len(done.removed) == 1 and len(StudyStore(tmp_path / "s")) == 2
    assert sorted(StudyStore(tmp_path / "s").labels()["lvef"]) == [50, 70]


def test_an_exclusion_reaches_no_other_site_and_no_public_set(archive, exports, tmp_path):
    labels = table(tmp_path, "accession,lvef\n1,50\n2,60\n501,70\n")
    for site in ("North", "South"):
        import_dataset("external", archive, tmp_path / "s", Options(table=labels), site=site, workers=1)
        archive = shutil.copytree(archive, tmp_path / "south_archive") if site == "North" else archive
        if site == "North":
            import pydicom

            for number, folder in enumerate(sorted(archive.iterdir())):
                for path in folder.rglob("*.dcm"):
                    data = pydicom.dcmread(path)
                    data.StudyInstanceUID = f"1.2.3.{number + 1}"
                    data.save_as(path)
    import_dataset("kaggle", exports["kaggle"], tmp_path / "s", workers=1)
    assert len(StudyStore(tmp_path / "s")) == 10
    out = table(tmp_path, "2\n", "out.csv")
    done = import_dataset(
        "external", archive, tmp_path / "s", Options(table=labels, exclude=out), site="South", workers=1
    )
    assert len(done.removed) == 1 and done.removed[0].startswith("south_")
    assert "kaggle_2/2" in StudyStore(tmp_path / "s") and len(StudyStore(tmp_path / "s")) == 9


def test_archives_of_studies_are_read_in_place(archive, tmp_path):
    with zipfile.ZipFile(archive / "study_1.zip", "w") as packed:
        for path in (archive / "study_1").rglob("*.dcm"):
            packed.write(path, path.relative_to(archive).as_posix())
    shutil.rmtree(archive / "study_1")
    labels = table(tmp_path, "study,lvef\nstudy_1,50\nstudy_2,60\n")
    done = import_dataset("external", archive, tmp_path / "s", Options(table=labels), workers=1)
    assert len(done.keys) == 3
    assert sorted(StudyStore(tmp_path / "s").labels()["lvef"].dropna()) == [50, 60]


def test_what_is_missing_or_too_much_is_said(archive, tmp_path):
    with pytest.raises(ReportError, match="--table"):
        find_dataset("external").look_through(archive)
    with pytest.raises(InputError, match="takes no --reports"):
        find_dataset("external").look_through(archive, Options(reports=tmp_path / "r.csv"))
    with pytest.raises(ReadError, match="no such folder"):
        find_dataset("clinical").look_through(tmp_path / "nowhere")
    with pytest.raises(InputError, match="known are ukb, kaggle"):
        find_dataset("penn")


def test_real_studies_come_in_with_their_volumes_as_an_external_set(shared_data, tmp_path):
    real = shared_data / "real" / "sunnybrook_cine"
    lines = (real / "volumes.csv").read_text().splitlines()
    text = "\n".join([lines[0].replace("patient_id", "study", 1), *lines[1:]]) + "\n"
    done = import_dataset("external", real, tmp_path / "s", Options(table=table(tmp_path, text)), workers=1)
    store = StudyStore(tmp_path / "s")
    labels = store.labels()
    assert sorted(labels["lvef_pct"]) == [25.5, 26.2] and set(labels["pathology"]) == {"Heart failure with infarct"}
    for key in done.keys.values():
        cine = store.read(key).cine("SAX")
        assert cine.shape[:2] == (labels.loc[key, "n_slices"], labels.loc[key, "n_phases"])
        assert cine.spacing_mm[0] == pytest.approx(labels.loc[key, "pixel_mm"], abs=1e-5)

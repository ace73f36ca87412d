"""`make_cohort`: whole or not at all, the same however it is made, never mixed with another."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.cohort import study as cohort_study
from cardiolens.phantom.cohort.make import make_cohort

SMALL: dict[str, Any] = {"matrix": 32, "phases": 8, "sax_planes": 3, "style": "siemens"}


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder with its content's hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DICOM cohort of three, made in this process."""
    out = tmp_path_factory.mktemp("cohort") / "three"
    cohort = make_cohort(out, 3, 5, workers=1, **SMALL)
    assert cohort.made == 3 and len(cohort.studies) == 3
    return out


def test_each_study_has_images_masks_report_and_truth(made: Path) -> None:
    rows = table(made / "truth.csv")
    reports = {row["accession"]: row["report"] for row in table(made / "reports.csv")}
    assert len(rows) == len(reports) == 3
    for row in rows:
        study = made / row["study"]
        record = json.loads((study / "truth.json").read_text())
        assert float(row["lvef_pct"]) == pytest.approx(record["truth"]["lvef_pct"])
        assert row["conditions"] == ";".join(record["truth"]["conditions"])
        assert f"regional_{'apex'}" in row and "segment_thickness_mm_16" in row
        assert (study / "report.txt").read_text().strip() == reports[row["study"]] == record["report"]
        assert {"2CH", "3CH", "4CH"} >= set(record["landmarks"]) and record["landmarks"]
        assert len(list((study / "dicom").iterdir())) == 3 * 8 + 3 * 8 + 3, "planes x phases, long axes, scout"


def test_dicom_carries_the_names_of_the_tables(made: Path) -> None:
    import pydicom

    row = table(made / "reports.csv")[1]
    image = pydicom.dcmread(next((made / row["accession"] / "dicom").iterdir()))
    assert (image.AccessionNumber, image.PatientID) == (row["accession"], row["patient"])
    truth = table(made / "truth.csv")[1]
    assert image.PatientSex == truth["sex"] and int(image.PatientAge[:3]) == int(float(truth["age"]))


def test_masks_lie_in_nifti_space_where_the_images_lie(made: Path) -> None:
    import nibabel
    import pydicom

    study = made / table(made / "truth.csv")[0]["study"]
    mask = nibabel.load(study / "masks" / "SAX.nii.gz")
    assert mask.shape == (32, 32, 3, 8)
    labels = np.asarray(mask.dataobj)
    assert {1, 2, 3} <= set(np.unique(labels)) <= set(range(6))
    images = [pydicom.dcmread(f) for f in (study / "dicom").iterdir()]
    corners = [i.ImagePositionPatient for i in images if i.SeriesDescription.startswith("shortaxis")]
    for plane in range(3):
        corner = (mask.affine @ [0, 0, plane, 1])[:3] * [-1, -1, 1]
        assert min(np.linalg.norm(np.subtract(corner, c)) for c in corners) < 0.05


def test_a_killed_run_leaves_no_half_study_and_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    write_masks, calls = cohort_study._write_masks, []

    def killed(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write_masks(*args)

    monkeypatch.setattr(cohort_study, "_write_masks", killed)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(out, 3, 5, workers=1, **SMALL)
    whole = [path.parent for path in out.glob("*/truth.json")]
    assert len(whole) == 1 and not list(out.glob(".*.part"))
    assert json.loads((out / "manifest.json").read_text())["sha256"] is None
    monkeypatch.undo()
    before = (whole[0] / "truth.json").stat().st_mtime_ns
    ticks: list[tuple[int, int]] = []
    cohort = make_cohort(out, 3, 5, workers=1, progress=lambda done, n: ticks.append((done, n)), **SMALL)
    assert cohort.made == 2 and ticks == [(1, 3), (2, 3), (3, 3)]
    assert (whole[0] / "truth.json").stat().st_mtime_ns == before
    assert tree(out) == tree(made)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_killed_outright_takes_its_workers_along_and_two_processes_finish_it_as_one_would(
    made: Path, tmp_path: Path
) -> None:
    out, grown = tmp_path / "killed", tmp_path / "one"
    code = (
        f"from cardiolens.phantom.cohort.make import make_cohort; make_cohort({str(out)!r}, 5, 5, workers=2, **{SMALL})"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while not list(out.glob("PH*")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=100)  # returns once nobody holds its stderr any more: the workers are gone too
    done = list(out.glob("PH*"))
    assert 0 < len(done) < 5
    assert all((study / "truth.json").is_file() for study in done)
    assert make_cohort(out, 5, 5, workers=2, **SMALL).made == 5 - len(done)
    shutil.copytree(made, grown)
    make_cohort(grown, 5, 5, workers=1, **SMALL)
    assert tree(out) == tree(grown)


def test_a_cohort_may_grow_and_the_first_stay(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "grown"
    first = make_cohort(out, 1, 5, workers=1, **SMALL)
    second = make_cohort(out, 3, 5, workers=1, **SMALL)
    assert second.made == 2 and second.hash != first.hash
    assert tree(out) == tree(made)
    with pytest.raises(PhantomError, match="cohort of 3 patients, 2 were asked"):
        make_cohort(out, 2, 5, workers=1, **SMALL)


@pytest.mark.parametrize(
    "change",
    [{"seed": 6}, {"matrix": 48}, {"style": "ge"}, {"condition": "normal"}, {"site": "biobank"}, {"sessions": 2}],
)
def test_a_folder_with_another_cohort_is_refused_and_untouched(made: Path, change: dict[str, Any]) -> None:
    before = tree(made)
    settings = {"seed": 5, **SMALL, **change}
    with pytest.raises(PhantomError, match=f"another cohort: {next(iter(change))}"):
        make_cohort(made, 3, workers=1, **settings)
    assert tree(made) == before


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(PhantomError, match="not an empty folder"):
        make_cohort(tmp_path, 1, 5, **SMALL)
    assert tree(tmp_path).keys() == {"thesis.txt"}
    (tmp_path / "manifest.json").write_text('{"studies": []}')
    with pytest.raises(PhantomError, match="not the manifest of a phantom cohort"):
        make_cohort(tmp_path, 1, 5, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"condition": "gout"}, "unknown condition 'gout'; known are amyloidosis, aortic"),
        ({"style": "toshiba"}, "unknown DICOM style"),
        ({"format": "nifti"}, "format must be"),
        ({"matrix": 8}, "matrix must be 32 to 1024"),
        ({"phases": 7}, "phases must be"),
        ({"seed": -1}, "seed must be"),
        ({"site": "atlantis"}, "unknown site 'atlantis'; known are default, biobank"),
        ({"site": ()}, "needs a site"),
        ({"sessions": 10}, "sessions must be 1 to 9"),
        ({"crop_mm": 200.0}, 'crop_mm goes with format "store"'),
        ({"crop_mm": 20.0, "format": "store"}, "crop_mm must be 100 to 400"),
        ({"n": 0}, "1 to"),
        ({"n": 1.5}, "a whole number, got 1.5"),
        ({"phases": 8.5}, "phases must be 8 to 100, a whole number, got 8.5"),
        ({"matrix": ["64"]}, "matrix must be 32 to 1024"),
        ({"workers": 0}, "workers"),
    ],
)
def test_impossible_settings_are_refused_before_a_folder_is_made(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(PhantomError, match=message):
        make_cohort(tmp_path / "x", **{"n": 1, "seed": 5, **SMALL, **wrong})
    assert not (tmp_path / "x").exists()


def test_a_condition_is_given_to_every_patient(tmp_path: Path) -> None:
    make_cohort(tmp_path / "x", 2, 5, workers=1, masks=False, condition="hypertrophic cardiomyopathy", **SMALL)
    for row in table(tmp_path / "x" / "truth.csv"):
        assert "hypertrophic cardiomyopathy" in row["conditions"].split(";")
        assert float(row["severity_hypertrophic_cardiomyopathy"]) >= 0
    assert not list((tmp_path / "x").rglob("masks"))


def test_a_store_holds_the_same_patients_with_reports_and_labels(made: Path, tmp_path: Path) -> None:
    from cardiolens.store import StudyStore

    out = tmp_path / "store"
    make_cohort(out, 3, 5, format="store", workers=1, **SMALL)
    store = StudyStore(out)
    truth = {row["key"]: row for row in table(made / "truth.csv")}
    reports = [row["report"] for row in table(made / "reports.csv")]
    assert store.keys() == sorted(truth)
    labels = store.labels()
    for key, report in zip(store.keys(), reports, strict=True):
        assert store.report(key) == report
        assert labels.loc[key, "lvef"] == pytest.approx(float(truth[key]["lvef_pct"]))
        for condition in truth[key]["conditions"].split(";"):
            assert not condition or labels.loc[key, condition.replace(" ", "_").replace("-", "_")] == 1
        study = store.read(key)
        assert study.cine("SAX").shape == (3, 8, 32, 32) and study.cine("SAX").affine is not None
    keys, hashed = store.keys(), store.hash()
    assert make_cohort(out, 3, 5, format="store", workers=1, **SMALL).made == 0
    assert (StudyStore(out).keys(), StudyStore(out).hash()) == (keys, hashed)


def test_a_study_missing_from_the_store_is_made_again(tmp_path: Path) -> None:
    from cardiolens.store import StudyStore

    out = tmp_path / "store"
    make_cohort(out, 2, 5, format="store", workers=1, **SMALL)
    hashed = StudyStore(out).hash()
    StudyStore(out, mode="a").remove(StudyStore(out).keys()[0])
    assert make_cohort(out, 2, 5, format="store", workers=1, **SMALL).made == 1
    assert StudyStore(out).hash() == hashed


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    out = tmp_path / "x"
    make_cohort(out, 1, 5, workers=1, masks=False, **SMALL)
    (out / "PH000005-000000" / "truth.json").write_text("{")
    with pytest.raises(PhantomError, match=r"PH000005-000000.truth\.json"):
        make_cohort(out, 1, 5, workers=1, masks=False, **SMALL)

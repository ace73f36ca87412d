"""Ingest: studies found, written under pseudonyms, told of in the manifest; resumable; nothing half-written."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import cardiolens.ingest._run as run_module
from cardiolens.cli import main
from cardiolens.errors import ReportError, StoreError
from cardiolens.ingest import ingest, read_manifest
from cardiolens.store import StudyStore
from cardiolens.store.atomic import is_leftover

KEY_TEXT = "a secret for the tests"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", KEY_TEXT)


def write_study(folder: Path, name: str, *, planes: int = 3, phases: int = 8, side: int = 32, **tags: str) -> Path:
    """A short-axis cine of patient `MRN-<name>`, accession `ACC-<name>`, one file a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    uids = {level: generate_uid(entropy_srcs=[name, level]) for level in ("study", "series")}
    for plane in range(planes):
        for phase in range(phases):
            data = Dataset()
            data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
            data.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(plane), str(phase)])
            data.StudyInstanceUID, data.SeriesInstanceUID = uids["study"], uids["series"]
            data.PatientID, data.AccessionNumber = f"MRN-{name}", f"ACC-{name}"
            data.PatientName, data.InstitutionName = f"Quux^{name}", "St Elsewhere"
            data.Modality, data.SeriesDescription, data.SeriesNumber = "MR", "cine SAX", 4
            data.ScanningSequence, data.SequenceVariant = "GR", "SS"
            data.Rows = data.Columns = side
            data.PixelSpacing, data.SliceThickness = [1.5, 1.5], 8
            data.ImageOrientationPatient = [0.8, 0.6, 0, 0, 0, -1]
            normal = np.cross([0.8, 0.6, 0], [0, 0, -1])
            data.ImagePositionPatient = [round(float(x), 4) for x in normal * 10 * plane]
            data.TriggerTime, data.InstanceNumber = 100.0 * phase, plane * phases + phase + 1
            data.CardiacNumberOfImages = phases
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
            data.PixelData = rng.integers(0, 4000, (side, side)).astype("<u2").tobytes()
            for tag, value in tags.items():
                setattr(data, tag, value)
            data.file_meta = FileMetaDataset()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.save_as(folder / f"{plane * phases + phase:04}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def cohort(tmp_path) -> Path:
    for name in ("Alpha", "Bravo", "Charlie"):
        write_study(tmp_path / "src" / f"Quux_{name}", name)
    return tmp_path / "src"


def bytes_under(folder: Path) -> bytes:
    return b"\n".join(
        str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    )


def run_cli(*args: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(arg) for arg in args])
    return int(left.value.code or 0)


def contents(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*")) if store.exists() else []


# --- the road --------------------------------------------------------------------------------------------------------


def test_every_study_comes_in_with_geometry_and_pixels(cohort, tmp_path):
    result = ingest([cohort], tmp_path / "store", workers=1)
    assert result.counts == {"ingested": 3, "skipped": 0, "refused": 0, "failed": 0}
    store = StudyStore(tmp_path / "store")
    assert len(store) == 3
    for key in store:
        assert key.startswith("st-elsewhere_")
        cine = store.read(key).cine("SAX")
        assert cine.shape == (3, 8, 32, 32) and cine.spacing_mm == (1.5, 1.5)
        np.testing.assert_allclose(np.diff(cine.slice_positions_mm), 10, atol=1e-3)
    store.verify()
    assert {record.key for record in result.records} == set(store.keys())
    assert {record.content_hash for record in result.records} == {store.hash_of(key) for key in store}


def test_nothing_written_or_shown_holds_an_identifier(cohort, tmp_path, capfd, caplog):
    rows = ["accession,report"] + [
        f'ACC-{n},"Quux, {n} (MRN-{n}): LVEF 50 %. {n} Quux is well."' for n in ("Alpha", "Bravo")
    ]
    (tmp_path / "reports.csv").write_text("\n".join(rows))
    broken = cohort / "Quux_Alpha" / "QUUX_Alpha_MRN-Alpha.dcm"
    broken.write_bytes((cohort / "Quux_Alpha" / "0003.dcm").read_bytes()[:-300])
    write_study(cohort / "Quux_Delta", "Delta", phases=1)  # no cine: refused
    with caplog.at_level("DEBUG"):
        assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--reports", tmp_path / "reports.csv") == 0
    shown = "".join(capfd.readouterr()) + caplog.text
    written = bytes_under(tmp_path / "store")
    uids = [pydicom.dcmread(next(folder.glob("0*.dcm"))).StudyInstanceUID for folder in cohort.iterdir()]
    for name in ("Alpha", "Bravo", "Charlie", "Delta"):
        for secret in (f"MRN-{name}", f"ACC-{name}", f"Quux^{name}", f"Quux_{name}", f"Quux, {name}", f"{name} Quux"):
            assert secret.lower().encode() not in written.lower(), secret
            assert secret.lower() not in shown.lower(), secret
    for uid in uids:
        assert uid.encode() not in written and uid not in shown
    assert KEY_TEXT.encode() not in written
    store = StudyStore(tmp_path / "store")
    reports = [report for key in store if (report := store.report(key))]
    assert len(reports) == 2
    for report in reports:
        assert re.fullmatch(r"\[name\] \(\[patient \w{16}\]\): LVEF 50 %\. \[name\] is well\.", report)


def test_pseudonyms_are_stable_across_stores_and_change_with_the_key(cohort, tmp_path, monkeypatch):
    ingest([cohort], tmp_path / "one", workers=1)
    ingest([cohort / "Quux_Alpha", cohort / "Quux_Bravo", cohort / "Quux_Charlie"], tmp_path / "two", workers=1)
    assert StudyStore(tmp_path / "one").hash() == StudyStore(tmp_path / "two").hash()
    monkeypatch.setenv("CARDIOLENS_KEY", "quite another secret")
    ingest([cohort], tmp_path / "three", workers=1)
    assert not set(StudyStore(tmp_path / "one")) & set(StudyStore(tmp_path / "three"))


def test_two_processes_give_what_one_gives(cohort, tmp_path):
    ingest([cohort], tmp_path / "one", workers=1)
    seen = []
    ingest([cohort], tmp_path / "two", workers=2, progress=lambda *told: seen.append(told))
    assert StudyStore(tmp_path / "one").hash() == StudyStore(tmp_path / "two").hash()
    assert seen[-1] == ("ingesting", 3, 3)


def test_a_flat_folder_of_several_studies_and_a_study_over_several_folders(tmp_path):
    for name in ("Alpha", "Bravo"):
        for file in write_study(tmp_path / name, name).iterdir():
            target = tmp_path / "flat" / f"{name[0]}{file.name}"
            target.parent.mkdir(exist_ok=True)
            shutil.move(file, target)
    for file in sorted(write_study(tmp_path / "c", "Charlie").iterdir())[:10]:
        (tmp_path / "rest").mkdir(exist_ok=True)
        shutil.move(file, tmp_path / "rest" / file.name)
    result = ingest([tmp_path / "flat", tmp_path / "c", tmp_path / "rest"], tmp_path / "store", workers=1)
    assert [record.views for record in result.records] == [{"SAX": (3, 8, 32, 32)}] * 3


def test_a_zip_comes_in_as_its_folder_would(cohort, tmp_path):
    ingest([cohort / "Quux_Alpha"], tmp_path / "one", workers=1)
    with zipfile.ZipFile(tmp_path / "scan_MRN-Alpha.zip", "w") as archive:
        for file in (cohort / "Quux_Alpha").iterdir():
            archive.write(file, f"Quux_Alpha/{file.name}")
    ingest([tmp_path / "scan_MRN-Alpha.zip"], tmp_path / "two", workers=1)
    assert StudyStore(tmp_path / "one").hash() == StudyStore(tmp_path / "two").hash()
    assert b"MRN-Alpha" not in bytes_under(tmp_path / "two")


def test_without_accession_the_study_uid_stands_in_and_without_both_the_patient(tmp_path):
    write_study(tmp_path / "src/a", "Alpha", AccessionNumber="")
    write_study(tmp_path / "src/b", "Bravo", AccessionNumber="", StudyInstanceUID="")
    from cardiolens.dicom.deid import load_key, pseudonym

    result = ingest([tmp_path / "src/a", tmp_path / "src/b"], tmp_path / "store", workers=1)
    uid = generate_uid(entropy_srcs=["Alpha", "study"])
    expected = {pseudonym("accession", raw, load_key()) for raw in (uid, "MRN-Bravo")}
    assert {record.key.split("/")[1] for record in result.records} == expected


def test_two_studies_with_one_accession_get_keys_of_their_own_in_any_run_order(tmp_path):
    for folder, name in (("a", "Alpha"), ("b", "Bravo")):
        write_study(tmp_path / folder, name, PatientID="MRN-same", AccessionNumber="ACC-same")
    ingest([tmp_path / "a"], tmp_path / "store", workers=1)
    first = StudyStore(tmp_path / "store").keys()
    ingest([tmp_path / "b"], tmp_path / "store", workers=1)
    both = StudyStore(tmp_path / "store").keys()
    assert len(both) == 2 and set(first) < set(both)
    assert len({key.split("/")[0] for key in both}) == 1
    assert ingest([tmp_path / "a", tmp_path / "b"], tmp_path / "store", workers=1).counts["skipped"] == 2


# --- resume ----------------------------------------------------------------------------------------------------------


def test_a_rerun_reads_nothing_again_and_takes_up_what_is_new_or_changed(cohort, tmp_path, monkeypatch):
    ingest([cohort], tmp_path / "store", workers=1)
    before = StudyStore(tmp_path / "store").hash()
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "work", lambda job: pytest.fail("read again"))
        again = ingest([cohort], tmp_path / "store", workers=1)
    assert again.counts == {"ingested": 0, "skipped": 3, "refused": 0, "failed": 0}
    assert StudyStore(tmp_path / "store").hash() == before
    write_study(cohort / "Quux_Echo", "Echo")
    (cohort / "Quux_Alpha" / "0001.dcm").unlink()
    (tmp_path / "store" / f"{again.records[0].key}.h5").unlink()
    counts = ingest([cohort], tmp_path / "store", workers=1).counts
    assert counts["ingested"] in (2, 3) and counts["ingested"] + counts["skipped"] == 4
    assert len(StudyStore(tmp_path / "store")) == 4 == len(read_manifest(tmp_path / "store").records)


def test_a_report_or_site_given_later_is_taken_up_and_no_study_stays_twice(cohort, tmp_path):
    ingest([cohort], tmp_path / "store", workers=1)
    (tmp_path / "r.csv").write_text("accession;report\nACC-Alpha;LVEF 61 %, normal.\n")
    result = ingest([cohort], tmp_path / "store", workers=1, reports=tmp_path / "r.csv")
    assert (result.counts["ingested"], result.counts["skipped"]) == (1, 2)
    assert (result.manifest["totals"]["with_report"], result.manifest["totals"]["without_report"]) == (1, 2)
    store = StudyStore(tmp_path / "store")
    assert [store.report(key) for key in store if store.report(key)] == ["LVEF 61 %, normal."]
    ingest([cohort], tmp_path / "store", workers=1, site="Elsewhere New")
    assert len(store) == 3 and all(key.startswith("elsewhere-new_") for key in store)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(tmp_path):
    for number in range(8):
        write_study(tmp_path / "src" / str(number), f"N{number}", side=64)
    ingest([tmp_path / "src"], tmp_path / "whole", workers=1)
    command = [sys.executable, "-m", "cardiolens", "ingest", str(tmp_path / "src"), "--out", str(tmp_path / "store")]
    process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    limit = time.monotonic() + 60
    while len(list((tmp_path / "store").glob("*/*.h5"))) < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(StudyStore(tmp_path / "store"))
    StudyStore(tmp_path / "store").verify()
    while not all(is_leftover(p) for p in (tmp_path / "store").rglob("*.part")) and time.monotonic() < limit:
        time.sleep(0.05)  # the workers end with their parent
    result = ingest([tmp_path / "src"], tmp_path / "store", workers=1)
    assert result.in_store == 8 and done >= 2
    assert StudyStore(tmp_path / "store").hash() == StudyStore(tmp_path / "whole").hash()
    assert not list((tmp_path / "store").rglob("*.part"))
    if done < 8:
        assert result.counts["ingested"] >= 8 - done


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("accession,report\nACC-Alpha,x\nACC-Nobody,y\n", r"no study with accession ACC-Nobody \(line 3\)"),
        ("accession,report\nACC-Alpha,x\nACC-Alpha,y\n", r"more than one row for accession ACC-Alpha \(line 3\)"),
        ("accession,report\n,x\n", "no accession in line 2"),
        ("patient,report\nMRN-Nobody,x\n", "no study with patient MRN-Nobody"),
        ("accession,text\nACC-Alpha,x\n", "needs the columns"),
        ("", "not a CSV table"),
        (b"accession,report\nACC-Alpha,\xff\xfe\n", "not UTF-8"),
    ],
)
def test_reports_that_do_not_fit_stop_before_anything_is_written(cohort, tmp_path, capsys, table, said):
    path = tmp_path / "reports.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(ReportError, match=said):
        ingest([cohort], tmp_path / "store", reports=path, workers=1)
    assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--reports", path, "--workers", 1) == 1
    assert capsys.readouterr().err.startswith("cardiolens: ")
    assert not (tmp_path / "store").exists()


def test_all_faults_of_a_report_table_are_told_at_once(cohort, tmp_path):
    path = tmp_path / "reports.csv"
    path.write_text("accession,report\nACC-Alpha,x\nACC-Alpha,y\nACC-N1,z\nACC-N2,z\n")
    with pytest.raises(ReportError, match=r"ACC-Alpha \(line 3\).*ACC-N1 \(line 4\), ACC-N2 \(line 5\)"):
        ingest([cohort], tmp_path / "store", reports=path, workers=1)


def test_unknown_reports_are_left_out_when_told_to(cohort, tmp_path):
    path = tmp_path / "reports.csv"
    path.write_text("\ufeffAccession,Report\nACC-Alpha,fine\nACC-Nobody,y\nACC-Bravo,\n", encoding="utf-8")
    result = ingest([cohort], tmp_path / "store", reports=path, workers=1, ignore_unknown_reports=True)
    assert result.manifest["totals"]["with_report"] == 1


def test_reports_by_patient_and_a_patient_with_two_studies(cohort, tmp_path):
    path = tmp_path / "reports.csv"
    path.write_text("patient,report\nMRN-Alpha,fine\n")
    assert ingest([cohort], tmp_path / "one", reports=path, workers=1).manifest["totals"]["with_report"] == 1
    write_study(cohort / "again", "Golf", PatientID="MRN-Alpha")
    with pytest.raises(ReportError, match="more than one study with patient MRN-Alpha"):
        ingest([cohort], tmp_path / "two", reports=path, workers=1)


def test_no_dicom_is_one_message_and_no_store(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "notes.txt").write_text("nothing here")
    for source in (tmp_path / "src", tmp_path / "absent"):
        assert run_cli("ingest", source, "--out", tmp_path / "store") == 1
        assert "Traceback" not in capsys.readouterr().err
        assert not (tmp_path / "store").exists()


def test_a_refused_study_is_told_and_the_others_come_in(cohort, tmp_path):
    write_study(cohort / "Quux_Still", "Still", phases=1)
    result = ingest([cohort], tmp_path / "store", workers=1)
    assert result.counts == {"ingested": 3, "skipped": 0, "refused": 1, "failed": 0}
    (refused,) = [record for record in result.records if record.status == "refused"]
    assert refused.key is None and refused.refused[0]["reason"]
    assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--workers", 1) == 0


def test_a_study_without_cine_alone_leaves_with_its_reason(tmp_path, capsys):
    write_study(tmp_path / "src", "Still", phases=1)
    assert run_cli("ingest", tmp_path / "src", "--out", tmp_path / "store", "--workers", 1) == 1
    assert "nothing was ingested" in capsys.readouterr().err
    assert contents(tmp_path / "store") == ["manifest.json"]


def test_corrupt_pixels_refuse_the_study_and_leave_nothing_of_it(cohort, tmp_path):
    file = cohort / "Quux_Alpha" / "0005.dcm"
    data = pydicom.dcmread(file)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"  # JPEG 2000, and it is not
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 not an image at all"])
    data.save_as(file)
    result = ingest([cohort], tmp_path / "store", workers=1)
    assert (result.counts["ingested"], result.counts["refused"]) == (2, 1)
    (refused,) = [record for record in result.records if record.status == "refused"]
    assert "cannot be decoded" in refused.reason and "MRN" not in refused.reason
    assert len(StudyStore(tmp_path / "store")) == 2


def test_truncated_and_double_files_are_counted(cohort, tmp_path):
    folder = cohort / "Quux_Alpha"
    for name in ("0002.dcm", "0012.dcm"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-1000])
    shutil.copy(folder / "0004.dcm", folder / "copy.bin")
    shutil.move(folder / "0007.dcm", folder / "no suffix")
    (record,) = ingest([folder], tmp_path / "store", workers=1).records
    assert (record.n_files, record.n_damaged, record.n_duplicates) == (25, 2, 1)
    assert record.views == {"SAX": (3, 8, 32, 32)}
    assert any("resampled" in note for note in record.notes)


def test_a_full_disk_stops_with_one_message_and_whole_studies_only(cohort, tmp_path, capsys, monkeypatch):
    import errno

    from cardiolens.store import atomic

    ingest([cohort / "Quux_Bravo"], tmp_path / "store", workers=1)
    before, hashed = contents(tmp_path / "store"), StudyStore(tmp_path / "store").hash()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StoreError, match="no room on the disk"):
        ingest([cohort], tmp_path / "store", workers=1)
    assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--workers", 1) == 1
    assert "no room on the disk" in capsys.readouterr().err
    assert contents(tmp_path / "store") == before
    assert StudyStore(tmp_path / "store").hash() == hashed


def test_a_fault_of_the_program_is_told_as_such_and_the_others_come_in(cohort, tmp_path, monkeypatch):
    from cardiolens import reading

    genuine = reading.examinations

    def faulty(paths, **options):
        if "Bravo" in paths[0]:
            raise ZeroDivisionError("MRN-Bravo")
        return genuine(paths, **options)

    monkeypatch.setattr(reading, "examinations", faulty)
    result = ingest([cohort], tmp_path / "store", workers=1)
    assert (result.counts["ingested"], result.counts["failed"]) == (2, 1)
    (failed,) = [record for record in result.records if record.status == "failed"]
    assert failed.reason.startswith("ZeroDivisionError at test_ingest.py:")
    assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--workers", 1) == 1


def test_a_worker_that_is_killed_is_named_and_the_others_come_in(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_TEST_DIE", "Bravo")
    monkeypatch.setattr(run_module, "work", work_or_die)
    shutil.rmtree(cohort / "Quux_Charlie")
    result = ingest([cohort], tmp_path / "store", workers=2)
    assert (result.counts["ingested"], result.counts["failed"]) == (1, 1)
    assert "memory" in next(record.reason for record in result.records if record.status == "failed")


def work_or_die(job):
    from cardiolens.ingest._work import work

    if os.environ["CARDIOLENS_TEST_DIE"] in job.unit.paths[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return work(job)


def test_a_damaged_manifest_is_an_error_that_says_what_to_do(cohort, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "manifest.json").write_text('{"schema_version": 1}')
    with pytest.raises(StoreError, match="move it away"):
        ingest([cohort], tmp_path / "store", workers=1)


def test_json_on_stdout_is_the_manifest_on_disk(cohort, tmp_path, capsys):
    assert run_cli("ingest", cohort, "--out", tmp_path / "store", "--workers", 1, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    kept = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert said["studies"] == kept["studies"] and said["totals"]["ingested"] == 3


# --- real scans ------------------------------------------------------------------------------------------------------


def test_two_sunnybrook_studies_and_the_localizer(shared_data, tmp_path, capsys):
    real = shared_data / "real"
    sources = [real / "sunnybrook_cine" / name for name in ("SCD0000101", "SCD0000201")]
    result = ingest(sources, tmp_path / "store", workers=1)
    assert {record.views["SAX"] for record in result.records} == {(12, 20, 256, 256), (13, 20, 256, 256)}
    written = bytes_under(tmp_path / "store")
    assert b"SCD0000101" not in written and b"2.16.124" not in written
    store = StudyStore(tmp_path / "store")
    (twelve,) = [key for key in store if store.info(key)["views"]["SAX"][0] == 12]
    cine = store.read(twelve).cine("SAX")
    np.testing.assert_allclose(cine.spacing_mm, 1.367, atol=1e-3)
    np.testing.assert_allclose(np.diff(cine.slice_positions_mm), 10, atol=0.05)
    assert run_cli("ingest", real / "localizer", "--out", tmp_path / "scout") == 1
    assert "localizer" in capsys.readouterr().err
    assert contents(tmp_path / "scout") == ["manifest.json"]


def test_a_sunnybrook_folder_with_cut_double_and_renamed_files_still_comes_in(shared_data, tmp_path):
    shutil.copytree(shared_data / "real" / "sunnybrook_cine" / "SCD0000101", tmp_path / "src")
    files = sorted((tmp_path / "src").iterdir(), key=lambda path: int(path.stem))
    for path in files[::10]:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-5000])
    shutil.copy(files[1], tmp_path / "src" / "twin1.dcm")
    shutil.copy(files[2], tmp_path / "src" / "twin2.dcm")
    shutil.move(files[3], tmp_path / "src" / "renamed.xyz")
    (record,) = ingest([tmp_path / "src"], tmp_path / "store", workers=1).records
    assert record.status == "ingested"
    assert (record.n_files, record.n_damaged, record.n_duplicates) == (242, 24, 2)
    planes, phases, *size = record.views["SAX"]
    assert planes == 12 and 18 <= phases <= 20 and size == [256, 256]


def test_a_nifti_file_keeps_its_key_and_is_not_read_again(tmp_path):
    import nibabel

    rng = np.random.default_rng(0)
    path = tmp_path / "src" / "someone_sax.nii.gz"
    path.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(rng.integers(0, 900, (16, 16, 3, 8)).astype(np.int16), np.eye(4)), path)
    first = ingest([path], tmp_path / "store", workers=1)
    again = ingest([path], tmp_path / "store", workers=1)
    assert again.counts["skipped"] == 1 and again.records[0].key == first.records[0].key
    path.write_bytes(path.read_bytes() + b"\0")
    changed = ingest([path], tmp_path / "store", workers=1)
    assert [record.key for record in changed.records] == [first.records[0].key]

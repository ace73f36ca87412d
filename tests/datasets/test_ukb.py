"""UK Biobank: archives of one visit as one study, fields, exclusions and withdrawals; hostile archives do no harm."""

import io
import math
import shutil
import zipfile

import pydicom
import pytest

from cardiolens.datasets import ukb
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import Options, tally
from cardiolens.errors import ReadError, ReportError
from cardiolens.store import StudyStore
from cardiolens.study import View

EID = "9000000"


def look(folder, **options):
    return find_dataset("ukb").look_through(folder, Options(**options))


def archive(folder, field="20209", eid=EID, instance="2"):
    return folder / "bulk" / field / f"{eid}_{field}_{instance}_0.zip"


def zips(folder):
    return [str(archive(folder, field)) for field in ("20208", "20209")]


def test_both_archives_of_a_visit_are_one_study_and_no_eid_is_written(exports, tmp_path, caplog):
    folder, store = exports["ukb"], tmp_path / "store"
    with caplog.at_level("INFO"):
        done = import_dataset("ukb", folder, store, Options(table=folder / "ukb_fields.csv"), workers=1)
    opened = StudyStore(store)
    assert len(opened) == 3 and all(key.startswith("ukb_") for key in opened)
    assert all(len(opened.read(key).views) == 4 for key in opened)
    row = (folder / "ukb_fields.csv").read_text().splitlines()[1].split(",")
    labels = opened.labels().loc[done.keys[f"{EID}_2"]]
    assert labels["lvef"] == float(row[-1]) == labels["22420-2.0"]
    assert labels["sex"] == ("M" if row[1] == "1" else "F") and labels["21001-2.0"] == labels["bmi"]
    written = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    names = " ".join(str(path) for path in store.rglob("*"))
    assert EID.encode() not in written and EID not in names and EID not in caplog.text
    assert done.split is None


def test_missing_fields_stay_missing(copy_of):
    folder = copy_of("ukb")
    table = folder / "t.csv"
    table.write_text(f"eid,22420-2.0,2443-2.0,40007-0.0\n{EID},,-3,\n9000001,55.5,-1,70\n")
    found = look(folder, table=table)
    labels = {case.name: case.labels for case in found.cases}
    assert all(math.isnan(labels[f"{EID}_2"][name]) for name in ("lvef", "22420-2.0", "2443-2.0", "40007-0.0"))
    assert labels["9000001_2"]["lvef"] == 55.5 and labels["9000001_2"]["40007-0.0"] == 70
    assert "edv" not in labels["9000001_2"]  # the table has no such field
    assert tally(found.remarks) == {"no row in the table: all labels are missing": 1}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("22420-2.0", ("22420", "2", "0")),
        ("f.22420.3.0", ("22420", "3", "0")),
        ("p22420_i2", ("22420", "2", "0")),
        ("participant.p31", ("31", "0", "0")),
        ("p40008_i0_a1", ("40008", "0", "1")),
        ("eid", None),
        ("Sex", None),
    ],
)
def test_columns_are_understood_as_both_tools_write_them(name, told):
    column = ukb.parse_column(name)
    assert (column and (column.field, column.instance, column.array)) == told


def test_the_second_visit_is_a_study_of_the_same_patient_with_its_own_lvef(copy_of, tmp_path):
    folder, store = copy_of("ukb"), tmp_path / "store"
    for field in ("20208", "20209"):
        shutil.copy(archive(folder, field), archive(folder, field, instance="3"))
    table = tmp_path / "t.csv"
    table.write_text(f"eid,p22420_i2,p22420_i3\n{EID},50,40\n")
    done = import_dataset("ukb", folder, store, Options(table=table), workers=1)
    first, second = done.keys[f"{EID}_2"], done.keys[f"{EID}_3"]
    assert first != second and first.split("/")[0] == second.split("/")[0]
    labels = StudyStore(store).labels()
    assert labels.loc[[first, second], "lvef"].tolist() == [50, 40]


def test_a_withdrawn_participant_is_skipped_and_taken_out_of_the_store(copy_of, tmp_path):
    folder, store = copy_of("ukb"), tmp_path / "store"
    before = import_dataset("ukb", folder, store, Options(table=folder / "ukb_fields.csv"), workers=1)
    archive(folder, "20208").unlink()  # gone from the bulk folder as well
    archive(folder, "20209").unlink()
    (tmp_path / "w.csv").write_text(f"{EID}\n")
    done = import_dataset("ukb", folder, store, Options(exclude=tmp_path / "w.csv"), workers=1)
    gone = before.keys[f"{EID}_2"]
    opened = StudyStore(store)
    assert done.removed == (gone,) and gone not in opened and len(opened) == 2
    assert gone not in opened.labels().index and opened.labels()["lvef"].notna().all()
    assert gone not in (store / "manifest.json").read_text()


def test_an_excluded_series_is_left_out_and_the_study_read_again(copy_of, tmp_path):
    folder, store = copy_of("ukb"), tmp_path / "store"
    import_dataset("ukb", folder, store, workers=1)
    (tmp_path / "x.txt").write_text(f"eid,what\n{EID},CINE_segmented_SAX_b1\n*,CINE_segmented_LAX_3Ch\n9000002,2\n")
    done = import_dataset("ukb", folder, store, Options(exclude=tmp_path / "x.txt"), workers=1)
    opened = StudyStore(store)
    study = opened.read(done.keys[f"{EID}_2"])
    assert {str(view) for view in study.views} == {"SAX", "2CH", "4CH"} and study.cine("SAX").n_slices == 4
    assert any("exclusion list" in refusal.reason for refusal in study.refused)
    assert opened.read(done.keys["9000001_2"]).cine("SAX").n_slices == 5
    assert len(opened) == 2 and tally(done.found.skipped) == {"on the exclusion list": 1}


def test_a_truncated_archive_refuses_that_visit_and_a_rerun_mends_it(copy_of, tmp_path):
    folder, store = copy_of("ukb"), tmp_path / "store"
    path = archive(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    done = import_dataset("ukb", folder, store, workers=1)
    assert len(done.keys) == 2 and done.result.counts["refused"] == 1
    reason = next(record.reason for record in done.result.records if record.status == "refused")
    assert "truncated or damaged archive" in reason and EID not in reason
    path.write_bytes(whole)
    done = import_dataset("ukb", folder, store, workers=1)
    assert done.result.counts == {"ingested": 1, "skipped": 2, "refused": 0, "failed": 0}


def test_members_that_point_outside_are_read_as_labels_and_nothing_is_written(copy_of, tmp_path):
    folder = copy_of("ukb")
    path = archive(folder)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(f"../../../{name}", content)
    before = set(tmp_path.rglob("*"))
    study = ukb.read_case(zips(folder))
    assert study.cine("SAX").n_slices == 5 and study.cine("SAX").frames.max() > 0
    assert set(tmp_path.rglob("*")) == before


def test_a_bomb_is_refused_without_unpacking_it(copy_of, monkeypatch):
    folder = copy_of("ukb")
    with zipfile.ZipFile(archive(folder), "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("big.dcm", bytes(ukb.MAX_MEMBER_BYTES + 1))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *a, **k: pytest.fail("unpacked"))
    with pytest.raises(ReadError, match="unpacks to 1 files"):
        ukb.read_case(zips(folder))
    monkeypatch.setattr(ukb, "MAX_MEMBERS", 2)
    with pytest.raises(ReadError, match="fetch it again"):
        ukb.check_archive(zips(folder)[0])


def test_lone_archives_other_fields_and_copies_are_counted(copy_of):
    folder = copy_of("ukb")
    archive(folder, "20208", "9000001").unlink()
    archive(folder, "20209", "9000002").unlink()
    shutil.copy(archive(folder), folder / "bulk" / archive(folder).name)
    shutil.copy(archive(folder), folder / "bulk" / f"{EID}_20210_2_0.zip")
    shutil.copy(archive(folder), folder / "bulk" / f"{EID}_20209_2_1.zip")
    found = look(folder)
    assert tally(found.remarks) == {
        "no long-axis archive (20208)": 1,
        "no short-axis archive (20209)": 1,
        "an archive of another field or name": 1,
        "a copy of an archive: the first is used": 1,
    }
    assert tally(found.skipped) == {"an archive with an array index other than 0": 1}
    (folder / "bulk" / archive(folder).name).write_bytes(b"half")
    with pytest.raises(ReadError, match="different sizes"):
        look(folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,22420-2.0\n1,2\n", "needs the column eid"),
        ("eid,lvef\n1,2\n", "none of the fields"),
        (f"eid,22420-2.0\n{EID},2\n{EID},3\n", "lines 2, 3"),
    ],
)
def test_a_table_of_other_columns_is_an_error(copy_of, text, told):
    folder = copy_of("ukb")
    (folder / "t.csv").write_text(text)
    with pytest.raises(ReportError, match=told):
        look(folder, table=folder / "t.csv")


@pytest.mark.parametrize("text", ["patient7\n", "*\n", f"{EID},2,CINE*\n", ",2\n"])
def test_a_malformed_exclusion_list_is_an_error(copy_of, text):
    folder = copy_of("ukb")
    (folder / "x.txt").write_text(text)
    with pytest.raises(ReportError):
        look(folder, exclude=folder / "x.txt")


def test_inline_results_are_not_read_as_cines(copy_of):
    folder = copy_of("ukb")
    path = archive(folder)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            if name.endswith(".dcm"):
                data = pydicom.dcmread(io.BytesIO(content))
                if data.SeriesDescription == "CINE_segmented_SAX_b2":
                    data.SeriesDescription = "CINE_segmented_SAX_InlineVF"
                buffer = io.BytesIO()
                data.save_as(buffer)
                new.writestr(name, buffer.getvalue())
    study = ukb.read_case(zips(folder))
    assert study.cine("SAX").n_slices == 4
    refusal = next(each for each in study.refused if "InlineVF" in each.series)
    assert refusal.n_files == 8 and "series map" in refusal.reason


def test_long_axes_under_one_mixed_name_are_told_apart_by_geometry(copy_of):
    folder = copy_of("ukb")
    path = archive(folder, "20208")
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist() if name.endswith(".dcm")}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            data = pydicom.dcmread(io.BytesIO(content))
            data.SeriesDescription = "CINE_segmented_LAX"
            buffer = io.BytesIO()
            data.save_as(buffer)
            new.writestr(name, buffer.getvalue())
    study = ukb.read_case(zips(folder))
    assert study.cine("SAX").n_slices == 5 and View.CH4 in study.views
    refused = sum(refusal.n_files for refusal in study.refused)
    assert sum(cine.n_phases for cine in study.cines if cine.view is not View.SAX) + refused == 24  # none is lost

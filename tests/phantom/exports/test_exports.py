"""Exports: the layouts of public data sets to the letter, whole or not at all, the same by seed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.exports import EXPORTS, LAYOUTS, Export, Scan, export
from cardiolens.phantom.exports.build import _place, split_of

SMALL = Scan(matrix=48, field_mm=340.0, phases=(10, 10), sax_planes=(9, 9))
SHORT = Scan(matrix=32, field_mm=340.0, phases=(8, 8), sax_planes=(2, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Export]:
    """Two cases of every data set."""
    top = tmp_path_factory.mktemp("exports")
    return {name: export(name, top / name, 2, 3, scan=SMALL) for name in EXPORTS}


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files(folder)}


def volume(path: Path) -> np.ndarray[Any, Any]:
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)


def truth(done: Export, case: int = 0) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((done.folder / "truth" / f"{done.cases[case]}.json").read_text())
    return record


def unpickled(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = pickle.loads(path.read_bytes())  # noqa: S301 - written by this test
    return content


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def cavity_ml(path: Path, label: int) -> float:
    import nibabel

    image = nibabel.load(path)
    return float((np.asarray(image.dataobj) == label).sum() * np.prod(image.header.get_zooms()[:3]) / 1000.0)


@pytest.mark.parametrize("name", EXPORTS)
def test_says_that_it_is_synthetic(made: dict[str, Export], name: str) -> None:
    done = made[name]
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["synthetic"] is True and manifest["sha256"] == done.hash and manifest["n"] == 2
    text = (done.folder / "README.md").read_text()
    assert "synthetic" in text and LAYOUTS[name].title in text and "no person was imaged" in text
    assert {p.name for p in done.folder.iterdir()} == {"manifest.json", "README.md", "truth", LAYOUTS[name].root}
    assert all(truth(done, i)["synthetic"] for i in range(2))


def test_acdc_layout(made: dict[str, Export]) -> None:
    root = made["acdc"].root
    for split, name in (("training", "patient001"), ("testing", "patient101")):
        folder = root / split / name
        facts = dict(line.split(": ") for line in (folder / "Info.cfg").read_text().splitlines())
        assert list(facts) == ["ED", "ES", "Group", "Height", "NbFrame", "Weight"]
        frames = [f"{name}_frame{int(facts[end]):02d}" for end in ("ED", "ES")]
        expected = {"Info.cfg", f"{name}_4d.nii.gz", *(f"{f}{s}.nii.gz" for f in frames for s in ("", "_gt"))}
        assert files(folder) == expected
        cine = volume(folder / f"{name}_4d.nii.gz")
        assert cine.shape == (48, 48, 9, int(facts["NbFrame"]))
        assert np.array_equal(volume(folder / f"{frames[0]}.nii.gz"), cine[..., int(facts["ED"]) - 1])
        assert set(np.unique(volume(folder / f"{frames[0]}_gt.nii.gz"))) == {0, 1, 2, 3}
    assert files(root) == {f"{a}/{p}" for a in ("training", "testing") for p in files(root / a)}


def test_acdc_labels_give_the_true_volumes_and_groups_meet_their_definition(made: dict[str, Export]) -> None:
    folder = made["acdc"].root / "training" / "patient001"
    known = truth(made["acdc"])
    assert known["group"] == "DCM" and known["truth"]["lvef_pct"] < 40
    ed, es = (folder / f"patient001_frame{known[end] + 1:02d}_gt.nii.gz" for end in ("ed", "es"))
    assert cavity_ml(ed, 3) == pytest.approx(known["truth"]["edv_ml"], rel=0.12)
    assert cavity_ml(es, 3) == pytest.approx(known["truth"]["esv_ml"], rel=0.15)
    assert cavity_ml(ed, 1) == pytest.approx(known["truth"]["rv_edv_ml"], rel=0.2)
    assert cavity_ml(ed, 2) * 1.05 == pytest.approx(known["truth"]["lv_mass_g"], rel=0.2)
    assert (
        truth(made["acdc"], 1)["group"] == "HCM" and max(truth(made["acdc"], 1)["truth"]["segment_thickness_mm"]) > 13
    )


def test_mnms_layout(made: dict[str, Export]) -> None:
    root = made["mnms"].root
    table = root / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
    header = ",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight"
    assert table.read_text().splitlines()[0] == header
    for row, split in zip(rows(table), ("Training/Labeled", "Testing"), strict=True):
        code = row["External code"]
        assert files(root / split / code) == {f"{code}_sa.nii.gz", f"{code}_sa_gt.nii.gz"}
        cine, labels = (volume(root / split / code / f"{code}_sa{s}.nii.gz") for s in ("", "_gt"))
        assert cine.shape == labels.shape == (48, 48, 9, 10)
        marked = np.flatnonzero(labels.any(axis=(0, 1, 2)))
        assert set(marked) == {int(row["ED"]), int(row["ES"])}
        cavity = (labels == 1).sum(axis=(0, 1, 2))
        assert cavity[int(row["ED"])] == cavity.max() > cavity[int(row["ES"])] > 0


def test_mnms_unlabelled_cases_have_empty_labels(tmp_path: Path) -> None:
    index = next(i for i in range(60) if split_of(i, {"a": 150, "b": 136, "c": 34, "Unlabeled": 25})[0] == "Unlabeled")
    from cardiolens.phantom.exports import mnms
    from cardiolens.phantom.exports.build import Case

    record = mnms.LAYOUT.write(Case(index, 1, SHORT, tmp_path))
    assert record["split"] == "Training/Unlabeled" and record["row"][2] == "C"
    assert not volume(next(tmp_path.rglob("*_gt.nii.gz"))).any()


def test_mnms2_layout(made: dict[str, Export]) -> None:
    root = made["mnms2"].root
    assert (root / "dataset_information.csv").read_text().splitlines()[0] == "SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD"
    assert [row["SUBJECT_CODE"] for row in rows(root / "dataset_information.csv")] == ["1", "201"]
    for case in ("001", "201"):
        ends = [f"{end}{gt}" for end in ("ED", "ES") for gt in ("", "_gt")]
        expected = {f"{case}_{view}_{what}.nii.gz" for view in ("SA", "LA") for what in ("CINE", *ends)}
        assert files(root / "dataset" / case) == expected
        assert volume(root / "dataset" / case / f"{case}_LA_ED.nii.gz").shape == (48, 48, 1)
        assert volume(root / "dataset" / case / f"{case}_LA_CINE.nii.gz").shape == (48, 48, 1, 10)
        for view in ("SA", "LA"):
            ed, es = (volume(root / "dataset" / case / f"{case}_{view}_{end}_gt.nii.gz") for end in ("ED", "ES"))
            assert set(np.unique(ed)) == {0, 1, 2, 3} and (ed == 1).sum() > (es == 1).sum()


def test_kaggle_layout_is_read_back_as_the_same_study(made: dict[str, Export]) -> None:
    import cardiolens

    root = made["kaggle"].root
    assert (root / "train.csv").read_text().splitlines()[0] == "Id,Systole,Diastole"
    assert (root / "validate.csv").read_text() == "Id,Systole,Diastole\n"
    assert [row["Id"] for row in rows(root / "solution.csv")] == ["701_Diastole", "701_Systole"]
    study = root / "train" / "train" / "1" / "study"
    names = sorted(p.name for p in study.iterdir())
    assert [n.rsplit("_", 1)[0] for n in names] == ["2ch", "4ch", *["sax"] * 9]
    assert all(len(list(p.glob("IM-????-????.dcm"))) == 10 == len(files(p)) for p in study.iterdir())
    read = cardiolens.read_study(study)
    assert [str(v) for v in read.views] == ["SAX", "2CH", "4CH"] and read.cine("SAX").shape == (9, 10, 48, 48)
    known = truth(made["kaggle"])["truth"]
    row = rows(root / "train.csv")[0]
    assert float(row["Systole"]) == pytest.approx(known["esv_ml"], abs=0.06)
    assert float(row["Diastole"]) == pytest.approx(known["edv_ml"], abs=0.06)


def test_rescan_layout(made: dict[str, Export]) -> None:
    root = made["rescan"].root
    assert files(root) == {
        "test_retest_100/labels.csv",
        *(f"test_retest_100/{n}/{v}.pickle" for n in (1000, 1001) for v in ("2C", "4C", "SAX")),
        *(f"test/scan_00_{w}/{v}.pickle" for w in "AB" for v in ("2C", "4C", "SAX", "SAX_segs")),
    }
    row = rows(root / "test_retest_100" / "labels.csv")[0]
    assert list(row) == ["A", "B1", "B2", "EDV_A", "ESV_A", "EDV_B1", "ESV_B1", "EDV_B2", "ESV_B2"]
    assert (row["A"], row["B1"], row["B2"], row["EDV_B2"]) == ("1000", "1001", "", "")
    known = truth(made["rescan"])["truth"]
    assert all(float(row[f"EDV_{scan}"]) == pytest.approx(known["edv_ml"], rel=0.15) for scan in ("A", "B1"))
    sax, segs, long = (unpickled(root / "test" / "scan_00_A" / f"{v}.pickle") for v in ("SAX", "SAX_segs", "4C"))
    assert sax["image_voxels"].shape == segs["image_segmentation"].shape == (9, 10, 48, 48)
    assert set(np.unique(segs["image_segmentation"])) == {0, 1, 2, 3}
    normal = np.cross(*sax["ImageOrientationPatient"].reshape(2, 3))
    assert np.allclose(np.diff(sax["ImagePositionPatient"] @ normal), -sax["SliceSpacing"], atol=0.01)
    assert long["image_voxels"].shape == (10, 48, 48) and long["ImagePositionPatient"].shape == (3,)
    other = unpickled(root / "test" / "scan_00_B" / "SAX.pickle")
    assert not np.array_equal(other["image_voxels"], sax["image_voxels"])


def test_landmark_layout(made: dict[str, Export]) -> None:
    from PIL import Image

    root = made["landmark"].root
    for view, clockwise in (("lax_2c", True), ("lax_4c", False)):
        table = list(csv.reader(io.StringIO((root / f"{view}.csv").read_text())))
        uids = sorted({row[1] for row in table})
        assert len(uids) == 4 and len(table) == 12 and uids[0] == "0001__00"
        for kind in ("images", "masks"):
            assert files(root / view / kind) == {f"{uid}.png" for uid in uids}
        mask = np.array(Image.open(root / view / "masks" / f"{uids[1]}.png"))
        assert mask.shape == (192, 192) and set(np.unique(mask)) == {0, 85, 170, 255}
        points = []
        for row, grey in zip([row for row in table if row[1] == uids[1]], (85, 170, 255), strict=True):
            y, x = (v.mean() for v in np.nonzero(mask == grey))
            assert (float(row[4]), float(row[5])) == pytest.approx((x, y), abs=1.0)
            points.append((x, y))
        (x1, y1), (x2, y2), (x3, y3) = points
        assert ((y2 - y1) * (x3 - x2) - (x2 - x1) * (y3 - y2) > 0) == clockwise


def test_emidec_layout(made: dict[str, Export]) -> None:
    root = made["emidec"].root
    for case, labels in (("P001", {0, 1, 2, 3}), ("N002", {0, 1, 2})):
        assert {f"Case_{case}/{kind}/Case_{case}.nii.gz" for kind in ("Images", "Contours")} <= files(root)
        text = (root / f"Case {case}.txt").read_text(encoding="latin-1")
        facts = {k.strip(): v.strip() for k, v in (line.split(":") for line in text.splitlines() if ":" in line)}
        assert facts["Sex"] in "FM" and facts["Gap between slices"] == "10 mm"
        assert {int(facts[k]) >= 0 for k in ("Age", "Tobacco", "Killip Max", "FEVG", "NTProBNP")} == {True}
        assert float(facts["Troponin"]) >= 0 and facts["ECG (ST +)"] in "YN"
        image, mask = (volume(root / f"Case_{case}" / kind / f"Case_{case}.nii.gz") for kind in ("Images", "Contours"))
        assert image.shape == mask.shape == (48, 48, 9) and set(np.unique(mask)) - {4} == labels
        if case == "P001":
            assert image[mask == 3].mean() > image[mask == 1].mean() > 2 * image[mask == 2].mean()
    assert len(files(root)) == 7


def test_myops_layout(made: dict[str, Export]) -> None:
    root = made["myops"].root
    assert files(root) == {
        *(f"train25/myops_training_101_{s}.nii.gz" for s in ("C0", "DE", "T2")),
        "train25_myops_gd/myops_training_101_gd.nii.gz",
        *(f"test20/myops_test_201_{s}.nii.gz" for s in ("C0", "DE", "T2")),
    }
    late, wet = (volume(root / "train25" / f"myops_training_101_{s}.nii.gz") for s in ("DE", "T2"))
    labels = volume(root / "train25_myops_gd" / "myops_training_101_gd.nii.gz")
    assert {0, 200, 500, 600, 2221} <= set(np.unique(labels)) <= {0, 200, 500, 600, 1220, 2221}
    assert late[labels == 2221].mean() > 2 * late[labels == 200].mean()
    assert wet[np.isin(labels, (1220, 2221))].mean() > 1.3 * wet[labels == 200].mean()


def test_ukb_layout_is_read_back_as_one_study(made: dict[str, Export], tmp_path: Path) -> None:
    import cardiolens

    root, eid = made["ukb"].root, made["ukb"].cases[0]
    assert {p for p in files(root) if eid in p} == {f"bulk/{f}/{eid}_{f}_2_0.zip" for f in (20208, 20209)}
    header = "eid,31-0.0,21000-0.0,21001-2.0,21003-2.0,2443-2.0,2966-2.0,40007-0.0,40008-0.0,22420-2.0"
    assert (root / "ukb_fields.csv").read_text().splitlines()[0] == header
    row, known = rows(root / "ukb_fields.csv")[0], truth(made["ukb"])
    assert float(row["22420-2.0"]) == pytest.approx(known["truth"]["lvef_pct"], abs=0.1)
    assert bool(row["2966-2.0"]) == known["person"]["hypertension"]
    assert row["31-0.0"] == str(int(known["truth"]["sex"] == "M"))
    for field, series in ((20208, 3), (20209, 9)):
        with zipfile.ZipFile(root / "bulk" / str(field) / f"{eid}_{field}_2_0.zip") as archive:
            lines = archive.read("manifest.cvs").decode().splitlines()
            listed = [line.split(",")[0] for line in lines[1:]]
            assert "series discription" in lines[0] and len(listed) == 10 * series
            assert sorted(archive.namelist()) == sorted(["manifest.cvs", *listed])
            archive.extractall(tmp_path)
    read = cardiolens.read_study(tmp_path)
    assert [str(v) for v in read.views] == ["SAX", "2CH", "3CH", "4CH"] and read.cine("SAX").shape == (9, 10, 48, 48)


def test_labels_lie_where_the_image_lies(made: dict[str, Export]) -> None:
    import nibabel

    folder = made["acdc"].root / "training" / "patient001"
    cine = nibabel.load(folder / "patient001_4d.nii.gz")
    labels = nibabel.load(next(folder.glob("*_frame01_gt.nii.gz")))
    assert np.allclose(cine.affine, labels.affine) and np.linalg.det(cine.affine[:3, :3]) != 0
    frame, mask = np.asarray(cine.dataobj)[..., 0], np.asarray(labels.dataobj)
    assert frame[mask == 3].mean() > 1.25 * frame[mask == 2].mean(), "blood is brighter than muscle"


@pytest.mark.parametrize("name", ["acdc", "ukb", "rescan", "landmark", "myops"])
def test_same_seed_same_bytes_and_another_seed_others(name: str, made: dict[str, Export], tmp_path: Path) -> None:
    again = export(name, tmp_path / "again", 1, 3, scan=SMALL)
    there = hashes(made[name].root)
    same = {k: v for k, v in hashes(again.root).items() if not k.endswith(".csv")}
    assert same and same.items() <= there.items()
    other = export(name, tmp_path / "other", 1, 4, scan=SMALL)
    assert other.hash != again.hash
    differing = [k for k, v in hashes(other.root).items() if not k.endswith(".csv") and there.get(k) != v]
    assert differing, "the files themselves, not the record alone"


def test_killed_run_leaves_no_half_case_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from cardiolens.phantom import exports
    from cardiolens.phantom.exports.build import Case, build

    layout, calls = exports.LAYOUTS["acdc"], []

    def dies(case: Case) -> dict[str, Any]:
        record = layout.write(case)
        calls.append(case.index)
        if case.index == 1:
            raise KeyboardInterrupt
        return record

    out, steps = tmp_path / "out", []
    with pytest.raises(KeyboardInterrupt):
        build(dataclasses.replace(layout, write=dies), out, 3, 5, scan=SHORT)
    assert {p.split("/")[1] for p in files(out / "database")} == {"patient001"}
    assert not list(out.glob(".*")) and json.loads((out / "manifest.json").read_text())["sha256"] is None
    done = export("acdc", out, 3, 5, scan=SHORT, progress=lambda i, n: steps.append((i, n)))
    assert done.made == 2 and steps == [(1, 3), (2, 3), (3, 3)]
    assert hashes(out) == hashes(export("acdc", tmp_path / "whole", 3, 5, scan=SHORT).folder)
    assert export("acdc", out, 3, 5, scan=SHORT).made == 0


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    alone = export("kaggle", tmp_path / "alone", 3, 5, scan=SHORT)
    shared = export(
        "kaggle", tmp_path / "shared", 3, 5, scan=SHORT, workers=2, progress=lambda i, n: steps.append((i, n))
    )
    assert hashes(shared.folder) == hashes(alone.folder)
    assert (shared.cases, shared.made, shared.hash) == (alone.cases, 3, alone.hash)
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(PhantomError, match="workers must be 1 to"):
        export("kaggle", tmp_path / "none", 3, 5, scan=SHORT, workers=0)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_worker_can_be_sent_every_layout(name: str) -> None:
    assert pickle.loads(pickle.dumps(LAYOUTS[name].write)) is LAYOUTS[name].write  # noqa: S301 - made here


def test_a_folder_that_another_process_makes_first_is_filled_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tmp_path / "root" / "training" / "a.txt", tmp_path / "part" / "training" / "b.txt"
    for path in (theirs, ours):
        path.parent.mkdir(parents=True)
        path.write_text(path.name)
    answers = iter([False])  # it was not there when this process looked
    there = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: next(answers, there(path)))
    _place(tmp_path / "part", tmp_path / "root")
    monkeypatch.undo()
    assert files(tmp_path / "root") == {"training/a.txt", "training/b.txt"}


def test_refuses_what_it_cannot_make(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.docx").write_text("mine")
    with pytest.raises(PhantomError, match="holds no phantom export"):
        export("acdc", tmp_path / "taken", 1, 1)
    with pytest.raises(PhantomError, match="unknown data set 'adcc'"):
        export("adcc", tmp_path / "new", 1, 1)
    with pytest.raises(PhantomError, match="numbers 150 cases"):
        export("acdc", tmp_path / "new", 151, 1)
    with pytest.raises(PhantomError, match="seed must be"):
        export("acdc", tmp_path / "new", 1, -1)
    with pytest.raises(PhantomError, match="phases must be"):
        Scan(phases=(9, 8))
    assert not (tmp_path / "new").exists()


def test_refuses_another_export_in_its_folder(made: dict[str, Export]) -> None:
    folder = made["emidec"].folder
    before = hashes(folder)
    with pytest.raises(PhantomError, match="seed 3 \\(asked: 4\\)"):
        export("emidec", folder, 2, 4, scan=SMALL)
    with pytest.raises(PhantomError, match="dataset 'emidec'"):
        export("myops", folder, 2, 3, scan=SMALL)
    with pytest.raises(PhantomError, match="an export of 2 cases"):
        export("emidec", folder, 1, 3, scan=SMALL)
    assert hashes(folder) == before


def test_splits_keep_their_shares_and_never_overflow() -> None:
    shares = {"train": 100, "test": 50}
    placed = [split_of(i, shares) for i in range(150)]
    assert len(set(placed)) == 150
    assert max(place for name, place in placed if name == "train") == 99
    assert [name for name, _ in placed[:3]].count("train") == 2

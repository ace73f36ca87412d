"""M&Ms, M&Ms-2, EMIDEC, MyoPS and ACDC: masks under common names on the right images; what does not fit is told."""

import dataclasses
import gzip
import json
import re

import nibabel
import numpy as np
import pandas as pd
import pytest

from cardiolens.datasets import Split, mnms2
from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import DATASETS, find_dataset
from cardiolens.datasets.labelled import PATHOLOGY, LabelledFrames, relabel, volumes
from cardiolens.datasets.layout import Options, tally
from cardiolens.datasets.masks import WITH_MASKS, each_labelled, load_masks
from cardiolens.errors import GeometryError, InputError, ReadError, ReportError
from cardiolens.segmentation import STRUCTURES
from cardiolens.store import StudyStore
from cardiolens.study import Cine, View

MNMS_TABLE = "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"


def look(name, folder):
    return find_dataset(name).look_through(folder)


def named(found, name):
    return next(case for case in found.cases if case.name == name)


def labelled(name, folder, part=None):
    """Case to frames, and what was skipped."""
    skipped = []
    return {case.name: frames for case, frames in each_labelled(name, folder, skipped, part=part)}, skipped


def truths(exports, name):
    return {path.stem: json.loads(path.read_text()) for path in (exports[name].parent / "truth").glob("*.json")}


def rewrite(path, change):
    """Put `change` of a NIfTI file's values in their place."""
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj).copy())
    nibabel.save(nibabel.Nifti1Image(values, image.affine), path)


def one(folder, pattern):
    return sorted(folder.rglob(pattern))[0]


@pytest.mark.parametrize("name", ["acdc", "mnms", "mnms2", "emidec", "myops"])
def test_every_mask_lies_on_its_image_under_the_common_names(exports, name):
    found, skipped = labelled(name, exports[name])
    assert found and all(remark.what == "no masks published" for remark in skipped)
    for frames in (each for some in found.values() for each in some):
        pixels = frames.frames().astype(float)
        assert pixels.shape == frames.labels.shape and frames.cine.spacing_mm is not None
        cavity, muscle = (frames.mask(part) for part in ("LV cavity", "LV myocardium"))
        assert cavity.any() and muscle.any() and not (cavity & muscle).any()
        brighter = -1 if frames.sequence == "T2" else 1  # black blood
        assert brighter * (pixels[cavity].mean() - pixels[muscle].mean()) > 0
        whole = frames.segmentation()
        assert whole.labels.shape == frames.labels.shape
        drawn = sum(frames.mask(part).sum() for part in frames.structures if part in PATHOLOGY)
        assert whole.mask("LV myocardium").sum() == muscle.sum() + drawn


@pytest.mark.parametrize(
    ("name", "own"), [("acdc", {3: "LV cavity", 1: "RV cavity"}), ("mnms2", {1: "LV cavity", 3: "RV cavity"})]
)
def test_counts_are_those_of_the_files_under_their_own_labels(exports, name, own):
    found, _ = labelled(name, exports[name])
    case, frames = next(iter(found.items()))
    files = sorted(exports[name].rglob(f"{case}_*{'SA_E' if name == 'mnms2' else 'frame'}*_gt.nii.gz"))
    for value, structure in own.items():
        counts = [int((np.asarray(nibabel.load(path).dataobj) == value).sum()) for path in files]
        assert sorted(counts) == sorted(frames[0].mask(structure).sum((0, 2, 3)).tolist())


def test_mnms_comes_into_a_store_with_labels_phases_and_split(exports, tmp_path):
    done = import_dataset("mnms", exports["mnms"].parent, tmp_path / "store", workers=1)
    store = StudyStore(tmp_path / "store")
    labels, known = store.labels(), truths(exports, "mnms")
    assert set(done.keys) == set(known) and not done.found.skipped
    for case, key in done.keys.items():
        truth = known[case]
        assert key == f"mnms_{case}/{case}" and labels.loc[key, "Pathology"] == truth["group"]
        assert (labels.loc[key, "ED"], labels.loc[key, "ES"]) == (truth["ed"], truth["es"])
        assert labels.loc[key, "sex"] == truth["parameters"]["sex"] and labels.loc[key, "Vendor"] in "ABCD"
    case, key = next((case, key) for case, key in done.keys.items() if key in done.masked)
    drawn = store.annotations(key)[View.SAX]
    assert (drawn.source, drawn.ed, drawn.es) == ("mnms", known[case]["ed"], known[case]["es"])
    (frames,) = load_masks("mnms", next(one for one in done.found.cases if one.name == case))
    np.testing.assert_array_equal(drawn.at(drawn.es), frames.labels[:, frames.place("ES")])
    assert len(done.masked) == len(known) - 1
    assert [remark.what for remark in done.unmasked] == ["no masks published"]
    split = Split.load(tmp_path / "store" / "splits" / "mnms_official.json")
    assert sum(len(split[part]) for part in ("train", "val", "test")) == len(known) - 1  # Unlabeled is in none
    labelled_ones = labels[labels["lvef"].notna()]
    errors = [abs(row["lvef"] - known[key.split("/")[1]]["truth"]["lvef_pct"]) for key, row in labelled_ones.iterrows()]
    assert len(errors) == len(known) - 1 and np.median(errors) < 12  # 5 planes of 10 mm pixels


def test_mnms_masks_stand_on_the_frames_of_the_table(exports):
    found, skipped = labelled("mnms", exports["mnms"])
    known = truths(exports, "mnms")
    for case, (frames,) in found.items():
        assert frames.names == ("ED", "ES") and frames.phases == (known[case]["ed"], known[case]["es"])
        ed, es = frames.mask("LV cavity").sum((0, 2, 3))
        assert ed > es and volumes(frames)["lvef"] == pytest.approx(100 * (1 - es / ed))
    assert tally(skipped) == {"no masks published": 1}
    train, _ = labelled("mnms", exports["mnms"], "train")
    assert set(train) < set(found)
    with pytest.raises(InputError, match="no case of the part"):
        labelled("landmark", exports["landmark"], "val")


def spoil_table(folder, change):
    path = folder / MNMS_TABLE
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)


def test_a_case_without_a_row_keeps_its_cine_and_is_told(copy_of):
    folder = copy_of("mnms")
    gone = one(folder / "Training" / "Labeled", "*_sa.nii.gz").parent.name
    spoil_table(folder, lambda table: table[table["External code"] != gone])
    found = look("mnms", folder)
    assert tally(found.remarks) == {"no row in the table: all labels are missing": 1}
    assert dict(named(found, gone).labels) == {"case": gone}
    with pytest.raises(ReadError, match="ED is None"):
        load_masks("mnms", named(found, gone))


@pytest.mark.parametrize(("value", "told"), [("99", "frames 0 to 7"), ("", "ED is nan"), ("2.5", "ED is 2.5")])
def test_a_frame_that_the_cine_has_not_leaves_volumes_missing(copy_of, value, told):
    folder = copy_of("mnms")
    code = one(folder / "Validation", "*_sa.nii.gz").parent.name

    def change(table):
        table.loc[table["External code"] == code, "ED"] = value
        return table

    spoil_table(folder, change)
    found = look("mnms", folder)
    (remark,) = found.remarks
    assert remark.case == code and told in remark.detail and "lvef" not in named(found, code).labels


def test_masks_at_one_end_only_give_that_end_and_no_fraction(copy_of):
    folder = copy_of("mnms")
    path = one(folder / "Testing", "*_sa_gt.nii.gz")
    code = path.parent.name
    es = int(named(look("mnms", folder), code).labels["ES"])

    def without_es(values):
        values[..., es] = 0
        return values

    rewrite(path, without_es)
    found = look("mnms", folder)
    (remark,) = found.remarks
    assert remark.case == code and f"nothing is drawn at ES, frame {es}" in remark.detail
    (frames,) = load_masks("mnms", named(found, code))
    assert frames.names == ("ED",) and np.isnan(volumes(frames)["lvef"]) and volumes(frames)["edv"] > 0
    with pytest.raises(ReadError, match="no ES was drawn"):
        frames.place("ES")
    rewrite(path, np.zeros_like)
    with pytest.raises(ReadError, match="frames with masks"):
        load_masks("mnms", named(found, code))


def test_masks_at_further_frames_are_left_out_and_told(copy_of):
    folder = copy_of("mnms")
    path = one(folder / "Testing", "*_sa_gt.nii.gz")

    def everywhere(values):
        values[..., :] = values.max(axis=-1, keepdims=True)
        return values

    rewrite(path, everywhere)
    found = look("mnms", folder)
    assert tally(found.remarks) == {"masks and table do not quite fit": 1}
    (frames,) = load_masks("mnms", named(found, path.parent.name))
    assert len(frames.phases) == 2 and "left out" in frames.notes[0]


def test_a_number_that_is_none_is_missing_and_told_and_a_double_row_is_an_error(copy_of):
    folder = copy_of("mnms")

    def tall(table):
        table.loc[0, "Height"] = "tall"
        return table

    spoil_table(folder, tall)
    found = look("mnms", folder)
    assert tally(found.remarks) == {"a field that is no number": 1}
    spoil_table(folder, lambda table: pd.concat([table, table[:1]]))
    with pytest.raises(ReportError, match="more than once"):
        look("mnms", folder)


def corrupt(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_plane(path):
    rewrite(path, lambda values: values[:, :, 1:])


def strange_label(path):
    rewrite(path, lambda values: np.where(values > 0, 77, values).astype(np.int16))


def mirrored(path):
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine @ np.diag([1.0, 1.0, -1.0, 1.0])), path)


FAULTS = [(corrupt, "cannot be read|not a readable"), (cut_plane, "shape"), (strange_label, "other labels")]
MASKS = {
    "acdc": "*_gt.nii.gz",
    "mnms": "*_sa_gt.nii.gz",
    "mnms2": "*_SA_ED_gt.nii.gz",
    "emidec": "Contours/*",
    "myops": "*_gd.nii.gz",
}


@pytest.mark.parametrize(("spoil", "told"), FAULTS, ids=lambda each: getattr(each, "__name__", ""))
@pytest.mark.parametrize("name", list(MASKS))
def test_a_spoilt_mask_skips_its_case_alone(copy_of, name, spoil, told):
    folder = copy_of(name)
    whole, before = labelled(name, folder)
    path = one(folder, MASKS[name]) if name != "emidec" else next(folder.glob("Case_*/Contours/*"))
    spoil(path)
    found, skipped = labelled(name, folder)
    assert len(found) == len(whole) - 1 and len(skipped) == len(before) + 1
    assert any(re.search(told, remark.detail) for remark in skipped)


@pytest.mark.parametrize("name", ["mnms", "mnms2", "emidec", "myops"])
def test_a_mask_that_its_header_mirrors_is_refused(copy_of, name):
    folder = copy_of(name)
    mirrored(one(folder, MASKS[name]) if name != "emidec" else next(folder.glob("Case_*/Contours/*")))
    _, skipped = labelled(name, folder)
    assert any("turns or mirrors" in remark.detail for remark in skipped)


def test_mnms2_gives_both_views_of_a_still_and_the_cines_for_a_store(exports, tmp_path):
    found = look("mnms2", exports["mnms2"].parent)
    assert [(case.name, case.part) for case in found.cases] == [("001", "train"), ("161", "val"), ("201", "test")]
    study = mnms2.read_case(found.cases[0].unit.paths)
    assert study.views == (View.SAX, View.CH4) and study.cine("SAX").n_phases == 8
    sax, four = load_masks("mnms2", found.cases[0])
    assert (sax.cine.view, four.cine.view) == (View.SAX, View.CH4) and sax.names == four.names == ("ED", "ES")
    truth = truths(exports, "mnms2")["001"]
    for place, phase in enumerate((truth["ed"], truth["es"])):
        np.testing.assert_array_equal(sax.frames()[:, place], study.cine("SAX").frames[:, phase])
    assert found.cases[0].labels["DISEASE"] == truth["group"] and found.cases[0].labels["FIELD"] == 1.5


def test_mnms2_with_one_end_one_view_and_an_empty_row(copy_of):
    folder = copy_of("mnms2")
    (folder / "dataset" / "001" / "001_SA_ES_gt.nii.gz").unlink()
    for path in (folder / "dataset" / "161").glob("*_LA_*"):
        path.unlink()
    table = folder / mnms2.TABLE
    kept = [line for line in table.read_text().splitlines() if not line.startswith("201,")]
    table.write_text("\n".join([*kept, ",,,,", ""]))
    found = look("mnms2", folder)
    assert tally(found.remarks) == {
        "a mask at one end of the beat only: LVEF is missing": 1,
        "no LA_CINE": 1,
        "no row in the table: all labels are missing": 1,
    }
    assert np.isnan(named(found, "001").labels["lvef"]) and named(found, "161").labels["lvef"] > 0
    assert load_masks("mnms2", named(found, "001"))[0].names == ("ED",)
    assert len(load_masks("mnms2", named(found, "161"))) == 1
    (folder / "dataset" / "001" / "001_SA_ED.nii.gz").unlink()
    assert "no usable masks: volumes and LVEF are missing" in tally(look("mnms2", folder).remarks)


def test_emidec_tells_infarct_from_muscle_and_keeps_the_clinic(exports):
    found = look("emidec", exports["emidec"])
    known = truths(exports, "emidec")
    assert {case.labels["pathology"] for case in found.cases} == {"normal", "infarction"}
    for case in found.cases:
        (frames,) = load_masks("emidec", case)
        assert frames.sequence == "LGE" and frames.cine.n_phases == 1
        assert frames.mask("scar").sum() == known[case.name]["infarct_voxels"]
        assert case.labels["sex"] == known[case.name]["parameters"]["sex"] and 0 < case.labels["FEVG"] < 90
        if frames.mask("scar").any():
            pixels = frames.frames().astype(float)
            assert pixels[frames.mask("scar")].mean() > 1.5 * pixels[frames.mask("LV myocardium")].mean()
    assert any(truth["infarct_voxels"] for truth in known.values())


def test_emidec_without_text_or_contours(copy_of):
    folder = copy_of("emidec")
    next(folder.glob("Case P*.txt")).write_text("Age : seventy\nSex : F\n")
    for path in (next(folder.glob("Case_N*")) / "Contours").iterdir():
        path.unlink()
    (next(folder.glob("Case_N*")) / "Contours").rmdir()
    found = look("emidec", folder)
    assert tally(found.remarks) == {
        "no usable text file: clinical facts are missing": 1,
        "no Contours: a case of the test set": 1,
    }
    assert sorted(case.part for case in found.cases) == ["test", "train"]
    assert tally(labelled("emidec", folder)[1]) == {"no masks published": 1}


def test_myops_gives_one_mask_on_three_sequences(exports):
    found, skipped = labelled("myops", exports["myops"])
    assert tally(skipped) == {"no masks published": 1}
    for some in found.values():
        assert [each.sequence for each in some] == ["bSSFP still", "LGE", "T2"]
        for each in some[1:]:
            np.testing.assert_array_equal(each.labels, some[0].labels)
            assert not np.array_equal(each.frames(), some[0].frames())
    infarcts = [each for some in found.values() for each in some if each.sequence == "LGE" and each.mask("scar").any()]
    assert infarcts


def test_myops_without_a_sequence_is_skipped(copy_of):
    folder = copy_of("myops")
    one(folder, "*_T2.nii.gz").unlink()
    found = look("myops", folder)
    assert tally(found.skipped) == {"a sequence is absent": 1} and len(found.cases) == 2


@pytest.mark.parametrize(
    "name", ["mnms", "mnms2", "emidec", "myops", "rescan", "landmark", "sunnybrook", "sunnybrook_edes"]
)
def test_a_folder_of_something_else_shows_the_layout_and_a_case_can_be_left_out(exports, tmp_path, name):
    with pytest.raises(ReadError, match="Expected"):
        look(name, tmp_path)
    if name.startswith("sunnybrook"):
        return
    first = look(name, exports[name]).cases[0].name
    out = tmp_path / "out.csv"
    out.write_text(f"{first}\n")
    found = find_dataset(name).look_through(exports[name], Options(exclude=out))
    assert tally(found.skipped) == {"on the exclusion list": 1} and first not in {case.name for case in found.cases}


def test_every_data_set_tells_what_was_and_was_not_verified():
    for dataset in DATASETS.values():
        assert dataset.verified and (dataset.unverified or dataset.own_site) and dataset.citation
    assert set(WITH_MASKS) == {
        "acdc",
        "mnms",
        "mnms2",
        "emidec",
        "myops",
        "rescan",
        "sunnybrook",
        "sunnybrook_edes",
        "ukbb_cardiac",
    }
    with pytest.raises(InputError, match="kaggle has no masks"):
        load_masks("kaggle", None)


def frames_of(labels, **more):
    cine = Cine(View.SAX, np.zeros((2, 3, 4, 4)), spacing_mm=(1.0, 2.0), slice_positions_mm=np.array([0.0, 10.0]))
    known = {"phases": (0, 2), "names": ("ED", "ES"), "structures": ("LV cavity", "scar")}
    return LabelledFrames(cine, labels=labels, **{**known, **more})


def test_frames_refuse_what_does_not_fit():
    empty = np.zeros((2, 2, 4, 4), np.uint8)
    assert frames_of(empty).segmentation().structures == ("LV cavity",)
    with pytest.raises(GeometryError, match="masks have shape"):
        frames_of(empty[:1])
    for more in ({"phases": (0, 3)}, {"phases": (0, 0)}, {"names": ("ED",)}):
        with pytest.raises(ReadError, match="phases"):
            frames_of(empty, **more)
    with pytest.raises(GeometryError, match="drawn"):
        frames_of(empty, drawn=np.ones((2, 1), bool))
    with pytest.raises(ReadError, match="stands for none"):
        frames_of(empty + np.uint8(STRUCTURES["RV cavity"]))
    with pytest.raises(ValueError, match="unknown structures"):
        frames_of(empty, structures=("aorta",))
    with pytest.raises(ValueError, match="not drawn here"):
        frames_of(empty).mask("RV cavity")
    with pytest.raises(ReadError, match=r"other labels \(2\.5\)"):
        relabel(np.array([0, 2.5]), {2: "LV cavity"}, "x")


def test_volumes_follow_voxels_spacing_and_what_was_drawn():
    labels = np.zeros((2, 2, 4, 4), np.uint8)
    labels[:, 0, :2], labels[:, 1, :1] = STRUCTURES["LV cavity"], STRUCTURES["LV cavity"]
    found = volumes(frames_of(labels))
    assert found == {"edv": pytest.approx(0.32), "esv": pytest.approx(0.16), "lvef": pytest.approx(50.0)}
    none = volumes(frames_of(np.zeros_like(labels)))
    assert all(map(np.isnan, none.values()))
    flat = dataclasses.replace(frames_of(labels).cine, spacing_mm=None)
    bare = volumes(LabelledFrames(flat, (0, 2), ("ED", "ES"), labels, ("LV cavity",)))
    assert np.isnan(bare["edv"]) and bare["lvef"] == 50.0


def test_an_archive_member_that_is_no_gzip_is_told(copy_of):
    folder = copy_of("mnms2")
    path = folder / "dataset" / "001" / "001_SA_ED_gt.nii.gz"
    path.write_bytes(gzip.compress(b"not an image"))
    _, skipped = labelled("mnms2", folder)
    assert [remark.case for remark in skipped] == ["001"] and "not a readable NIfTI" in skipped[0].detail

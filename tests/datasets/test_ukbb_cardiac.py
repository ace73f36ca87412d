"""UK Biobank as NIfTI with masks: chambers under common names, the fuller of two files, what is amiss told."""

import nibabel
import numpy as np
import pytest

from cardiolens.datasets.bring_in import import_dataset
from cardiolens.datasets.catalogue import find_dataset
from cardiolens.datasets.layout import Options, tally
from cardiolens.datasets.masks import each_labelled, load_masks
from cardiolens.errors import GeometryError, ReadError
from cardiolens.phantom import masks
from cardiolens.phantom.exports.hearts import Group, draw_heart
from cardiolens.phantom.exports.scan import Scan, save_nifti, scan_heart
from cardiolens.store import StudyStore
from cardiolens.study import View

FILES = {"sa": View.SAX, "la_2ch": View.CH2, "la_4ch": View.CH4}
SMALL = Scan(matrix=48, field_mm=340.0, phases=(6, 6), sax_planes=(6, 6))


@pytest.fixture(scope="module")
def made():
    heart = draw_heart(np.random.default_rng(5), Group("any", None))
    study = scan_heart(heart, SMALL, np.random.default_rng(6), tuple(FILES.values()))
    return {name: (study.cine(view), masks(heart, study.cine(view))) for name, view in FILES.items()}


@pytest.fixture
def folder(made, tmp_path):
    top = tmp_path / "data" / "9000001"
    for name, (cine, labels) in made.items():
        save_nifti(top / f"{name}.nii.gz", cine.frames.astype(np.int16), cine)
        if name == "sa":
            save_nifti(top / "seg_sa.nii.gz", np.where(labels <= 3, labels, 0).astype(np.uint8), cine)
        else:
            atria = np.array([0, 0, 0, 0, 1, 2 if name == "la_4ch" else 0], np.uint8)[labels]
            save_nifti(top / f"seg_{name}.nii.gz", atria, cine)
    return tmp_path / "data"


def test_chambers_of_three_views_come_under_common_names(folder, made):
    ((case, found),) = each_labelled("ukbb_cardiac", folder, [])
    assert case.name == "9000001"
    views = {frames.cine.view: frames for frames in found}
    assert views[View.SAX].structures == ("LV cavity", "LV myocardium", "RV cavity")
    assert views[View.CH2].structures == ("LA",) and views[View.CH4].structures == ("LA", "RA")
    for name, view in FILES.items():
        cine, truth = made[name]
        for structure, value in (("LV cavity", 1), ("LA", 4), ("RA", 5)):
            if structure in views[view].structures:
                np.testing.assert_array_equal(views[view].mask(structure), truth == value)
        np.testing.assert_array_equal(views[view].frames(), cine.frames.astype(np.int16))
    cavity = views[View.SAX].mask("LV cavity").sum((0, 2, 3))
    for frames in found:
        assert frames.place("ED") == 0 and frames.place("ES") == cavity.argmin()


def test_the_file_of_all_chambers_is_preferred(folder, made):
    cine, labels = made["la_4ch"]
    save_nifti(folder / "9000001" / "seg4_la_4ch.nii.gz", labels.astype(np.uint8), cine)
    ((_, found),) = each_labelled("ukbb_cardiac", folder, [])
    (four,) = [frames for frames in found if frames.cine.view is View.CH4]
    assert four.structures == ("LV cavity", "LV myocardium", "RV cavity", "LA", "RA")
    np.testing.assert_array_equal(four.labels, labels)


def test_cines_and_fields_come_into_a_store_under_pseudonyms(folder, tmp_path):
    table = tmp_path / "fields.csv"
    table.write_text("eid,31-0.0,21001-2.0,22420-2.0\n9000001,1,27.5,58\n")
    done = import_dataset("ukbb_cardiac", folder, tmp_path / "store", Options(table=table), workers=1)
    (key,) = done.keys.values()
    assert "9000001" not in key and StudyStore(tmp_path / "store").read(key).views == tuple(FILES.values())
    labels = StudyStore(tmp_path / "store").labels().loc[key]
    assert (labels["lvef"], labels["sex"], labels["bmi"]) == (58, "M", 27.5)


def test_faults_are_told(folder, tmp_path, made):
    table = tmp_path / "fields.csv"
    table.write_text("eid,31-0.0\n9000002,1\n")
    look = find_dataset("ukbb_cardiac").look_through
    assert tally(look(folder, Options(table=table)).remarks) == {"no row in the table: all labels are missing": 1}
    (case,) = look(folder).cases
    path = folder / "9000001" / "seg_sa.nii.gz"
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[..., :-1], image.affine), path)
    with pytest.raises(GeometryError, match="shape"):
        load_masks("ukbb_cardiac", case)
    path.unlink()
    (folder / "9000001" / "la_2ch.nii.gz").unlink()
    with pytest.raises(ReadError, match="no such file"):
        load_masks("ukbb_cardiac", look(folder).cases[0])
    for each in folder.rglob("seg_*"):
        each.unlink()
    assert tally(look(folder).remarks) == {"no masks": 1}
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ReadError, match="Expected"):
        look(tmp_path / "nothing")

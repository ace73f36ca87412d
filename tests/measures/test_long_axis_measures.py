"""Long-axis function and walls against the phantom, references, corrections by a reader."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from cardiolens.errors import GeometryError, InputError, ReadError
from cardiolens.measures import bsa_m2, correct, landmarks_from_points, measure, references, wall_thickness, z_scores
from cardiolens.phantom import landmarks, truth_of
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine, View


@pytest.fixture(scope="module")
def measured(phantom_heart):
    heart, segmentations = phantom_heart
    return truth_of(heart), measure(segmentations, sex="M", age=55, height_cm=175, weight_kg=78)


def test_every_figure_of_a_phantom_is_near_its_truth(measured) -> None:
    truth, found = measured
    near = {
        "lv_edv_ml": (truth.edv_ml, 0.04), "lv_esv_ml": (truth.esv_ml, 0.12), "lv_mass_g": (truth.lv_mass_g, 0.06),
        "rv_edv_ml": (truth.rv_edv_ml, 0.12), "rv_esv_ml": (truth.rv_esv_ml, 0.15),
        "lv_length_ed_mm": (truth.lv_length_mm, 0.03), "la_max_ml": (truth.la_volume_ml, 0.15),
        "la_min_ml": (truth.la_min_ml, 0.2), "ra_max_ml": (truth.ra_volume_ml, 0.25),
        "lv_edv_long_axis_ml": (truth.edv_ml, 0.08), "lv_esv_long_axis_ml": (truth.esv_ml, 0.1),
        "mapse_axial_mm": (truth.mapse_mm, 0.15),
    }  # fmt: skip
    for name, (true, tolerance) in near.items():
        assert getattr(found, name) == pytest.approx(true, rel=tolerance), name
    assert found.lvef_pct == pytest.approx(truth.lvef_pct, abs=3)
    assert found.gls_pct == pytest.approx(truth.gls_pct, abs=3)
    assert found.indexed["lv_edvi_ml_m2"] == pytest.approx(found.lv_edv_ml / truth.bsa_m2)
    assert set(found.by_view) == {"2CH", "4CH"}


def test_the_thick_segment_is_found_where_it_is(measured) -> None:
    truth, found = measured
    assert int(np.argmax(found.wall_ed_mm)) == 1  # AHA segment 2
    error = np.array(found.wall_ed_mm) - truth.segment_thickness_mm
    assert abs(error.mean()) < 0.4
    assert error.std() < 0.8
    assert len(found.wall_thickening_pct) == 16


def test_segments_do_not_depend_on_how_the_image_lies(phantom_heart, measured) -> None:
    _, segmentations = phantom_heart
    stack = segmentations[0]
    found = measured[1]
    for turn in (
        lambda a: np.rot90(a, 1, axes=(2, 3)),
        lambda a: a[::-1, :, :, ::-1],  # seen from the base: planes and columns both reversed
    ):
        labels = np.ascontiguousarray(turn(stack.labels))
        cine = Cine(
            View.SAX,
            np.zeros(labels.shape, np.uint8),
            spacing_mm=stack.cine.spacing_mm,
            slice_positions_mm=stack.cine.slice_positions_mm,
        )
        walls = wall_thickness(Segmentation(cine, labels), found.ed_phase, None)
        assert not isinstance(walls, str), walls
        assert walls.ed_mm == pytest.approx(np.array(found.wall_ed_mm), abs=0.5)
        assert walls.es_mm is None


def test_walls_without_a_right_ventricle_are_refused(phantom_heart) -> None:
    _, segmentations = phantom_heart
    labels = segmentations[0].labels.copy()
    labels[labels > 2] = 0
    found = measure([Segmentation(segmentations[0].cine, labels, ("LV cavity", "LV myocardium"))])
    assert found.wall_ed_mm == ()
    assert "septum" in found.refused["wall_ed_mm"]


def test_points_that_a_model_sets_give_mapse_and_shortening(phantom_heart) -> None:
    heart, segmentations = phantom_heart
    cine = segmentations[1].cine
    marks = landmarks(heart, cine)
    points = np.stack([marks[name][0] for name in ("mitral_1", "mitral_2", "apex")], axis=1)
    found = landmarks_from_points(points, cine.spacing_mm)
    es = measure([segmentations[1]]).by_view["2CH"]["es_phase"]
    assert found.mapse_axial_mm(0, int(es)) == pytest.approx(heart.mapse_mm, abs=1.0)
    assert found.gls_pct(0, int(es)) == pytest.approx(truth_of(heart).gls_pct, abs=1.0)
    with pytest.raises(InputError, match="need"):
        landmarks_from_points(np.zeros((3, 2)), (1.0, 1.0))


def test_a_long_axis_without_spacing_is_refused_by_name(phantom_heart) -> None:
    bare = phantom_heart[1][1]
    cine = Cine(View.CH2, bare.cine.frames, source="bare")
    found = measure([Segmentation(cine, bare.labels)])
    assert found.mapse_mm is None
    assert "pixel spacing" in found.refused["mapse_mm"]
    assert "no short-axis" in found.refused["lv_edv_ml"]


def test_body_surface_and_scores() -> None:
    assert bsa_m2(180, 80) == pytest.approx(2.0)
    assert bsa_m2(180, 80, "dubois") == pytest.approx(1.996, abs=0.002)
    with pytest.raises(InputError, match="cm"):
        bsa_m2(1.8, 80)
    scores, flags = z_scores({"lvef_pct": 51.0, "mapse_mm": 12.0}, "F", 60)
    assert scores == {"lvef_pct": pytest.approx(-2.0)}
    assert flags == ()
    scores, flags = z_scores({"lvef_pct": 51.0}, "F", 30)
    assert scores == {}
    assert flags[0].code == "outside_reference"


def test_reference_figures_agree_with_each_other() -> None:
    table = {(r.figure, r.sex): r.mean for r in references()}
    for sex, surface in (("F", 1.67), ("M", 1.96)):
        assert table["lv_sv_ml", sex] / table["lv_svi_ml_m2", sex] == pytest.approx(surface, rel=0.01)
    assert all("not checked" not in r.read_from for r in references())


RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _save(labels: np.ndarray, affine: np.ndarray, path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.transpose(labels, (3, 2, 0, 1)), RAS @ affine), path)
    return path


def test_a_corrected_phase_changes_the_figures_and_is_told(phantom_heart, tmp_path) -> None:
    stack = phantom_heart[1][0]
    before = measure([stack])
    es = before.es_phase
    one = stack.labels[:, [es]].copy()
    one[one == 1] = 2
    one[4:7] = stack.labels[4:7, [es]]
    path = _save(one, stack.cine.affine, tmp_path / "es.nii.gz")
    better = correct(stack, path, phases=[es])
    after = measure([better], es=es)
    assert after.lv_esv_ml < 0.8 * before.lv_esv_ml
    assert after.lv_edv_ml == before.lv_edv_ml
    assert any("corrected by es.nii.gz" in note for note in after.notes)
    assert after.sources["SAX"] == "phantom, corrected"
    part = correct(stack, path, phases=[es], planes=[7, 8])
    assert np.array_equal(part.labels[:7], stack.labels[:7])
    with pytest.raises(InputError, match="say which"):
        correct(stack, path)


def test_a_mask_saved_with_other_axes_lands_on_the_same_voxels(phantom_heart, tmp_path) -> None:
    stack = phantom_heart[1][0]
    image = nibabel.Nifti1Image(np.transpose(stack.labels, (3, 2, 0, 1)), RAS @ stack.cine.affine)
    turned = nibabel.as_closest_canonical(image)
    assert turned.shape != image.shape or not np.allclose(turned.affine, image.affine)
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    empty = Segmentation(stack.cine, np.zeros_like(stack.labels))
    assert np.array_equal(correct(empty, tmp_path / "turned.nii.gz").labels, stack.labels)


def test_a_mask_on_another_grid_is_refused(phantom_heart, tmp_path) -> None:
    stack = phantom_heart[1][0]
    moved = stack.cine.affine.copy()
    moved[:3, 3] += 5.0
    with pytest.raises(GeometryError, match="voxels off"):
        correct(stack, _save(stack.labels, moved, tmp_path / "a.nii.gz"))
    wide = stack.cine.affine @ np.diag([1.5, 1.5, 1, 1])
    with pytest.raises(GeometryError, match="pixel size"):
        correct(stack, _save(stack.labels, wide, tmp_path / "b.nii.gz"))
    with pytest.raises(GeometryError, match="planes, rows"):
        correct(stack, _save(stack.labels[:5], stack.cine.affine, tmp_path / "c.nii.gz"))
    with pytest.raises(InputError, match="9"):
        correct(stack, _save(np.full_like(stack.labels, 9), stack.cine.affine, tmp_path / "d.nii.gz"))
    with pytest.raises(InputError, match="phases"):
        correct(stack, _save(stack.labels, stack.cine.affine, tmp_path / "e.nii.gz"), phases=[99])
    with pytest.raises(ReadError, match="no such file"):
        correct(stack, tmp_path / "none.nii.gz")

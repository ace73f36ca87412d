"""A study in, contours and figures out: corrections, chosen phases, and input that is not as it should be."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest

from cardiolens.contours import read_correction, segment_study
from cardiolens.errors import GeometryError, InputError, NoCineError, ReadError
from cardiolens.io.masks import encode_masks
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Refusal, Study, View
from drawn_phantom import PHASES, Oracle, other, parameters, phantom, planes, truth


@pytest.fixture(scope="module")
def result():
    return segment_study(phantom(), Oracle())


def of(cine, **options):
    return segment_study(Study((cine,)), Oracle(), **options)


def codes(result):
    return {flag.code for flag in result.measures.flags}


def test_every_view_is_drawn_and_measured(result):
    assert [one.view for one in result.segmentations] == ["SAX", "4CH"]
    assert result.measures.lvef_pct == pytest.approx(parameters().lvef_pct, abs=4)
    assert (result.changes, result.before, result.automatic) == ((), None, ())
    assert set(result.provenance["labels_sha256"]) == {"SAX", "4CH"}


def test_only_the_views_asked_for_are_drawn():
    oracle = Oracle()
    found = segment_study(phantom(), oracle, only=[View.SAX])
    assert [one.view for one in found.segmentations] == oracle.drawn == ["SAX"]


def test_a_view_that_fails_is_skipped_with_its_reason_and_the_others_go_on():
    class Failing(Oracle):
        def __call__(self, study, views=None, *, progress=None):
            if View.CH4 in views:
                raise ReadError("all pixels are the same")
            return super().__call__(study, views, progress=progress)

    found = segment_study(phantom(), Failing())
    assert dict(found.skipped) == {"4CH": "all pixels are the same"}
    assert found.measures.lvef_pct is not None


# Corrections ---------------------------------------------------------------------------------------------------------


def corrected(result, folder, change, name="mask_SAX.nii.gz"):
    auto = result.segmentation("SAX")
    labels = auto.labels.copy()
    change(labels)
    (folder / name).write_bytes(encode_masks(Segmentation(auto.cine, labels)))
    return read_correction(folder / name, phantom())


def test_a_corrected_mask_recomputes_every_figure_and_records_the_change(result, tmp_path):
    ed = result.measures.ed_phase

    def smaller(labels):
        plane = labels[3, ed]
        cavity = np.argwhere(plane == 1)
        plane[tuple(cavity[: len(cavity) // 2].T)] = 2

    found = segment_study(phantom(), Oracle(), corrections=[corrected(result, tmp_path, smaller)])
    lost = (result.segmentation("SAX").labels[3, ed] == 1).sum() // 2
    before, after = (one.measures.curves["LV cavity"].values for one in (result, found))
    voxel = found.segmentation("SAX").cine.voxel_volume_ml()
    assert before[ed] - after[ed] == pytest.approx(lost * voxel, rel=0.01)
    assert found.measures.lv_edv_ml == pytest.approx(after.max())
    assert found.measures.lv_edv_ml < result.measures.lv_edv_ml
    assert found.before.lv_edv_ml == result.measures.lv_edv_ml
    (change,) = found.changes
    assert change.facts["voxels_changed"] == lost
    assert (change.facts["planes_from_1"], change.facts["phases_from_1"]) == ([4], [ed + 1])
    assert [one.view for one in found.automatic] == ["SAX"]
    assert "corrected" in found.segmentation("SAX").source
    assert found.provenance["corrections_sha256"] == {"SAX": change.facts["file_sha256"]}


def test_what_is_written_names_no_file_of_the_corrector(result, tmp_path):
    correction = corrected(result, tmp_path, lambda labels: None, "Quillfeather_Jane_SAX.nii.gz")
    found = segment_study(phantom(), Oracle(), corrections=[correction])
    said = " ".join([*found.notes, *(c.words for c in found.changes), str(found.changes[0].facts)])
    assert "Quillfeather" not in said + found.segmentation("SAX").source
    assert "nothing is changed" in found.changes[0].words


def test_contours_of_a_person_stand_where_the_model_draws_nothing(result, tmp_path):
    correction = corrected(result, tmp_path, lambda labels: None)
    found = segment_study(phantom(), Oracle((View.CH4,)), corrections=[correction])
    assert found.measures.lv_edv_ml == pytest.approx(result.measures.lv_edv_ml)
    assert "the model had drawn none" in found.changes[0].words


def test_a_mask_saved_with_its_axes_turned_is_turned_back(result, tmp_path):
    (tmp_path / "mask_SAX.nii.gz").write_bytes(encode_masks(result.segmentation("SAX")))
    turned = nibabel.as_closest_canonical(nibabel.load(tmp_path / "mask_SAX.nii.gz"))
    nibabel.save(turned, tmp_path / "turned_SAX.nii.gz")
    found = segment_study(phantom(), Oracle(), corrections=[read_correction(tmp_path / "turned_SAX.nii.gz", phantom())])
    assert "nothing is changed" in found.changes[0].words


def test_a_mask_of_another_grid_is_refused(result, tmp_path):
    cine = planes(phantom().cine("SAX"), range(1, 5))
    (tmp_path / "mask_SAX.nii.gz").write_bytes(encode_masks(Segmentation(cine, truth(cine))))
    with pytest.raises(GeometryError, match="grid"):
        segment_study(phantom(), Oracle(), corrections=[read_correction(tmp_path / "mask_SAX.nii.gz", phantom())])


def test_a_mask_whose_name_tells_no_view_is_refused(tmp_path):
    (tmp_path / "mine.nii.gz").write_bytes(b"")
    with pytest.raises(ReadError, match="its name must hold the view"):
        read_correction(tmp_path / "mine.nii.gz", phantom())
    with pytest.raises(ReadError, match="no such mask file"):
        read_correction(tmp_path / "none_SAX.nii.gz", phantom())


def test_chosen_phases_recompute_and_are_recorded(result):
    found = segment_study(phantom(), Oracle(), ed=1, es=5)
    assert (found.measures.ed_phase, found.measures.es_phase) == (1, 5)
    curve = found.measures.curves["LV cavity"].values
    assert found.measures.lv_esv_ml == pytest.approx(curve[5])
    assert found.before.lvef_pct == result.measures.lvef_pct
    assert [change.what for change in found.changes] == ["ed_phase", "es_phase"]
    assert found.changes[1].facts == {"was_from_1": result.measures.es_phase + 1, "is_from_1": 6}
    with pytest.raises(InputError, match="phases"):
        segment_study(phantom(), Oracle(), es=PHASES)


# Bad input: handled or refused by name, never a wrong number without a flag -------------------------------------------


def test_pixels_that_are_not_square_give_the_same_volumes(result):
    cine = phantom().cine("SAX")
    affine = np.array(cine.affine)
    affine[:3, 1] *= 2
    row, col = cine.spacing_mm
    wide = other(cine, cine.frames[:, :, ::2], affine=affine, spacing=(2 * row, col))
    found = of(wide)
    assert found.measures.lv_edv_ml == pytest.approx(result.measures.lv_edv_ml, rel=0.05)
    assert found.measures.lvef_pct == pytest.approx(result.measures.lvef_pct, abs=3)


@pytest.mark.parametrize("count", [3, 25])
def test_few_and_many_planes_are_measured_or_flagged(result, count):
    cine = phantom().cine("SAX")
    if count == 3:
        found = of(planes(cine, range(1, 4)))
        assert {"few_planes", "base_missing"} <= codes(found)
        return
    fine = np.array(cine.affine)
    fine[:3, 2] *= (cine.n_slices - 1) / 24
    at = np.linspace(*cine.slice_positions_mm[[0, -1]], 25)
    times = np.tile(cine.trigger_times_ms[:1], (25, 1))
    found = of(other(cine, np.zeros((25, *cine.shape[1:]), np.int16), affine=fine, at=at, times=times))
    assert found.measures.lv_edv_ml == pytest.approx(result.measures.lv_edv_ml, rel=0.08)
    assert found.measures.lvef_pct == pytest.approx(result.measures.lvef_pct, abs=4)


def test_one_phase_gives_no_ejection_fraction(result):
    cine = phantom().cine("SAX")
    still = other(cine, cine.frames[:, :1], affine=cine.affine, times=cine.trigger_times_ms[:, :1])
    found = of(still)
    assert found.measures.lvef_pct is None
    assert "one_phase" in codes(found)
    assert "end-systole unknown" in found.measures.refused["lvef_pct"]


@pytest.mark.parametrize("end", ["apex", "base"])
def test_a_stack_that_lacks_an_end_is_flagged(end):
    cine = phantom().cine("SAX")
    held = np.flatnonzero((truth(cine)[:, 0] == STRUCTURES["LV cavity"]).any((1, 2)))
    areas = (truth(cine)[:, 0] == STRUCTURES["LV cavity"]).sum((1, 2))
    apex_low = areas[held[0]] < areas[held[-1]]
    first = (end == "apex") == apex_low
    keep = range(held[1 if first else 0] + (1 if first else 0), held[-1] + 1) if first else range(held[0], held[-1] - 1)
    assert f"{end}_missing" in codes(of(planes(cine, keep)))


def test_a_stack_in_reverse_order_gives_the_same_figures(result):
    cine = phantom().cine("SAX")
    affine = np.array(cine.affine)
    affine[:3, 3] += (cine.shape[3] - 1) * affine[:3, 0] + (cine.n_slices - 1) * affine[:3, 2]
    affine[:3, [0, 2]] *= -1  # mirrored columns turn the normal, and with it the order of the planes
    back = other(
        cine,
        cine.frames[::-1, :, :, ::-1],
        affine=affine,
        at=-cine.slice_positions_mm[::-1],
        times=cine.trigger_times_ms[::-1],
    )
    found = of(back)
    assert found.measures.lv_edv_ml == pytest.approx(result.measures.lv_edv_ml, rel=1e-6)
    assert codes(found) - {"no_geometry"} == codes(segment_study(phantom(), Oracle(), only=[View.SAX]))


def test_a_study_without_short_axis_has_no_short_axis_figures_and_says_so():
    long_axis = replace(phantom(), cines=(phantom().cine("4CH"),))
    found = segment_study(long_axis, Oracle())
    assert (found.measures.lvef_pct, found.measures.lv_edv_ml) == (None, None)
    assert "no_short_axis" in codes(found)
    with pytest.raises(NoCineError, match="no SAX in this study, which has 4CH"):
        segment_study(long_axis, Oracle(), only=[View.SAX])
    with pytest.raises(InputError, match="short-axis"):
        segment_study(long_axis, Oracle(), ed=0)


def test_nothing_found_is_an_error_that_names_the_views():
    class Blind:
        def __call__(self, study, views=None, *, progress=None):
            return tuple(Segmentation(c, np.zeros(c.shape, np.uint8)) for c in study.cines if c.view in views)

    with pytest.raises(ReadError, match="no ventricle was found in any plane of SAX, 4CH"):
        segment_study(phantom(), Blind())
    with pytest.raises(ReadError, match="does not draw this view"):
        segment_study(phantom(), Oracle(()))
    with pytest.raises(NoCineError, match="late enhancement"):
        segment_study(Study((), refused=(Refusal("series 4", "late enhancement"),)), Oracle())

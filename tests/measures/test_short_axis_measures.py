"""Volumes, EF and mass of short-axis stacks, and the doubts that go with them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.errors import GeometryError, InputError
from cardiolens.measures import Flag, find_phases, measure
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine, View


def _codes(measures) -> set[str]:
    return {flag.code for flag in measures.flags}


def test_a_stack_of_known_volume_gives_it_back(make_bullet, make_stack, beat) -> None:
    found = measure([make_stack(make_bullet(10, beat))])
    truth = 2 / 3 * np.pi * 36.0**2 * 80.0 / 1000  # half an ellipsoid, ml
    assert found.lv_edv_ml == pytest.approx(truth, rel=0.01)
    assert found.lvef_pct == pytest.approx(60.0, abs=0.7)
    assert (found.ed_phase, found.es_phase) == (19, 7)
    assert found.lv_sv_ml == pytest.approx(found.lv_edv_ml - found.lv_esv_ml)
    assert found.cardiac_output_l_min == pytest.approx(found.lv_sv_ml * 60 / 1000)
    assert found.lv_mass_es_g == pytest.approx(found.lv_mass_g, rel=0.03)
    assert not _codes(found) - {"stroke_volumes_differ", "base_missing"}
    json.dumps(found.as_dict(), allow_nan=False)


@pytest.mark.parametrize("planes", [3, 6, 12, 25])
def test_few_and_many_planes_agree(planes, make_bullet, make_stack, beat) -> None:
    found = measure([make_stack(make_bullet(planes, beat), slice_positions_mm=np.arange(planes) * 80.0 / planes)])
    assert found.lv_edv_ml == pytest.approx(2 / 3 * np.pi * 36.0**2 * 80.0 / 1000, rel=0.03)
    assert ("few_planes" in _codes(found)) == (planes < 6)


def test_a_stack_in_reverse_order_gives_the_same_figures(make_bullet, make_stack, beat) -> None:
    ahead = measure([make_stack(make_bullet(10, beat))])
    back = measure([make_stack(make_bullet(10, beat, apex_first=False))])
    assert back.figures == pytest.approx(ahead.figures)


def test_pixels_that_are_not_square_count_by_their_area(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    square, flat = make_stack(labels), make_stack(labels, spacing_mm=(1.0, 4.0))
    assert measure([flat]).lv_edv_ml == pytest.approx(measure([square]).lv_edv_ml)


def test_a_missing_plane_is_bridged_and_flagged(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    whole = measure([make_stack(labels)])
    positions = np.delete(np.arange(10) * 8.0, 5)
    found = measure([make_stack(np.delete(labels, 5, axis=0), slice_positions_mm=positions)])
    assert "gap" in _codes(found)
    assert found.lv_edv_ml == pytest.approx(whole.lv_edv_ml, rel=0.02)
    empty = labels.copy()
    empty[5] = 0
    found = measure([make_stack(empty)])
    assert "gap" in _codes(found)
    assert found.lv_edv_ml == pytest.approx(whole.lv_edv_ml, rel=0.02)


def test_a_cavity_that_closes_in_systole_is_no_gap(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    labels[4, 7][labels[4, 7] == 1] = 2
    found = measure([make_stack(labels)])
    assert "gap" not in _codes(found)
    assert found.lv_esv_ml < measure([make_stack(make_bullet(10, beat))]).lv_esv_ml


def test_missing_apex_and_base_are_told_apart(make_bullet, make_stack, beat) -> None:
    labels = np.concatenate([make_bullet(10, beat), np.zeros((1, 20, 64, 64), np.uint8)])
    assert not _codes(measure([make_stack(labels)])) & {"apex_missing", "base_missing"}
    assert "apex_missing" in _codes(measure([make_stack(labels[4:])]))
    assert "base_missing" in _codes(measure([make_stack(labels[:7])]))
    assert "apex_missing" in _codes(measure([make_stack(labels[4:][::-1])]))


def test_without_spacing_there_is_a_ratio_and_no_volume(make_bullet, make_stack, beat) -> None:
    segmentation = make_stack(make_bullet(10, beat), spacing_mm=None, slice_positions_mm=None)
    found = measure([segmentation], height_cm=170, weight_kg=70, sex="F", age=60)
    assert found.lvef_pct == pytest.approx(60.0, abs=0.7)
    assert found.lv_edv_ml is None
    assert "spacing" in found.refused["lv_edv_ml"]
    assert found.lv_mass_g is None
    assert "no_geometry" in _codes(found)
    assert found.curves["LV cavity"].unit == "voxels"
    assert set(found.z_scores) <= {"lvef_pct", "rvef_pct"}


def test_one_phase_gives_no_ef_and_a_volume_only_when_told_that_it_is_ed(make_bullet, make_stack) -> None:
    segmentation = make_stack(make_bullet(10, [1.0]))
    found = measure([segmentation])
    assert found.lvef_pct is None
    assert found.lv_edv_ml is None
    assert "one_phase" in _codes(found)
    assert measure([segmentation], ed=0).lv_edv_ml == pytest.approx(217, rel=0.02)


def test_labels_at_two_phases_only_are_enough(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    labels[:, [i for i in range(20) if i not in (7, 19)]] = 0
    found = measure([make_stack(labels)])
    assert (found.ed_phase, found.es_phase) == (19, 7)
    assert found.lvef_pct == pytest.approx(60.0, abs=0.7)
    assert np.isnan(found.curves["LV cavity"].values).sum() == 18
    with pytest.raises(InputError, match="labels: 7, 19"):
        measure([make_stack(labels)], es=3)


@pytest.mark.parametrize(("phase", "share"), [(3, 0.05), (14, 0.2), (11, 1.6), (0, 0.3)])
def test_one_wrong_phase_does_not_become_ed_or_es(phase, share, make_bullet, make_stack, beat) -> None:
    bad = beat.copy()
    bad[phase] = share
    found = measure([make_stack(make_bullet(10, bad))])
    assert (found.ed_phase, found.es_phase) == (19, 7)
    assert "outlier_phases" in _codes(found)


@given(st.integers(0, 29), st.integers(10, 30), st.floats(0.2, 0.9))
def test_ed_and_es_are_found_wherever_the_beat_starts(shift: int, n: int, esv: float) -> None:
    t = np.arange(n) / n
    curve = 150.0 * (esv + (1 - esv) * (0.5 + 0.5 * np.cos(2 * np.pi * t)))
    found = find_phases(np.roll(curve, shift))
    assert found.outliers == ()
    assert (found.ed - shift) % n == 0
    assert (found.es - shift) % n in (n // 2, (n + 1) // 2)


def test_doubts_about_contours_are_raised(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    assert "edge" in _codes(measure([make_stack(labels[:, :, :, 30:])]))
    moved = labels.copy()
    moved[5] = np.roll(moved[5], 14, axis=1)
    assert "planes_jump" in _codes(measure([make_stack(moved)]))
    thick = labels.copy()
    thick[:, 7][thick[:, 7] == 3] = 2
    assert "mass_disagrees" in _codes(measure([make_stack(thick)]))
    rng = np.random.default_rng(0)
    noisy = np.clip(beat + rng.normal(0, 0.12, 20), 0.1, 1.2)
    assert "curve_noisy" in _codes(measure([make_stack(make_bullet(10, noisy))]))
    assert "ef_implausible" in _codes(measure([make_stack(make_bullet(10, 1 - 0.05 * (1 - beat)))]))
    unsure = make_stack(labels)
    unsure = Segmentation(unsure.cine, labels, unsure.structures, np.full((10, 20), 0.5))
    assert "low_confidence" in _codes(measure([unsure]))


def test_a_reader_chooses_phases(make_bullet, make_stack, beat) -> None:
    segmentation = make_stack(make_bullet(10, beat))
    found = measure([segmentation], es=5)
    assert found.es_phase == 5
    assert found.lvef_pct == pytest.approx(54.0, abs=0.8)
    assert any("phase 6 by a reader" in note and "says 8" in note for note in found.notes)
    with pytest.raises(InputError, match="0 to 19"):
        measure([segmentation], ed=20)
    swapped = measure([segmentation], ed=7, es=19)
    assert any(flag.code == "phases_implausible" and flag.severity == "error" for flag in swapped.flags)


def test_what_cannot_be_measured_is_refused(make_bullet, make_stack, beat) -> None:
    segmentation = make_stack(make_bullet(10, beat))
    with pytest.raises(InputError, match="no segmentation"):
        measure([])
    with pytest.raises(InputError, match="two segmentations of SAX"):
        measure([segmentation, segmentation])
    with pytest.raises(InputError, match="no ventricle"):
        measure([make_stack(np.zeros((10, 20, 64, 64), np.uint8))])
    with pytest.raises(ValueError, match="codes are"):
        Flag("unheard of", "info", "")
    found = measure([segmentation])
    for name in ("la_max_ml", "mapse_mm", "bsa_m2", "z_scores"):
        assert found.refused[name]
    single = measure([make_stack(make_bullet(10, beat)[5:6], slice_positions_mm=np.zeros(1))])
    assert single.lvef_pct is None
    assert "needs 3" in single.refused["lvef_pct"]


def test_heart_rate_comes_from_the_header_or_is_flagged(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    assert measure([make_stack(labels, attributes={"NominalInterval": 800.0})]).heart_rate_bpm == pytest.approx(75)
    times = np.tile(np.arange(20) * 50.0, (10, 1))
    found = measure([make_stack(labels, attributes={}, trigger_times_ms=times)])
    assert found.heart_rate_bpm == pytest.approx(60)
    assert "heart_rate_estimated" in _codes(found)
    assert measure([make_stack(labels, attributes={})]).refused["cardiac_output_l_min"] == "heart rate unknown"


SUNNYBROOK = {"SCD0000101": "SC-HF-I-1", "SCD0000201": "SC-HF-I-2"}


@pytest.mark.parametrize("patient", SUNNYBROOK)
def test_expert_contours_of_real_studies_give_their_published_volumes(patient: str, shared_data: Path) -> None:
    import csv

    folder = shared_data / "real" / "sunnybrook_cine"
    if not folder.is_dir():
        pytest.skip(f"real contours not found in {folder}")
    rows = csv.DictReader((folder / "volumes.csv").read_text().splitlines())
    row = next(r for r in rows if r["patient_id"] == patient)
    planes, phases = int(row["n_slices"]), int(row["n_phases"])
    labels = np.zeros((planes, phases, 256, 256), np.uint8)
    for path in sorted((folder / "contours" / SUNNYBROOK[patient] / "i-contours").glob("*.txt")):
        number = int(path.name.split("-")[2]) - 1
        labels[number // phases, number % phases][_inside(np.loadtxt(path), 256)] = 1
    pixel, step = float(row["pixel_mm"]), float(row["slice_step_mm"])
    cine = Cine(
        View.SAX,
        np.zeros(labels.shape, np.uint8),
        spacing_mm=(pixel, pixel),
        slice_positions_mm=np.arange(planes) * step,
    )
    found = measure([Segmentation(cine, labels, ("LV cavity",))])
    assert (found.ed_phase + 1, found.es_phase + 1) == (int(row["ed_phase"]), int(row["es_phase"]))
    assert found.lv_edv_ml == pytest.approx(float(row["edv_ml"]), rel=0.02)
    assert found.lv_esv_ml == pytest.approx(float(row["esv_ml"]), rel=0.02)
    assert found.lvef_pct == pytest.approx(float(row["lvef_pct"]), abs=0.7)
    assert found.refused["lv_mass_g"] == "LV myocardium not in the labels"


def _inside(polygon: np.ndarray, size: int) -> np.ndarray:
    from matplotlib.path import Path as Outline

    out = np.zeros((size, size), dtype=bool)
    left, top = np.floor(polygon.min(0)).astype(int)
    right, bottom = np.ceil(polygon.max(0)).astype(int) + 1
    y, x = np.mgrid[top:bottom, left:right]
    out[top:bottom, left:right] = Outline(polygon).contains_points(np.c_[x.ravel(), y.ravel()]).reshape(y.shape)
    return out


def test_a_volume_needs_positions(make_bullet, make_stack, beat) -> None:
    from cardiolens.measures.volumes import slabs_mm

    with pytest.raises(GeometryError, match="known positions"):
        slabs_mm(make_stack(make_bullet(10, beat), slice_positions_mm=None).cine)


def test_a_ring_of_muscle_that_is_open_at_the_base_is_flagged_with_what_it_weighs(
    make_bullet, make_stack, beat
) -> None:
    labels = make_bullet(10, beat)
    last = labels[-1]
    last[(last == 2) & (np.arange(64)[:, None] < 30)] = 0
    found = measure([make_stack(labels)])
    (at_ed, *_) = [flag for flag in found.flags if flag.code == "open_ring"]
    assert at_ed.severity == "warning" and at_ed.words.startswith("ED, plane 10:") and "of the volume" in at_ed.words
    assert "open_ring" not in _codes(measure([make_stack(make_bullet(10, beat))]))


def test_basal_planes_that_empty_by_es_are_flagged_when_they_weigh_much(make_bullet, make_stack, beat) -> None:
    labels = make_bullet(10, beat)
    labels[-1, 5:10] = 0
    (flag,) = [flag for flag in measure([make_stack(labels)]).flags if flag.code == "base_leaves"]
    assert flag.severity == "warning" and flag.words.startswith("plane 10 at the base")
    assert "base_leaves" not in _codes(measure([make_stack(make_bullet(10, beat))]))

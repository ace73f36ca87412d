"""`write_dicom`: headers hold the study's own geometry, and the files are laid out as the style says."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.errors import GeometryError, PhantomError
from cardiolens.phantom.dicom.header import ds
from cardiolens.phantom.dicom.styles import STYLES
from cardiolens.phantom.dicom.writer import write_dicom
from cardiolens.study import Cine, Study, View

CLASSIC = ("siemens", "ge", "ukb")
EXACT_MM = 1e-9


EMPTY = ("RepetitionTime", "EchoTime", "SliceThickness")  # type 2: there, but empty
PROTOCOL = {
    "RepetitionTime": 3.4,
    "EchoTime": 1.6,
    "FlipAngle": 62.0,
    "MagneticFieldStrength": 1.5,
    "SliceThickness": 7.0,
    "PixelBandwidth": 930.0,
    "PercentSampling": 90.0,
    "PercentPhaseFieldOfView": 80.0,
    "InPlanePhaseEncodingDirection": "ROW",
}


def make_cine(
    view: str,
    planes: int,
    rng: np.random.Generator,
    *,
    steps: np.ndarray | None = None,
    size: int = 12,
    phases: int = 5,
) -> Cine:
    """A cine of noise at an arbitrary oblique place; `steps` are the distances between its planes."""
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    right, down = axes[:, 0], axes[:, 1]
    normal = np.cross(right, down)
    spacing = (1.3671875, 1.25)
    steps = np.full(planes - 1, 9.7) if steps is None else steps
    offsets = np.concatenate([[0.0], np.cumsum(steps)])
    corner = rng.normal(size=3) * 80
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = right * spacing[1], down * spacing[0]
    affine[:3, 2] = normal * (steps.mean() if planes > 1 else 8.0)
    affine[:3, 3] = corner
    times = np.arange(phases) * 171.3 + rng.uniform(0, 9, size=(planes, 1))
    return Cine(
        View(view),
        rng.integers(0, 1200, size=(planes, phases, size, size + 4)).astype(np.uint16),
        source=f"test {view}",
        spacing_mm=spacing,
        slice_positions_mm=float(normal @ corner) + offsets,
        trigger_times_ms=times,
        affine=affine,
        attributes=dict(PROTOCOL),
    )


@pytest.fixture
def study() -> Study:
    rng = np.random.default_rng(5)
    uneven = np.array([9.7, 9.9, 9.6])
    cines = [make_cine("SAX", 4, rng, steps=uneven), *(make_cine(v, 1, rng) for v in ("2CH", "3CH", "4CH"))]
    return Study(tuple(cines), sex="F", age=62.7, site="phantom-a")


def true_corner(cine: Cine, plane: int) -> np.ndarray:
    """Centre of the first voxel of a plane, from slice positions (the affine knows the mean step only)."""
    assert cine.affine is not None and cine.slice_positions_mm is not None
    normal = np.cross(cine.affine[:3, 0], cine.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    return cine.affine[:3, 3] + normal * (cine.slice_positions_mm[plane] - cine.slice_positions_mm[0])


@pytest.mark.parametrize("style", CLASSIC)
def test_every_frame_carries_its_own_place_time_and_pixels(study: Study, tmp_path: Path, style: str) -> None:
    files = write_dicom(study, tmp_path / "d", style=style, seed=3)
    found = {}
    for file in files:
        image = pydicom.dcmread(file)
        found[tuple(image.ImagePositionPatient), float(image.TriggerTime)] = image
    assert len(found) == len(files) == 5 * 4 + 3 * 5
    for cine in study.cines:
        assert cine.affine is not None and cine.trigger_times_ms is not None
        right, down = (cine.affine[:3, i] / np.linalg.norm(cine.affine[:3, i]) for i in (0, 1))
        for plane in range(cine.n_slices):
            for phase in range(cine.n_phases):
                place, time = true_corner(cine, plane), cine.trigger_times_ms[plane, phase]
                near = [k for k in found if np.allclose(k[0], place, atol=EXACT_MM) and abs(k[1] - time) < EXACT_MM]
                assert len(near) == 1, f"{cine.view} plane {plane} phase {phase}"
                image = found[near[0]]
                np.testing.assert_array_equal(image.pixel_array, cine.frames[plane, phase])
                np.testing.assert_allclose(image.ImageOrientationPatient, [*right, *down], atol=1e-12)
                np.testing.assert_allclose(image.PixelSpacing, cine.spacing_mm, atol=EXACT_MM)
                assert image.CardiacNumberOfImages == cine.n_phases


def test_enhanced_frames_carry_place_time_and_pixels_in_functional_groups(study: Study, tmp_path: Path) -> None:
    files = write_dicom(study, tmp_path / "d", style="enhanced", seed=3)
    assert len(files) == len(study.cines)
    images = {image.SeriesDescription: image for image in map(pydicom.dcmread, files)}
    cine, image = study.cine("SAX"), images["sBTFE_BH_SA"]
    assert image.SOPClassUID == pydicom.uid.EnhancedMRImageStorage
    assert image.NumberOfFrames == cine.n_slices * cine.n_phases
    shared = image.SharedFunctionalGroupsSequence[0]
    np.testing.assert_allclose(shared.PixelMeasuresSequence[0].PixelSpacing, cine.spacing_mm, atol=EXACT_MM)
    pixels = image.pixel_array
    assert cine.trigger_times_ms is not None
    for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
        _, plane, phase = (v - 1 for v in frame.FrameContentSequence[0].DimensionIndexValues)
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(position, true_corner(cine, plane), atol=EXACT_MM)
        time = frame.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime
        assert time == pytest.approx(cine.trigger_times_ms[plane, phase], abs=EXACT_MM)
        np.testing.assert_array_equal(pixels[index], cine.frames[plane, phase])
    assert "ImagePositionPatient" not in image, "an enhanced image has no single position"


def series_of(files: tuple[Path, ...]) -> dict[str, list[pydicom.Dataset]]:
    groups = defaultdict(list)
    for file in files:
        image = pydicom.dcmread(file)
        groups[image.SeriesInstanceUID].append(image)
    return groups


@pytest.mark.parametrize(("style", "sax_series"), [("siemens", 4), ("ukb", 4), ("ge", 1), ("enhanced", 1)])
def test_sax_planes_are_spread_over_series_as_the_style_does(
    study: Study, tmp_path: Path, style: str, sax_series: int
) -> None:
    groups = series_of(write_dicom(study, tmp_path / "d", style=style))
    assert len(groups) == sax_series + 3
    for images in groups.values():
        assert len({image.SeriesDescription for image in images}) == 1
        assert sorted(image.InstanceNumber for image in images) == list(range(1, len(images) + 1))
    assert len({image.SeriesNumber for images in groups.values() for image in images}) == len(groups)


def test_ukb_names_one_series_a_plane_from_b1(study: Study, tmp_path: Path) -> None:
    groups = series_of(write_dicom(study, tmp_path / "d", style="ukb"))
    names = {images[0].SeriesDescription for images in groups.values()}
    assert names == {f"CINE_segmented_SAX_b{i}" for i in range(1, 5)} | {f"CINE_segmented_LAX_{i}Ch" for i in (2, 3, 4)}


def test_ge_interleaves_planes_and_file_names_say_nothing_of_the_order(study: Study, tmp_path: Path) -> None:
    files = write_dicom(study, tmp_path / "d", style="ge")
    stack = max(series_of(files).values(), key=len)
    stack.sort(key=lambda image: image.InstanceNumber)
    first_four = {tuple(image.ImagePositionPatient) for image in stack[:4]}
    assert len(first_four) == 4, "the first four instances are the first phase of four planes"
    by_name = [pydicom.dcmread(file).SeriesNumber for file in sorted(files)]
    changes = np.count_nonzero(np.diff(by_name))
    assert changes > 2 * len(set(by_name)), "files in name order jump between series"


@pytest.mark.parametrize("style", STYLES)
def test_identifiers_are_valid_unique_and_under_the_uuid_root(study: Study, tmp_path: Path, style: str) -> None:
    files = write_dicom(study, tmp_path / "d", style=style, seed=11, localizer=True)
    images = [pydicom.dcmread(file) for file in files]
    instances = [image.SOPInstanceUID for image in images]
    assert len(set(instances)) == len(instances)
    for image in images:
        for uid in (image.SOPInstanceUID, image.SeriesInstanceUID, image.StudyInstanceUID, image.FrameOfReferenceUID):
            assert uid.is_valid and uid.startswith("2.25.")
            assert int(uid.removeprefix("2.25.")) < 2**128
    assert len({image.StudyInstanceUID for image in images}) == 1
    assert len({image.FrameOfReferenceUID for image in images}) == 1


def test_files_depend_on_the_seed_alone(study: Study, tmp_path: Path) -> None:
    def content(folder: str, seed: int) -> dict[str, bytes]:
        files = write_dicom(study, tmp_path / folder, style="ukb", seed=seed)
        return {file.name: file.read_bytes() for file in files}

    first = content("a", 1)
    assert content("b", 1) == first
    assert not set(content("c", 2)) & set(first)


@pytest.mark.parametrize("style", STYLES)
def test_headers_say_phantom_and_never_a_vendor(study: Study, tmp_path: Path, style: str) -> None:
    files = write_dicom(study, tmp_path / "d", style=style, patient_id="P1", accession="A1")
    image = pydicom.dcmread(files[-1])
    assert image.Modality == "MR"
    assert image.Manufacturer == "cardiolens phantom"
    assert style in image.ManufacturerModelName
    assert (image.PatientID, image.AccessionNumber, image.PatientSex, image.PatientAge) == ("P1", "A1", "F", "062Y")
    assert image.PatientIdentityRemoved == "YES" and image.DeidentificationMethod
    text = str(image).lower()
    assert "siemens" not in text.replace("phantom, siemens style", "")


def test_cine_headers_carry_sequence_and_beat(study: Study, tmp_path: Path) -> None:
    image = pydicom.dcmread(write_dicom(study, tmp_path / "d", style="siemens")[0])
    assert image.ScanningSequence == "GR" and "SS" in image.SequenceVariant
    beat = 5 * 171.3
    assert abs(image.NominalInterval - beat) < 1 and image.HeartRate == round(60000 / beat)


@pytest.mark.parametrize("style", [s for s in STYLES if s != "enhanced"])
def test_what_a_study_does_not_know_of_its_protocol_is_not_made_up(tmp_path: Path, style: str) -> None:
    from cardiolens.reading import read_study

    rng = np.random.default_rng(6)
    cines = (make_cine("SAX", 3, rng, phases=9, size=48), make_cine("4CH", 1, rng, phases=9, size=48))
    bare = Study(tuple(replace(cine, attributes={}) for cine in cines))
    for image in map(pydicom.dcmread, write_dicom(bare, tmp_path / "d", style=style)):
        assert all(keyword in image and not image[keyword].value for keyword in PROTOCOL if keyword in EMPTY)
        assert not any(keyword in image for keyword in PROTOCOL if keyword not in EMPTY)
        assert "ContrastBolusAgent" not in image
    found = read_study(tmp_path / "d")
    assert found.cines
    assert not any(keyword in cine.attributes for cine in found.cines for keyword in PROTOCOL)


def test_enhanced_refuses_a_cine_without_the_facts_that_the_standard_requires(study: Study, tmp_path: Path) -> None:
    facts = {name: value for name, value in PROTOCOL.items() if name not in ("EchoTime", "FlipAngle")}
    lacking = replace(study, cines=(*study.cines[:-1], replace(study.cines[-1], attributes=facts)))
    with pytest.raises(PhantomError, match=r"test 4CH: .* must say EchoTime, FlipAngle, which .* another style"):
        write_dicom(lacking, tmp_path / "d", style="enhanced")
    assert not (tmp_path / "d").exists()


def test_localizer_has_three_orientations_and_no_time(study: Study, tmp_path: Path) -> None:
    files = write_dicom(study, tmp_path / "d", style="siemens", localizer=True)
    scouts = [i for i in map(pydicom.dcmread, files) if i.SeriesDescription == "localizer"]
    assert len({tuple(i.ImageOrientationPatient) for i in scouts}) == len(scouts) == 3
    assert not any("TriggerTime" in i for i in scouts)


def test_unknown_style_full_folder_and_missing_geometry_are_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(PhantomError, match="siemens, ge, ukb, enhanced"):
        write_dicom(study, tmp_path / "d", style="philips")
    assert not (tmp_path / "d").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(PhantomError, match="not empty"):
        write_dicom(study, tmp_path / "full")
    flat = Study((Cine(View.SAX, np.zeros((1, 2, 4, 4), np.uint16), source="series 9"),))
    with pytest.raises(GeometryError, match=r"series 9.*affine"):
        write_dicom(flat, tmp_path / "d")
    with pytest.raises(PhantomError, match="16 characters"):
        write_dicom(study, tmp_path / "d", accession="A" * 17)


def test_float_pixels_are_refused_rather_than_cut_off(study: Study, tmp_path: Path) -> None:
    cine = study.cine("2CH")
    bad = Cine(
        cine.view,
        cine.frames.astype(np.float32),
        spacing_mm=cine.spacing_mm,
        slice_positions_mm=cine.slice_positions_mm,
        trigger_times_ms=cine.trigger_times_ms,
        affine=cine.affine,
    )
    with pytest.raises(GeometryError, match="float32"):
        write_dicom(Study((bad,)), tmp_path / "d")


@pytest.mark.parametrize("style", STYLES)
def test_read_study_gives_back_the_phantom_and_refuses_the_scout(tmp_path: Path, style: str) -> None:
    from cardiolens.phantom import render_study, sample_parameters
    from cardiolens.reading import read_study

    parameters = sample_parameters(np.random.default_rng(4))
    study = render_study(parameters, seed=4, matrix=48, phases=8, sax_planes=6)
    write_dicom(study, tmp_path / "d", style=style, seed=4, localizer=True)
    back = read_study(tmp_path / "d")
    assert back.views == tuple(View)
    assert [refusal.n_files for refusal in back.refused] == [3], "the scout and nothing else"
    assert (back.sex, back.age) == (study.sex, int(study.age or 0))
    for cine in study.cines:
        found = back.cine(cine.view)
        np.testing.assert_array_equal(found.frames, cine.frames)
        assert found.affine is not None and cine.affine is not None
        columns = [0, 1, 2, 3] if cine.n_slices > 1 else [0, 1, 3]  # one plane has no step
        np.testing.assert_allclose(found.affine[:, columns], cine.affine[:, columns], atol=EXACT_MM)
        np.testing.assert_allclose(found.slice_positions_mm, cine.slice_positions_mm, atol=EXACT_MM)
        np.testing.assert_allclose(found.trigger_times_ms, cine.trigger_times_ms, atol=EXACT_MM)


@given(st.floats(min_value=-1e6, max_value=1e6, allow_nan=False))
@settings(max_examples=300)
def test_decimal_strings_fit_and_lose_nothing_that_fits(value: float) -> None:
    text = ds(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("style", STYLES)
def test_headers_carry_the_protocol_and_the_reader_finds_it_again(tmp_path: Path, style: str) -> None:
    from cardiolens.phantom import HeartParameters, Protocol, render_study
    from cardiolens.reading import read_study

    protocol = Protocol(
        vendor="siemens", field_strength_t=3.0, repetition_ms=3.1, echo_ms=1.4, flip_deg=42.0, matrix=48, phases=8,
        sax_planes=3, slice_gap_mm=2.0, phase_field=0.75, acceleration=2.0, partial_fourier=0.8, agent_mm=0.3,
        gating="prospective", covered=0.9,
    )  # fmt: skip
    study = render_study(HeartParameters(), seed=1, protocol=protocol)
    files = write_dicom(study, tmp_path / "d", style=style)
    said, found = study.cine("SAX").attributes, read_study(tmp_path / "d").cine("SAX").attributes
    for name in ("MagneticFieldStrength", "RepetitionTime", "EchoTime", "FlipAngle", "SliceThickness"):
        assert found[name] == pytest.approx(said[name]), name
    assert found["SpacingBetweenSlices"] == pytest.approx(10.0) and found["Manufacturer"] == "cardiolens phantom"
    image = pydicom.dcmread(files[-1])
    if style == "enhanced":
        shared = image.SharedFunctionalGroupsSequence[0]
        assert image.CardiacSynchronizationTechnique == "PROSPECTIVE"
        assert shared.MRImagingModifierSequence[0].TransmitterFrequency == pytest.approx(127.7, abs=0.1)
        assert shared.MRModifierSequence[0].ParallelReductionFactorInPlane == 2.0
        assert shared.MRFOVGeometrySequence[0].PercentPhaseFieldOfView == 75
        last = image.PerFrameFunctionalGroupsSequence[-1].CardiacSynchronizationSequence[0]
        assert last.NominalPercentageOfCardiacPhase == pytest.approx(100 * 0.9 * 7 / 8, abs=1), "of the whole beat"
    else:
        assert (image.ScanOptions, image.InPlanePhaseEncodingDirection) == ("CT", "COL")
        assert image.PercentPhaseFieldOfView == 75 and image.ContrastBolusAgent == "simulated gadolinium"
        assert abs(image.HeartRate - 65) < 1, "the beat is the heart's, not what was covered of it"

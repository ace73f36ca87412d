"""Reading whole studies: each trap of real exports on its own."""

import logging
import multiprocessing
import pickle
import shutil
import tarfile
import zipfile

import dicom_factory as make
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from cardiolens.dicom.read import series_table
from cardiolens.errors import NoCineError, ReadError
from cardiolens.reading import examinations, read_studies, read_study
from cardiolens.study import View

pytestmark = pytest.mark.usefixtures("plain_views")


def marks(cine):
    """(slice, time) first pixels, which say which image came where."""
    return cine.frames[:, :, 0, 0].tolist()


def expected(n_planes, n_phases):
    return [[make.value(p, t) for t in range(n_phases)] for p in range(n_planes)]


def only_reason(study, contains=""):
    reasons = [refusal.reason for refusal in study.refused if contains in refusal.series]
    assert len(reasons) == 1, study.refused
    return reasons[0]


# ---- one series a stack ----


def test_stack_has_geometry_times_and_identity(tmp_path):
    make.save(make.stack(3, 10, InstitutionName="Clinic", MagneticFieldStrength=1.5), tmp_path)
    study = read_study(tmp_path)
    cine = study.cine("SAX")
    assert cine.shape == (3, 10, make.SIDE, make.SIDE)
    assert cine.spacing_mm == (1.5, 1.25)
    np.testing.assert_allclose(np.diff(cine.slice_positions_mm), 8.0, atol=1e-3)
    np.testing.assert_allclose(cine.slice_positions_mm[0], make.NORMAL @ make.ORIGIN, atol=1e-3)
    np.testing.assert_allclose(cine.affine @ [0, 0, 2, 1], [*(make.ORIGIN + 16 * make.NORMAL), 1], atol=1e-3)
    np.testing.assert_allclose(cine.affine @ [4, 0, 0, 1], [*(make.ORIGIN + 4 * 1.25 * make.ROW), 1], atol=1e-3)
    np.testing.assert_allclose(cine.affine @ [0, 4, 0, 1], [*(make.ORIGIN + 4 * 1.5 * make.COL), 1], atol=1e-3)
    np.testing.assert_allclose(cine.trigger_times_ms, np.tile(np.arange(10) * 80.0, (3, 1)))
    assert marks(cine) == expected(3, 10)
    assert cine.frames.dtype == np.int16
    assert (study.patient, study.accession, study.site, study.sex, study.age) == ("P1", "A1", "Clinic", "F", 52)
    assert cine.source == 'series 5 "cine SAX"'
    assert cine.attributes["MagneticFieldStrength"] == 1.5
    assert cine.attributes["SpacingBetweenSlices"] == pytest.approx(8.0, abs=1e-3)


def test_pixels_are_not_read_before_they_are_asked_for(tmp_path, monkeypatch):
    make.save(make.stack(), tmp_path)
    from cardiolens.dicom import pixels

    calls = []
    decode = pixels.decode
    monkeypatch.setattr(pixels, "decode", lambda frames: calls.append(1) or decode(frames))
    cine = read_study(tmp_path).cine("SAX")
    assert cine.shape[:2] == (3, 10)
    assert not calls
    assert cine.frames.shape == cine.shape
    assert calls


def test_order_of_files_names_and_nesting_do_not_matter(tmp_path):
    images = make.stack(4, 10)
    rng = np.random.default_rng(0)
    for i, index in enumerate(rng.permutation(len(images))):
        folder = tmp_path / "exam one" / f"ünïcode {i % 3}" / "a.b"
        make.save([images[index]], folder, name=["{}", "{}.bin", "IM {}.dcm.bak"][i % 3], start=i)
    assert marks(read_study(tmp_path).cine("SAX")) == expected(4, 10)


def test_slices_interleaved_with_phases_as_ge_numbers_them(tmp_path):
    images = [make.image(p, t, InstanceNumber=1 + t * 3 + p, TriggerTime=None) for t in range(10) for p in range(3)]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 10)
    assert cine.trigger_times_ms is None


def test_descending_acquisition_is_put_in_ascending_position(tmp_path):
    make.save(make.stack(3, 10, step_mm=-8.0), tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert (np.diff(cine.slice_positions_mm) > 0).all()
    assert marks(cine) == expected(3, 10)[::-1]


def test_trigger_times_that_differ_between_planes_rank_within_the_plane(tmp_path):
    images = [
        make.image(p, t, rr_ms=800 + 40 * p, InstanceNumber=1 + (7 * t) % 10) for p in range(3) for t in range(10)
    ]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 10)
    np.testing.assert_allclose(cine.trigger_times_ms[:, 1], [80, 84, 88])


@pytest.mark.parametrize("trigger", [None, 0.0, 350.0])
def test_absent_or_constant_trigger_times_leave_the_next_tag_to_rank(tmp_path, trigger):
    tags = {"TriggerTime": trigger}
    images = [
        make.image(p, t, TemporalPositionIdentifier=t + 1, InstanceNumber=100 - t, **tags)
        for p in range(3)
        for t in range(10)
    ]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 10)
    assert cine.trigger_times_ms is None


def test_content_time_out_of_order_does_not_rank(tmp_path):
    """GE writes ContentTime when an image was computed, and computes in parallel."""
    images = [
        make.image(p, t, TriggerTime=None, ContentTime=f"1011{(t * 7) % 10:02d}.0") for p in range(3) for t in range(10)
    ]
    make.save(images, tmp_path)
    assert marks(read_study(tmp_path).cine("SAX")) == expected(3, 10)


def test_broken_tags_do_not_stop_a_read(tmp_path):
    with pydicom.config.disable_value_validation():
        images = make.stack(
            3,
            10,
            StudyDate="20120000",
            PatientBirthDate="00000000",
            PatientAge=None,
            PatientSex="",
            SeriesDescription="",
            StudyInstanceUID="1.2.08980635789900778171",
            FlipAngle=None,
            AccessionNumber="",
        )
        for data in images:
            data.FrameOfReferenceUID = generate_uid()
        make.save(images, tmp_path)
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert (study.age, study.sex, study.accession) == (None, None, "1.2.08980635789900778171")


def test_non_numeric_decimal_strings_count_as_absent(tmp_path):
    paths = make.save(make.stack(3, 10, EchoTime=1.25), tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"1.25\\", b"1.25\\").replace(b"DS\x04\x001.25", b"DS\x04\x001,25"))
    assert "EchoTime" not in read_study(tmp_path).cine("SAX").attributes


def test_uneven_gaps_are_kept_and_said(tmp_path):
    images = [make.image(p, t) for p in (0, 1, 3, 4) for t in range(10)]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    np.testing.assert_allclose(np.diff(cine.slice_positions_mm), [8, 16, 8], atol=1e-3)
    assert any("gaps are uneven: 8.0 to 16.0 mm" in note for note in cine.notes)


def test_planes_shifted_sideways_are_said(tmp_path):
    images = [
        make.image(p, t, origin=make.ORIGIN + (6 * make.ROW if p == 1 else 0)) for p in range(4) for t in range(10)
    ]
    make.save(images, tmp_path)
    assert any("shifted sideways" in note for note in read_study(tmp_path).cine("SAX").notes)


# ---- several series ----


def test_one_series_a_plane_is_one_stack(tmp_path):
    for p in range(5):
        plane = [
            make.image(p, t, SeriesNumber=10 + p, SeriesDescription=f"CINE_segmented_SAX_b{p + 1}") for t in range(10)
        ]
        make.save(plane, tmp_path / f"s{p}")
    for t in range(10):
        name = "CINE_segmented_SAX_InlineVF"
        make.save([make.image(1, t, SeriesNumber=30, SeriesDescription=name)], tmp_path / f"v{t}")
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(5, 10)
    assert study.cine("SAX").source.startswith("series 10-14 (5 series)")
    assert "InlineVF" in only_reason(study, "30")


def test_long_axis_scans_side_by_side_are_rescans_not_a_stack(tmp_path):
    for k in range(3):
        images = make.long_axis(20 + k, "cine 4CH", make.ROW, make.NORMAL, origin=make.ORIGIN + 9 * k * make.COL)
        make.save(images, tmp_path / str(k))
    study = read_study(tmp_path)
    assert study.cine("4CH").shape[0] == 1
    assert study.cine("4CH").source == 'series 22 "cine 4CH"'
    assert [r.reason for r in study.refused] == [
        'another 4CH is kept: series 22 "cine 4CH" (acquired later, as a repeat is)'
    ] * 2


def test_of_two_short_axis_stacks_the_one_with_more_planes_is_kept(tmp_path):
    make.save(make.stack(6, 10, SeriesNumber=4), tmp_path / "a")
    make.save(make.stack(4, 10, SeriesNumber=9), tmp_path / "b")
    study = read_study(tmp_path)
    assert study.cine("SAX").shape[0] == 6
    assert "series 4" in only_reason(study)
    assert "more planes" in only_reason(study)


def test_repeat_of_one_plane_does_not_disturb_the_stack(tmp_path):
    make.save(make.stack(5, 10), tmp_path / "a")
    make.save([make.image(2, t, SeriesNumber=9) for t in range(10)], tmp_path / "b")
    study = read_study(tmp_path, view=None)
    assert marks(study.cine("SAX")) == expected(5, 10)
    assert len(study.refused) == 1


def test_two_halves_of_a_stack_are_joined(tmp_path):
    make.save([make.image(p, t, SeriesNumber=5) for p in (0, 1, 2) for t in range(10)], tmp_path / "a")
    make.save([make.image(p, t, SeriesNumber=6) for p in (3, 4, 5) for t in range(10)], tmp_path / "b")
    assert marks(read_study(tmp_path).cine("SAX")) == expected(6, 10)


def test_series_that_share_a_uid_are_told_apart_by_number(tmp_path):
    uid = generate_uid()
    make.save(make.stack(3, 10, SeriesInstanceUID=uid), tmp_path / "a")
    scout = [make.image(p, 0, SeriesInstanceUID=uid, SeriesNumber=1, SeriesDescription="SCOUT") for p in range(5)]
    make.save(scout, tmp_path / "b")
    study = read_study(tmp_path)
    assert study.cine("SAX").shape[:2] == (3, 10)
    assert "no time axis" in only_reason(study, "SCOUT")


def test_stray_frames_of_another_orientation_are_set_aside(tmp_path):
    make.save(make.stack(3, 10), tmp_path)
    make.save([make.image(0, t, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]) for t in range(2)], tmp_path / "stray")
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert "only 2 images" in only_reason(study, "5/2")


def test_localizer_with_three_orientations_is_refused_in_one_row(tmp_path):
    for k, orientation in enumerate(([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1])):
        make.save([make.image(p, 0, ImageOrientationPatient=orientation) for p in range(3)], tmp_path / str(k))
    with pytest.raises(NoCineError, match="3 orientations"):
        read_study(tmp_path)
    (finding,) = series_table(tmp_path)
    assert (finding.n_files, finding.n_planes, finding.view) == (9, 9, None)


def test_rescan_inside_one_series_becomes_a_stack_of_its_own(tmp_path):
    images = make.stack(3, 10)
    images += [make.image(p, t, AcquisitionNumber=2, array=make.pixels(p, t) + 1) for p in range(3) for t in range(10)]
    make.save(images, tmp_path)
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert "another SAX is kept" in only_reason(study)


def test_two_studies_are_named_and_can_be_read_one_by_one(tmp_path):
    make.save(make.stack(3, 10), tmp_path / "a")
    make.save(make.stack(3, 12, StudyInstanceUID="1.2.3.4"), tmp_path / "b")
    with pytest.raises(ReadError, match=r"2 studies[\s\S]*1\.2\.3\.4"):
        read_study(tmp_path)
    assert sorted(study.cines[0].n_phases for study in read_studies(tmp_path)) == [10, 12]


# ---- duplicates, damage, ragged planes ----


def test_duplicates_by_uid_and_by_pixels_are_dropped_and_said(tmp_path):
    images = make.stack(3, 10)
    make.save(images, tmp_path)
    make.save([images[4], images[7]], tmp_path / "again")
    make.save([make.image(1, 3)], tmp_path / "exported twice")  # same place, time and pixels, another UID
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert any(note.startswith("2 duplicate files") for note in study.notes)
    assert any("duplicate (same plane, time and pixels)" in note for note in study.cine("SAX").notes)


def test_every_tenth_file_truncated_still_gives_the_stack(tmp_path):
    paths = make.save(make.stack(4, 20), tmp_path)
    for path in paths[3::10]:
        path.write_bytes(path.read_bytes()[:-100])
    shutil.copy(paths[1], tmp_path / "copy")
    shutil.move(paths[2], tmp_path / "renamed.xyz")
    study = read_study(tmp_path)
    cine = study.cine("SAX")
    assert cine.shape[:2] == (4, 20)
    note = next(note for note in study.notes if "damaged" in note)
    assert note.startswith("8 damaged files")
    assert paths[3].name in note
    assert sum("18 phases resampled linearly in time to 20" in note for note in cine.notes) == 4
    np.testing.assert_allclose(cine.trigger_times_ms, np.tile(np.arange(20) * 40.0, (4, 1)), atol=1e-6)
    np.testing.assert_allclose(marks(cine), expected(4, 20), atol=1)  # the lost phases lie between their neighbours


def test_plane_with_fewer_than_half_of_the_phases_is_refused_by_name(tmp_path):
    make.save([make.image(p, t) for p in range(4) for t in range(10 if p != 1 else 4)], tmp_path)
    study = read_study(tmp_path)
    assert study.cine("SAX").shape[:2] == (3, 10)
    reason = only_reason(study)
    assert "plane 2 of 4" in reason
    assert "4 of 10 phases" in reason


def test_single_images_beside_a_cine_do_not_shrink_it(tmp_path):
    images = make.long_axis(7, "cine 4CH", make.ROW, make.NORMAL)
    images += [
        make.image(
            0, 0, SeriesNumber=7, SeriesDescription="cine 4CH", ImageOrientationPatient=[*make.ROW, *make.NORMAL],
            origin=make.ORIGIN + k * 9 * make.COL,
        )
        for k in (1, 2, 3)
    ]  # fmt: skip
    make.save(images, tmp_path)
    study = read_study(tmp_path)
    assert study.cine("4CH").shape[:2] == (1, 10)
    assert [refusal.reason.split(": ")[1] for refusal in study.refused] == [
        "1 of 10 phases, fewer than half; plane left out"
    ] * 3


def test_plane_of_another_phase_count_is_resampled_over_its_own_beat(tmp_path):
    images = [make.image(p, t, n_phases=20) for p in range(3) for t in range(20)]
    images += [make.image(3, t, n_phases=12, rr_ms=900, InstanceNumber=60 + t) for t in range(12)]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert cine.shape[:2] == (4, 20)
    np.testing.assert_allclose(cine.trigger_times_ms[3], np.arange(20) * 45.0)
    assert cine.frames[3, 10, 0, 0] == make.value(3, 6)
    assert any("12 phases resampled" in note for note in cine.notes)


@pytest.mark.parametrize("keep", [0, 100, 140, 400, 900])
def test_file_cut_anywhere_is_left_out(tmp_path, keep):
    paths = make.save(make.stack(3, 10), tmp_path)
    paths[5].write_bytes(paths[5].read_bytes()[:keep])
    study = read_study(tmp_path)
    assert study.cine("SAX").shape[:2] == (3, 10)
    assert any(paths[5].name in note or "not DICOM" in note for note in study.notes)


@pytest.mark.parametrize("syntax", [RLELossless, DeflatedExplicitVRLittleEndian, JPEG2000Lossless])
def test_truncated_compressed_file_is_found_without_decoding(tmp_path, syntax):
    paths = make.save([make.in_syntax(data, syntax) for data in make.stack(3, 10)], tmp_path)
    paths[5].write_bytes(paths[5].read_bytes()[:-30])
    study = read_study(tmp_path)
    assert any(paths[5].name in note and "damaged" in note for note in study.notes)


def test_corrupt_codestream_names_the_file_when_pixels_are_read(tmp_path):
    images = [make.in_syntax(data, RLELossless) for data in make.stack(3, 10)]
    paths = make.save(images, tmp_path)
    raw = paths[12].read_bytes()
    at = raw.rfind(b"\xfe\xff\x00\xe0") + 8
    paths[12].write_bytes(raw[:at] + b"\xff" * 40 + raw[at + 40 :])
    cine = read_study(tmp_path).cine("SAX")
    with pytest.raises(ReadError, match=paths[12].name):
        _ = cine.frames


def test_file_that_vanishes_is_named(tmp_path):
    paths = make.save(make.stack(3, 10), tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    paths[7].unlink()
    with pytest.raises(ReadError, match=paths[7].name):
        _ = cine.frames


# ---- encodings ----

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLossless,
    JPEGLosslessSV1,
]
BY_GDCM = {JPEGLSLossless, JPEGLossless, JPEGLosslessSV1}


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_transfer_syntaxes_give_the_same_pixels(tmp_path, syntax):
    images = make.stack(3, 8, PixelRepresentation=0)
    if syntax in BY_GDCM:
        make.recode(make.save(images, tmp_path), syntax)
    else:
        make.save([make.in_syntax(data, syntax) for data in images], tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 8)
    assert cine.frames[2, 5, -1, -1] == 2 * (make.SIDE - 1)


@pytest.mark.parametrize(("syntax", "bits"), [(JPEGBaseline8Bit, 8), (JPEGExtended12Bit, 12)])
def test_lossy_jpeg_gives_nearly_the_same_pixels(tmp_path, syntax, bits):
    smooth = np.add.outer(np.arange(make.SIDE), np.arange(make.SIDE)) * 3
    dtype = np.uint8 if bits == 8 else np.uint16
    tags = {"PixelRepresentation": 0, "BitsAllocated": 8 if bits == 8 else 16, "BitsStored": bits, "HighBit": bits - 1}
    images = [make.image(p, t, array=(smooth + 4 * t).astype(dtype), **tags) for p in range(3) for t in range(8)]
    for data in images:
        data["PixelData"].VR = "OB" if bits == 8 else "OW"
    make.recode(make.save(images, tmp_path), syntax)
    frames = read_study(tmp_path).cine("SAX").frames
    assert frames.dtype == dtype
    for t in range(8):
        assert np.abs(frames[1, t].astype(int) - (smooth + 4 * t)).max() <= 4


def test_colour_is_turned_to_grey_and_said(tmp_path):
    images = []
    for p in range(3):
        for t in range(8):
            grey = (make.pixels(p, t) % 256).astype(np.uint8)
            tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
            tags |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
            data = make.image(p, t, array=np.stack([grey] * 3, axis=-1), **tags)
            data["PixelData"].VR = "OB"
            images.append(data)
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert cine.frames.dtype == np.uint8
    assert marks(cine) == (np.array(expected(3, 8)) % 256).tolist()
    assert any("colour" in note for note in cine.notes)


def test_monochrome1_is_inverted_in_stored_bits(tmp_path):
    tags = {"PhotometricInterpretation": "MONOCHROME1", "PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11}
    make.save(make.stack(3, 8, **tags), tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == (4095 - np.array(expected(3, 8))).tolist()
    assert any("MONOCHROME1" in note for note in cine.notes)


def test_bits_above_those_stored_are_cleared(tmp_path):
    images = [make.image(p, t, BitsStored=12, HighBit=11, PixelRepresentation=0) for p in range(3) for t in range(8)]
    for data in images:
        data.PixelData = (np.frombuffer(data.PixelData, "<u2") | 0x8000).astype("<u2").tobytes()
        data["PixelData"].VR = "OW"
    make.save(images, tmp_path)
    assert marks(read_study(tmp_path).cine("SAX")) == expected(3, 8)


def test_rescale_slope_of_each_file_applies(tmp_path):
    images = [make.image(p, t, RescaleSlope=0.5 + p, RescaleIntercept=-3) for p in range(3) for t in range(8)]
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert cine.frames.dtype == np.float32
    assert cine.frames[2, 1, 0, 0] == pytest.approx(make.value(2, 1) * 2.5 - 3)


def test_overlay_planes_are_ignored_and_said(tmp_path):
    images = make.stack(3, 8)
    for data in images:
        data.add_new((0x6000, 0x0010), "US", make.SIDE)
        data.add_new((0x6000, 0x0011), "US", make.SIDE)
        data.add_new((0x6000, 0x3000), "OW", b"\xff" * 18)
    make.save(images, tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 8)
    assert any("overlay" in note for note in cine.notes)


def test_file_without_preamble_and_meta_is_read(tmp_path):
    for index, data in enumerate(make.stack(3, 8)):
        path = tmp_path / str(index)
        meta = data.file_meta
        data.save_as(path, enforce_file_format=True)
        raw = path.read_bytes()
        start = 144 + pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength
        path.write_bytes(raw[start:])
        assert meta is not None
    assert marks(read_study(tmp_path).cine("SAX")) == expected(3, 8)


# ---- multi-frame ----


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("interleave", [True, False])
def test_enhanced_multi_frame_takes_position_and_time_per_frame(tmp_path, shared, interleave):
    make.save([make.enhanced(3, 10, shared_orientation=shared, interleave=interleave)], tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 10)
    assert cine.spacing_mm == (1.5, 1.25)
    np.testing.assert_allclose(np.diff(cine.slice_positions_mm), 8.0, atol=1e-3)
    np.testing.assert_allclose(cine.trigger_times_ms[0], np.arange(10) * 80.0)


def test_truncated_multi_frame_is_refused_whole(tmp_path):
    (path,) = make.save([make.enhanced(3, 10)], tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ReadError, match="truncated"):
        read_study(tmp_path)


def plain_multi_frame(n_planes, n_phases, **tags):
    array = np.stack([make.pixels(p, t) for p in range(n_planes) for t in range(n_phases)])
    absent = dict.fromkeys(
        ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "TriggerTime", "SliceLocation")
    )
    data = make.image(array=array[0], **(absent | tags))
    data.NumberOfFrames = len(array)
    data.PixelData = array.tobytes()
    return data


def test_plain_multi_frame_has_no_geometry_and_says_so(tmp_path, caplog):
    make.save([plain_multi_frame(1, 16, SeriesDescription="4CH")], tmp_path)
    with caplog.at_level(logging.WARNING):
        cine = read_study(tmp_path).cine("4CH")
    assert cine.shape[:2] == (1, 16)
    assert (cine.spacing_mm, cine.affine, cine.slice_positions_mm, cine.trigger_times_ms) == (None,) * 4
    assert any("mm, ml and g will refuse" in note for note in cine.notes)
    assert "no pixel spacing" in caplog.text
    assert marks(cine) == expected(1, 16)


def test_view_given_by_the_caller_settles_input_that_does_not_tell(tmp_path):
    make.save([plain_multi_frame(1, 16, SeriesDescription="")], tmp_path)
    with pytest.raises(NoCineError, match="no view"):
        read_study(tmp_path)
    assert read_study(tmp_path, view="2CH").views == (View.CH2,)
    with pytest.raises(ReadError, match="unknown view"):
        read_study(tmp_path, view="5CH")


def test_plain_multi_frame_of_several_planes_by_cardiac_count(tmp_path):
    make.save([plain_multi_frame(3, 12, CardiacNumberOfImages=12)], tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    assert marks(cine) == expected(3, 12)
    assert cine.slice_positions_mm is None


def test_given_view_with_two_cines_is_an_error(tmp_path):
    make.save(make.long_axis(1, "", make.ROW, make.NORMAL), tmp_path / "a")
    make.save(make.long_axis(2, "", make.COL, make.NORMAL), tmp_path / "b")
    with pytest.raises(ReadError, match="there are 2 cines: series"):
        read_study(tmp_path, view=View.CH4)


# ---- what is no cine ----

NOT_CINE = {
    "phase map": ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "phase or velocity"),
    "velocity map": ({"ImageType": ["ORIGINAL", "PRIMARY", "VELOCITY MAP", "P"]}, "phase or velocity"),
    "flow magnitude": ({"SequenceName": "*fl2d1_v150in"}, "phase-contrast"),
    "inversion": ({"ScanningSequence": ["GR", "IR"]}, "inversion recovery"),
    "tagging": ({"SequenceName": "*fl2d_tag13"}, "tagging"),
    "spin echo": ({"ScanningSequence": "SE"}, "spin echo"),
    "burnt in": ({"BurnedInAnnotation": "YES"}, "burnt into"),
    "other modality": ({"Modality": "CT"}, "modality CT"),
}


@pytest.mark.parametrize("kind", NOT_CINE)
def test_other_sequences_are_refused_with_their_reason(tmp_path, kind):
    tags, words = NOT_CINE[kind]
    make.save(make.stack(3, 10), tmp_path / "cine")
    make.save(make.stack(3, 12, SeriesNumber=8, SeriesDescription="other", **tags), tmp_path / "other")
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert words in only_reason(study, "other")


def test_perfusion_over_many_beats_is_refused(tmp_path):
    images = [
        make.image(p, t, TriggerTime=100.0 + p, AcquisitionTime=f"10{10 + t // 60:02d}{t % 60:02d}.{p}")
        for p in range(3)
        for t in range(40)
    ]
    make.save(images, tmp_path)
    with pytest.raises(NoCineError, match="about one a beat"):
        read_study(tmp_path)


def test_trigger_delays_over_many_beats_are_refused(tmp_path):
    make.save(make.stack(3, 40, rr_ms=32000), tmp_path)
    with pytest.raises(NoCineError, match="several beats"):
        read_study(tmp_path)


def test_inversion_times_that_change_are_refused(tmp_path):
    make.save([make.image(p, t, InversionTime=100.0 + 40 * t) for p in range(3) for t in range(10)], tmp_path)
    with pytest.raises(NoCineError, match="inversion time changes"):
        read_study(tmp_path)


def test_colour_secondary_capture_is_refused(tmp_path):
    images = []
    for t in range(10):
        array = np.zeros((make.SIDE, make.SIDE, 3), np.uint8) + t
        tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8}
        tags |= {"BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "SOPClassUID": SecondaryCaptureImageStorage}
        images.append(make.image(0, t, array=array, ImageType=["DERIVED", "SECONDARY"], **tags))
    make.save(images, tmp_path)
    with pytest.raises(NoCineError, match="drawn over"):
        read_study(tmp_path)


def test_derived_copy_ranks_below_the_original(tmp_path):
    make.save(make.stack(3, 10, SeriesNumber=5), tmp_path / "a")
    make.save(make.stack(5, 10, SeriesNumber=50, ImageType=["DERIVED", "SECONDARY", "OTHER"]), tmp_path / "b")
    study = read_study(tmp_path)
    assert study.cine("SAX").shape[0] == 3
    assert "original images" in only_reason(study, "50")


# ---- containers ----


def test_other_files_are_ignored_and_counted(tmp_path):
    make.save(make.stack(3, 10), tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "DICOMDIR").write_bytes(dicomdir_bytes(tmp_path))
    study = read_study(tmp_path)
    assert "2 files ignored: not DICOM" in study.notes
    assert "1 files ignored: DICOMDIR" in study.notes


def dicomdir_bytes(folder):
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.DirectoryRecordSequence = []
    path = folder / "tmp_dir"
    data.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    path.unlink()
    return raw


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz", "tgz"])
def test_archives_are_read_in_place(tmp_path, suffix):
    folder = tmp_path / "scan"
    make.save(make.stack(3, 10), folder / "deep")
    path = tmp_path / f"my scan.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("img*")):
                archive.write(file, f"x/{file.name}")
    else:
        with tarfile.open(path, {"tar": "w", "tgz": "w:gz"}.get(suffix, "w:" + suffix[-2:])) as archive:
            archive.add(folder, "x")
    shutil.rmtree(folder)
    cine = pickle.loads(pickle.dumps(read_study(path).cine("SAX")))  # noqa: S301 - our own object
    assert marks(cine) == expected(3, 10)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert marks(read_study(tmp_path).cine("SAX")) == expected(3, 10)


def test_a_bad_archive_stops_only_those_who_asked_for_it(tmp_path):
    make.save(make.stack(3, 10), tmp_path)
    bad = tmp_path / "other.tar.gz"
    bad.write_bytes(b"\x1f\x8bnonsense")
    study = read_study(tmp_path)
    assert marks(study.cine("SAX")) == expected(3, 10)
    assert any("other.tar.gz" in note for note in study.notes)
    with pytest.raises(ReadError, match="damaged archive"):
        read_study(bad)


def test_a_list_of_files_is_a_study(tmp_path):
    paths = make.save(make.stack(3, 10), tmp_path)
    assert marks(read_study(paths).cine("SAX")) == expected(3, 10)


def _sum_in_process(cine):
    return int(cine.frames.sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_lazy_frames_work_in_another_process(tmp_path, method):
    make.save(make.stack(3, 8), tmp_path)
    cine = read_study(tmp_path).cine("SAX")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_sum_in_process, (cine,)) == int(cine.frames.sum())


def test_input_is_left_as_it_was(tmp_path):
    paths = make.save(make.stack(3, 10), tmp_path)
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    _ = read_study(tmp_path).cine("SAX").frames
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths] == before
    assert sorted(tmp_path.iterdir()) == paths


def test_table_lists_every_series_with_plain_values(tmp_path):
    make.save(make.stack(3, 10), tmp_path / "a")
    make.save([make.image(p, 0, SeriesNumber=1, SeriesDescription="scout") for p in range(4)], tmp_path / "b")
    (examination,) = examinations(tmp_path)
    table = examination.to_dict()
    assert [row["view"] for row in table["series"]] == [None, "SAX"]
    scout, cine = table["series"]
    assert (scout["n_planes"], scout["n_phases"]) == (4, 1)
    assert "no time axis" in scout["reason"]
    assert (cine["n_files"], cine["rows"], cine["reason"]) == (30, make.SIDE, None)
    assert any("10 phases" in said for said in cine["evidence"])
    assert table["study"]["views"] == {"SAX": [3, 10, make.SIDE, make.SIDE]}

"""DICOM SEG: read back by pydicom and highdicom, laid on the images that each frame names."""

import copy
import warnings

import highdicom
import numpy as np
import pydicom
import pytest

from cardiolens.dicom.write import SegWriter, why_no_seg
from cardiolens.errors import InputError
from cardiolens.phantom import write_dicom
from cardiolens.reading import read_study
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import View
from drawn_phantom import PHASES, Oracle, phantom, truth


@pytest.fixture(scope="module", params=["siemens", "ge", "enhanced"])
def written(request, tmp_path_factory):
    """(folder, study as read, segmentation, SEG files) of one style of archive."""
    folder = tmp_path_factory.mktemp(request.param)
    write_dicom(phantom(), folder / "in", style=request.param)
    return folder, *drawn(folder)


def drawn(folder):
    study = read_study(folder / "in")
    cine = study.cine("SAX")
    segmentation = Segmentation(cine, truth(phantom().cine("SAX")), source="oracle")
    writer = SegWriter(segmentation)
    files = []
    for phase in (0, 5):
        files.append(folder / f"{phase}.dcm")
        files[-1].write_bytes(writer(phase))
    return study, segmentation, files


def sources(folder):
    """SOPInstanceUID to data set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sets = [pydicom.dcmread(path) for path in sorted(folder.rglob("*")) if path.is_file()]
        return {str(one.SOPInstanceUID): one for one in sets}


def laid(seg, of):
    """For each frame: (segment label, source image it names, mask, position of the frame and of the source)."""
    labels = {s.SegmentNumber: s.SegmentLabel for s in seg.SegmentSequence}
    for groups, mask in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        (named,) = groups.DerivationImageSequence[0].SourceImageSequence
        source = of[str(named.ReferencedSOPInstanceUID)]
        pixels, place = source.pixel_array, source
        if "ReferencedFrameNumber" in named:
            pixels = pixels[named.ReferencedFrameNumber - 1]
            place = source.PerFrameFunctionalGroupsSequence[named.ReferencedFrameNumber - 1].PlanePositionSequence[0]
        label = labels[groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        at = groups.PlanePositionSequence[0].ImagePositionPatient
        yield label, pixels, mask, np.array(at, float), np.array(place.ImagePositionPatient, float)


def test_each_mask_lies_to_the_pixel_on_the_image_that_its_frame_names(written):
    folder, study, segmentation, files = written
    frames = study.cine("SAX").frames
    for phase, file in zip((0, 5), files, strict=True):
        seen = 0
        for label, pixels, mask, at, source_at in laid(pydicom.dcmread(file), sources(folder / "in")):
            (plane,) = [k for k in range(len(frames)) if np.array_equal(frames[k, phase], pixels)]
            np.testing.assert_array_equal(mask, segmentation.labels[plane, phase] == STRUCTURES[label])
            np.testing.assert_allclose(at, source_at, atol=1e-4)
            seen += 1
        assert seen == len(frames) * len(STRUCTURES)


def test_highdicom_gives_the_masks_back_by_source_instance(written):
    folder, study, segmentation, files = written
    seg = highdicom.seg.segread(files[1])
    assert seg.segmented_property_types[0].meaning == "Left ventricle"
    volume = seg.get_volume(combine_segments=True)
    places = [volume.affine[:3, 3] + k * volume.affine[:3, 0] for k in range(len(volume.array))]
    cine = study.cine("SAX")
    along = [float(np.linalg.norm(place - cine.affine[:3, 3])) for place in places]
    np.testing.assert_allclose(sorted(along), cine.slice_positions_mm - cine.slice_positions_mm[0], atol=0.01)
    np.testing.assert_array_equal(volume.array[np.argsort(along)], segmentation.labels[:, 5])
    referenced = {uid for series in seg.ReferencedSeriesSequence for uid in instances(series)}
    assert referenced <= set(sources(folder / "in"))
    series = {str(one.SeriesInstanceUID) for one in sources(folder / "in").values()}
    assert {str(one.SeriesInstanceUID) for one in seg.ReferencedSeriesSequence} <= series


def instances(series):
    return [str(one.ReferencedSOPInstanceUID) for one in series.ReferencedInstanceSequence]


def test_objects_of_a_view_share_a_series_and_count_the_phases(written):
    _, _, _, files = written
    first, second = (pydicom.dcmread(file) for file in files)
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert (first.InstanceNumber, second.InstanceNumber) == (1, 6)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert (first.PatientID, first.Modality, first.SegmentationType) == ("P1", "SEG", "BINARY")
    assert "not a medical device" in first.SeriesDescription.lower()


def test_the_same_masks_get_the_same_uids_and_others_get_others(tmp_path):
    write_dicom(phantom(), tmp_path / "in", style="ge")
    _, segmentation, _ = drawn(tmp_path)
    uid = read_uid(SegWriter(segmentation)(0))
    assert read_uid(SegWriter(segmentation)(0)) == uid
    labels = segmentation.labels.copy()
    labels[3, 0, 0, 0] = 1
    other = Segmentation(segmentation.cine, labels, source="oracle")
    assert read_uid(SegWriter(other)(0)) != uid


def read_uid(content):
    return str(pydicom.dcmread(pydicom.filebase.DicomBytesIO(content)).SOPInstanceUID)


def test_images_that_are_no_dicom_give_no_seg_and_the_reason():
    (segmentation,) = Oracle((View.SAX,))(phantom())
    assert "did not come as DICOM" in why_no_seg(segmentation.cine)
    with pytest.raises(InputError, match="did not come as DICOM"):
        SegWriter(segmentation)


def edited(folder, change):
    for path in (path for path in (folder / "in").rglob("*") if path.is_file()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = pydicom.dcmread(path)
            change(one)
            one.save_as(path)


def test_a_plane_that_lost_an_image_names_both_images_behind_the_phase_between(tmp_path):
    write_dicom(phantom(), tmp_path / "in", style="siemens")
    files = sorted((tmp_path / "in").iterdir())
    read = ((path, pydicom.dcmread(path)) for path in files)
    lost = next(path for path, one in read if one.InstanceNumber == 4 and "_b3" in one.SeriesDescription)
    lost.unlink()
    study = read_study(tmp_path / "in")
    cine = study.cine("SAX")
    assert cine.n_phases == PHASES
    seg = pydicom.dcmread(pydicom.filebase.DicomBytesIO(SegWriter(Segmentation(cine, truth(cine)))(3)))
    named = [len(g.DerivationImageSequence[0].SourceImageSequence) for g in seg.PerFrameFunctionalGroupsSequence]
    assert sorted(set(named)) == [1, 2]


def test_images_that_share_a_uid_are_refused(tmp_path):
    write_dicom(phantom(), tmp_path / "in", style="ge")
    study = read_study(tmp_path / "in")
    edited(tmp_path, lambda one: setattr(one, "SOPInstanceUID", "1.2.3.4"))
    with pytest.raises(InputError, match="share a SOPInstanceUID"):
        SegWriter(Segmentation(study.cine("SAX"), truth(study.cine("SAX"))))


def test_invalid_dates_are_left_empty_and_said(tmp_path):
    write_dicom(phantom(), tmp_path / "in", style="ge")

    def spoil(one):
        raw = pydicom.dataelem.RawDataElement
        for tag, value in (((0x0008, 0x0020), b"20120000"), ((0x0010, 0x0030), b"00000000")):
            one._dict[pydicom.tag.Tag(tag)] = raw(pydicom.tag.Tag(tag), "DA", 8, value, 0, False, True)

    edited(tmp_path, spoil)
    study = read_study(tmp_path / "in")
    writer = SegWriter(Segmentation(study.cine("SAX"), truth(study.cine("SAX"))))
    assert any("StudyDate" in note and "no date" in note for note in writer.notes)
    seg = pydicom.dcmread(pydicom.filebase.DicomBytesIO(writer(0)))
    assert (seg.StudyDate, seg.PatientBirthDate) == ("", "")


def test_a_real_study_with_broken_uids_and_dates_keeps_its_uids_and_lies_on_its_images(shared_data, tmp_path):
    folder = shared_data / "real" / "sunnybrook_cine" / "SCD0000101"
    study = read_study(folder)
    cine = study.cine("SAX")
    rows, cols = np.mgrid[: cine.shape[2], : cine.shape[3]]
    labels = np.zeros(cine.shape, np.uint8)
    for plane in range(cine.n_slices):
        away = (rows - 90 - plane) ** 2 + (cols - 120) ** 2
        labels[plane, 7] = np.where(away < 400, 1, np.where(away < 600, 2, 0))
    writer = SegWriter(Segmentation(cine, labels, ("LV cavity", "LV myocardium")))
    assert any("UIDs of the images break the standard" in note for note in writer.notes)
    assert any("several frames of reference" in note for note in writer.notes)
    (tmp_path / "seg.dcm").write_bytes(writer(7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = pydicom.dcmread(tmp_path / "seg.dcm")
        of = sources(folder)
        found = list(laid(copy.deepcopy(seg), of))
    assert len(found) == 2 * cine.n_slices
    for label, pixels, mask, at, source_at in found:
        (plane,) = [k for k in range(cine.n_slices) if np.array_equal(cine.frames[k, 7], pixels)]
        np.testing.assert_array_equal(mask, labels[plane, 7] == STRUCTURES[label])
        np.testing.assert_allclose(at, source_at, atol=1e-3)

"""What goes back to the archive, read again by highdicom, pydicom and (where installed) dciodvfy and dsrdump."""

import datetime as dt
import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import highdicom
import numpy as np
import pydicom
import pytest

pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")

from quick_node import Oracle, datasets, prediction, scan

from cardiolens.contours import segment_study
from cardiolens.dicom.write_report import SCHEME, Sources, write_report
from cardiolens.dicom.write_summary import write_summary
from cardiolens.errors import InputError, NoCineError
from cardiolens.measures import Flag
from cardiolens.pacs.codes import LONG_AXIS, ONE_LONG_AXIS, SHORT_AXIS, condition_code
from cardiolens.pacs.report import _method
from cardiolens.pacs.results import make_results
from cardiolens.pacs.summary import HIGH, WIDE, summary_page
from cardiolens.reading import read_study
from cardiolens.study import Cine, Study
from cardiolens.text.conditions import CONDITIONS
from drawn_phantom import phantom

MADE = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)


@pytest.fixture(scope="module", params=["ge", "enhanced"])
def whole(request, tmp_path_factory):
    """(source data sets, study, contours, folder with the results) of one style of archive."""
    folder = tmp_path_factory.mktemp(request.param)
    sets = datasets(scan(folder / "in", "Quillfeather", request.param))
    study = read_study(folder / "in")
    contours = segment_study(study, Oracle())
    results = make_results(study, prediction(), contours, made=MADE, comments=["5 images did not come."])
    for name, content in results.files.items():
        (folder / name).write_bytes(content)
    return sets, study, contours, folder


def measurements(group):
    """Code value to (number, unit, method, images that it refers to) of a group."""
    out = {}
    for one in group.get_measurements():
        under = one[0].get("ContentSequence", ())
        (method,) = [item.value.value for item in under if item.name.value == "370129005"] or [None]
        images = [
            str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in under if item.ValueType == "IMAGE"
        ]
        out[one.name.value, method] = one.value, one.unit.value, images
    return out


def groups_of(path):
    report = highdicom.sr.srread(path)
    found = report.content.get_image_measurement_groups()
    return report, {group.tracking_identifier: group for group in found}


def test_every_figure_stands_in_the_report_with_code_unit_method_and_model(whole):
    _, _, contours, folder = whole
    _, groups = groups_of(folder / "SR.dcm")
    left = measurements(groups["contours: left ventricle"])
    assert left["8811-2", "SAXDISCS"][:2] == (pytest.approx(contours.measures.lvef_pct, abs=0.01), "%")
    assert left["8821-1", "SAXDISCS"][:2] == (pytest.approx(contours.measures.lv_edv_ml, abs=0.01), "ml")
    assert left["8823-7", "SAXDISCS"][:2] == (pytest.approx(contours.measures.lv_esv_ml, abs=0.01), "ml")
    assert left["18087-7", "SAXDISCS"][:2] == (pytest.approx(contours.measures.lv_mass_g, abs=0.01), "g")
    long_axis = measurements(groups["contours: left ventricle, long axis"])
    assert list(contours.measures.by_view) == ["4CH"]
    assert ("8811-2", "LAXDISCS1") in long_axis and ("8811-2", "LAXDISCS") not in long_axis
    right = measurements(groups["contours: right ventricle"])
    assert right["8818-7", "SAXDISCS"][:2] == (pytest.approx(contours.measures.rvef_pct, abs=0.01), "%")
    network = measurements(groups["LVEF of the network"])
    assert network["8811-2", "REGRESSION"][:2] == (57.3, "%")
    for name, model in (("LVEF of the network", "oracle:test"), ("contours: left ventricle", "oracle")):
        texts = {item.name.meaning: item.value for item in groups[name][0].ContentSequence if item.ValueType == "TEXT"}
        assert texts["Algorithm Name"] == model
        assert texts["Algorithm Version"]


def test_the_method_says_whether_one_long_axis_view_was_measured_or_both():
    both, one = SimpleNamespace(by_view={"2CH": {}, "4CH": {}}), SimpleNamespace(by_view={"2CH": {}})
    assert _method(LONG_AXIS, both) == LONG_AXIS and _method(LONG_AXIS, one) == ONE_LONG_AXIS
    assert _method(None, one) is None and _method(SHORT_AXIS, one) == SHORT_AXIS


def test_volumes_refer_to_the_images_of_their_phase_which_exist(whole):
    sets, study, contours, folder = whole
    _, groups = groups_of(folder / "SR.dcm")
    left = measurements(groups["contours: left ventricle"])
    there = {str(one.SOPInstanceUID) for one in sets}
    ed, es = left["8821-1", "SAXDISCS"][2], left["8823-7", "SAXDISCS"][2]
    assert set(ed) <= there
    assert set(es) <= there
    if len(sets) > 2:  # classic: an image a plane and phase
        planes = study.cine("SAX").n_slices
        assert (len(ed), len(es)) == (planes, planes)
        assert not set(ed) & set(es)
        at = {str(one.SOPInstanceUID): float(one.TriggerTime) for one in sets}
        times = study.cine("SAX").trigger_times_ms
        for images, phase in ((ed, contours.measures.ed_phase), (es, contours.measures.es_phase)):
            np.testing.assert_allclose(sorted(at[uid] for uid in images), sorted(times[:, phase]), atol=1)
    else:
        assert len(ed) == len(es) == 1


def test_only_calibrated_conditions_are_reported_as_certainty_in_percent(whole):
    _, _, _, folder = whole
    _, groups = groups_of(folder / "SR.dcm")
    assert "condition: amyloidosis" not in groups
    stenosis = groups["condition: severe aortic stenosis"]
    assert measurements(stenosis) == {("111012", None): (62.0, "%", [])}
    answers = {one.name.value: one.value.meaning for one in stenosis.get_qualitative_evaluations()}
    assert (answers["FLAGGED"], answers["OUTOFDOMAIN"]) == ("Yes", "No")
    assert measurements(groups["condition: myocarditis"]) == {("111012", None): (12.0, "%", [])}


def test_a_condition_is_a_coded_finding_only_where_the_model_flags_it_in_its_domain(whole, tmp_path):
    _, study, contours, folder = whole
    _, groups = groups_of(folder / "SR.dcm")
    assert groups["condition: severe aortic stenosis"].finding_type is not None
    assert groups["condition: myocarditis"].finding_type is None
    found = make_results(study, prediction(out_of_domain=True), contours, made=MADE, masks="none")
    (tmp_path / "SR.dcm").write_bytes(found.files["SR.dcm"])
    assert groups_of(tmp_path / "SR.dcm")[1]["condition: severe aortic stenosis"].finding_type is None


def test_figures_that_are_not_to_be_used_are_left_out_and_the_report_says_why(whole, tmp_path):
    _, study, contours, _ = whole
    flags = (Flag("ef_implausible", "error", "LV ejection fraction 95 %"),)
    bad = replace(contours, measures=replace(contours.measures, flags=flags))
    found = make_results(study, prediction(), bad, made=MADE, masks="none")
    (tmp_path / "SR.dcm").write_bytes(found.files["SR.dcm"])
    report, groups = groups_of(tmp_path / "SR.dcm")
    assert not any(name.startswith("contours:") for name in groups)
    said = " ".join(str(item.get("TextValue", "")) for item in report.ContentSequence)
    assert "not to be used: LV ejection fraction 95 %" in said


def test_the_report_is_preliminary_unverified_in_the_patients_study_and_says_research(whole):
    sets, _, _, folder = whole
    report, _ = groups_of(folder / "SR.dcm")
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    for name in ("PatientID", "PatientName", "PatientSex", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
        assert report[name].value == sets[0][name].value
    named = ((item.ConceptNameCodeSequence[0].CodeMeaning, item) for item in report.ContentSequence)
    said = [item.TextValue for name, item in named if name == "Comment"]
    assert said[0] == "Research use only, not a medical device."
    assert "5 images did not come." in said
    evidence = [
        str(one.ReferencedSOPInstanceUID)
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(name, ())
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    assert sorted(evidence) == sorted(str(one.SOPInstanceUID) for one in sets)


def test_the_same_study_and_figures_give_the_same_bytes_and_other_figures_other_uids(whole):
    _, study, contours, folder = whole
    again = make_results(study, prediction(), contours, made=MADE, masks="none", comments=["5 images did not come."])
    assert again.files["SR.dcm"] == (folder / "SR.dcm").read_bytes()
    assert again.files["SC.dcm"] == (folder / "SC.dcm").read_bytes()
    other = make_results(study, prediction(lvef_pct=30.0), contours, made=MADE, masks="none")
    for name in ("SR.dcm", "SC.dcm"):
        first, second = (read(content) for content in (again.files[name], other.files[name]))
        assert first.SOPInstanceUID != second.SOPInstanceUID
        assert first.SeriesInstanceUID != second.SeriesInstanceUID


def read(content):
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))


def test_the_summary_is_a_page_of_the_patients_study_and_its_pixels_name_nobody(whole):
    sets, study, contours, folder = whole
    page = pydicom.dcmread(folder / "SC.dcm")
    np.testing.assert_array_equal(page.pixel_array, summary_page(study, prediction(), contours))
    assert page.pixel_array.shape == (HIGH, WIDE, 3)
    assert (page.PatientID, page.StudyInstanceUID) == (sets[0].PatientID, sets[0].StudyInstanceUID)
    assert (page.BurnedInAnnotation, page.ConversionType) == ("NO", "WSD")
    assert "not a medical device" in page.SeriesDescription
    named = {str(one.ReferencedSOPInstanceUID) for one in page.SourceImageSequence}
    assert named <= {str(one.SOPInstanceUID) for one in sets}


def test_contours_of_end_diastole_and_end_systole_are_sent(whole):
    _, _, contours, folder = whole
    measures = contours.measures
    names = {f"SEG_SAX_phase_{phase + 1:02d}.dcm" for phase in (measures.ed_phase, measures.es_phase)}
    assert {path.name for path in folder.glob("SEG*")} == names


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_any_object(whole):
    _, _, _, folder = whole
    for path in folder.glob("*.dcm"):
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        told = (said.stdout + said.stderr).splitlines()
        assert [line for line in told if line.startswith("Error")] == []
        assert [line for line in told if line.startswith("Warning") and SCHEME not in line] == []


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump (dcmtk) is not installed")
def test_dsrdump_reads_the_report(whole):
    _, _, _, folder = whole
    said = subprocess.run(["dsrdump", "+Pl", str(folder / "SR.dcm")], capture_output=True, text=True, check=False)
    assert said.returncode == 0
    assert "Left Ventricular ED Volume" in said.stdout
    assert "Research use only, not a medical device." in said.stdout


def test_a_prediction_alone_gives_report_and_page_without_contours(whole):
    _, study, _, _ = whole
    results = make_results(study, prediction(conditions=()), None, made=MADE)
    assert list(results.files) == ["SR.dcm", "SC.dcm"]


def test_a_page_without_contours_has_room_for_images_of_any_size():
    frames = np.zeros((5, 2, 300, 700), np.uint16)
    study = Study((Cine("SAX", frames, source="wide"), Cine("4CH", frames[:1], source="tall")))
    assert summary_page(study, prediction(), None).shape == (HIGH, WIDE, 3)


def test_nothing_to_report_is_said(whole):
    _, study, _, _ = whole
    with pytest.raises(NoCineError, match="no figure to report"):
        make_results(study, prediction(lvef_pct=None, interval=None, conditions=()), None, made=MADE)
    with pytest.raises(InputError, match="needs figures"):
        write_report(Sources(study.cines), [], [], seed=[], made=MADE)
    with pytest.raises(InputError, match="a summary is a picture"):
        write_summary(Sources(study.cines), np.zeros((5, 5), np.uint8), made=MADE)


def test_images_that_are_no_dicom_give_no_result():
    with pytest.raises(InputError, match="did not come as DICOM"):
        make_results(phantom(), prediction(), None, made=MADE)


def test_codes_of_conditions_are_short_unique_and_valid():
    found = [condition_code(one.column, one.name) for one in CONDITIONS]
    assert len({(code.scheme_designator, code.value) for code in found}) == len(CONDITIONS)
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in found)

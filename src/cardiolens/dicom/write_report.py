"""Figures and findings → DICOM Structured Report (PS3.3 A.35.13, Comprehensive 3D SR) by TID 1500 "Measurement Report".

Each group of figures names the algorithm that gave them, with its version, and each figure the images that it was
measured on.  The report is preliminary and unverified, which is what DICOM calls a result that no person has read.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from cardiolens._version import __version__
from cardiolens.dicom.pixels import DicomFrames, FrameRef
from cardiolens.dicom.sources import SourceImage, read_sources, unchecked
from cardiolens.errors import InputError
from cardiolens.study import Cine

SCHEME = "99CARDIOLENS"
"""Designator of this package's own codes, where DICOM's context groups hold none."""
RESEARCH = "Research use only, not a medical device"
_SERIES_NUMBER = 9101


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        concept: what it is.
        unit: UCUM.
        images: it was measured on; () where it is of the whole study.
        below, above: how far an interval reaches from it, in its unit.
        method: how it was had, where the concept does not say.
    """

    concept: Code
    value: float
    unit: Code
    images: tuple[FrameRef, ...] = ()
    below: float | None = None
    above: float | None = None
    method: Code | None = None


@dataclass(frozen=True)
class Group:
    """Figures of one thing by one algorithm.

    Attributes:
        name: of the group, unique within a report.
        algorithm, version: what gave the figures.
        parameters: of it, such as the hash of its weights.
        finding: what the figures are about, where it is a disease or the like.
        site: where in the body.
        answers: questions and their answers, both as codes.
        comments: sentences that belong to the figures.
    """

    name: str
    algorithm: str
    version: str
    figures: tuple[Figure, ...] = ()
    parameters: tuple[str, ...] = ()
    finding: Code | None = None
    site: Code | None = None
    answers: tuple[tuple[Code, Code], ...] = ()
    comments: tuple[str, ...] = ()


class Sources:
    """The images of some cines, and the patient and study that they belong to.

    Attributes:
        images: by reference, in the order of views, planes and phases.
        about: patient and study, as a data set.
        notes: what in the headers breaks the standard, and what became of it.
    """

    def __init__(self, cines: Sequence[Cine]) -> None:
        """Read the headers again.

        Raises:
            InputError: no cine came from DICOM, or its images carry no UIDs to refer to.
            ReadError: a file that is gone or changed.
        """
        planes = [plane for cine in cines if isinstance(cine.origin, DicomFrames) for plane in cine.origin.planes]
        if not planes:
            raise InputError("no DICOM result, since the images did not come as DICOM")
        notes: dict[str, None] = {}
        with unchecked():
            self.images, self.about = read_sources(planes, notes)
        if any(not (one.sop_class and one.sop_instance and one.series) for one in self.images.values()):
            raise InputError(
                "no DICOM result, since images carry no SOPClassUID, SOPInstanceUID or SeriesInstanceUID; send them "
                "again from the scanner or the archive"
            )
        self.notes = tuple(notes)
        self.modality = "MR"

    @property
    def instances(self) -> dict[str, SourceImage]:
        """By SOPInstanceUID; of a multi-frame file its first frame."""
        found: dict[str, SourceImage] = {}
        for image in self.images.values():
            found.setdefault(image.sop_instance, image)
        return found

    def header(self, image: SourceImage) -> Dataset:
        """Patient, study and identity of one image."""
        one = Dataset()
        one.update(self.about)
        one.SOPClassUID, one.SOPInstanceUID = image.sop_class, image.sop_instance
        one.SeriesInstanceUID = image.series
        one.Modality = self.modality
        one.Rows, one.Columns = image.frame.file.rows, image.frame.file.cols
        return one

    def by_instance(self, refs: Sequence[FrameRef]) -> Iterator[tuple[str, str, list[int] | None]]:
        """(SOP class, SOP instance, frame numbers or None) of some images, each instance once."""
        numbers: dict[str, list[int]] = {}
        for ref in refs:
            image = self.images[ref]
            numbers.setdefault(image.sop_instance, []).extend([image.number] if image.number else [])
        of = self.instances
        for instance, frames in numbers.items():
            yield of[instance].sop_class, instance, sorted(set(frames)) or None


def write_report(
    sources: Sources,
    groups: Sequence[Group],
    comments: Sequence[str],
    *,
    seed: Sequence[str],
    made: dt.datetime,
    title: str = "cardiolens results",
) -> bytes:
    """The report as a DICOM file.

    Args:
        groups: at least one.
        comments: sentences on the whole; the research notice stands before them.
        seed: what the results follow from (hashes); the same seed and images get the same UIDs, others get others.
        made: when the results were had.

    Raises:
        InputError: no group, or highdicom or pydicom does not accept what the source headers say.
    """
    from highdicom.sr import Comprehensive3DSR

    if not groups:
        raise InputError("a report needs figures, got none")
    entropy = [*sorted(sources.instances), *seed]
    buffer = io.BytesIO()
    try:
        with unchecked():
            report: Dataset = Comprehensive3DSR(
                evidence=[sources.header(image) for image in sources.instances.values()],
                content=_content(sources, groups, comments, entropy),
                series_instance_uid=uid(entropy, "report series"),
                series_number=_SERIES_NUMBER,
                sop_instance_uid=uid(entropy, "report"),
                instance_number=1,
                manufacturer="cardiolens",
                is_complete=True,
                is_final=False,
                is_verified=False,
            )
            _dress(report, sources, made, f"{title}, {RESEARCH.lower()}")
            report.save_as(buffer, enforce_file_format=True)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"no Structured Report, since its headers are not accepted ({error})") from error
    return buffer.getvalue()


def uid(entropy: Sequence[str], what: str) -> str:
    """A UID that follows from what a result was made of."""
    return str(generate_uid(entropy_srcs=[*entropy, what]))


def set_times(one: Dataset, made: dt.datetime) -> None:
    """When it was made, in every place, so that the same results are the same bytes.

    No TimezoneOffsetFromUTC is written: it would speak for the source's study time too, whose zone is not known.
    """
    one.InstanceCreationDate = one.ContentDate = one.SeriesDate = made.strftime("%Y%m%d")
    one.InstanceCreationTime = one.ContentTime = one.SeriesTime = made.strftime("%H%M%S")
    for equipment in one.get("ContributingEquipmentSequence", ()):  # highdicom adds itself, with the time of day
        equipment.ContributionDateTime = made.strftime("%Y%m%d%H%M%S%z")


def copy_patient(one: Dataset, about: Dataset) -> None:
    """Every element of patient and study that the source has and `one` lacks; the character set that fits them."""
    for element in about:
        if element.keyword not in one or one[element.keyword].is_empty:
            one[element.tag] = element
    one.SpecificCharacterSet = about.SpecificCharacterSet


def _dress(report: Dataset, sources: Sources, made: dt.datetime, words: str) -> None:
    """What highdicom leaves out or does not know."""
    copy_patient(report, sources.about)
    set_times(report, made)
    report.SeriesDescription = words[:64]
    report.ManufacturerModelName = "cardiolens node"
    report.SoftwareVersions = __version__
    report.DeviceSerialNumber = "0"
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "Codes of cardiolens, for what DICOM's context groups hold no code"
    scheme.CodingSchemeVersion = "1"
    report.CodingSchemeIdentificationSequence = [scheme]


def _content(sources: Sources, groups: Sequence[Group], comments: Sequence[str], entropy: Sequence[str]) -> Any:
    """The tree: who observed, on what, the groups, then comments."""
    from highdicom import sr
    from pydicom.sr.codedict import codes

    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=str(generate_uid(entropy_srcs=["cardiolens", __version__])),
            name="cardiolens",
            manufacturer_name="cardiolens",
            model_name=f"cardiolens {__version__}",
        ),
    )
    tree = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.SCT.MagneticResonanceImagingOfHeart,
        imaging_measurements=[_group(sources, group, entropy) for group in groups],
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
            language=sr.CodedConcept("en", "RFC5646", "English")
        ),
    )
    tree[0].ContentSequence.extend(_comment(words) for words in (f"{RESEARCH}.", *comments))
    return tree


def _group(sources: Sources, group: Group, entropy: Sequence[str]) -> Any:
    from highdicom import sr
    from pydicom.sr.codedict import codes

    made = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid(entropy, group.name), identifier=group.name[:64]),
        finding_type=group.finding,
        algorithm_id=sr.AlgorithmIdentification(
            name=group.algorithm,
            version=group.version,
            parameters=list(group.parameters) or None,
            family=codes.DCM.ArtificialIntelligence,
        ),
        finding_sites=[sr.FindingSite(group.site)] if group.site else None,
        measurements=[_measurement(sources, figure) for figure in group.figures] or None,
        qualitative_evaluations=[sr.QualitativeEvaluation(name, value) for name, value in group.answers] or None,
    )
    made[0].ContentSequence.extend(_comment(words) for words in group.comments)
    return made


def _measurement(sources: Sources, figure: Figure) -> Any:
    from highdicom import sr

    bounds = None
    if figure.below is not None and figure.above is not None:
        bounds = sr.MeasurementProperties(
            lower_measurement_uncertainty=_rounded(figure.below), upper_measurement_uncertainty=_rounded(figure.above)
        )
        for bound in bounds:  # highdicom writes "no units"
            bound.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [sr.CodedConcept.from_code(figure.unit)]
    return sr.Measurement(
        name=figure.concept,
        value=_rounded(figure.value),
        unit=figure.unit,
        method=figure.method,
        properties=bounds,
        referenced_images=[
            sr.SourceImageForMeasurement(sop_class, instance, referenced_frame_numbers=numbers)
            for sop_class, instance, numbers in sources.by_instance(figure.images)
        ]
        or None,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _comment(words: str) -> Any:
    from highdicom.sr import RelationshipTypeValues, TextContentItem
    from pydicom.sr.codedict import codes

    return TextContentItem(name=codes.DCM.Comment, value=words, relationship_type=RelationshipTypeValues.CONTAINS)

"""Masks → DICOM SEG (PS3.3 A.51): one object a heart phase, each frame naming the source images it was drawn on.

Why an object a phase.  A SEG tells its frames apart by segment and position; frames of several phases at one position
are ambiguous without a time dimension.  highdicom does not write them (ImagingDataCommons/highdicom 369), the converter
that 3D Slicer reads SEG with (dcmqi) knows no time, and OHIF showed one phase over all (OHIF/Viewers 4789).
The objects of a view share one series; InstanceNumber is the phase, counted from 1.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, generate_uid

from cardiolens._version import __version__
from cardiolens.dicom.pixels import DicomFrames, FrameRef
from cardiolens.dicom.sources import SourceImage, drawn_on, read_sources, unchecked
from cardiolens.errors import InputError
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Cine, View

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

log = logging.getLogger(__name__)

COLOURS = {
    "LV cavity": (230, 75, 70),
    "LV myocardium": (75, 195, 100),
    "RV cavity": (85, 145, 240),
    "LA": (245, 175, 60),
    "RA": (185, 125, 235),
}
"""RGB of each structure, wherever it is shown."""
_PROPERTY = {
    "LV cavity": "LeftVentricle",
    "LV myocardium": "LeftVentricleMyocardium",
    "RV cavity": "RightVentricle",
    "LA": "LeftAtrium",
    "RA": "RightAtrium",
}  # SNOMED CT, by keyword in pydicom
_FIRST_SERIES = 9001  # series number of the first view, far from what scanners give
_WORDS = "Research use only, not a medical device"


def why_no_seg(cine: Cine) -> str | None:
    """Why no SEG can be written for masks of this cine, as far as can be told without reading; None where one can."""
    if not isinstance(cine.origin, DicomFrames):
        return f"{cine.view}: no DICOM SEG, since the images did not come as DICOM"
    if cine.affine is None:
        return f"{cine.view}: no DICOM SEG, since the images carry no position or no pixel spacing"
    return None


class SegWriter:
    """Writes the masks of one cine as SEG objects, one a phase.

    Patient and study are those of the source images, since a SEG belongs to their study; nothing else of them is kept.
    UIDs follow from the source and the labels: the same masks get the same UIDs, other masks get others.

    Attributes:
        notes: what in the source headers breaks the standard, and what became of it.
    """

    def __init__(self, segmentation: Segmentation, *, automatic: bool = True) -> None:
        """Read the headers of the source images again.

        Args:
            segmentation: of a cine that was read from DICOM.
            automatic: no person has changed the masks.

        Raises:
            InputError: a cine that did not come from DICOM, without geometry, or whose images cannot be told apart by
                their UIDs.
            ReadError: a source file that is gone or changed.
        """
        if (reason := why_no_seg(segmentation.cine)) is not None:
            raise InputError(reason)
        self.segmentation = segmentation
        self.automatic = automatic
        origin = segmentation.cine.origin
        assert isinstance(origin, DicomFrames)  # noqa: S101 - see why_no_seg
        self._planes = origin.planes
        notes: dict[str, None] = {}
        with unchecked():
            self._images, self._about = read_sources(self._planes, notes)
            _check(self._images, segmentation.view, notes)
        self.notes = tuple(f"{segmentation.view}: {note}" for note in notes)
        digest = hashlib.sha256(segmentation.labels.tobytes()).hexdigest()
        self._seed = [*sorted({image.series for image in self._images.values()}), str(segmentation.view), digest]

    def __call__(self, phase: int) -> bytes:
        """The SEG of one phase (from 0) as a DICOM file.

        Raises:
            InputError: highdicom or pydicom does not accept what the source headers say.
        """
        buffer = io.BytesIO()
        try:
            with unchecked():
                self._object(phase).save_as(buffer, enforce_file_format=True)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            view = self.segmentation.view
            raise InputError(f"{view}: no DICOM SEG, since its headers are not accepted ({error})") from error
        return buffer.getvalue()

    def _object(self, phase: int) -> Dataset:
        from highdicom.seg import Segmentation as Seg
        from highdicom.seg import SegmentationTypeValues

        segmentation = self.segmentation
        names = [name for name in STRUCTURES if name in segmentation.structures]
        masks = np.stack([segmentation.labels[:, phase] == STRUCTURES[name] for name in names], axis=-1)
        under = [drawn_on(plane, phase) for plane in self._planes]
        stand_ins = [self._stand_in(self._images[refs[0]], place) for place, refs in enumerate(under)]
        seg: Dataset = Seg(
            source_images=stand_ins,
            pixel_array=masks.astype(np.uint8),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=self._descriptions(names),
            series_instance_uid=self._uid("series"),
            series_number=_FIRST_SERIES + list(View).index(segmentation.view),
            sop_instance_uid=self._uid("phase", str(phase)),
            instance_number=phase + 1,
            manufacturer="cardiolens",
            manufacturer_model_name="cardiolens segment",
            software_versions=__version__,
            device_serial_number="0",
            content_label=f"{segmentation.view.name}_PHASE_{phase + 1}",
            content_description=f"phase {phase + 1} of {segmentation.cine.n_phases}. {_WORDS}"[:64],
            series_description=f"{segmentation.view} contours, {_WORDS.lower()}"[:64],
            omit_empty_frames=False,  # viewers then know where the volume ends
        )
        self._refer(seg, {str(one.SOPInstanceUID): refs for one, refs in zip(stand_ins, under, strict=True)}, phase)
        return seg

    def _uid(self, *what: str) -> str:
        return str(generate_uid(entropy_srcs=[*self._seed, *what]))

    def _descriptions(self, names: Sequence[str]) -> list[SegmentDescription]:
        from highdicom import AlgorithmIdentificationSequence
        from highdicom.color import CIELabColor
        from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
        from pydicom.sr.codedict import codes

        how = SegmentAlgorithmTypeValues.AUTOMATIC if self.automatic else SegmentAlgorithmTypeValues.SEMIAUTOMATIC
        algorithm = AlgorithmIdentificationSequence(
            name=(self.segmentation.source or "unknown")[:64],
            family=codes.DCM.ArtificialIntelligence,
            version=__version__,
        )
        return [
            SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=codes.SCT.AnatomicalStructure,
                segmented_property_type=getattr(codes.SCT, _PROPERTY[name]),
                algorithm_type=how,
                algorithm_identification=algorithm,
                display_color=CIELabColor.from_rgb(*COLOURS[name]),
            )
            for number, name in enumerate(names, start=1)
        ]

    def _stand_in(self, image: SourceImage, plane: int) -> Dataset:
        """A plain MR image where the source image lies: what highdicom wants to see, for classic and enhanced alike.

        Its own UID is only a key: `_refer` puts those of the source images in its place.
        """
        frame = image.frame
        assert frame.position is not None  # noqa: S101 - see _check
        assert frame.orientation is not None  # noqa: S101
        assert frame.spacing is not None  # noqa: S101
        one = Dataset()
        one.update(self._about)
        one.SOPClassUID = MRImageStorage
        one.SOPInstanceUID = self._uid("stand-in", str(plane))
        one.SeriesInstanceUID = self._uid("stand-in series")
        one.FrameOfReferenceUID = self._images[self._planes[0].frames[0]].frame_of_reference
        one.Modality = "MR"
        one.Rows, one.Columns = frame.file.rows, frame.file.cols
        one.ImagePositionPatient = [_ds(value) for value in frame.position]
        one.ImageOrientationPatient = [_ds(value) for value in frame.orientation]
        one.PixelSpacing = [_ds(value) for value in frame.spacing]
        one.SliceThickness = _ds(frame.file.numbers.get("SliceThickness") or self._step())
        return one

    def _step(self) -> float:
        affine = self.segmentation.cine.affine
        assert affine is not None  # noqa: S101 - see why_no_seg
        return float(np.linalg.norm(affine[:3, 2]))

    def _refer(self, seg: Dataset, under: dict[str, list[FrameRef]], phase: int) -> None:
        """Point every frame at the source images it was drawn on, and list them by their true series."""
        for groups in seg.PerFrameFunctionalGroupsSequence:
            (derivation,) = groups.DerivationImageSequence
            purpose = derivation.SourceImageSequence[0].PurposeOfReferenceCodeSequence
            refs = under[str(derivation.SourceImageSequence[0].ReferencedSOPInstanceUID)]
            derivation.SourceImageSequence = [_reference(self._images[ref], purpose) for ref in refs]
            groups.FrameContentSequence[0].TemporalPositionIndex = phase + 1
        series: dict[str, dict[str, str]] = {}
        for ref in dict.fromkeys(ref for refs in under.values() for ref in refs):
            image = self._images[ref]
            series.setdefault(image.series, {})[image.sop_instance] = image.sop_class
        seg.ReferencedSeriesSequence = [_series(uid, instances) for uid, instances in series.items()]


def _check(images: dict[FrameRef, SourceImage], view: View, notes: dict[str, None]) -> None:
    """Raise where the images cannot be referred to; note what is odd."""
    whole = list(images.values())
    if any(not image.sop_instance or not image.sop_class or not image.series for image in whole):
        raise InputError(
            f"{view}: no DICOM SEG, since images carry no SOPInstanceUID, SOPClassUID or SeriesInstanceUID"
        )
    if len({image.uid for image in whole}) < len(whole):
        raise InputError(
            f"{view}: no DICOM SEG, since images share a SOPInstanceUID, so that masks could not say which"
        )
    if any(image.frame.position is None or image.frame.orientation is None for image in whole):
        raise InputError(f"{view}: no DICOM SEG, since images carry no position or orientation")
    spaces = {image.frame_of_reference for image in whole}
    if "" in spaces:
        raise InputError(f"{view}: no DICOM SEG, since images carry no FrameOfReferenceUID")
    if len(spaces) > 1:
        notes["the images name several frames of reference; the SEG names the first, its positions are theirs"] = None
    bad = [uid for image in whole for uid in (image.sop_instance, image.series) if not pydicom.uid.UID(uid).is_valid]
    if bad:
        notes["UIDs of the images break the standard; the SEG refers to them as they are"] = None


def _reference(image: SourceImage, purpose: Any) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID = image.sop_class
    one.ReferencedSOPInstanceUID = image.sop_instance
    if image.number is not None:
        one.ReferencedFrameNumber = image.number
    one.PurposeOfReferenceCodeSequence = purpose
    return one


def _series(uid: str, instances: dict[str, str]) -> Dataset:
    one = Dataset()
    one.SeriesInstanceUID = uid
    one.ReferencedInstanceSequence = []
    for instance, sop_class in instances.items():
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = instance
        one.ReferencedInstanceSequence.append(item)
    return one


def _ds(value: float) -> str:
    return str(pydicom.valuerep.format_number_as_ds(float(value)))

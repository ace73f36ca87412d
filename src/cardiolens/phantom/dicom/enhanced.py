"""One view as an Enhanced MR Image (multi-frame with functional groups; DICOM PS3.3 A.36.2)."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from cardiolens.phantom.dicom.header import (
    StudyIdentity,
    ds,
    fact,
    fill_common,
    fill_pixels,
    interval_ms,
    plane_geometry,
    step_mm,
)
from cardiolens.phantom.dicom.styles import SeriesPlan
from cardiolens.study import Cine, Study

_FRAME_TYPE = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
_CHARACTERISTICS = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
    "AcquisitionContrast": "UNKNOWN",
}
REQUIRED = (
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "MagneticFieldStrength",
    "SliceThickness",
    "PixelBandwidth",
    "PercentSampling",
    "PercentPhaseFieldOfView",
    "InPlanePhaseEncodingDirection",
)
"""Facts that the standard requires of an original image (type 1C), under their keywords in `Cine.attributes`."""
_DIMENSIONS = ("StackID", "InStackPositionNumber", "TemporalPositionIndex")


def enhanced_dataset(study: Study, plan: SeriesPlan, who: StudyIdentity) -> Dataset:
    """The whole view in one multi-frame object, all phases of a plane first; positions and times are per frame."""
    cine = plan.cine
    image = Dataset()
    fill_common(image, study, who)
    del image.AcquisitionDate
    image.SOPClassUID = EnhancedMRImageStorage
    image.SOPInstanceUID = who.uid("instance", plan.number, 1)
    image.SeriesInstanceUID = who.uid("series", plan.number)
    image.SeriesNumber = plan.number
    image.InstanceNumber = 1
    image.AcquisitionNumber = 1
    minute = f"{8 + plan.number // 60:02d}{plan.number % 60:02d}00"
    image.SeriesTime = image.ContentTime = minute
    image.AcquisitionDateTime = who.date + minute
    image.AcquisitionDuration = 10.0 * cine.n_slices
    image.SeriesDescription = image.ProtocolName = plan.description
    image.ImageType = _FRAME_TYPE
    for keyword, value in _CHARACTERISTICS.items():
        setattr(image, keyword, value)
    _fill_pulse_sequence(image, cine)
    _fill_dimensions(image, who)
    image.SharedFunctionalGroupsSequence = Sequence([_shared_groups(cine)])
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame_groups(cine, plane, phase, who.date + minute) for plane, phase in plan.order]
    )
    fill_pixels(image, np.stack([cine.frames[plane, phase] for plane, phase in plan.order]))
    return image


def _fill_pulse_sequence(image: Dataset, cine: Cine) -> None:
    """MR Pulse Sequence, Cardiac Synchronization and Acquisition Context modules of a breath-held bSSFP cine."""
    for keyword, value in {
        "ContentQualification": "RESEARCH",
        "PulseSequenceName": "ssfp2d",
        "MRAcquisitionType": "2D",
        "EchoPulseSequence": "GRADIENT",
        "MultiPlanarExcitation": "NO",
        "PhaseContrast": "NO",
        "TimeOfFlightContrast": "NO",
        "SteadyStatePulseSequence": "FREE_PRECESSION",
        "EchoPlanarPulseSequence": "NO",
        "SaturationRecovery": "NO",
        "SpectrallySelectedSuppression": "NONE",
        "OversamplingPhase": "NONE",
        "GeometryOfKSpaceTraversal": "RECTILINEAR",
        "SegmentedKSpaceTraversal": "PARTIAL",
        "RectilinearPhaseEncodeReordering": "LINEAR",
        "NumberOfKSpaceTrajectories": 1,
        "ResonantNucleus": "1H",
        "KSpaceFiltering": "NONE",
        "ApplicableSafetyStandardAgency": "IEC",
        "MagneticFieldStrength": _number(cine, "MagneticFieldStrength"),
        "CardiacSynchronizationTechnique": fact(cine, "CardiacSynchronizationTechnique", "RETROSPECTIVE"),
        "CardiacSignalSource": "ECG",
        "CardiacRRIntervalSpecified": interval_ms(cine),
        "CardiacBeatRejectionTechnique": "NONE",
        "LowRRValue": round(interval_ms(cine)),
        "HighRRValue": round(interval_ms(cine)),
        "IntervalsAcquired": 8,
        "IntervalsRejected": 0,
        "RespiratoryMotionCompensationTechnique": "BREATH_HOLD",
        "RespiratorySignalSource": "NONE",
        "LossyImageCompression": "00",
        "PresentationLUTShape": "IDENTITY",
    }.items():
        setattr(image, keyword, value)
    image.AcquisitionContextSequence = Sequence([])


def _fill_dimensions(image: Dataset, who: StudyIdentity) -> None:
    """Multi-frame Dimension module: stack, position in it, phase."""
    uid = who.uid("dimension organization")
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    image.DimensionOrganizationSequence = Sequence([organization])
    indices = []
    for keyword in _DIMENSIONS:
        index = Dataset()
        index.DimensionOrganizationUID = uid
        index.DimensionIndexPointer = _tag(keyword)
        index.FunctionalGroupPointer = _tag("FrameContentSequence")
        indices.append(index)
    image.DimensionIndexSequence = Sequence(indices)


def _shared_groups(cine: Cine) -> Dataset:
    """Functional groups that hold for every frame: spacing, orientation, timing, frame type, anatomy, modifiers."""
    assert cine.spacing_mm is not None  # noqa: S101 - see require_geometry
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [ds(v) for v in cine.spacing_mm]
    measures.SliceThickness = ds(_number(cine, "SliceThickness"))
    step = step_mm(cine)
    if step is not None:
        measures.SpacingBetweenSlices = ds(step)
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence(
        [_item(ImageOrientationPatient=[ds(v) for v in plane_geometry(cine, 0).orientation])]
    )
    shared.FrameAnatomySequence = Sequence([_item(FrameLaterality="U", AnatomicRegionSequence=Sequence([_heart()]))])
    shared.PixelValueTransformationSequence = Sequence(
        [_item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")]
    )
    low, high = np.percentile(cine.frames, [1, 99])
    shared.FrameVOILUTSequence = Sequence(
        [_item(WindowCenter=ds(round((low + high) / 2)), WindowWidth=ds(max(1, round(high - low))))]
    )
    shared.MRImageFrameTypeSequence = Sequence([_item(FrameType=_FRAME_TYPE, **_CHARACTERISTICS)])
    shared.MRTimingAndRelatedParametersSequence = Sequence([_timing(cine)])
    shared.MREchoSequence = Sequence([_item(EffectiveEchoTime=_number(cine, "EchoTime"))])
    shared.MRAveragesSequence = Sequence([_item(NumberOfAverages=1.0)])
    shared.MRFOVGeometrySequence = Sequence([_field_of_view(cine)])
    shared.MRModifierSequence = Sequence([_modifier(cine)])
    shared.MRImagingModifierSequence = Sequence(
        [_item(MagnetizationTransfer="NONE", BloodSignalNulling="NO", Tagging="NONE",
               TransmitterFrequency=round(42.577 * _number(cine, "MagneticFieldStrength"), 3),
               PixelBandwidth=_number(cine, "PixelBandwidth"))]
    )  # fmt: skip
    shared.MRReceiveCoilSequence = Sequence(
        [
            _item(
                ReceiveCoilName="phantom",
                ReceiveCoilManufacturerName="",
                ReceiveCoilType="BODY",
                QuadratureReceiveCoil="NO",
            )
        ]
    )
    shared.MRTransmitCoilSequence = Sequence(
        [_item(TransmitCoilName="phantom", TransmitCoilManufacturerName="", TransmitCoilType="BODY")]
    )
    return shared


def _frame_groups(cine: Cine, plane: int, phase: int, acquired: str) -> Dataset:
    """Functional groups of one frame: its place, its phase, its trigger delay."""
    assert cine.trigger_times_ms is not None  # noqa: S101 - see require_geometry
    place = plane_geometry(cine, plane)
    content = _item(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=acquired,
        FrameAcquisitionDateTime=acquired,
        FrameAcquisitionDuration=interval_ms(cine) / cine.n_phases,
        StackID="1",
        InStackPositionNumber=plane + 1,
        TemporalPositionIndex=phase + 1,
        DimensionIndexValues=[1, plane + 1, phase + 1],
        CardiacCyclePosition="UNDETERMINED",
    )
    time = float(cine.trigger_times_ms[plane, phase])
    synchronization = _item(
        NominalPercentageOfCardiacPhase=100.0 * time / interval_ms(cine),
        NominalCardiacTriggerDelayTime=time,
        ActualCardiacTriggerDelayTime=time,
        RRIntervalTimeNominal=interval_ms(cine),
    )
    frame = Dataset()
    frame.FrameContentSequence = Sequence([content])
    frame.PlanePositionSequence = Sequence([_item(ImagePositionPatient=[ds(v) for v in place.position])])
    frame.CardiacSynchronizationSequence = Sequence([synchronization])
    return frame


def _timing(cine: Cine) -> Dataset:
    timing = _item(
        RepetitionTime=ds(_number(cine, "RepetitionTime")),
        FlipAngle=ds(_number(cine, "FlipAngle")),
        EchoTrainLength=1,
        RFEchoTrainLength=0,
        GradientEchoTrainLength=1,
        GradientOutputType="DB_DT",
        GradientOutput=0.0,
    )
    timing.SpecificAbsorptionRateSequence = Sequence(
        [_item(SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.0)]
    )
    timing.OperatingModeSequence = Sequence(
        [
            _item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
            _item(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
            _item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
        ]
    )
    return timing


def _field_of_view(cine: Cine) -> Dataset:
    rows, cols = cine.shape[2:]
    down = cine.attributes["InPlanePhaseEncodingDirection"] == "COL"
    return _item(
        InPlanePhaseEncodingDirection="COLUMN" if down else "ROW",
        MRAcquisitionFrequencyEncodingSteps=cols if down else rows,
        MRAcquisitionPhaseEncodingStepsInPlane=rows if down else cols,
        PercentSampling=ds(_number(cine, "PercentSampling")),
        PercentPhaseFieldOfView=ds(_number(cine, "PercentPhaseFieldOfView")),
    )


def _modifier(cine: Cine) -> Dataset:
    modifier = _item(
        InversionRecovery="NO",
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    factor = float(fact(cine, "ParallelReductionFactorInPlane", 1.0))
    if factor > 1:
        modifier.ParallelAcquisition = "YES"
        modifier.ParallelAcquisitionTechnique = "SENSE"
        modifier.ParallelReductionFactorInPlane = factor
        modifier.ParallelReductionFactorOutOfPlane = 1.0
    if float(fact(cine, "PartialFourier", 1.0)) < 1:
        modifier.PartialFourier = "YES"
        modifier.PartialFourierDirection = "PHASE"
    return modifier


def _heart() -> Dataset:
    """SNOMED CT 80891009, "Heart" (DICOM PS3.16 CID 4030)."""
    return _item(CodeValue="80891009", CodingSchemeDesignator="SCT", CodeMeaning="Heart")


def _number(cine: Cine, keyword: str) -> float:
    """A fact of `REQUIRED` that is a number."""
    return float(cine.attributes[keyword])


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _tag(keyword: str) -> int:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 - keywords above are DICOM's own
    return int(tag)

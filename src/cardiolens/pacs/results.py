"""What goes back to the archive about one study: Structured Report, Segmentations, summary image."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cardiolens.dicom.write import SegWriter, why_no_seg
from cardiolens.dicom.write_report import Sources, write_report
from cardiolens.dicom.write_summary import write_summary
from cardiolens.errors import CardiolensError, NoCineError
from cardiolens.pacs.report import comments_of, groups_of, phase_images, seed_of
from cardiolens.pacs.summary import summary_page
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.contours import SegmentResult
    from cardiolens.findings import Prediction

Masks = Literal["ed-es", "all", "none"]
"""Which phases get a DICOM SEG: end-diastole and end-systole of the short axis, every phase of every view, none."""


@dataclass
class Results:
    """DICOM files by name, in the order in which they are sent, and what could not be made."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_results(
    study: Study,
    prediction: Prediction | None,
    contours: SegmentResult | None,
    *,
    made: dt.datetime,
    masks: Masks = "ed-es",
    comments: Sequence[str] = (),
) -> Results:
    """Everything to send about one study.

    The UIDs follow from the images and from what was found, so the same study gets the same objects again, and an
    archive that has them keeps one copy.

    Args:
        study: read from DICOM.
        prediction, contours: at least one of them.
        made: when they were had.
        comments: sentences for the report, such as what did not come or could not be done.

    Raises:
        NoCineError: neither prediction nor contours hold a figure to report.
        InputError: images without UIDs, or headers that break DICOM too far.
        ReadError: source files that are gone.
    """
    sources = Sources(study.cines)
    groups = groups_of(prediction, contours)
    if not groups:
        raise NoCineError("no figure to report: the model gives neither LVEF nor calibrated conditions, no contours")
    out = Results(notes=list(sources.notes))
    said = comments_of(prediction, contours, [*comments, *sources.notes])
    seed = [*seed_of(prediction, contours), *comments]
    out.files["SR.dcm"] = write_report(sources, groups, said, seed=seed, made=made)
    images = phase_images(contours)
    shown = [ref for name in ("d", "s") for ref in images.get(name, ())]
    out.files["SC.dcm"] = write_summary(sources, summary_page(study, prediction, contours), made=made, shown=shown)
    if contours is not None and masks != "none":
        _masks(contours, masks, out)
    return out


def _masks(contours: SegmentResult, masks: Masks, out: Results) -> None:
    """SEG of the phases wanted; a view that cannot be written is noted."""
    chosen = [phase for phase in (contours.measures.ed_phase, contours.measures.es_phase) if phase is not None]
    for segmentation in contours.segmentations:
        if masks == "ed-es" and segmentation.view is not View.SAX:
            continue
        if reason := why_no_seg(segmentation.cine):
            out.notes.append(reason)
            continue
        try:
            writer = SegWriter(segmentation)
            for phase in range(segmentation.cine.n_phases) if masks == "all" else sorted(set(chosen)):
                out.files[f"SEG_{segmentation.view}_phase_{phase + 1:02d}.dcm"] = writer(phase)
            out.notes += writer.notes
        except CardiolensError as error:
            out.notes.append(str(error))

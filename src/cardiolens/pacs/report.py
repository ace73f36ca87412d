"""A `Prediction` and a `SegmentResult` → groups of coded figures, as a Structured Report holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__
from cardiolens.dicom.pixels import DicomFrames, FrameRef
from cardiolens.dicom.sources import drawn_on
from cardiolens.dicom.write_report import Figure, Group
from cardiolens.pacs import codes
from cardiolens.study import View

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from cardiolens.contours import SegmentResult
    from cardiolens.findings import Prediction
    from cardiolens.measures import Measures


def groups_of(prediction: Prediction | None, contours: SegmentResult | None) -> list[Group]:
    """What is reported: LVEF and conditions of the model, figures of the contours; [] where there is none."""
    return [*_predicted(prediction), *_measured(contours)]


def seed_of(prediction: Prediction | None, contours: SegmentResult | None) -> list[str]:
    """Hashes of what was found and by which weights: the same results give the same, whenever they are made."""
    out = []
    if prediction is not None:
        facts = prediction.to_dict()
        facts.pop("timing_s")
        out.append(_digest(facts))
    if contours is not None:
        facts = {k: v for k, v in contours.provenance.items() if k != "lvef_error"}
        out.append(_digest({"measures": contours.measures.as_dict(), "from": facts}))
    return out


def phase_images(contours: SegmentResult | None) -> dict[str, tuple[FrameRef, ...]]:
    """Images of the short axis at end-diastole ("d") and end-systole ("s"), as far as they are known."""
    short_axis = contours.segmentation(View.SAX) if contours is not None else None
    if contours is None or short_axis is None or not isinstance(short_axis.cine.origin, DicomFrames):
        return {}
    planes = short_axis.cine.origin.planes
    at = (("d", contours.measures.ed_phase), ("s", contours.measures.es_phase))
    return {
        name: tuple(ref for plane in planes for ref in drawn_on(plane, phase))
        for name, phase in at
        if phase is not None
    }


def _predicted(prediction: Prediction | None) -> Iterator[Group]:
    if prediction is None:
        return
    by = _by(prediction.provenance)
    outside = prediction.out_of_domain
    answers = () if outside is None else ((codes.OUTSIDE, codes.YES if outside else codes.NO),)
    unlike = ("The study is unlike those that the model learned from: do not rely on this.",) if outside else ()
    if prediction.lvef_pct is not None:
        interval, lvef = prediction.interval, prediction.lvef_pct
        figure = Figure(
            codes.LVEF,
            lvef,
            codes.PERCENT,
            below=lvef - interval.low if interval else None,
            above=interval.high - lvef if interval else None,
            method=codes.REGRESSION,
        )
        said = () if interval is None else (f"The interval holds {interval.coverage:.0%} of studies of that kind.",)
        yield Group("LVEF of the network", **by, figures=(figure,), site=codes.LV, answers=answers,
                    comments=(*unlike, *prediction.domain_reasons, *said))  # fmt: skip
    for finding in prediction.conditions:
        if finding.probability is None:
            continue  # a score that is not calibrated says nothing to a reader; the notes name it
        flagged = () if finding.flagged is None else ((codes.FLAGGED, codes.YES if finding.flagged else codes.NO),)
        yield Group(
            f"condition: {finding.words}",
            **by,
            figures=(Figure(codes.CERTAINTY, round(100 * finding.probability, 1), codes.PERCENT),),
            # Coded as a finding where the model says that it is there, and nowhere else: readers take it as asserted.
            finding=codes.condition_code(finding.name, finding.words) if finding.flagged and not outside else None,
            site=codes.HEART,
            answers=(*flagged, *answers),
            comments=unlike,
        )


def _measured(contours: SegmentResult | None) -> Iterator[Group]:
    if contours is None or contours.worst == "error":
        return  # `comments_of` says why
    measures, by, at = contours.measures, _by(contours.provenance), phase_images(contours)
    doubts = tuple(str(flag) for flag in measures.flags if flag.severity != "info")
    for name, (site, figures) in codes.FIGURES.items():
        found = tuple(
            Figure(
                coded.concept,
                getattr(measures, field),
                coded.unit,
                images=tuple(ref for phase in coded.phases for ref in at.get(phase, ())),
                method=_method(coded.method, measures),
            )
            for field, coded in figures.items()
            if getattr(measures, field) is not None
        )
        if found:
            yield Group(f"contours: {name}", **by, figures=found, site=site, comments=doubts + _phases(contours, name))


def _method(method: Code | None, measures: Measures) -> Code | None:
    """Discs of the long axis are of both views, or of the one that there is."""
    return codes.ONE_LONG_AXIS if method is codes.LONG_AXIS and len(measures.by_view) < 2 else method


def _phases(contours: SegmentResult, group: str) -> tuple[str, ...]:
    """Which phases were taken, where the group rests on them."""
    measures = contours.measures
    if "long axis" in group or "atrium" in group or measures.ed_phase is None or measures.es_phase is None:
        return ()
    both = f"End-diastole is phase {measures.ed_phase + 1} of the short axis, end-systole {measures.es_phase + 1}."
    return (both, *(contours.known_error if group == "left ventricle" else ()))


def _by(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Algorithm, its version and parameters, for a `Group`."""
    weights = provenance.get("weights_sha256")
    return {
        "algorithm": str(provenance["model"])[:64],
        "version": __version__,
        "parameters": (f"weights sha256 {weights}",) if weights else (),
    }


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def comments_of(prediction: Prediction | None, contours: SegmentResult | None, more: Sequence[str]) -> list[str]:
    """Sentences on the whole study, each once."""
    said = [*(prediction.notes if prediction else ()), *(contours.notes if contours else ())]
    if contours is not None and contours.worst == "error":
        why = "; ".join(flag.words for flag in contours.measures.flags if flag.severity == "error")
        said.append(f"Figures of the contours are left out, since they are not to be used: {why}")
    said += [f"Not drawn: {view}: {why}" for view, why in (contours.skipped.items() if contours else ())]
    return list(dict.fromkeys([*said, *more]))

"""What the study page shows, as plain values for JSON: facts of the study, figures, conditions, attention, changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cardiolens.conditions import ConditionFinding
from cardiolens.contours import SegmentResult
from cardiolens.dicom.write import COLOURS
from cardiolens.findings import Prediction
from cardiolens.html.contours import GROUPS, agreement, figure_words
from cardiolens.html.loops import model_field
from cardiolens.html.parts import scrubber_of
from cardiolens.html.report import band_of
from cardiolens.origin import is_rendered, learned_from_phantom
from cardiolens.privacy import shown_age
from cardiolens.serve.changes import told
from cardiolens.serve.results import Reading
from cardiolens.study import Cine, Study, View

if TYPE_CHECKING:
    from cardiolens.serve.desk import Desk

NOT_A_DEVICE = "Research use only, not a medical device"
Strike = Callable[[str], str]


def study_told(desk: Desk, key: str) -> dict[str, Any]:
    """A study without its pixels and results."""
    study = desk.store.read(key)
    strike = scrubber_of(study)
    labels = desk.catalogue.labels
    own = labels.loc[key].dropna().to_dict() if key in labels.index else {}
    return {
        "key": key,
        "content": desk.content(key),
        "site": study.site,
        "sex": study.sex,
        "age": shown_age(None if study.age is None else round(study.age)),
        "cines": [_cine_told(cine, strike, desk) for cine in study.cines],
        "report": None if study.report is None else strike(study.report),
        "refused": [{"series": strike(one.series), "reason": strike(one.reason)} for one in study.refused],
        "notes": [strike(note) for note in study.notes],
        "labels": {str(name): _plain(value) for name, value in own.items()},
        "colours": {name: list(rgb) for name, rgb in COLOURS.items()},
        "rendered": is_rendered(study),
        "disclaimer": NOT_A_DEVICE,
    }


def _cine_told(cine: Cine, strike: Strike, desk: Desk) -> dict[str, Any]:
    transform = desk.engines.card.transform
    at, times = cine.slice_positions_mm, cine.trigger_times_ms
    return {
        "view": str(cine.view),
        "shape": list(cine.shape),
        "spacing_mm": list(cine.spacing_mm) if cine.spacing_mm else None,
        "positions_mm": None if at is None else [round(float(v - at[0]), 1) for v in at],
        "times_ms": None if times is None else [round(float(v), 1) for v in times.mean(0)],
        "cycle_ms": cine.cycle_ms,
        "field": model_field(cine, transform["short_side"], transform["crop"]),
        "notes": [strike(note) for note in cine.notes],
    }


def reading_told(desk: Desk, key: str, reading: Reading) -> dict[str, Any]:
    """What is known of a study now."""
    strike = scrubber_of(desk.store.read(key))
    prediction, contours = reading.prediction, reading.contours
    edited = desk.edited(key)
    both = agreement(prediction, contours.measures) if prediction and contours else ""
    return {
        "key": key,
        "prediction": None if prediction is None else _prediction(prediction, strike, _calibrations(desk)),
        "no_prediction": reading.no_prediction,
        "contours": None if contours is None else contours_told(contours, strike),
        "no_contours": reading.no_contours,
        "can_draw": desk.engines.segmenter is not None,
        "agreement": both,
        "changes": [told(line) for line in edited.history],
        "live": [line["id"] for line in edited.live],
        "chosen": {"ed": edited.ed, "es": edited.es},
        "model": desk.engines.card.full_name,
        "phantom_trained": learned_from_phantom(desk.engines.card),
        "disclaimer": NOT_A_DEVICE,
    }


def _prediction(prediction: Prediction, strike: Strike, fitted: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    interval = prediction.interval
    domain = prediction.domain_score, prediction.domain_threshold
    return {
        "lvef_pct": prediction.lvef_pct,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "coverage": interval.coverage if interval else None,
        "band": band_of(prediction.lvef_pct).words if prediction.lvef_pct is not None else None,
        "out_of_domain": prediction.out_of_domain,
        "domain_ratio": None if None in domain else float(domain[0]) / max(float(domain[1]), 1e-9),  # type: ignore[arg-type]
        "reasons": [strike(reason) for reason in prediction.domain_reasons],
        "conditions": [_condition(one, fitted.get(one.name)) for one in prediction.conditions],
        "attention_of": prediction.attention_of,
        "attention": [
            {"view": str(row.view), "clips": row.clips, "share": row.share, "relative": row.relative}
            for row in prediction.attention
        ],
        "clips": [{"view": str(c.view), "plane": c.plane, "attention": c.attention} for c in prediction.clips],
        "notes": [strike(note) for note in prediction.notes],
        "model": prediction.provenance.get("model"),
    }


def _calibrations(desk: Desk) -> dict[str, Mapping[str, Any]]:
    """Slope and intercept of each calibrated condition."""
    heads = desk.engines.predictor.condition_heads
    return {name: fitted for head in heads for name, fitted in head.calibration.items()}


def _condition(finding: ConditionFinding, fitted: Mapping[str, Any] | None) -> dict[str, Any]:
    """A condition, with its operating point as a probability, to be drawn on the same scale."""
    point = None
    if fitted is not None and finding.threshold is not None:
        score = min(max(finding.threshold, 1e-9), 1 - 1e-9)
        logit = float(fitted["slope"]) * math.log(score / (1 - score)) + float(fitted["intercept"])
        point = 1 / (1 + math.exp(-logit))
    return {**finding.to_dict(), "words": finding.words, "threshold_probability": point}


def contours_told(result: SegmentResult, strike: Strike) -> dict[str, Any]:
    """Figures, curves, flags and what changed."""
    measures, before = result.measures, result.before
    short = result.segmentation(View.SAX)
    return {
        "ed": measures.ed_phase,
        "es": measures.es_phase,
        "found": {"ed": (before or measures).ed_phase, "es": (before or measures).es_phase},
        "lvef_pct": measures.lvef_pct,
        "groups": [_group(title, rows, result) for title, rows in GROUPS],
        "curves": {
            name: {"unit": curve.unit, "values": [None if math.isnan(v) else round(float(v), 2) for v in curve.values]}
            for name, curve in measures.curves.items()
        },
        "times_ms": _times(short.cine) if short else None,
        "flags": [{"severity": flag.severity, "words": strike(flag.words)} for flag in measures.flags],
        "worst": result.worst,
        "refused": {name: strike(reason) for name, reason in measures.refused.items()},
        "views": {str(one.view): list(one.structures) for one in result.segmentations},
        "skipped": {view: strike(reason) for view, reason in result.skipped.items()},
        "changed": [strike(change.words) for change in result.changes],
        "known_error": list(result.known_error),
        "model": result.provenance.get("model"),
        "notes": [strike(note) for note in result.notes],
    }


def _group(title: str, rows: Any, result: SegmentResult) -> dict[str, Any]:
    before = result.before
    return {
        "title": title,
        "rows": [
            {
                "name": name,
                "label": label,
                "value": figure_words(name, result.measures),
                "before": figure_words(name, before) if before is not None else "",
            }
            for name, label in rows
            if figure_words(name, result.measures) or (before is not None and figure_words(name, before))
        ],
    }


def _times(cine: Cine) -> list[float] | None:
    """Mean trigger times of the phases; None where they are unknown or do not ascend."""
    if cine.trigger_times_ms is None:
        return None
    times = [float(v) for v in cine.trigger_times_ms.mean(0)]
    return [round(v, 1) for v in times] if all(a < b for a, b in pairwise(times)) else None


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | bool) else str(value)


def report_made(desk: Desk, key: str, study: Study, reading: Reading) -> str:
    """The report of a study as one HTML document.

    Raises:
        InputError: the study was not read yet.
    """
    from cardiolens.errors import InputError
    from cardiolens.html.report import study_report

    if reading.prediction is None:
        raise InputError("this study was not read yet; read it first, then there is a report")
    return study_report(study, reading.prediction, name=key, card=desk.engines.card, contours=reading.contours)

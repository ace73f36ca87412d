"""The study report: one HTML file that opens anywhere, loads nothing and holds no patient identifier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cardiolens.html.conditions import condition_facts
from cardiolens.html.contours import contour_facts
from cardiolens.html.loops import LONGEST_SIDE, MOST_PHASES, all_sheets, loop_data, model_field
from cardiolens.html.parts import environment, page_parts, scrubber_of, study_facts, view_facts
from cardiolens.inference import Prediction
from cardiolens.origin import is_rendered, learned_from_phantom
from cardiolens.study import Study

if TYPE_CHECKING:
    from cardiolens.contours import SegmentResult
    from cardiolens.models.card import Card

_NOMINAL_CYCLE_MS = 1000.0


@dataclass(frozen=True)
class Band:
    """A range of LVEF by the 2021 ESC heart-failure guideline (McDonagh et al. 2021, table 3)."""

    key: str
    words: str
    low: float
    high: float


# The guideline gives whole numbers: <= 40, 41-49, >= 50.  A figure is rounded before it is named.
BANDS = (
    Band("reduced", "Reduced", 0, 40.5),
    Band("mild", "Mildly reduced", 40.5, 49.5),
    Band("preserved", "Preserved", 49.5, 100),
)


def band_of(lvef_pct: float) -> Band:
    """The ESC band of an LVEF in percent, rounded to a whole number."""
    return next(band for band in reversed(BANDS) if round(lvef_pct) > band.low or band is BANDS[0])


def study_report(
    study: Study,
    prediction: Prediction,
    *,
    name: str,
    card: Card,
    contours: SegmentResult | None = None,
    created: dt.datetime | None = None,
) -> str:
    """The report as one HTML document.

    Args:
        study: whose cines are shown; its patient and accession are not, and are struck out wherever a text holds them.
        prediction: what a model said of it.
        name: pseudonym under which the study is shown.
        card: of the model.
        contours: what a segmenter drew, shown beside the model's figure; None for a page without.
        created: when; now by default.
    """
    strike = scrubber_of(study)
    cycles = [cycle for cine in study.cines if (cycle := cine.cycle_ms)]
    cycle = sum(cycles) / len(cycles) if cycles else None
    created = created or dt.datetime.now(dt.timezone.utc)
    return (
        environment()
        .get_template("report.html")
        .render(
            **page_parts(),
            name=name,
            study=study_facts(study, strike),
            prediction=prediction,
            lvef=_lvef(prediction),
            conditions=condition_facts(prediction, card),
            contours=contour_facts(study, contours, prediction) if contours is not None else None,
            attention_words=_attention_words(prediction),
            bands=BANDS,
            domain_ratio=_ratio_words(prediction),
            by_origin=_by_origin(prediction),
            loops={
                "cycle_ms": cycle or _NOMINAL_CYCLE_MS,
                "limit": prediction.domain_threshold,
                "field": _field(study, prediction),
                "cines": _loops(study, prediction),
            },
            heart_rate=round(60_000 / cycle) if cycle else None,
            most_phases=MOST_PHASES,
            longest_side=LONGEST_SIDE,
            reasons=[strike(reason) for reason in prediction.domain_reasons],
            views=[view_facts(cine, strike) for cine in study.cines],
            refused=[(strike(r.series), strike(r.reason), r.n_files) for r in study.refused],
            notes=[strike(note) for note in (*prediction.notes, *study.notes)],
            cine_notes=[(str(cine.view), strike(note)) for cine in study.cines for note in cine.notes],
            provenance=_provenance(prediction, created),
            card=_card_facts(card),
            phantom_trained=learned_from_phantom(card),
            rendered=is_rendered(study),
        )
    )


def _attention_words(prediction: Prediction) -> str:
    """Whose attention is shown, where that is not plain."""
    if not prediction.conditions:
        return ""
    of = {"lvef": "Attention of the LVEF head. ", "mean": "Mean over the conditions, each of which looks for itself. "}
    return of.get(prediction.attention_of, "One attention for all conditions. ")


def _lvef(prediction: Prediction) -> dict[str, Any] | None:
    """Figures of the gauge; the band only where the figure may be relied on.  None without an LVEF."""
    if prediction.lvef_pct is None:
        return None
    interval = prediction.interval
    band = band_of(prediction.lvef_pct)
    spanned = [band]
    if interval:
        ends = [BANDS.index(band_of(interval.low)), BANDS.index(band_of(interval.high))]
        spanned = list(BANDS[ends[0] : ends[1] + 1])
    return {
        "value": prediction.lvef_pct,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "coverage": interval.coverage if interval else None,
        "coverage_words": f"{interval.coverage * 100:.3g} %" if interval else "",
        "band": band,
        "spanned": spanned,
    }


def _by_origin(prediction: Prediction) -> bool:
    """Whether the study is out of domain by where it comes from alone, its images being within the limit."""
    score, limit = prediction.domain_score, prediction.domain_threshold
    return bool(prediction.out_of_domain) and (score is None or limit is None or score <= limit)


def _ratio_words(prediction: Prediction) -> str:
    """The domain score in units of its limit, no more exact than it deserves."""
    if prediction.domain_score is None or prediction.domain_threshold is None:
        return ""
    ratio = prediction.domain_score / prediction.domain_threshold
    return "more than 10 times" if ratio > 10 else f"{ratio:.2g} times"


def _field(study: Study, prediction: Prediction) -> dict[str, list[float]]:
    transform = prediction.provenance["transform"]
    return {str(c.view): model_field(c, transform["short_side"], transform["crop"]) for c in study.cines}


def _loops(study: Study, prediction: Prediction) -> list[dict[str, Any]]:
    rows = []
    for cine, sheets in zip(study.cines, all_sheets(study.cines), strict=True):
        own = [clip for clip in prediction.clips if clip.view == cine.view]
        attention = {clip.plane: clip.attention for clip in own}
        rows.append(loop_data(cine, sheets, attention, {clip.plane: clip.domain_score for clip in own}))
    return rows


def _provenance(prediction: Prediction, created: dt.datetime) -> list[tuple[str, str]]:
    rows = [("Report made", created.strftime("%Y-%m-%d %H:%M %Z").strip())]
    words = {
        "cardiolens": "cardiolens version",
        "model": "Model",
        "weights_sha256": "Weights, SHA-256",
        "study_sha256": "Pixels of the study, SHA-256",
        "plane_sampling": "Planes read",
        "torch": "PyTorch version",
        "device": "Computed on",
    }
    rows += [(label, str(prediction.provenance[key])) for key, label in words.items() if key in prediction.provenance]
    transform: Mapping[str, Any] = prediction.provenance["transform"]
    rows.append(
        (
            "Clip",
            f"{transform['frames']} frames, short side {transform['short_side']} px, "
            f"centre {transform['crop']} × {transform['crop']} px",
        )
    )
    seconds = sum(prediction.timing_s.values())
    parts = ", ".join(f"{stage} {value:.2f}" for stage, value in prediction.timing_s.items())
    return [*rows, ("Time, s", f"{seconds:.2f} ({parts})")] if parts else rows


def _card_facts(card: Card) -> dict[str, Any]:
    lvef = card.tasks.get("lvef", {})
    others = {task: entry for task, entry in card.tasks.items() if task != "lvef"}
    conformal = lvef.get("conformal") or {}
    rows = [("Name", card.full_name), ("Source", card.source or "–")]
    rows += [(f"Licence, {what}", str(terms)) for what, terms in card.licence.model_dump().items()]
    rows += [(f"LVEF, {key.replace('_', ' ')}", _number(value)) for key, value in (lvef.get("metrics") or {}).items()]
    rows += [
        (f"{task.replace('_', ' ')}, mean AUROC, {part}".capitalize(), _number(figures["mean_auroc"]))
        for task, entry in others.items()
        for part, figures in (entry.get("metrics") or {}).items()
        if isinstance(figures, Mapping) and figures.get("mean_auroc") is not None and len(entry.get("labels", ())) > 1
    ]
    if conformal:
        half, coverage, count = conformal["quantile"], conformal["coverage"], conformal.get("n", "unknown number of")
        rows.append(("Interval", f"±{half:.1f} points hold {coverage:.0%}, from {count} held-out studies"))
    if card.domain:
        count, share = card.domain.get("n_held_out", "unknown number of"), card.domain.get("quantile", float("nan"))
        rows.append(("Out-of-domain limit", f"passes {share:.0%} of {count} held-out studies"))
    rows += _training(card.provenance, "Training")
    return {"rows": rows, "notes": [str(note) for note in card.notes]}


def _training(provenance: Mapping[str, Any], words: str) -> list[tuple[str, str]]:
    """The provenance of a card, line by line; that of the model it started from after its own."""
    rows = []
    for key, value in provenance.items():
        if isinstance(value, Mapping):
            rows += _training(value, f"Before, {words[0].lower()}{words[1:]}")
        elif value:
            rows.append((f"{words}, {key.replace('_', ' ')}", str(value)))
    return rows


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

"""The page of contours: figures with their doubts, volume curves, loops with lines that can be switched off.

And, for the report of a prediction, what the contours say beside the model.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from cardiolens.contours.curve import curve_figure
from cardiolens.contours.lines import contour_pictures, outlines, shown_box
from cardiolens.contours.study import SegmentResult
from cardiolens.dicom.deid import Scrubber
from cardiolens.dicom.write import COLOURS
from cardiolens.findings import Prediction
from cardiolens.html.loops import Sheet, all_sheets, shown_phases
from cardiolens.html.parts import environment, page_parts, scrubber_of, study_facts, view_facts
from cardiolens.measures import Measures
from cardiolens.measures.reference import INDEXED
from cardiolens.origin import is_rendered
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine, Study, View

GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Left ventricle, short axis",
        (
            ("lv_edv_ml", "End-diastolic volume"),
            ("lv_esv_ml", "End-systolic volume"),
            ("lv_sv_ml", "Stroke volume"),
            ("lvef_pct", "Ejection fraction"),
            ("lv_mass_g", "Mass at ED"),
            ("lv_mass_es_g", "Mass at ES, as a check"),
            ("cardiac_output_l_min", "Cardiac output"),
            ("heart_rate_bpm", "Heart rate"),
        ),
    ),
    (
        "Right ventricle, short axis",
        (
            ("rv_edv_ml", "End-diastolic volume"),
            ("rv_esv_ml", "End-systolic volume"),
            ("rv_sv_ml", "Stroke volume"),
            ("rvef_pct", "Ejection fraction"),
        ),
    ),
    (
        "Left ventricle, long axis",
        (
            ("lv_edv_long_axis_ml", "End-diastolic volume"),
            ("lv_esv_long_axis_ml", "End-systolic volume"),
            ("lvef_long_axis_pct", "Ejection fraction"),
            ("lv_length_ed_mm", "Length at ED"),
            ("lv_length_es_mm", "Length at ES"),
            ("mapse_mm", "MAPSE"),
            ("mapse_axial_mm", "MAPSE, along the axis"),
            ("gls_pct", "Longitudinal strain"),
        ),
    ),
    (
        "Atria, long axis",
        (
            ("la_max_ml", "LA, largest volume"),
            ("la_min_ml", "LA, smallest volume"),
            ("la_ef_pct", "LA ejection fraction"),
            ("ra_max_ml", "RA, largest volume"),
            ("ra_min_ml", "RA, smallest volume"),
            ("ra_ef_pct", "RA ejection fraction"),
        ),
    ),
)
"""Figures of the page by group, in the order shown; those that a newer `Measures` adds follow under their own names."""
_UNITS = (
    ("_l_min", "l/min", 1),
    ("_ml", "ml", 0),
    ("_pct", "%", 0),
    ("_g", "g", 0),
    ("_mm", "mm", 1),
    ("_bpm", "/min", 0),
)  # end of a figure's name, unit, digits
_NOT_ROWS = ("bsa_m2", *INDEXED.values())
_NOMINAL_CYCLE_MS = 1000.0
_SEVERITIES = {"error": "Do not use", "warning": "Look first", "info": "Worth knowing"}


def segment_report(study: Study, result: SegmentResult, *, name: str, created: dt.datetime | None = None) -> str:
    """The page of one study's contours as one HTML document that loads nothing and holds no patient identifier.

    Args:
        study: what was drawn on; its identifiers are struck out wherever a text holds them.
        result: what was drawn and measured.
        name: pseudonym under which the study is shown.
        created: when; now by default.
    """
    strike = scrubber_of(study)
    measures = result.measures
    short_axis = result.segmentation(View.SAX)
    leading = short_axis or result.segmentations[0]
    cycle = leading.cine.cycle_ms
    phases = [int(phase) for phase in shown_phases(leading.cine)]
    return environment().get_template("segment.html").render(
        **page_parts(),
        name=name,
        study=study_facts(study, strike),
        lvef=_number("lvef_pct", measures.lvef_pct),
        phases=_phases(measures),
        marks=[(word, _nearest(phases, phase)) for word, phase in _marked(measures)],
        groups=_groups(result),
        has_before=result.before is not None,
        has_index=bool(measures.indexed),
        has_z=bool(measures.z_scores),
        refused_figures=_refused(measures),
        walls=_walls(measures),
        flags=_flags(measures, strike),
        worst=result.worst,
        changes=[strike(change.words) for change in result.changes],
        curve=_png(curve_figure(measures, short_axis.cine if short_axis else None)),
        structures=[(one, _css(one)) for one in COLOURS if any(one in s.structures for s in result.segmentations)],
        loops={
            "cycle_ms": cycle or _NOMINAL_CYCLE_MS,
            "zoom": 3,
            "phases": [phase + 1 for phase in phases],
            "colours": {one: _css(one) for one in COLOURS},
            "cines": _loops(result.segmentations),
        },
        heart_rate=round(60_000 / cycle) if cycle else None,
        views=[view_facts(one.cine, strike) for one in result.segmentations],
        skipped=[(view, strike(reason)) for view, reason in result.skipped.items()],
        refused=[(strike(r.series), strike(r.reason), r.n_files) for r in study.refused],
        notes=[strike(note) for note in (*result.notes, *study.notes)],
        cine_notes=[(str(one.view), strike(note)) for one in result.segmentations for note in one.cine.notes],
        provenance=_provenance(result, created or dt.datetime.now(dt.timezone.utc)),
        rendered=is_rendered(study),
        known_error=result.known_error,
    )  # fmt: skip


def contour_facts(study: Study, result: SegmentResult, prediction: Prediction) -> dict[str, Any]:
    """What the report of a prediction shows of the contours: curve, ED and ES, flags, and how the two LVEF agree."""
    strike = scrubber_of(study)
    measures = result.measures
    short_axis = result.segmentation(View.SAX)
    return {
        "lvef": _number("lvef_pct", measures.lvef_pct),
        "reason": strike(measures.refused.get("lvef_pct", "")),
        "agreement": agreement(prediction, measures),
        "groups": [(title, [row for row in rows if row["value"]]) for title, rows in _groups(result)[:2]],
        "flags": _flags(measures, strike),
        "worst": result.worst,
        "curve": _png(curve_figure(measures, short_axis.cine if short_axis else None)),
        "pictures": [] if short_axis is None else _stills(short_axis, measures),
        "phases": _phases(measures),
        "by": strike(str(result.provenance["model"])),
        "known_error": result.known_error,
        "skipped": [(view, strike(reason)) for view, reason in result.skipped.items()],
    }


def figure_words(name: str, measures: Measures) -> str:
    """A figure of the measures with its unit; "" where it was not measured."""
    return _number(name, measures.figures.get(name))


def agreement(prediction: Prediction, measures: Measures) -> str:
    """How the LVEF of the video model and of the contours lie to each other, in words; "" where one is missing."""
    if prediction.lvef_pct is None or measures.lvef_pct is None:
        return ""
    off = measures.lvef_pct - prediction.lvef_pct
    points = "1 point" if round(abs(off)) == 1 else f"{abs(off):.0f} points"
    words = f"{points} {'above' if off > 0 else 'below'} that of the video model"
    words = "the same as that of the video model" if round(abs(off)) == 0 else words
    interval = prediction.interval
    if interval is None or prediction.out_of_domain:
        return f"{words}; there is no interval that holds here to judge it by"
    if interval.low <= measures.lvef_pct <= interval.high:
        return f"{words}, within its {interval.coverage * 100:.3g} % interval"
    return (
        f"{words}, outside its {interval.coverage * 100:.3g} % interval: one of the two is wrong; look at the contours"
    )


def _css(structure: str) -> str:
    return "rgb({}, {}, {})".format(*COLOURS[structure])


def _png(content: bytes | None) -> str | None:
    return None if content is None else "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _number(name: str, value: float | None) -> str:
    """A figure with its unit; "" for none."""
    if value is None:
        return ""
    unit, digits = next(((unit, digits) for end, unit, digits in _UNITS if name.endswith(end)), ("", 1))
    return f"{value:.{digits}f} {unit}".strip()


def _marked(measures: Measures) -> list[tuple[str, int]]:
    both = (("ED", measures.ed_phase), ("ES", measures.es_phase))
    return [(word, phase) for word, phase in both if phase is not None]


def _phases(measures: Measures) -> str:
    return ", ".join(f"{word} phase {phase + 1}" for word, phase in _marked(measures))


def _nearest(shown: Sequence[int], phase: int) -> int:
    return int(np.abs(np.asarray(shown) - phase).argmin())


def _groups(result: SegmentResult) -> list[tuple[str, list[dict[str, str]]]]:
    """Rows of the table of figures; a group of which nothing was measured is left out."""
    measures, known = result.measures, {name for _, rows in GROUPS for name, _ in rows}
    more = [(name, name.replace("_", " ")) for name in measures.figures if name not in known and name not in _NOT_ROWS]
    found = []
    for title, rows in (*GROUPS, ("Other", tuple(more))):
        made = [_row(result, name, label) for name, label in rows]
        if any(row["value"] or row["before"] for row in made):
            found.append((title, made))
    return found


def _row(result: SegmentResult, name: str, label: str) -> dict[str, str]:
    measures = result.measures
    index = measures.indexed.get(INDEXED.get(name, ""))
    score = measures.z_scores.get(name)
    before = None if result.before is None else result.before.figures.get(name)
    return {
        "name": label,
        "value": _number(name, measures.figures.get(name)),
        "before": _number(name, before),
        "index": "" if index is None else f"{_number(name, index)}/m²",
        "z": "" if score is None else f"{round(score, 1) + 0.0:+.1f}",
    }


def _refused(measures: Measures) -> list[tuple[str, str]]:
    """(figures, reason) of what was not measured, figures of one reason together."""
    labels = {name: f"{title}: {label}" for title, rows in GROUPS for name, label in rows}
    reasons: dict[str, list[str]] = {}
    for name, reason in measures.refused.items():
        reasons.setdefault(reason, []).append(labels.get(name, name.replace("_", " ")))
    return [("; ".join(names), reason) for reason, names in reasons.items()]


def _walls(measures: Measures) -> list[tuple[str, list[str]]]:
    both = (("ED", measures.wall_ed_mm), ("ES", measures.wall_es_mm))
    return [(word, ["–" if np.isnan(v) else f"{v:.1f}" for v in values]) for word, values in both if values]


def _flags(measures: Measures, strike: Scrubber) -> list[tuple[str, str, str]]:
    """(severity, in words, what), the gravest first."""
    order = list(_SEVERITIES)
    flags = sorted(measures.flags, key=lambda flag: order.index(flag.severity))
    return [(flag.severity, _SEVERITIES[flag.severity], strike(flag.words)) for flag in flags]


def _stills(segmentation: Segmentation, measures: Measures) -> list[tuple[str, str]]:
    """(words, data URI) of every plane with its lines at ED and at ES."""
    from PIL import Image

    found = []
    for word, phase in _marked(measures):
        buffer = io.BytesIO()
        Image.fromarray(contour_pictures(segmentation, [phase], edge=150)[0]).save(buffer, "WEBP", quality=80)
        uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        found.append((f"{word}, phase {phase + 1}", uri))
    return found


def _loops(segmentations: Sequence[Segmentation]) -> list[dict[str, Any]]:
    """Loops cut to what was drawn, with its lines."""
    boxes = [shown_box(one) for one in segmentations]
    cut = [_cut(one.cine, box) for one, box in zip(segmentations, boxes, strict=True)]
    sheets = all_sheets(cut)
    return [
        {
            "view": str(one.view),
            "words": ", ".join(one.structures),
            "planes": [
                {
                    "uri": sheet.uri,
                    "columns": sheet.columns,
                    "phases": sheet.phases,
                    "width": sheet.width,
                    "height": sheet.height,
                    "place": _place(one.cine, plane),
                    "lines": _lines(one, plane, box, sheet),
                }
                for plane, sheet in enumerate(own)
            ],
        }
        for one, box, own in zip(segmentations, boxes, sheets, strict=True)
    ]


def _cut(cine: Cine, box: tuple[int, int, int, int]) -> Cine:
    """The pixels of a box, for showing: without geometry but spacing."""
    top, bottom, left, right = box
    return Cine(
        cine.view, cine.frames[:, :, top:bottom, left:right], source=cine.source, spacing_mm=cine.spacing_mm
    )  # fmt: skip


def _place(cine: Cine, plane: int) -> str:
    at = cine.slice_positions_mm
    return "" if at is None or cine.n_slices < 2 else f"{at[plane] - at[0]:.0f} mm"


def _lines(
    segmentation: Segmentation, plane: int, box: tuple[int, int, int, int], sheet: Sheet
) -> dict[str, list[list[list[int]]]]:
    """Structure to lines by shown phase, in tenths of a pixel of the sheet."""
    top, bottom, left, right = box
    factor = 10.0 * np.array([sheet.width / (right - left), sheet.height / (bottom - top)])
    corner = np.array([left, top]) - 0.5
    return {
        name: [
            [_flat((line - corner) * factor) for line in outlines(segmentation.labels[plane, phase], name)]
            for phase in shown_phases(segmentation.cine)
        ]
        for name in segmentation.structures
    }


def _flat(points: Any) -> list[int]:
    """x, y, x, y of a closed line; points on a straight stretch left out."""
    around = points[:-1] if len(points) > 1 and np.allclose(points[0], points[-1]) else points
    before, after = around - np.roll(around, 1, axis=0), np.roll(around, -1, axis=0) - around
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    kept: list[int] = around[turns].round().astype(int).ravel().tolist()
    return kept


def _provenance(result: SegmentResult, created: dt.datetime) -> list[tuple[str, str]]:
    facts = result.provenance
    rows = [
        ("Drawn by", str(facts["model"])),
        ("Weights, SHA-256", str(facts["weights_sha256"] or "–")),
        ("Images, SHA-256", str(facts["study_sha256"])),
        *((f"Labels {view}, SHA-256", digest) for view, digest in facts["labels_sha256"].items()),
        *((f"Correction {view}, SHA-256", digest) for view, digest in facts["corrections_sha256"].items()),
        ("cardiolens", str(facts["cardiolens"])),
        ("Made", created.strftime("%Y-%m-%d %H:%M UTC")),
    ]
    return [(label, value) for label, value in rows if value]

"""One page as a picture: key figures, end-diastole and end-systole with their contours, volume curve, doubts."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens._version import __version__
from cardiolens.contours.curve import curve_figure
from cardiolens.contours.lines import contour_pictures
from cardiolens.explain.tiles import BACK, FAINT, GAP, INK, RGB, font, gathered, line
from cardiolens.study import Cine, Study, View

if TYPE_CHECKING:
    from cardiolens.contours import SegmentResult
    from cardiolens.findings import Prediction

WIDE, HIGH = 1440, 1080
_LEFT = 500  # width of the column of figures
_MARGIN = 28
_WARN = (250, 190, 90)
_ROWS = (
    ("lvef_pct", "LVEF", "%"),
    ("lv_edv_ml", "LV EDV", "ml"),
    ("lv_esv_ml", "LV ESV", "ml"),
    ("lv_sv_ml", "LV SV", "ml"),
    ("lv_mass_g", "LV mass", "g"),
    ("rvef_pct", "RVEF", "%"),
    ("rv_edv_ml", "RV EDV", "ml"),
    ("rv_esv_ml", "RV ESV", "ml"),
)
_SHOWN_CONDITIONS = 5
_CHARACTERS = 58  # of a line of small print in the left column


def summary_page(study: Study, prediction: Prediction | None, contours: SegmentResult | None) -> RGB:
    """The page, (1080, 1440, 3).  Nothing on it names the patient."""
    from PIL import Image

    page = Image.new("RGB", (WIDE, HIGH), BACK)
    foot = HIGH - 90
    end = _write(page, prediction, contours, foot)
    right, top = WIDE - _LEFT - _MARGIN, _MARGIN
    for picture in _pictures(study, contours, right):
        fitted = _fitted(picture, right, HIGH - top - 2 * _MARGIN)
        if fitted is None:
            break
        page.paste(fitted, (_LEFT, top))
        top += fitted.height + 12
    drawn = _curve(contours)
    places = [
        (_fitted(drawn, _LEFT - 2 * _MARGIN, foot - end - 24), (_MARGIN, end + 12)),
        (_fitted(drawn, right, HIGH - top - _MARGIN), (_LEFT, top)),
    ]
    curve, corner = max(places, key=lambda place: 0 if place[0] is None else place[0].width)
    if curve is not None:
        page.paste(curve, corner)
    return np.asarray(page)


class _Pen:
    """Writes line under line."""

    def __init__(self, page: Any) -> None:
        from PIL import ImageDraw

        self._draw = ImageDraw.Draw(page)
        self.top = _MARGIN

    def __call__(self, text: str, size: int, *, colour: tuple[int, int, int] = INK, left: int = _MARGIN) -> None:
        self._draw.text((left, self.top), text, fill=colour, font=font(size))
        self.top += round(size * 1.45)

    def wrapped(self, text: str, *, colour: tuple[int, int, int] = FAINT, lines: int = 3) -> None:
        for part in textwrap.wrap(text, _CHARACTERS, max_lines=lines, placeholder=" …"):
            self(part, 15, colour=colour)

    def row(self, label: str, value: str, size: int = 22) -> None:
        self._draw.text((_MARGIN + 190, self.top), value, fill=INK, font=font(size))
        self(label, size, colour=FAINT)


def _write(page: Any, prediction: Prediction | None, contours: SegmentResult | None, foot: int) -> int:
    """The left column, and its foot; returns where the column ends."""
    pen = _Pen(page)
    pen("cardiolens", 34)
    pen("RESEARCH USE, NOT A MEDICAL DEVICE", 20, colour=_WARN)
    pen.top += 10
    if prediction is not None:
        _predicted(pen, prediction)
    if contours is not None:
        _measured(pen, contours)
    end, pen.top = pen.top, max(pen.top + 10, foot)
    for name, result in (("network", prediction), ("contours", contours)):
        if result is not None:
            weights = str(result.provenance.get("weights_sha256") or "")[:12]
            pen(f"{name}: {result.provenance['model']}  {weights}", 14, colour=FAINT)
    pen(f"cardiolens {__version__}; not read by a person", 14, colour=FAINT)
    return end


def _predicted(pen: _Pen, prediction: Prediction) -> None:
    if prediction.lvef_pct is not None:
        pen("LVEF of the network", 18, colour=FAINT)
        interval = prediction.interval
        around = f"   interval {interval.low:.0f} to {interval.high:.0f} %" if interval else "   no interval"
        pen(f"{prediction.lvef_pct:.0f} %{around}", 30)
    if prediction.out_of_domain:
        pen.wrapped("The study is unlike those that the model learned from: do not rely on this.", colour=_WARN)
    elif prediction.out_of_domain is None:
        pen.wrapped("Not checked whether the study is like those that the model learned from.")
    flagged = sorted(prediction.flagged, key=lambda finding: -(finding.probability or 0.0))
    if flagged:
        pen("Conditions flagged, with their probability", 18, colour=FAINT)
    for finding in flagged[:_SHOWN_CONDITIONS]:
        sure = "–" if finding.probability is None else f"{100 * finding.probability:.0f} %"
        pen(f"{finding.words[:40]}   {sure}", 18)
    if prediction.conditions and not flagged:
        pen.wrapped("No condition flagged.")
    if len(flagged) > _SHOWN_CONDITIONS:
        pen.wrapped(f"and {len(flagged) - _SHOWN_CONDITIONS} more, see the Structured Report")
    pen.top += 14


def _measured(pen: _Pen, contours: SegmentResult) -> None:
    measures = contours.measures
    pen("Contours", 18, colour=FAINT)
    for field, label, unit in _ROWS:
        value = getattr(measures, field)
        if value is not None:
            pen.row(label, f"{value:.0f} {unit}")
    pen.top += 8
    doubts = [flag for severity in ("error", "warning") for flag in measures.flags if flag.severity == severity]
    if contours.worst == "error":
        pen.wrapped("Do not use the figures of the contours.", colour=_WARN)
    for flag in doubts[:4]:
        pen.wrapped(str(flag), colour=_WARN)
    if len(doubts) > 4:
        pen.wrapped(f"and {len(doubts) - 4} more doubts, see the Structured Report", colour=_WARN)
    for words in contours.known_error[:2] if measures.lvef_pct is not None else ():
        pen.wrapped(words, lines=3)


def _pictures(study: Study, contours: SegmentResult | None, wide: int) -> Iterator[RGB]:
    """What stands on the right, from the top."""
    short_axis = contours.segmentation(View.SAX) if contours is not None else None
    if contours is None or short_axis is None:
        for cine in study.cines:
            picture = _plain(cine, wide)
            yield np.concatenate([line(f"{cine.view}, first phase, no contours", picture.shape[1], 15), picture])
        return
    measures = contours.measures
    columns = min(short_axis.cine.n_slices, 6 if short_axis.cine.n_slices > 8 else 4)
    for name, phase in (("End-diastole", measures.ed_phase), ("End-systole", measures.es_phase)):
        if phase is not None:
            (picture,) = contour_pictures(short_axis, [phase], edge=min(wide // columns - GAP - 1, 230))
            yield np.concatenate([line(f"{name}, phase {phase + 1}", picture.shape[1], 15), picture])


def _curve(contours: SegmentResult | None) -> RGB | None:
    """The volume curve as a picture; None where there is none."""
    from PIL import Image

    short_axis = contours.segmentation(View.SAX) if contours is not None else None
    png = curve_figure(contours.measures, short_axis.cine if short_axis else None) if contours is not None else None
    return None if png is None else np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _plain(cine: Cine, wide: int) -> RGB:
    """Up to four planes of the first phase, side by side."""
    chosen: Sequence[int] = sorted({round(i) for i in np.linspace(0, cine.n_slices - 1, min(4, cine.n_slices))})
    frames = np.nan_to_num(np.asarray(cine.frames[list(chosen), 0], dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(frames, (1.0, 99.5))
    grey = ((frames - low) * (255.0 / max(float(high - low), 1e-6))).clip(0, 255).astype(np.uint8)
    picture = gathered([np.repeat(one[..., None], 3, axis=2) for one in grey], len(chosen))
    out = np.full((picture.shape[0], max(wide, picture.shape[1]), 3), BACK, np.uint8)
    out[:, : picture.shape[1]] = picture
    return out


def _fitted(picture: RGB | None, wide: int, high: int) -> Any:
    """The picture, reduced to what room there is; None where it could not be seen any more."""
    from PIL import Image

    if picture is None:
        return None
    scale = min(1.0, wide / picture.shape[1], high / picture.shape[0])
    if scale < 0.3 or high < 60:
        return None
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)

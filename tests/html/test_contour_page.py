"""The page of contours: what it shows and strikes out, that it is inert, and that its lines lie on the images."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cardiolens.contours import segment_study
from cardiolens.contours.lines import contour_pictures, outlines, shown_box
from cardiolens.findings import Interval
from cardiolens.html.contours import GROUPS, agreement, segment_report
from cardiolens.measures import Flag
from cardiolens.segmentation import Segmentation
from cardiolens.study import Cine
from drawn_phantom import Oracle, phantom

EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>{{ 7*7 }}'


@pytest.fixture(scope="module")
def result():
    return segment_study(phantom(), Oracle())


def page(result, study=None, name="site_abc/def"):
    return segment_report(study or phantom(), result, name=name)


def loops(text):
    return json.loads(re.search(r'<script type="application/json" id="loops">(.*?)</script>', text, re.DOTALL)[1])


def test_every_figure_of_the_measures_stands_in_the_table(result):
    text = page(result)
    for name, label in (pair for _, rows in GROUPS for pair in rows):
        assert name in type(result.measures).__dataclass_fields__, name
        if name in result.measures.figures:
            assert label in text
    assert f"{result.measures.lvef_pct:.0f} %" in text
    assert "not a medical device" in text


def test_an_error_strikes_the_figures_out(result):
    bad = replace(result.measures, flags=(Flag("ef_implausible", "error", "LV ejection fraction 95 %"),))
    text = page(replace(result, measures=bad))
    assert "Do not use these figures" in text
    assert f"<s>{result.measures.lvef_pct:.0f} %</s>" in text
    assert "Do not use these figures" not in page(result)


def test_text_from_files_is_shown_and_never_run_and_identifiers_are_struck_out(result):
    cine = phantom().cine("SAX")
    odd = Cine(cine.view, cine.frames, source=EVIL, spacing_mm=cine.spacing_mm, notes=(EVIL,))
    drawn = (replace(result.segmentations[0], cine=odd), *result.segmentations[1:])
    study = replace(phantom(), patient="MRN-4711", notes=("of MRN-4711",))
    text = page(replace(result, segmentations=drawn, skipped={"3CH": EVIL}), study, name=EVIL)
    assert text.count("<script") == page(result).count("<script") == 2
    assert "<img src=x" not in text
    assert "{{ 7*7 }}" in text
    assert "MRN-4711" not in text
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_the_lines_of_the_page_enclose_the_area_of_the_mask(result):
    data = loops(page(result))
    segmentation = result.segmentations[0]
    top, bottom, left, right = shown_box(segmentation)
    plane, phase = 4, 2
    sheet = data["cines"][0]["planes"][plane]
    (line,) = sheet["lines"]["LV cavity"][phase]
    x, y = np.array(line[::2]) / 10, np.array(line[1::2]) / 10
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    pixels = (segmentation.labels[plane, phase] == 1).sum()
    scale = sheet["width"] / (right - left) * sheet["height"] / (bottom - top)
    assert area == pytest.approx(pixels * scale, rel=0.12)


def test_a_line_runs_half_a_pixel_around_its_pixels():
    labels = np.zeros((9, 9), np.uint8)
    labels[3:6, 2:7] = 1
    (line,) = outlines(labels, "LV cavity")
    assert (line[:, 0].min(), line[:, 0].max(), line[:, 1].min(), line[:, 1].max()) == (1.5, 6.5, 2.5, 5.5)
    assert outlines(labels, "RV cavity") == []
    labels[2, 2:7] = 2
    (epicardium,) = outlines(labels, "LV myocardium")
    assert epicardium[:, 1].min() == 1.5  # the outer line, around muscle and cavity


def test_pictures_keep_the_true_aspect_ratio_and_are_cut_to_the_heart(result):
    segmentation = result.segmentations[1]
    cine = segmentation.cine
    row, col = cine.spacing_mm
    nothing = Segmentation(cine, np.zeros_like(segmentation.labels))
    coarse = Cine(cine.view, cine.frames[:, :, ::2], spacing_mm=(2 * row, col))
    whole = contour_pictures(nothing, [0])
    assert whole.shape == contour_pictures(Segmentation(coarse, nothing.labels[:, :, ::2]), [0]).shape
    assert shown_box(nothing) == (0, cine.shape[2], 0, cine.shape[3])
    top, bottom, left, right = shown_box(segmentation)
    assert segmentation.labels[:, :, top:bottom, left:right].sum() == segmentation.labels.sum()
    assert (bottom - top) * (right - left) < 0.9 * cine.shape[2] * cine.shape[3]


@pytest.mark.parametrize(
    ("lvef", "outside", "words"),
    [
        (50.0, False, "outside its 90 % interval"),
        (58.0, False, "within its 90 % interval"),
        (50.0, True, "no interval"),
    ],
)
def test_two_ejection_fractions_are_compared_by_the_interval(result, lvef, outside, words):
    interval = Interval(lvef - 5, lvef + 5, 0.9)
    prediction = SimpleNamespace(lvef_pct=lvef, interval=interval, out_of_domain=outside)
    assert words in agreement(prediction, replace(result.measures, lvef_pct=60.0))
    assert agreement(prediction, replace(result.measures, lvef_pct=None)) == ""


def test_what_the_model_was_off_by_in_tests_stands_on_the_page(result):
    measured = [{"on": "hearts & <drawings>", "n": 7, "mae": 4.4, "bias": -2.4, "most": 12.0}]
    told = replace(result, provenance={**result.provenance, "lvef_error": measured})
    words = "Tested on 7 hearts &amp; &lt;drawings&gt;: LVEF 4 points off on average (bias -2, at most 12)."
    assert words in page(told)
    assert "stands under Limits" in page(told)
    assert "Tested on" not in page(result)
    assert "stands under Limits" not in page(result)

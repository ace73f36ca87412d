"""The page: what it says, that it is inert, and that it loads nothing and names nobody."""

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from cardiolens.dicom.deid import Pseudonym
from cardiolens.html.report import BANDS, band_of, study_report
from cardiolens.hub import load_model
from cardiolens.inference import Interval, Predictor
from cardiolens.study import Cine, Refusal, Study, View
from synthetic_studies import beating_study

EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>{{ 7*7 }}"\'--><style>*{display:none}</style>'
CREATED = dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.timezone.utc)


class Page(HTMLParser):
    """Elements with attributes, script texts and the visible text."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.scripts, self.styles, self.text = [], [], [], ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in = tag if tag in ("script", "style") else self._in
        if tag in ("script", "style"):
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag):
        self._in = "" if tag == self._in else self._in

    def handle_data(self, data):
        if self._in:
            (self.scripts if self._in == "script" else self.styles)[-1] += data
        else:
            self.text = " ".join(f"{self.text} {data}".split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def loops(self):
        return json.loads(self.scripts[0])


@pytest.fixture(scope="module")
def predictor(predictor_folder):
    return Predictor(load_model(predictor_folder))


@pytest.fixture(scope="module")
def study():
    return beating_study(1, sax=6)


@pytest.fixture(scope="module")
def prediction(predictor, study):
    return predictor(study)


@pytest.fixture
def page(predictor, study, prediction):
    """Make a page; options change the prediction."""

    def make(of=study, name="site_abc/def", card=predictor.card, **changes):
        found = dataclasses.replace(prediction if of is study else predictor(of), **changes)
        return study_report(of, found, name=name, card=card, created=CREATED)

    return make


# Safety --------------------------------------------------------------------------------------------------------------


def hostile(study):
    cines = tuple(Cine(c.view, c.frames, source=EVIL, notes=(EVIL,)) for c in study.cines)
    return Study(cines, site=EVIL, refused=(Refusal(EVIL, EVIL, 3),), notes=(EVIL,))


def test_text_from_files_is_shown_and_never_run(page, predictor):
    card = predictor.card.model_copy(deep=True)
    card.source, card.notes, card.provenance = EVIL, [EVIL], {"recipe": EVIL, "start": {EVIL: EVIL}}
    plain = Page(page())
    text = page(of=hostile(beating_study(1, sax=6)), name=EVIL, card=card, domain_reasons=(EVIL,), out_of_domain=True)
    found = Page(text)
    assert len(found.scripts) == len(plain.scripts) == 2
    assert len(found.styles) == len(plain.styles) == 1
    assert not found.all("img")
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert "{{ 7*7 }}" in found.text  # as text, not as a template
    assert 'alert("x")' in found.text
    assert "alert" not in json.dumps(found.loops)
    assert set(found.loops) == set(plain.loops)


def test_the_policy_allows_this_script_and_style_alone(page):
    found = Page(page())
    (policy,) = [m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    for kind, content in (("script-src", found.scripts[1]), ("style-src", found.styles[0])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style" not in {name for _, attributes in found.elements for name in attributes}  # the policy forbids them


def test_nothing_is_loaded_from_elsewhere(page):
    text = page()
    found = Page(text)
    assert not re.findall(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+\.\w+", re.sub(r"data:[^\"]+", "", text))
    assert not {"link", "iframe", "object", "embed", "base", "form", "a"} & {tag for tag, _ in found.elements}
    assert not [a for _, a in found.elements if {"src", "href", "action", "srcset"} & set(a)]
    assert "url(" not in found.styles[0]
    assert "@import" not in found.styles[0]


def test_no_identifier_of_the_patient_is_shown(page, study):
    uid = "1.2.840.113619.2.55.3.604688119.971.1"
    cine = Cine(View.CH4, study.cine("4CH").frames, source=f"cine of Doe^Jane {uid}", notes=("ACC98765 read",))
    named = Study(
        (cine,), patient="DOE^JANE", accession="ACC98765", report="Jane Doe, secret", age=93.2, notes=("doe^jane",)
    )
    text = page(of=named)
    for secret in ("doe^jane", "acc98765", "secret", uid, "93"):
        assert secret not in re.sub(r"data:[^\"]+|[0-9a-f]{64}|sha256-[^']+", "", Page(text).text.lower()), secret
    assert "90 years or over" in text


def test_pseudonyms_are_left_in_notes(page, study):
    renamed = dataclasses.replace(study, patient=Pseudonym("abcdefgh"), notes=("series of [patient abcdefgh]",))
    assert "series of [patient abcdefgh]" in Page(page(of=renamed)).text


# What it says --------------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_prediction(page):
    found = Page(page(lvef_pct=63.4, interval=Interval(55.9, 70.9, 0.9)))
    assert re.search(r"63 % .*Preserved .*90 % interval 56 to 71 %", found.text)
    assert "not settled" not in found.text
    (circle,) = found.all("circle")
    assert circle["cx"] == "63.4%"
    (span,) = [r for r in found.all("rect") if r.get("class") == "span"]
    assert float(span["x"][:-1]) == pytest.approx(55.9)
    assert float(span["width"][:-1]) == pytest.approx(15.0)
    bands = [r for r in found.all("rect") if r.get("class", "").startswith("band")]
    assert [(r["x"], r["width"]) for r in bands] == [("0%", "40.5%"), ("40.5%", "9.0%"), ("49.5%", "50.5%")]


def test_an_interval_over_a_border_leaves_the_band_unsettled(page):
    text = Page(page(lvef_pct=48.0, interval=Interval(38.0, 58.0, 0.95))).text
    assert "Mildly reduced, not settled" in text
    assert "from reduced to preserved" in text
    assert "95 % interval 38 to 58 %" in text


@pytest.mark.parametrize(
    ("lvef", "words"),
    [(0, "Reduced"), (40.4, "Reduced"), (40.6, "Mildly reduced"), (49.4, "Mildly reduced"), (49.6, "Preserved")],
)
def test_bands_are_those_of_the_shown_whole_number(lvef, words):
    assert band_of(lvef).words == words
    assert band_of(100) is BANDS[-1]


def test_out_of_domain_is_loud_and_names_no_band(page):
    reasons = ("pixel noise within a frame: 0.5, above the 0.01 to 0.02 of reference studies",)
    text = page(lvef_pct=63.4, out_of_domain=True, domain_score=2.5, domain_threshold=1.0, domain_reasons=reasons)
    found = Page(text)
    (alarm,) = [a for tag, a in found.elements if tag == "section" and a.get("role") == "alert"]
    assert alarm["class"] == "alarm"
    assert "Out of domain: do not rely on this LVEF" in found.text
    assert "2.5 times the limit" in found.text
    assert reasons[0] in found.text
    assert "<s>63</s>" in text
    assert "does not hold here" in found.text
    for band in BANDS:
        assert band.words not in found.text
        assert not [r for r in found.all("rect") if r.get("class") == f"band {band.key}"]
    assert "not reliable" in next(svg["aria-label"] for svg in found.all("svg") if svg.get("class") == "gauge")


def test_in_domain_has_no_alarm_and_unchecked_says_so(page):
    inside = Page(page(out_of_domain=False, domain_score=0.4, domain_threshold=1.0))
    assert "Yes, as far as can be measured" in inside.text
    assert "do not rely" not in inside.text
    unchecked = Page(page(out_of_domain=None, domain_score=None, domain_threshold=None, interval=None))
    assert "Not checked" in unchecked.text
    assert "No interval" in unchecked.text
    assert "Yes, as far" not in unchecked.text


def test_every_page_says_what_it_is_not(page):
    text = Page(page()).text
    assert text.count("not a medical device") == 2
    assert "learned from a computer phantom" in text
    assert "LVEF alone makes no diagnosis" in text


def test_a_model_not_of_the_phantom_is_not_said_to_be(page, predictor):
    card = predictor.card.model_copy(update={"tag": "site-a", "source": "studies of site A"})
    assert "computer phantom" not in Page(page(card=card)).text


def test_attention_scores_and_the_limit_reach_the_loops(page, prediction):
    loops = Page(page()).loops
    assert [cine["view"] for cine in loops["cines"]] == ["SAX", "2CH", "4CH"]
    planes = loops["cines"][0]["planes"]
    assert [plane["attention"] is None for plane in planes] == [True, False, False, False, False, True]
    assert [p["attention"] for p in planes[1:5]] == [clip.attention for clip in prediction.clips[:4]]
    assert [p["score"] for p in planes[1:5]] == [clip.domain_score for clip in prediction.clips[:4]]
    assert loops["limit"] == 1.0
    assert set(loops["field"]) == {"SAX", "2CH", "4CH"}


def test_provenance_and_card_are_told_in_full(page, prediction, predictor):
    card = predictor.card.model_copy(deep=True)
    card.provenance = {"recipe": "fine", "start": {"recipe": "coarse"}}
    text = Page(page(card=card)).text
    for told in (
        prediction.provenance["weights_sha256"],
        prediction.provenance["study_sha256"],
        "2024-05-06 07:08 UTC",
        "shad-mvit-tiny:phantom",
        "16 frames, short side 128 px, centre 64 × 64 px",
        "±7.5 points hold 90%, from 40 held-out studies",
        "LVEF, test mae 3.25",
        "Training, recipe fine",
        "Before, training, recipe coarse",
    ):
        assert told in text, told


def test_what_was_refused_is_told_with_the_reason(page, study):
    refused = dataclasses.replace(study, refused=(Refusal("localizer", "one phase", 15), Refusal("flow", "phase map")))
    assert "localizer one phase 15 flow phase map –" in Page(page(of=refused)).text


# Any study -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", [{View.SAX: 1}, {View.CH3: 1}, {View.CH2: 1, View.CH4: 2}], ids=str)
def test_any_views_make_a_page(page, views):
    others = {view: n for view, n in views.items() if view is not View.SAX}
    loops = Page(page(of=beating_study(4, sax=views.get(View.SAX, 0), others=others))).loops
    assert {cine["view"]: len(cine["planes"]) for cine in loops["cines"]} == {str(v): n for v, n in views.items()}


def test_a_still_stack_with_geometry_makes_a_page(page):
    frames = np.random.default_rng(0).integers(0, 200, (3, 1, 30, 44)).astype(np.uint8)
    cine = Cine(View.SAX, frames, spacing_mm=(2.0, 1.5), slice_positions_mm=[0.0, 8.0, 17.0])
    text = Page(page(of=Study((cine,)))).text
    assert "30 × 44 2.000 × 1.500 mm 8.5 mm" in text
    assert "Only one phase in SAX" in text


def test_the_page_of_a_large_noisy_study_stays_below_six_megabytes(page):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 4000, (12, 25, 256, 256), dtype=np.uint16)
    assert len(page(of=Study((Cine(View.SAX, frames),))).encode()) < 6_000_000


def test_a_study_that_is_out_of_domain_by_origin_alone_is_told_so_and_its_images_are_not_blamed(page):
    reasons = ("the model has learned from one scanner alone",)
    text = page(lvef_pct=54.0, out_of_domain=True, domain_score=0.9, domain_threshold=1.0, domain_reasons=reasons)
    found = Page(text)
    assert "does not come from where the model's studies came from" in found.text
    assert "unlike those the model learned from" not in found.text
    assert reasons[0] in found.text

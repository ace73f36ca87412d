"""The segmenter that ships: on a phantom that it has not seen, and on real planes."""

import numpy as np
import pytest

import cardiolens
from cardiolens.phantom import masks, render_study, sample_parameters
from cardiolens.segmentation import STRUCTURES
from cardiolens.segmenter import load_segmenter
from cardiolens.segmenter.segmenter import Segmenter
from cardiolens.stats.overlap import dice
from cardiolens.study import View


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return load_segmenter()


def test_it_comes_by_name_and_says_what_it_is(segmenter):
    assert isinstance(cardiolens.load_model("segmenter:phantom"), Segmenter)
    assert segmenter.views == tuple(View) and segmenter.name == "segmenter:phantom"
    assert any("not a medical device" in note for note in segmenter.card.notes)
    assert "segmenter:phantom" in cardiolens.list_models("segmenter*")


def test_it_draws_the_chambers_of_a_phantom_and_its_lvef(segmenter):
    heart = sample_parameters(np.random.default_rng(424242), condition="normal")
    study = render_study(heart, seed=3, matrix=160, phases=3, sax_planes=9, views=(View.SAX, View.CH4))
    volumes = []
    for found in segmenter(study):
        true = masks(heart, found.cine)
        for structure in ("LV cavity", "RV cavity", "LV myocardium"):
            assert dice(found.mask(structure), true == STRUCTURES[structure]) > 0.8, (found.view, structure)
        if found.view is View.SAX:
            volumes = [found.counts("LV cavity").sum(0), (true == STRUCTURES["LV cavity"]).sum((0, 2, 3))]
        else:
            assert dice(found.mask("LA"), true == STRUCTURES["LA"]) > 0.8
    drawn, there = (100 * (1 - v.min() / v.max()) for v in volumes)
    assert abs(drawn - there) < 8


def test_real_planes_without_geometry_are_drawn(segmenter, shared_data):
    from cardiolens.datasets.sunnybrook import read_edes

    patient = next(one for one in read_edes(shared_data / "real" / "sunnybrook_edes") if one.id == "SC-HF-I-04")
    assert dice(segmenter.segment(patient.ed).mask("LV cavity"), patient.ed_mask) > 0.85

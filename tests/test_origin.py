"""Rendered studies and models that learned from them alone: told by card and study, and told on the page."""

import dataclasses

import pytest

from cardiolens.html.report import study_report
from cardiolens.hub import load_model
from cardiolens.inference import Predictor
from cardiolens.models.card import Card
from cardiolens.origin import PHANTOM, is_rendered, learned_from_phantom, only_manufacturer
from cardiolens.phantom.render import MANUFACTURER
from cardiolens.study import Study
from synthetic_studies import beating_study


def rendered(study):
    cines = tuple(dataclasses.replace(cine, attributes={"Manufacturer": MANUFACTURER}) for cine in study.cines)
    return dataclasses.replace(study, cines=cines)


@pytest.fixture
def model(predictor_folder):
    """Trained on the phantom by its provenance alone, without a reference."""
    model = load_model(predictor_folder)
    model.card.tag, model.card.source, model.card.provenance = None, "", {"phantom": True}
    model.domain = None
    model.card.domain = None
    return model


def test_a_study_is_rendered_when_every_cine_says_so():
    study = beating_study(1, sax=1)
    assert PHANTOM == MANUFACTURER
    assert not is_rendered(study)
    assert is_rendered(rendered(study))
    assert not is_rendered(dataclasses.replace(study, cines=(rendered(study).cines[0], *study.cines[1:])))
    assert not is_rendered(Study(()))


def test_a_card_tells_the_phantom_by_provenance_source_or_domain():
    assert learned_from_phantom(Card(name="m", provenance={"phantom": True}))
    assert learned_from_phantom(Card(name="m", source="rendered phantom hearts"))
    assert not learned_from_phantom(Card(name="m", provenance={"recipe": "r"}))
    assert only_manufacturer(Card(name="m", provenance={"phantom": True})) == PHANTOM
    assert only_manufacturer(Card(name="m", domain={"manufacturer": "ACME"})) == "ACME"
    assert only_manufacturer(Card(name="m")) is None


def test_such_a_model_believes_no_real_study_even_without_a_reference(model):
    predictor = Predictor(model)
    study = beating_study(1, sax=1)
    real, own = predictor(study), predictor(rendered(study))
    assert (real.out_of_domain, own.out_of_domain) == (True, None)
    assert any("alone" in reason for reason in real.domain_reasons)
    page = study_report(study, real, name="a/b", card=predictor.card)
    assert "No, by where it comes from." in page
    assert "does not come from where the model's studies came from" in page
    assert "learned from a computer phantom" in page
    assert "rendered by a computer phantom" not in page
    assert "rendered by a computer phantom" in study_report(rendered(study), own, name="a/b", card=predictor.card)

"""A model that has learned from one manufacturer alone does not trust a study of another."""

from dataclasses import replace

import pytest

from cardiolens.hub import load_model
from cardiolens.inference import Prediction, Predictor
from cardiolens.models.domain_limits import DomainLimits
from cardiolens.study import Study
from synthetic_studies import beating_study

ONLY = "Maker A"


def of(manufacturers: list[str | None]) -> Study:
    """A study the reference knows, its cines from these makers in turn; None for a cine that does not say."""
    study = beating_study(1, sax=3)
    cines = [
        cine if maker is None else replace(cine, attributes={**cine.attributes, "Manufacturer": maker})
        for cine, maker in zip(study.cines, manufacturers, strict=True)
    ]
    return replace(study, cines=tuple(cines))


@pytest.fixture(scope="module")
def predict(predictor_folder):
    model = load_model(predictor_folder)
    kept = dict(model.card.domain)

    def answer(makers: list[str | None], *, trained_on: str | None, images_pass: bool = True) -> Prediction:
        model.card.domain.clear()
        model.card.domain.update(kept if trained_on is None else {**kept, "manufacturer": trained_on})
        limit = property(lambda reference: 1e9 if images_pass else -1e9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(DomainLimits, "threshold", limit)
            return Predictor(model)(of(makers))

    return answer


def test_a_study_of_the_one_manufacturer_is_judged_by_its_images(predict):
    inside = predict([ONLY] * 3, trained_on=ONLY)
    outside = predict([ONLY] * 3, trained_on=ONLY, images_pass=False)
    assert (inside.out_of_domain, outside.out_of_domain) == (False, True)
    assert not any(ONLY in reason for reason in (*inside.domain_reasons, *outside.domain_reasons))


@pytest.mark.parametrize("makers", [["Maker B"] * 3, [ONLY, ONLY, "Maker B"], [None] * 3, [None, ONLY, ONLY]], ids=str)
def test_one_cine_of_another_origin_or_of_none_is_enough_to_be_out_of_domain(predict, makers):
    found = predict(makers, trained_on=ONLY)
    assert found.out_of_domain is True
    assert ONLY in found.domain_reasons[0]
    assert found.domain_score < found.domain_threshold  # the images alone would have passed


def test_figures_do_not_depend_on_the_origin(predict):
    here, elsewhere = predict([ONLY] * 3, trained_on=ONLY), predict(["Maker B"] * 3, trained_on=ONLY)
    assert elsewhere.lvef_pct == here.lvef_pct
    assert elsewhere.domain_score == here.domain_score


def test_a_card_that_names_no_manufacturer_takes_studies_of_any(predict):
    assert predict(["Maker B", None, ONLY], trained_on=None).out_of_domain is False

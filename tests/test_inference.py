"""From a study to a prediction: figures, interval, out-of-domain check, what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from cardiolens.clips import clips_of
from cardiolens.errors import CheckpointError, NoCineError, TrainingError
from cardiolens.hub import load_model, save_model
from cardiolens.inference import Predictor, embed_bag, fit_domain, fit_domain_rows, study_hash
from cardiolens.models.domain import domain_features
from cardiolens.study import Cine, Refusal, Study, View
from cardiolens.transforms import ClipTransform
from synthetic_studies import beating_study


@pytest.fixture(scope="module")
def predictor(predictor_folder):
    return Predictor(load_model(predictor_folder))


@pytest.fixture
def fresh(predictor_folder):
    """A model of its own, to be changed by the test."""
    return load_model(predictor_folder)


@pytest.fixture(scope="module")
def study():
    return beating_study(1, sax=7)


@pytest.fixture(scope="module")
def prediction(predictor, study):
    return predictor(study)


# Figures -------------------------------------------------------------------------------------------------------------


def test_lvef_is_what_encoder_and_head_give_by_hand(predictor, study, prediction):
    model = predictor.model
    bag = clips_of(study, ClipTransform.from_dict(model.card.transform))
    with torch.inference_mode():
        pooled = model.heads["lvef"](model.embed(bag.clips)[None])
    assert prediction.lvef_pct == pytest.approx(float(pooled.output[0, 0]), abs=1e-3)
    assert [clip.attention for clip in prediction.clips] == pytest.approx(pooled.attention[0].tolist(), abs=1e-5)
    assert prediction.embeddings.shape == (7, 512)
    assert np.linalg.norm(prediction.embeddings, axis=1) == pytest.approx(np.ones(7), abs=1e-5)


def test_every_view_is_read_and_the_ends_of_a_tall_stack_are_not(prediction):
    read = [(str(clip.view), clip.plane) for clip in prediction.clips]
    assert read == [("SAX", plane) for plane in range(1, 6)] + [("2CH", 0), ("4CH", 0)]
    assert list(prediction.view_attention) == ["SAX", "2CH", "4CH"]
    assert sum(prediction.view_attention.values()) == pytest.approx(1)


def test_the_interval_is_the_conformal_quantile_on_both_sides(prediction):
    assert prediction.interval.low == pytest.approx(prediction.lvef_pct - 7.5)
    assert prediction.interval.high == pytest.approx(prediction.lvef_pct + 7.5)
    assert prediction.interval.coverage == 0.9


@pytest.mark.parametrize(("bias", "lvef", "low", "high"), [(5.0, 100, 100, 100), (-5.0, 0, 0, 0)])
def test_figures_stay_between_0_and_100(fresh, study, bias, lvef, low, high):
    with torch.no_grad():
        fresh.heads["lvef"].predict.bias.fill_(bias)
    found = Predictor(fresh)(study)
    assert (found.lvef_pct, found.interval.low, found.interval.high) == (lvef, low, high)


def test_batch_size_does_not_change_the_result(fresh, study, prediction):
    found = Predictor(fresh, batch_size=2)(study)
    assert found.lvef_pct == pytest.approx(prediction.lvef_pct, abs=1e-3)
    with pytest.raises(ValueError, match="batch_size"):
        Predictor(fresh, batch_size=0)


def test_the_same_study_twice_is_the_same_to_the_bit(predictor, study, prediction):
    again = predictor(study)
    assert again.lvef_pct == prediction.lvef_pct
    assert np.array_equal(again.embeddings, prediction.embeddings)


@pytest.mark.parametrize("view", list(View))
def test_any_single_view_is_enough_and_the_absence_of_others_is_said(predictor, view):
    found = predictor(beating_study(3, sax=0, others={view: 1}))
    assert found.view_attention == {str(view): pytest.approx(1.0)}
    (absent,) = (note for note in found.notes if note.startswith("Read without"))
    assert str(view) not in absent
    assert all(str(other) in absent for other in View if other is not view)


def test_without_views_that_calibrated_the_interval_its_coverage_is_said_to_be_unknown(predictor, prediction):
    (note,) = (n for n in predictor(beating_study(3, sax=0)).notes if n.startswith("The interval"))
    assert note == "The interval was calibrated on studies with SAX; without, its coverage is not known."
    assert not any(n.startswith("The interval") for n in prediction.notes)  # no study had a 3CH


def test_missing_geometry_and_a_single_phase_are_said(predictor):
    frames = np.random.default_rng(0).integers(0, 300, (1, 1, 40, 50)).astype(np.float32)
    found = predictor(Study((Cine(View.CH4, frames),)))
    assert any("No pixel spacing in 4CH" in note for note in found.notes)
    assert any("Only one phase in 4CH" in note for note in found.notes)


def test_it_goes_to_json_without_loss(prediction):
    fields = json.loads(json.dumps(prediction.to_dict(), allow_nan=False))
    assert fields["lvef_pct"] == prediction.lvef_pct
    assert fields["interval"] == {"low": prediction.interval.low, "high": prediction.interval.high, "coverage": 0.9}
    assert fields["out_of_domain"] is False
    assert [row["plane"] for row in fields["clips"]] == [1, 2, 3, 4, 5, 0, 0]
    assert fields["attention"]["SAX"]["clips"] == 5


def test_provenance_holds_hashes_and_settings_and_no_identifier(predictor, prediction, study):
    provenance = prediction.provenance
    assert provenance["weights_sha256"] == predictor.card.sha256
    assert provenance["model"] == "shad-mvit-tiny:phantom"
    assert provenance["study_sha256"] == study_hash(study)
    assert provenance["transform"]["crop"] == 64
    named = dataclasses.replace(study, patient="DOE^JANE", accession="ACC12345")
    assert "DOE" not in json.dumps(predictor(named).to_dict())


# Out of domain -------------------------------------------------------------------------------------------------------


def changed(study, change):
    cines = [Cine(c.view, change(np.asarray(c.frames, dtype=float)), source=c.source) for c in study.cines]
    return Study(tuple(cines))


def test_new_studies_of_the_same_kind_pass(predictor):
    flagged = [predictor(beating_study(50 + i, sax=1)).out_of_domain for i in range(8)]
    assert sum(flagged) <= 2


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: frames.max() - frames,
        lambda frames: frames + np.random.default_rng(1).normal(0, 40, frames.shape),
        lambda frames: frames[:, :1].repeat(frames.shape[1], 1),
    ],
    ids=["inverted", "noisy", "still"],
)
def test_changed_images_are_out_of_domain_with_reasons(predictor, change):
    found = predictor(changed(beating_study(60), change))
    assert found.out_of_domain is True
    assert found.domain_score > found.domain_threshold == 1.0
    assert found.domain_reasons


def test_without_a_reference_it_says_that_nothing_was_checked(fresh, study):
    fresh.domain = None
    found = Predictor(fresh)(study)
    assert (found.out_of_domain, found.domain_score, found.domain_threshold) == (None, None, None)
    assert any("Out-of-domain check not done" in note for note in found.notes)
    assert {clip.domain_score for clip in found.clips} == {None}


def test_without_calibration_there_is_no_interval_and_a_note(fresh, study):
    del fresh.card.tasks["lvef"]["conformal"]
    found = Predictor(fresh)(study)
    assert found.interval is None
    assert any(note.startswith("No interval") for note in found.notes)


def test_a_view_that_the_reference_hardly_knows_is_named(predictor):
    found = predictor(beating_study(61, sax=1, others={View.CH3: 1}))
    assert any("less sure of 3CH:" in note for note in found.notes)


def test_a_damaged_reference_or_head_is_an_error_not_a_pass(fresh, study):
    fresh.domain.limits.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="damaged"):
        Predictor(fresh)(study)
    with torch.no_grad():
        fresh.heads["lvef"].predict.bias.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="damaged"):
        Predictor(fresh)(study)


def test_a_reference_fitted_from_rows_is_that_fitted_from_studies(fresh):
    studies = [beating_study(200 + i, sax=1, others={View.CH2: i % 2}) for i in range(10)]
    rows = []
    for study in studies:
        bag = clips_of(study, ClipTransform.from_dict(fresh.card.transform))
        rows.append((domain_features(embed_bag(fresh, bag), bag.clips), bag.views))
    entry = dict(fit_domain(fresh, studies, studies, quantile=0.9))
    first = {name: value.clone() for name, value in fresh.domain.state_dict().items()}
    assert fit_domain_rows(fresh, [features for features, _ in rows], rows, quantile=0.9) == entry
    assert fresh.card.domain == entry
    assert entry["n_held_out_by_view"] == {"SAX": 10, "2CH": 5, "3CH": 0, "4CH": 0}
    assert all(torch.equal(first[name], value) for name, value in fresh.domain.state_dict().items())


def test_a_reference_needs_studies(fresh):
    with pytest.raises(TrainingError, match="got none"):
        fit_domain(fresh, [], [])
    with pytest.raises(TrainingError, match="got 1 and 1"):
        fit_domain(fresh, [beating_study(0, sax=1)], [beating_study(1, sax=1)])


def test_a_saved_model_predicts_the_same(predictor, study, prediction, tmp_path):
    found = Predictor(load_model(save_model(predictor.model, tmp_path / "again")))(study)
    assert found.lvef_pct == prediction.lvef_pct
    assert found.domain_score == prediction.domain_score


# What is refused -----------------------------------------------------------------------------------------------------


def test_random_weights_and_models_without_the_head_are_refused(predictor_folder, tmp_path):
    with pytest.raises(CheckpointError, match="random weights"):
        Predictor(load_model("shad-mvit-tiny"))
    bare = load_model("shad-mvit-tiny")
    with pytest.raises(CheckpointError, match=r"no head for LVEF and none for conditions \(heads: none\)"):
        Predictor(load_model(save_model(bare, tmp_path / "bare")))


def test_a_study_without_a_cine_lists_what_was_refused(predictor):
    with pytest.raises(NoCineError, match="T1 map: not a cine"):
        predictor(Study((), refused=(Refusal("T1 map", "not a cine"),)))


# Hash ----------------------------------------------------------------------------------------------------------------


def test_the_hash_is_of_the_pixels_alone(study):
    digest = study_hash(study)
    assert study_hash(dataclasses.replace(study, patient="P1", site="X", notes=("note",))) == digest
    cine = study.cines[0]
    altered = np.array(cine.frames)
    altered[0, 0, 0, 0] += 1
    other = dataclasses.replace(study, cines=(Cine(cine.view, altered), *study.cines[1:]))
    assert study_hash(other) != digest
    assert study_hash(dataclasses.replace(study, cines=study.cines[:1])) != digest
    turned = Cine(cine.view, np.asfortranarray(cine.frames))
    assert study_hash(dataclasses.replace(study, cines=(turned, *study.cines[1:]))) == digest

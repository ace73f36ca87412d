"""From a study to findings: scores, probabilities, flags, attention, tables, the page, and what is refused."""

import csv
import json
import re

import pytest
import torch

from cardiolens.cli import main
from cardiolens.clips import clips_of
from cardiolens.conditions import condition_heads
from cardiolens.errors import CheckpointError
from cardiolens.html.report import study_report
from cardiolens.hub import load_model, save_model
from cardiolens.inference import Predictor
from cardiolens.models.mil import GatedAttentionMIL, MILConfig, with_projection
from cardiolens.prediction import FIELDS, predict
from cardiolens.store import StudyStore
from cardiolens.torch_engine import TorchEngine
from cardiolens.transforms import ClipTransform
from synthetic_studies import beating_study

NAMES = ("severe_aortic_stenosis", "amyloidosis", "normal")


def fitted(threshold, slope=0.5, intercept=-1.0):
    return {
        "slope": slope,
        "intercept": intercept,
        "threshold": threshold,
        "n": 80,
        "positive": 12,
        "sensitivity": 0.75,
        "specificity": 0.5,
    }


def with_conditions(folder, start, *, each=False, calibrated=True):
    """A model folder with random heads for three conditions; one is flagged, one not, one has no threshold."""
    torch.manual_seed(5)
    model = load_model(start)
    low, high = {"severe_aortic_stenosis": fitted(0.001)}, {"amyloidosis": fitted(0.999)}
    groups = [(name,) for name in NAMES] if each else [NAMES]
    for labels in groups:
        head = GatedAttentionMIL(MILConfig(kind="classification", outputs=len(labels))).eval()
        task = labels[0] if each else "diagnoses"
        model.heads[task] = with_projection(head, model.video_proj) if each else head
        entry = {"kind": "classification", "labels": list(labels)}
        entry["metrics"] = {
            "test": {"conditions": {"amyloidosis": {"n": 40, "positive": 9, "auroc": 0.8123, "low": 0.7, "high": 0.9}}}
        }
        if calibrated:
            known = {name: row for name, row in {**low, **high}.items() if name in labels}
            left_out = {"normal": "2 with and 78 without it"} if "normal" in labels else {}
            entry["calibration"] = {
                "threshold": "greatest Youden index",
                "conditions": known,
                "left_out": left_out,
            }
        model.card.tasks[task] = entry
    return save_model(model, folder)


@pytest.fixture(scope="module")
def both(predictor_folder, tmp_path_factory):
    """LVEF and one head for three conditions."""
    return with_conditions(tmp_path_factory.mktemp("both") / "model", predictor_folder)


@pytest.fixture(scope="module")
def alone(predictor_folder, tmp_path_factory):
    """A head with a projection of its own for each condition, and no LVEF."""
    bare = load_model(predictor_folder)
    del bare.heads["lvef"]
    bare.card.tasks.clear()
    folder = tmp_path_factory.mktemp("alone")
    return with_conditions(folder / "model", save_model(bare, folder / "bare"), each=True)


@pytest.fixture(scope="module")
def study():
    return beating_study(1, sax=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = StudyStore(tmp_path_factory.mktemp("findings") / "store", mode="a")
    for i in range(2):
        made.write(beating_study(500 + i, sax=1, patient=f"p{i}", accession=f"a{i}"), key=f"site_p{i}/a{i}")
    return made.path


# Findings ------------------------------------------------------------------------------------------------------------


def test_scores_probabilities_and_flags_are_those_of_head_and_card(both, study):
    model = load_model(both)
    found = Predictor(model)(study)
    bag = clips_of(study, ClipTransform.from_dict(model.card.transform))
    with torch.inference_mode():
        logits = model.heads["diagnoses"](model.embed(bag.clips)[None]).logits[0]
    assert [finding.name for finding in found.conditions] == list(NAMES)
    assert [f.score for f in found.conditions] == pytest.approx(torch.sigmoid(logits).tolist(), abs=1e-5)
    stenosis, amyloid, normal = found.conditions
    assert stenosis.probability == pytest.approx(float(torch.sigmoid(0.5 * logits[0] - 1.0)), abs=1e-5)
    assert (stenosis.flagged, amyloid.flagged, normal.flagged) == (True, False, None)
    assert (normal.probability, normal.threshold, normal.basis) == (None, None, None)
    assert (amyloid.basis.n, amyloid.basis.positive) == (80, 12)
    assert found.flagged == (stenosis,)
    assert stenosis.words == "severe aortic stenosis"


def test_lvef_is_the_same_with_conditions_beside_it(both, predictor_folder, study):
    with_them, without = Predictor(load_model(both))(study), Predictor(load_model(predictor_folder))(study)
    assert with_them.lvef_pct == without.lvef_pct
    assert with_them.view_attention == without.view_attention
    assert (with_them.attention_of, without.conditions) == ("lvef", ())


def test_a_model_without_lvef_gives_none_and_each_head_its_own_attention(alone, study):
    predictor = Predictor(load_model(alone))
    found = predictor(study)
    assert (found.lvef_pct, found.interval, found.attention_of) == (None, None, "mean")
    shares = [{str(row.view): row.share for row in finding.attention} for finding in found.conditions]
    assert all(sum(share.values()) == pytest.approx(1) for share in shares)
    assert shares[0] != shares[1]
    mean = sum(share["SAX"] for share in shares) / 3
    assert found.view_attention["SAX"] == pytest.approx(mean, abs=1e-5)
    assert not any("LVEF" in note or "interval" in note for note in found.notes)


def test_a_head_for_several_conditions_has_one_attention(both, study):
    assert {finding.attention for finding in Predictor(load_model(both))(study).conditions} == {()}


def test_heads_with_a_projection_of_their_own_say_what_the_heads_on_embeddings_say(predictor_folder, tmp_path, study):
    model = load_model(predictor_folder)
    before = Predictor(model)(study).lvef_pct
    model.heads["lvef"] = with_projection(model.heads["lvef"], model.video_proj)
    with torch.no_grad():
        model.video_proj.weight.mul_(-1)  # as if trained on
    after = Predictor(load_model(save_model(model, tmp_path / "own")))(study).lvef_pct
    assert after == pytest.approx(before, abs=1e-3)


def test_notes_tell_where_a_probability_holds_and_what_has_none(both, study):
    notes = Predictor(load_model(both))(study).notes
    assert any("as frequent as among the 80 calibration studies" in note for note in notes)
    assert any(note.startswith("No probability and no flag for normal:") for note in notes)


def test_without_calibration_there_are_scores_alone_and_a_note(predictor_folder, tmp_path, study):
    model = load_model(with_conditions(tmp_path / "model", predictor_folder, calibrated=False))
    found = Predictor(model)(study)
    assert {(f.probability, f.flagged) for f in found.conditions} == {(None, None)}
    assert any("holds no calibration" in note for note in found.notes)


def test_findings_go_to_json(both, study):
    fields = json.loads(json.dumps(Predictor(load_model(both))(study).to_dict(), allow_nan=False))
    assert [row["name"] for row in fields["conditions"]] == list(NAMES)
    assert fields["conditions"][0]["basis"]["positive"] == 12
    assert fields["conditions"][2]["probability"] is None


def test_a_card_that_does_not_fit_its_heads_is_refused(both):
    model = load_model(both)
    model.card.tasks["diagnoses"] = {"kind": "classification", "labels": ["amyloidosis"]}
    with pytest.raises(CheckpointError, match="names 1 conditions for the head 'diagnoses', which gives 3"):
        Predictor(model)
    model = load_model(both)
    model.heads["again"] = GatedAttentionMIL(MILConfig(kind="classification"))
    model.card.tasks["again"] = {"kind": "classification", "labels": ["amyloidosis"]}
    with pytest.raises(CheckpointError, match="both tell amyloidosis"):
        condition_heads(TorchEngine(model))


def test_damaged_weights_are_an_error(both, study):
    model = load_model(both)
    with torch.no_grad():
        model.heads["diagnoses"].predict.bias.fill_(torch.nan)
    with pytest.raises(CheckpointError, match="NaN for diagnoses"):
        Predictor(model)(study)


# Tables and command --------------------------------------------------------------------------------------------------


def test_the_table_has_three_columns_a_condition_and_json_the_thresholds(both, store, tmp_path):
    run = predict([store], load_model(both), tmp_path / "out")
    with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(FIELDS) < set(rows[0])
    assert rows[0]["flagged"] == "severe_aortic_stenosis"
    assert (rows[0]["amyloidosis_flagged"], rows[0]["normal_flagged"], rows[0]["normal_probability"]) == (
        "False",
        "",
        "",
    )
    assert float(rows[1]["normal_score"]) == pytest.approx(run.rows[1]["normal_score"])
    fields = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert fields["conditions"]["amyloidosis"]["threshold"] == 0.999
    assert fields["conditions"]["normal"] == {"not_calibrated": "2 with and 78 without it"}
    assert fields["what"].startswith("LVEF and conditions predictions; research use only, not a medical device")
    assert predict([store], load_model(both), tmp_path / "out").reused == 2


def test_the_command_names_what_is_flagged(both, alone, store, tmp_path, capsys):
    for model, words in ((both, "LVEF"), (alone, "flagged")):
        with pytest.raises(SystemExit) as done:
            main(["predict", str(store), "--model", str(model), "--no-segment", "--out", str(tmp_path / words)])
        assert not done.value.code
        printed = capsys.readouterr().out
        row = json.loads((tmp_path / words / "predictions.json").read_text())["studies"][0]
        (line,) = [line for line in printed.splitlines() if row["key"] in line]
        assert "severe aortic stenosis" in line
        assert words in printed
        assert (row["lvef"] is None) == (model is alone)
        assert ("LVEF" in printed) == (model is both)


# Page ----------------------------------------------------------------------------------------------------------------


def page_of(folder, study, **changes):
    import dataclasses

    predictor = Predictor(load_model(folder))
    found = dataclasses.replace(predictor(study), **changes)
    return study_report(study, found, name="site_x/y", card=predictor.card)


def visible(page):
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(style|script)\b.*?</\1>", " ", page)).split())


def test_the_page_groups_conditions_by_their_threshold_and_marks_it(both, study):
    page = page_of(both, study, out_of_domain=False, domain_score=0.4, domain_threshold=1.0)
    text = visible(page)
    flagged, below, none = (
        text.index(words) for words in ("At or above the", "Below the operating", "Not calibrated:")
    )
    assert flagged < text.index("severe aortic stenosis") < below < text.index("amyloidosis") < none
    assert "1 of 2 at or above the operating threshold" in text
    assert 'x1="99.9%" x2="99.9%"' in page
    assert "0.81 (0.70–0.90)" in text
    assert "about" not in text.split("flags are to be expected")[0][-12:]
    assert "1.0 flags are to be expected" in text
    assert "Left ventricular ejection fraction" in text
    assert "computer phantom" in text
    assert text.count("not a medical device") == 2


def test_the_page_of_a_model_without_lvef_shows_no_gauge_and_speaks_of_findings(alone, study):
    page = page_of(alone, study, out_of_domain=True, domain_score=2.0, domain_threshold=1.0)
    text = visible(page)
    assert "Out of domain: do not rely on these findings" in text
    assert "Not reliable: out of domain. Nothing is flagged." in text
    assert "At or above the operating threshold" not in text
    assert page.count("<s>") == 3
    assert 'class="gauge"' not in page
    assert "ejection fraction" not in text
    assert "Looked most at" in text


def test_a_page_for_lvef_alone_has_no_section_for_conditions(predictor_folder, study):
    page = page_of(predictor_folder, study)
    assert "conditions-title" not in page
    assert "Attention of the LVEF head" not in page

"""`cardiolens explain`: what it writes of a study and of a store, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from cardiolens.cli import main
from cardiolens.errors import CheckpointError, InputError, StoreError
from cardiolens.explain import Chosen, explain_store, explain_study
from cardiolens.hub import load_model
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.features import ClipTable
from synthetic_studies import beating_study


def run(*arguments):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as done:
        main(["explain", *map(str, arguments)])
    return done.value.code or 0


def test_a_study_of_a_store_gets_videos_a_sheet_and_tables(labelled, explainable, tmp_path, capsys):
    key = "site_p5/a5"
    out = tmp_path / "out"
    assert run(labelled.path / key, "--model", explainable, "--out", out, "--view", "4ch", "--fps", "4") == 0
    names = {path.name for path in out.iterdir()}
    assert names == {
        "4CH_0_maps.mp4",
        "4CH_0_overlay.mp4",
        "4CH_0_maps.png",
        "attention.csv",
        "ablation.csv",
        "explain.json",
    }
    assert (out / "4CH_0_maps.png").read_bytes().startswith(b"\x89PNG")
    rows = pd.read_csv(out / "ablation.csv")
    assert set(rows["key"]) == {key}
    assert list(rows["output"]) == ["lvef", "myocarditis", "cardiac_thrombus"]
    shares = pd.read_csv(out / "attention.csv").groupby("head")["share"].sum()
    assert shares.to_dict() == pytest.approx({"lvef": 1.0, "diagnoses": 1.0}, abs=1e-5)
    record = json.loads((out / "explain.json").read_text())
    assert record["weights_sha256"] == load_model(explainable).card.sha256
    assert record["clips"] == ["4CH:0"]
    printed = capsys.readouterr().out
    assert "without one" in printed
    assert "not a medical device" in printed


def test_the_plane_that_the_pooling_weighs_most_is_shown_of_each_view_and_all_on_request(model, labelled, tmp_path):
    study = labelled.read("site_p4/a4")
    found = explain_study(model, study, "k", tmp_path / "one", only=[(3, 0)], fps=4)
    clips = json.loads((tmp_path / "one" / "explain.json").read_text())["clips"]
    assert [clip.split(":")[0] for clip in clips] == ["SAX", "2CH", "4CH"]
    assert len(found.files) == 3 * 3 + 3
    sax = Chosen(view=View.SAX, every=True)
    explain_study(model, study, "k", tmp_path / "all", clips=sax, only=[(3, 0)], fps=4)
    assert json.loads((tmp_path / "all" / "explain.json").read_text())["clips"] == ["SAX:0", "SAX:1"]


def test_a_study_of_3ch_alone_is_explained_and_the_note_says_what_that_means(model, tmp_path):
    study = beating_study(5, sax=0, others={View.CH3: 1})
    found = explain_study(model, study, "k", tmp_path / "out", only=[(0, 0)], fps=4)
    assert set(found.attention["relative"]) == {1.0}
    assert found.ablation.filter(like="without_").isna().all(axis=None)
    assert any("holds 3CH alone" in note for note in found.notes)


def test_a_model_without_heads_shows_maps_and_says_that_there_is_no_more(explainable, tmp_path):
    model = load_model(explainable)
    model.heads.clear()
    found = explain_study(model, beating_study(6, sax=3, others={}), "k", tmp_path / "out", only=[(0, 0)], fps=4)
    assert any("no head" in note for note in found.notes)
    assert json.loads((tmp_path / "out" / "explain.json").read_text())["clips"] == ["SAX:1"]
    with pytest.raises(CheckpointError, match="cardiolens finetune"):
        explain_store(model, StudyStore(tmp_path / "store", mode="a"), tmp_path / "out")


def test_random_weights_and_networks_without_attention_are_refused_before_anything_is_written(tmp_path):
    study = beating_study(7)
    with pytest.raises(CheckpointError, match="random weights"):
        explain_study(load_model("shad-mvit-tiny"), study, "k", tmp_path / "out")
    resnet = load_model("shad-resnet3d-tiny")
    resnet.card.sha256 = "0" * 64
    with pytest.raises(InputError, match="no self-attention"):
        explain_study(resnet, study, "k", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--maps", "9"], "no block 9"),
        (["--maps", "1.5"], "no head 5 in block 1"),
        (["--maps", "one"], "give a block"),
        (["--view", "5CH"], "no such view; one of SAX"),
        (["--view", "3CH"], "no clip 3CH; a model reads view and plane SAX 0"),
        (["--plane", "40"], "no clip 40"),
        (["--align", "left"], "one of resize, centres"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_message(labelled, explainable, tmp_path, capsys, more, message):
    assert run(labelled.path / "site_p5/a5", "--model", explainable, "--out", tmp_path / "out", *more) == 1
    assert message in capsys.readouterr().err


def test_sources_and_folders_that_are_not_there_are_said(labelled, explainable, tmp_path, capsys):
    assert run(labelled.path / "site_p5/none", "--model", explainable, "--out", tmp_path) == 1
    assert "no study site_p5/none in the store" in capsys.readouterr().err
    assert run(tmp_path / "absent", "--model", explainable, "--out", tmp_path) == 1
    assert "nothing of that name" in capsys.readouterr().err
    (tmp_path / "file").write_text("in the way")
    assert run(labelled.path / "site_p5/a5", "--model", explainable, "--out", tmp_path / "file" / "out") == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_store_gets_tables_by_condition_and_figures_and_goes_on_from_its_cache(
    labelled, model, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    found = explain_store(model, labelled, out, n_resamples=100)
    assert (found.n, found.skipped) == (14, {})
    names = {path.name for path in found.files}
    assert {"attention_by_condition.csv", "ablation.csv", "attention_lvef.png", "ablation_diagnoses.png"} <= names
    lvef = found.attention[found.attention["head"] == "lvef"]
    assert set(lvef["condition"]) == {"myocarditis", "cardiac_thrombus", "lvef_below_40"}
    without = found.ablation.set_index(["output", "ablation", "view"]).loc[("lvef", "without", "SAX")]
    assert (without.n, without.n_patients) == (13, 11)  # one study holds 3CH alone, three are of one patient
    assert np.isfinite(without.low)
    assert any("1 of 14 studies hold one view" in note for note in found.notes)
    assert any("pools once for its 2 outputs" in note for note in found.notes)

    def never(*_):
        raise AssertionError("features are computed again")

    monkeypatch.setattr(ClipTable, "_write", never)
    monkeypatch.setattr("cardiolens.explain.figures.png_of", lambda figure: b"")  # figures take most of the time
    again = explain_store(model, labelled, out, n_resamples=100)
    pd.testing.assert_frame_equal(again.ablation, found.ablation)
    assert not any("nearly alike" in note for note in again.notes)
    with torch.no_grad():
        model.heads["lvef"].gate_weight.weight.zero_()
    even = explain_store(model, labelled, out, n_resamples=100)
    assert any("lvef weighs all views nearly alike" in note for note in even.notes)


def test_a_convolutional_network_has_tables_of_a_store_all_the_same(labelled, tmp_path, monkeypatch):
    monkeypatch.setattr("cardiolens.explain.figures.png_of", lambda figure: b"")
    model = load_model("shad-resnet3d-tiny")
    model.heads["lvef"] = GatedAttentionMIL(MILConfig(embed_dim=model.embed_dim)).eval()
    model.card.sha256, model.card.tasks["lvef"] = "0" * 64, {"label": "lvef"}
    found = explain_store(model, labelled, tmp_path / "out", keys=labelled.keys()[:6], n_resamples=100)
    assert found.n == 6
    assert set(found.ablation["output"]) == {"lvef"}


def test_a_damaged_study_is_left_out_and_counted(model, explainable, tmp_path, capsys):
    store = StudyStore(tmp_path / "store", mode="a")
    for number in range(2):
        store.write(beating_study(number, sax=1, others={}), key=f"site_p{number}/a{number}")
    (store.path / "site_p0" / "a0.h5").write_bytes(b"no HDF5")
    assert run(store.path, "--model", explainable, "--out", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert "1 studies read, 1 left out" in told.out
    assert "left out: site_p0/a0" in told.err
    assert "labels.csv is absent" in told.out
    record = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert list(record["skipped"]) == ["site_p0/a0"]
    assert (tmp_path / "out" / "ablation_per_study.csv").exists()


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_computed(model, labelled, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        explain_store(model, labelled, tmp_path / "file")

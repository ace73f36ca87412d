"""`embed`, `search`, `zeroshot`, `retrieve` and `map` from end to end on a small store, and misuse."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from cardiolens.cli import main
from cardiolens.hub import save_model
from cardiolens.models.card import Card
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mvit import MViTConfig
from cardiolens.models.text import TextConfig, TextEncoder
from cardiolens.search import EmbeddingIndex
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View
from cardiolens.text.tokenizer import ReportTokenizer

WORDS = ["The left ventricle is dilated. No thrombus.", "Normal study. No mass.", "Left ventricular hypertrophy."]


def run(*args):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as done:
        main([str(arg) for arg in args])
    return done.value.code


def save_tiny(folder, seed, text=True):
    torch.manual_seed(seed)
    video = MViTConfig(
        frames=4, crop=16, channels=1, width=8, head_width=8, stage_starts=(1,), kv_stride=(2, 1), mlp_ratio=2.0
    )
    tokenizer = ReportTokenizer.train(WORDS, vocabulary=200)
    size = {"width": 16, "layers": 1, "heads": 2, "hidden": 32, "positions": 64, "max_tokens": 64}
    tower = TextEncoder(TextConfig(len(tokenizer), **size), tokenizer) if text else None
    transform = {"frames": 4, "short_side": 20, "crop": 16, "channels": 1}
    provenance = {"recipe": f"recipe{seed}", "epoch": 2}
    card = Card(name="shad-mvit-tiny", transform=transform, provenance=provenance)
    return save_model(DualEncoder(video, card=card, embed_dim=24, text=tower), folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a store, three models (two of them with text) and the index of the first."""
    folder = tmp_path_factory.mktemp("commands")
    store = StudyStore(folder / "store", mode="a")
    keys = []
    for i in range(6):
        rng = np.random.default_rng(i)
        cines = tuple(
            Cine(view, rng.integers(0, 900, (n, 5, 24, 20)).astype(np.uint16), source=f"c {view}")
            for view, n in ((View.SAX, 2), (View.CH4, 1))
        )
        report = None if i == 5 else WORDS[i % 3]
        study = Study(cines, patient=f"p{i}", accession=f"a{i}", site="s", report=report)
        keys.append(store.write(study, key=f"s_p{i}/a{i}"))
    labels = {"left_ventricular_dilation": [1, 0, 0, 1, 0, 0], "normal": [0] * 6, "lvef": [30, 60, 61, 35, 62, 63]}
    store.write_labels(pd.DataFrame(labels, index=pd.Index(keys, name="key")))
    for name, seed, text in (("model", 0, True), ("other", 1, True), ("deaf", 0, False)):
        save_tiny(folder / name, seed, text)
    assert run("embed", folder / "store", "--model", folder / "model", "--out", folder / "a.index") == 0
    return folder


def test_embed_writes_an_index_and_leaves_nothing_else(place, capsys):
    index = EmbeddingIndex.load(place / "a.index")
    assert (len(index), len(index.studies)) == (18, 6)
    assert index.meta["model"] == "shad-mvit-tiny (recipe0, epoch 2)"
    assert not (place / "a.index.parts").exists()
    before = (place / "a.index").read_bytes()
    assert run("embed", place / "store", "--model", place / "model", "--out", place / "a.index") == 0
    assert "18 clips of 6 studies, 0 left out" in capsys.readouterr().out
    assert (place / "a.index").read_bytes() == before


def test_embed_takes_some_keys_and_tells_what_it_cannot_read(place, tmp_path, capsys):
    names = tmp_path / "keys.txt"
    names.write_text("s_p0/a0\ns_p3/a3\n\n")
    assert run("embed", place / "store", "-m", place / "model", "-o", tmp_path / "b.index", "--keys", names) == 0
    assert EmbeddingIndex.load(tmp_path / "b.index").studies == ("s_p0/a0", "s_p3/a3")
    own = StudyStore(tmp_path / "own", mode="a")
    own.write(StudyStore(place / "store").read("s_p0/a0"), key="s_p0/a0")
    (own.path / "s_bad").mkdir()
    (own.path / "s_bad" / "a.h5").write_bytes(b"nothing")
    assert run("embed", own.path, "-m", place / "model", "-o", tmp_path / "c.index") == 1
    captured = capsys.readouterr()
    assert "1 left out" in captured.out
    assert "left out: s_bad/a" in captured.err
    assert EmbeddingIndex.load(tmp_path / "c.index").studies == ("s_p0/a0",)


def test_search_by_text_prints_json_and_writes_page_and_table(place, tmp_path, capsys):
    outs = [tmp_path / f"found{suffix}" for suffix in (".html", ".csv", ".json")]
    told = [argument for out in outs for argument in ("--out", out)]
    query = "a <dilated> ventricle"
    args = ["search", place / "a.index", query, "-m", place / "model", "--top", 4, "--store", place / "store", "--json"]
    assert run(*args, *told) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [hit["rank"] for hit in printed["hits"]] == [1, 2, 3, 4]
    assert printed == json.loads(outs[2].read_text())
    assert printed["searched"] == 6
    table = pd.read_csv(outs[1])
    assert list(table["key"].unique()) == [hit["key"] for hit in printed["hits"]]
    page = outs[0].read_text()
    assert "a &lt;dilated&gt; ventricle" in page and "<dilated>" not in page
    assert page.count("data:image/webp;base64,") == 12
    assert "http" not in page.replace("http-equiv", "")


def test_search_by_study_needs_no_model_and_finds_others(place, capsys):
    assert run("search", place / "a.index", "--study", "s_p1/a1", "--json") == 0
    found = [hit["key"] for hit in json.loads(capsys.readouterr().out)["hits"]]
    assert len(found) == 5
    assert "s_p1/a1" not in found


def test_zeroshot_writes_scores_and_areas_and_says_what_has_none(place, tmp_path, capsys):
    out = tmp_path / "zero.csv"
    assert run("zeroshot", place / "a.index", "-m", place / "model", "-o", out, "--labels", place / "store") == 0
    scores = pd.read_csv(out, index_col="key")
    assert scores.shape == (6, 35)
    areas = pd.read_csv(tmp_path / "zero.auroc.csv", index_col="condition")
    assert 0 <= areas.loc["left_ventricular_dilation", "auroc"] <= 1
    assert "all 6 are negative" in areas.loc["normal", "not_computed"]
    record = json.loads((tmp_path / "zero.run.json").read_text())
    assert record["conditions_with_auroc"] == 1
    assert len(record["conditions_without"]) == 34
    assert record["index"]["model_hash"] == EmbeddingIndex.load(place / "a.index").meta["model_hash"]
    assert "34 conditions without AUROC" in capsys.readouterr().out


def test_retrieve_counts_studies_without_a_report(place, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run("retrieve", place / "a.index", place / "store", "-m", place / "model", "-o", out) == 0
    found = json.loads(out.read_text())
    assert (found["n"], found["without_report"], found["tied"]) == (5, ["s_p5/a5"], 4)
    ranks = pd.read_csv(tmp_path / "r.csv", index_col="key")
    assert ranks["report_rank"].between(1, 5).all()
    assert "5 studies with a report, 1 without, 4 tied" in capsys.readouterr().out


def test_map_draws_two_encoders_and_writes_numbers_and_places(place, tmp_path, capsys):
    assert run("embed", place / "store", "-m", place / "other", "-o", tmp_path / "o.index", "--features") == 0
    out = tmp_path / "map.png"
    args = ["map", place / "a.index", "--colour", "view", "--colour", "lvef", "--table", place / "store"]
    assert run(*args, "--against", tmp_path / "o.index", "--method", "pca", "--k", 3, "--out", out) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "map.json").read_text())["maps"]
    assert set(numbers) == {"shad-mvit-tiny (recipe0, epoch 2)", "shad-mvit-tiny (recipe1, epoch 2)"}
    assert list(pd.read_csv(tmp_path / "map.csv")) == ["key", "view", "plane", "x", "y", "x_against", "y_against"]
    assert "3 nearest of same colour" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("search", "{a}", "", "-m", "{model}"), "empty query"),
        (("search", "{a}"), "a text in quotes, or --study KEY"),
        (("search", "{a}", "mass", "--study", "s_p1/a1"), "one of the two"),
        (("search", "{a}", "mass"), "give it with --model"),
        (("search", "{a}", "mass", "-m", "{model}", "--from", "{a}"), "give both"),
        (("search", "{a}", "  ", "-m", "{model}"), "empty query"),
        (("search", "{a}", "mass", "-m", "{other}"), "made by another model"),
        (("search", "{a}", "mass", "-m", "{deaf}"), "no text tower"),
        (("search", "{a}", "mass", "-m", "{model}", "--view", "5CH"), "views are SAX"),
        (("search", "{a}", "mass", "-m", "{model}", "--out", "x.pdf"), ".html, .csv, .json"),
        (("search", "{cut}", "mass", "-m", "{model}"), "cut off"),
        (("zeroshot", "{a}", "-m", "{deaf}", "-o", "z.csv"), "no text tower"),
        (("zeroshot", "{a}", "-m", "{model}", "-o", "z.csv", "--labels", "{cut}"), "needs a column `key`"),
        (("zeroshot", "{a}", "-m", "shad-mil-regression", "-o", "z.csv"), "is a head"),
        (("retrieve", "{a}", "{empty}", "-m", "{model}"), "6 studies of the index are not in"),
        (("map", "{a}", "--colour", "age", "--table", "{store}", "-o", "{m}.png"), "there are: view, left_ventricular"),
        (("map", "{a}", "--colour", "age", "-o", "{m}.png"), "there are: view"),
        (("map", "{a}", "-o", "{m}.pdf"), "is a .png file"),
        (("embed", "{store}", "-m", "{model}", "-o", "{cut}"), "not overwritten: delete it"),
        (("embed", "{store}", "-m", "{model}", "-o", "{empty}"), "is a folder"),
        (("embed", "{store}", "-m", "{model}", "-o", "{m}.index", "--part", "test"), "--split and --part together"),
        (("embed", "{empty}", "-m", "{model}", "-o", "{m}.index"), "is empty"),
    ],
)
def test_misuse_says_what_to_do(place, tmp_path, capsys, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    cut = tmp_path / "cut.index"
    cut.write_bytes((place / "a.index").read_bytes()[:200])
    (tmp_path / "empty").mkdir()
    names = {"a": place / "a.index", "cut": cut, "empty": tmp_path / "empty", "m": tmp_path / "m"}
    names |= {name: place / name for name in ("model", "other", "deaf", "store")}
    code = run(*[arg.format(**names) for arg in args])
    captured = capsys.readouterr()
    assert code == 1
    assert message in captured.err, captured.err
    assert not (tmp_path / "z.csv").exists() and not (tmp_path / "m.png").exists()

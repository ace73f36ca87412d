"""`embed` and `search` with graphs beside a Parquet table: built on request, used above a size, told in the answer."""

import json

import pytest
from typer.testing import CliRunner

from cardiolens.cli import build_app
from cardiolens.hub import save_model
from cardiolens.search.nearest import folder_of

pytest.importorskip("usearch", reason="the extra [scale] is not installed")
pytest.importorskip("pyarrow", reason="the extra [scale] is not installed")


def run(*words):
    done = CliRunner().invoke(build_app(), [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture(scope="module")
def archive(model, store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    saved = save_model(model, folder / "model")
    path = folder / "a.parquet"
    told = run("embed", store.path, "-m", saved, "-o", path, "--graph")
    assert "graphs:" in told
    assert "5 studies added" in told
    return path


def test_a_small_index_is_searched_exactly_and_gets_no_graphs_by_itself(archive, model, store, tmp_path):
    assert json.loads(run("search", archive, "--study", "s_p1/a1", "--json"))["how"] == "exact"
    saved = save_model(model, tmp_path / "model")
    run("embed", store.path, "-m", saved, "-o", tmp_path / "b.parquet")
    assert not folder_of(tmp_path / "b.parquet").exists()


def test_above_the_size_graphs_answer_and_the_answer_says_so(archive, monkeypatch):
    exact = json.loads(run("search", archive, "--study", "s_p1/a1", "--json"))
    monkeypatch.setattr("cardiolens.search.nearest.EXACT_UP_TO", 3)
    found = json.loads(run("search", archive, "--study", "s_p1/a1", "--json"))
    assert found["how"] == "approximate"
    assert 0.9 <= found["recall_at_10"] <= 1.0
    assert found["hits"] == exact["hits"]
    assert "Approximate" in run("search", archive, "--study", "s_p1/a1")
    forced = json.loads(run("search", archive, "--study", "s_p1/a1", "--json", "--exact"))
    assert (forced["how"], forced["recall_at_10"]) == ("exact", None)


def test_running_embed_again_leaves_the_graphs_as_they_are(archive, store):
    before = (folder_of(archive) / "nearest.json").read_bytes()
    told = run("embed", store.path, "-m", archive.parent / "model", "-o", archive)
    assert "0 studies added, 0 taken out" in told
    assert (folder_of(archive) / "nearest.json").read_bytes() == before

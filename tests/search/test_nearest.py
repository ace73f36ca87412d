"""Graphs of nearest neighbours: what they find, which state of the index they belong to, how they are updated."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

from cardiolens.errors import InputError
from cardiolens.search import EmbeddingIndex, NearestIndex, by_vector, similar, update_nearest
from cardiolens.search.nearest import GraphSettings, _Build, exact_nearest, folder_of
from cardiolens.study import View

pytest.importorskip("usearch", reason="the extra [scale] is not installed")

VIEWS = (View.SAX, View.SAX, View.CH4)


def index_of(keys, seed=0, changed=()):
    """Three clips a study around a centre of its own; each study's vectors depend on its key and whether it changed."""
    rows = []
    for key in keys:
        own = np.random.default_rng([seed, int(key[1:]), key in changed])
        rows.append(own.normal(size=16) + 0.3 * own.normal(size=(3, 16)))
    rows = np.concatenate(rows).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    each = tuple(key for key in keys for _ in VIEWS)
    patients = {key: f"p{int(key[1:]) // 2}" for key in keys}
    return EmbeddingIndex(each, VIEWS * len(keys), (0, 1, 0) * len(keys), rows, {"model": "made"}, patients)


KEYS = [f"s{i}" for i in range(400)]


@pytest.fixture
def built(tmp_path):
    index, path = index_of(KEYS), tmp_path / "a.index"
    index.save(path)
    done = update_nearest(index, path)
    return index, path, done


def query(seed):
    vector = np.random.default_rng(seed).normal(size=16).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("by", ["study", "clip"])
def test_graphs_find_what_the_exact_search_finds_and_say_so(built, by):
    index, path, done = built
    graphs = NearestIndex.open(index, path)
    assert done == {"added": 400, "removed": 0, "kept": 0}
    assert min(graphs.recall.values()) > 0.95
    same = 0
    for seed in range(20):
        exact, found = (by_vector(index, query(seed), 5, by=by, nearest=nearest) for nearest in (None, graphs))
        assert (exact.how, found.how) == ("exact", "approximate")
        assert found.searched()["recall_at_10"] == graphs.recall["studies" if by == "study" else "clips"]
        same += len({hit.key for hit in exact} & {hit.key for hit in found})
        if exact[0].key == found[0].key:
            assert found[0].score == pytest.approx(exact[0].score, abs=1e-6)  # the score is no approximation
            assert found[0].clips == exact[0].clips
    assert same >= 95


def test_the_same_index_gives_the_same_graphs(built, tmp_path):
    index, path, _ = built
    other = tmp_path / "again.index"
    index.save(other)
    update_nearest(index, other)
    for name in ("clips-1.usearch", "studies-1.usearch"):
        assert (folder_of(path) / name).read_bytes() == (folder_of(other) / name).read_bytes()


def test_a_study_never_finds_itself_or_its_patient_by_graph(built):
    index, path, _ = built
    graphs = NearestIndex.open(index, path)
    for key in KEYS[:10]:
        found = similar(index, key, 400, nearest=graphs)
        assert index.patient(key) not in {index.patient(hit.key) for hit in found}
        assert len(similar(index, key, 5, nearest=graphs)) == 5


def test_chosen_views_are_kept_to_and_of_whole_studies_are_exact(built):
    index, path, _ = built
    graphs = NearestIndex.open(index, path)
    by_study = by_vector(index, query(1), 5, views=[View.CH4], nearest=graphs)
    assert by_study.how == "exact"
    by_clip = by_vector(index, query(1), 5, by="clip", views=[View.CH4], nearest=graphs)
    assert {clip.view for hit in by_clip for clip in hit.clips} == {View.CH4}
    exact = by_vector(index, query(1), 5, by="clip", views=[View.CH4])
    assert [hit.key for hit in by_clip] == [hit.key for hit in exact]


def test_only_new_changed_and_removed_studies_are_touched(built):
    _, path, _ = built
    keys = [*KEYS[3:], "s900", "s901"]
    after = index_of(keys, changed=("s10", "s11"))
    after.save(path)
    assert update_nearest(after, path) == {"added": 4, "removed": 5, "kept": 395}
    assert update_nearest(after, path) == {"added": 0, "removed": 0, "kept": 399}
    graphs = NearestIndex.open(after, path)
    for key in ("s10", "s901", "s200"):
        vector = after.vectors_of_studies[after.studies.index(key)]
        assert by_vector(after, vector, 1, nearest=graphs)[0].key == key
    reached = {after.studies[i] for i in graphs.studies(query(0), 399)}
    assert not reached & set(KEYS[:3])


def test_a_killed_build_goes_on_where_it_last_wrote(tmp_path, monkeypatch):
    monkeypatch.setattr("cardiolens.search.nearest._BATCH", 150)
    index, path = index_of(KEYS), tmp_path / "a.index"
    index.save(path)

    def killed(_, done, total):
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_nearest(index, path, progress=killed, save_every_s=0.0)
    assert NearestIndex.open(index, path) is None  # half a graph answers nothing
    done = update_nearest(index, path)
    assert 0 < done["added"] < 400
    assert done["added"] + done["kept"] == 400
    assert min(NearestIndex.open(index, path).recall.values()) > 0.95


def test_graphs_of_another_state_or_model_are_not_used(built):
    index, path, _ = built
    grown = index_of([*KEYS, "s800"])
    grown.save(path)
    assert NearestIndex.open(grown, path) is None
    other = EmbeddingIndex(index.keys, index.views, index.planes, index.rows, {"model": "another"}, index.patients)
    other.save(path)
    assert update_nearest(other, path)["kept"] == 0


def test_damaged_graphs_are_told(built):
    index, path, _ = built
    manifest = folder_of(path) / "nearest.json"
    graph = folder_of(path) / json.loads(manifest.read_text())["files"]["clips"]
    graph.unlink()
    with pytest.raises(InputError, match="missing or damaged"):
        NearestIndex.open(index, path)
    manifest.write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        NearestIndex.open(index, path)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"files": {"clips": "../clips-1.usearch", "studies": "studies-1.usearch"}},
        {"files": {"clips": "clips-1.usearch"}},
        {"recall": {"clips": 7.0, "studies": 1.0}},
        {"recall": {}},
        {"mark": 3},
        {"next": "many"},
        {"next": 5},
        {"studies": {"s1": ["signature", -1, 3]}},
        {"studies": [1]},
        {"generation": None},
    ],
)
def test_a_manifest_that_no_build_wrote_is_told(built, spoilt):
    index, path, _ = built
    manifest = folder_of(path) / "nearest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **spoilt}))
    with pytest.raises(InputError, match="cannot be read"):
        NearestIndex.open(index, path)
    manifest.write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        update_nearest(index, path)


def test_graphs_of_other_clips_than_the_manifest_says_are_told(built):
    index, path, _ = built
    manifest = folder_of(path) / "nearest.json"
    fields = json.loads(manifest.read_text())
    del fields["studies"]["s7"]
    manifest.write_text(json.dumps(fields))
    with pytest.raises(InputError, match="does not hold the clips of its index"):
        NearestIndex.open(index, path)


def test_recall_is_of_the_others_and_not_of_the_query_itself(tmp_path):
    index, path = index_of(KEYS[:40]), tmp_path / "a.index"
    index.save(path)
    build = _Build(index, folder_of(path), GraphSettings())
    list(build.add(list(index.studies)))

    class Blind:
        """Finds the query and rows that are never its nearest."""

        def __init__(self, numbers, rows):
            self.numbers, self.rows = numbers, rows

        def search(self, asked, count):
            far = np.argsort(asked @ self.rows.T, axis=1)[:, :count]
            far[:, 0] = np.argmax(asked @ self.rows.T, axis=1)
            return SimpleNamespace(keys=self.numbers[far])

    for kind, rows in (("clips", index.rows), ("studies", index.vectors_of_studies)):
        build.graphs[kind] = Blind(build.numbers(kind), rows)
    build.measure()
    assert build.recall == {"clips": 0.0, "studies": 0.0}


def test_an_index_of_one_study_has_nothing_else_to_find(tmp_path):
    index, path = index_of(["s1"]).take(np.array([0])), tmp_path / "a.index"
    index.save(path)
    update_nearest(index, path)
    assert NearestIndex.open(index, path).recall == {"clips": 1.0, "studies": 1.0}


def test_graphs_are_on_the_disk_before_the_manifest_names_them(built, monkeypatch):
    _, path, _ = built
    grown = index_of([*KEYS, "s800"])
    grown.save(path)
    flushed, real = [], os.fsync

    def fsync(handle):
        flushed.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    update_nearest(grown, path)
    names = ("clips-2.usearch", "studies-2.usearch", "nearest.json")
    clips, studies, manifest = (flushed.index((folder_of(path) / name).stat().st_ino) for name in names)
    assert max(clips, studies) < manifest


def test_exact_nearest_in_blocks_is_a_plain_sort():
    rows = index_of(KEYS).rows
    asked = rows[:7]
    plain = np.argsort(-(asked @ rows.T), axis=1)[:, :9]
    assert np.array_equal(exact_nearest(rows, asked, 9, block=100), plain)

"""The index: what it refuses, how a study is made of its clips, and that it comes back from disk as it was."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from cardiolens.errors import InputError
from cardiolens.search import EmbeddingIndex
from cardiolens.study import View


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def simple():
    rows = unit([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
    views = (View.SAX, View.SAX, View.SAX, View.CH4, View.SAX)
    return EmbeddingIndex(
        ("a", "a", "a", "a", "b"), views, (0, 1, 2, 0, 4), rows, {"model": "m"}, {"a": "p"}, {"a": "x", "b": "y"}
    )


@given(st.data())
def test_index_comes_back_from_disk_as_it_was(tmp_path_factory, data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    keys = [f"s_p{i}/a é{i}" for i, n in enumerate(sizes) for _ in range(n)]
    views = tuple(data.draw(st.sampled_from(list(View))) for _ in keys)
    planes = tuple(data.draw(st.integers(0, 300)) for _ in keys)
    rows = unit(np.random.default_rng(len(keys)).normal(size=(len(keys), 5)))
    index = EmbeddingIndex(
        tuple(keys), views, planes, rows, {"space": "embedding", "skipped": {"k": "why"}}, {keys[0]: "p"}
    )
    path = index.save(tmp_path_factory.getbasetemp() / "any.index")
    back = EmbeddingIndex.load(path)
    assert (back.keys, back.views, back.planes) == (index.keys, index.views, index.planes)
    np.testing.assert_array_equal(back.rows, index.rows)
    assert (dict(back.meta), dict(back.patients), dict(back.contents)) == (index.meta, index.patients, {})


def test_a_stack_of_many_planes_does_not_outvote_another_view():
    keys, by_view = simple().study_vectors()
    assert keys == ("a", "b")
    np.testing.assert_allclose(by_view, unit([[1, 1], [0, 1]]), atol=1e-6)
    np.testing.assert_allclose(simple().study_vectors("clips")[1], unit([[3, 1], [0, 1]]), atol=1e-6)


@pytest.mark.parametrize("pooling", ["views", "clips"])
def test_weights_of_a_study_sum_to_one(pooling):
    index = simple()
    np.testing.assert_allclose(np.bincount(index.study_of, index.weights(pooling)), [1, 1])


def test_selection_keeps_order_and_names_what_is_absent():
    index = simple()
    assert index.select(["b"]).keys == ("b",)
    assert dict(index.select(["a"]).contents) == {"a": "x"}
    with pytest.raises(InputError, match="1 studies are not in the index, first zz"):
        index.select(["a", "zz"])


@pytest.mark.parametrize("cut", [4, 60, -9])
def test_a_file_that_was_cut_off_is_refused_with_what_to_do(tmp_path, cut):
    path = simple().save(tmp_path / "cut.index")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"cut\.index: not an index of cardiolens, or cut off.*make another"):
        EmbeddingIndex.load(path)


def test_other_files_are_no_index(tmp_path):
    save_file({"rows": np.eye(2, dtype=np.float32)}, tmp_path / "weights.safetensors")
    (tmp_path / "text").write_text("hello")
    for name in ("weights.safetensors", "text"):
        with pytest.raises(InputError, match="not an index"):
            EmbeddingIndex.load(tmp_path / name)
    with pytest.raises(InputError, match="cardiolens embed"):
        EmbeddingIndex.load(tmp_path / "absent")


@pytest.mark.parametrize("rows", [[[2.0, 0.0]], [[np.nan, 1.0]], [[0.0, 0.0]]])
def test_rows_that_are_not_of_unit_length_are_refused(rows):
    with pytest.raises(InputError, match="1 of 1 rows are not of unit length"):
        EmbeddingIndex(("a",), (View.SAX,), (0,), np.array(rows, dtype=np.float32))


def test_as_many_rows_as_clips():
    with pytest.raises(InputError, match="2 keys"):
        EmbeddingIndex(("a", "b"), (View.SAX,) * 2, (0, 1), np.eye(3, dtype=np.float32))


def test_a_failed_write_leaves_the_earlier_index(tmp_path, monkeypatch):
    path = simple().save(tmp_path / "kept.index")
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(Exception, match="no room on the disk"):
        simple().select(["b"]).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["kept.index"]


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [({"view": [-1] * 5}, "name views"), ({"view": [99] * 5}, "name views"), ({"study": [-1] * 5}, "name studies"),
     ({"plane": [-1] * 5}, "below 0")],
)  # fmt: skip
def test_numbers_that_stand_for_nothing_are_refused(tmp_path, spoilt, words):
    path = simple().save(tmp_path / "spoilt.index")
    with safe_open(path, framework="np") as file:
        head = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    save_file(tensors | {name: np.array(values, np.int64) for name, values in spoilt.items()}, path, head)
    with pytest.raises(InputError, match=words):
        EmbeddingIndex.load(path)

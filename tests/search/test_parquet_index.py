"""The index as a Parquet table: the same index, readable by others, honest when damaged."""

import json
import sys

import numpy as np
import pytest

from cardiolens.errors import InputError
from cardiolens.search import EmbeddingIndex
from cardiolens.search.index import mark_at

pq = pytest.importorskip("pyarrow.parquet", reason="the extra [scale] is not installed")


def test_it_comes_back_as_it_went(index, tmp_path):
    path = index.save(tmp_path / "a.parquet")
    again = EmbeddingIndex.load(path)
    assert np.array_equal(again.rows, index.rows)
    assert (again.keys, again.views, again.planes) == (index.keys, index.views, index.planes)
    assert (again.meta, again.patients, again.contents) == (index.meta, index.patients, index.contents)
    assert again.mark == index.mark == mark_at(path)
    assert mark_at(index.save(tmp_path / "a.safetensors")) == index.mark


def test_other_tools_find_a_row_a_clip_and_the_models_hash(index, tmp_path):
    path = index.save(tmp_path / "a.parquet")
    table = pq.read_table(path)
    assert table.column_names == ["key", "patient", "content", "view", "plane", "vector"]
    assert len(table) == len(index)
    assert table["vector"][3].as_py() == index.rows[3].tolist()
    assert json.loads(table.schema.metadata[b"cardiolens"])["meta"]["model_hash"] == index.meta["model_hash"]


def test_an_empty_index_and_one_without_patients_come_back(tmp_path):
    empty = EmbeddingIndex((), (), (), np.zeros((0, 8), np.float32), {"model": "m"})
    assert len(EmbeddingIndex.load(empty.save(tmp_path / "e.parquet"))) == 0
    one = EmbeddingIndex(("k",), ("SAX",), (2,), np.eye(1, 8, dtype=np.float32))
    again = EmbeddingIndex.load(one.save(tmp_path / "o.parquet"))
    assert (again.patients, again.contents, again.planes) == ({}, {}, (2,))


@pytest.mark.parametrize("keep", [0, 10, -100])
def test_a_file_cut_off_or_of_another_kind_is_told(index, tmp_path, keep):
    path = index.save(tmp_path / "a.parquet")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="not a table of embeddings"):
        EmbeddingIndex.load(path)
    import pyarrow

    pq.write_table(pyarrow.table({"key": ["a"]}), path)
    with pytest.raises(InputError, match="does not name cardiolens"):
        EmbeddingIndex.load(path)


def test_without_pyarrow_it_says_what_to_install(index, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"cardiolens\[scale\]"):
        index.save(tmp_path / "a.parquet")


def test_a_changed_vector_place_or_order_changes_the_mark(index):
    rows = index.rows.copy()
    rows[0] = np.roll(rows[0], 1)
    changed = EmbeddingIndex(index.keys, index.views, index.planes, rows)
    moved = EmbeddingIndex(index.keys, index.views, tuple(p + 1 for p in index.planes), index.rows)
    reordered = index.take(np.arange(len(index))[::-1])
    assert len({index.mark, changed.mark, moved.mark, reordered.mark}) == 4


def test_a_table_that_another_tool_wrote_anew_with_lists_of_any_length_is_told(index, tmp_path):
    import pyarrow as pa

    table = pq.read_table(index.save(tmp_path / "a.parquet"))
    place = table.column_names.index("vector")
    lists = table.set_column(place, "vector", pa.array(table["vector"].to_pylist(), pa.list_(pa.float32())))
    pq.write_table(lists, tmp_path / "b.parquet")
    with pytest.raises(InputError, match="not a table of embeddings"):
        EmbeddingIndex.load(tmp_path / "b.parquet")

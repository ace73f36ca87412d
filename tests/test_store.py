"""The store: what goes in comes out, whole or not at all, in any process."""

import dataclasses
import errno
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReportError, StoreError
from cardiolens.store import SCHEMA_VERSION, StudyStore, atomic
from cardiolens.study import Cine, Refusal, Study, View

KEY = "site_p1/a1"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a secret for the tests")


def make_study(*, phases: int = 6, seed: int = 0, **changes) -> Study:
    rng = np.random.default_rng(seed)
    affine = np.array([[1.5, 0, 0, -50], [0, 1.25, 0, -40], [0, 0, 8.0, 10.0], [0, 0, 0, 1]])
    sax = Cine(
        View.SAX,
        rng.integers(0, 4000, (3, phases, 20, 24)).astype(np.uint16),
        source="series 4",
        spacing_mm=(1.25, 1.5),
        slice_positions_mm=np.array([10.0, 18.0, 26.0]),
        trigger_times_ms=np.arange(3 * phases, dtype=float).reshape(3, phases) * 33.3,
        affine=affine,
        attributes={"Manufacturer": "Größe", "EchoTime": 1.1, "FlipAngle": 45},
        notes=("two copies dropped",),
    )
    lax = Cine(View.CH4, rng.normal(size=(1, 5, 18, 18)).astype(np.float32), source="series 7")
    study = Study(
        (sax, lax),
        patient=Pseudonym("p1"),
        accession=Pseudonym("a1"),
        site="site",
        sex="F",
        age=63.5,
        report="LVEF 55 %.\r\nKeine Auffälligkeiten — ✓",
        refused=(Refusal("series 1", "scout", 15),),
        notes=("1 damaged file",),
    )
    return dataclasses.replace(study, **changes)


def assert_same(one: Study, other: Study) -> None:
    for name in ("patient", "accession", "site", "sex", "age", "report", "refused", "notes", "views"):
        assert getattr(one, name) == getattr(other, name), name
    for a, b in zip(one.cines, other.cines, strict=True):
        assert a.frames.dtype == b.frames.dtype
        np.testing.assert_array_equal(a.frames, b.frames)
        assert (a.source, a.spacing_mm, dict(a.attributes), a.notes) == (
            b.source,
            b.spacing_mm,
            dict(b.attributes),
            b.notes,
        )
        for name in ("slice_positions_mm", "trigger_times_ms", "affine"):
            x, y = getattr(a, name), getattr(b, name)
            assert (x is None) == (y is None), name
            if x is not None:
                np.testing.assert_array_equal(x, y)


@pytest.fixture
def store(tmp_path) -> StudyStore:
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(make_study())
    return store


def files_in(store: StudyStore) -> list[str]:
    return sorted(str(path.relative_to(store.path)) for path in store.path.rglob("*"))


# --- round trip ------------------------------------------------------------------------------------------------------


def test_everything_a_study_carries_comes_back(store):
    assert store.keys() == [KEY]
    assert_same(store.read(KEY), make_study())
    assert store.report(KEY) == make_study().report


def test_what_is_unknown_stays_none(tmp_path):
    bare = Study((Cine(View.CH2, np.ones((1, 2, 3, 4), np.int16)),), patient=Pseudonym("p"), accession=Pseudonym("a"))
    store = StudyStore(tmp_path, mode="a")
    back = store.read(store.write(bare))
    assert_same(back, bare)
    assert store.keys() == ["unknown_p/a"]
    with pytest.raises(GeometryError):
        back.cines[0].require_spacing_mm("a length")


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=25, deadline=None)
@given(
    frames=hnp.arrays(
        st.sampled_from(["u1", "<u2", ">u2", "<i2", "<i4", "<f4", "<f8", "?"]).map(np.dtype),
        st.tuples(*[st.integers(1, 4)] * 4),
    ),
    view=st.sampled_from(list(View)),
    report=st.none() | _TEXT,
    notes=st.lists(st.text(max_size=20), max_size=3),
    attributes=st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.floats(allow_nan=False) | st.integers()),
    age=st.none() | st.floats(0, 120),
)
def test_any_study_round_trips_and_verifies(tmp_path_factory, frames, view, report, notes, attributes, age):
    study = Study(
        (Cine(view, frames, source="s", attributes=attributes, notes=tuple(notes)),),
        patient=Pseudonym("p"),
        accession=Pseudonym("a"),
        age=age,
        report=report,
        notes=tuple(notes),
    )
    store = StudyStore(tmp_path_factory.mktemp("any"), mode="a")
    key = store.write(study)
    back = store.read(key)
    assert (back.report, back.notes, back.age) == (report, tuple(notes), age)
    assert dict(back.cines[0].attributes) == attributes
    assert back.cines[0].frames.dtype == frames.dtype
    assert back.cines[0].frames.tobytes() == frames.tobytes()
    store.verify()


def test_reading_a_study_reads_no_pixels(store, monkeypatch):
    monkeypatch.setattr(StudyStore, "load", lambda *args: pytest.fail("pixels were read"))
    assert store.read(KEY).cine("SAX").shape == (3, 6, 20, 24)
    info = store.info(KEY)
    assert info["views"] == {"SAX": (3, 6, 20, 24), "4CH": (1, 5, 18, 18)}
    assert info["has_report"] and not info["published"]
    assert info["has_geometry"] == {"SAX": True, "4CH": False}


def test_some_frames_of_one_plane_in_the_order_asked(store):
    whole = make_study().cine("SAX").frames
    np.testing.assert_array_equal(store.frames(KEY, "SAX", 2), whole[2])
    np.testing.assert_array_equal(store.frames(KEY, View.SAX, 1, [5, 0, 5, 3]), whole[1][[5, 0, 5, 3]])
    assert store.frames(KEY, "SAX", 0, []).shape == (0, 20, 24)


def test_one_frame_reads_one_chunk(store):
    with h5py.File(store.path / f"{KEY}.h5") as file:
        assert file["SAX/frames"].chunks == (1, 1, 20, 24)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.frames(KEY, "3CH", 0), "has no 3CH; it has SAX, 4CH"),
        (lambda s: s.frames(KEY, "5CH", 0), "no view"),
        (lambda s: s.frames(KEY, "SAX", 3), "no plane 3; it has 0 to 2"),
        (lambda s: s.frames(KEY, "SAX", -1), "no plane -1"),
        (lambda s: s.frames(KEY, "SAX", 0, [6]), "it has 0 to 5"),
        (lambda s: s.read("site_p1/nothere"), "no study site_p1/nothere"),
        (lambda s: s.read("../outside"), "is no key"),
        (lambda s: s.read("a/.."), "is no key"),
        (lambda s: s.write(make_study(), key="no-slash"), "is no key"),
        (lambda s: StudyStore(s.path / "absent"), "no store at"),
        (lambda s: StudyStore(s.path).write(make_study()), "open for reading"),
    ],
)
def test_a_wrong_question_is_answered_with_what_there_is(store, call, said):
    with pytest.raises(StoreError, match=said):
        call(store)


def test_contains_and_len_and_iteration(store):
    store.write(make_study(accession=Pseudonym("a2")))
    assert len(store) == 2 and list(store) == [KEY, "site_p1/a2"]
    assert KEY in store and "site_p1/a3" not in store and 7 not in store and "../x" not in store
    store.remove("site_p1/a2")
    assert store.keys() == [KEY]


# --- identifiers -----------------------------------------------------------------------------------------------------


def test_raw_identifiers_never_reach_the_disk(tmp_path):
    store = StudyStore(tmp_path, mode="a")
    raw = make_study(
        patient="MRN00998877", accession="ACC55443322", report="MRN00998877, LVEF 60 %", notes=("ACC55443322",)
    )
    keys = [store.write(raw), store.write(raw, key="phantom_0001/0001")]
    for path in tmp_path.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for secret in (b"MRN00998877", b"ACC55443322"):
            assert secret not in content and secret.decode() not in str(path)
    assert store.read(keys[0]).patient == keys[0].split("/")[0].removeprefix("site_")
    assert (store.read(keys[1]).patient, store.read(keys[1]).accession) == ("0001", "0001")


@pytest.mark.parametrize(
    ("site", "part"),
    [
        ("St. Mary's Hospital", "st-mary-s-hospital"),
        ("Hôpital_Nord", "hopital-nord"),
        (None, "unknown"),
        ("  ", "unknown"),
    ],
)
def test_site_stands_in_the_key_without_underscore(tmp_path, site, part):
    key = StudyStore(tmp_path, mode="a").write(make_study(site=site))
    assert key == f"{part}_p1/a1"


# --- whole or not at all ---------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_earlier_study_and_nothing_else(store, monkeypatch):
    before, content = files_in(store), store.hash()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    for accession in ("a1", "a9"):
        with pytest.raises(StoreError, match="no room on the disk"):
            store.write(make_study(seed=5, accession=Pseudonym(accession)))
    with pytest.raises(StoreError, match="no room on the disk"):
        store.write(make_study(patient=Pseudonym("new")))
    assert files_in(store) == before
    assert store.hash() == content
    store.verify()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_the_system_cutting_a_write_short_leaves_nothing(tmp_path):
    script = (
        "import resource, sys; sys.path[:0] = [sys.argv[2]]\n"
        "from test_store import make_study, StudyStore, StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "store = StudyStore(sys.argv[1], mode='a')\n"
        "try:\n    store.write(make_study(phases=40))\n"
        "except StoreError as error:\n    print(error)\n"
    )
    args = [sys.executable, "-c", script, str(tmp_path / "s"), str(Path(__file__).parent)]
    run = subprocess.run(args, capture_output=True, text=True, check=True)
    assert "no room on the disk" in run.stdout
    assert files_in(StudyStore(tmp_path / "s")) == []


def test_leftovers_of_dead_writers_are_ignored_and_removed_and_living_ones_kept(store):
    folder = store.path / "site_p1"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = folder / f".a7.h5.{atomic._host()}-{gone.pid}-00ff.part"
    alive = folder / f".a8.h5.{atomic._host()}-{os.getpid()}-00ff.part"
    foreign = folder / ".a9.h5.00000000-1-00ff.part"
    table = store.path / f".labels.csv.{atomic._host()}-{gone.pid}-00ff.part"
    for path in (dead, alive, foreign, table):
        path.write_bytes(b"half a study")
    assert StudyStore(store.path).keys() == [KEY]
    StudyStore(store.path, mode="a")
    assert [path.exists() for path in (dead, alive, foreign, table)] == [False, True, True, False]


def test_leftovers_are_cleared_when_asked_and_only_of_a_store_that_is_open_for_writing(store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = store.path / "site_p1" / f".a7.h5.{atomic._host()}-{gone.pid}-00ff.part"
    dead.write_bytes(b"half a study")
    with pytest.raises(StoreError, match="mode='a' to clear"):
        StudyStore(store.path).clear_leftovers()
    assert dead.exists()
    store.clear_leftovers()
    assert not dead.exists()
    assert store.keys() == [KEY]


def test_values_that_cannot_be_held_are_refused(store):
    before = files_in(store)
    odd = Cine(View.CH2, np.ones((1, 2, 3, 4)), attributes={"When": object()})  # type: ignore[dict-item]
    for study in (
        make_study(cines=(odd,)),
        make_study(report="a\0b"),
        make_study(report="\ud800"),
        make_study(cines=(Cine(View.CH2, np.full((1, 2, 3, 4), "x")),)),
    ):
        with pytest.raises(StoreError):
            store.write(dataclasses.replace(study, accession=Pseudonym("odd")))
    assert files_in(store) == before


# --- damage and versions ---------------------------------------------------------------------------------------------


def test_a_newer_schema_and_an_unknown_kind_are_refused(store):
    path = store.path / f"{KEY}.h5"
    for changes, said in (
        ({"schema_version": SCHEMA_VERSION + 1}, "update cardiolens"),
        ({"schema": "other"}, "unknown"),
    ):
        store.close()
        with h5py.File(path, "r+") as file:
            file.attrs.update(changes)
        for call in (store.read, store.report, store.hash_of, store.info, lambda key: store.frames(key, "SAX", 0)):
            with pytest.raises(StoreError, match=said):
                call(KEY)


def test_verify_names_the_study_whose_content_changed(store):
    store.write(make_study(accession=Pseudonym("a2")))
    store.verify()
    store.close()
    with h5py.File(store.path / "site_p1/a2.h5", "r+") as file:
        file["SAX/affine"][0, 3] += 1e-9
    with pytest.raises(StoreError, match=r"1 damaged: site_p1/a2: content differs"):
        store.verify()
    store.verify(KEY)


def test_a_flipped_byte_and_a_cut_file_are_store_errors(store):
    path = store.path / f"{KEY}.h5"
    whole = path.read_bytes()
    with h5py.File(path) as file:
        where = file["SAX/frames"].id.get_chunk_info(0)
    flipped = bytearray(whole)
    flipped[where.byte_offset + where.size // 2] ^= 0xFF
    path.write_bytes(bytes(flipped))
    with pytest.raises(StoreError, match="site_p1"):
        store.frames(KEY, "SAX", 0, [0])
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(StoreError, match="damaged"):
        store.read(KEY)


def test_content_hash_depends_on_every_part_and_not_on_when_it_was_written(tmp_path):
    store = StudyStore(tmp_path, mode="a")
    base = make_study()
    cine = base.cine("4CH")
    other_pixels = Cine(View.CH4, cine.frames + np.float32(1e-6), source=cine.source)
    variants = [
        base,
        dataclasses.replace(base, report=None),
        dataclasses.replace(base, sex="M"),
        dataclasses.replace(base, notes=()),
        dataclasses.replace(base, cines=(base.cine("SAX"), other_pixels)),
        dataclasses.replace(base, cines=(base.cine("SAX"),)),
    ]
    hashes = [store.hash_of(store.write(study)) for study in variants]
    assert len(set(hashes)) == len(variants)
    assert store.hash_of(store.write(base)) == hashes[0]


def test_store_hash_covers_keys_and_contents(store):
    first = store.hash()
    store.write(make_study(accession=Pseudonym("a2")))
    second = store.hash()
    store.remove("site_p1/a2")
    assert first == store.hash() != second


def test_a_study_written_anew_is_seen_by_an_open_reader(store):
    reader = StudyStore(store.path)
    reader.frames(KEY, "SAX", 0)
    store.write(make_study(seed=9))
    np.testing.assert_array_equal(reader.frames(KEY, "SAX", 0), make_study(seed=9).cine("SAX").frames[0])


# --- processes and threads -------------------------------------------------------------------------------------------


def read_plane(store: StudyStore, plane: int) -> tuple[int, bytes]:
    return os.getpid(), store.frames(KEY, "SAX", plane).tobytes()


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_a_store_opened_in_the_parent_works_in_children(store, method):
    whole = make_study().cine("SAX").frames
    store.frames(KEY, "SAX", 0)  # a file is open now
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(read_plane, [(store, plane) for plane in (0, 1, 2)] * 4, chunksize=1)
    for (process, content), plane in zip(found, [0, 1, 2] * 4, strict=True):
        assert process != os.getpid()
        assert content == whole[plane].tobytes()
    np.testing.assert_array_equal(store.frames(KEY, "SAX", 1), whole[1])


class Planes:
    def __init__(self, store: StudyStore) -> None:
        self.study = store.read(KEY)  # lazy frames travel as well
        self.store = store

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int):
        assert self.study.cine("4CH").frames.shape == (1, 5, 18, 18)
        return self.store.frames(KEY, "SAX", index % 3, [0, 2, 4]).astype("float32")


def test_data_loader_workers_read_what_one_process_reads(store):
    from torch.utils.data import DataLoader

    data = Planes(store)
    one = [batch.numpy() for batch in DataLoader(data, batch_size=3)]
    two = [batch.numpy() for batch in DataLoader(data, batch_size=3, num_workers=2)]
    np.testing.assert_array_equal(one, two)


def test_many_threads_read_the_same_and_more_files_than_are_kept_open(tmp_path):
    store = StudyStore(tmp_path, mode="a")
    keys = [store.write(make_study(seed=n, accession=Pseudonym(f"a{n:02}"))) for n in range(20)]
    wrong: list[str] = []

    def check(offset: int) -> None:
        for n in range(20):
            number = (n + offset) % 20
            if (store.frames(keys[number], "SAX", 0) != make_study(seed=number).cine("SAX").frames[0]).any():
                wrong.append(keys[number])

    threads = [threading.Thread(target=check, args=(offset,)) for offset in (0, 7, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_pickled_store_carries_no_open_file(store):
    store.frames(KEY, "SAX", 0)
    again = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own bytes
    assert not again._handles._files
    np.testing.assert_array_equal(again.frames(KEY, "SAX", 0), store.frames(KEY, "SAX", 0))


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_round_trip_and_are_empty_where_absent(store):
    assert store.labels().empty
    table = pd.DataFrame({"lvef": [55.25], "split": ["train"]}, index=pd.Index([KEY], name="key"))
    store.write_labels(table)
    pd.testing.assert_frame_equal(store.labels(), table)
    store.verify()


def test_labels_that_do_not_fit_the_store_are_refused(store):
    with pytest.raises(ReportError, match="no study in the store for site_p1/zz"):
        store.write_labels(pd.DataFrame({"lvef": [1.0]}, index=["site_p1/zz"]))
    with pytest.raises(ReportError, match="more than one row"):
        store.write_labels(pd.DataFrame({"lvef": [1.0, 2.0]}, index=[KEY, KEY]))
    (store.path / "labels.csv").write_text(f"key,lvef\n{KEY},1\n{KEY},2\n")
    with pytest.raises(ReportError, match="more than one row"):
        store.labels()
    (store.path / "labels.csv").write_text("study,lvef\nx,1\n")
    with pytest.raises(ReportError, match="column `key`"):
        store.labels()

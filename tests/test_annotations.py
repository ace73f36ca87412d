"""Masks beside studies: what is written comes back, and what does not fit is refused."""

import numpy as np
import pytest

from cardiolens.annotation import Annotation
from cardiolens.errors import GeometryError, InputError, StoreError
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View

KEY = "site_p1/a1"


def study(value=0):
    cines = (Cine("SAX", np.full((3, 8, 10, 12), value, np.int16)), Cine("4CH", np.zeros((1, 8, 9, 9), np.int16)))
    return Study(cines)


def drawn(seed=0):
    rng = np.random.default_rng(seed)
    sax = Annotation(
        (1, 5), rng.integers(0, 4, (3, 2, 10, 12)), ("LV cavity", "LV myocardium", "RV cavity"), ed=1, es=5, source="me"
    )
    points = {"mitral_1": rng.uniform(0, 9, (1, 1, 2)), "apex": np.full((1, 1, 2), np.nan)}
    return {View.SAX: sax, View.CH4: Annotation((0,), landmarks=points, es=4)}


@pytest.fixture
def store(tmp_path):
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(study(), key=KEY)
    return store


def test_what_was_drawn_comes_back_and_the_study_stays_what_it_was(store):
    assert store.annotations(KEY) == {}
    before, keys = store.hash(), store.keys()
    store.annotate(KEY, drawn())
    assert (store.hash(), store.keys()) == (before, keys)
    store.verify()
    back = StudyStore(store.path).annotations(KEY)
    for view, expected in drawn().items():
        found = back[view]
        assert (found.phases, found.structures, found.ed, found.es) == (
            expected.phases,
            expected.structures,
            expected.ed,
            expected.es,
        )
        assert found.source == expected.source
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert list(found.landmarks) == sorted(expected.landmarks)
        for name, points in expected.landmarks.items():
            np.testing.assert_array_equal(found.landmarks[name], points)
    np.testing.assert_array_equal(back[View.SAX].at(5), drawn()[View.SAX].labels[:, 1])
    assert np.isnan(back[View.CH4].points(0)[0, 1]).all()  # mitral_2 was not drawn


def test_the_hash_of_masks_tells_a_correction(store):
    empty = store.annotation_hash([KEY])
    store.annotate(KEY, drawn())
    first = store.annotation_hash([KEY])
    store.annotate(KEY, drawn(1))
    assert len({empty, first, store.annotation_hash([KEY])}) == 3
    store.annotate(KEY, {})
    assert store.annotation_hash([KEY]) == empty


def test_masks_of_a_study_with_other_pixels_are_not_given(store):
    store.annotate(KEY, drawn())
    store.write(study(1), key=KEY)
    with pytest.raises(StoreError, match="changed since"):
        store.annotations(KEY)


def test_a_study_that_goes_takes_its_masks_along(store):
    store.annotate(KEY, drawn())
    store.remove(KEY)
    assert not list(store.path.rglob("*.masks"))
    assert store.keys() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({View.CH2: Annotation((0,), np.zeros((1, 1, 9, 9)))}, "masks of 2CH"),
        ({View.SAX: Annotation((8,), np.zeros((3, 1, 10, 12)))}, "phase 8"),
        ({View.SAX: Annotation((0,), np.zeros((2, 1, 10, 12)))}, "masks of shape"),
        ({View.SAX: Annotation((0,), np.zeros((3, 1, 10, 12)), es=9)}, "phase 9"),
        ({View.SAX: Annotation((0,), landmarks={"apex": np.zeros((1, 1, 2))})}, "landmarks of 1 planes"),
    ],
)
def test_masks_that_do_not_lie_on_the_study_are_refused(store, changes, message):
    with pytest.raises(StoreError, match=message):
        store.annotate(KEY, changes)
    assert store.annotations(KEY) == {}


def test_a_store_open_for_reading_takes_no_masks(store):
    with pytest.raises(StoreError, match="mode='a'"):
        StudyStore(store.path).annotate(KEY, drawn())


def test_a_damaged_file_of_masks_is_an_error_and_no_empty_answer(store):
    store.annotate(KEY, drawn())
    path = next(store.path.rglob("*.masks"))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match="damaged"):
        store.annotations(KEY)


def test_an_annotation_that_contradicts_itself_is_refused():
    with pytest.raises(InputError, match="ascending"):
        Annotation((3, 1), np.zeros((1, 2, 4, 4)))
    with pytest.raises(InputError, match="masks or landmarks"):
        Annotation((0,))
    with pytest.raises(GeometryError, match="2 phases"):
        Annotation((0, 1), np.zeros((1, 3, 4, 4)))
    with pytest.raises(InputError, match="unknown structures"):
        Annotation((0,), np.zeros((1, 1, 4, 4)), ("scar",))
    with pytest.raises(InputError, match=r"hold \[3\]"):
        Annotation((0,), np.full((1, 1, 4, 4), 3), ("LV cavity",))
    with pytest.raises(InputError, match="landmark 'valve'"):
        Annotation((0,), landmarks={"valve": np.zeros((1, 1, 2))})
    with pytest.raises(InputError, match="phase 2 has no masks"):
        Annotation((0,), np.zeros((1, 1, 4, 4))).at(2)

"""Masks of a phantom cohort in its store: at ED and ES, the same whether written at once or later."""

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.cohort import annotate_cohort, make_cohort
from cardiolens.store import StudyStore
from cardiolens.study import View

SMALL = {"format": "store", "matrix": 32, "phases": 10, "sax_planes": 4, "workers": 1}


def test_masks_written_later_are_those_written_at_once_and_the_images_stay(tmp_path):
    make_cohort(tmp_path / "with", 1, 5, masks=True, **SMALL)
    make_cohort(tmp_path / "without", 1, 5, **SMALL)
    before = StudyStore(tmp_path / "without").hash()
    seen = []
    assert annotate_cohort(tmp_path / "without", lambda *at: seen.append(at)) == 1
    assert seen == [(1, 1)]
    assert annotate_cohort(tmp_path / "without") == 0
    once, later = StudyStore(tmp_path / "with"), StudyStore(tmp_path / "without")
    assert later.hash() == before
    keys = later.keys()
    assert once.annotation_hash(keys) == later.annotation_hash(keys)
    drawn = later.annotations(keys[0])
    assert set(drawn) == set(View)
    sax = drawn[View.SAX]
    assert sax.phases == tuple(sorted({sax.ed, sax.es}))
    assert (sax.at(sax.ed) == 1).sum() > (sax.at(sax.es) == 1).sum() > 0
    assert not sax.landmarks
    apex = drawn[View.CH4].points(drawn[View.CH4].ed)[0, 2]
    assert np.isfinite(apex).all()
    labels = later.labels()
    assert labels["vendor"].notna().all()
    assert labels["bmi"].between(12, 60).all()


def test_a_folder_that_is_no_phantom_store_is_refused(tmp_path):
    with pytest.raises(PhantomError, match="no truth/"):
        annotate_cohort(tmp_path)

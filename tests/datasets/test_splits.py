import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.datasets import Split, make_split
from cardiolens.datasets.splits import take_fraction
from cardiolens.errors import TrainingError

KEYS = [f"site_{patient:03d}/{scan}" for patient in range(60) for scan in range(1 + patient % 3)]
FRACTIONS = {"train": 0.5, "val": 0.25, "test": 0.25}


@given(st.integers(0, 10_000), st.randoms())
def test_no_patient_is_in_two_parts_and_none_is_lost(seed, random):
    keys = KEYS.copy()
    random.shuffle(keys)
    split = make_split(keys, FRACTIONS, seed)
    patients = [{key.split("/")[0] for key in split[part]} for part in FRACTIONS]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 60
    assert sorted(key for part in FRACTIONS for key in split[part]) == sorted(KEYS)
    assert split.hash == make_split(KEYS, FRACTIONS, seed).hash


def test_another_seed_is_another_split():
    assert make_split(KEYS, FRACTIONS, 0).hash != make_split(KEYS, FRACTIONS, 1).hash


def test_a_split_survives_its_file_and_an_edited_one_is_refused(tmp_path):
    path = tmp_path / "split.json"
    split = make_split(KEYS, FRACTIONS, 0)
    split.save(path)
    assert Split.load(path) == split
    fields = json.loads(path.read_text())
    fields["parts"]["val"].append(fields["parts"]["val"].pop(0))
    path.write_text(json.dumps(fields))
    with pytest.raises(TrainingError, match="hash"):
        Split.load(path)


def test_overlap_between_parts_is_refused():
    with pytest.raises(TrainingError, match="both 'train' and 'test'"):
        Split({"train": ("a_1/x",), "test": ("a_1/y",)})


def test_impossible_fractions_and_too_few_patients_are_refused():
    with pytest.raises(TrainingError, match="at most 1"):
        make_split(KEYS, {"train": 0.8, "test": 0.3}, 0)
    with pytest.raises(TrainingError, match="too few"):
        make_split(KEYS[:1], FRACTIONS, 0)


def test_an_unknown_part_and_unknown_studies_are_named():
    split = make_split(KEYS, FRACTIONS, 0)
    with pytest.raises(TrainingError, match="calibration"):
        _ = split["calibration"]
    with pytest.raises(TrainingError, match="not in the store"):
        split.require_known(KEYS[1:])


def test_a_smaller_share_of_the_data_is_part_of_a_larger_one():
    tenth, half = (set(take_fraction(KEYS, share, 3)) for share in (0.1, 0.5))
    assert tenth < half < set(KEYS)
    assert len({key.split("/")[0] for key in tenth}) == 6
    assert take_fraction(KEYS, 1.0, 3) == tuple(KEYS)

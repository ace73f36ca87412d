"""The paper's splits by name, and no patient in pretraining and in a held-out part."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiolens.datasets import PLANS, Split, named_split, refuse_overlap
from cardiolens.errors import TrainingError

KEYS = [f"site_{patient:03d}/{scan}" for patient in range(400) for scan in range(1 + patient % 3)]


def patients(keys):
    return {key.split("/")[0] for key in keys}


@pytest.mark.parametrize(
    ("plan", "shares"),
    [
        ("shad_pretrain", {"train": 0.5, "val": 0.25}),
        ("shad_downstream", {"train": 0.125, "val": 0.0625, "test": 0.0625}),
        ("ukb_lvef", {"train": 0.8, "val": 0.1, "test": 0.1}),
    ],
)
def test_shares_of_the_patients_are_the_papers(plan, shares):
    split = named_split(KEYS, plan, 0)
    assert {part: len(patients(keys)) / 400 for part, keys in split.parts.items()} == shares
    assert split.about["plan"] == plan and split.about["plan_version"] == PLANS[plan].version


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.randoms())
def test_pretraining_and_downstream_share_no_patient_and_lose_none(seed, random):
    shuffled = KEYS.copy()
    random.shuffle(shuffled)
    first, second = named_split(KEYS, "shad_pretrain", seed), named_split(shuffled, "shad_downstream", seed)
    refuse_overlap(first, second, seen=("train", "val"), held_out=("train", "val", "test"))
    keys = Counter(key for split in (first, second) for part in split.parts.values() for key in part)
    assert keys == Counter(KEYS)


def test_splits_of_another_seed_overlap_and_are_refused():
    first, second = named_split(KEYS, "shad_pretrain", 0), named_split(KEYS, "shad_downstream", 1)
    shared = patients(first["train"]) & patients([*second["val"], *second["test"]])
    with pytest.raises(TrainingError, match=f"{len(shared)} patients of the pretraining split's 'train'") as error:
        refuse_overlap(first, second)
    assert "--as shad_downstream" in str(error.value)


def test_another_study_of_a_patient_and_another_name_of_a_site_are_overlap_too():
    person = "abcdefgh234567ab"
    downstream = Split({"train": ("a_x/1",), "test": (f"ward_{person}/2",)})
    with pytest.raises(TrainingError, match="1 patients"):
        refuse_overlap(Split({"train": (f"clinic_{person}/1",)}), downstream)
    refuse_overlap(Split({"train": ("clinic_7/1",)}), Split({"test": ("ward_7/1",)}))  # 7 of two sites are two people


def test_downstream_training_on_pretraining_patients_is_allowed_and_held_out_parts_are_not():
    pretraining = Split({"train": ("a_1/x",), "val": ("a_2/x",)})
    refuse_overlap(pretraining, Split({"train": ("a_1/x",), "test": ("a_2/x", "a_3/x")}))
    for part in ("val", "test", "calibration"):
        with pytest.raises(TrainingError, match=part):
            refuse_overlap(pretraining, Split({"train": ("a_9/x",), part: ("a_1/y",)}))
    with pytest.raises(TrainingError, match="'val'"):
        refuse_overlap(pretraining, Split({"test": ("a_2/x",)}), seen=("train", "val"))


def test_keeping_labelled_studies_only_does_not_deal_anew():
    whole = named_split(KEYS, "shad_downstream", 3)
    only = set(KEYS[::2])
    some = named_split(KEYS, "shad_downstream", 3, only=only)
    for part in whole.parts:
        assert set(some[part]) == set(whole[part]) & only
    with pytest.raises(TrainingError, match="no study is left in"):
        named_split(KEYS, "shad_downstream", 3, only=set(whole["train"]))


def test_the_file_says_how_it_was_made_and_the_hash_is_of_the_parts(tmp_path):
    split = named_split(KEYS, "ukb_lvef", 7)
    split.save(tmp_path / "sub" / "split.json")
    loaded = Split.load(tmp_path / "sub" / "split.json")
    assert loaded == split and loaded.about == split.about and loaded.about["seed"] == 7
    assert json.loads((tmp_path / "sub" / "split.json").read_text())["hash"] == split.hash
    assert Split(split.parts).hash == split.hash


def test_an_unknown_plan_and_too_few_patients_are_errors():
    with pytest.raises(TrainingError, match="known are shad_pretrain"):
        named_split(KEYS, "shad", 0)
    with pytest.raises(TrainingError, match="too few"):
        named_split(KEYS[:3], "shad_downstream", 0)

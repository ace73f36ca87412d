"""Weights that learned from patients who are held out: compared where the split is at hand, refused or allowed."""

import json
import logging

import pytest

from cardiolens.datasets.splits import Split
from cardiolens.errors import TrainingError
from cardiolens.training.overlap import refuse_seen


def split(**parts):
    return Split({part: tuple(f"site_{person}/study" for person in people) for part, people in parts.items()})


PRETRAINING = split(train="abc", val="de")


@pytest.fixture
def run(tmp_path):
    """A pretraining run folder with its split and an (empty) model folder and checkpoint."""
    for folder in ("final", "checkpoints/epoch_0010"):
        (tmp_path / "pretrain" / folder).mkdir(parents=True)
    PRETRAINING.save(tmp_path / "pretrain" / "split.json")
    (tmp_path / "new").mkdir()
    return tmp_path / "pretrain"


def card(of=PRETRAINING, data="store", **more):
    return {"recipe": "pretrain", "split_hash": of.hash, "data_hash": data, **more}


def check(run, downstream, provenance=None, weights="final", named=None):
    weights = None if weights is None else str(run / weights)
    return refuse_seen(
        provenance or card(),
        downstream,
        data_hash="store",
        weights=weights,
        named=named,
        keep=run.parent / "new",
    )


@pytest.mark.parametrize("weights", ["final", "checkpoints/epoch_0010"])
def test_a_split_of_other_patients_of_the_same_store_is_allowed(run, weights):
    (words,) = check(run, split(train="fgh", val="i", calibration="j", test="de"), weights=weights)
    assert "none of its training patients is held out" in words


def test_patients_of_pretraining_may_train_again(run):
    check(run, split(train="abcf", val="g", test="h"))


@pytest.mark.parametrize("part", ["val", "calibration", "test"])
def test_a_held_out_patient_of_pretraining_is_refused(run, part):
    with pytest.raises(TrainingError, match=rf"1 patients .*first site_b/study in '{part}'"):
        check(run, split(**{"train": "fgh", part: "ib"}))


def test_the_split_of_the_pretraining_itself_is_allowed_without_its_file(run):
    (words,) = check(run, PRETRAINING, weights=None)
    assert "the same" in words


def test_another_split_of_the_same_store_whose_file_is_not_at_hand_is_refused_until_it_is_named(run, tmp_path):
    (run / "split.json").rename(tmp_path / "elsewhere.json")
    downstream = split(train="fgh", test="i")
    with pytest.raises(TrainingError, match=r"another split of this store.*pretrain_split"):
        check(run, downstream)
    check(run, downstream, named=str(tmp_path / "elsewhere.json"))
    with pytest.raises(TrainingError, match="2 patients"):
        check(run, split(train="fgh", test="iab"), named=str(tmp_path / "elsewhere.json"))


def test_of_another_store_it_is_said_that_nothing_was_compared(run, caplog):
    with caplog.at_level(logging.WARNING):
        (words,) = check(run, split(train="fgh", test="i"), card(data="another"), weights=None)
    assert "not compared" in words
    assert "was not checked" in caplog.text


def test_the_same_patient_in_another_store_is_refused_where_the_file_is_at_hand(run):
    with pytest.raises(TrainingError, match="1 patients"):
        check(run, split(train="fgh", test="a"), card(data="another"))


def test_a_named_split_that_is_not_that_of_the_weights_is_refused(run, tmp_path):
    split(train="xyz").save(tmp_path / "other.json")
    with pytest.raises(TrainingError, match=r"pretrain_split: .*the weights learned from the split"):
        check(run, split(train="fgh", test="i"), named=str(tmp_path / "other.json"))


def test_published_weights_are_compared_with_a_named_split_alone(run):
    published = {"file": "cmr.ckpt", "layout": "the authors'"}
    assert check(run, split(train="f", test="i"), published, weights=None) == []
    with pytest.raises(TrainingError, match="1 patients"):
        check(run, split(train="f", test="a"), published, weights=None, named=str(run / "split.json"))


def test_every_run_that_the_weights_come_from_counts_and_leaves_its_split(run, tmp_path):
    second = split(train="fg", val="h", test="i")
    check(run, second)
    second.save(tmp_path / "new" / "split.json")
    (tmp_path / "new" / "final").mkdir()
    (tmp_path / "third").mkdir()
    chain = card(second, start=card())

    def third(held_out):
        return refuse_seen(
            chain,
            split(train="k", test=held_out),
            data_hash="store",
            weights=str(tmp_path / "new" / "final"),
            named=None,
            keep=tmp_path / "third",
        )

    assert len(third("lde")) == 2
    for person in "fa":
        with pytest.raises(TrainingError, match="1 patients"):
            third(person)


def test_a_split_beside_the_weights_that_was_edited_is_refused(run):
    fields = json.loads((run / "split.json").read_text())
    fields["parts"]["train"].pop()
    (run / "split.json").write_text(json.dumps(fields))
    with pytest.raises(TrainingError, match="does not fit its hash"):
        check(run, split(train="fgh", test="i"))

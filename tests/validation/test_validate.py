"""`cardiolens validate` from a store and a model folder to files and page."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner
from validation_cases import ONLY_3CH, N, archive_study, save_network

from cardiolens.cli import build_app
from cardiolens.datasets.splits import Split, make_split
from cardiolens.errors import CheckpointError, ReadError, ReportError, TrainingError
from cardiolens.evaluation import figures
from cardiolens.hub import load_model, save_model
from cardiolens.inference import Predictor
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.store import StudyStore
from cardiolens.study import Study
from cardiolens.training.features import ClipTable
from cardiolens.validation import Settings, validate
from cardiolens.validation.readings import Head

QUICK = Settings(n_resamples=100, projection="pca", minimum=5)


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Drawing takes longer than all else; `test_validate_page` draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda drawn, folder: [])
        patch.setattr(figures.Drawn, "png", b"")
        yield


@pytest.fixture(scope="module")
def found(no_pictures, archive, network, tmp_path_factory):
    return validate(str(network), archive, tmp_path_factory.mktemp("out") / "v", against="random", settings=QUICK)


def test_predictions_are_those_of_the_model_on_every_study_that_has_a_cine(found, archive, network):
    rows = pd.read_csv(found.case.out / "tables" / "predictions.csv", index_col="key")
    assert len(rows) == N
    predictor = Predictor(load_model(network))
    for key in archive.keys()[1:6]:
        assert rows.loc[key, "lvef"] == pytest.approx(predictor(archive.read(key)).lvef_pct, abs=1e-3)


def test_a_lone_3ch_is_read_and_its_attention_left_out(found):
    clips = pd.read_csv(found.case.out / "tables" / "attention_clips.csv")
    lone = clips[clips["key"].str.contains(f"a{ONLY_3CH:02d}")]
    assert lone["view"].tolist() == ["3CH"]
    assert lone["attention_lvef"].tolist() == [1.0]
    by_view = pd.read_csv(found.case.out / "tables" / "attention_by_view.csv")
    assert by_view.set_index(["head", "view"]).loc[("lvef", "3CH"), "n"] == 0


def test_flow_ends_with_the_study_without_a_cine_and_names_it(found):
    flow = pd.read_csv(found.case.out / "tables" / "flow.csv").set_index("step")["n"]
    assert (flow["in the store"], flow["with a cine"], flow["with true and predicted LVEF"]) == (N + 1, N, N)
    excluded = pd.read_csv(found.case.out / "tables" / "exclusions.csv")
    assert excluded["key"].tolist() == ["north_empty/a99"]


def test_the_summary_names_every_file_and_where_it_came_from(found):
    summary = json.loads((found.case.out / "validation.json").read_text())
    assert all((found.case.out / name).is_file() for name in summary["files"])
    assert {"tables/conditions.csv", "tables/subgroups.csv", "tables/maps.csv"} <= set(summary["files"])
    assert summary["provenance"]["store hash"] == found.case.store.hash()
    assert summary["provenance"]["model sha256"] == found.case.reader.sha256


def test_a_second_call_reads_no_pixel_and_gives_the_same_tables(found, archive, network, monkeypatch):
    before = (found.case.out / "tables" / "conditions.csv").read_bytes()
    monkeypatch.setattr(DualEncoder, "features", lambda *_: pytest.fail("the encoder ran again"))
    validate(str(network), archive, found.case.out, against="random", settings=QUICK)
    assert (found.case.out / "tables" / "conditions.csv").read_bytes() == before


def test_a_study_that_gives_nan_is_refused_by_name_and_the_others_stand(archive, network, found, monkeypatch, tmp_path):
    original, bad = ClipTable.compute, archive.keys()[3]

    def compute(self, keys, title):
        rows = original(self, keys, title)
        return {
            key: {place: row * np.nan for place, row in rows[key].items()} if key == bad else rows[key] for key in keys
        }

    monkeypatch.setattr(ClipTable, "compute", compute)
    (tmp_path / "features").symlink_to(found.case.out / "features")
    again = validate(str(network), archive, tmp_path, settings=QUICK)
    assert [one.key for one in again.case.readings.refused] == [bad]
    assert "NaN" in again.case.readings.refused[0].reason
    assert len(again.case.readings.keys) == N - 1


def test_one_study_alone_gives_a_page(tmp_path, network):
    store = StudyStore(tmp_path / "store", mode="a")
    key = store.write(archive_study(0), key="north_p0/a")
    store.write_labels(pd.DataFrame({"lvef": {key: 50.0}, "amyloidosis": {key: 1}}).rename_axis("key"))
    found = validate(str(network), store, tmp_path / "out", against="random", settings=QUICK)
    assert found.page.is_file()
    assert "one class" in " ".join(note for section in found.sections for note in section.notes)


def test_a_baseline_with_other_conditions_is_compared_on_the_common_ones(archive, network, found, tmp_path):
    other = save_network(tmp_path / "other", ("amyloidosis", "pericarditis"), lvef=False, seed=1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "features").symlink_to(found.case.out / "features")
    again = validate(str(network), archive, tmp_path / "out", against=str(other), settings=QUICK)
    rows = pd.read_csv(tmp_path / "out" / "tables" / "conditions.csv").set_index("condition")
    assert rows.loc["amyloidosis", "p"] > 0
    assert np.isnan(rows.loc["myocarditis", "p"])
    notes = " ".join(note for section in again.sections for note in section.notes)
    assert "has no LVEF to compare with" in notes


def test_patients_that_the_model_learned_from_are_refused_and_held_out_ones_measured(archive, network, found, tmp_path):
    keys = [key for key in archive if "empty" not in key]
    split, other = (make_split(keys, {"train": 0.5, "test": 0.5}, seed=seed) for seed in (0, 1))
    split.save(tmp_path / "split.json")
    model = load_model(network)
    model.card.provenance = {"data_hash": archive.hash(), "split_hash": split.hash, "recipe": "lvef"}
    folder = str(save_model(model, tmp_path / "elsewhere" / "deep" / "er" / "learned"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "features").symlink_to(found.case.out / "features")
    with pytest.raises(CheckpointError, match="part of this very store"):
        validate(folder, archive, out, settings=QUICK)
    run = str(save_model(model, tmp_path / "final"))
    with pytest.raises(CheckpointError, match="learned from some of these patients"):
        validate(run, archive, out, settings=QUICK)
    other.save(tmp_path / "other.json")
    with pytest.raises(CheckpointError, match="learned from some of these patients"):
        validate(run, archive, out, split=tmp_path / "other.json", settings=QUICK)
    again = validate(folder, archive, out, split=tmp_path / "split.json", settings=QUICK)
    assert set(again.case.readings.keys) == set(split["test"])
    assert "none of its training patients" in again.provenance["seen before"]
    with pytest.raises(TrainingError, match="no part 'val'"):
        validate(folder, archive, out, split=tmp_path / "split.json", part="val", settings=QUICK)
    warned = validate(run, archive, out, include_seen=True, settings=QUICK)
    assert "not a validation" in warned.page.read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,lvef\na,50\n", "needs a column `key`"),
        ("key,lvef\na,50\na,51\n", "more than one row"),
        ("key,amyloidosis\na,2\n", "0, 1 or empty"),
        ("key,lvef\na,high\n", "percentage"),
        ("key,lvef\na,0.55\nb,550\n", "percentage"),
    ],
)
def test_labels_that_are_none_are_refused_before_anything_is_read(archive, network, tmp_path, text, says):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ReportError, match=says):
        validate(str(network), archive, tmp_path / "out", labels=tmp_path / "labels.csv", settings=QUICK)
    assert not (tmp_path / "out" / "features").exists()


def test_a_split_of_another_store_is_refused(archive, network, tmp_path):
    Split({"test": ("other_p/a",)}).save(tmp_path / "split.json")
    with pytest.raises(TrainingError, match="not in"):
        validate(str(network), archive, tmp_path / "out", split=tmp_path / "split.json", settings=QUICK)


def test_a_store_of_nothing_to_read_is_an_error(network, tmp_path):
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(Study(()), key="north_p/a")
    with pytest.raises(ReadError, match="no study with a cine"):
        validate(str(network), store, tmp_path / "out", settings=QUICK)


def test_the_command_says_where_the_page_is_and_fails_in_words(archive, network, found):
    runner = CliRunner()
    arguments = ["validate", str(network), str(archive.path), "--out", str(found.case.out), "--maps", "pca"]
    done = runner.invoke(build_app(), [*arguments, "--resamples", "100"])
    assert done.exit_code == 0, done.output
    assert "index.html" in done.output
    assert f"{N} studies read" in done.output


def test_a_sweep_gives_the_error_by_epoch(archive, network, found, tmp_path):
    for epoch, seed in ((10, 0), (20, 3)):
        save_network(tmp_path / "sweep" / f"epoch_{epoch:04d}" / "final", ("amyloidosis",), seed=seed)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "features").symlink_to(found.case.out / "features")
    validate(str(network), archive, tmp_path / "out", checkpoints=tmp_path / "sweep", settings=QUICK)
    rows = pd.read_csv(tmp_path / "out" / "tables" / "checkpoints.csv").set_index(["epoch", "figure"])
    mae = pd.read_csv(found.case.out / "tables" / "lvef_metrics.csv").query("subset == 'all'").set_index("metric")
    row = rows.loc[(10, "MAE of LVEF, %")]
    assert row.low < row.value < row.high
    assert row.value != rows.loc[(20, "MAE of LVEF, %"), "value"]
    assert mae.loc["mae", "n"] == row.n == N
    with pytest.raises(CheckpointError, match="finetune RECIPE --sweep"):
        validate(str(network), archive, tmp_path / "out", checkpoints=tmp_path, settings=QUICK)


def test_calibrated_probabilities_rank_alike_and_the_threshold_cuts_the_same_studies():
    logits = np.linspace(-4, 4, 41)
    head = Head("diagnoses", "diagnoses", "classification", ("a", "b"), calibration={"a": (0.5, -2.0, 0.6)})
    both = np.array([head.probabilities([value, value]) for value in logits])
    raw = 1 / (1 + np.exp(-logits))
    assert both[:, 0] == pytest.approx(1 / (1 + np.exp(-(0.5 * logits - 2))))
    assert both[:, 1] == pytest.approx(raw)
    assert (np.diff(both[:, 0]) > 0).all()
    assert ((both[:, 0] >= head.threshold("a")) == (raw >= 0.6)).all()
    assert head.threshold("b") is None

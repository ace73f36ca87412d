"""`predict` with a segmenter beside the model: columns, page, resuming, and studies that cannot be drawn."""

import csv
import json
from dataclasses import replace

import pytest

from cardiolens.errors import CheckpointError, ReadError
from cardiolens.hub import load_model
from cardiolens.prediction import CONTOURS, predict
from cardiolens.store import StudyStore
from drawn_phantom import Oracle, phantom


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for tests, long enough")


@pytest.fixture(scope="module")
def model(predictor_folder):
    return load_model(predictor_folder)


@pytest.fixture
def store(tmp_path):
    made = StudyStore(tmp_path / "store", mode="a")
    made.write(phantom(), key="site_p1/a1")
    made.write(replace(phantom(), cines=(phantom().cine("4CH"),)), key="site_p2/a2")
    return made.path


class Failing:
    def __call__(self, study, views=None, *, progress=None):
        raise ReadError("all pixels are the same")


def test_contours_stand_beside_the_prediction_in_table_and_page(store, model, tmp_path):
    run = predict([store], model, tmp_path / "out", segmenter=Oracle())
    first, second = run.rows
    assert first["contour_lvef"] == pytest.approx(58, abs=6)
    assert 1 <= first["contour_es_phase_from_1"] <= 9
    assert [second[name] for name in CONTOURS] == [None] * len(CONTOURS)
    assert "No contours: no short-axis stack" in second["notes"]
    page = (tmp_path / "out" / first["page"]).read_text()
    assert 'id="contours-title"' in page
    assert "that of the video model" in page
    assert 'id="contours-title"' not in (tmp_path / "out" / second["page"]).read_text()
    (row, _) = csv.DictReader((tmp_path / "out" / "predictions.csv").open(newline=""))
    assert float(row["contour_lvef"]) == first["contour_lvef"]


def test_a_study_that_cannot_be_drawn_keeps_its_prediction(store, model, tmp_path):
    run = predict([store], model, tmp_path / "out", segmenter=Failing())
    assert run.failed == ()
    assert run.rows[0]["lvef"] is not None
    assert "all pixels are the same" in run.rows[0]["notes"]


def test_rows_with_and_without_contours_do_not_mix(store, model, tmp_path):
    predict([store], model, tmp_path / "out", segmenter=Oracle())
    with pytest.raises(CheckpointError, match="--no-segment"):
        predict([store], model, tmp_path / "out")
    again = predict([store], model, tmp_path / "out", segmenter=Oracle())
    assert again.reused == 2
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["segmenter"]["model"] == "Oracle"

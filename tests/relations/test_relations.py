"""The verbs `associate` and `survive` on a table: files, reasons, provenance."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cardiolens.cli import build_app
from cardiolens.errors import ReadError, StatsError
from cardiolens.relations import associate_table, read_source, survive_table

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    rng = np.random.default_rng(4)
    n = 600
    age, sex, sick = rng.normal(60, 8, n), rng.choice(["F", "M"], n), rng.choice(["no", "yes"], n, p=[0.7, 0.3])
    lvef = 60 - 2.0 * (sick == "yes") - 0.05 * (age - 60) - 2 * (sex == "M") + rng.normal(0, 5, n)
    years = rng.exponential(10 * np.exp(0.05 * (lvef - 60)))
    frame = pd.DataFrame(
        {
            "key": np.arange(n), "lvef_pct": lvef, "age": age.round(1).astype(object), "sex": sex, "sick": sick,
            "years": np.minimum(years, 8.0).clip(0.01), "death": np.where(years < 8, "yes", "no"),
            "centre": "one",
        }
    )  # fmt: skip
    frame.loc[0, "age"] = ""
    frame.loc[1, "age"] = "unknown"
    path = tmp_path_factory.mktemp("relations") / "people <1>.csv"
    frame.to_csv(path, index=False)
    return path


def _run(*arguments: object):
    return CliRunner().invoke(build_app(), [str(a) for a in arguments], catch_exceptions=False)


def test_associate_writes_its_files_and_says_what_it_left_out(table, tmp_path) -> None:
    done = _run("associate", table, "--outcome", "lvef_pct", "--exposure", "sick", "--exposure", "centre",
                "--adjust", "age,sex", "--reference", "sick=no", "--disparity", "sex=F", "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "age is not a number: 1" in done.output
    assert "one group only" in done.output
    found = pd.read_csv(tmp_path / "associations.csv")
    assert found["term"].tolist() == ["sick: yes"]
    assert found["low"][0] < -2.0 < found["high"][0]
    assert found["n"][0] == 598
    assert (tmp_path / "forest.png").read_bytes().startswith(PNG)
    assert len(pd.read_csv(tmp_path / "disparity.csv")) == 5
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["sha256"]) == 64
    assert results["options"]["adjust"] == ["age", "sex"]
    assert "centre" in next(iter(results["not_fitted"]))
    page = (tmp_path / "index.html").read_text()
    assert "not a medical device" in page
    assert "people &lt;1&gt;.csv" in page
    assert "<1>" not in page
    assert "http" not in page.replace("data:image", "")


def test_the_same_table_gives_the_same_files(table, tmp_path) -> None:
    for name in ("a", "b"):
        _run("associate", table, "--outcome", "lvef_pct", "--exposure", "sick", "--out", tmp_path / name)
    for file in ("associations.csv", "results.json", "forest.png", "index.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_survive_writes_models_and_curves(table, tmp_path) -> None:
    done = _run("survive", table, "--time", "years", "--event", "death", "--exposure", "lvef_pct",
                "--adjust", "age,sex", "--horizon", "5", "--cut", "55", "--cut", "60", "--out", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    models = pd.read_csv(tmp_path / "cox.csv")
    assert models["horizon"].tolist()[1] == 5
    assert (models["low"] < np.exp(-0.05)).all()
    assert (models["high"] > np.exp(-0.05)).all()
    curves = pd.read_csv(tmp_path / "kaplan_meier.csv")
    assert curves["group"].unique().tolist() == ["lvef_pct < 55", "lvef_pct 55 to 60", "lvef_pct >= 60"]
    for name in ("forest.png", "kaplan_meier.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert "no age: 1" in (tmp_path / "index.html").read_text()


def test_missing_columns_and_tables_are_named(table, tmp_path) -> None:
    source = read_source(table)
    with pytest.raises(StatsError, match="no column 'weight'; it has 'key', 'lvef_pct'"):
        associate_table(source, outcomes=["lvef_pct"], exposures=["sick"], adjust=["weight"])
    with pytest.raises(StatsError, match="no model could be fitted: lvef_pct by centre"):
        associate_table(source, outcomes=["lvef_pct"], exposures=["centre"])
    with pytest.raises(StatsError, match="must be 0 or 1"):
        survive_table(source, time="years", event="sex", exposures=["lvef_pct"])
    with pytest.raises(ReadError, match="no such file"):
        read_source(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ReadError, match="the file is empty"):
        read_source(tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("a,b\n")
    with pytest.raises(StatsError, match="no rows"):
        read_source(tmp_path / "head.csv")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(StatsError, match="more than once"):
        read_source(tmp_path / "twice.csv")
    assert _run("associate", table, "--outcome", "lvef_pct", "--exposure", "sick", "--reference", "sick",
                "--out", tmp_path / "x").exit_code == 2  # fmt: skip


def test_semicolons_and_tabs_are_read(tmp_path) -> None:
    for mark in ";\t":
        path = tmp_path / "table.csv"
        path.write_text(f"a{mark}b\n1{mark}2\n")
        assert read_source(path).frame.to_dict("list") == {"a": ["1"], "b": ["2"]}

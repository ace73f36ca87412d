"""`cardiolens echo`: a folder of loops to a table and pages; resumes, and repeats no name."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result
from us_factory import FPS, WriteDicom

from cardiolens.cli import build_app
from cardiolens.echo.run import FIELDS, read_echoes
from cardiolens.errors import CheckpointError, ReadError
from cardiolens.hub import load_model, save_model
from cardiolens.phantom.echo.video import to_avi


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a video network with random weights that says it learned from the phantom."""
    torch.manual_seed(0)
    made = load_model("echoai-ef-tiny")
    made.card.provenance["phantom"] = True
    return save_model(made, tmp_path_factory.mktemp("model") / "final")


@pytest.fixture
def folder(tmp_path: Path, frames: np.ndarray, write_dicom: WriteDicom) -> Path:
    loops = tmp_path / "Meier_Erna"
    loops.mkdir()
    write_dicom(frames, name="Meier_Erna/Meier_rest.dcm")
    write_dicom(frames[:20], name="Meier_Erna/Meier_short.dcm")
    write_dicom(frames[:1], name="Meier_Erna/Meier_still.dcm")
    (loops / "Meier_AP4.avi").write_bytes(to_avi(frames, FPS))
    (loops / "Meier_cut.avi").write_bytes(to_avi(frames, FPS)[:20000])
    (loops / "notes.txt").write_text("Meier")
    return loops


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), ["echo", *map(str, arguments)])


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    """By the file's stem."""
    with (out / "sources.csv").open() as file:
        named = {row["key"]: Path(row["file"]).stem for row in csv.DictReader(file)}
    with (out / "echo.csv").open() as file:
        return {named[row["key"]]: row for row in csv.DictReader(file)}


def test_a_folder_becomes_a_table_and_a_page_a_loop(folder: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(folder, "--model", model, "--out", out)
    assert result.exit_code == 0 and "2 of 5 loops read" in result.output
    assert "not a medical device" in result.output and "OUT OF DOMAIN" in result.output
    rows = rows_of(out)
    reasons = {"Meier_short": "too_short", "Meier_still": "still", "Meier_cut": "unreadable"}
    assert {name: row["refused"] for name, row in rows.items() if row["refused"]} == reasons
    for name in ("Meier_rest", "Meier_AP4"):
        assert float(rows[name]["ef"]) and rows[name]["by_beats"] == "True" and int(rows[name]["clips"]) >= 2
    assert rows["Meier_AP4"]["view_checked"] == "True" and rows["Meier_rest"]["view_checked"] == "False"
    assert rows["Meier_rest"]["out_of_domain"] == "True"  # a scanner's loop, a model of the phantom
    for row in rows.values():
        page = (out / "loops" / f"{row['key']}.html").read_text()
        assert "not a medical device" in page and (row["refused"] in page)
        assert (out / "loops" / f"{row['key']}.png").exists() == bool(row["ef"] or row["refused"] == "too_short")


def test_nothing_but_the_list_of_sources_names_a_patient(folder: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(folder, "--model", model, "--out", out)
    written = [path for path in out.rglob("*") if path.is_file() and path.name != "sources.csv"]
    assert len(written) > 8
    for path in written:
        content = re.sub(rb"base64,[A-Za-z0-9+/=]+", b"", path.read_bytes())  # pictures spell anything by chance
        assert not any(word in content for word in (b"Meier", b"Erna", b"4711")), path
        assert "Meier" not in path.name


def test_a_second_run_reads_nothing_again_and_finishes_what_is_missing(
    folder: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(folder, "--model", model, "--out", out)
    before = {path: path.stat().st_mtime_ns for path in (out / "loops").iterdir()}
    table = (out / "echo.csv").read_bytes()
    gone = next(iter((out / "loops").glob("*.json")))
    gone.unlink()
    assert run(folder, "--model", model, "--out", out).exit_code == 0
    assert (out / "echo.csv").read_bytes() == table
    after = {path for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert {path.stem for path in set(before) - after} == {gone.stem}


def test_a_loop_refused_for_its_size_is_read_once_more_is_allowed(folder: Path, tmp_path: Path) -> None:
    loop, out = folder / "Meier_rest.dcm", tmp_path / "out"
    assert run(loop, "--out", out, "--max-pixels", 1000).exit_code == 1
    assert rows_of(out)["Meier_rest"]["refused"] == "unreadable"
    assert run(loop, "--out", out).exit_code == 0
    assert rows_of(out)["Meier_rest"]["refused"] == ""


def test_a_file_that_cannot_be_opened_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def guarded(path: Path, *arguments: Any, **settings: Any) -> Any:
        if path.name == "Meier_rest.dcm":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **settings)

    monkeypatch.setattr(Path, "open", guarded)
    with pytest.raises(ReadError, match=r"Meier_rest\.dcm: cannot be opened \(Permission denied\)"):
        read_echoes([folder], tmp_path / "out", None)


def test_without_a_model_loops_are_checked_and_cleaned(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--out", tmp_path / "out")
    assert result.exit_code == 0 and "passed the checks" in result.output and "EF" not in result.output
    rows = rows_of(tmp_path / "out")
    assert rows["Meier_rest"]["ef"] == "" and rows["Meier_short"]["refused"] == ""


def test_a_folder_of_another_model_or_of_other_things_is_left_alone(folder: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(folder, "--out", out).exit_code == 0
    from cardiolens.echo.ef import ModelReader

    with pytest.raises(CheckpointError, match="another model"):
        read_echoes([folder], out, ModelReader(load_model(model)))
    with pytest.raises(ReadError, match="not empty"):
        read_echoes([folder], folder, None)
    with pytest.raises(ReadError, match="nothing of that name"):
        read_echoes([tmp_path / "gone"], tmp_path / "new", None)


def test_a_copy_of_a_file_is_read_once_and_both_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "copy.dcm").write_bytes((folder / "Meier_rest.dcm").read_bytes())
    done = read_echoes([folder], tmp_path / "out", None)
    with (tmp_path / "out" / "sources.csv").open() as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    assert len(done.rows) == 5 and len(keys) == 6 and len(set(keys)) == 5


def test_when_nothing_can_be_read_the_reasons_are_said(folder: Path, tmp_path: Path) -> None:
    result = run(folder / "Meier_still.dcm", "--out", tmp_path / "out")
    assert result.exit_code == 1 and "still: one image" in result.output
    fields = json.loads((tmp_path / "out" / "echo.json").read_text())
    assert fields["use"].startswith("research use only") and set(fields["loops"][0]) == set(FIELDS)

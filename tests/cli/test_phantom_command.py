"""`cardiolens phantom`: what a user sees, and the exit codes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cardiolens.cli import main

TINY = ["--matrix", "32", "--phases", "8", "--planes", "3", "--workers", "1"]


def run(*arguments: str) -> int:
    """Exit code of the command in this process."""
    try:
        main(["phantom", *arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def test_a_patient_is_made_and_the_tables_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p"
    assert run("--out", str(out), "--n", "1", "--seed", "7", "--style", "ge", "--no-masks", *TINY) == 0
    said = capsys.readouterr().out
    assert "1 studies" not in said and "1 study in" in said
    assert str(out / "truth.csv") in said
    with (out / "truth.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (out / row["study"] / "dicom").is_dir()
    assert run("--out", str(out), "--n", "1", "--seed", "7", "--style", "ge", "--no-masks", *TINY) == 0
    assert "0 made now, 1 there before" in capsys.readouterr().out


def test_another_cohort_and_an_unknown_condition_end_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", str(tmp_path / "p"), "--n", "1", "--no-masks", *TINY) == 0
    capsys.readouterr()
    assert run("--out", str(tmp_path / "p"), "--n", "1", "--no-masks", "--seed", "1", *TINY) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("cardiolens: ") and "another cohort: seed 0 (asked: 1)" in said and "\n" not in said
    assert run("--out", str(tmp_path / "q"), "--condition", "gout", *TINY) == 1
    assert "known are amyloidosis, aortic dilation" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_misuse_is_exit_code_two(tmp_path: Path) -> None:
    assert run("--n", "1") == 2
    assert run("--out", str(tmp_path / "x"), "--style", "toshiba") == 2


def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom cardiolens.cli import main\n"
        "try:\n    main(['phantom', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'torch', 'pydicom', 'h5py', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.strip() == "[]"
    for piece in ("--seed", "cardiolens phantom --out patients --n 3", "truth.csv", "nobody was scanned", "enhanced"):
        assert piece in done.stdout


def test_a_public_data_set_s_layout_is_written_and_options_of_no_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--out", str(tmp_path / "x"), "--format", "acdc", "--site", "biobank", "--crop", "200") == 1
    assert "--site, --crop: of no effect on --format acdc" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert run("--out", str(tmp_path / "echo"), "--format", "echonet", "--n", "1", "--condition", "normal") == 0
    assert "1 made now" in capsys.readouterr().out
    with (tmp_path / "echo" / "FileList.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (tmp_path / "echo" / "Videos" / f"{row['FileName']}.avi").is_file()


def test_workers_are_passed_on_to_the_writer_of_a_public_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cardiolens.phantom import exports

    asked: list[int | None] = []

    def small(name: str, out: Path, n: int, seed: int, *, workers: int | None, progress: object) -> exports.Export:
        asked.append(workers)
        return exports.Export(out, out / "root", ("a", "b"), 1, "0" * 64)

    monkeypatch.setattr(exports, "export", small)
    assert run("--out", str(tmp_path / "x"), "--format", "acdc", "--n", "2", "--workers", "3") == 0
    assert run("--out", str(tmp_path / "x"), "--format", "acdc", "--n", "2") == 0
    assert asked == [3, None]
    assert "2 cases in" in capsys.readouterr().out

"""`cardiolens predict`: what it prints, and its exit code."""

import json

import pytest

from cardiolens.cli import main
from cardiolens.store import StudyStore
from synthetic_studies import beating_study


@pytest.fixture
def store(tmp_path):
    made = StudyStore(tmp_path / "store", mode="a")
    for i in range(2):
        made.write(beating_study(400 + i, sax=1, patient=f"p{i}", accession=f"a{i}"), key=f"site_p{i}/a{i}")
    return made.path


def run(*arguments):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as done:
        main(["predict", *map(str, arguments)])
    return done.value.code or 0


def test_it_prints_one_line_a_study_and_where_to_look(store, predictor_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(store, "--model", predictor_folder, "--out", out) == 0
    printed = capsys.readouterr().out
    rows = json.loads((out / "predictions.json").read_text())["studies"]
    for row in rows:
        (line,) = [line for line in printed.splitlines() if row["key"] in line]
        assert f"{row['lvef']:.0f} %" in line
        assert f"{row['lvef_low']:.0f} to {row['lvef_high']:.0f} %" in line
    assert "2 read (0 of them before), 0 failed" in printed
    assert "Not a medical device" in printed
    assert str(out / "predictions.csv") in printed
    assert run(store, "--model", predictor_folder, "--out", out) == 0
    assert "2 read (2 of them before)" in capsys.readouterr().out


def test_out_of_domain_no_condition_is_named_as_flagged(store, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(store, "--model", "shad-mvit-tiny:phantom", "--no-segment", "--out", out) == 0
    printed = capsys.readouterr().out
    rows = json.loads((out / "predictions.json").read_text())["studies"]
    names = {name for row in rows for name in row["flagged"].split()}
    assert names and all(row["out_of_domain"] for row in rows)
    assert "NO: do not rely on it" in printed
    assert not [name for name in names if name.split("_")[0] in printed]


def test_a_failure_is_named_and_the_exit_code_is_1(store, predictor_folder, tmp_path, capsys):
    (store / "site_p1" / "a1.h5").write_bytes(b"no study")
    assert run(store, "--model", predictor_folder, "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "site_p0/a0" in captured.out
    assert "not read: site_p1/a1: " in captured.err
    assert "Traceback" not in captured.err


def test_what_cannot_be_done_is_one_message_and_exit_code_1(store, predictor_folder, tmp_path, capsys):
    cases = [
        ([tmp_path / "nowhere", "--model", predictor_folder], "nothing of that name"),
        ([store, "--model", "shad-mvit-b16"], "random weights"),
        ([store, "--model", "no-such-model"], "no-such-model"),
    ]
    for arguments, words in cases:
        assert run(*arguments, "--out", tmp_path / "out") == 1
        captured = capsys.readouterr()
        assert words in captured.err
        assert "Traceback" not in captured.err
        assert not (tmp_path / "out").exists()


def test_a_plain_name_stands_for_its_only_weights():
    from cardiolens.cli.predict import _with_tag

    assert _with_tag("shad-mvit-tiny") == "shad-mvit-tiny:phantom"
    assert _with_tag("shad-mvit-b16") == "shad-mvit-b16"
    assert _with_tag("some/folder") == "some/folder"

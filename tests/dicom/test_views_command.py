"""`cardiolens views` on the command line."""

import json

import dicom_factory as make
import pytest

from cardiolens.cli import main

pytestmark = pytest.mark.usefixtures("plain_views")


def run(*args):
    with pytest.raises(SystemExit) as stopped:
        main(["views", *map(str, args)])
    return stopped.value.code


def test_table_shows_views_and_reasons(tmp_path, capsys):
    make.save(make.stack(3, 10, SeriesDescription="cine [SAX]"), tmp_path / "a b")
    make.save([make.image(p, 0, SeriesNumber=1, SeriesDescription="scout") for p in range(4)], tmp_path / "c")
    assert run(tmp_path) == 0
    out = capsys.readouterr().out
    assert "cine [SAX]" in out
    assert "3 × 10" in out
    assert "no time axis" in out


def test_json_has_series_notes_and_study(tmp_path, capsys):
    make.save(make.stack(3, 10), tmp_path)
    (tmp_path / "readme").write_text("hello")
    assert run(tmp_path, "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert table["series"][0]["view"] == "SAX"
    assert table["notes"] == ["1 files ignored: not DICOM"]
    assert table["study"]["accession"] == "A1"


def test_two_studies_are_both_listed(tmp_path, capsys):
    make.save(make.stack(3, 10), tmp_path / "a")
    make.save(make.stack(3, 10, StudyInstanceUID="1.2.3"), tmp_path / "b")
    assert run(tmp_path, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["studies"]) == 2


def test_no_dicom_is_one_message_and_exit_1(tmp_path, capsys):
    (tmp_path / "readme").write_text("hello")
    assert run(tmp_path) == 1
    assert "no DICOM images" in capsys.readouterr().err


def test_no_cine_shows_the_table_and_exits_1(tmp_path, capsys):
    make.save([make.image(p, 0) for p in range(4)], tmp_path)
    assert run(tmp_path) == 1
    captured = capsys.readouterr()
    assert "refused" in captured.out
    assert "no cine among the 1 series" in captured.err

import csv

import pytest

from cardiolens.cli import main


def test_the_demonstration_goes_from_dicom_to_a_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for this test alone")
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--out", str(tmp_path / "demo")])
    assert caught.value.code in (0, None)
    printed = capsys.readouterr().out
    for verb in ("phantom", "views", "ingest", "predict"):
        assert f"cardiolens {verb} " in printed
    (page,) = (tmp_path / "demo" / "report").glob("*.html")
    assert f"Open {page}" in printed
    with (tmp_path / "demo" / "report" / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 <= float(row["lvef_low"]) < float(row["lvef"]) < float(row["lvef_high"]) <= 100
    assert row["out_of_domain"] == "False"


def test_a_folder_of_other_things_is_not_touched(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--out", str(tmp_path)])
    assert caught.value.code == 1
    assert "not made by a demonstration" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "mine"

"""`cardiolens label`: tables in and out, the store, identifiers, comparison, and misuse."""

import csv
import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from cardiolens.cli import main
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View
from cardiolens.text.conditions import CONDITIONS

REPORTS = {
    "A1": "FINDINGS: The left atrium is severely dilated. No thrombus.\nIMPRESSION: Possible amyloidosis.",
    "A2": "IMPRESSION: Normal cardiac MRI.",
    "A3": "",
}


def run(*args):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as done:
        main(["label", *map(str, args)])
    return done.value.code


@pytest.fixture
def reports(tmp_path):
    path = tmp_path / "reports.csv"
    pd.DataFrame({"accession": list(REPORTS), "report": list(REPORTS.values())}).to_csv(path, index=False)
    return path


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["accession"]: row for row in csv.DictReader(stream)}


def test_four_files_say_what_was_found_and_how(reports, tmp_path, capsys):
    out = tmp_path / "labels.csv"
    assert run(reports, "--with", "rules", "--out", out) == 0
    assert "2 reports labelled, 0 failed, 1 studies without a report" in capsys.readouterr().out
    numbers, words = rows(out), rows(tmp_path / "labels.states.csv")
    assert set(numbers) == {"A1", "A2"}
    assert list(numbers["A1"]) == ["accession", *(c.column for c in CONDITIONS)]
    assert (numbers["A1"]["left_atrial_dilation"], words["A1"]["left_atrial_dilation"]) == ("1", "present")
    assert (numbers["A1"]["cardiac_thrombus"], words["A1"]["cardiac_thrombus"]) == ("0", "absent")
    assert (numbers["A1"]["amyloidosis"], words["A1"]["amyloidosis"]) == ("", "uncertain")
    assert (numbers["A1"]["sarcoidosis"], words["A1"]["sarcoidosis"]) == ("0", "not mentioned")
    assert words["A2"]["normal"] == "present"
    head, first, _ = map(json.loads, (tmp_path / "labels.evidence.jsonl").read_text(encoding="utf-8").splitlines())
    assert {"condition": "cardiac thrombus", "scope": "absent", "sentence": "No thrombus."}.items() <= {
        k: v for m in first["mentions"] if m["condition"] == "cardiac thrombus" for k, v in m.items()
    }.items()
    record = json.loads((tmp_path / "labels.run.json").read_text(encoding="utf-8"))
    assert record["input"]["without_report"] == ["A3"]
    assert record["input"] == head["input"]
    assert record["config"]["with"] == "rules"
    assert record["sha256"]["labels"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_uncertain_and_unmentioned_are_written_as_asked(reports, tmp_path):
    out = tmp_path / "labels.csv"
    assert run(reports, "--out", out, "--uncertain", "present", "--unmentioned", "empty") == 0
    assert rows(out)["A1"]["amyloidosis"] == "1"
    assert rows(out)["A1"]["sarcoidosis"] == ""


def test_a_store_gets_labels_that_training_reads_and_keeps_its_own(tmp_path):
    store = StudyStore(tmp_path / "store", "a")
    cine = Cine(view=View.CH4, frames=np.zeros((1, 2, 8, 8), dtype=np.uint8))
    texts = ["IMPRESSION: HCM.", None]
    keys = [
        store.write(Study(cines=(cine,), patient=f"p{i}", accession=f"a{i}", site="x", report=text))
        for i, text in enumerate(texts)
    ]
    store.write_labels(pd.DataFrame({"lvef": [60.0, 55.0]}, index=keys))
    store.close()
    assert run(tmp_path / "store", "--out", tmp_path / "labels.csv", "--to-store") == 0
    table = StudyStore(tmp_path / "store").labels()
    assert table.loc[keys[0], "hypertrophic_cardiomyopathy"] == 1
    assert np.isnan(table.loc[keys[1], "hypertrophic_cardiomyopathy"])
    assert table.loc[keys, "lvef"].tolist() == [60.0, 55.0]


def test_identifiers_are_counted_and_never_shown(tmp_path, capsys):
    path = tmp_path / "reports.csv"
    pd.DataFrame({"key": ["k1"], "report": ["Dr. Okonkwo, DOB 01/02/1950."]}).to_csv(path, index=False)
    assert run(path, "--check-identifiers", "--out", tmp_path / "found.json") == 1
    shown = capsys.readouterr().out + (tmp_path / "found.json").read_text(encoding="utf-8")
    assert "date of birth: 1" in shown
    assert "1 of 1 reports" in shown
    assert "Okonkwo" not in shown
    assert "1950" not in shown


def test_two_runs_are_compared(reports, tmp_path, capsys):
    assert run(reports, "--out", tmp_path / "a.csv") == 0
    assert run(reports, "--out", tmp_path / "b.csv") == 0
    assert run("--compare", tmp_path / "a.csv", tmp_path / "b.csv", "--out", tmp_path / "agreement.md") == 0
    page = (tmp_path / "agreement.md").read_text(encoding="utf-8")
    assert "| left atrial dilation | 2 | 1 | 1 | 1 | 1.000 | 1.000 | 1.000 | 1.000 | 1.000 |" in page
    assert (tmp_path / "agreement.csv").is_file()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "which reports"),
        (["REPORTS"], "--out names"),
        (["REPORTS", "--with", "llm", "--out", "x.csv"], "--endpoint and --model"),
        (["REPORTS", "--dry-run", "--out", "x.csv"], "--with llm"),
        (["REPORTS", "--to-store", "--out", "x.csv"], "store of studies"),
        (["REPORTS", "--sheet", "x.csv", "--out", "x.csv"], "--compare"),
    ],
)
def test_misuse_is_told_apart_from_failure(reports, capsys, args, message):
    assert run(*(reports if arg == "REPORTS" else arg for arg in args)) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("accession,report\nA1,x\nA1,y\n", "there twice"),
        ("accession,text\nA1,x\n", "no column `report`"),
        ("accession,report\nA1,\n", "no report in it"),
        ("accession,report\n,x\n", "no accession"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, capsys, content, message):
    path = tmp_path / "reports.csv"
    path.write_text(content, encoding="utf-8")
    assert run(path, "--out", tmp_path / "labels.csv") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "labels.csv").exists()


LLM = ["--with", "llm", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--retries", "0", "--timeout", "1"]


def test_a_dry_run_and_a_cost_too_high_send_nothing(reports, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("cardiolens.text.endpoint.Endpoint.chat", lambda *_: pytest.fail("sent"))
    assert run(reports, *LLM, "--dry-run", "--price-in", "3", "--price-out", "15") == 0
    assert "about" in capsys.readouterr().err
    prices = ("--price-in", "1000", "--price-out", "1000", "--max-cost", "0.01")
    assert run(reports, *LLM, *prices, "--out", tmp_path / "x.csv") == 1
    assert "nothing was sent" in capsys.readouterr().err


def test_failures_are_listed_in_the_record_and_the_next_run_asks_for_them_only(reports, tmp_path, capsys, monkeypatch):
    from cardiolens.text.endpoint import EndpointFailure

    asked = []

    def chat(self, body):
        asked.append(body["messages"][1]["content"])
        if "thrombus" in asked[-1] and len(asked) < 3:
            raise EndpointFailure("time-out", "no answer within 1 s", again=False)
        return {"choices": [{"message": {"content": '{"findings": []}'}, "finish_reason": "stop"}]}

    monkeypatch.setattr("cardiolens.text.endpoint.Endpoint.chat", chat)
    out = tmp_path / "llm.csv"
    assert run(reports, *LLM, "--workers", "1", "--out", out) == 1
    record = json.loads((tmp_path / "llm.run.json").read_text(encoding="utf-8"))
    assert [f["study"] for f in record["config"]["failures"]] == ["A1"]
    assert record["config"]["counts"]["time-out"] == 1
    assert list(rows(out)) == ["A2"]
    assert "A1: time-out" in capsys.readouterr().err
    assert run(reports, *LLM, "--workers", "1", "--out", out) == 0
    assert list(rows(out)) == ["A1", "A2"]
    assert len(asked) == 3

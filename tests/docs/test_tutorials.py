"""The tutorials run as they stand, command by command, and say what their pages promise."""

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shown_commands import ROOT, code_lines, commands

from cardiolens.cli import build_app

TUTORIALS = ROOT / "docs" / "tutorial"
RUNS_ON = ("serve", "node")  # until it is stopped
ORTHANC = shutil.which("Orthanc")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: with the recipes, and with a key for pseudonyms of its own."""
    monkeypatch.setenv("CARDIOLENS_KEY", "a key for the tutorials alone")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    return tmp_path


def run(page: Path, smaller: Callable[[list[str]], list[str]] = lambda words: words) -> None:
    """Every command of a page in order; those that run on, and those on placeholders, are left out."""
    for shown in commands(page):
        program, *words = shown.words
        if program != "cardiolens":
            subprocess.run([sys.executable, *words], check=True)
        elif words[0] not in RUNS_ON and not any("path/to" in word for word in words):
            build_app()(args=smaller(words), standalone_mode=False)


def promised(page: Path, output: str, *lines: str) -> None:
    """Each line stands on the page and was printed."""
    text = page.read_text(encoding="utf-8")
    for line in lines:
        assert line in text, f"{page.name} does not show: {line}"
        assert line in output, f"{page.name} promises what was not printed: {line}"


def only_row(table: Path) -> dict[str, str]:
    with table.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row


def test_the_first_study_comes_out_as_its_page_says(folder: Path, capsys: pytest.CaptureFixture[str]):
    """With fewer pixels than on the page and without contours, so that it takes seconds."""
    page = TUTORIALS / "first-report.md"
    less = {
        "phantom": ["--matrix", "128", "--phases", "20", "--planes", "5", "--no-masks", "--workers", "1"],
        "ingest": ["--workers", "1"],
        "predict": ["--no-segment"],
    }
    run(page, lambda words: words + less.get(words[0], []))
    promised(
        page,
        capsys.readouterr().out,
        "1 study in patients (1 made now, 0 there before)",
        "Study P000007-000000 · PH000007-000000 · phantom",
        "1 ingested, 0 unchanged, 0 refused, 0 failed; details in store/manifest.json",
        "1 read (0 of them before), 0 failed, 0 out of domain.  Not a medical device.",
    )
    assert Path("patients/truth.csv").is_file() and Path("store/manifest.json").is_file()
    row = only_row(Path("results/predictions.csv"))
    assert float(row["lvef_low"]) < float(row["lvef"]) < float(row["lvef_high"])
    assert "Research use only" in Path(f"results/{row['page']}").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_archive_becomes_a_model_that_reads_a_new_patient(folder: Path, capsys: pytest.CaptureFixture[str]):
    page = TUTORIALS / "train-archive.md"
    run(page)
    promised(
        page,
        capsys.readouterr().out,
        "60 cases, 0 skipped",
        "60 ingested, 0 unchanged, 0 refused, 0 failed; details in store/manifest.json",
        "60 reports labelled, 0 failed, 0 studies without a report",
        "model: runs/shad_tiny_pretrain/final",
        "no patient is shared",
    )
    assert Path("validation/index.html").is_file() and Path("evaluation/index.html").is_file()
    row = only_row(Path("results/predictions.csv"))
    assert row["out_of_domain"] == "False" and row["lvef_low"]
    assert "amyloidosis_score" in row


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def wait_for(what: str, is_there: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.5)


def listens(port: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.fixture
def beside() -> Iterator[Callable[[str], None]]:
    """Starts a command in a terminal of its own; all are ended after the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield lambda line: started.append(subprocess.Popen(line.split()))
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:  # a node lets the study in work be finished first
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(ORTHANC is None or shutil.which("curl") is None, reason="Orthanc or curl is not installed")
def test_the_results_appear_in_the_archive(
    folder: Path, beside: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    """The page in three terminals; its ports are changed to free ones."""
    pytest.importorskip("pynetdicom", reason="the extra pacs is not installed")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    text = (TUTORIALS / "first-pacs.md").read_text(encoding="utf-8")
    ports = {port: free_port() for port in ("4242", "8042", "11112")}
    for shown, free in ports.items():
        text = text.replace(shown, free)
    text = text.replace("--quiet 5", f"--quiet 5 --port {ports['11112']}")
    settings = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert settings is not None
    Path("orthanc.json").write_text(json.dumps(json.loads(settings[1])))

    def shell(line: str) -> str:
        return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602

    for _, line in code_lines(text):
        if line.startswith("Orthanc"):
            beside(line)
            wait_for("Orthanc", lambda: listens(ports["8042"]))
        elif line.startswith("cardiolens node") and "--status" not in line:
            beside(line)
        elif "/modalities/" in line:
            wait_for("the node", lambda: listens(ports["11112"]))
            assert '"FailedInstancesCount" : 0' in shell(line)
        elif "--status" in line:
            wait_for("the result", lambda line=line: re.search(r" sent +\d+ ", shell(line)) is not None)
        elif line.startswith(("cardiolens", "python", "curl")):
            shell(line)
    study = Path("study.txt").read_text()
    series = json.loads(shell(f"curl -s 'http://127.0.0.1:{ports['8042']}/studies/{study}/series?expand'"))
    kinds = sorted((one["MainDicomTags"]["Modality"], one["MainDicomTags"]["SeriesNumber"]) for one in series)
    assert {("MR", "9102"), ("SEG", "9001"), ("SR", "9101")} <= set(kinds)
    assert len(kinds) == 8

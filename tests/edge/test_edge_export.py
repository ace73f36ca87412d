"""The export itself: whole, compared, refused where it makes no sense."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from edge_fixtures import GOLDEN, edge_study

from cardiolens.edge import EdgeFolder, export, export_model
from cardiolens.edge.parity import LIMITS, compare, page
from cardiolens.errors import CheckpointError
from cardiolens.hub import load_model
from cardiolens.store.atomic import DiskError, temporary_beside
from cardiolens.torch_engine import TorchEngine

for name in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(name, reason="the extra [edge] is not installed")


@pytest.mark.slow
def test_an_export_made_now_is_as_good_as_the_committed_one(tmp_path):
    steps = []
    model = load_model(GOLDEN / "model")
    studies = [edge_study(i) for i in range(3)]
    out = export_model(model, tmp_path / "edge", studies=studies, progress=lambda *step: steps.append(step))
    held, committed = EdgeFolder.open(out), EdgeFolder.open(GOLDEN / "export")
    assert held.precisions == ("fp32", "int8")
    assert held.parity["fp32"]["good"]
    for what, pair in held.parity["fp32"]["differences"].items():
        assert pair["max"] <= LIMITS[what][0]
    assert set(held.files) == set(committed.files)
    assert held.heads == committed.heads
    assert steps[-1][1:] == (5, 5)
    assert not list(tmp_path.glob(".*"))
    assert "not a medical device" in (out / "parity.md").read_text()
    export_model(model, out, studies=studies[:1], int8=False)  # replaces
    assert EdgeFolder.open(out).precisions == ("fp32",)


def test_what_cannot_predict_or_would_overwrite_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="untrained"):
        export_model(load_model("shad-mvit-tiny"), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(CheckpointError, match="no export's"):
        export_model(load_model(GOLDEN / "model"), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


def test_the_page_says_what_is_too_far_off():
    parity = json.loads((GOLDEN / "export" / "parity.json").read_text())
    good = page(parity)
    assert "| fp32 | good |" in good
    parity["by_precision"]["int8"] |= {"good": False, "why": "LVEF, points: up to 9"}
    assert "| int8 | TOO FAR OFF, refused: LVEF, points: up to 9 |" in page(parity)


def test_the_committed_graphs_name_no_file_of_the_machine_that_made_them():
    for path in sorted(GOLDEN.rglob("*.onnx")):
        content = path.read_bytes()
        assert b"site-packages" not in content, path.name
        assert b"export.py" not in content, path.name


@pytest.mark.parametrize("lacking", ["lvef", "diagnoses", "domain"])
def test_what_only_one_of_network_and_export_tells_is_not_good(lacking):
    model = load_model(GOLDEN / "model")
    if lacking == "domain":
        model.domain = None
    else:
        del model.heads[lacking], model.card.tasks[lacking]
    found = compare(TorchEngine(model), GOLDEN / "export", [edge_study(0)])["by_precision"]["fp32"]
    words = {"lvef": "LVEF, points", "diagnoses": "score or probability", "domain": "out-of-domain score"}[lacking]
    assert not found["good"] and f"{words}" in found["why"] and "told by only one" in found["why"]
    assert found["differences"]["embedding"]["max"] <= LIMITS["embedding"][0]


def test_a_full_disk_is_a_message_and_leaves_the_earlier_export(tmp_path, monkeypatch):
    out = tmp_path / "edge"
    shutil.copytree(GOLDEN / "export", out)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "_graphs", full)
    with pytest.raises(DiskError, match="no room on the disk"):
        export_model(load_model(GOLDEN / "model"), out)
    assert [path.name for path in tmp_path.iterdir()] == ["edge"]
    EdgeFolder.open(out).checked("encoder.onnx")
    monkeypatch.setattr(Path, "replace", full)
    (tmp_path / "new").mkdir()
    with pytest.raises(OSError, match="No space"):
        export._swap(tmp_path / "new", out)
    EdgeFolder.open(out).checked("encoder.onnx")


def test_what_a_killed_export_left_is_swept_and_what_a_running_one_writes_stays(tmp_path, monkeypatch):
    make = (
        "from pathlib import Path; from cardiolens.store.atomic import temporary_beside; "
        f"print(temporary_beside(Path({str(tmp_path / 'edge')!r})))"
    )
    dead = Path(subprocess.run([sys.executable, "-c", make], capture_output=True, text=True, check=True).stdout.strip())
    dead.mkdir()
    (dead / "encoder.onnx").write_bytes(b"half")
    running, other = temporary_beside(tmp_path / "edge"), temporary_beside(tmp_path / "edges")
    for path in (running, other):
        path.mkdir()
    monkeypatch.setattr(export, "_graphs", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_model(load_model(GOLDEN / "model"), tmp_path / "edge")
    assert set(tmp_path.iterdir()) == {running, other}


def test_a_new_export_takes_the_place_of_the_earlier_one_whole(tmp_path):
    for name in ("new", "edge"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    export._swap(tmp_path / "new", tmp_path / "edge")
    assert [path.name for path in tmp_path.rglob("*")] == ["edge", "new"]

"""The export itself: whole, compared, refused where it makes no sense."""

import json

import pytest
from edge_fixtures import GOLDEN, edge_study

from cardiolens.edge import EdgeFolder, export_model
from cardiolens.edge.parity import LIMITS, page
from cardiolens.errors import CheckpointError
from cardiolens.hub import load_model

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

"""A committed export against its network: the same answers, without PyTorch, and honest about what is wrong."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from edge_fixtures import GOLDEN, edge_study

from cardiolens.edge import EdgeFolder, OnnxEngine
from cardiolens.errors import CheckpointError
from cardiolens.hub import load_model
from cardiolens.inference import Predictor
from cardiolens.store import StudyStore

pytest.importorskip("onnxruntime", reason="the extra [edge] is not installed")

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "lightning", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])

sys.meta_path.insert(0, NoTorch())
from cardiolens.cli import main
try:
    main(sys.argv[1:])
finally:
    assert not any(name.split(".")[0] == "torch" for name in sys.modules)
"""


@pytest.fixture(scope="module")
def network():
    return Predictor(load_model(GOLDEN / "model"))


@pytest.fixture
def export(tmp_path):
    return shutil.copytree(GOLDEN / "export", tmp_path / "export")


def without_torch(*words):
    command = [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("seed", [3, 4])
def test_graphs_answer_as_the_network_does(network, seed):
    study = edge_study(seed, sax=seed)
    truth, found = network(study), Predictor(OnnxEngine(GOLDEN / "export", threads=1))(study)
    assert np.abs(found.embeddings - truth.embeddings).max() < 1e-4
    assert found.lvef_pct == pytest.approx(truth.lvef_pct, abs=0.01)
    assert found.interval.high == pytest.approx(truth.interval.high, abs=0.01)
    assert found.domain_score == pytest.approx(truth.domain_score, abs=0.005)
    assert (found.out_of_domain, found.notes) == (truth.out_of_domain, truth.notes)
    assert len(found.domain_reasons) == len(truth.domain_reasons)
    for mine, theirs in zip(found.conditions, truth.conditions, strict=True):
        assert (mine.name, mine.flagged) == (theirs.name, theirs.flagged)
        assert mine.score == pytest.approx(theirs.score, abs=1e-4)
        assert mine.probability == (None if theirs.probability is None else pytest.approx(theirs.probability, abs=1e-4))
    for mine, theirs in zip(found.clips, truth.clips, strict=True):
        assert mine.attention == pytest.approx(theirs.attention, abs=1e-4)
        assert mine.domain_score == pytest.approx(theirs.domain_score, abs=0.005)
    assert found.provenance["engine"] == "onnx"
    assert found.provenance["weights_sha256"] == truth.provenance["weights_sha256"]


def test_a_small_batch_gives_the_same(network):
    study = edge_study(5)
    one = Predictor(OnnxEngine(GOLDEN / "export", threads=1, batch_size=1))(study)
    assert one.lvef_pct == pytest.approx(network(study).lvef_pct, abs=0.01)


def test_predict_runs_where_torch_cannot_be_imported_and_tells_the_same(network, tmp_path):
    store = StudyStore(tmp_path / "store", mode="a")
    key = store.write(edge_study(6), key="site_p/a6")
    done = without_torch("predict", store.path, "-m", GOLDEN / "export", "--engine", "onnx", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader((tmp_path / "out" / "predictions.csv").open())
    assert row["key"] == key
    assert float(row["lvef"]) == pytest.approx(network(store.read(key)).lvef_pct, abs=0.01)
    assert json.loads((tmp_path / "out" / "predictions.json").read_text())["engine"] == "onnx"
    assert (tmp_path / "out" / row["page"]).read_text().count("not a medical device")
    refused = without_torch("predict", store.path, "-o", tmp_path / "other")
    assert refused.returncode == 1
    assert "PyTorch is not installed" in refused.stderr


def test_8_bits_say_so_in_every_answer_and_too_far_off_are_refused(export):
    fields = json.loads((export / "edge.json").read_text())
    found = fields["parity"]["int8"]
    found |= {"good": True, "why": ""}
    (export / "edge.json").write_text(json.dumps(fields))
    engine = OnnxEngine(export, "int8", threads=1)
    prediction = Predictor(engine)(edge_study(3))
    assert any("8-bit weights" in note and "points" in note for note in prediction.notes)
    assert prediction.provenance["precision"] == "int8"
    found |= {"good": False, "why": "LVEF, points: up to 9"}
    (export / "edge.json").write_text(json.dumps(fields))
    with pytest.raises(CheckpointError, match=r"int8 is too far from the network \(LVEF, points: up to 9"):
        OnnxEngine(export, "int8")


def test_a_changed_or_missing_file_is_refused(export):
    (export / "encoder.int8.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"encoder.int8.onnx is missing"):
        EdgeFolder.open(export).checked("encoder.int8.onnx")
    with (export / "heads.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match=r"heads.onnx is not as it was exported"):
        OnnxEngine(export)
    (export / "edge.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is no exported model"):
        OnnxEngine(export)
    with pytest.raises(CheckpointError, match="make one with: cardiolens export"):
        OnnxEngine(export / "nowhere")


def test_what_an_engine_does_not_hold_is_told():
    engine = OnnxEngine(GOLDEN / "export", threads=1)
    with pytest.raises(CheckpointError, match="no head 'nothing'"):
        engine.measure("nothing", np.zeros((1, 16), np.float32))
    with pytest.raises(CheckpointError, match="the network itself"):
        _ = Predictor(engine).model

"""A trained model of clips to ONNX graphs: encoder, heads, out-of-domain distances; compared with the network."""

from __future__ import annotations

import glob
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cardiolens._version import __version__
from cardiolens.edge.folder import CARD, DOMAIN, ENCODER, FILE, FORMAT, HEADS, LIMITS, write_limits
from cardiolens.edge.parity import compare, page
from cardiolens.engine import Pooled
from cardiolens.errors import CheckpointError, InputError
from cardiolens.files import sha256_of
from cardiolens.models.domain import DomainReference, movie_statistics
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL
from cardiolens.store.atomic import disk_errors, is_leftover, temporary_beside
from cardiolens.study import Study
from cardiolens.torch_engine import TorchEngine
from cardiolens.transforms import ClipTransform

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
_OPSET = 20
_OURS = {*ENCODER.values(), HEADS, DOMAIN, LIMITS, CARD, FILE, "parity.json", "parity.md"}


def export_model(
    model: DualEncoder,
    out: str | Path,
    *,
    studies: Sequence[Study] | None = None,
    int8: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Write the folder of an exported model, whole or not at all, in place of an earlier export.

    Args:
        model: trained, with a head at least.
        out: folder; absent, empty, or an earlier export.
        studies: on which the graphs are compared with the network; None renders phantoms.
        int8: whether to write an encoder of 8-bit weights as well.
        progress: called before each step.

    Raises:
        CheckpointError: an untrained model, one without a head, or the folder holds other files.
        InputError: onnx, onnxscript or onnxruntime is not installed.
        DiskError: no room, or the folder cannot be written; an earlier export is as it was.
    """
    _require()
    out = Path(out)
    engine = TorchEngine(model)
    if not model.card.sha256 or not engine.heads:
        raise CheckpointError(f"{model.card.full_name} is untrained or has no head; export a model that can predict")
    if out.exists() and (not out.is_dir() or {path.name for path in out.iterdir()} - _OURS):
        raise CheckpointError(f"{out} holds files that are no export's; give a new folder")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
    fresh = temporary_beside(out)
    steps = ["encoder", "heads", "domain", "8 bits", "comparison"]

    def step(name: str) -> None:
        progress(name, steps.index(name), len(steps))

    try:
        with disk_errors(out):
            fresh.mkdir()
            step("encoder")
            _graphs(model, fresh, step)
            if int8:
                step("8 bits")
                quantise(fresh / ENCODER["fp32"], fresh / ENCODER["int8"])
            (fresh / CARD).write_text(model.card.to_json(), encoding="utf-8")
            _seal(fresh, model, {})
        step("comparison")
        parity = compare(engine, fresh, studies)
        with disk_errors(out):
            (fresh / "parity.json").write_text(json.dumps(parity, indent=1) + "\n", encoding="utf-8")
            (fresh / "parity.md").write_text(page(parity), encoding="utf-8")
            _seal(fresh, model, parity["by_precision"])
            _swap(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    progress("", len(steps), len(steps))
    return out


def _sweep(out: Path) -> None:
    """Delete what an export to this folder left that was killed."""
    for path in out.parent.glob(f".{glob.escape(out.name)}.*"):
        if is_leftover(path):
            shutil.rmtree(path)


def _swap(fresh: Path, out: Path) -> None:
    """The new folder in place of an earlier one, which goes only when the new one is there."""
    old = temporary_beside(out)
    if out.exists():
        out.replace(old)
    try:
        fresh.replace(out)
    except OSError:
        if old.exists():
            old.replace(out)
        raise
    if old.exists():
        shutil.rmtree(old)


def _graphs(model: DualEncoder, folder: Path, step: Callable[[str], None]) -> None:
    """Encoder, heads, and the distances where there is a reference."""
    transform = ClipTransform.from_dict(model.card.transform)
    clips = torch.rand(3, transform.channels, transform.frames, transform.crop, transform.crop)
    with torch.inference_mode():
        encoder = _Encoder(model).eval()
        features, embeddings = encoder(clips)
    _write(encoder, {"clips": clips}, ["features", "embeddings"], folder / ENCODER["fp32"])
    step("heads")
    heads = _Heads(model).eval()
    _write(heads, {"features": features.clone()}, heads.names, folder / HEADS)
    if model.domain is not None:
        step("domain")
        movie_statistics(clips[:, 0])  # so that the tables it keeps are constants of the graph
        inputs = {"embeddings": embeddings.clone(), "clips": clips}
        _write(_Distances(model.domain).eval(), inputs, ["look", "distances"], folder / DOMAIN)
        write_limits(model.domain.reading(), folder / LIMITS)


class _Encoder(nn.Module):
    """Clips to features and embeddings."""

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.encoder, self.projection = model.video_encoder, model.video_proj
        self.grey = model.video_encoder.config.channels == 1

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        features = self.encoder(clips.mean(1, keepdim=True) if self.grey and clips.shape[1] > 1 else clips)
        return features, F.normalize(self.projection(features), dim=-1)


class _Heads(nn.Module):
    """Features of one study to what every head says."""

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.projection = model.video_proj
        found = {task: head for task, head in model.heads.items() if isinstance(head, GatedAttentionMIL)}
        self.tasks = list(found)
        self.heads = nn.ModuleList(found.values())
        self.names = [f"{task}.{what}" for task in found for what in Pooled._fields]

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        projected = F.normalize(self.projection(features), dim=-1)
        out: list[Tensor] = []
        for module in self.heads:
            head = cast(GatedAttentionMIL, module)
            bag = (projected if head.projection is None else features)[None]
            pooled = head.pool(bag, torch.ones(bag.shape[:2], dtype=torch.bool))
            out += [pooled.logits[0], pooled.attention[0], pooled.output[0]]
        return tuple(out)


class _Distances(nn.Module):
    """Embeddings and clips to image statistics and distances."""

    def __init__(self, reference: DomainReference) -> None:
        super().__init__()
        self.reference = reference

    def forward(self, embeddings: Tensor, clips: Tensor) -> tuple[Tensor, Tensor]:
        look = movie_statistics(clips[:, 0])
        return look, self.reference.parts(torch.cat([embeddings, look], 1))


def _write(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str], path: Path) -> None:
    """One graph; the first axis of every input may have any length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),
            opset_version=_OPSET,
            custom_translation_table=_translations(),
            verbose=False,
        )
    import onnx

    proto = cast(Any, program).model_proto
    strip_traces(proto)
    onnx.save(proto, str(path))


def strip_traces(proto: Any) -> None:
    """Take out, in place, what the exporter notes of this machine: stack traces with the paths of its files."""
    for graph in (proto.graph, *proto.functions):
        ends = (*graph.input, *graph.output) if graph is proto.graph else ()  # of a function they are names
        for part in (graph, *graph.node, *graph.value_info, *ends):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")


def _translations() -> dict[Any, Any]:
    """Operators that the exporter does not know, in those of ONNX."""
    import onnxscript

    op: Any = onnxscript.opset20

    def median(values: Any, dim: int, keepdim: bool = False) -> Any:
        """The lower one of an even number, as PyTorch has it."""
        count = (int(values.shape[dim]) - 1) // 2 + 1
        smallest, places = op.TopK(values, op.Constant(value_ints=[count]), axis=dim, largest=0, sorted=1)
        last = op.Constant(value_int=count - 1)
        return op.Gather(smallest, last, axis=dim), op.Gather(places, last, axis=dim)

    def hypot(one: Any, other: Any) -> Any:
        return op.Sqrt(op.Add(op.Mul(one, one), op.Mul(other, other)))

    return {torch.ops.aten.median.dim: median, torch.ops.prims.hypot.default: hypot}


def quantise(source: Path, target: Path) -> None:
    """The same graph with matrices of 8-bit weights, scaled 32 at a time; what flows between them stays float.

    Of the small bundled model, inputs in 8 bits as well (dynamic quantisation) put embeddings four times as far off.
    """
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    graph = onnx.load(str(source))
    del graph.graph.value_info[:]  # shapes that the exporter noted, and that the quantiser contradicts
    quantiser = MatMulNBitsQuantizer(graph, bits=8, block_size=32, is_symmetric=False, accuracy_level=1)
    quantiser.process()
    quantiser.model.save_model_to_file(str(target))


def _seal(folder: Path, model: DualEncoder, parity: dict[str, Any]) -> None:
    """Write `edge.json`."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != FILE}
    fields = {
        "format": FORMAT,
        "model": model.card.full_name,
        "weights_sha256": model.card.sha256,
        "cardiolens": __version__,
        "torch": torch.__version__,
        "opset": _OPSET,
        "heads": TorchEngine(model).heads,
        "files": files,
        "parity": parity,
        "note": "research use only, not a medical device",
    }
    (folder / FILE).write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")


def _require() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise InputError(f"export needs {', '.join(missing)}: pip install 'cardiolens[edge]'")

"""How far the exported graphs are from the network: embeddings, LVEF, probabilities, out-of-domain scores, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens.conditions import ConditionFinding
from cardiolens.edge.engine import OnnxEngine
from cardiolens.edge.folder import ENCODER, EdgeFolder
from cardiolens.engine import Engine
from cardiolens.findings import Prediction
from cardiolens.inference import Predictor
from cardiolens.study import Study

LIMITS = {
    "embedding": (2e-4, 0.1),
    "lvef_points": (0.05, 1.0),
    "probability": (5e-4, 0.03),
    "domain_score": (0.01, 0.1),
}
"""Greatest difference that passes, of full precision and of 8 bits."""
_WORDS = {
    "embedding": "embedding, length of the difference of unit vectors",
    "lvef_points": "LVEF, points",
    "probability": "score or probability of a condition",
    "domain_score": "out-of-domain score, in limits",
}
_STUDIES, _ROUNDS = 6, 3


def phantoms(count: int = _STUDIES) -> list[Study]:
    """Rendered studies that no bundled model learned from."""
    from cardiolens.phantom import render_study, sample_parameters

    hearts = [sample_parameters(np.random.default_rng([78, number])) for number in range(count)]
    return [
        render_study(heart, seed=910_000 + number, matrix=96, sax_planes=6, phases=16, sub_slices=2)
        for number, heart in enumerate(hearts)
    ]


def compare(engine: Engine, folder: Path, studies: Sequence[Study] | None = None) -> dict[str, Any]:
    """Every precision of an export against the network, study by study, in turns.

    Returns:
        `studies`, `clips`, and by precision: `differences` (greatest, mean), `good`, `why` not, `mib`, `speed` (time of
        PyTorch over that of ONNX Runtime for the encoder, both on one thread), `same_flags`.
    """
    read = list(studies) if studies is not None else phantoms()
    whole = Predictor(engine)
    truth = [whole(study) for study in read]
    by_precision = {}
    held = EdgeFolder.open(folder)
    for precision in held.precisions:
        other = OnnxEngine(folder, precision, threads=1, judged=False)
        found = [Predictor(other)(study) for study in read]
        one, alone = _differences(truth, found), _one_sided(truth, found)
        which = 0 if precision == "fp32" else 1
        far = [name for name, pair in one.items() if not pair["max"] <= LIMITS[name][which]]
        why = [f"{_WORDS[name]}: up to {one[name]['max']:.3g}" for name in far]
        why += [f"{_WORDS[name]}: told by only one of network and export" for name in alone]
        by_precision[precision] = {
            "studies": len(read),
            "differences": one,
            "good": not why,
            "why": "; ".join(why),
            "same_flags": _same_flags(truth, found),
            "mib": round((folder / ENCODER[precision]).stat().st_size / 2**20, 2),
            "speed": _speed(engine, other, whole.bag(read[0]).clips),
        }
    return {
        "model": engine.card.full_name,
        "weights_sha256": engine.card.sha256,
        "studies": len(read),
        "clips": sum(len(one.clips) for one in truth),
        "phantoms": studies is None,
        "limits": LIMITS,
        "by_precision": by_precision,
    }


def _differences(truth: Sequence[Prediction], found: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """Greatest and mean of each kind that both tell; see `_one_sided` for what only one tells."""
    every: dict[str, list[float]] = {}
    for one, other in zip(truth, found, strict=True):
        if one.embeddings.shape == other.embeddings.shape:
            every.setdefault("embedding", []).extend(np.linalg.norm(one.embeddings - other.embeddings, axis=1).tolist())
        if one.lvef_pct is not None and other.lvef_pct is not None:
            every.setdefault("lvef_points", []).append(abs(one.lvef_pct - other.lvef_pct))
        if one.domain_score is not None and other.domain_score is not None:
            every.setdefault("domain_score", []).append(abs(one.domain_score - other.domain_score))
        for mine, theirs in _both(one, other):
            pairs = [(mine.score, theirs.score)]
            if mine.probability is not None and theirs.probability is not None:
                pairs.append((mine.probability, theirs.probability))
            every.setdefault("probability", []).extend(abs(a - b) for a, b in pairs)
    return {name: {"max": float(np.max(far)), "mean": float(np.mean(far))} for name, far in every.items()}


def _one_sided(truth: Sequence[Prediction], found: Sequence[Prediction]) -> list[str]:
    """Kinds of output that the network gives for a study and the export does not, or the other way round."""
    out = []
    for name, told in _TOLD.items():
        if any(told(one) != told(other) for one, other in zip(truth, found, strict=True)):
            out.append(name)
    return out


_TOLD: Mapping[str, Callable[[Prediction], object]] = {
    "embedding": lambda one: one.embeddings.shape,
    "lvef_points": lambda one: one.lvef_pct is None,
    "probability": lambda one: {two.name: two.probability is None for two in one.conditions},
    "domain_score": lambda one: one.domain_score is None,
}
"""What must be alike, whatever the figures."""


def _both(one: Prediction, other: Prediction) -> list[tuple[ConditionFinding, ConditionFinding]]:
    """Conditions of both, by name."""
    theirs = {two.name: two for two in other.conditions}
    return [(mine, theirs[mine.name]) for mine in one.conditions if mine.name in theirs]


def _same_flags(truth: Sequence[Prediction], found: Sequence[Prediction]) -> float:
    """Share of conditions and of out-of-domain verdicts that are the same."""
    pairs = [(one.out_of_domain, other.out_of_domain) for one, other in zip(truth, found, strict=True)]
    for one, other in zip(truth, found, strict=True):
        pairs += [(a.flagged, b.flagged) for a, b in _both(one, other)]
    return sum(a == b for a, b in pairs) / len(pairs)


def _speed(engine: Engine, other: Engine, clips: Any) -> float:
    """Time of one encoder over that of the other, medians of turns, one thread each."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        took: dict[str, list[float]] = {engine.name: [], other.name: []}
        for _ in range(_ROUNDS):
            for each in (engine, other):
                start = time.perf_counter()
                each.encode(clips)
                took[each.name].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return round(float(np.median(took[engine.name]) / np.median(took[other.name])), 2)


def page(parity: dict[str, Any]) -> str:
    """The report for people."""
    what = "rendered phantoms" if parity["phantoms"] else "given studies"
    lines = [
        f"# Export of {parity['model']} against the network",
        "",
        f"{parity['studies']} {what}, {parity['clips']} clips.  Research use only, not a medical device.",
        "",
        "| precision | what | greatest difference | mean | allowed |",
        "|---|---|---|---|---|",
    ]
    for which, (precision, found) in enumerate(parity["by_precision"].items()):
        for name, pair in found["differences"].items():
            allowed = parity["limits"][name][which]
            lines.append(f"| {precision} | {_WORDS[name]} | {pair['max']:.2g} | {pair['mean']:.2g} | {allowed:g} |")
    lines += [
        "",
        "| precision | verdict | encoder, MiB | time of PyTorch / ONNX Runtime | same flags |",
        "|---|---|---|---|---|",
    ]
    for precision, found in parity["by_precision"].items():
        verdict = "good" if found["good"] else f"TOO FAR OFF, refused: {found['why']}"
        lines.append(
            f"| {precision} | {verdict} | {found['mib']} | {found['speed']} | {100 * found['same_flags']:.1f} % |"
        )
    return "\n".join([*lines, ""])

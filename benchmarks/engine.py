"""Prediction of a study by engine: PyTorch, ONNX Runtime, ONNX Runtime with 8-bit weights, in turns in one run.

    python benchmarks/engine.py --export EDGE [--model shad-mvit-tiny:phantom] [--studies 4] [--rounds 3] [--write]

EDGE is the folder that `cardiolens export MODEL --out EDGE` wrote.  Rendered phantoms; CPU time of the whole prediction
and of its stages, one thread each.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from cardiolens.edge import EdgeFolder, OnnxEngine
from cardiolens.edge.parity import phantoms
from cardiolens.hub import load_model
from cardiolens.inference import Predictor

TABLE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "engine.md"


def report(options: argparse.Namespace) -> str:
    held = EdgeFolder.open(options.export)
    readers = {"torch": Predictor(load_model(options.model))}
    if readers["torch"].card.sha256 != held.fields["weights_sha256"]:
        raise SystemExit(f"{options.export} was exported from other weights than {options.model}")
    for precision in held.precisions:
        engine = OnnxEngine(options.export, precision, threads=1, judged=False)
        readers[f"onnx {precision}"] = Predictor(engine)
    studies = phantoms(options.studies)
    planes = np.mean([len(readers["torch"].bag(study).views) for study in studies])
    for reader in readers.values():
        reader(studies[0])
    whole: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(options.rounds):
        for study in studies:
            for name, reader in readers.items():
                start = time.process_time()
                found = reader(study)
                whole[name].append(time.process_time() - start)
                for stage, seconds in found.timing_s.items():
                    stages[name][stage].append(seconds)
    lines = [
        "# Prediction by engine",
        "",
        f"`python benchmarks/engine.py --export EDGE --model {options.model} --studies {options.studies} --rounds "
        f"{options.rounds} --write`, {date.today()}, PyTorch {torch.__version__}, ONNX Runtime "
        f"{onnxruntime.__version__}, {platform.machine()} CPU that other work shared, one thread.  {len(studies)} "
        f"phantom studies of {planes:.0f} planes; medians.  Whole: CPU time; stages: shares of wall time.  "
        "Research use only, not a medical device.",
        "",
        "| engine | ms a study | PyTorch / this | preparing | encoder | heads | out-of-domain check | encoder, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    base = np.array(whole["torch"])
    for name, times in whole.items():
        total = sum(np.median(seconds) for seconds in stages[name].values())
        shares = [f"{100 * np.median(stages[name][stage]) / total:.0f} %" for stage in stages[name]]
        size = "" if name == "torch" else held.parity[name.split()[1]]["mib"]
        lines.append(
            f"| {name} | {1000 * np.median(times):.0f} | {np.median(base / np.array(times)):.2f} | "
            f"{' | '.join(shares)} | {size} |"
        )
    lines += ["", "How far the answers are apart (`parity.md` of the export):", ""]
    lines += ["| precision | what | greatest difference | mean |", "|---|---|---|---|"]
    for precision, found in held.parity.items():
        for what, pair in found["differences"].items():
            lines.append(f"| {precision} | {what.replace('_', ' ')} | {pair['max']:.2g} | {pair['mean']:.2g} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--export", required=True, help="folder that `cardiolens export` wrote")
    parser.add_argument("--model", default="shad-mvit-tiny:phantom")
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"also write docs/benchmarks/{TABLE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = report(options)
    print(text)
    if options.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()

"""The comparison of `recipes/bench_tiny.yaml` as a page of the documentation, from a finished run.

    cardiolens benchmark cohorts/trial/internal --recipe recipes/bench_tiny.yaml --set split.file=SPLIT --out runs/bench
    python benchmarks/bench_page.py runs/bench

Writes docs/results/bench_tiny.md, its rows (.csv) and its figure (.png).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
HEAD = """# The systems side by side, on phantoms

Rendered hearts, not patients: no figure here is a clinical result.  For research use; not a medical device.
The four papers' systems as small twins, a 3D ResNet and the bundled segmenter's measures, by

    cardiolens benchmark COHORT --recipe recipes/bench_tiny.yaml --out runs/bench_tiny

on {sizes} phantom patients of two sites to learn from, to choose the epoch and to measure (how such a cohort is
rendered stands in the recipe).  [What the command does](../how-to/benchmark.md), what each system sees and starts from.

![Error of LVEF, and areas under the ROC curve, by system](bench_tiny.png)

"""
TAIL = """
## What this tells, and what not

- It is a ranking of networks of about a million parameters after some minutes of training, each pretrained on the
  same few hundred studies that it then learns from.  The papers' systems have a hundred times the parameters and up
  to 75,000 studies; none of this says how they rank.
- Budgets are equal in passes over the patients, not in minutes: see the table of cost.  A system that is no better than
  the dashed line has learned nothing *on this budget*; that is no verdict on its design.
- The segmenter comes trained on other phantoms with masks, and its measures are the very quantities by which many of
  the phantom's conditions are defined; it starts with what the others have to find.  Its LVEF is read from {phases}
  phases of each cine, which miss the end of systole.
- "Any condition" has {healthy} studies without one in the test part: its limits say how little that tells.
- One seed, and limits over patients alone.  How far a run moves: with the same seed and another definition of one
  target, the 3D ResNet's error of LVEF was 4.7 points, not the 3.9 of the first such page, and its place with it.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished `cardiolens benchmark`")
    run: Path = parser.parse_args().run
    import pandas as pd
    import yaml

    from cardiolens.bench.targets import DISEASE

    parts = json.loads((run / "split.json").read_text())["parts"]
    rows = pd.read_csv(run / "benchmark.csv")
    first = rows[rows["target"] == DISEASE].iloc[0]
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    words = {
        "sizes": ", ".join(str(len(parts[part])) for part in ("train", "val", "test")),
        "healthy": int(first["n"] - first["positive"]),
        "phases": recipe["systems"]["segmentation"]["phases"],
    }
    body = (run / "benchmark.md").read_text().partition("\n\n")[2]
    (RESULTS / "bench_tiny.md").write_text(HEAD.format(**words) + body.rstrip() + "\n" + TAIL.format(**words))
    for kind in ("csv", "png"):
        shutil.copyfile(run / f"benchmark.{kind}", RESULTS / f"bench_tiny.{kind}")
    print(f"wrote {RESULTS / 'bench_tiny.md'}")


if __name__ == "__main__":
    main()

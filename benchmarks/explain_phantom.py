"""Do attention, occlusion and view ablation find the structure that was altered?  Pairs of phantom hearts tell.

    python benchmarks/explain_phantom.py [--hearts 6] [--model shad-mvit-tiny:phantom]  # what is missing, then the page
    python benchmarks/explain_phantom.py --picture  # only the picture
    python benchmarks/explain_phantom.py --page  # only the page, from the rows

Normal hearts are scanned (matrix 128) as they are and with one structure altered, with the same seed, so that the two
scans differ by the structure alone; where they differ without noise by more than a tenth of the clip's grey range is
the mask.  In every clip that shows it (0.3 % of its pixels or more) each method is asked for its heat on the altered
scan.  `gain` is the share of the heat in the mask over the mask's share of the clip (1 is chance); `hit`, whether the
hottest of 8 x 8 cells holds a part of the structure, against the share of cells that do.  Rows are kept in a CSV, a
pair at a time: a run that was cut off goes on from there.  Limits are a bootstrap over hearts.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from cardiolens import load_model
from cardiolens.explain.phantom_check import ALTERATIONS, answers, findings, healthy_hearts, heats_of, make_pairs
from cardiolens.explain.pictures import blended, cine_frames
from cardiolens.stats import bootstrap
from cardiolens.study import View

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOUND, SAID = DOCS / "results" / "explain_phantom.csv", DOCS / "results" / "explain_phantom_answers.csv"
PAGE, PICTURE = DOCS / "results" / "explain_phantom.md", DOCS / "images" / "explain_phantom.webp"
METHODS = (
    "rollout",
    "last block",
    "occlusion, answer",
    "occlusion, embedding",
    "rollout, change",
    "rollout, random weights",
    "rollout, change, random weights",
    "centre of the image",
    "change of the image",
)
CALL = "python benchmarks/explain_phantom.py"
SIGN_OF = {
    "LV that hardly contracts": ("non_ischemic_cardiomyopathy",),
    "thick LV wall": ("left_ventricular_hypertrophy", "hypertrophic_cardiomyopathy"),
    "large RV": ("right_ventricular_dilation",),
    "pericardial effusion": ("large_pericardial_effusion",),
    "thrombus in the LV apex": ("cardiac_thrombus",),
}
"""Conditions that each alteration is a sign of."""
MOVED = 0.25
EDGE, SHOWN = 160, ("rollout", "rollout, change", "occlusion, answer", "occlusion, embedding")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=6)
    parser.add_argument("--model", default="shad-mvit-tiny:phantom")
    parser.add_argument("--picture", action="store_true", help=f"draw {PICTURE.name} from the first heart")
    parser.add_argument("--page", action="store_true", help=f"only write {PAGE.name} from the rows that there are")
    given = parser.parse_args()
    if given.picture:
        picture(load_model(given.model))
        return
    if not given.page:
        measure(load_model(given.model), given.hearts)
    PAGE.write_text(page())


def measure(model: Any, count: int) -> None:
    """Fill both tables, from the first pair that is missing."""
    untrained = load_model(model.card.name)
    name = f"{model.card.full_name} {model.card.sha256[:12]}"  # another file of weights is another model
    done = pd.read_csv(SAID) if SAID.exists() else pd.DataFrame(columns=["model", "heart", "alteration"])
    done = {(row.heart, row.alteration) for row in done[done["model"] == name].itertuples()}
    if FOUND.exists():  # a run may have been cut off between the two tables
        kept = pd.read_csv(FOUND, dtype=str)
        whole = [m != name or (int(h), a) in done for m, h, a in kept[["model", "heart", "alteration"]].to_numpy()]
        kept[whole].to_csv(FOUND, index=False, lineterminator="\n")
    for number, heart in enumerate(healthy_hearts(count)):
        missing = {what: alter for what, alter in ALTERATIONS.items() if (number, what) not in done}
        for pair in make_pairs(model, [heart], missing, seed=number) if missing else ():
            start = time.process_time()
            rows = [asdict(row) | {"heart": number, "model": name} for row in findings(model, pair, untrained)]
            said = [asdict(row) | {"heart": number, "model": name} for row in answers(model, pair)]
            append(FOUND, rows)
            append(SAID, said)
            print(f"heart {number}, {pair.alteration}: {len(pair.showing)} clips, {time.process_time() - start:.0f} s")


def append(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows, with a heading to a new file."""
    rows = [{k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    if not rows:
        return
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


def page() -> str:
    """The page of results from both tables."""
    found, said = pd.read_csv(FOUND), pd.read_csv(SAID)
    hearts = said["heart"].nunique()
    calls = [f"`{CALL} --hearts {hearts} --model {name.split()[0]}`" for name in dict.fromkeys(said["model"])]
    lines = [
        "# Do the explanations find what was altered?",
        "",
        f"{', '.join(calls)}; figures of simulated hearts, nothing clinical; research use, not a medical device. "
        f"{hearts} normal hearts, each with {said['alteration'].nunique()} alterations; "
        f"{len(found) // found['method'].nunique()} clips show one. "
        "How it is done stands at the top of the script; what the words mean, in [Explain](../reference/explain.md).",
        "",
        f"![4CH of one heart, five alterations](../images/{PICTURE.name})",
        "",
        "A row an alteration, in the order of the tables; from left: before, after, what changed, then over the "
        "altered scan rollout, change of rollout, occlusion of the answer, occlusion of the embedding.",
        "",
    ]
    for name, own in found.groupby("model", sort=False):
        lines += [f"## {name}", "", "Gain: 1 is chance; in brackets 95 % limits, bootstrap over hearts.", ""]
        lines += [*grid(own, gain), "", "Hit rate of the hottest of 8 x 8 cells, and the rate of chance.", ""]
        lines += [*grid(own, hit), *chances(own), ""]
        lines += ["Answers: LVEF in percent, probabilities; means over the hearts.  Of the conditions, those that the "]
        lines[-1] += f"alteration is a sign of, and `normal`; every other stands in [{SAID.name}]({SAID.name})."
        lines += ["", *told(said[said["model"] == name]), ""]
        lines += ["What it comes to:", "", *verdicts(own, said[said["model"] == name]), ""]
    return "\n".join(lines)


def grid(own: pd.DataFrame, cell: Any) -> list[str]:
    """A table, a row a method and a column an alteration and all of them."""
    columns = [*dict.fromkeys(own["alteration"]), "all"]
    lines = ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method in METHODS:
        part = own[own["method"] == method]
        cells = [cell(part if name == "all" else part[part["alteration"] == name]) for name in columns]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return lines


def gain(part: pd.DataFrame) -> str:
    """Mean over clips, limits over hearts."""
    values = part["gain"].to_numpy(float)
    if part["heart"].nunique() < 2:
        return f"{values.mean():.2f}"
    limits = bootstrap(np.mean, values, patients=part["heart"].tolist(), n_resamples=1000)
    return f"{limits.value:.2f} [{limits.low:.2f}, {limits.high:.2f}]"


def hit(part: pd.DataFrame) -> str:
    return f"{part['hit'].mean():.2f}"


def chances(own: pd.DataFrame) -> list[str]:
    one = own[own["method"] == METHODS[0]]
    columns = list(dict.fromkeys(own["alteration"]))
    cells = [f"{one[one['alteration'] == name]['chance'].mean():.2f}" for name in columns]
    return [f"| *chance* | {' | '.join(cells)} | {one['chance'].mean():.2f} |"]


def verdicts(own: pd.DataFrame, said: pd.DataFrame) -> list[str]:
    """Each method against chance, and beside what knows nothing."""
    beside = {
        "rollout": "rollout, random weights",
        "rollout, change": "rollout, change, random weights",
        "occlusion, answer": "centre of the image",
        "occlusion, embedding": "centre of the image",
    }
    lines = []
    for method, other in beside.items():
        part, reference = own[own["method"] == method], own[own["method"] == other]
        limits = bootstrap(np.mean, part["gain"], patients=part["heart"].tolist(), n_resamples=1000)
        than = "above chance" if limits.low > 1 else "below chance" if limits.high < 1 else "no more than chance"
        lines.append(f"- {method}: {than}, gain {limits.value:.2f}; {other}: {reference['gain'].mean():.2f}.")
    right, count = int((said["moved_most"] == said["changed_most"]).sum()), len(said)
    lines.append(f"- View ablation names the view that changed most in {right} of {count}; by chance one in four.")
    moved = (said["relative_after"] - said["relative_before"]).abs().max()
    lines.append(f"- The weight of the clips that show the structure moves by at most {moved:.3f} of an even weight.")
    return lines


def told(said: pd.DataFrame) -> list[str]:
    """What the alterations did to the answers that they should have moved, and to all others together."""
    lines = [
        "| alteration | output | before | after | view that moves the answer most alone is the one most changed "
        "| relative attention of the clips that show it, before | after |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, altered in said.groupby("alteration", sort=False):
        wanted = ("lvef", *SIGN_OF.get(str(name), ()), "normal")
        for output in [output for output in wanted if output in set(altered["output"])]:
            part = altered[altered["output"] == output]
            right = int((part["moved_most"] == part["changed_most"]).sum())
            digits = 1 if output == "lvef" else 2
            cells = [f"{part[side].mean():.{digits}f}" for side in ("before", "after")]
            cells += [f"{right} of {len(part)}", *(f"{part[f'relative_{w}'].mean():.3f}" for w in ("before", "after"))]
            lines.append(f"| {name} | {output.replace('_', ' ')} | {' | '.join(cells)} |")
        others = altered[~altered["output"].isin(wanted)].groupby("output")[["before", "after"]].mean()
        if len(others):
            moved = int(((others["after"] - others["before"]).abs() > MOVED).sum())
            words = f"{moved} of {len(others)} other conditions move by more than {MOVED:g}"
            lines.append(f"| {name} | *{words}* | | | | | |")
    return lines


def picture(model: Any) -> None:
    """A row an alteration: before, after, what changed, and the heats, in the 4CH of the first heart."""
    rows = []
    for pair in make_pairs(model, healthy_hearts(1), views=(View.CH4,)):
        heats = heats_of(model, pair, 0)
        frame = 5
        tiles = [cine_frames(clips[0], EDGE)[frame] for clips in (pair.clips_before, pair.clips_after)]
        tiles.append(blended(pair.clips_after[0], pair.masks[0].astype(np.float32), edge=EDGE)[frame])
        tiles += [blended(pair.clips_after[0], heats[name], edge=EDGE)[frame] for name in SHOWN]
        rows.append(np.concatenate([np.pad(tile, ((2, 2), (2, 2), (0, 0))) for tile in tiles], axis=1))
    Image.fromarray(np.concatenate(rows)).save(PICTURE, quality=80)


if __name__ == "__main__":
    main()

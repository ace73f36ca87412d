"""The bundled segmenter on phantom hearts that it has not seen and on the real scans at hand.

    python benchmarks/segmenter_quality.py --write     # docs/results/segmenter.*, and the LVEF error into the card

Nothing real was in its training.  The phantoms are drawn as in training, by another seed, with the whole of a beat.
The real ones are the Sunnybrook Cardiac Data of CARDIOLENS_TEST_DATA (default ../shared): 15 patients with the cavity
at end-diastole and end-systole as PNG without geometry, and two cine studies with contours.  15 are few: limits beside.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens.contours import segment_study
from cardiolens.models.card import Card
from cardiolens.models.locate import local_tags
from cardiolens.phantom import SITES, masks, render_study, sample_parameters, truth_of
from cardiolens.segmentation import STRUCTURES
from cardiolens.segmenter import Segmenter, load_segmenter
from cardiolens.segmenter.bundle import NAME
from cardiolens.stats.overlap import dice
from cardiolens.study import Cine, View
from cardiolens.text.conditions import CONDITION_NAMES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "results"
FIELDS = ("set", "case", "group", "what", "value", "truth")
Row = dict[str, Any]


def phantom_rows(segmenter: Segmenter, n: int, seed: int) -> Iterator[Row]:
    """Dice by structure at ED and ES, and the volumes of `cardiolens.measures`, against the truth."""
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        condition = None if number % 2 else CONDITION_NAMES[(number * 7) % len(CONDITION_NAMES)]
        heart = sample_parameters(rng, condition=condition)
        protocol = list(SITES.values())[number % len(SITES)].protocol(rng).with_(phases=12, recon_matrix=None)
        study, truth = render_study(heart, seed=seed + number, protocol=protocol), truth_of(heart)
        result = segment_study(study, segmenter)
        start = {"set": "phantom", "case": number, "group": condition or "any"}
        for found in result.segmentations:
            true = masks(heart, found.cine)
            cavity = (true == STRUCTURES["LV cavity"]).sum((0, 2, 3))
            for name, phase in (("ED", int(cavity.argmax())), ("ES", int(cavity.argmin()))):
                for structure in found.structures:
                    drawn, there = found.mask(structure)[:, phase], true[:, phase] == STRUCTURES[structure]
                    if there.sum() > 40:
                        yield start | {"what": f"{found.view} {structure} {name} Dice", "value": dice(drawn, there)}
        for figure, true_value in (
            ("lvef_pct", truth.lvef_pct), ("lv_edv_ml", truth.edv_ml), ("lv_esv_ml", truth.esv_ml),
            ("lv_mass_g", truth.lv_mass_g), ("rvef_pct", truth.rvef_pct), ("rv_edv_ml", truth.rv_edv_ml),
        ):  # fmt: skip
            yield start | {"what": figure, "value": getattr(result.measures, figure), "truth": true_value}


def plane_rows(segmenter: Segmenter, folder: Path, pictures: list[tuple[str, Any]]) -> Iterator[Row]:
    """The 15 patients with planes at ED and ES: each phase by itself, and both together where a plane has both."""
    from cardiolens.datasets.sunnybrook import read_edes

    for patient in read_edes(folder):
        start = {"set": "planes", "case": patient.id, "group": patient.group}
        alone = [segmenter.segment(cine).mask("LV cavity") for cine in (patient.ed, patient.es)]
        both = [mask.copy() for mask in alone]
        shared = [plane for plane in patient.ed_planes if plane in patient.es_planes]
        at = [[planes.index(plane) for plane in shared] for planes in (patient.ed_planes, patient.es_planes)]
        frames = np.concatenate([patient.ed.frames[at[0]], patient.es.frames[at[1]]], axis=1)
        pair = segmenter.segment(Cine(View.SAX, frames, source=patient.id)).mask("LV cavity")
        for phase in (0, 1):
            both[phase][at[phase], 0] = pair[:, phase]
        for mode, (ed, es) in (("alone", alone), ("both", both)):
            for name, drawn, true in (("ED", ed, patient.ed_mask), ("ES", es, patient.es_mask)):
                for plane, (one, there) in enumerate(zip(drawn[:, 0], true[:, 0], strict=True)):
                    yield start | {"what": f"{mode} {name} plane {plane} Dice", "value": dice(one, there)}
                    yield start | {
                        "what": f"{mode} {name} plane {plane} pixels",
                        "value": one.sum(),
                        "truth": there.sum(),
                    }
                    yield start | {"what": f"{mode} {name} plane {plane} shared", "value": (one & there).sum()}
            lvef = 100.0 * (1.0 - es.sum() / max(ed.sum(), 1))
            yield start | {"what": f"{mode} LVEF", "value": lvef, "truth": patient.lvef}
        pictures.append((patient.id, (patient, both)))


def cine_rows(segmenter: Segmenter, folder: Path) -> Iterator[Row]:
    """The cine studies with contours: the whole way from DICOM to volumes."""
    from cardiolens.datasets.sunnybrook import contour_masks, contours, ends_of, image_numbers
    from cardiolens.reading import read_study

    with (folder / "volumes.csv").open(encoding="utf-8") as file:
        table = {row["patient_id"]: row for row in csv.DictReader(file)}
    for name, row in table.items():
        study = read_study(folder / name)
        cine, drawn = study.cine(View.SAX), contours(folder / "contours", row["original_id"])
        numbers = image_numbers(cine)
        ends, labelled = ends_of(cine, drawn, numbers), contour_masks(study, drawn, numbers)
        result = segment_study(study, segmenter)
        start = {"set": "cine", "case": row["original_id"], "group": row["pathology"]}
        found = result.segmentation(View.SAX)
        if found is None:
            raise SystemExit(f"{name}: nothing drawn")
        for one in labelled:
            planes = one.drawn[:, 0]
            overlap = dice(found.mask("LV cavity")[planes, one.phases[0]], one.mask("LV cavity")[planes, 0])
            yield start | {"what": f"{one.names[0]} Dice", "value": overlap}
        for figure, true in (("lv_edv_ml", ends.edv), ("lv_esv_ml", ends.esv), ("lvef_pct", ends.lvef)):
            yield start | {"what": figure, "value": getattr(result.measures, figure), "truth": true}
        flags = "; ".join(f"{flag.severity}: {flag.code}" for flag in result.measures.flags)
        yield start | {"what": "flags", "value": flags}


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="phantom", help="tag or folder of a segmenter")
    parser.add_argument("--hearts", type=int, default=24, help="phantom hearts")
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--write", action="store_true", help="write docs/results")
    args = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    from segmenter_quality_page import draw, known_error, page

    segmenter, pictures = load_segmenter(args.model), list[tuple[str, Any]]()
    real = Path(os.environ.get("CARDIOLENS_TEST_DATA", ROOT.parent / "shared")) / "data" / "real"
    rows: list[Row] = []
    parts = [phantom_rows(segmenter, args.hearts, args.seed)]
    if real.is_dir():
        parts += [
            cine_rows(segmenter, real / "sunnybrook_cine"),
            plane_rows(segmenter, real / "sunnybrook_edes", pictures),
        ]
    else:
        print(f"no real data in {real}: phantoms only", file=sys.stderr)
    last = None
    for part in parts:
        for row in part:
            rows.append(row)
            if (row["set"], row["case"]) != last:
                last = (row["set"], row["case"])
                print(*last, flush=True)
    text = page(rows, segmenter.card, args)
    print(text)
    if args.write:
        with (DOCS / "segmenter.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                writer.writerow({k: f"{v:.4f}" if isinstance(v, float | np.floating) else v for k, v in row.items()})
        (DOCS / "segmenter.md").write_text(text, encoding="utf-8")
        folder = local_tags(NAME).get(args.model, Path(args.model))
        card = Card.read(folder / "card.json")
        card.tasks = card.tasks | {"lvef": {"unit": "%", "measured": known_error(rows)}}
        (folder / "card.json").write_text(card.to_json(), encoding="utf-8")
        if pictures:
            draw(pictures, DOCS / "segmenter_real.webp")


if __name__ == "__main__":
    main()

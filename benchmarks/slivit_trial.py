"""SLIViT on phantoms: does 2D pretraining help, what is order worth, what do the 3D baselines say?

    python benchmarks/slivit_trial.py --cohort cohorts/trial/internal      # about 45 minutes on one core, and the page
    python benchmarks/slivit_trial.py --micro --out runs/slivit_micro --results runs/slivit_micro.csv  # every step
    python benchmarks/slivit_trial.py --list                               # steps, and which are done
    python benchmarks/slivit_trial.py --page                               # only the page and its figures

Short-axis stacks at end-diastole; every run learns all labels at once.  Every finished step appends its rows to
docs/results/slivit_trial.csv; started again, the command goes on from the first one that is missing, and a run that was
killed from its last epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from trial import Row, append, render_patients, rows_of

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results" / "slivit_trial.csv"
VALUES = ("edv", "lv_mass")
CONDITIONS = ("left_ventricular_dilation", "left_ventricular_hypertrophy", "right_ventricular_dilation")
FIELDS = [
    *("step", "study", "arm", "seed", "patients", "label", "metric", "value", "low", "high", "p", "n", "note"),
    *("parameters", "lr", "epochs", "best_epoch", "seconds", "data_hash", "version"),
]


@dataclass(frozen=True)
class Size:
    """How large a trial is: patients of each part, epochs, images a patient that pretraining sees."""

    pretrain: int
    train: int
    val: int
    test: int
    pretrain_epochs: int
    epochs: int
    seeds: tuple[int, ...]
    fractions: tuple[float, ...]
    shuffles: int  # models trained on shuffled copies
    copies: int  # shuffled copies of the test set
    slices: int = 9
    cka_volumes: int = 20
    edge: int = 64  # pixels of a slice

    @property
    def patients(self) -> int:
        return self.pretrain + self.train + self.val + self.test


SIZES = {
    "tiny": Size(100, 240, 40, 100, 8, 20, (0, 1), (0.25, 0.5), 2, 100),
    # minutes: shows that every step runs, and nothing else
    "micro": Size(4, 8, 4, 4, 1, 1, (0,), (0.5,), 1, 2, 4, 2, 32),
}


@dataclass(frozen=True)
class Step:
    """One thing to do, and what it is part of.

    Attributes:
        study: "pretraining", "initialisation", "baseline", "design", "order", "size", "likeness", "medmnist", "paired".
        settings: of the recipe, for a fine-tuning.
    """

    name: str
    study: str
    arm: str
    seed: int = 0
    settings: tuple[str, ...] = ()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--micro", action="store_true", help="minutes instead: shows that every step runs")
    parser.add_argument("--cohort", type=Path, default=None, help="store of phantom patients; default OUT/cohort")
    parser.add_argument("--out", type=Path, default=Path("runs/slivit_trial"), help="runs and splits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="CSV of rows")
    parser.add_argument("--only", default="", help="only steps whose names begin so; several with commas")
    parser.add_argument("--list", action="store_true", help="say which steps are done")
    parser.add_argument("--page", action="store_true", help="only rewrite the page")
    args = parser.parse_args()
    args.cohort = args.cohort or args.out / "cohort"
    return args


def trunk_of(arm: str) -> tuple[str, ...]:
    """The setting that starts from a pretrained trunk."""
    return (f"weights=OUT/runs/pretrain_{arm}/final",) if arm in ("views", "simclr") else ()


def steps_of(size: Size) -> list[Step]:
    """Seeds outermost where arms are compared, so that early rows already compare."""
    steps = [Step("pretrain_views", "pretraining", "views"), Step("pretrain_simclr", "pretraining", "simclr")]
    for seed in size.seeds:
        steps += [
            Step(f"init_{a}_s{seed}", "initialisation", a, seed, trunk_of(a)) for a in ("random", "views", "simclr")
        ]
        steps += [
            Step(f"{a}_s{seed}", "baseline", a, seed, (f"model=slivit-{a}-tiny", *more))
            for a, more in (("r3d", ()), ("vit3d", ("architecture.depth=3",)))  # nine slices in threes
        ]
    steps.append(Step("r2plus1d_s0", "baseline", "r2plus1d", 0, ("model=slivit-r2plus1d-tiny",)))
    views = trunk_of("views")
    for arm, change in (
        ("slice tokens", ("architecture.cut=slices",)),
        ("mean of slices", ("architecture.cut=slices", "architecture.integrator=mean")),
        ("LSTM over slices", ("architecture.cut=slices", "architecture.integrator=lstm")),
        ("neighbours, one layer", ("architecture.cut=slices", "architecture.neighbours=true", "architecture.layers=1")),
    ):
        steps.append(Step(f"design_{arm.replace(', ', ' ').replace(' ', '_')}", "design", arm, 0, (*views, *change)))
    resnet = ("architecture.trunk={kind: resnet}",)
    steps.append(Step("design_resnet", "design", "ResNet trunk, random", 0, resnet))
    whole = "data={kind: sax, field_mm: null}"
    steps.append(
        Step(
            "design_whole_images", "design", "slice tokens, whole images", 0, (*views, "architecture.cut=slices", whole)
        )
    )
    steps.append(
        Step("design_resnet_whole_images", "design", "ResNet trunk, random, whole images", 0, (*resnet, whole))
    )
    steps += [Step(f"size_{f:g}", "size", "views", 0, (*views, f"fraction={f}")) for f in size.fractions]
    steps += [
        Step(f"shuffled_{n}", "order", "trained shuffled", n, (*views, f"shuffle={n}")) for n in range(size.shuffles)
    ]
    steps += [
        Step("order_views", "order", "tested shuffled: memory cut"),
        Step("order_slices", "order", "tested shuffled: slice tokens"),
        Step("order_neighbours", "order", "tested shuffled: neighbours, one layer"),
        Step("cka", "likeness", "trunks"),
        Step("medmnist_views", "medmnist", "SLIViT, views", 0, views),
        Step("medmnist_r3d", "medmnist", "3D ResNet", 0, ("model=slivit-r3d-tiny",)),
    ]
    return [*steps, Step("paired", "paired", "views against the others")]


class Trial:
    """A size, where things lie, and what every step needs of them."""

    def __init__(self, size: Size, args: argparse.Namespace) -> None:
        self.size, self.args = size, args
        self.out: Path = args.out

    def run(self, name: str) -> Path:
        return self.out / "runs" / name

    def prepare(self) -> str:
        """Write both splits; gives a hash over the studies that are used."""
        from cardiolens.datasets.splits import Split, refuse_overlap
        from cardiolens.store import StudyStore

        store = StudyStore(self.args.cohort)
        keys = sorted(store.keys(), key=lambda key: key.rpartition("-")[2])[: self.size.patients]
        if len(keys) < self.size.patients:
            sys.exit(f"{self.args.cohort} holds {len(keys)} studies, the trial takes {self.size.patients}")
        parts, rest = {}, list(keys)
        for part in ("test", "val", "train"):
            count = getattr(self.size, part)
            parts[part], rest = tuple(sorted(rest[:count])), rest[count:]
        downstream = Split(parts, {"plan": "SLIViT trial"})
        self.out.mkdir(parents=True, exist_ok=True)
        downstream.save(self.out / "split.json")
        held = len(rest) // 5 or 1
        owner = {key: "val" if place < held else "train" for place, key in enumerate(sorted(rest))}
        images = {part: tuple(key for key in owner if owner[key] == part) for part in ("train", "val")}
        pretraining = Split(images, {"plan": "SLIViT trial"})
        refuse_overlap(pretraining, downstream, seen=("train", "val"), held_out=("train", "val", "test"))
        pretraining.save(self.out / "split_images.json")
        digest = hashlib.sha256()
        for key in keys:
            digest.update(f"{key}\0{store.hash_of(key)}\n".encode())
        return digest.hexdigest()[:16]

    def pretrain(self, step: Step) -> list[Row]:
        from cardiolens.hub import load_model
        from cardiolens.training.recipe import load_recipe
        from cardiolens.training.slice_images import open_mixture, pretrain_images
        from cardiolens.training.slice_recipe import ImagesRecipe, SimCLRRecipe, Slices2dRecipe

        kind: type[ImagesRecipe] = Slices2dRecipe if step.arm == "views" else SimCLRRecipe
        settings = [
            f"optimiser.epochs={self.size.pretrain_epochs}",
            f"split={{file: {self.out / 'split_images.json'}}}",
            f"architecture={{size: {self.size.edge}}}",
            *([] if step.arm == "views" else ["optimiser.warmup_epochs=0.5"]),
        ]
        name = "pretrain2d" if step.arm == "views" else "simclr"
        recipe = load_recipe(ROOT / "recipes" / f"slivit_tiny_{name}.yaml", kind, settings)
        model = load_model(pretrain_images(recipe, open_mixture(recipe, self.args.cohort), self.run(step.name)))
        known, row = model.card.provenance, {"patients": self.size.pretrain, "lr": model.card.provenance["lr"]}
        row |= {"epochs": self.size.pretrain_epochs, "n": known["images"]["val"]}
        metrics = ("last_val_accuracy", "last_val") if step.arm == "views" else ("last_val",)
        return [row | {"label": "images", "metric": m.removeprefix("last_"), "value": known[m]} for m in metrics]

    def finetune(self, step: Step) -> list[Row]:
        """One fine-tuning; the rate is the recipe's in every arm."""
        from cardiolens.datasets.volumes import open_volumes
        from cardiolens.hub import load_model
        from cardiolens.training.recipe import load_recipe
        from cardiolens.training.slice_recipe import SlicesRecipe
        from cardiolens.training.slices import open_set, train_slices

        of_npz = step.study == "medmnist"
        edge = "crop" if any(text.startswith("model=") for text in step.settings) else "size"
        settings = [
            f"seed={step.seed if step.study != 'order' else 0}",
            f"slices={self.size.slices}",
            f"optimiser.epochs={self._epochs(step)}",
            f"architecture={{{edge}: {self.size.edge}}}",
            "augment.crop=[0.9, 1.0]",
            "patience=null",
            *(["values=[]", "conditions=[label]"] if of_npz else [f"values=[{','.join(VALUES)}]"]),
            *([] if of_npz else [f"conditions=[{','.join(CONDITIONS)}]", f"split={{file: {self.out / 'split.json'}}}"]),
            *(text.replace("OUT", str(self.out)) for text in step.settings),
        ]
        recipe = load_recipe(ROOT / "recipes" / "slivit_tiny_finetune.yaml", SlicesRecipe, settings)
        volumes = open_volumes(self.medmnist()) if of_npz else open_set(recipe, self.args.cohort)
        model = load_model(train_slices(recipe, volumes, self.run(step.name)))
        metrics = json.loads((self.run(step.name) / "metrics.json").read_text())
        common = {
            "patients": metrics["volumes"]["train"],
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "lr": metrics["lr"],
            "epochs": metrics["epochs"],
            "best_epoch": metrics["best_epoch"],
        }
        return [
            common | {"label": label, "metric": metric, "n": figures["n"], **limits}
            for label, figures in metrics["test"].items()
            for metric, limits in figures.items()
            if isinstance(limits, dict)
        ]

    def _epochs(self, step: Step) -> int:
        """As many steps whatever the share of the patients."""
        share = next((float(s.partition("=")[2]) for s in step.settings if s.startswith("fraction=")), 1.0)
        return round(self.size.epochs / share)

    def medmnist(self) -> Path:
        """The same patients as a 3D .npz in MedMNIST's format: 28 x 28 x 28, 1 where the left ventricle is dilated."""
        from scipy.ndimage import zoom

        from cardiolens.datasets.sax_stacks import SaxStacks
        from cardiolens.datasets.splits import Split

        path = self.out / "dilation3d.npz"
        if path.exists():
            return path
        stacks, split = SaxStacks(self.args.cohort), Split.load(self.out / "split.json")
        labels, arrays = stacks.labels()[CONDITIONS[0]], {}
        for part in ("train", "val", "test"):
            cubes = []
            for key in split[part]:
                images = stacks.load(key).images.astype(np.float32)
                cube = zoom(images / images.max(), [28 / n for n in images.shape], order=1)
                cubes.append(np.rint(255 * cube.clip(0, 1)).astype(np.uint8))
            arrays[f"{part}_images"] = np.stack(cubes)
            arrays[f"{part}_labels"] = labels.loc[list(split[part])].to_numpy(np.uint8)[:, None]
        part_file = path.with_suffix(".part.npz")
        np.savez_compressed(part_file, **arrays)
        part_file.replace(path)
        return path

    def order(self, step: Step) -> list[Row]:
        """A trained model on shuffled copies of the test set."""
        import torch

        from cardiolens.datasets.sax_stacks import SaxStacks
        from cardiolens.datasets.splits import Split
        from cardiolens.explain.slice_order import order_study, shuffled_predictions
        from cardiolens.hub import load_model
        from cardiolens.slices import SliceTransform
        from cardiolens.training.slice_data import SliceSource
        from cardiolens.training.slices import predict_volumes

        of = {"views": "init_views_s0", "slices": "design_slice_tokens", "neighbours": "design_neighbours_one_layer"}
        model = load_model(self.run(of[step.name.partition("_")[2]]) / "final")
        stacks, transform = SaxStacks(self.args.cohort), SliceTransform.from_dict(model.card.transform)
        source = SliceSource(lambda key: transform(stacks.load(key)), cache=True)
        keys = Split.load(self.out / "split.json")["test"]
        plain = predict_volumes(model, source, keys).numpy()
        shuffled = shuffled_predictions(model, source, keys, copies=self.size.copies).numpy()
        torch.manual_seed(0)
        labels, rows = stacks.labels().loc[list(keys)], []
        for place, name in enumerate((*VALUES, *CONDITIONS)):
            metric = "r2" if name in VALUES else "auroc"
            if labels[name].nunique() < 2:
                continue
            study = order_study(metric, labels[name].to_numpy(), plain[:, place], shuffled[:, :, place])
            low, high = np.quantile(study.shuffled, [0.05, 0.95])
            note = f"in order {study.in_order:.4f}; rank {study.rank:g} of {self.size.copies + 1}"
            row = {"label": name, "metric": metric, "value": round(float(study.shuffled.mean()), 4), "note": note}
            rows.append(row | {"low": round(float(low), 4), "high": round(float(high), 4), "n": len(keys)})
        return rows

    def likeness(self, step: Step) -> list[Row]:
        """CKA between trunks: random, by views, by SimCLR, and each after fine-tuning."""
        import torch

        from cardiolens.datasets.sax_stacks import SaxStacks
        from cardiolens.datasets.splits import Split
        from cardiolens.explain.cka import compare_trunks
        from cardiolens.hub import load_model
        from cardiolens.models.trunk import SliceClassifier
        from cardiolens.slices import SliceTransform

        trunks = {arm: load_model(self.run(f"pretrain_{arm}") / "final") for arm in ("views", "simclr")}
        torch.manual_seed(0)
        trunks["random"] = SliceClassifier(trunks["simclr"].config)
        trunks |= {f"fine-tuned {arm}": load_model(self.run(f"init_{arm}_s0") / "final") for arm in ("views", "random")}
        stacks = SaxStacks(self.args.cohort)
        transform = SliceTransform(self.size.slices, 128)  # 4 x 4 places a slice; a trunk takes any size
        keys = Split.load(self.out / "split.json")["test"][: self.size.cka_volumes]
        volumes = [transform(stacks.load(key)) for key in keys]
        rows = []
        for pair in compare_trunks(trunks, volumes):
            row = {"label": f"{pair.first} and {pair.second}", "n": pair.scores.size}
            low, high = np.quantile(pair.scores, [0.05, 0.95])
            rows.append(
                row | {"metric": "cka", "value": round(pair.overall, 4), "low": low.round(4), "high": high.round(4)}
            )
            rows.append(row | {"metric": "cka_top", "value": round(pair.top, 4)})
        return rows

    def paired(self, step: Step) -> list[Row]:
        """SLIViT from the views' trunk against every other arm of the first seed, on the same test patients."""
        import pandas as pd

        from cardiolens.errors import StatsError
        from cardiolens.stats import compare_bootstrap

        tables = {}
        for other in ("init_views", "init_random", "init_simclr", "r3d", "vit3d", "r2plus1d"):
            tables[other] = pd.read_csv(self.run(f"{other}_s0") / "predictions_test.csv", index_col="key")
        ours, rows = tables.pop("init_views"), []
        for other, theirs in tables.items():
            for name in (*VALUES, *CONDITIONS):
                metric = "r2" if name in VALUES else "auroc"
                columns = ours[name], ours[f"{name}_pred"], theirs.loc[ours.index, f"{name}_pred"]
                try:
                    found = compare_bootstrap(metric, *columns)
                except StatsError as error:
                    print(f"{other}, {name}: {error}", flush=True)
                    continue
                row = {"label": name, "metric": metric, "value": round(found.difference, 4), "p": round(found.p, 4)}
                row |= {"low": round(found.low, 4), "high": round(found.high, 4), "n": len(ours)}
                rows.append(row | {"note": f"against {other}; t-test over resamples p {found.p_t:.1e}"})
        return rows

    def work(self, step: Step) -> list[Row]:
        whole: dict[str, Callable[[Step], list[Row]]] = {
            "pretraining": self.pretrain,
            "likeness": self.likeness,
            "paired": self.paired,
        }
        if step.name.startswith("order_"):
            return self.order(step)
        return whole.get(step.study, self.finetune)(step)


def main() -> None:
    args = arguments()
    size = SIZES["micro" if args.micro else "tiny"]
    done = {row["step"] for row in rows_of(args.results)}
    if args.list:
        for step in steps_of(size):
            print(f"{'done   ' if step.name in done else 'missing'} {step.name}")
        return
    if not args.page:
        from cardiolens._version import __version__

        trial = Trial(size, args)
        small = {"matrix": 48, "phases": 8, "sax_planes": 4}
        render_patients(
            args.cohort, size.patients, **small if args.micro else {"matrix": 128, "phases": 20, "sax_planes": 9}
        )
        digest = trial.prepare()
        for step in steps_of(size):
            if step.name in done or (args.only and not step.name.startswith(tuple(args.only.split(",")))):
                continue
            print(f"{time.strftime('%H:%M:%S')} {step.name}", flush=True)
            begun = time.perf_counter()
            found = trial.work(step) or [{"note": "no figure could be computed"}]
            stamp = {"step": step.name, "study": step.study, "arm": step.arm, "seed": step.seed}
            stamp |= {"data_hash": digest, "version": __version__, "seconds": round(time.perf_counter() - begun, 1)}
            append(args.results, FIELDS, [stamp | row for row in found])
    from slivit_trial_page import write_page

    write_page(rows_of(args.results), args.results.with_suffix(".md"), size)
    print(f"open {args.results.with_suffix('.md')}")


if __name__ == "__main__":
    main()

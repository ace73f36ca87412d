"""Steps of the in-silico trial: each trains or measures one thing and gives its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shad_trial_cohorts import EXTERNAL, Size

from cardiolens import stats
from cardiolens._version import __version__
from cardiolens.datasets.splits import Split
from cardiolens.hub import load_model
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.store import StudyStore
from cardiolens.text.conditions import CONDITIONS
from cardiolens.training.contrastive import pretrain
from cardiolens.training.data import ClipSource
from cardiolens.training.features import encoder_table
from cardiolens.training.recipe import FinetuneRecipe, PretrainRecipe, load_recipe
from cardiolens.training.supervised import finetune
from cardiolens.training.sweep import checkpoints_of, sweep
from cardiolens.transforms import ClipTransform

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
FIELDS = [
    *("step", "arm", "labels", "seed", "data", "metric", "condition"),
    *("value", "low", "high", "p", "n", "positive", "seconds", "data_hash", "split_hash", "version"),
]
LOW_LVEF = 40.0


@dataclass(frozen=True)
class Context:
    """Where everything is."""

    size: Size
    cohorts: Path
    out: Path

    @property
    def cache(self) -> Path:
        return self.out / "cache"

    @property
    def downstream(self) -> Path:
        return self.out / "split_downstream.json"

    def store(self, name: str) -> StudyStore:
        return StudyStore(self.cohorts / name)

    def run(self, name: str) -> Path:
        return self.out / "runs" / name

    def contrastive(self, batch: int) -> Path:
        return self.run(f"pretrain_b{batch}")

    @property
    def main_batch(self) -> int:
        return self.size.batches[0]

    def keys(self, data: str) -> Sequence[str]:
        """Studies that a result is measured on."""
        if data == "internal":
            return Split.load(self.downstream)["test"]
        return list(self.store(data).labels().index)


@dataclass(frozen=True)
class Step:
    """`name`; what it needs; what it does."""

    name: str
    needs: tuple[str, ...]
    work: Callable[[Context], list[Row]]


def recipe_of(context: Context, name: str, kind: Any, settings: Mapping[str, Any]) -> Any:
    size = context.size
    fixed = {"model": size.model, "weights": size.weights, "split": {"file": str(context.downstream)}}
    sets = [f"{key}={json.dumps(value)}" for key, value in {**fixed, **settings}.items()]
    return load_recipe(ROOT / "recipes" / name, kind, sets)


def outputs(context: Context, model: DualEncoder, tasks: Sequence[str], data: str, keys: Sequence[str]) -> np.ndarray:
    """What heads say of studies (study, output), from features that are computed once for every encoder."""
    transform = ClipTransform.from_dict(model.card.transform)
    source = ClipSource(context.store(data), transform, cache=True, folder=context.cache)
    features = encoder_table(context.cache, model, source).compute(keys, f"{data} features")
    found = []
    with torch.inference_mode():
        for key in keys:
            bag = torch.stack(list(features[key].values()))[None]
            found.append(torch.cat([model.measure(task, bag).output[0].float() for task in tasks]))
    return torch.stack(found).numpy()


def lvef_rows(context: Context, final: Path, data: str) -> list[Row]:
    """Error, agreement and AUROC for a low LVEF, raw and with the bias taken off that half of the studies shows."""
    keys = context.keys(data)
    label = context.store(data).labels().loc[list(keys), "lvef"].to_numpy(float)
    pred = outputs(context, load_model(final), ["lvef"], data, keys)[:, 0].astype(float)
    errors = np.abs(pred - label)
    agreement = stats.bland_altman(pred, label)
    limits = stats.bootstrap(lambda e: float(np.mean(e)), errors, seed=0)
    half = np.random.default_rng(3).permutation(len(keys)) < len(keys) // 2
    correction = stats.fit_bias_correction(pred[half], label[half])
    corrected = np.abs(correction.apply(pred[~half]) - label[~half])
    rows: list[Row] = [
        {"metric": "lvef_mae", "value": errors.mean(), "low": limits.low, "high": limits.high, "n": len(keys)},
        {"metric": "lvef_error_sd", "value": errors.std(ddof=1), "n": len(keys)},
        {"metric": "lvef_bias", "value": agreement.bias, "low": agreement.low, "high": agreement.high, "n": len(keys)},
        {"metric": "lvef_mae_other_half_raw", "value": errors[~half].mean(), "n": int((~half).sum())},
        {"metric": "lvef_mae_other_half_corrected", "value": corrected.mean(), "n": int((~half).sum())},
    ]
    low = label < LOW_LVEF
    if low.any() and not low.all():
        area = stats.auroc(low.astype(int), -pred)
        rows.append({"metric": "auroc_lvef_below_40", "value": area.auc, "low": area.low, "high": area.high})
        rows[-1] |= {"n": len(keys), "positive": int(low.sum())}
    constant = np.abs(label - np.median(context.store("internal").labels()["lvef"]))
    rows.append({"metric": "lvef_mae_of_a_constant", "value": constant.mean(), "n": len(keys)})
    return [{**row, "data": data} for row in rows]


def train_lvef(context: Context, name: str, weights: Path | None, share: float, seed: int, *, everything: bool) -> Path:
    """Fine-tune for LVEF and give the model folder."""
    settings: dict[str, Any] = {
        "weights": str(weights) if weights else context.size.weights,
        "fraction": share,
        "fraction_seed": seed,
        "domain": False,
        "optimiser.epochs": context.size.head_epochs,
    }
    if everything:
        settings |= {
            "mode": "transfer",
            "augment.severity": 1.0,
            "augment.width": 1,
            "optimiser.lr": 3e-4 if weights else 1e-3,
            "optimiser.batch": 8,
            "optimiser.epochs": context.size.end_to_end[share],
            "cache": True,
        }
    recipe = recipe_of(context, "shad_tiny_lvef.yaml", FinetuneRecipe, settings)
    return finetune(recipe, context.store("internal"), context.run(name), context.cache)


def pretrain_step(batch: int) -> Step:
    def work(context: Context) -> list[Row]:
        size = context.size
        settings = {
            "split": {"file": str(context.out / "split_pretrain.json")},
            "optimiser.batch": batch,
            "optimiser.epochs": size.pretrain_epochs,
            "optimiser.warmup_epochs": max(1, size.pretrain_epochs // 20),
            "checkpoint_every": size.checkpoint_every,
        }
        recipe = recipe_of(context, "shad_tiny_pretrain.yaml", PretrainRecipe, settings)
        final = pretrain(recipe, context.store("internal"), context.contrastive(batch))
        last = load_model(final).card.provenance
        return [
            {"arm": f"contrastive, batch {batch}", "data": "internal", "metric": name, "value": last[name]}
            for name in ("last_loss", "last_val")
            if name in last
        ]

    return Step(f"pretrain_b{batch}", ("splits",), work)


def lvef_step(size: Size, arm: str, batch: int | None, share: float, seed: int, *, everything: bool) -> Step:
    name = f"lvef_{arm.replace(', ', '_').replace(' ', '_')}_{share:g}_{seed}"
    needs = ("splits",) if batch is None else (f"pretrain_b{batch}",)

    def work(context: Context) -> list[Row]:
        weights = None if batch is None else context.contrastive(batch) / "final"
        final = train_lvef(context, name, weights, share, seed, everything=everything)
        sets = ["internal", *EXTERNAL] if share == 1.0 and seed == 0 else ["internal"]
        rows = [row for data in sets for row in lvef_rows(context, final, data)]
        return [{**row, "arm": arm, "labels": share, "seed": seed} for row in rows]

    return Step(name, needs, work)


def condition_step(arm: str, batch: int | None, *, each: bool = False) -> Step:
    """AUROC of every condition, internal and external."""
    name = f"conditions_{arm.replace(', ', '_').replace(' ', '_')}"

    def work(context: Context) -> list[Row]:
        weights = None if batch is None else str(context.contrastive(batch) / "final")
        settings = {
            "weights": weights or context.size.weights,
            "each": each,
            "optimiser.epochs": max(2, context.size.head_epochs * (15 if each else 60) // 100),
        }
        recipe = recipe_of(context, "shad_tiny_diagnoses.yaml", FinetuneRecipe, settings)
        final = finetune(recipe, context.store("internal"), context.run(name), context.cache)
        model = load_model(final)
        tasks = [task for task, entry in model.card.tasks.items() if entry["kind"] == "classification"]
        columns = [label for task in tasks for label in model.card.tasks[task]["labels"]]
        rows = []
        for data in ("internal", *EXTERNAL):
            keys = context.keys(data)
            scores = outputs(context, model, tasks, data, keys)
            np.savez(context.run(name) / f"scores_{data}.npz", keys=np.array(keys), scores=scores, labels=columns)
            rows += area_rows(context, data, keys, dict(zip(columns, scores.T, strict=True)), "auroc")
        return [{**row, "arm": arm, "labels": 1.0, "seed": 0} for row in rows]

    return Step(name, ("splits",) if batch is None else (f"pretrain_b{batch}",), work)


def area_rows(
    context: Context, data: str, keys: Sequence[str], scores: Mapping[str, np.ndarray], metric: str
) -> list[Row]:
    """AUROC with DeLong limits for every condition, and their mean."""
    labels = context.store(data).labels().loc[list(keys)]
    rows: list[Row] = []
    for condition in CONDITIONS:
        if condition.column not in scores:
            continue
        truth = labels[condition.column].to_numpy(int)
        row: Row = {"data": data, "metric": metric, "condition": condition.name, "n": len(truth)}
        row["positive"] = int(truth.sum())
        if 0 < truth.sum() < len(truth):
            area = stats.auroc(truth, np.asarray(scores[condition.column], float))
            row |= {"value": area.auc, "low": area.low, "high": area.high}
        rows.append(row)
    mean = float(np.mean([row["value"] for row in rows if "value" in row]))
    return [*rows, {"data": data, "metric": f"{metric}_mean", "value": mean, "n": len(keys)}]


def against_baseline_step(arm: str, baseline: str) -> Step:
    """DeLong's p of every condition against the baseline on the same studies, Holm over the conditions."""
    names = [f"conditions_{a.replace(', ', '_').replace(' ', '_')}" for a in (arm, baseline)]

    def work(context: Context) -> list[Row]:
        rows: list[Row] = []
        for data in ("internal", *EXTERNAL):
            ours, theirs = (np.load(context.run(name) / f"scores_{data}.npz") for name in names)
            assert list(ours["keys"]) == list(theirs["keys"])
            labels = context.store(data).labels().loc[list(ours["keys"])]
            found = []
            for condition in CONDITIONS:
                column, truth = condition.column, labels[condition.column].to_numpy(int)
                where = [np.flatnonzero(t["labels"] == column) for t in (ours, theirs)]
                if not 0 < truth.sum() < len(truth) or any(len(w) == 0 for w in where):
                    continue
                a, b = (t["scores"][:, w[0]].astype(float) for t, w in zip((ours, theirs), where, strict=True))
                found.append((condition.name, stats.compare_auroc(truth, a, b), int(truth.sum())))
            adjusted = stats.adjust_p_values({name: pair.p_value for name, pair, _ in found})
            for name, pair, positive in found:
                row = {"data": data, "metric": "auroc_gain", "condition": name, "p": adjusted[name].adjusted}
                row["positive"] = positive
                rows.append({**row, "value": pair.difference, "n": len(labels)})
        return [{**row, "arm": f"{arm} against {baseline}"} for row in rows]

    return Step(f"against_{baseline}", tuple(names), work)


def index_of(context: Context, model: DualEncoder, data: str) -> Any:
    from cardiolens.search import embed_store

    return embed_store(model, context.store(data), list(context.keys(data)), folder=context.cache)


def zero_shot_step(batch: int) -> Step:
    def work(context: Context) -> list[Row]:
        from cardiolens.search import zero_shot

        model = load_model(context.contrastive(batch) / "final")
        rows: list[Row] = []
        for data in ("internal", *EXTERNAL):
            keys = context.keys(data)
            table = zero_shot(model, index_of(context, model, data)).loc[list(keys)]
            scores = {name: table[name].to_numpy(float) for name in table.columns}
            rows += area_rows(context, data, keys, scores, "zero_shot_auroc")
        return [{**row, "arm": f"contrastive, batch {batch}"} for row in rows]

    return Step(f"zero_shot_b{batch}", (f"pretrain_b{batch}",), work)


def retrieval_step(batch: int) -> Step:
    def work(context: Context) -> list[Row]:
        from cardiolens.search import retrieve_reports

        model = load_model(context.contrastive(batch) / "final")
        rows: list[Row] = []
        for data in ("internal", *EXTERNAL):
            found = retrieve_reports(model, index_of(context, model, data), context.store(data))[0]
            for way in ("study_to_report", "report_to_study"):
                ranks = getattr(found, way)
                row: Row = {"data": data, "n": found.n}
                for at, share in ranks.recall.items():
                    limits = {"value": share.value, "low": share.low, "high": share.high}
                    rows.append({**row, "metric": f"{way}_r_at_{at}", **limits})
                rows.append({**row, "metric": f"{way}_median_rank", "value": float(ranks.median_rank)})
        return [{**row, "arm": f"contrastive, batch {batch}"} for row in rows]

    return Step(f"retrieval_b{batch}", (f"pretrain_b{batch}",), work)


def sweep_step(batch: int, target: str) -> Step:
    """Downstream error from every checkpoint of the pretraining."""

    def work(context: Context) -> list[Row]:
        recipe_name = {"lvef": "shad_tiny_lvef.yaml", "conditions": "shad_tiny_diagnoses.yaml"}[target]
        epochs = context.size.head_epochs * (100 if target == "lvef" else 60) // 100
        settings = {"domain": False, "optimiser.epochs": max(2, epochs)}
        if target == "lvef":
            settings["fraction"] = 0.1  # as in the paper
        recipe = recipe_of(context, recipe_name, FinetuneRecipe, settings)
        run = context.contrastive(batch)
        if not checkpoints_of(run):
            return []
        found = sweep(recipe, context.store("internal"), run, context.run(f"sweep_{target}_b{batch}"), context.cache)
        return [
            {"data": f"internal {row['part']}", "metric": f"sweep_{row['metric']}", "value": row["value"]}
            | {"condition": f"epoch {row['epoch']}", "arm": f"contrastive, batch {batch}"}
            for row in found
            if row["part"] in ("val", "test")
        ]

    return Step(f"sweep_{target}_b{batch}", (f"pretrain_b{batch}",), work)


def rescan_step(arm: str, lvef_run: str) -> Step:
    """Two examinations of each patient; what the same patients' truth differs by is given beside it."""

    def work(context: Context) -> list[Row]:
        from cardiolens.stats import rescan_agreement

        store = context.store("rescan")
        labels = store.labels().sort_values(["patient", "session"])
        pred = outputs(context, load_model(context.run(lvef_run) / "final"), ["lvef"], "rescan", list(labels.index))[
            :, 0
        ]
        rows: list[Row] = []
        for what, values in (("predicted", pred.astype(float)), ("true", labels["lvef"].to_numpy(float))):
            first, second = (values[labels["session"].to_numpy(int) == session] for session in (1, 2))
            found = rescan_agreement(first, second)
            figures = {
                "within_subject_cv_pct": (found.cv_pct, None, None),
                "icc_2_1": (found.icc.agreement.value, found.icc.agreement.low, found.icc.agreement.high),
                "rescan_bias": (found.limits.bias, found.limits.low, found.limits.high),
            }
            rows += [
                {"metric": f"{metric}_of_{what}_lvef", "value": v, "low": low, "high": high, "n": len(first)}
                for metric, (v, low, high) in figures.items()
            ]
        return [{**row, "data": "rescan", "arm": arm} for row in rows]

    return Step("rescan", (lvef_run,), work)


def splits_step() -> Step:
    """Render the cohorts, split the internal one, and say what is in them."""

    def work(context: Context) -> list[Row]:
        rows: list[Row] = []
        for data in ("internal", *EXTERNAL):
            labels = context.store(data).labels().loc[list(context.keys(data))]
            for condition in CONDITIONS:
                positive = int(labels[condition.column].sum())
                row = {"data": data, "metric": "positives", "condition": condition.name, "value": positive}
                rows.append({**row, "n": len(labels)})
            rows.append({"data": data, "metric": "lvef_mean", "value": labels["lvef"].mean(), "n": len(labels)})
        return rows

    return Step("splits", (), work)


def plan(size: Size) -> list[Step]:
    """Every step, in the order that one after the other would take."""
    main, *others = size.batches
    steps = [splits_step(), *(pretrain_step(batch) for batch in size.batches)]
    for arm, batch in (("contrastive, frozen", main), ("random, frozen", None)):
        for share in (1.0, 0.1, 0.01):
            for seed in size.seeds if share < 1.0 else size.seeds[:1]:
                steps.append(lvef_step(size, arm, batch, share, seed, everything=False))
    steps += [condition_step("contrastive", main), condition_step("random", None)]
    steps += [against_baseline_step("contrastive", "random"), zero_shot_step(main), retrieval_step(main)]
    steps.append(rescan_step("contrastive, frozen", "lvef_contrastive_frozen_1_0"))
    for batch in others:
        steps += [
            lvef_step(size, f"contrastive batch {batch}, frozen", batch, 1.0, 0, everything=False),
            condition_step(f"contrastive batch {batch}", batch),
            zero_shot_step(batch),
            retrieval_step(batch),
        ]
    steps += [sweep_step(main, "lvef"), sweep_step(main, "conditions")]
    for share in size.end_to_end:
        steps.append(lvef_step(size, "scratch, end to end", None, share, 0, everything=True))
        steps.append(lvef_step(size, "contrastive, end to end", main, share, 0, everything=True))
    return [*steps, condition_step("contrastive, one model each", main, each=True)]


def stamped(context: Context, step: Step, rows: list[Row], seconds: float) -> list[Row]:
    """Rows with what every result file must say; figures rounded."""
    about = {
        "step": step.name,
        "seconds": round(seconds, 1),
        "data_hash": context.store("internal").hash(),
        "split_hash": Split.load(context.downstream).hash,
        "version": __version__,
    }
    rounded = [
        {k: (round(float(v), 5) if isinstance(v, (float, np.floating)) else v) for k, v in row.items()} for row in rows
    ]
    return [{**row, **about} for row in rounded]

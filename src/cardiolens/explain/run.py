"""What `cardiolens explain` does: one study with videos and tables, or a store with tables and figures."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from torch import Tensor

from cardiolens._version import __version__
from cardiolens.errors import CheckpointError, InputError, ReadError
from cardiolens.explain.ablation import Kind, ablate, ablation_effects
from cardiolens.explain.bags import (
    Progress,
    StudyClips,
    clips_of_store,
    clips_of_study,
    outputs_of,
    pool,
    require_trained,
)
from cardiolens.explain.groups import attention_by_condition, attention_table, groups_of
from cardiolens.explain.maps import Align, Wanted, attention_maps, heads_of
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.study import Cine, Study, View

if TYPE_CHECKING:
    from cardiolens.models.dual_encoder import DualEncoder
    from cardiolens.models.mil import GatedAttentionMIL
    from cardiolens.store import StudyStore

log = logging.getLogger(__name__)

_WORDS = "explanation of a model; research use only, not a medical device"
_EVEN = 0.05  # mean relative attention nearer to 1 than this, in every view, is called even
_SECONDS = 3.0  # least length of a video: the beat is repeated


@dataclass(frozen=True)
class Chosen:
    """Which clips of a study to show.

    Attributes:
        view, plane: these alone; None for any.
        every: all that fit, not only the one of each view that the pooling weighs most.
    """

    view: View | None = None
    plane: int | None = None
    every: bool = False


@dataclass(frozen=True, eq=False)
class StudyExplained:
    """What came of one study: the tables, the files written and what the reader should know."""

    attention: pd.DataFrame
    ablation: pd.DataFrame
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StoreExplained:
    """What came of a store.

    Attributes:
        attention: relative attention by condition, view and group; ablation: change of the metric by ablation.
        files: written; skipped: key to reason of the studies left out; notes: what the reader should know.
        n: studies read.
    """

    attention: pd.DataFrame
    ablation: pd.DataFrame
    files: tuple[Path, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n: int = 0


def explain_study(
    model: DualEncoder,
    study: Study,
    key: str,
    out: Path,
    *,
    clips: Chosen | None = None,
    only: Wanted | None = None,
    align: Align = "resize",
    fps: float | None = None,
    progress: Progress = lambda what, done, total: None,
) -> StudyExplained:
    """Attention maps of a study's clips as MP4 and PNG, attention by view, and the view ablation.

    Args:
        model: trained; without heads there are maps alone, and a note says so.
        study: what to explain; key: its pseudonymous name, which stands in the tables.
        out: folder, made where absent.
        clips: which; None for the plane of each view that the first head weighs most (the middle one without a head).
        only: blocks and heads to show, None for all; align: see `maps.to_full`.
        fps: frames of the clip in a second; None for the recorded heart rate, or 16 where it is unknown.

    Raises:
        CheckpointError: random weights.
        InputError: a convolutional encoder, an unknown block or head, or no clip of the view and plane asked for.
        StoreError: nothing can be written to `out`.
    """
    require_trained(model)
    heads_of(model)
    _make(out)
    progress("embedding", 0, 1)
    said, bag = clips_of_study(model, study, key)
    attention, ablation, notes = _tables(model, [said])
    files = []
    at = _choose(said, clips or Chosen(), _weights(model, said))
    for number, place in enumerate(at):
        name = f"{said.views[place]}_{said.planes[place]}"
        progress(name, number, len(at))
        title = f"{said.views[place]} plane {said.planes[place]}, {model.card.full_name}"
        rate = fps if fps is not None else _fps(study.cine(said.views[place]), bag.shape[2])
        files += _pictures(model, bag[place], out / name, title, rate, only, align)
    progress("", len(at), len(at))
    for stem, table in (("attention", attention), ("ablation", ablation)):
        if len(table):
            files.append(_csv(out / f"{stem}.csv", table))
    if not model.heads:
        notes.append(f"{model.card.full_name} has no head, so there is no attention over clips and no ablation")
    files.append(_record(out, model, notes, key=key, clips=[f"{said.views[i]}:{said.planes[i]}" for i in at]))
    return StudyExplained(attention, ablation, tuple(files), tuple(notes))


def explain_store(
    model: DualEncoder,
    store: StudyStore,
    out: Path,
    *,
    keys: Sequence[str] | None = None,
    n_resamples: int = 2000,
    progress: Progress = lambda what, done, total: None,
) -> StoreExplained:
    """Attention by view and condition, and view ablation, over a store with labels.

    Embeddings are kept in `out/cache`; a call that was stopped goes on from there.

    Args:
        keys: studies to take, None for all; best those that the model has not learned from.

    Raises:
        CheckpointError: random weights, or a model without a head.
        ReadError: no study that can be read.
        ReportError: labels that are no labels; where there are none, tables by study alone are written and a note says
            so.
        StoreError: nothing can be written to `out`.
    """
    require_trained(model)
    if not model.heads:
        raise CheckpointError(
            f"{model.card.full_name} has no head, so nothing weighs the clips of a study; "
            "train one with cardiolens finetune, or explain a single study to see the encoder's maps"
        )
    _make(out)
    wanted = list(store.keys() if keys is None else keys)
    studies, skipped = clips_of_store(model, store, wanted, out / "cache", progress)
    if not studies:
        raise ReadError(
            f"{store.path}: none of {len(wanted)} studies could be read: {next(iter(skipped.values()), '')}"
        )
    shares, predictions, notes = _tables(model, studies)
    files = [_csv(out / "attention_per_study.csv", shares), _csv(out / "ablation_per_study.csv", predictions)]
    labels = store.labels()
    if labels.empty:
        notes.append("labels.csv is absent or empty: there are tables by study, and none by condition")
        by_condition, effects = pd.DataFrame(), pd.DataFrame()
    else:
        patients = patients_of(labels, [one.key for one in studies])
        by_condition = _by_condition(model, shares, labels, patients, n_resamples)
        effects = ablation_effects(predictions, labels, patients, _kinds(model), n_resamples=n_resamples)
        files += [_csv(out / "attention_by_condition.csv", by_condition), _csv(out / "ablation.csv", effects)]
        files += _figures(out, model, by_condition, effects)
    told = dict.fromkeys(skipped, "could not be read")
    read = _content(store, [one.key for one in studies])
    files.append(_record(out, model, notes, n=len(studies), skipped=told, studies_sha256=read))
    return StoreExplained(by_condition, effects, tuple(files), skipped, tuple(notes), len(studies))


def patients_of(labels: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """Key to patient: the column `patient` of the labels, where there is none the patient in the key."""
    from cardiolens.datasets.splits import patient_of

    named = labels["patient"].reindex(list(keys)) if "patient" in labels.columns else pd.Series(index=list(keys))
    whose = [patient_of(key) if pd.isna(name) else str(name) for key, name in zip(keys, named, strict=True)]
    return pd.Series(whose, index=list(keys), dtype=str)


def _content(store: StudyStore, keys: Sequence[str]) -> str:
    """SHA-256 over keys and contents of the studies that were read."""
    digest = hashlib.sha256()
    for key in sorted(keys):
        digest.update(f"{key}\0{store.hash_of(key)}\n".encode())
    return digest.hexdigest()


def _make(out: Path) -> None:
    """The folder, tried before anything is computed."""
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()


def _kinds(model: DualEncoder) -> dict[str, Kind]:
    return {name: cast("GatedAttentionMIL", head).config.kind for name, head in model.heads.items()}


def _tables(model: DualEncoder, studies: list[StudyClips]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Attention and ablation of every head, and what to know of them."""
    outputs, notes = outputs_of(model), []
    shares, predictions = [], []
    for name in model.heads:
        shares.append(attention_table(model, name, studies))
        predictions.append(ablate(model, name, studies))
        means = shares[-1].groupby("view")["relative"].mean()
        if len(means) > 1 and (means - 1.0).abs().max() < _EVEN:
            notes.append(
                f"head {name} weighs all views nearly alike (relative attention {means.min():.3f} to "
                f"{means.max():.3f}): its answer is close to that of a plain mean, and the weights tell little"
            )
        if len(outputs[name]) > 1:
            notes.append(
                f"head {name} pools once for its {len(outputs[name])} outputs: the attention is one and the same for "
                "all of them, and conditions differ only in the studies that have them"
            )
    alone = sum(len(set(one.views)) == 1 for one in studies)
    if alone and studies:
        which = f"the study holds {studies[0].views[0]} alone"
        if len(studies) > 1:
            which = f"{alone} of {len(studies)} studies hold one view alone"
        notes.append(f"{which}: there its share of the attention is 1 and no ablation is possible")
    empty = pd.DataFrame()
    return (pd.concat(shares) if shares else empty), (pd.concat(predictions) if predictions else empty), notes


def _weights(model: DualEncoder, said: StudyClips) -> list[float] | None:
    """Weight of each clip in the first head's pooling; None without a head."""
    for name in model.heads:
        answer = pool(model, name, [said])[0]
        return None if answer is None else list(answer.attention)
    return None


def _choose(said: StudyClips, wanted: Chosen, weights: list[float] | None) -> list[int]:
    """Positions in the bag of the clips to show."""
    fits = [
        place
        for place, (view, plane) in enumerate(zip(said.views, said.planes, strict=True))
        if wanted.view in (None, view) and wanted.plane in (None, plane)
    ]
    if not fits:
        have = ", ".join(f"{v} {p}" for v, p in zip(said.views, said.planes, strict=True))
        what = " ".join(str(part) for part in (wanted.view, wanted.plane) if part is not None)
        raise InputError(f"the study has no clip {what}; a model reads view and plane {have}")
    if wanted.every:
        return fits
    best = []
    for view in View:
        own = [place for place in fits if said.views[place] == view]
        if own:
            best.append(own[len(own) // 2] if weights is None else max(own, key=lambda place: weights[place]))
    return best


def _fps(cine: Cine, frames: int) -> float:
    """Frames of a clip in a second, so that a beat lasts as long as it did."""
    cycle = cine.cycle_ms
    return 16.0 if cycle is None else frames * 1000.0 / cycle


def _pictures(
    model: DualEncoder, clip: Tensor, stem: Path, title: str, fps: float, only: Wanted | None, align: Align
) -> list[Path]:
    """Maps, overlay and sheet of one clip."""
    from PIL import Image

    from cardiolens.explain.pictures import contact_sheet, overlay, tiled
    from cardiolens.explain.video import write_mp4

    maps = attention_maps(model, clip.to(model.video_proj.weight.device), only)
    beats = max(1, round(_SECONDS * fps / maps.size[0]))
    paths = [stem.with_name(f"{stem.name}_{what}") for what in ("maps.mp4", "overlay.mp4", "maps.png")]
    write_mp4(paths[0], np.tile(tiled(maps, clip, align=align), (beats, 1, 1, 1)), fps)
    write_mp4(paths[1], np.tile(overlay(maps, clip), (beats, 1, 1, 1)), fps)
    buffer = _png(Image.fromarray(contact_sheet(maps, clip, title=title, align=align)))
    with disk_errors(paths[2]):
        write_whole(paths[2], buffer)
    return paths


def _png(picture: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _by_condition(
    model: DualEncoder, shares: pd.DataFrame, labels: pd.DataFrame, patients: pd.Series, n_resamples: int
) -> pd.DataFrame:
    """`attention_by_condition` of every head: its own conditions, of a measure all that are labelled."""
    kinds, outputs = _kinds(model), outputs_of(model)
    parts = []
    for name in model.heads:
        groups = groups_of(labels, outputs[name] if kinds[name] == "classification" else ())
        parts.append(attention_by_condition(shares[shares["head"] == name], groups, patients, n_resamples=n_resamples))
    return pd.concat(parts)


def _figures(out: Path, model: DualEncoder, by_condition: pd.DataFrame, effects: pd.DataFrame) -> list[Path]:
    """Two figures a head; heads of one condition each share theirs."""
    from cardiolens.explain.figures import ablation_figure, attention_figure, png_of

    kinds, outputs = _kinds(model), outputs_of(model)
    single = [name for name in model.heads if kinds[name] == "classification" and len(outputs[name]) == 1]
    together = {"conditions": single} if len(single) > 1 else {}
    alone = {name: [name] for name in model.heads if not together or name not in single}
    files = []
    for name, heads in {**alone, **together}.items():
        what = f"{name}, {model.card.full_name}"
        drawn = (
            ("attention", attention_figure, by_condition, f"Relative attention by view: {what}"),
            ("ablation", ablation_figure, effects, f"View ablation: {what}"),
        )
        for stem, draw, table, title in drawn:
            part = table[table["head"].isin(heads)]
            if len(part):
                path = out / f"{stem}_{name}.png"
                with disk_errors(path):
                    write_whole(path, png_of(draw(part, title)))
                files.append(path)
    return files


def _csv(path: Path, table: pd.DataFrame) -> Path:
    with disk_errors(path):
        write_whole(path, table.to_csv(index=False, float_format="%.6g").encode())
    return path


def _record(out: Path, model: DualEncoder, notes: list[str], **more: Any) -> Path:
    path = out / "explain.json"
    fields = {
        "what": _WORDS,
        "version": __version__,
        "model": model.card.full_name,
        "weights_sha256": model.card.sha256 or model.card.provenance.get("file_sha256"),
        "transform": model.card.transform,
        **more,
        "notes": notes,
    }
    with disk_errors(path):
        write_whole(path, (json.dumps(fields, indent=1) + "\n").encode())
    return path

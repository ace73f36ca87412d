"""What a reader would draw on a phantom study: masks and landmarks at ED and ES, kept in the store beside it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from cardiolens.annotation import Annotation
from cardiolens.errors import PhantomError
from cardiolens.phantom.folder import Progress, read_record
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.truth.curves import curves_of
from cardiolens.phantom.truth.on_images import MASK_LABELS, landmarks, masks, phases_of
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View


def annotate(parameters: HeartParameters, study: Study) -> dict[View, Annotation]:
    """Masks of every view, and landmarks of those that cut valve and apex, at the phases of greatest and least LV
    volume; taken from the anatomy, not from the pixels."""
    return {cine.view: _annotate(parameters, cine) for cine in study.cines}


def _annotate(parameters: HeartParameters, cine: Cine) -> Annotation:
    beat = phases_of(parameters, cine)[cine.n_slices // 2]
    volume = curves_of(parameters, beat).lv_ml
    ed, es = int(np.argmax(volume)), int(np.argmin(volume))
    phases = sorted({ed, es})
    assert cine.trigger_times_ms is not None  # noqa: S101 - phases_of has refused a cine without
    grid = np.zeros((cine.n_slices, len(phases), *cine.shape[2:]), dtype=np.uint8)
    two = replace(cine, frames=grid, trigger_times_ms=cine.trigger_times_ms[:, phases])
    points = landmarks(parameters, two)
    seen = all(np.isfinite(values).any() for values in points.values())
    return Annotation(
        phases=tuple(phases),
        labels=masks(parameters, two),
        structures=tuple(MASK_LABELS),
        ed=ed,
        es=es,
        landmarks=points if seen else {},
        source="phantom",
    )


def annotate_cohort(folder: str | Path, progress: Progress | None = None, keys: Collection[str] | None = None) -> int:
    """Write the masks of a store of phantom patients that was rendered without; gives how many were written.

    Studies that have masks are left alone, so a run that was stopped goes on.

    Args:
        progress: called with (done, of how many).
        keys: of the studies wanted; None for all.

    Raises:
        PhantomError: no such cohort, or a study without its truth.
        StoreError: the store cannot be written.
    """
    truth = Path(folder) / "truth"
    if not truth.is_dir():
        raise PhantomError(f"{folder}: no truth/ here; this is no store of phantom patients")
    store, written = StudyStore(folder, mode="a"), 0
    records = [read_record(path, "this study") for path in sorted(truth.glob("*.json"))]
    records = [record for record in records if keys is None or record["key"] in keys]
    for done, record in enumerate(records, start=1):
        if not store.annotations(record["key"]):
            parameters = HeartParameters.from_dict(record["parameters"])
            store.annotate(record["key"], annotate(parameters, store.read(record["key"])))
            written += 1
        if progress is not None:
            progress(done, len(records))
    return written

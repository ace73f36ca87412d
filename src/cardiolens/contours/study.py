"""A `Study` in, a `SegmentResult` out: masks of every view that can be drawn, corrections laid over them, measures."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cardiolens._version import __version__
from cardiolens.errors import CardiolensError, InputError, NoCineError, ReadError
from cardiolens.measures import Measures, correct, measure
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.models.card import Card

Progress = Callable[[str, int, int], None]
"""Called with what is done now, how many are done, and of how many."""

_VENTRICLES = ("LV cavity", "RV cavity")


class SegmenterLike(Protocol):
    """Draws structures on a study: the bundled model, another one, or a phantom's truth."""

    def __call__(
        self, study: Study, views: Sequence[View] | None = None, *, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Segmentation, ...]: ...


@dataclass(frozen=True)
class Correction:
    """A mask file that a person changed.

    Attributes:
        view: whose it is.
        path: NIfTI on the grid of the cine, with every phase, or with one.
        phase: from 0, where the file holds one phase alone.
        sha256: of the file.
    """

    view: View
    path: Path
    phase: int | None
    sha256: str


@dataclass(frozen=True)
class Change:
    """What a person changed, and from what.

    Attributes:
        what: "contours", "ed_phase" or "es_phase".
        words: in a sentence.
        facts: for JSON.
    """

    what: str
    words: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What was drawn and measured on one study.

    Attributes:
        segmentations: in the order of the views; where a person corrected one, theirs.
        automatic: as the model drew them, for the views that were corrected.
        measures: of `segmentations`, at the phases that a person chose, else at those found.
        before: of what the model drew and the phases found, where anything was changed; None without changes.
        changes: by a person.
        skipped: view to the reason why nothing was drawn on it.
        provenance: versions, model, hashes.
        notes: what was found and done, those of the measures among them.
        timing_s: seconds a stage took.
    """

    segmentations: tuple[Segmentation, ...]
    automatic: tuple[Segmentation, ...]
    measures: Measures
    before: Measures | None
    changes: tuple[Change, ...]
    skipped: Mapping[str, str]
    provenance: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    timing_s: Mapping[str, float] = field(default_factory=dict, repr=False)

    def segmentation(self, view: View | str) -> Segmentation | None:
        """That of a view; None where nothing was drawn."""
        return next((one for one in self.segmentations if one.view == view), None)

    @property
    def known_error(self) -> tuple[str, ...]:
        """How far the LVEF of the model's contours was off where that was measured, a sentence a data set."""
        return tuple(
            f"Tested on {one['n']} {one['on']}: LVEF {one['mae']:.0f} points off on average "
            f"(bias {one['bias']:+.0f}, at most {one['most']:.0f})."
            for one in self.provenance.get("lvef_error", ())
        )

    @property
    def worst(self) -> str | None:
        """The gravest severity among the flags; None without flags."""
        found = {flag.severity for flag in self.measures.flags}
        return next((level for level in ("error", "warning", "info") if level in found), None)


def read_correction(path: Path, study: Study, phase: int | None = None) -> Correction:
    """Which view a corrected mask file is of: its name says so, or the study has one view only.

    Raises:
        ReadError: no such file, or no view can be told.
    """
    from cardiolens.io.nifti import view_of_name

    if not path.is_file():
        raise ReadError(f"{path}: there is no such mask file")
    view = view_of_name(path.name)
    if view is None and len(study.cines) == 1:
        view = study.cines[0].view
    if view is None or view not in study.views:
        have = ", ".join(map(str, study.views))
        raise ReadError(f"{path}: its name must hold the view that it is of, one of {have}, as in mask_SAX.nii.gz")
    return Correction(view, path, phase, hashlib.sha256(path.read_bytes()).hexdigest())


def segment_study(
    study: Study,
    segmenter: SegmenterLike,
    *,
    only: Sequence[View] | None = None,
    corrections: Sequence[Correction] = (),
    ed: int | None = None,
    es: int | None = None,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    progress: Progress = lambda what, done, total: None,
) -> SegmentResult:
    """Draw every view that the segmenter knows, lay corrections over, measure.

    A view that cannot be drawn is skipped with its reason; the others go on.

    Args:
        only: these views alone, None for all.
        corrections: at most one a view; take the place of what the model drew.
        ed, es: phases (from 0) of the short-axis cine that a person chose.
        height_cm, weight_kg: for indexed values; sex and age are the study's.

    Raises:
        NoCineError: no cine, or a view in `only` that the study does not hold.
        ReadError: nothing could be drawn, or no ventricle was found anywhere; every reason is named.
        InputError: phases or sizes that cannot be; two corrections of one view; ED and ES chosen without a short axis.
    """
    views = _views(study, only)
    if len({one.view for one in corrections}) < len(corrections):
        raise InputError("two corrections of one view; give one a view")
    if (ed is not None or es is not None) and View.SAX not in views:
        raise InputError("ED and ES are phases of the short-axis cine, which is not drawn here")
    started = time.perf_counter()
    drawn, skipped = _draw(study, segmenter, views, progress)
    found = time.perf_counter()
    kept, changes = _corrected(study, drawn, corrections, views)
    if not kept:
        reasons = "; ".join(f"{view}: {reason}" for view, reason in skipped.items())
        raise ReadError(f"nothing could be drawn on this study: {reasons}")
    facts = {"sex": study.sex, "age": study.age, "height_cm": height_cm, "weight_kg": weight_kg}
    measures, empty = _measured(kept, ed=ed, es=es, **facts)
    before = None
    if changes or ed is not None or es is not None:
        before = _measured(drawn, **facts)[0] if _drawn_anywhere(drawn) else None
        changes += _chosen(measures, before, ed, es)
    return SegmentResult(
        segmentations=kept,
        automatic=tuple(one for one in drawn if one.view in {correction.view for correction in corrections}),
        measures=measures,
        before=before,
        changes=tuple(changes),
        skipped=skipped,
        provenance=_provenance(study, segmenter, kept, corrections),
        notes=(*empty, *measures.notes),
        timing_s={"draw": round(found - started, 3), "measure": round(time.perf_counter() - found, 3)},
    )


def _views(study: Study, only: Sequence[View] | None) -> tuple[View, ...]:
    """The views to draw, in the order of the study."""
    if not study.cines:
        refused = "; ".join(f"{r.series}: {r.reason}" for r in study.refused) or "no series at all"
        raise NoCineError(f"no cine of a standard view to segment ({refused}); check with cardiolens views")
    lost = [str(view) for view in only or () if view not in study.views]
    if lost:
        raise NoCineError(f"no {', '.join(lost)} in this study, which has {', '.join(map(str, study.views))}")
    return tuple(view for view in study.views if only is None or view in only)


def _draw(
    study: Study, segmenter: SegmenterLike, views: Sequence[View], progress: Progress
) -> tuple[tuple[Segmentation, ...], dict[str, str]]:
    """What the segmenter draws, a view at a time, and why it drew nothing on others."""
    drawn: list[Segmentation] = []
    skipped: dict[str, str] = {}
    for view in views:

        def told(done: int, total: int, view: View = view) -> None:
            progress(f"drawing {view}", done, total)

        told(0, 0)
        try:
            found = [one for one in segmenter(study, (view,), progress=told) if one.view == view]
        except CardiolensError as error:
            skipped[str(view)] = str(error)
            continue
        if found:
            drawn += found
        else:
            skipped[str(view)] = "the model does not draw this view"
    return tuple(drawn), skipped


def _corrected(
    study: Study, drawn: Sequence[Segmentation], corrections: Sequence[Correction], views: Sequence[View]
) -> tuple[tuple[Segmentation, ...], list[Change]]:
    """The segmentations to measure, and what changed."""
    by_view = {one.view: one for one in drawn}
    changes = []
    for correction in corrections:
        if correction.view not in views:
            raise InputError(f"{correction.path.name}: a correction of {correction.view}, which is not drawn here")
        auto = by_view.get(correction.view)
        cine = study.cine(correction.view)
        start = auto or Segmentation(cine, np.zeros(cine.shape, np.uint8))
        phases = None if correction.phase is None else [correction.phase]
        by_person = correct(start, correction.path, phases=phases)
        notes = tuple(note.replace(correction.path.name, "a mask file") for note in by_person.notes)  # may be a name
        # A model's confidence says nothing of what a person drew.
        by_view[correction.view] = by_person = replace(by_person, confidence=None, notes=notes)
        changes.append(_change(auto, by_person, correction))
    return tuple(by_view[view] for view in View if view in by_view), changes


def _change(auto: Segmentation | None, person: Segmentation, correction: Correction) -> Change:
    view = correction.view
    facts: dict[str, Any] = {"view": str(view), "file_sha256": correction.sha256}
    if auto is None:
        return Change("contours", f"{view}: contours given by a person; the model had drawn none", facts)
    off = auto.labels != person.labels
    planes, phases = np.flatnonzero(off.any((1, 2, 3))), np.flatnonzero(off.any((0, 2, 3)))
    facts |= {
        "voxels_changed": int(off.sum()),
        "planes_from_1": (planes + 1).tolist(),
        "phases_from_1": (phases + 1).tolist(),
        "voxels_by_structure": {
            name: {"model": int(auto.counts(name).sum()), "person": int(person.counts(name).sum())}
            for name in auto.structures
        },
    }
    if not off.any():
        return Change("contours", f"{view}: the mask file given is what the model drew; nothing is changed", facts)
    words = f"{view}: a person changed {int(off.sum())} pixels on {len(planes)} planes at {len(phases)} phases"
    return Change("contours", words, facts)


def _chosen(measures: Measures, before: Measures | None, ed: int | None, es: int | None) -> list[Change]:
    """Phases that a person chose."""
    out = []
    for name, given in (("ed_phase", ed), ("es_phase", es)):
        if given is None:
            continue
        found = getattr(before, name) if before is not None else None
        was = "none was found" if found is None else f"phase {found + 1} was found"
        words = f"{name[:2].upper()} set to phase {given + 1} by a person ({was})"
        facts = {"was_from_1": None if found is None else found + 1, "is_from_1": getattr(measures, name) + 1}
        out.append(Change(name, words, facts))
    return out


def _measured(segmentations: Sequence[Segmentation], **facts: Any) -> tuple[Measures, tuple[str, ...]]:
    """Measures of the views in which a ventricle was found, and a note on each of the others."""
    empty = [one for one in segmentations if not _holds_ventricle(one)]
    if len(empty) == len(segmentations):
        looked = ", ".join(str(one.view) for one in segmentations)
        raise ReadError(
            f"no ventricle was found in any plane of {looked}, so nothing is measured; look at the images, or give "
            "contours of your own (--corrected)"
        )
    notes = tuple(f"{one.view}: no ventricle found in any plane; not measured" for one in empty)
    return measure([one for one in segmentations if one not in empty], **facts), notes


def _holds_ventricle(segmentation: Segmentation) -> bool:
    return bool(np.isin(segmentation.labels, [STRUCTURES[name] for name in _VENTRICLES]).any())


def _drawn_anywhere(segmentations: Sequence[Segmentation]) -> bool:
    return any(map(_holds_ventricle, segmentations))


def _provenance(
    study: Study, segmenter: SegmenterLike, kept: Sequence[Segmentation], corrections: Sequence[Correction]
) -> dict[str, Any]:
    from cardiolens.inference import study_hash

    card: Card | None = getattr(segmenter, "card", None)
    return {
        "cardiolens": __version__,
        "model": card.full_name if card is not None else kept[0].source,
        "weights_sha256": card.sha256 if card is not None else None,
        "lvef_error": card.tasks.get("lvef", {}).get("measured", []) if card is not None else [],
        "study_sha256": study_hash(study),
        "drawn_by": {str(one.view): one.source for one in kept},
        "labels_sha256": {str(one.view): hashlib.sha256(one.labels.tobytes()).hexdigest() for one in kept},
        "corrections_sha256": {str(one.view): one.sha256 for one in corrections},
    }


__all__ = ["Change", "Correction", "Progress", "SegmentResult", "SegmenterLike", "read_correction", "segment_study"]

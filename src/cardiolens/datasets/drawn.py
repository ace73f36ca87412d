"""A data set's masks beside its cines in a store, where training finds them (`StudyStore.annotate`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cardiolens.annotation import Annotation
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import Case, Dataset, Remark
from cardiolens.errors import CardiolensError
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View

Told = Callable[[int, int], None]


def annotate_cases(
    store: StudyStore, dataset: Dataset, cases: Sequence[Case], keys: Mapping[str, str], told: Told
) -> tuple[tuple[str, ...], tuple[Remark, ...]]:
    """Put the masks of these cases beside their studies; those that have some already are left as they are.

    Args:
        keys: case name to store key.
        told: called with how many cases are done, and of how many.

    Returns:
        keys of the studies with masks, and why others have none.
    """
    if dataset.masks is None:
        return (), ()
    with_masks, remarks = [], []
    mine = [case for case in cases if case.name in keys]
    for number, case in enumerate(mine):
        told(number, len(mine))
        key = keys[case.name]
        try:
            if not store.annotations(key):
                found, amiss = annotations_of(dataset.masks(case), store.read(key), dataset.name)
                remarks += [Remark(case.name, what) for what in amiss]
                if not found:
                    continue
                store.annotate(key, found)
        except CardiolensError as error:
            remarks.append(Remark(case.name, "no usable masks", str(error)))
            continue
        with_masks.append(key)
    told(len(mine), len(mine))
    return tuple(with_masks), tuple(remarks)


def annotations_of(
    drawn: Sequence[LabelledFrames], study: Study, source: str
) -> tuple[dict[View, Annotation], list[str]]:
    """Masks on the phases of a study's cines that show the very pixels they were drawn on.

    Returns:
        by view, and what could not be taken over.
    """
    found: dict[View, Annotation] = {}
    amiss = [] if drawn else ["no masks published"]
    for view in dict.fromkeys(one.cine.view for one in drawn):
        placed: dict[int, tuple[npt.NDArray[np.uint8], str]] = {}
        own = [one for one in drawn if one.cine.view == view and one.sequence in ("cine", "bSSFP still")]
        structures = {one.structures for one in own}
        if view not in study.views or not own:
            amiss.append("masks of images that are no cine in the store")
            continue
        if len(structures) > 1 or any(one.drawn is not None and not one.drawn.all() for one in own):
            amiss.append("masks on some planes or structures only (datasets.masks.load_masks gives them)")
            continue
        for one in own:
            labels = one.segmentation().labels
            for at, phase in enumerate(_phases(one, study.cine(view))):
                if phase is not None:
                    placed[phase] = labels[:, at], one.names[at]
        if not placed:
            amiss.append("masks of other pixels than the cine in the store")
            continue
        phases = tuple(sorted(placed))
        ends = {name: phase for phase, (_, name) in placed.items()}
        found[view] = Annotation(
            phases,
            np.stack([placed[phase][0] for phase in phases], axis=1),
            own[0].segmentation().structures,
            ed=ends.get("ED"),
            es=ends.get("ES"),
            source=source,
        )
    return found, amiss


def _phases(one: LabelledFrames, cine: Cine) -> list[int | None]:
    """For each phase drawn the phase of the cine that shows the same pixels; of several equal ones the one named."""
    shown, frames = one.frames(), cine.frames
    if frames.shape[0] != shown.shape[0] or frames.shape[2:] != shown.shape[2:]:
        return [None] * len(one.phases)
    found: list[int | None] = []
    for at, named in enumerate(one.phases):
        same = [t for t in range(cine.n_phases) if np.array_equal(frames[:, t], shown[:, at])]
        found.append(named if named in same else same[0] if same else None)
    return found

"""Masks of any data set that has them, by one call.

>>> from cardiolens.datasets.masks import each_labelled
>>> skipped = []
>>> for case, frames in each_labelled("mnms", "OpenDataset", skipped, part="train"):      # doctest: +SKIP
...     for one in frames:
...         one.frames(), one.labels, one.names, one.cine.spacing_mm
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cardiolens.datasets.catalogue import DATASETS, find_dataset
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import NO_OPTIONS, Case, Options, Remark
from cardiolens.errors import CardiolensError, InputError

WITH_MASKS = tuple(name for name, dataset in DATASETS.items() if dataset.masks is not None)
"""Names of the data sets that `load_masks` knows."""


def load_masks(dataset: str, case: Case) -> list[LabelledFrames]:
    """What was drawn on one case, one entry a view and sequence.

    Where less was drawn at end-systole than at end-diastole (Sunnybrook), each has an entry of its own.

    Args:
        dataset: name; case: of `find_dataset(dataset).look_through(folder).cases`.

    Returns:
        Empty for a case whose publisher keeps its masks back.

    Raises:
        InputError: a data set without masks.
        ReadError: files that are absent, damaged or hold unknown labels.
        GeometryError: masks that do not lie on their images.
    """
    read = find_dataset(dataset).masks
    if read is None:
        raise InputError(f"{dataset} has no masks; those that do are {', '.join(WITH_MASKS)}")
    return read(case)


def each_labelled(
    dataset: str,
    folder: str | Path,
    skipped: list[Remark],
    *,
    part: str | None = None,
    options: Options = NO_OPTIONS,
) -> Iterator[tuple[Case, list[LabelledFrames]]]:
    """Every case of a copy with what was drawn on it.

    Args:
        skipped: takes a remark for each case that is left out; see `layout.tally`.
        part: "train", "val" or "test" of the official split; None for all.

    Raises:
        InputError: a data set without masks or without that part.
        ReadError: nothing of it in the folder.
    """
    found = find_dataset(dataset).look_through(folder, options)
    skipped += found.skipped
    cases = [case for case in found.cases if part is None or case.part == part]
    if not cases and found.cases:
        raise InputError(f"{dataset}: no case of the part {part!r} in {folder}")
    for case in cases:
        try:
            frames = load_masks(dataset, case)
        except InputError:
            raise
        except CardiolensError as error:
            skipped.append(Remark(case.name, "no usable masks", str(error)))
            continue
        if frames:
            yield case, frames
        else:
            skipped.append(Remark(case.name, "no masks published"))

"""DICOM of a case whose data set says which series shows what → one `Study`.

The pixels of a named view are still checked by the reader (is it a cine, do its planes belong together); only the name
of the view is taken from the data set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cardiolens.errors import ReadError
from cardiolens.study import Cine, Refusal, Study, View

if TYPE_CHECKING:
    from cardiolens.dicom.headers import Frame

Group = str
"""A series as the data set names it: a folder or a description."""


@dataclass
class _Drawer:
    """Cines and refusals as they come."""

    found: list[Study] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    best: dict[View, Cine] = field(default_factory=dict)

    def take(self, study: Study) -> None:
        """Keep what a reading gave."""
        self.found.append(study)
        self.refused += study.refused
        for cine in study.cines:
            self._offer(cine)

    def _offer(self, cine: Cine) -> None:
        """Of two cines of a view the one with more planes is kept, then with more phases, then the later."""
        held = self.best.get(cine.view)
        if held is None:
            self.best[cine.view] = cine
            return
        worse, better = sorted((held, cine), key=lambda each: each.shape[:2])
        self.best[cine.view] = better
        self.refused.append(Refusal(worse.source, f"another {cine.view} is kept: {better.source}"))


def assemble(
    paths: Sequence[str],
    group_of: Callable[[Frame], Group | None],
    view_of: Callable[[Group], View | None],
    *,
    not_named: str,
) -> Study:
    """Read the files of one case.

    Args:
        paths: files or archives.
        group_of: the data set's name of the series of a frame; None to leave it out.
        view_of: what a series of that name shows; None when its name does not tell, and geometry decides.
        not_named: reason for what `group_of` leaves out.

    Raises:
        ReadError: nothing to read in the files, or a damaged archive.
    """
    from cardiolens.dicom.scan import scan

    found = scan(list(paths), workers=1)
    groups: dict[Group, list[Frame]] = {}
    left_out: dict[str, set[str]] = {}
    for frame in (frame for frames in found.studies.values() for frame in frames):
        name = group_of(frame)
        if name is None:
            series = frame.file.texts["SeriesDescription"] or "series without a description"
            left_out.setdefault(series, set()).add(frame.file.ref.name)
        else:
            groups.setdefault(name, []).append(frame)
    drawer = _Drawer()
    for view in View:
        _read_view(drawer, view, {name: groups[name] for name in groups if view_of(name) is view}, found.notes)
    unnamed = [frame for name in groups if view_of(name) is None for frame in groups[name]]
    if unnamed:
        for study in _read(unnamed, None, found.notes):
            drawer.take(dataclasses.replace(study, cines=tuple(c for c in study.cines if c.view not in drawer.best)))
    drawer.refused += [Refusal(name, not_named, len(files)) for name, files in sorted(left_out.items())]
    if not drawer.found and not drawer.refused:
        raise ReadError(f"{paths[0]}: no DICOM image in {len(paths)} files ({'; '.join(found.notes) or 'none read'})")
    return _merged(drawer, found.notes, len(found.studies))


def _read_view(drawer: _Drawer, view: View, groups: dict[Group, list[Frame]], notes: Sequence[str]) -> None:
    """All series of a view as one cine; series by series where they do not fit together."""
    if not groups:
        return
    frames = [frame for some in groups.values() for frame in some]
    try:
        together = _read(frames, view, notes)
    except ReadError:  # several cines of this view
        together = []
    for study in together:
        drawer.take(study)
    if together:
        return
    by_geometry = _read(frames, None, notes)
    if any(cine.view is view for study in by_geometry for cine in study.cines):
        for study in by_geometry:
            drawer.take(dataclasses.replace(study, cines=tuple(c for c in study.cines if c.view is view)))
        return
    for some in groups.values():
        for series in _by_series(some):
            for study in _read(series, view, notes):
                drawer.take(study)


def _by_series(frames: Sequence[Frame]) -> list[list[Frame]]:
    series: dict[tuple[str, tuple[float, ...] | None, int], list[Frame]] = {}
    for frame in frames:
        series.setdefault((frame.file.texts["SeriesInstanceUID"], frame.spacing, frame.file.rows), []).append(frame)
    return list(series.values())


def _read(frames: Sequence[Frame], view: View | None, notes: Sequence[str]) -> list[Study]:
    """The frames of one case as one study, whatever study UIDs they carry."""
    from cardiolens.dicom.read import examine
    from cardiolens.dicom.scan import Scan

    uid = frames[0].file.texts["StudyInstanceUID"]
    return [examination.study for examination in examine(Scan({uid: list(frames)}, notes=list(notes)), view)]


def _merged(drawer: _Drawer, notes: Sequence[str], n_studies: int) -> Study:
    cines = []
    for cine in drawer.best.values():
        if blank(cine):
            drawer.refused.append(Refusal(cine.source, "every pixel has the same value"))
        else:
            cines.append(cine)
    told = list(dict.fromkeys([*notes, *(note for study in drawer.found for note in study.notes)]))
    if n_studies > 1:
        told.append(f"{n_studies} StudyInstanceUID in one case of the data set; read as one study")
    first = drawer.found[0] if drawer.found else Study(())
    return dataclasses.replace(
        first,
        cines=tuple(cines),
        refused=tuple(dict.fromkeys(drawer.refused)),
        notes=tuple(told),
        sex=next((study.sex for study in drawer.found if study.sex), None),
        age=next((study.age for study in drawer.found if study.age), None),
    )


def blank(cine: Cine) -> bool:
    """Whether the whole cine is one grey value.  Reads the pixels."""
    try:
        return bool(np.ptp(cine.frames) == 0)
    except ReadError:  # ingest refuses the cine with the reason
        return False

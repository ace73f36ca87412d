"""What adapters give: a data set described, and the cases found in a copy of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.errors import InputError, ReadError

if TYPE_CHECKING:
    from cardiolens.datasets.labelled import LabelledFrames
    from cardiolens.ingest import Identity, Unit

Label = float | str | None
Seen = Callable[[int], None]
"""Called with how many cases have been looked at."""

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Options:
    """Files beside the images; which of them a data set takes stands in `Dataset.options`.

    Attributes:
        table: CSV of labels or fields.
        reports: CSV of reports.
        exclude: list of cases to leave out; see `exclusions`.
    """

    table: Path | None = None
    reports: Path | None = None
    exclude: Path | None = None

    def require_known(self, dataset: Dataset) -> None:
        """Raise `InputError` for a file that this data set has no use for."""
        for each in fields(self):
            if getattr(self, each.name) is not None and each.name not in dataset.options:
                taken = ", ".join(f"--{name}" for name in dataset.options) or "none"
                raise InputError(f"{dataset.name} takes no --{each.name}; it takes {taken}")


NO_OPTIONS = Options()


@dataclass(frozen=True)
class Case:
    """One examination of a data set.

    Attributes:
        name: as the data set calls it; unique in it.
        unit: its files and how they are read.
        identity: which study of the unit.
        labels: in the data set's own names and units; NaN or None where it says nothing.
        part: "train", "val" or "test" of the official split; None where there is none.
    """

    name: str
    unit: Unit
    identity: Identity
    labels: Mapping[str, Label] = field(default_factory=dict)
    part: str | None = None


@dataclass(frozen=True)
class Remark:
    """Something found about a case.

    Attributes:
        case: its name, or what stands for it (a row of a table).
        what: the kind of thing; remarks are counted by it.
        detail: figures and names; may hold identifiers.
    """

    case: str
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Found:
    """A copy of a data set, looked through.

    Attributes:
        cases: to bring in.
        skipped: cases that are left out, each with the reason.
        remarks: what else is amiss: a case without labels, a row for no case.
        reports: texts of those cases that have one.
        withdrawn: patients or accessions that must not be in a store any more.
    """

    cases: tuple[Case, ...]
    skipped: tuple[Remark, ...] = ()
    remarks: tuple[Remark, ...] = ()
    reports: Mapping[Identity, str] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(case.name for case in self.cases).items() if count > 1]
        if twice:
            raise ReadError(f"{len(twice)} cases are there twice, first {twice[0]}; keep one copy of each")

    @property
    def units(self) -> list[Unit]:
        """What ingest reads, each once."""
        return list(dict.fromkeys(case.unit for case in self.cases))


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set as its publisher lays it out.

    Attributes:
        name: by which commands call it; also the site of its studies in a store, unless `own_site`.
        title: as it is called; holds: what is in it.
        licence, source, citation: under what terms, from where, and what to cite.
        layout: the folder tree.
        labels: column of `labels.csv` to its meaning and unit.
        official_split: what the publisher's split is; empty where there is none.
        verified, unverified: what of the layout was checked and against what; what was not.
        options: names in `Options` that it takes.
        public_names: whether case names identify nobody, so that they may stand in a store as they are.
        own_site: whether studies keep the institution of their headers.
        cines: whether it holds cines, which a store takes; stills do not go into one.
        masks: reads what was drawn on a case; None for a set without masks.  Call `masks.load_masks`.
        find: looks through a copy.
    """

    name: str
    title: str
    holds: str
    licence: str
    source: str
    citation: str
    layout: str
    labels: Mapping[str, str]
    official_split: str
    verified: str
    unverified: str
    options: tuple[str, ...]
    public_names: bool
    own_site: bool = False
    cines: bool = True
    masks: Callable[[Case], list[LabelledFrames]] | None = None
    find: Callable[[Path, Options, Seen], Found]

    def look_through(self, folder: str | Path, options: Options = NO_OPTIONS, seen: Seen = lambda n: None) -> Found:
        """The cases in a copy of the data set; headers and tables are read, pixels are not.

        Raises:
            ReadError: no such folder, or nothing in it that looks like this data set.
            ReportError: a table that does not fit.
            InputError: an option that this data set does not take.
        """
        options.require_known(self)
        if not Path(folder).is_dir():
            raise ReadError(f"{folder}: no such folder; give where {self.title} was unpacked")
        return self.find(Path(folder), options, seen)

    def nothing_in(self, folder: Path, hint: str = "") -> ReadError:
        """The error for a folder that holds something else."""
        told = "\n".join(f"    {line}" for line in self.layout.splitlines())
        return ReadError(f"{folder}: nothing of {self.title} found here{hint}. Expected:\n{told}")


def tally(remarks: Sequence[Remark]) -> dict[str, int]:
    """How many of each kind, the most frequent first."""
    return dict(Counter(remark.what for remark in remarks).most_common())

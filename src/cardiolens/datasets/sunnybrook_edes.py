"""Sunnybrook planes at end-diastole and end-systole as PNG, with the LV cavity as mask; spacing is lost.

    images/SC-HF-I-01-IM-0001-0048.dcm.png       grey
    masks/SC-HF-I-01-IM-0001-0048.dcm.png        LV cavity, papillary muscle inside

The last number n tells the plane, (n-1)//20, and the phase, (n-1)%20+1, in a series of 20 phases.  A patient has two
phases; the one with the larger mask sum is end-diastole.  A plane without a file at one of the two had no cavity there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError, ReadError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Cine, View

PHASES = 20
GROUPS = {
    "HF-I": "Heart failure with infarct",
    "HF-NI": "Heart failure without infarct",
    "HYP": "Hypertrophy",
    "N": "Normal",
}
_FILE = re.compile(
    r"(?P<patient>SC-(?P<group>HF-I|HF-NI|HYP|N)-\d+)-IM-\d+-(?P<number>\d+)(\.dcm)?\.png", re.IGNORECASE
)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EdesPatient:
    """The planes of a patient at both ends of the beat.

    Attributes:
        id: as SC-HF-I-01; group: HF-I, HF-NI, HYP or N.
        ed, es: (slice, 1, row, col), without geometry; planes in the order of their numbers.
        ed_mask, es_mask: (slice, 1, row, col) LV cavity.
        ed_planes, es_planes: number of each plane in the series, from 0.
        ed_phase, es_phase: from 1, as the files count.
    """

    id: str
    group: str
    ed: Cine
    es: Cine
    ed_mask: Mask
    es_mask: Mask
    ed_planes: tuple[int, ...]
    es_planes: tuple[int, ...]
    ed_phase: int
    es_phase: int

    @property
    def lvef(self) -> float:
        """LVEF (%) of the masks, 1 - sum at ES / sum at ED: planes are equally far apart, so spacing cancels."""
        return 100.0 * (1.0 - float(self.es_mask.sum()) / float(self.ed_mask.sum()))

    def labelled(self) -> list[LabelledFrames]:
        """End-diastole and end-systole, each a still with its mask."""
        ends = (("ED", self.ed, self.ed_mask), ("ES", self.es, self.es_mask))
        return [
            LabelledFrames(
                cine, (0,), (name,), mask.astype(np.uint8), ("LV cavity",), source=f"sunnybrook_edes {self.id}"
            )
            for name, cine, mask in ends
        ]


def read_edes(folder: str | Path) -> list[EdesPatient]:
    """Every patient of a copy, in the order of their names.

    Raises:
        ReadError: a file that is absent or damaged, or a patient with other than two phases.
        GeometryError: image and mask of different shapes.
    """
    files = _files(Path(folder))
    return [read_patient(Path(folder), patient, numbers) for patient, numbers in files.items()]


def read_patient(folder: Path, patient: str, files: dict[int, str]) -> EdesPatient:
    """One patient; `files` is number to file name.  Raises as `read_edes`."""
    by_phase: dict[int, list[int]] = defaultdict(list)
    for number in sorted(files):
        by_phase[(number - 1) % PHASES + 1].append(number)
    if len(by_phase) != 2:
        raise ReadError(
            f"{folder}: {patient} has images of the phases {sorted(by_phase)}; end-diastole and end-systole are needed"
        )
    ends = [(phase, *_stack(folder, patient, [files[n] for n in numbers])) for phase, numbers in by_phase.items()]
    ends.sort(key=lambda end: int(end[2].sum()), reverse=True)
    (ed_phase, ed, ed_mask), (es_phase, es, es_mask) = ends
    if not ed_mask.any():
        raise ReadError(f"{folder}: every mask of {patient} is empty")
    group = _FILE.fullmatch(next(iter(files.values())))
    assert group is not None  # noqa: S101 - it was found by this name
    planes = [tuple((number - 1) // PHASES for number in by_phase[phase]) for phase in (ed_phase, es_phase)]
    return EdesPatient(
        patient, group["group"].upper(), ed, es, ed_mask, es_mask, planes[0], planes[1], ed_phase, es_phase
    )


def _files(folder: Path) -> dict[str, dict[int, str]]:
    """Patient to number to file name.  Raises `ReadError` for an image without mask or the other way round."""
    named = {part: {path.name for path in (folder / part).glob("*.png")} for part in ("images", "masks")}
    alone = sorted(named["images"] ^ named["masks"])
    if alone:
        raise ReadError(f"{folder}: {len(alone)} files are in images or in masks only, first {alone[0]}")
    files: dict[str, dict[int, str]] = defaultdict(dict)
    for name in sorted(named["images"]):
        found = _FILE.fullmatch(name)
        if found is None:
            raise ReadError(f"{folder}: {name} is not named as SC-HF-I-01-IM-0001-0048.dcm.png")
        files[found["patient"].upper()][int(found["number"])] = name
    if not files:
        raise DATASET.nothing_in(folder)
    return dict(files)


def _stack(folder: Path, patient: str, names: list[str]) -> tuple[Cine, Mask]:
    images = [_grey(folder / "images" / name) for name in names]
    masks = [_grey(folder / "masks" / name) for name in names]
    if len({each.shape for each in (*images, *masks)}) != 1:
        raise GeometryError(f"{folder}: images and masks of {patient} have different shapes")
    strange = [name for name, mask in zip(names, masks, strict=True) if len(np.unique(mask)) > 2]
    if strange:
        raise ReadError(f"{folder / 'masks' / strange[0]}: more than two grey values; a mask has two")
    note = "PNG without spacing: measures in mm, ml and g will refuse"
    cine = Cine(View.SAX, np.stack(images)[:, None], source=f"sunnybrook_edes {patient}", notes=(note,))
    return cine, np.stack(masks)[:, None] > 0


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: not a readable image ({error})") from error


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`."""
    paths = [Path(path) for path in case.unit.paths]
    folder = paths[0].parents[1]
    return read_patient(folder, case.name, _files(folder)[case.name]).labelled()


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    cases, skipped = [], []
    for place, (patient, files) in enumerate(_files(folder).items(), start=1):
        seen(place)
        if patient in exclusions.cases:
            skipped.append(Remark(patient, "on the exclusion list"))
            continue
        try:
            found = read_patient(folder, patient, files)
        except (ReadError, GeometryError) as error:
            skipped.append(Remark(patient, "images or masks are damaged or incomplete", str(error)))
            continue
        identity = Identity(f"sunnybrook_edes/{patient}", Pseudonym(patient), Pseudonym(patient))
        paths = tuple(str(folder / "images" / files[number]) for number in sorted(files))
        unit = Unit(paths, (identity,))
        labels: dict[str, Label] = {"case": patient, "Pathology": GROUPS[found.group], "lvef": found.lvef}
        cases.append(Case(patient, unit, identity, labels))
    return Found(tuple(cases), tuple(skipped), withdrawn=exclusions.cases)


DATASET = Dataset(
    name="sunnybrook_edes",
    title="Sunnybrook, planes at end-diastole and end-systole",
    holds="PNG of short-axis planes at ED and ES with the LV cavity; no spacing, no other phases",
    licence="CC0, as the Sunnybrook Cardiac Data that it was made of",
    source="a derivative of the Sunnybrook Cardiac Data, https://www.cardiacatlas.org/sunnybrook-cardiac-data/",
    citation="Radau et al., MIDAS Journal 2009, doi:10.54294/g80ruo",
    layout="""\
images/SC-HF-I-01-IM-0001-0048.dcm.png      the last number n: plane (n-1)//20, phase (n-1)%20+1
masks/SC-HF-I-01-IM-0001-0048.dcm.png       LV cavity""",
    labels={
        "case": "name of the patient",
        "Pathology": "the group in the file names: " + ", ".join(GROUPS.values()),
        "lvef": "LV ejection fraction of the masks, % (derived: 1 - sum at ES / sum at ED)",
    },
    official_split="",
    verified="names, phases, and that the masks are the expert contours filled, on 15 real patients; for two of them "
    "against the contours themselves, pixel by pixel: coordinates count from 0 and the outline itself is inside, so "
    "areas are some 7 % larger than the polygon's",
    unverified="series of other than 20 phases; whether the publisher of the contours counted from 0: the edge of the "
    "blood fits as well when they are moved by a pixel",
    options=("exclude",),
    public_names=True,
    cines=False,
    masks=masks_of,
    find=_find,
)

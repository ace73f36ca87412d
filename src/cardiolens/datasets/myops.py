"""MyoPS 2020: three co-registered short-axis sequences with scar and oedema.  Stills: nothing for a store.

`DATASET.verified` and `DATASET.unverified` say what of the layout was checked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.nifti_labels import read_labels
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import GeometryError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import View

LABELS: Mapping[int, str] = MappingProxyType(
    {500: "LV cavity", 600: "RV cavity", 200: "LV myocardium", 1220: "edema", 2221: "scar"}
)
SEQUENCES: Mapping[str, str] = MappingProxyType({"C0": "bSSFP still", "DE": "LGE", "T2": "T2"})
_MASKS = "train25_myops_gd"
_FILE = re.compile(r"(myops_(training|test)_\d+)_C0\.nii\.gz")


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`: the same masks on each of the three sequences; none for a case of the test set."""
    from cardiolens.io.nifti import read_still

    images = [Path(path) for path in case.unit.paths]
    path = images[0].parents[1] / _MASKS / f"{case.name}_gd.nii.gz"
    if case.part == "test" and not path.is_file():
        return []
    out: list[LabelledFrames] = []
    for image in images:
        still = read_still(str(image), View.SAX)
        if out and still.shape != out[0].cine.shape:
            raise GeometryError(f"{image}: shape {still.shape}, the other sequences have {out[0].cine.shape}")
        sequence = SEQUENCES[image.name.removesuffix(".nii.gz").rpartition("_")[2]]
        labels = read_labels(path, image, still, LABELS)
        names = tuple(LABELS.values())
        out.append(LabelledFrames(still, (0,), ("",), labels, names, sequence=sequence, source=f"myops {case.name}"))
    return out


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    cases, skipped, remarks = [], [], []
    firsts = sorted(path for depth in ("*/*", "*/*/*") for path in folder.glob(depth) if _FILE.fullmatch(path.name))
    for place, first in enumerate(firsts, start=1):
        seen(place)
        found = _FILE.fullmatch(first.name)
        assert found is not None  # noqa: S101 - chosen by this name
        name, part = found[1], {"training": "train", "test": "test"}[found[2]]
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        paths = [first.with_name(f"{name}_{letters}.nii.gz") for letters in SEQUENCES]
        absent = [path.name for path in paths if not path.is_file()]
        if absent:
            skipped.append(Remark(name, "a sequence is absent", ", ".join(absent)))
            continue
        if part == "train" and not (first.parents[1] / _MASKS / f"{name}_gd.nii.gz").is_file():
            remarks.append(Remark(name, f"no mask in {_MASKS}"))
        labels: dict[str, Label] = {"case": name}
        identity = Identity(f"myops/{name}", Pseudonym(name), Pseudonym(name))
        cases.append(Case(name, Unit(tuple(map(str, paths)), (identity,)), identity, labels, part))
    if not cases and not skipped:
        raise DATASET.nothing_in(folder)
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


DATASET = Dataset(
    name="myops",
    title="MyoPS 2020, myocardial pathology segmentation",
    holds="25 cases with masks and 20 without, co-registered bSSFP, late enhancement and T2 as NIfTI; no cine",
    licence="registration with the organisers; the terms of the download hold (not checked here)",
    source="https://zmiclab.github.io/zxh/0/myops20/",
    citation="Li et al., Med Image Anal 2023;87:102808, doi:10.1016/j.media.2023.102808",
    layout="""\
<folder>/train25/myops_training_101_C0.nii.gz, ..._DE.nii.gz, ..._T2.nii.gz      bSSFP, late enhancement, T2
         train25_myops_gd/myops_training_101_gd.nii.gz
         test20/myops_test_201_C0.nii.gz, ...                                    no masks""",
    labels={"case": "name in the files"},
    official_split="training → train, test → test (without masks)",
    verified="folders, file names and labels 500 LV, 600 RV, 200 normal myocardium, 1220 oedema, 2221 scar, "
    "against the publisher's page and the reader of CineMA (github.com/mathpluscode/CineMA, cinema/data/myops2020)",
    unverified="headers of the real NIfTI files; whether masks lie on the grid of all three sequences in every "
    "case (an error tells where they do not)",
    options=("exclude",),
    public_names=True,
    cines=False,
    masks=masks_of,
    find=_find,
)

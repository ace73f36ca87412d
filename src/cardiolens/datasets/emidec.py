"""EMIDEC: late-enhancement stacks after infarction with infarct and no-reflow.  Stills: nothing for a store.

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
from cardiolens.datasets.tables import number
from cardiolens.dicom.deid import Pseudonym
from cardiolens.errors import ReadError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import View

LABELS: Mapping[int, str] = MappingProxyType({1: "LV cavity", 2: "LV myocardium", 3: "scar", 4: "no-reflow"})
_CASE = re.compile(r"Case_([NMP]?\d+)")
_TEXTS = ("Sex", "Overweight", "Arterial hypertension", "Diabetes", "Familial history of coronary artery disease")
_NUMBERS = ("Age", "Tobacco", "Troponin", "Killip Max", "FEVG", "NTProBNP")
_YES_NO = "ECG (ST +)"


def read_facts(path: Path) -> dict[str, Label]:
    """Clinical facts, one "key : value" a line; NaN or None where it says nothing.

    The published files mix encodings in the spaces after a key, so what is not ASCII is left out.

    Raises:
        ReadError: not readable, or without sex and age.
    """
    try:
        text = path.read_bytes().decode("ascii", errors="ignore")
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error})") from error
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    if not {"Sex", "Age"} <= set(said):
        raise ReadError(f"{path}: no Sex and Age in it; `Age : 70` is expected")
    facts: dict[str, Label] = {key: said.get(key) or None for key in (*_TEXTS, _YES_NO)}
    for key in _NUMBERS:
        value = number(said.get(key, "").replace(",", "."))
        if value is None:
            raise ReadError(f"{path}: {key} is {said[key]!r}, not a number")
        facts[key] = value
    return facts


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`; none for a case of the test set."""
    from cardiolens.io.nifti import read_still

    image = Path(case.unit.paths[0])
    path = image.parents[1] / "Contours" / image.name
    if not path.parent.is_dir():
        return []
    still = read_still(str(image), View.SAX)
    labels = read_labels(path, image, still, LABELS)
    names = tuple(LABELS.values())
    return [LabelledFrames(still, (0,), ("",), labels, names, sequence="LGE", source=f"emidec {case.name}")]


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    cases, skipped, remarks = [], [], []
    for place, top in enumerate(_folders(folder), start=1):
        seen(place)
        name = top.name.removeprefix("Case_")
        image = top / "Images" / f"{top.name}.nii.gz"
        if name in exclusions.cases:
            skipped.append(Remark(name, "on the exclusion list"))
            continue
        if not image.is_file():
            skipped.append(Remark(name, "no image", str(image)))
            continue
        labels: dict[str, Label] = {"case": name}
        if name[0] in "NMP":
            labels["pathology"] = "normal" if name[0] == "N" else "infarction"
        try:
            facts = read_facts(top.parent / f"Case {name}.txt")
            sex = facts["Sex"] if facts["Sex"] in ("F", "M") else None
            labels |= {**facts, "age": facts["Age"], "sex": sex}
        except ReadError as error:
            remarks.append(Remark(name, "no usable text file: clinical facts are missing", str(error)))
        has_masks = (top / "Contours").is_dir()
        if not has_masks:
            remarks.append(Remark(name, "no Contours: a case of the test set"))
        identity = Identity(f"emidec/{name}", Pseudonym(name), Pseudonym(name))
        cases.append(Case(name, Unit((str(image),), (identity,)), identity, labels, "train" if has_masks else "test"))
    if not cases and not skipped:
        raise DATASET.nothing_in(folder)
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


def _folders(folder: Path) -> list[Path]:
    """Folders of cases, straight in the folder or one deeper."""
    found = [path for depth in ("Case_*", "*/Case_*") for path in folder.glob(depth)]
    return sorted(path for path in found if path.is_dir() and _CASE.fullmatch(path.name))


DATASET = Dataset(
    name="emidec",
    title="EMIDEC, late enhancement after myocardial infarction",
    holds="100 cases with masks (33 normal, 67 with infarct) and 50 without, late-enhancement stacks as NIfTI; no cine",
    licence="the terms of the download hold (not checked here)",
    source="https://emidec.com/dataset",
    citation="Lalande et al., Data 2020;5:89, doi:10.3390/data5040089",
    layout="""\
emidec-dataset-1.0.1/Case N006.txt                            Sex, Age, Tobacco, ..., one "key : value" a line
                     Case_N006/Images/Case_N006.nii.gz        N normal, P pathological
                     Case_N006/Contours/Case_N006.nii.gz      absent in the test set""",
    labels={
        "case": "letter and number",
        "pathology": "normal or infarction, by the letter",
        **dict.fromkeys((*_TEXTS[1:], _YES_NO), "as in the text file: Y or N"),
        "Sex": "F or M",
        "Age": "years",
        "Tobacco": "1 smoker, 2 not, 3 former",
        "Troponin": "as in the text file, no unit told",
        "Killip Max": "1 to 4",
        "FEVG": "LV ejection fraction by echocardiography, %",
        "NTProBNP": "as in the text file, no unit told",
        "age, sex": "the same under the names that all sets share",
    },
    official_split="with Contours → train, without → test (the publisher keeps those masks)",
    verified="folders, file names, labels 1 cavity, 2 normal myocardium, 3 infarct, 4 no-reflow, and the text file, "
    "against the publisher's page and the reader of CineMA (github.com/mathpluscode/CineMA, cinema/data/emidec)",
    unverified="headers of the real NIfTI files; encoding of the text files; names of the test cases",
    options=("exclude",),
    public_names=True,
    cines=False,
    masks=masks_of,
    find=_find,
)

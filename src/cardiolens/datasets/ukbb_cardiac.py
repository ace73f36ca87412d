"""UK Biobank cines and masks as the toolbox ukbb_cardiac writes them: one folder a participant, NIfTI over time.

UK Biobank gives out images (`ukb`), no masks of them.  The toolbox of Bai et al. turns those images into NIfTI and puts
masks beside them, of its networks or of the manual contours of application 2964; both have these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cardiolens.datasets.exclusions import read_exclusions
from cardiolens.datasets.labelled import LabelledFrames
from cardiolens.datasets.layout import Case, Dataset, Found, Label, Options, Remark, Seen
from cardiolens.datasets.nifti_labels import read_labels
from cardiolens.datasets.ukb import labels_of, read_fields
from cardiolens.errors import ReadError
from cardiolens.ingest import Identity, Unit
from cardiolens.study import Study, View

_VIEWS: Mapping[str, View] = MappingProxyType(
    {"sa": View.SAX, "la_2ch": View.CH2, "la_3ch": View.CH3, "la_4ch": View.CH4}
)
_VENTRICLES = {1: "LV cavity", 2: "LV myocardium", 3: "RV cavity"}
LABELS: Mapping[str, tuple[str, Mapping[int, str]]] = MappingProxyType(
    {
        "seg_sa": ("sa", _VENTRICLES),
        "seg_la_2ch": ("la_2ch", {1: "LA"}),
        "seg_la_4ch": ("la_4ch", {1: "LA", 2: "RA"}),
        "seg4_la_4ch": ("la_4ch", {**_VENTRICLES, 4: "LA", 5: "RA"}),
    }
)
"""File of masks to the file that they lie on and their label values."""

_INSTANCE = "2"


def read_case(paths: Sequence[str]) -> Study:
    """The cines of a participant."""
    from cardiolens.io.nifti import read_nifti

    return Study(tuple(read_nifti(path, _VIEWS[Path(path).name.removesuffix(".nii.gz")]) for path in paths))


def masks_of(case: Case) -> list[LabelledFrames]:
    """For `masks.load_masks`: every phase of each view that has masks; of two files on one view, that of five labels.

    "ED" is the first phase, as the toolbox has it; "ES" of the short axis that with least LV cavity, of the others the
    short axis's.
    """
    from cardiolens.io.nifti import read_nifti

    folder = Path(case.unit.paths[0]).parent
    files = {view: name for name, (view, _) in LABELS.items() if (folder / f"{name}.nii.gz").is_file()}
    es: int | None = None
    out: list[LabelledFrames] = []
    for view, name in files.items():  # sa is the first
        image = folder / f"{view}.nii.gz"
        if not image.is_file():
            raise ReadError(f"{image}: no such file, and {name}.nii.gz lies on it")
        cine = read_nifti(str(image), _VIEWS[view])
        known = LABELS[name][1]
        labels = read_labels(folder / f"{name}.nii.gz", image, cine, known)
        if view == "sa":
            counts = (labels == 1).sum((0, 2, 3))
            es = int(counts.argmin()) if counts.any() else None
        names = [""] * cine.n_phases
        if es is not None and 0 < es < cine.n_phases:
            names[es] = "ES"
        names[0] = "ED"
        phases = tuple(range(cine.n_phases))
        source = f"ukbb_cardiac {name}"
        out.append(LabelledFrames(cine, phases, tuple(names), labels, tuple(known.values()), source=source))
    return out


def _find(folder: Path, options: Options, seen: Seen) -> Found:
    exclusions = read_exclusions(options.exclude)
    tops = sorted(
        {path.parent for depth in ("*", "*/*") for view in _VIEWS for path in folder.glob(f"{depth}/{view}.nii.gz")}
    )
    if not tops:
        raise DATASET.nothing_in(folder)
    names = [top.name for top in tops]
    table, remarks = read_fields(options.table, set(names)) if options.table is not None else (None, [])
    cases, skipped = [], []
    for place, top in enumerate(tops, start=1):
        seen(place)
        eid = top.name
        if eid in exclusions.cases:
            skipped.append(Remark(eid, "on the exclusion list"))
            continue
        paths = tuple(str(top / f"{view}.nii.gz") for view in _VIEWS if (top / f"{view}.nii.gz").is_file())
        if not any((top / f"{name}.nii.gz").is_file() for name in LABELS):
            remarks.append(Remark(eid, "no masks"))
        labels: dict[str, Label] = {}
        if table is not None:
            if eid not in table:
                remarks.append(Remark(eid, "no row in the table: all labels are missing"))
            labels = labels_of(table.get(eid, {}), _INSTANCE)
        identity = Identity(f"ukbb_cardiac/{eid}", eid, eid)
        cases.append(Case(eid, Unit(paths, (identity,), read_case, "ukbb_cardiac 1"), identity, labels))
    return Found(tuple(cases), tuple(skipped), tuple(remarks), withdrawn=exclusions.cases)


DATASET = Dataset(
    name="ukbb_cardiac",
    title="UK Biobank heart MRI, converted and segmented by ukbb_cardiac",
    holds="participants of the imaging study, 4-D NIfTI of SAX, 2CH, 3CH, 4CH, masks on every phase",
    licence="as ukb: an approved application and its material transfer agreement",
    source="https://github.com/baiwenjia/ukbb_cardiac, run on fields 20208 and 20209",
    citation="Bai et al., J Cardiovasc Magn Reson 2018;20:65, doi:10.1186/s12968-018-0471-x",
    layout="""\
<folder>/<eid>/sa.nii.gz, la_2ch.nii.gz, la_3ch.nii.gz, la_4ch.nii.gz
               seg_sa.nii.gz          1 LV cavity, 2 LV myocardium, 3 RV cavity
               seg_la_2ch.nii.gz      1 LA
               seg_la_4ch.nii.gz      1 LA, 2 RA
               seg4_la_4ch.nii.gz     1 LV cavity, 2 LV myocardium, 3 RV cavity, 4 LA, 5 RA
--table FIELDS.csv, --exclude LIST    as for ukb""",
    labels={"FIELD-INSTANCE.ARRAY, lvef, age, ...": "as for ukb, of instance 2"},
    official_split="",
    verified="file names, the first phase as end-diastole, and all labels, against the toolbox's own scripts",
    unverified="headers of the real files; that all scans are of the first imaging visit",
    options=("table", "exclude"),
    public_names=False,
    masks=masks_of,
    find=_find,
)

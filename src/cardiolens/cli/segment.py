"""`cardiolens segment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import InputError, ReadError

if TYPE_CHECKING:
    from cardiolens.contours import Correction, SegmentResult
    from cardiolens.study import Study, View

_VIEWS = ("SAX", "2CH", "3CH", "4CH")
_SHOWN = {
    "lvef_pct": "LVEF",
    "lv_edv_ml": "EDV",
    "lv_esv_ml": "ESV",
    "lv_sv_ml": "SV",
    "lv_mass_g": "mass",
    "cardiac_output_l_min": "CO",
    "rv_edv_ml": "RVEDV",
    "rvef_pct": "RVEF",
}


def segment(
    study: Annotated[
        Path,
        typer.Argument(help="A study: a DICOM folder, zip or tar, NIfTI cine, or STORE/KEY.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for masks, videos, tables and the page.")],
    only: Annotated[
        list[str] | None, typer.Option(help="Draw this view alone: SAX, 2CH, 3CH, 4CH; repeatable.")
    ] = None,
    phase_ed: Annotated[
        int | None, typer.Option(min=1, help="Phase of end-diastole, from 1, in place of the one found.")
    ] = None,
    phase_es: Annotated[
        int | None, typer.Option(min=1, help="Phase of end-systole, from 1, in place of the one found.")
    ] = None,
    corrected: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[@PHASE]",
            help="A mask file that you changed, with the view in its name; repeatable. @19: the file holds phase 19 "
            "alone.",
        ),
    ] = None,
    height: Annotated[float | None, typer.Option(help="Height in cm, for values indexed to body surface.")] = None,
    weight: Annotated[float | None, typer.Option(help="Weight in kg, for values indexed to body surface.")] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Segmenter: the name of bundled weights, or a folder.")
    ] = "phantom",
    dicom_seg: Annotated[
        bool,
        typer.Option(
            "--dicom-seg/--no-dicom-seg",
            help="Write DICOM SEG, one file a phase. They carry the patient's name and number, as the images do.",
        ),
    ] = True,
    video: Annotated[bool, typer.Option("--video/--no-video", help="Write the contours over the cine as MP4.")] = True,
) -> None:
    """Draw the heart's chambers on every plane and phase, and measure volumes, LVEF and mass.

    OUT holds mask_VIEW.nii.gz (labels in the .json beside), seg/ (DICOM SEG), contours_VIEW.mp4, volume_curve.png,
    measures.json, measures.csv and report.html. Every file but those in seg/ carries a pseudonym only.

    Look at report.html before you use a figure: flags say what is doubtful. To correct, edit a mask file on its own
    grid (ITK-SNAP and 3D Slicer do), and give it with --corrected; or choose ED and ES; every figure is made anew and
    the change is recorded.

    Exit code 1: the study cannot be read or nothing could be drawn, with the reason. A view that cannot be drawn is
    named, the others go on.

    Research use only; not a medical device.

    Example: cardiolens segment path/to/dicom --out contours

    Example: cardiolens segment path/to/dicom --out contours --corrected contours/mask_SAX.nii.gz --phase-es 9
    """
    from cardiolens.cli._one_study import study_or_store
    from cardiolens.contours import segment_study
    from cardiolens.inference import study_hash
    from cardiolens.segmenter import load_segmenter
    from cardiolens.segmenting import claim, write_segmentation

    views = _views(only)
    found = study_or_store(study)
    if not isinstance(found, tuple):
        raise ReadError(f"{study} is a store of many studies; give one, as STORE/KEY")
    read, key = found
    corrections = [_correction(text, read) for text in corrected or ()]
    ed, es = (_phase(read, name, phase) for name, phase in (("--phase-ed", phase_ed), ("--phase-es", phase_es)))
    segmenter = load_segmenter(model)
    claim(out, study_hash(read))
    with Bar("reading", words=lambda what: what or "done") as progress:
        result = segment_study(
            read,
            segmenter,
            only=views,
            corrections=corrections,
            ed=ed,
            es=es,
            height_cm=height,
            weight_kg=weight,
            progress=progress,
        )
        written = write_segmentation(read, result, key, out, dicom_seg=dicom_seg, video=video, progress=progress)
    _show(result, key, out, written.not_written)


def _views(only: list[str] | None) -> "list[View] | None":
    from cardiolens.study import View

    if not only:
        return None
    unknown = [name for name in only if name.upper() not in _VIEWS]
    if unknown:
        raise InputError(f"--only {unknown[0]}: no such view; one of {', '.join(_VIEWS)}")
    return [View(name.upper()) for name in only]


def _correction(text: str, study: "Study") -> "Correction":
    """FILE, or FILE@PHASE with the phase from 1."""
    from cardiolens.contours import read_correction

    name, at, number = text.rpartition("@")
    if at and number.isdigit() and not Path(text).exists():
        if int(number) < 1:
            raise InputError(f"--corrected {text}: phases count from 1")
        return read_correction(Path(name), study, int(number) - 1)
    return read_correction(Path(text), study)


def _phase(study: "Study", option: str, phase: int | None) -> int | None:
    """From 1, as typed, to from 0."""
    from cardiolens.study import View

    if phase is None:
        return None
    if View.SAX not in study.views:
        raise InputError(f"{option} {phase}: ED and ES are phases of the short-axis cine, which this study has not")
    count = study.cine(View.SAX).n_phases
    if phase > count:
        raise InputError(f"{option} {phase}: the short-axis cine has {count} phases, counted from 1")
    return phase - 1


def _show(result: "SegmentResult", key: str, out: Path, not_written: tuple[str, ...]) -> None:
    """Figures, flags, then where to look."""
    from cardiolens.html.contours import figure_words

    measures = result.measures
    figures = (f"{word} {figure_words(name, measures) or '–'}" for name, word in _SHOWN.items())
    typer.echo(f"{key}: " + ", ".join(figures))
    both = (("ED", measures.ed_phase), ("ES", measures.es_phase))
    phases = [f"{word} phase {phase + 1}" for word, phase in both if phase is not None]
    typer.echo(", ".join([*phases, f"drawn on {', '.join(str(one.view) for one in result.segmentations)}"]))
    for change in result.changes:
        typer.echo(f"changed: {change.words}")
    for flag in measures.flags:
        typer.echo(str(flag), err=flag.severity != "info")
    for words in result.known_error if measures.lvef_pct is not None else ():
        typer.echo(words)
    for view, reason in result.skipped.items():
        typer.echo(f"not drawn: {view}: {reason}", err=True)
    for note in not_written:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"Not a medical device.  Page: {out / 'report.html'}   Table: {out / 'measures.json'}")

"""`cardiolens phantom`: patients whose hearts are known."""

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cardiolens.errors import PhantomError

if TYPE_CHECKING:
    from rich.progress import Progress


class _Format(str, Enum):
    dicom = "dicom"
    store = "store"
    echonet = "echonet"
    acdc = "acdc"
    mnms = "mnms"
    mnms2 = "mnms2"
    kaggle = "kaggle"
    rescan = "rescan"
    landmark = "landmark"
    emidec = "emidec"
    myops = "myops"
    ukb = "ukb"


class _Style(str, Enum):
    siemens = "siemens"
    ge = "ge"
    ukb = "ukb"
    enhanced = "enhanced"


def phantom(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write; new, empty, or the same cohort half made.")
    ],
    n: Annotated[
        int, typer.Option("--n", "-n", min=1, help="Number of patients, one study each unless --sessions says more.")
    ] = 1,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", "-s", min=0, max=999_999, help="Another seed is another cohort, with no patient shared."
        ),
    ] = 0,
    format: Annotated[
        _Format,
        typer.Option(
            "--format",
            help="dicom: files as a scanner sends them, to try `views` and `ingest` on. "
            "store: straight into a study store, to train on; half the size and no ingest needed. "
            "The others write synthetic patients in the layout of a public data set, to try its reader on: echonet "
            "(ultrasound with tracings), acdc, mnms, mnms2, kaggle, rescan, landmark, emidec and myops (late "
            "enhancement), ukb; of the options below they take --workers alone, echonet --condition too.",
        ),
    ] = _Format.dicom,
    site: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it on Python 3.10 too
        typer.Option(
            "--site",
            help="Where they are scanned, which decides scanners, protocols, artefacts and who comes: default (one "
            "1.5 T scanner), biobank (mostly healthy, 50 phases), referral (1.5 and 3 T, all diseases), challenge "
            "(three vendors, other protocols), post-contrast (3 T, after gadolinium). Several are dealt out in turn.",
        ),
    ] = None,
    style: Annotated[
        Optional[_Style],  # noqa: UP045 - as above
        typer.Option(
            "--style",
            help="How the DICOM is laid out; the scanner's way if not given. siemens, ukb: one series a short-axis "
            "plane. ge: one series for the stack, planes interleaved, names that say nothing. "
            "enhanced: one multi-frame file a view.",
        ),
    ] = None,
    condition: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(
            "--condition",
            help='Give every patient this condition, for example "hypertrophic cardiomyopathy" or '
            '"normal"; an unknown name lists the known ones. Without it they are mixed as at the site.',
        ),
    ] = None,
    enrich: Annotated[
        float,
        typer.Option(
            "--enrich",
            help="Give this share of the patients, 0 to 1, one of the 35 conditions each, the rare ones most often, so "
            "that each can be measured: at 1, of 577 patients 20 or more have it. The others come as at the site.",
        ),
    ] = 0.0,
    matrix: Annotated[
        Optional[list[int]],  # noqa: UP045 - as above
        typer.Option("--matrix", help="Pixels along an edge, the scanner's if not given; several are dealt in turn."),
    ] = None,
    phases: Annotated[
        Optional[int],  # noqa: UP045 - as above
        typer.Option("--phases", help="Frames in one heart beat, 8 at least; the scanner's if not given."),
    ] = None,
    planes: Annotated[
        Optional[int],  # noqa: UP045 - as above
        typer.Option("--planes", help="Planes of the short-axis stack; the scanner's if not given."),
    ] = None,
    masks: Annotated[
        Optional[bool],  # noqa: UP045 - as above
        typer.Option(
            "--masks/--no-masks",
            help="Write masks of the chambers (NIfTI), beside the DICOM or under truth/ of a store; a store gets those "
            "of ED and ES for training, too. With DICOM they are written if nothing is said, with a store not.",
        ),
    ] = None,
    crop: Annotated[
        Optional[float],  # noqa: UP045 - as above
        typer.Option("--crop", help="Keep only this many mm about the heart, 100 to 400; for a store."),
    ] = None,
    sessions: Annotated[
        int,
        typer.Option(
            "--sessions", min=1, help="Examinations of each patient: the same heart on another day, scanned anew."
        ),
    ] = 1,
    workers: Annotated[
        Optional[int],  # noqa: UP045 - as above
        typer.Option("--workers", min=1, help="Processes; one a core if not given."),
    ] = None,
) -> None:
    """Make phantom patients: beating hearts with known volumes, their cine MRI and their reports.

    \b
    cardiolens phantom --out patients --n 3 --seed 7
    cardiolens views patients/PH000007-000000/dicom
    cardiolens phantom --out train.store --n 400 --seed 1 --format store --site referral --site biobank --crop 220
    cardiolens phantom --out twice --n 20 --sessions 2
    cardiolens phantom --out echo --n 10 --format echonet

    Each DICOM study is a folder with dicom/, masks/, report.txt and truth.json (volumes, LVEF, mass, conditions and how
    severe they are, curves over the beat, landmarks, protocol, parameters).  OUT/truth.csv and OUT/reports.csv gather
    them; OUT/manifest.json says how the cohort was made, with a hash of its content.  The same seed gives the same
    patients on any number of workers.  A run that was stopped goes on where it was when the same command is given
    again; with a larger --n the cohort grows.

    The images are synthetic: nobody was scanned, and every file says so.
    """
    if format not in (_Format.dicom, _Format.store):
        given = {
            "--site": site,
            "--style": style,
            "--enrich": enrich or None,
            "--matrix": matrix,
            "--phases": phases,
            "--planes": planes,
            "--masks": masks,
            "--crop": crop,
            "--sessions": sessions if sessions > 1 else None,
        }
        _public_layout(out, n, seed, format.value, condition, workers, given)
        return
    from cardiolens.phantom.cohort.make import make_cohort

    bar, show = _progress(n * sessions)
    try:
        cohort = make_cohort(
            out,
            n,
            seed,
            format=format.value,
            site=site or "default",
            style=style.value if style else None,
            matrix=matrix or None,
            phases=phases,
            sax_planes=planes,
            condition=condition,
            enrich=enrich,
            masks=masks,
            crop_mm=crop,
            sessions=sessions,
            workers=workers,
            progress=show,
        )
    finally:
        if bar.live.is_started:
            bar.stop()
    there = len(cohort.studies) - cohort.made
    what = "study" if len(cohort.studies) == 1 else "studies"
    typer.echo(f"{len(cohort.studies)} {what} in {out} ({cohort.made} made now, {there} there before)")
    typer.echo(f"truth in {out / 'truth.csv'}, reports in {out / 'reports.csv'}, sha256 {cohort.hash[:16]}")


def _progress(total: int) -> "tuple[Progress, Callable[[int, int], None]]":
    """A bar, and what to call with (done, total); it does not show before the first study, so that a refusal is one
    line."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task("", total=total)

    def show(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    return bar, show


def _public_layout(
    out: Path, n: int, seed: int, name: str, condition: "str | None", workers: "int | None", given: Mapping[str, object]
) -> None:
    """Write the layout of a public data set, which has its own protocol."""
    if name != "echonet":
        given = {**given, "--condition": condition}
    useless = [option for option, value in given.items() if value is not None and value != []]
    if useless:
        raise PhantomError(
            f"{', '.join(useless)}: of no effect on --format {name}, whose protocol is the data set's own"
        )
    bar, show = _progress(n)
    try:
        if name == "echonet":
            from cardiolens.phantom.echo import write_echonet

            made = write_echonet(out, n, seed, condition=condition, workers=workers, progress=show)
            typer.echo(f"{n} clips in {out} ({made.made} made now), true volumes in {out / 'truth.csv'}")
            return
        from cardiolens.phantom.exports import export

        done = export(name, out, n, seed, workers=workers, progress=show)
    finally:
        if bar.live.is_started:
            bar.stop()
    typer.echo(f"{len(done.cases)} cases in {done.root} ({done.made} made now), truth in {out / 'truth'}")
    typer.echo(f"how it is laid out, and what could not be verified: {out / 'README.md'}")

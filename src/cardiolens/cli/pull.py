"""`cardiolens pull`."""

import re
from pathlib import Path
from typing import Annotated, Optional

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import InputError


def pull(
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="DICOMweb service, such as http://127.0.0.1:8042/dicom-web.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images; the same one to go on.")],
    study: Annotated[Optional[str], typer.Option(metavar="UID", help="One study by its StudyInstanceUID.")] = None,  # noqa: UP045 - typer reads it on Python 3.10 too
    patient: Annotated[Optional[str], typer.Option(help="Studies of a PatientID; * stands for anything.")] = None,  # noqa: UP045
    accession: Annotated[Optional[str], typer.Option(help="The study of an AccessionNumber.")] = None,  # noqa: UP045
    since: Annotated[Optional[str], typer.Option(metavar="DATE", help="From this day on, as 2026-01-31.")] = None,  # noqa: UP045
    until: Annotated[Optional[str], typer.Option(metavar="DATE", help="Up to this day.")] = None,  # noqa: UP045
    modality: Annotated[str, typer.Option(help="Modality of the series; any for all.")] = "MR",
    cine: Annotated[bool, typer.Option("--cine", help="Only series that are cines by their headers.")] = False,
    limit: Annotated[Optional[int], typer.Option(min=1, help="Most studies.")] = None,  # noqa: UP045
    min_free: Annotated[float, typer.Option(min=0.0, help="GiB that must stay free on the disk.")] = 2.0,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds to wait for an answer.")] = 60.0,
) -> None:
    """Fetch studies from a DICOMweb server (QIDO-RS, WADO-RS) into a folder, for `ingest`, `predict` or `segment`.

    Name what you want: a study, a patient, an accession or a span of dates. The images come as the server has them,
    patient included, under pseudonymous names; OUT/pulled.csv lists the series. Stopped, or with a server that broke
    off, run it again: images that are there are not fetched anew.

    A login comes from the environment, never from the command line: CARDIOLENS_DICOMWEB_TOKEN (a bearer token), or
    CARDIOLENS_DICOMWEB_USER and CARDIOLENS_DICOMWEB_PASSWORD. It is not sent unencrypted beyond this machine.

    Exit code 1: nothing matches, the server refuses, or some series could not be fetched whole; each with its reason.

    Example: cardiolens pull --from http://127.0.0.1:8042/dicom-web --since 2026-01-01 --cine --out pulled
    """
    from cardiolens.pacs import need

    need("dicomweb_client")
    from cardiolens.pacs.pull import TABLE, filters
    from cardiolens.pacs.pull import pull as run
    from cardiolens.pacs.web import WebArchive

    wanted = filters(study, patient, accession, _day("--since", since), _day("--until", until))
    if not wanted:
        raise InputError("name what to fetch: --study, --patient, --accession, --since or --until")
    archive = WebArchive(source, seconds=timeout)
    kind = None if modality.lower() == "any" else modality.upper()
    with Bar("asking", words=lambda what: what or "done") as progress:
        rows = run(
            archive,
            out,
            wanted,
            modality=kind,
            only_cines=cine,
            limit=limit,
            free_bytes=int(min_free * 2**30),
            progress=progress,
        )
    failed = [row for row in rows if row.failed]
    left_out = sum(bool(row.why) for row in rows) - len(failed)
    whole = [row for row in rows if not row.why]
    typer.echo(
        f"{len({row.study for row in whole})} studies, {len(whole)} series, {sum(row.images for row in whole)} images "
        f"({sum(row.fresh for row in rows)} fetched now); {left_out} series left out, {len(failed)} not whole.  "
        f"Table: {out / TABLE}"
    )
    for row in failed:
        typer.echo(f"not whole: series {row.series}: {row.why}", err=True)
    if failed:
        raise typer.Exit(1)


def _day(option: str, text: str | None) -> str | None:
    """2026-01-31 or 20260131 as DICOM writes it."""
    import datetime as dt

    if text is None:
        return None
    plain = re.sub(r"[-./]", "", text)
    try:
        return dt.datetime.strptime(plain, "%Y%m%d").strftime("%Y%m%d")
    except ValueError as error:
        raise InputError(f"{option} {text}: a date is written 2026-01-31") from error

"""`cardiolens node`."""

import logging
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from cardiolens.errors import CheckpointError, InputError

if TYPE_CHECKING:
    import threading

    from cardiolens.pacs.journal import Entry
    from cardiolens.pacs.work import Reader

logger = logging.getLogger(__name__)


class _Masks(str, Enum):
    ed_es = "ed-es"
    all = "all"
    none = "none"


def node(
    store: Annotated[Path, typer.Option("--store", help="Spool folder, of this node alone; readable by you only.")],
    send_to: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it on Python 3.10 too
        typer.Option("--send-to", metavar="AET@HOST:PORT", help="The archive that results go to."),
    ] = None,
    aet: Annotated[str, typer.Option(help="AE title of this node; callers must use it.")] = "CARDIOLENS",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 11112,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The default is reached from this machine alone.")
    ] = "127.0.0.1",
    allow: Annotated[
        Optional[list[str]],  # noqa: UP045 - as above
        typer.Option(
            "--allow", metavar="AET", help="AE title that may send; repeatable. That of --send-to may always."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name that `cardiolens models` lists, or a model folder; or none.")
    ] = "shad-mvit-tiny:phantom",
    segment: Annotated[
        Optional[bool],  # noqa: UP045 - as above
        typer.Option(
            "--segment/--no-segment", help="Draw contours and send volumes; default: where a segmenter is installed."
        ),
    ] = None,
    masks: Annotated[
        _Masks, typer.Option(help="Phases that get a DICOM SEG: ED and ES of the short axis, all of all views, none.")
    ] = _Masks.ed_es,
    quiet: Annotated[
        float, typer.Option(min=0.0, help="Seconds without a new image after which a study is complete.")
    ] = 30.0,
    stall: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds to wait for the rest, where the headers announce more images than came."),
    ] = 300.0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep images and results after sending.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Begin failed studies anew, and send again what the archive refused.")
    ] = False,
    max_images: Annotated[int, typer.Option(min=1, help="Most images of one study.")] = 20_000,
    max_associations: Annotated[int, typer.Option(min=1, help="Most senders at once.")] = 8,
    min_free: Annotated[float, typer.Option(min=0.0, help="GiB that must stay free on the spool's disk.")] = 2.0,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps.")] = "cpu",
    status: Annotated[
        bool, typer.Option("--status", help="Show what became of every study in --store, and leave.")
    ] = False,
) -> None:
    """Be a DICOM node: take studies in (C-STORE), read them, send the results to an archive.

    A study is read when nothing more came for --quiet seconds. Sent back, into the patient's study: a Structured
    Report, DICOM SEG of the contours, and a secondary capture with the key figures on one page. What the archive does
    not take is sent again, with pauses up to ten minutes; one object that it refuses for a day (150 times) is given up,
    and the study is "partly sent". Stopped or killed, the node goes on where it was.

    STORE holds the images as they came, patient included, until the results are in the archive; folder names, the
    journal and the log carry pseudonyms only. A study that fails is kept, with its reason in --status.

    DICOM without TLS is neither private nor signed: listen beyond this machine (--host) only in a network that you
    trust.

    Research use only; not a medical device.

    Example: cardiolens node --store spool --send-to ORTHANC@127.0.0.1:4242

    Example: cardiolens node --store spool --status
    """
    if status:
        _status(store)
        return
    if send_to is None:
        raise InputError("give the archive that results go to: --send-to AET@HOST:PORT")
    from cardiolens.pacs import need

    need("pynetdicom")
    from cardiolens.addresses import is_loopback
    from cardiolens.pacs.node import Node, Settings
    from cardiolens.pacs.scp import Door, Service
    from cardiolens.pacs.send import ae_title, peer
    from cardiolens.pacs.spool import Spool

    to = peer(send_to)
    callers = tuple(dict.fromkeys([*map(ae_title, allow or ()), to.aet]))
    door = Door(ae_title(aet), callers, host, port, max_associations)
    spool = Spool(store, max_images=max_images, free_bytes=int(min_free * 2**30))
    reader = _reader(model, segment, device, spool.key, masks.value)
    if not is_loopback(host):
        typer.echo(
            f"warning: listening on {host}, beyond this machine; DICOM is not encrypted, and an AE title is no "
            "password. Let a firewall admit the senders alone.",
            err=True,
        )
    service = Service(door, spool)
    settings = Settings(door.aet, to, quiet=quiet, stall=stall, keep=keep)
    running = Node(spool, reader, settings, progress=_told)
    if retry:
        typer.echo(f"{running.retry()} failed or partly sent studies begun anew", err=True)
    typer.echo(
        f"{door.aet} listens on {host}:{service.port}, takes from {', '.join(callers)}, sends to {to}.  "
        "Research use only, not a medical device.  Ctrl-C ends it.",
        err=True,
    )
    try:
        running.run(_stop_signal())
    finally:
        service.close()
        spool.close()


def _reader(model: str, segment: bool | None, device: str, key: bytes, masks: str) -> "Reader":
    """Model and segmenter, at least one of them."""
    from typing import cast

    from cardiolens.cli.predict import _segmenter, _with_tag
    from cardiolens.hub import load_model
    from cardiolens.inference import Predictor
    from cardiolens.pacs.results import Masks
    from cardiolens.pacs.work import Reader

    predictor = None if model == "none" else Predictor(load_model(_with_tag(model)), device=device)
    segmenter = _segmenter(segment)
    if predictor is None and segmenter is None:
        raise CheckpointError("--model none and no segmenter: nothing to read studies with")
    return Reader(predictor, segmenter, key, cast("Masks", masks))


def _stop_signal() -> "threading.Event":
    """An event that SIGTERM sets, so that a service manager ends the node between two studies."""
    import signal
    import threading

    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    return stop


def _told(entry: "Entry") -> None:
    """A line where something happened to a study."""
    reason = f": {entry.reason}" if entry.reason else ""
    typer.echo(f"{_clock(None)}  {entry.study}  {entry.state}, {entry.images} images{reason}", err=True)


def _clock(at: float | None) -> str:
    import datetime as dt

    moment = dt.datetime.now() if at is None else dt.datetime.fromtimestamp(at)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _lvef(summary: dict[str, float]) -> str:
    """LVEF of the network, else that of the contours, which is said; one out of domain is no figure to rely on."""
    network, drawn = summary.get("lvef_network_pct"), summary.get("lvef_pct")
    if network is None:
        return "" if drawn is None else f"{drawn:.0f} % (contours)"
    return f"{network:.0f} %" + (", out of domain: do not rely on it" if summary.get("out_of_domain") else "")


def _status(store: Path) -> None:
    """The table of studies, the latest first."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from cardiolens.pacs.journal import STATES, entries
    from cardiolens.pacs.spool import is_running

    if not store.is_dir():
        raise InputError(f"{store} is no spool: there is no such folder")
    found = entries(store)
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 140))
    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("study", "state", "images", "last image", "sent", "LVEF", "why"):
        table.add_column(column, overflow="fold")
    for one in found:
        of = f" of {one.expected}" if one.expected else ""
        cells = (
            one.study,
            one.state,
            f"{one.images}{of}",
            _clock(one.last) if one.last else "",
            f"{len(one.sent)} of {len(one.results)}" if one.results else "",
            _lvef(one.summary),
            one.reason,
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    counts = [f"{n} {state}" for state in STATES if (n := sum(one.state == state for one in found))]
    running = {True: "The node runs", False: "No node runs", None: "Whether a node runs is not known"}[
        is_running(store)
    ]
    console.print(f"{running}; {', '.join(counts) or 'no study yet'}.  Not a medical device.")

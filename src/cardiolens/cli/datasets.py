"""`cardiolens datasets`: what public data sets look like, bring a copy into a store, split it."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cardiolens.errors import InputError, ReadError

datasets = typer.Typer(
    help="Public and clinical data sets: list them, check a copy, bring it into a store with its labels, split it.",
    no_args_is_help=True,
)

_NAME = typer.Argument(help="Name of the data set, as `cardiolens datasets list` tells it.", metavar="NAME")
_PATH = typer.Argument(help="Where it was unpacked.", metavar="PATH")
_TABLE = typer.Option(help="CSV of labels (external, clinical) or of fields (ukb).")
_REPORTS = typer.Option(help="CSV with accession (or patient) and report (clinical).")
_EXCLUDE = typer.Option(
    help="List of cases, participants or patients to leave out, one a line; for ukb also eid,instance and eid,series. "
    "Studies of theirs that are in the store are taken out."
)


@datasets.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Which data sets are known, what they hold and under what licence."""
    from cardiolens.datasets.catalogue import DATASETS

    if json:
        typer.echo(json_module.dumps([_facts(each) for each in DATASETS.values()], indent=1, ensure_ascii=False))
        return
    for each in DATASETS.values():
        typer.echo(f"{each.name:17}{each.title}\n{'':17}{each.holds}\n{'':17}licence: {each.licence}\n")
    typer.echo(
        "cardiolens datasets show NAME tells the layout; cardiolens datasets import NAME PATH --out STORE brings it in"
    )


@datasets.command()
def show(name: Annotated[str, _NAME]) -> None:
    """Layout, licence, labels and official split of a data set, and what of it was verified."""
    from cardiolens.datasets.catalogue import find_dataset

    facts = _facts(find_dataset(name))
    typer.echo(f"{facts['title']}\n{facts['holds']}\n\n{facts['layout']}\n")
    for title in ("licence", "source", "citation", "official_split", "verified", "unverified"):
        if facts[title]:
            typer.echo(f"{title.replace('_', ' ') + ':':16}{facts[title]}")
    typer.echo("\nlabels")
    for column, meaning in facts["labels"].items():
        typer.echo(f"  {column:20}{meaning}")


@datasets.command()
def check(
    name: Annotated[str, _NAME],
    path: Annotated[Path, _PATH],
    table: Annotated[Optional[Path], _TABLE] = None,  # noqa: UP045 - typer reads it on Python 3.10 too
    reports: Annotated[Optional[Path], _REPORTS] = None,  # noqa: UP045
    exclude: Annotated[Optional[Path], _EXCLUDE] = None,  # noqa: UP045
    list_to: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--list", help="Write every finding with its case to this CSV. It holds identifiers: keep it."),
    ] = None,
) -> None:
    """Look through a copy without reading pixels or writing a store: cases, labels, and what does not fit.

    Example: cardiolens datasets check clinical scans/ --reports reports.csv --list findings.csv
    """
    from cardiolens.cli.ingest import ingest_bar
    from cardiolens.datasets.catalogue import find_dataset
    from cardiolens.datasets.layout import Options

    dataset = find_dataset(name)
    with ingest_bar(shown=True) as progress:
        found = dataset.look_through(path, Options(table, reports, exclude), lambda n: progress("looking", n, 0))
    _show_found(found)
    if list_to is not None:
        _write_findings(found, list_to)
        typer.echo(f"every finding is in {list_to}")


@datasets.command("import")
def import_(
    name: Annotated[str, _NAME],
    path: Annotated[Path, _PATH],
    out: Annotated[Path, typer.Option("--out", "-o", help="The store: a folder, made where absent.")],
    table: Annotated[Optional[Path], _TABLE] = None,  # noqa: UP045
    reports: Annotated[Optional[Path], _REPORTS] = None,  # noqa: UP045
    exclude: Annotated[Optional[Path], _EXCLUDE] = None,  # noqa: UP045
    site: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Institution, in place of what the headers say (external, clinical)."),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="Processes; by default as cores and memory allow."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is in STORE/datasets/NAME.json.")] = False,
) -> None:
    """Bring a copy of a data set into a store, with its labels and its official split.

    Example: cardiolens datasets import acdc database --out stores/acdc

    Run it again to go on after a stop; what is done is skipped. Several data sets may share a store.
    """
    from cardiolens.cli.ingest import _told, ingest_bar
    from cardiolens.datasets.bring_in import import_dataset
    from cardiolens.datasets.catalogue import find_dataset
    from cardiolens.datasets.layout import Options

    if site is not None and not find_dataset(name).own_site:
        raise InputError(f"the studies of {name} are stored under the site {name}; leave --site out")
    with ingest_bar(shown=not json) as progress:
        done = import_dataset(
            name, path, out, Options(table, reports, exclude), site=site, workers=workers, progress=progress
        )
    if json:
        typer.echo((out / "datasets" / f"{name}.json").read_text(encoding="utf-8"))
    else:
        _show_found(done.found)
        _show_import(done, out)
    if done.found.cases and not done.keys:
        reasons = sorted({_told(record) for record in done.result.records})
        raise ReadError("nothing was brought in: " + "; ".join(reasons[:5]))
    if done.result.counts["failed"]:
        raise typer.Exit(1)


@datasets.command()
def split(
    store: Annotated[Path, typer.Argument(help="The store.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    plan: Annotated[
        str,
        typer.Option(
            "--as",
            help="shad_pretrain (75 % of the patients, 66:33 train : val), shad_downstream (the other 25 %, 50:25:25 "
            "train : val : test) or ukb_lvef (80:10:10). The first two share no patient if store and seed agree.",
        ),
    ],
    seed: Annotated[int, typer.Option(min=0, help="Another seed deals other patients.")] = 0,
    site: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Deal only studies of this site, such as ukb (the part of a key before the underscore)."),
    ] = None,
    label: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Once dealt, keep only studies that have this label in labels.csv."),
    ] = None,
) -> None:
    """Deal the patients of a store into the parts of one of the paper's splits.

    Example: cardiolens datasets split STORE --as shad_downstream --seed 0 --label lvef --out downstream.json
    """
    from cardiolens.datasets.splits import named_split, patient_of
    from cardiolens.store import StudyStore

    opened = StudyStore(store)
    keys = [key for key in opened if site is None or key.split("/")[0].rpartition("_")[0] == site]
    if not keys:
        raise InputError(f"{store}: no study" + (f" of the site {site}" if site else ""))
    only = None
    if label is not None:
        labels = opened.labels()
        if label not in labels:
            raise InputError(f"{store}: labels.csv has no column {label}; it has {', '.join(labels.columns) or 'none'}")
        only = set(labels.index[labels[label].notna()])
    made = named_split(keys, plan, seed, only=only)
    made.save(out)
    for part, inside in made.parts.items():
        typer.echo(f"{part:8}{len(inside):6} studies of {len({patient_of(key) for key in inside})} patients")
    typer.echo(f"{out}: hash {made.hash}")


@datasets.command()
def overlap(
    pretraining: Annotated[Path, typer.Argument(help="Split file of pretraining.")],
    downstream: Annotated[Path, typer.Argument(help="Split file of what comes after.")],
) -> None:
    """Check that no patient of pretraining's "train" is in a held-out part of a downstream split."""
    from cardiolens.datasets.splits import Split, refuse_overlap

    refuse_overlap(Split.load(pretraining), Split.load(downstream))
    typer.echo("no patient is shared")


def _facts(dataset: Any) -> dict[str, Any]:
    names = ("name", "title", "holds", "licence", "source", "citation", "layout", "official_split", "verified")
    facts = {name: getattr(dataset, name) for name in (*names, "unverified")}
    return facts | {"labels": dict(dataset.labels), "options": list(dataset.options)}


def _show_found(found: Any) -> None:
    from cardiolens.datasets.layout import tally

    typer.echo(f"{len(found.cases)} cases, {len(found.skipped)} skipped")
    for title, remarks in (("skipped", found.skipped), ("noted", found.remarks)):
        for what, count in tally(remarks).items():
            typer.echo(f"  {title} {count:6}  {what}")


def _show_import(done: Any, out: Path) -> None:
    from cardiolens.cli.ingest import _show
    from cardiolens.datasets.layout import tally

    _show(done.result, out)
    if done.removed:
        typer.echo(f"{len(done.removed)} studies on the exclusion list taken out of the store")
    if done.no_sax:
        typer.echo(f"{len(done.no_sax)} studies have no short axis")
    if done.masked or done.unmasked:
        typer.echo(f"{len(done.masked)} studies have the set's masks beside them, for cardiolens finetune")
    for what, count in tally(done.unmasked).items():
        typer.echo(f"without masks: {count} ({what})")
    if done.split is not None:
        typer.echo(f"official split: {done.split}")
    typer.echo(f"what came in and what did not: {out / 'datasets' / (done.dataset + '.json')}")


def _write_findings(found: Any, path: Path) -> None:
    import csv
    import io

    from cardiolens.store.atomic import disk_errors, write_whole

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "outcome", "what", "detail"))
    for outcome, remarks in (("skipped", found.skipped), ("noted", found.remarks)):
        writer.writerows((remark.case, outcome, remark.what, remark.detail) for remark in remarks)
    with disk_errors(path):
        write_whole(path, text.getvalue().encode())

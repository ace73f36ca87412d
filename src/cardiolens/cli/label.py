"""`cardiolens label`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cardiolens.cli._bar import Bar
from cardiolens.errors import ReportError

_SHOWN = 20


def label(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="REPORTS", help="CSV with accession (or key, patient) and report; or a store."),
    ] = None,
    how: Annotated[Literal["rules", "llm"], typer.Option("--with", help="By rules, or by a language model.")] = "rules",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV of labels; three more files lie beside it.")
    ] = None,
    to_store: Annotated[
        bool, typer.Option(help="Put the labels into the store's labels.csv too, for training.")
    ] = False,
    uncertain: Annotated[
        Literal["empty", "present", "absent"], typer.Option(help="How an uncertain label is written as a number.")
    ] = "empty",
    unmentioned: Annotated[
        Literal["absent", "empty"], typer.Option(help="How a condition that is not mentioned is written as a number.")
    ] = "absent",
    definitions: Annotated[Path | None, typer.Option(help="Own table of the 35 conditions (YAML).")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    key_variable: Annotated[
        str, typer.Option(help="Environment variable that holds the server's key, if it wants one.")
    ] = "CARDIOLENS_LLM_KEY",
    cache: Annotated[Path | None, typer.Option(help="Folder of answers; default: OUT.cache beside OUT.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Requests at a time.")] = 4,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one request.")] = 120.0,
    retries: Annotated[int, typer.Option(min=0, help="Further tries of a request that failed.")] = 4,
    price_in: Annotated[
        float | None, typer.Option(min=0, help="Price of a million tokens sent, for the estimate.")
    ] = None,
    price_out: Annotated[float | None, typer.Option(min=0, help="Price of a million tokens received.")] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Stop before a run that is estimated to cost more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only estimate tokens and cost; nothing is sent.")] = False,
    allow_identifiers: Annotated[
        bool, typer.Option(help="Send reports with identifiers in them to another machine as well.")
    ] = False,
    check_identifiers: Annotated[
        bool, typer.Option(help="Only count identifiers left in the reports (names, dates, numbers), by kind.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="A.csv B.csv", help="Compare two tables of labels instead.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Hand-labelled table that both are compared with.")] = None,
) -> None:
    """Tell from reports which of the 35 conditions each study has.

    Each condition is present, absent, uncertain or not mentioned, with the sentences that say so. Rules need nothing
    and nobody; a language model needs --endpoint, and no text leaves this machine unless you name one elsewhere.

    cardiolens label reports.csv --check-identifiers

    cardiolens label reports.csv --with rules --out rules.csv

    cardiolens label reports.csv --with llm --endpoint http://127.0.0.1:8000/v1 --model NAME --out llm.csv

    cardiolens label --compare rules.csv llm.csv --sheet hand.csv --out agreement.md
    """
    if compare is not None:
        if source is not None:
            raise typer.BadParameter("--compare takes two tables of labels and no reports")
        _compare(compare, sheet, out)
        return
    if source is None:
        raise typer.BadParameter("which reports? Give a CSV or a store, or two tables with --compare")
    if sheet is not None:
        raise typer.BadParameter("--sheet goes with --compare")
    from cardiolens.text.tables import read_reports

    reports = read_reports(source)
    if check_identifiers:
        _check(reports, out)
        return
    if out is None and not dry_run:
        raise typer.BadParameter("--out names the table of labels to write")
    if to_store and not source.is_dir():
        raise typer.BadParameter("--to-store goes with a store of studies, not with a CSV")
    from cardiolens.text.definitions import DATA, load_definitions

    known = load_definitions(definitions or DATA)
    config: dict[str, Any] = {"with": how, "definitions_sha256": _sha256(definitions or DATA)}
    if how == "rules":
        if dry_run or endpoint or model:
            raise typer.BadParameter("--endpoint, --model and --dry-run go with --with llm")
        labels, failures = _by_rules(reports, known), []
    else:
        from cardiolens.text.endpoint import Endpoint
        from cardiolens.text.llm import LLMLabeller

        if not endpoint or not model:
            raise typer.BadParameter("--with llm needs --endpoint and --model")
        folder = cache or (out.with_suffix(".cache") if out else None)
        server = Endpoint(endpoint, key_variable, timeout_s=timeout, retries=retries)
        labeller = LLMLabeller(
            server, model, cache=folder, definitions=known, workers=workers, allow_identifiers=allow_identifiers
        )
        _estimate(labeller, reports, price_in, price_out, max_cost)
        if dry_run:
            return
        config |= {"model": model, "endpoint": endpoint, "instruction_sha256": _sha256(labeller.instruction)}
        with Bar("asking") as progress:
            run = labeller.label_all(reports.texts, lambda done, total: progress("", done, total))
        labels, failures = run.labels, run.failures
        config |= {"counts": dict(run.counts), "failures": [vars(f) for f in failures]}
    assert out is not None  # noqa: S101 - refused above
    _write(out, reports, labels, failures, config, uncertain, unmentioned, source if to_store else None)


def _by_rules(reports: Any, known: Any) -> dict[str, Any]:
    from cardiolens.text.rules import RuleLabeller

    labeller = RuleLabeller(known)
    found = {}
    with Bar("labelling") as progress:
        for done, (study, text) in enumerate(reports.texts.items(), start=1):
            found[study] = labeller.label(text)
            progress(study, done, len(reports.texts))
    return found


def _write(
    out: Path,
    reports: Any,
    labels: dict[str, Any],
    failures: list[Any],
    config: dict[str, Any],
    uncertain: str,
    unmentioned: str,
    store: Path | None,
) -> None:
    from cardiolens.text.tables import numbers_of, write_labels

    as_state: dict[str, Any] = {"empty": "uncertain", "present": "present", "absent": "absent"}
    unsaid: Any = "not mentioned" if unmentioned == "empty" else "absent"
    if not labels:
        reasons = sorted({f"{failure.kind}: {failure.why}" for failure in failures})
        raise ReportError("no report was labelled; " + "; ".join(reasons[:3]))
    files = write_labels(out, reports, labels, config, uncertain=as_state[uncertain], unmentioned=unsaid)
    if store is not None:
        _into_store(store, {k: numbers_of(v, as_state[uncertain], unsaid) for k, v in labels.items()})
    _show(labels)
    typer.echo(
        f"{len(labels)} reports labelled, {len(failures)} failed, {len(reports.skipped)} studies without a report"
    )
    for failure in failures[:_SHOWN]:
        typer.echo(f"  {failure.study}: {failure.kind}: {failure.why}", err=True)
    if len(failures) > _SHOWN:
        typer.echo(f"  and {len(failures) - _SHOWN} more, listed in {files['record']}", err=True)
    typer.echo("written: " + ", ".join(str(path) for path in files.values()))
    if failures:
        typer.echo("run the same command again to ask for those that failed only", err=True)
        raise typer.Exit(1)


def _into_store(source: Path, numbers: dict[str, dict[str, str]]) -> None:
    """The columns of the conditions in the store's labels.csv, other columns left as they are."""
    import pandas as pd

    from cardiolens.store import StudyStore

    store = StudyStore(source, "a")
    new = pd.DataFrame.from_dict(numbers, orient="index").replace("", None)
    old = store.labels()
    kept = old.drop(columns=[c for c in new.columns if c in old.columns])
    store.write_labels(kept.join(new, how="outer"))
    store.close()


def _show(labels: dict[str, Any]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from cardiolens.text.conditions import CONDITION_NAMES
    from cardiolens.text.labels import STATES

    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("condition", *STATES):
        table.add_column(column, justify="left" if column == "condition" else "right")
    for name in CONDITION_NAMES:
        counts = [sum(found[name] == state for found in labels.values()) for state in STATES]
        table.add_row(name, *map(str, counts))
    Console().print(table)
    conflicts = sum(bool(found.conflicts) for found in labels.values())
    if conflicts:
        typer.echo(f"{conflicts} reports assert and deny the same condition; see `conflicts` in the evidence")


def _check(reports: Any, out: Path | None) -> None:
    """Counts by kind, and how many studies; the values themselves are shown nowhere."""
    from cardiolens.store.atomic import write_whole
    from cardiolens.text.identifiers import check_identifiers
    from cardiolens.text.tables import provenance

    total, studies = check_identifiers(reports.texts.items())
    for kind, count in total.most_common():
        typer.echo(f"{kind}: {count}")
    typer.echo(f"{len(studies)} of {len(reports.texts)} reports hold what looks like an identifier")
    if out is not None:
        import json

        found = {**provenance({"check": "identifiers"}, reports), "total": total, "studies": studies}
        write_whole(out, (json.dumps(found, indent=1) + "\n").encode())
        typer.echo(f"written: {out}")
    if studies:
        raise typer.Exit(1)


def _estimate(
    labeller: Any, reports: Any, price_in: float | None, price_out: float | None, max_cost: float | None
) -> None:
    if max_cost is not None and (price_in is None or price_out is None):
        raise typer.BadParameter("--max-cost needs --price-in and --price-out")
    found = labeller.estimate(list(reports.texts.values()), price_in=price_in, price_out=price_out)
    cost = "" if found.cost is None else f", at your prices about {found.cost:.2f}"
    typer.echo(
        f"{found.reports} reports, {found.cached} answered before; to ask: about {found.tokens_in:,} tokens in and"
        f" {found.tokens_out:,} out{cost}",
        err=True,
    )
    if max_cost is not None and found.cost is not None and found.cost > max_cost:
        raise ReportError(f"estimated to cost {found.cost:.2f}, over --max-cost {max_cost:g}; nothing was sent")


def _compare(paths: tuple[Path, Path], sheet: Path | None, out: Path | None) -> None:
    from cardiolens.text.agreement import compare_files, markdown, write_comparison

    found, record = compare_files(*paths, sheet)
    if out is None:
        typer.echo(markdown(found, record))
        return
    page, table = write_comparison(out, found, record)
    typer.echo(f"written: {page}, {table}")


def _sha256(content: Path | str) -> str:
    import hashlib

    data = content.read_bytes() if isinstance(content, Path) else content.encode()
    return hashlib.sha256(data).hexdigest()

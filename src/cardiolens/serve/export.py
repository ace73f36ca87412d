"""Results to take away: the report as HTML and PDF, numbers as CSV."""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens.errors import InputError, ReadError
from cardiolens.findings import Prediction
from cardiolens.html.contours import GROUPS
from cardiolens.serve.telling import NOT_A_DEVICE
from cardiolens.study import View

if TYPE_CHECKING:
    from cardiolens.contours import SegmentResult
    from cardiolens.serve.desk import Desk

log = logging.getLogger(__name__)

BROWSER = "CARDIOLENS_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_SECONDS = 90
_ONE = threading.Lock()  # a browser takes some hundred MiB
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class NoBrowserError(InputError):
    """No browser that could print."""


def find_browser() -> str | None:
    """The browser named by CARDIOLENS_CHROMIUM, else one on the path; None where there is none."""
    named = os.environ.get(BROWSER)
    if named:
        return named if Path(named).is_file() else None
    return next(filter(None, map(shutil.which, _NAMES)), None)


def to_pdf(page: str) -> bytes:
    """An HTML document as PDF, by a headless Chromium that may reach no network.

    Raises:
        NoBrowserError: none is installed.
        ReadError: it fails or takes longer than 90 seconds.
    """
    browser = find_browser()
    if browser is None:
        raise NoBrowserError(
            "a PDF needs Chromium or Chrome on the server, and none was found; install one, name it in "
            f"{BROWSER}, or open the HTML report and print it to a PDF"
        )
    with tempfile.TemporaryDirectory(prefix="cardiolens-pdf-", ignore_cleanup_errors=True) as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [
            browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-sync", "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer", "--virtual-time-budget=4000", f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium refuses to run as root otherwise; the page is our own
        try:
            with _ONE:
                subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
            return target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("no PDF: %s", error)
            raise ReadError("the PDF could not be made; open the HTML report and print it to a PDF") from error


def numbers_csv(desk: Desk, keys: Sequence[str]) -> Iterator[bytes]:
    """Every figure of some studies, a row a study; empty where it was not computed."""
    names = [name for head in desk.engines.predictor.condition_heads for name in head.labels]
    figures = [name for _, rows in GROUPS for name, _ in rows]
    columns = (
        "key", "video_lvef_pct", "video_low_pct", "video_high_pct", "video_coverage", "out_of_domain",
        *(f"attention_{view}" for view in View),
        *(f"{name}_{what}" for name in names for what in ("probability", "flagged")),
        *(f"contour_{name}" for name in figures), "ed_phase_from_1", "es_phase_from_1", "flags",
        "changed_by_a_person", "video_model", "contour_model", "what",
    )  # fmt: skip
    yield _line(columns)
    for key in keys:
        try:
            reading = desk.reading(key)
        except Exception as error:  # noqa: BLE001 - a damaged study has a row without figures
            log.warning("%s: %s", key, error)
            row = {"key": key, "flags": "error: this study cannot be read", "what": NOT_A_DEVICE}
            yield _line([row.get(name) for name in columns])
            continue
        row = {"key": key, "what": NOT_A_DEVICE, **_of_model(reading.prediction), **_of_contours(reading.contours)}
        yield _line([row.get(name) for name in columns])


def _of_model(found: Prediction | None) -> dict[str, Any]:
    if found is None:
        return {}
    interval = found.interval
    row: dict[str, Any] = {
        "video_lvef_pct": _short(found.lvef_pct),
        "video_low_pct": _short(interval.low) if interval else None,
        "video_high_pct": _short(interval.high) if interval else None,
        "video_coverage": interval.coverage if interval else None,
        "out_of_domain": found.out_of_domain,
        "video_model": found.provenance.get("model"),
    }
    row |= {f"attention_{view}": _short(share) for view, share in found.view_attention.items()}
    for one in found.conditions:
        row |= {f"{one.name}_probability": _short(one.probability), f"{one.name}_flagged": one.flagged}
    return row


def _of_contours(found: SegmentResult | None) -> dict[str, Any]:
    if found is None:
        return {}
    measures = found.measures
    row: dict[str, Any] = {f"contour_{name}": _short(value) for name, value in measures.figures.items()}
    for name, phase in (("ed", measures.ed_phase), ("es", measures.es_phase)):
        row[f"{name}_phase_from_1"] = None if phase is None else phase + 1
    row["flags"] = " | ".join(map(str, measures.flags))
    row["changed_by_a_person"] = bool(found.changes)
    row["contour_model"] = found.provenance.get("model")
    return row


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _line(cells: Sequence[Any]) -> bytes:
    """One line; a text that a spreadsheet would take for a formula is marked as text."""
    out = io.StringIO()
    safe = [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]
    csv.writer(out, lineterminator="\n").writerow(safe)
    return out.getvalue().encode("utf-8")

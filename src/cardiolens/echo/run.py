"""A folder of loops → a table of EF, a page and a picture a loop, and why others were refused; goes on after a kill.

OUT/echo.csv, echo.json    a row a loop; no file names
OUT/loops/KEY.json         its row, written when the loop is done
OUT/loops/KEY.html, .png   its page; cleaned images side by side
OUT/sources.csv            KEY and file: file names may be patients' names, so do not give this one away
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cardiolens._version import __version__
from cardiolens.dicom.files import FileRef, natural_key
from cardiolens.echo.check import Checked, Refusal, check_file
from cardiolens.echo.clean import sheet
from cardiolens.echo.ef import BeatEF, ModelReader, beat_by_beat
from cardiolens.echo.page import doubts, error_words, loop_page, meaningless
from cardiolens.echo.read import file_key
from cardiolens.errors import CheckpointError, InputError, ReadError
from cardiolens.io.video import MAX_PIXELS
from cardiolens.store.atomic import disk_errors, write_whole

if TYPE_CHECKING:
    from cardiolens.models.card import Card

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

NOTICE = "research use only, not a medical device"
FIELDS = (
    "key",
    "refused",
    "why",
    "ef",
    "ef_spread",
    "clips",
    "by_beats",
    "heart_rate",
    "view",
    "view_by",
    "view_checked",
    "out_of_domain",
    "images",
    "frame_rate",
    "patient",
    "doubts",
    "notes",
    "model",
    "weights_sha256",
    "version",
    "use",
)
"""Columns of `echo.csv`.  refused: the first reason's name; why: every reason; patient: a pseudonym;
out_of_domain: a model of simulated loops alone, and a loop of a scanner."""
_NO_IMAGES = frozenset({".csv", ".json", ".txt", ".md", ".html", ".xml", ".pdf", ".yaml", ".yml", ".log"})
_SHOWN = 16


@dataclass(frozen=True)
class EchoRun:
    """What came of a call.

    Attributes:
        rows: one a distinct file, the columns of `echo.csv`; reused: how many an earlier call had made.
        passed_over: files that hold no images by their names (tables, texts).
    """

    rows: tuple[dict[str, Any], ...]
    reused: int
    passed_over: int

    @property
    def read(self) -> tuple[dict[str, Any], ...]:
        return tuple(row for row in self.rows if not row["refused"])


def read_echoes(
    sources: Sequence[Path],
    out: Path,
    model: ModelReader | None,
    *,
    frame_rate: float | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = lambda what, done, total: None,
) -> EchoRun:
    """Look at every file under the sources, and read EF where it can be read.

    Args:
        model: gives EF; None checks and cleans only.
        frame_rate: see `ef.beat_by_beat`.
        out: folder; absent, empty, or holding what this same model made.

    Raises:
        ReadError: a source that does not exist or cannot be opened, or no file under them.
        CheckpointError: `out` holds what another model or version made.
    """
    files, passed_over = _files(sources)
    card = None if model is None else model.card
    with disk_errors(out):
        made_by = {**_made_by(card), "read_at": frame_rate}
        _claim(out, made_by)
        rows: dict[str, dict[str, Any]] = {}
        named: list[tuple[str, Path]] = []
        reused = 0
        for number, path in enumerate(files):
            progress(path.name, number, len(files))
            key = file_key(path)
            named.append((key, path))
            if key in rows:
                continue
            earlier = _earlier(out, key)
            reused += earlier is not None
            rows[key] = earlier or _one(path, key, out, model, frame_rate, max_pixels)
        progress("", len(files), len(files))
        _write_tables(out, list(rows.values()), named, made_by, error_words(card))
    return EchoRun(tuple(rows.values()), reused, passed_over)


def _files(sources: Sequence[Path]) -> tuple[list[Path], int]:
    """Files in natural order, hidden ones left out; and how many hold no images by their names."""
    found: list[Path] = []
    for source in sources:
        if not source.exists():
            raise ReadError(f"{source}: there is nothing of that name")
        each = sorted((p for p in source.rglob("*") if p.is_file()), key=lambda p: natural_key(FileRef(str(p))))
        found += each if source.is_dir() else [source]
    kept = [p for p in found if p.suffix.lower() not in _NO_IMAGES and not p.name.startswith(".")]
    if not kept:
        raise ReadError("no file that may hold a loop: " + ", ".join(map(str, sources)))
    return kept, len(found) - len(kept)


def _claim(out: Path, mine: Mapping[str, Any]) -> None:
    """Mark the folder as this model's, or refuse one that holds something else."""
    path = out / "echo.json"
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ReadError(f"{out} is not empty and holds no echo results; give a new --out")
        write_whole(path, (json.dumps({**mine, "use": NOTICE, "loops": []}, indent=1) + "\n").encode())
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
        same = all(theirs.get(name) == value for name, value in mine.items())
    except (ValueError, AttributeError) as error:
        raise ReadError(f"{path} is not a table of loops ({error}); give a new --out") from error
    if not same:
        raise CheckpointError(f"{out} holds what another model, version or frame rate made; give a new --out")


def _made_by(card: Card | None) -> dict[str, Any]:
    return {
        "model": None if card is None else card.full_name,
        "weights_sha256": None if card is None else card.sha256,
        "version": __version__,
    }


def _earlier(out: Path, key: str) -> dict[str, Any] | None:
    """The row of an earlier call; None for one that was refused for its size, since the limit may be another now."""
    try:
        row = json.loads((out / "loops" / f"{key}.json").read_text(encoding="utf-8"))
        whole = set(row) == set(FIELDS) and (out / "loops" / f"{key}.html").exists()
        return dict(row) if whole and "max_pixels" not in row["why"] else None
    except (OSError, ValueError, TypeError):
        return None


def _one(
    path: Path, key: str, out: Path, model: ModelReader | None, frame_rate: float | None, max_pixels: int
) -> dict[str, Any]:
    """Check one file, read EF, write its page, picture and row."""
    checked = check_file(path, max_pixels=max_pixels)
    found: BeatEF | None = None
    if model is not None and not checked.refused and checked.clean is not None:
        try:
            found = beat_by_beat(checked.clean, model, frame_rate=frame_rate)
        except InputError as error:
            detail = str(error).removeprefix(f"{key}: ")
            checked = Checked(
                checked.key, (Refusal("too_short", detail),), checked.clean, checked.sector, checked.view, checked.loop
            )
    card = None if model is None else model.card
    row = _row(key, checked, found, card)
    made_by = {"Key": key, "Model": str(row["model"]), "Weights": str(row["weights_sha256"]), "Version": __version__}
    page = loop_page(key, checked, found, card, made_by)
    if checked.clean is not None:
        write_whole(out / "loops" / f"{key}.png", _picture(checked, found))
    write_whole(out / "loops" / f"{key}.html", page.encode("utf-8"))
    write_whole(out / "loops" / f"{key}.json", (json.dumps(row, indent=1) + "\n").encode())
    return row


def _row(key: str, checked: Checked, found: BeatEF | None, card: Card | None) -> dict[str, Any]:
    volume = checked.loop.volume if checked.loop is not None else None
    clean = checked.clean
    rate = None if volume is None else volume.attributes.get("frame_rate")
    heart_rate = found.beats.heart_rate if found is not None else None
    values = (
        key,
        checked.refused[0].name if checked.refused else "",
        "; ".join(map(str, checked.refused)),
        None if found is None else round(found.ef, 4),
        None if found is None or found.spread is None else round(found.spread, 4),
        None if found is None else len(found.each),
        None if found is None else found.by_beats,
        None if heart_rate is None else round(heart_rate, 1),
        checked.view.view,
        checked.view.by,
        checked.view_checked,
        found is not None and meaningless(checked, card),
        None if volume is None else len(volume),
        round(rate, 3) if isinstance(rate, float) else None,
        checked.loop.patient if checked.loop is not None else "",
        " ".join(doubts(checked, found, card)),
        " | ".join([*(clean.notes if clean is not None else ()), *(found.notes if found is not None else ())]),
        *_made_by(card).values(),
        NOTICE,
    )
    return dict(zip(FIELDS, values, strict=True))


def _picture(checked: Checked, found: BeatEF | None) -> bytes:
    """Cleaned images side by side: of the first clip, else of the whole loop."""
    loop = found.loop if found is not None else checked.clean
    if loop is None:
        raise InputError("there is no cleaned loop to show")
    first, last = found.spans[0] if found is not None else (0, len(loop))
    chosen = np.unique(np.linspace(first, last - 1, _SHOWN).round().astype(int))
    buffer = io.BytesIO()
    Image.fromarray(sheet(loop.images[chosen])).save(buffer, "PNG")
    return buffer.getvalue()


def _write_tables(
    out: Path, rows: list[dict[str, Any]], named: list[tuple[str, Path]], made_by: Mapping[str, Any], error: str
) -> None:
    table, sources = io.StringIO(), io.StringIO()
    writer = csv.DictWriter(table, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    names = csv.writer(sources, lineterminator="\n")
    names.writerow(("key", "file"))
    names.writerows((key, str(path)) for key, path in named)
    write_whole(out / "echo.csv", table.getvalue().encode("utf-8"))
    write_whole(out / "sources.csv", sources.getvalue().encode("utf-8"))
    fields = {**made_by, "use": NOTICE, "error_of_the_model": error, "loops": rows}
    write_whole(out / "echo.json", (json.dumps(fields, indent=1) + "\n").encode("utf-8"))

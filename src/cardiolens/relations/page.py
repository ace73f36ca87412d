"""One self-contained page of associations or of survival."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from cardiolens._version import __version__
from cardiolens.style import PAGE_CSS

if TYPE_CHECKING:
    from cardiolens.relations.run import Associations, Survival
    from cardiolens.relations.table import Source

_DISCLAIMER = "Research use, not a medical device. An association is not a cause."


def association_page(found: Associations, forest: bytes) -> str:
    """The HTML text of associations."""
    options = found.options
    errors = "HC3 (robust)" if options["robust"] else "classical"
    lead = (
        f"Ordinary least squares of each outcome on each exposure, adjusted for "
        f"{', '.join(options['adjust']) or 'nothing'}; standard errors {errors}; limits {100 * options['level']:g} %. "
        "p (Holm) is corrected for all rows of this table."
    )
    parts = [f"<p>{escape(lead)}</p>", _picture(forest, "Estimates with limits"), _table(found.table())]
    if found.disparities:
        column, group = options["disparity"]
        rows = [
            {"outcome": name, "percentile": r.percentile, "threshold": r.threshold, f"share in {group}": r.share,
             "share in the rest": r.share_rest, "ratio": r.ratio, "low": r.low, "high": r.high}
            for name, ratios in found.disparities.items()
            for r in ratios
        ]  # fmt: skip
        words = f"Share above each percentile in {column} = {group} over the share in all others; 1 is parity."
        parts += ["<h2>Disparity ratios</h2>", f"<p>{escape(words)}</p>", _table(pd.DataFrame(rows))]
    dropped = {f"{outcome} by {exposure}": fit.dropped for (outcome, exposure), fit in found.fits.items()}
    return _page("Associations", found.source, parts, dropped, found.refused, _references(found.fits.values()), options)


def survival_page(found: Survival, forest: bytes, curves: bytes) -> str:
    """The HTML text of survival."""
    options = found.options
    lead = (
        f"Cox proportional hazards of {options['event']} by {options['time']}, adjusted for "
        f"{', '.join(options['adjust']) or 'nothing'}; limits {100 * options['level']:g} %. A hazard ratio is that of "
        "one unit of a number, or of a group against its reference; a small proportional_hazards_p says that it "
        "changes over time."
    )
    notes = {note for fit in found.fits.values() for note in fit.notes}
    parts = [
        f"<p>{escape(lead)}</p>",
        *(f'<p class="note">{escape(note)}</p>' for note in sorted(notes)),
        _picture(forest, "Hazard ratios with limits"),
        _table(found.table()),
        _picture(curves, "Kaplan-Meier curves"),
    ]
    dropped = {f"{e}{'' if h is None else f' up to {h:g}'}": fit.dropped for (e, h), fit in found.fits.items()}
    dropped["Kaplan-Meier"] = found.curves.dropped
    return _page("Survival", found.source, parts, dropped, found.refused, _references(found.fits.values()), options)


def _references(fits: Any) -> dict[str, str]:
    return {name: level for fit in fits for name, level in fit.references.items()}


def _page(
    title: str,
    source: Source,
    parts: Sequence[str],
    dropped: Mapping[str, Mapping[str, int]],
    refused: Mapping[str, str],
    references: Mapping[str, str],
    options: Mapping[str, Any],
) -> str:
    left_out = [(name, "; ".join(f"{why}: {n}" for why, n in reasons.items())) for name, reasons in dropped.items()]
    provenance = [
        ("Table", source.name),
        ("sha256", source.sha256),
        ("Rows", f"{len(source.frame):,}"),
        ("Options", "; ".join(f"{key}: {value}" for key, value in options.items() if value not in ([], {}, None))),
        ("Version", f"cardiolens {__version__}"),
    ]
    body = [
        f"<h1>{title} in {escape(source.name)}</h1>",
        f'<p class="meta">{len(source.frame):,} rows · cardiolens {__version__}</p>',
        f'<p class="device"><strong>{_DISCLAIMER}</strong></p>',
        *parts,
        _section("Not fitted", list(refused.items())),
        _section("Groups are compared with", list(references.items())),
        _section("Rows left out", [(name, told or "none") for name, told in left_out]),
        _section("Where this comes from", provenance),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width">'
    inner = "\n".join(part for part in body if part)
    head += f"<style>{PAGE_CSS}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{inner}\n</body></html>\n'


def _section(heading: str, lines: Sequence[tuple[str, str]]) -> str:
    if not lines:
        return ""
    rows = "".join(f"<tr><td>{escape(what)}</td><td>{escape(text)}</td></tr>" for what, text in lines)
    return f'<h2>{heading}</h2><div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def _picture(png: bytes, alt: str) -> str:
    return f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"></p>'


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(c).replace('_', ' '))}</th>" for c in table.columns)
    rows = "".join("<tr>" + "".join(_cell(v) for v in row) + "</tr>" for row in table.itertuples(index=False))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="n">{"" if math.isnan(value) else f"{value:.4g}"}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape('' if value is None else str(value))}</td>"

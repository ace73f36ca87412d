"""The validation as one self-contained page: nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__
from cardiolens.validation.sections import Section, Table

if TYPE_CHECKING:
    import pandas as pd

    from cardiolens.evaluation.figures import Drawn

_CSS = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#222;background:#fff;
  max-width:1180px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:1.5rem;margin:0 0 4px}
h2{font-size:1.25rem;margin:40px 0 8px;scroll-margin-top:64px;border-top:2px solid #ddd;padding-top:16px}
h3{font-size:1rem;margin:22px 0 6px}.meta{color:#555;margin:0 0 14px}
nav{position:sticky;top:0;background:#fff;border-bottom:1px solid #ddd;padding:8px 0;font-size:.9rem;z-index:1}
nav a{display:inline-block;margin-right:14px;color:#0072B2}
.device{border-left:4px solid #D55E00;background:#fdf3ec;padding:8px 14px;margin:12px 0}
.note{border-left:4px solid #0072B2;background:#eef5fa;padding:6px 14px;margin:6px 0;font-size:.92rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:18px;align-items:start}
figure{margin:0;border:1px solid #e2e2e2;border-radius:6px;padding:10px}
figure.wide{grid-column:1/-1}
figure img{display:block;max-width:100%;height:auto;margin:0 auto}
figcaption{font-size:.86rem;color:#444;margin-top:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;padding:4px 9px;border-bottom:1px solid #e6e6e6;vertical-align:top}
th{border-bottom:2px solid #999}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.n{white-space:nowrap}td:first-child{min-width:8em}
code{font-size:.85em;word-break:break-all}.file{color:#555;font-size:.86rem}
@media print{body{max-width:none;padding:0}nav{display:none}figure{break-inside:avoid}}
"""
_WIDE = 7.0  # inches from which a figure takes the whole width


def page(
    title: str, meta: str, warnings: Sequence[str], sections: Sequence[Section], provenance: Mapping[str, Any]
) -> str:
    """The HTML text.

    Args:
        title, meta: heading and the line under it.
        warnings: shown first of all, such as that studies are synthetic.
        provenance: what was computed from what.
    """
    links = " ".join(f'<a href="#{s.name}">{escape(s.title)}</a>' for s in sections)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_CSS}</style></head><body>',
        f"<h1>{escape(title)}</h1>",
        f'<p class="meta">{escape(meta)} · cardiolens {__version__}</p>',
        '<p class="device"><strong>Research software; not a medical device.</strong></p>',
        *(f'<p class="device"><strong>{escape(text)}</strong></p>' for text in warnings),
        f'<nav>{links}<a href="#provenance">Where this comes from</a></nav>',
        *(line for section in sections for line in _section(section)),
        '<h2 id="provenance">Where this comes from</h2>',
        _pairs(provenance),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _section(section: Section) -> list[str]:
    return [
        f'<h2 id="{section.name}">{escape(section.title)}</h2>',
        *(f"<p>{escape(text)}</p>" for text in section.words),
        *(f'<p class="note">{escape(text)}</p>' for text in section.notes),
        '<div class="figures">' + "".join(map(_figure, section.figures)) + "</div>" if section.figures else "",
        *map(_table, section.tables),
    ]


def _figure(drawn: Drawn) -> str:
    data = base64.b64encode(drawn.png).decode("ascii")
    width = drawn.figure.get_figwidth()
    wide = ' class="wide"' if width >= _WIDE else ""
    return (
        f'<figure{wide}><img style="width:{width * 100:.0f}px" src="data:image/png;base64,{data}" '
        f'alt="{escape(f"{drawn.title}. {drawn.caption}")}"><figcaption>{escape(drawn.caption)}</figcaption></figure>'
    )


def _table(table: Table) -> str:
    shown = table.frame if table.shown is None else table.shown
    file = f'<span class="file">tables/{escape(table.name)}.csv, {len(table.frame):,} rows</span>'
    if shown.empty:
        return f"<p>{escape(table.caption)}: {file}</p>"
    numeric = [_is_numeric(shown[name]) for name in shown.columns]
    head = "".join(
        f"<th{_right(right)}>{escape(str(name))}</th>" for name, right in zip(shown.columns, numeric, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{_right(r)}>{escape(_text(v))}</td>" for v, r in zip(row, numeric, strict=True)) + "</tr>"
        for row in shown.itertuples(index=False, name=None)
    )
    return (
        f"<h3>{escape(table.caption)}</h3>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{file}'
    )


def _is_numeric(column: pd.Series[Any]) -> bool:
    texts = [str(value).strip() for value in column if str(value).strip() not in ("", "–", "None")]
    return bool(texts) and all(text[0].isdigit() or (text[0] in "-+<−" and len(text) > 1) for text in texts)


def _right(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _text(value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN is not itself
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _pairs(lines: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td><code>{escape(str(value))}</code></td></tr>" for name, value in lines.items()
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'

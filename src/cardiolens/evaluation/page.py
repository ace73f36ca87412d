"""One self-contained page of an evaluation: figures, table, and what to know before believing them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np

from cardiolens._version import __version__
from cardiolens.evaluation.figures import Drawn, p_text, percent
from cardiolens.evaluation.run import Evaluation
from cardiolens.stats import Coverage, Metric, Proportion, Report

_NAMES = {
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "sd_abs_error": "SD of the absolute error",
    "bias": "Bias (prediction − truth)",
    "limit_low": "Lower limit of agreement",
    "limit_high": "Upper limit of agreement",
    "sd_difference": "SD of the difference",
    "r2": "R² (coefficient of determination)",
    "pearson_r": "Pearson correlation",
    "prevalence": "Prevalence",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "ece": "Expected calibration error",
    "calibration_in_the_large": "Mean score − prevalence",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "threshold": "Threshold",
}
_CSS = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#222;background:#fff;
  max-width:1080px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:1.5rem;margin:0 0 4px}h2{font-size:1.1rem;margin:32px 0 8px}
.meta{color:#555;margin:0 0 16px}
.device{border-left:4px solid #D55E00;background:#fdf3ec;padding:8px 14px;margin:16px 0}
.note{border-left:4px solid #0072B2;background:#eef5fa;padding:8px 14px;margin:8px 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:20px;align-items:start}
figure{margin:0;border:1px solid #e2e2e2;border-radius:6px;padding:10px}
figure img{width:100%;height:auto}figcaption{font-size:.88rem;color:#444;margin-top:6px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:5px 10px;border-bottom:1px solid #e6e6e6;vertical-align:top}
th{border-bottom:2px solid #999}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em;word-break:break-all}
@media(max-width:480px){.figures{grid-template-columns:1fr}}
@media print{body{max-width:none;padding:0}figure{break-inside:avoid}.figures{grid-template-columns:1fr 1fr}}
"""


def page(evaluation: Evaluation, drawn: Sequence[Drawn]) -> str:
    """The HTML text; pictures are embedded, nothing is loaded from elsewhere."""
    settings, data = evaluation.settings, evaluation.data
    what = settings.quantity if settings.task == "regression" else "classification"
    title = f"Evaluation of {data.source}"
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_CSS}</style></head><body>',
        f"<h1>{escape(title)}</h1>",
        f'<p class="meta">{escape(what)} · {len(data.frame):,} of {data.n_rows:,} rows · cardiolens {__version__}</p>',
        '<p class="device"><strong>Research software; not a medical device.</strong></p>',
        *(f'<p class="note">{escape(note)}</p>' for note in evaluation.notes),
        "<h2>Figures</h2>" if drawn else "",
        '<div class="figures">',
        *(_figure(figure) for figure in drawn),
        "</div>",
        *_tables(evaluation),
        *_against(evaluation),
        *_refused(evaluation.report),
        *_provenance(evaluation),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def metric_title(name: str) -> str:
    """A metric's name in words: `auroc_below_40` is "AUROC, truth below 40"."""
    if name in _NAMES:
        return _NAMES[name]
    stem, by_patient = (name.removesuffix("_by_patient"), name.endswith("_by_patient"))
    tail = " (limits by patient)" if by_patient else ""
    for word, text in (("_below_", ", truth below "), ("_above_", ", truth above "), ("_at_", " at ")):
        head, found, rest = stem.partition(word)
        if found and head in _NAMES:
            rest = rest.replace("_sensitivity", " % sensitivity") if word == "_at_" else rest
            return f"{_NAMES[head]}{text}{rest}{tail}"
    return _NAMES.get(stem, name) + tail


def value_text(metric: Metric) -> str:
    """The figure with its unit."""
    return f"{_digits(metric.value, metric.unit)}{f' {metric.unit}' if metric.unit not in ('', 'score') else ''}"


def limits_text(metric: Metric) -> str:
    """The limits, or nothing where there are none."""
    if np.isnan(metric.low) or np.isnan(metric.high):
        return ""
    return f"{_digits(metric.low, metric.unit)} to {_digits(metric.high, metric.unit)}"


def coverage_text(found: Coverage, unit: str) -> str:
    """Coverage of the prediction intervals in one line."""
    share = found.observed
    text = f"{_shares(share)} of {share.n:,} true values lie in their interval"
    text += f"; mean width {found.mean_width:.1f} {unit}".rstrip()
    if found.nominal is not None:
        verdict = "holds" if found.holds else "DOES NOT HOLD"
        text += f"; stated {percent(found.nominal)}: {verdict}"
    return text


def comparison_lines(evaluation: Evaluation) -> list[tuple[str, str]]:
    """What the comparison with another table found, as (what, figure)."""
    found, unit = evaluation.comparison, evaluation.settings.unit
    if found is None:
        return []
    level = percent(evaluation.settings.level)
    lines = [
        ("Studies in common", f"{found.n:,} (left out: {found.dropped:,} here, {found.dropped_other:,} there)"),
        ("Paired by", found.paired_by),
    ]
    if found.mae is not None and found.mae_difference is not None:
        value, low, high = found.mae_difference
        lines.append(("Mean absolute error", f"{found.mae[0]:.2f} against {found.mae[1]:.2f} {unit}".rstrip()))
        lines.append((f"Difference ({level} limits, paired bootstrap)", f"{value:+.2f} ({low:+.2f} to {high:+.2f})"))
    if found.auroc is not None:
        test = found.auroc
        lines.append(("AUROC", f"{test.a.auc:.3f} against {test.b.auc:.3f}"))
        limits = f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})"
        lines.append((f"Difference ({level} limits, paired DeLong)", f"{limits}, {p_text(test.p_value)}"))
    return lines + [("Note", note) for note in found.notes]


def _shares(share: Proportion) -> str:
    return f"{share.value * 100:.1f} % ({share.low * 100:.1f} to {share.high * 100:.1f} %)"


def _digits(value: float, unit: str) -> str:
    if unit == "":
        return f"{value:.3f}"
    return f"{value:.4g}" if unit == "score" else f"{value:.2f}"


def _figure(drawn: Drawn) -> str:
    data = base64.b64encode(drawn.png).decode("ascii")
    alt = escape(f"{drawn.title}. {drawn.caption}")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{alt}">'
        f"<figcaption>{escape(drawn.caption)}</figcaption></figure>"
    )


def _tables(evaluation: Evaluation) -> list[str]:
    level = f"{percent(evaluation.settings.level)} limits"
    out = []
    for subset, report in evaluation.reports.items():
        heading = "Results, all studies" if subset == "all" else "Results without studies flagged as out of domain"
        rows = "".join(
            f'<tr><td>{escape(metric_title(m.name))}</td><td class="n">{escape(value_text(m))}</td>'
            f'<td class="n">{escape(limits_text(m))}</td><td class="n">{m.n:,}</td><td>{escape(m.method)}</td></tr>'
            for m in report
        )
        out.append(
            f'<h2>{heading} (n = {report.n:,})</h2><div class="scroll"><table><thead><tr><th>Figure</th>'
            f'<th class="n">Value</th><th class="n">{level}</th><th class="n">n</th><th>Limits by</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
    lines = [
        (f"Prediction interval, {subset}", coverage_text(found, evaluation.settings.unit))
        for subset, found in evaluation.coverage.items()
    ]
    if evaluation.out_of_domain is not None:
        share = evaluation.out_of_domain
        text = f"{share.count:,} of {share.n:,} studies: {_shares(share)}"
        lines.append(("Flagged out of domain", text))
    return [*out, *([f"<h2>Intervals and domain</h2>{_pairs(lines)}"] if lines else [])]


def _against(evaluation: Evaluation) -> list[str]:
    lines = comparison_lines(evaluation)
    if not lines or evaluation.comparison is None:
        return []
    return [f"<h2>Against {escape(evaluation.comparison.other)}</h2>{_pairs(lines)}"]


def _refused(report: Report) -> list[str]:
    if not report.refused:
        return []
    lines = [(metric_title(name), reason) for name, reason in report.refused.items()]
    return [f"<h2>Not computed</h2>{_pairs(lines)}"]


def _provenance(evaluation: Evaluation) -> list[str]:
    data, settings = evaluation.data, evaluation.settings
    lines = [
        ("Table", data.source),
        ("sha256", data.sha256),
        ("Columns", ", ".join(f"{role}: {column}" for role, column in data.roles.items())),
        ("Rows", f"{data.n_rows:,} read, {len(data.frame):,} used"),
        ("Resamples, seed", f"{settings.n_resamples:,}, {settings.seed}"),
        ("Version", f"cardiolens {__version__}"),
    ]
    if data.truth:
        lines.insert(2, ("True values", f"{data.truth['file']} (column {data.truth['label']}), {data.truth['sha256']}"))
    return [f"<h2>Where this comes from</h2>{_pairs(lines)}"]


def _pairs(lines: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td>{escape(what)}</td><td>{escape(text)}</td></tr>" for what, text in lines)
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'

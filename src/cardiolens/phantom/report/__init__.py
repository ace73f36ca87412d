"""A plain-English cardiac MRI report for a phantom heart: never one template, always true to the heart."""

from cardiolens.phantom.report.facts import Claim, Report, Sentence
from cardiolens.phantom.report.writer import compose_report, write_report

__all__ = ["Claim", "Report", "Sentence", "compose_report", "write_report"]

"""A plain-English cardiac MRI report for a phantom heart: never one template, always true to the heart."""

from cardiolens.phantom.report.writer import write_report

__all__ = ["write_report"]

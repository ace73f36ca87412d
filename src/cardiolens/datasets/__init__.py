"""Public data sets' own layouts, and patient-level splits."""

from cardiolens.datasets.splits import Split, make_split

__all__ = ["Split", "make_split"]

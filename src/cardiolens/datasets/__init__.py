"""Public data sets' own layouts, and patient-level splits.

>>> from cardiolens.datasets.bring_in import import_dataset
>>> import_dataset("acdc", "database", "STORE").keys["patient001"]        # doctest: +SKIP
'acdc_patient001/patient001'

One adapter a file (`ukb`, `kaggle`, `acdc`, `clinical`, `external`); `catalogue` lists them, `bring_in` brings a copy
into a store, `splits` deals patients into parts.
"""

from cardiolens.datasets.splits import PLANS, Split, make_split, named_split, refuse_overlap

__all__ = ["PLANS", "Split", "make_split", "named_split", "refuse_overlap"]

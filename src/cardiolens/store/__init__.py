"""The store: one HDF5 file a study, written whole and then renamed, opened lazily in each process.

>>> from cardiolens.store import StudyStore
>>> store = StudyStore("cohort")                              # doctest: +SKIP
>>> store.keys()[0]                                           # doctest: +SKIP
'sunnybrook_k3v…/q7a…'
>>> store.frames(store.keys()[0], "SAX", 5, range(0, 20, 2))  # doctest: +SKIP
"""

from cardiolens.store._keys import identified, site_part
from cardiolens.store._study_file import SCHEMA_VERSION
from cardiolens.store._study_store import StudyStore

__all__ = ["SCHEMA_VERSION", "StudyStore", "identified", "site_part"]

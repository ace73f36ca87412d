"""External validation: every figure and table of a model on a store, as files and one page.

>>> from cardiolens.validation import validate
>>> validate("runs/lvef/final", StudyStore("archive"), Path("out"), against="random").page    # doctest: +SKIP
"""

from cardiolens.validation.request import Settings
from cardiolens.validation.run import Validation, validate

__all__ = ["Settings", "Validation", "validate"]

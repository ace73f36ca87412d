"""What can go wrong, each error saying what, where and what to do.

The command line prints any `CardiolensError` as one message and leaves with exit code 1.
"""


class CardiolensError(Exception):
    """Base of every error that a user can mend."""


class ReadError(CardiolensError):
    """Input that cannot be read: no DICOM in the folder, corrupt pixels, an unknown format."""


class NoCineError(ReadError):
    """A study was found, and no cine in it; the message lists each series with its reason."""


class GeometryError(CardiolensError):
    """Geometry that contradicts itself, or a measure in mm, ml or g asked of a cine that has none."""


class StoreError(CardiolensError):
    """A store that is missing, damaged, of another schema version, or cannot be written."""


class ReportError(CardiolensError):
    """A table of reports or labels that does not fit the studies."""


class CheckpointError(CardiolensError):
    """Weights that are missing, misshapen, of an unknown layout, or not what the model needs."""


class RecipeError(CardiolensError):
    """A recipe with an unknown key, a wrong type or settings that contradict each other."""


class TrainingError(CardiolensError):
    """Training that cannot go on: NaN loss, too few studies, a run folder of another recipe."""


class PhantomError(CardiolensError):
    """A heart that cannot exist (LVEF 120 %, a negative wall), an unknown condition, or a cohort folder in use."""


class InputError(CardiolensError, ValueError):
    """An array or an argument of the wrong shape, range or kind, given to a model or a measure."""


class StatsError(CardiolensError, ValueError):
    """Numbers that a statistic cannot be computed from: one class only, NaN, unequal lengths, too few cases."""

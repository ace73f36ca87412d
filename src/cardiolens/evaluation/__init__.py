"""Evaluation of a table of predictions: metrics with limits, figures and one page.

evaluation = evaluate(Path("predictions.csv"), Settings(task="regression"))
write(evaluation, Path("out"))
"""

from cardiolens.evaluation.run import Comparison, Evaluation, Settings, evaluate, write
from cardiolens.evaluation.table import ColumnNames, Predictions, read_predictions

__all__ = [
    "ColumnNames",
    "Comparison",
    "Evaluation",
    "Predictions",
    "Settings",
    "evaluate",
    "read_predictions",
    "write",
]

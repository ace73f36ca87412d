"""From scores to probabilities and decisions: Platt scaling and an operating threshold, from calibration studies.

Sources: Platt, Probabilistic outputs for support vector machines (1999), for the logistic fit and its targets; Youden,
Index for rating diagnostic tests, Cancer 3:32 (1950).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from cardiolens.stats import operating_point, threshold_at_sensitivity

LEAST = 5  # studies with a condition, and without it; ours: below, two numbers cannot be fitted to mean anything
PREVALENCE = (
    "A probability holds where the condition is as frequent as among the calibration studies. Where it is rarer, the "
    "probability is too high."
)


def platt(present: npt.NDArray[np.bool_], logits: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of P(present) = sigmoid(slope * logit + intercept), by maximum likelihood.

    The targets are Platt's, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), so that the fit is finite where a score separates the
    classes without fault.

    Args:
        present: (n,), both classes.
        logits: (n,).
    """
    middle, spread = float(logits.mean()), float(logits.std()) or 1.0
    x = (logits - middle) / spread
    count = int(present.sum())
    target = np.where(present, (count + 1) / (count + 2), 1 / (len(present) - count + 2))

    def loss(line: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        z = line[0] * x + line[1]
        error = expit(z) - target
        return float(np.logaddexp(0, z).sum() - (target * z).sum()), np.array([error @ x, error.sum()])

    start = np.array([0.0, np.log(target.mean() / (1 - target.mean()))])
    slope, intercept = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8}).x
    return float(slope / spread), float(intercept - slope * middle / spread)


def operating_threshold(
    present: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], sensitivity: float | None = None
) -> float:
    """Score from which on a study is flagged: the greatest Youden index, or the highest that is sensitive enough.

    It lies half-way down to the next lower score, so that rounding does not decide.  Of thresholds with the same Youden
    index the most sensitive is taken.

    Args:
        present: (n,), both classes.
        scores: (n,).
        sensitivity: to reach on these studies; None for Youden's index, sensitivity + specificity - 1.
    """
    ascending = np.unique(scores)
    if sensitivity is None:
        found = np.array([(scores[present] >= t).mean() - (scores[~present] >= t).mean() for t in ascending])
        place = int(np.argmax(found > found.max() - 1e-12))
    else:
        place = int(np.searchsorted(ascending, threshold_at_sensitivity(present, scores, sensitivity)))
    below = float(ascending[place - 1]) if place else 0.0
    return (float(ascending[place]) + below) / 2


def calibrate_condition(
    truth: npt.NDArray[np.float64], logits: npt.NDArray[np.float64], sensitivity: float | None = None
) -> dict[str, Any] | str:
    """Platt scaling and operating threshold of one condition, for the card; or why there is none.

    Args:
        truth: (n,) 1, 0, or NaN where not known.
        logits: (n,).
        sensitivity: see `operating_threshold`.
    """
    known = np.isfinite(truth)
    present, x = truth[known] > 0.5, logits[known]
    count, total = int(present.sum()), int(known.sum())
    if min(count, total - count) < LEAST:
        return f"{count} with and {total - count} without it among the calibration studies, {LEAST} of each are needed"
    slope, intercept = platt(present, x)
    if slope <= 0:
        return "the score is no higher with the condition than without it among the calibration studies"
    scores = expit(x)
    threshold = operating_threshold(present, scores, sensitivity)
    point = operating_point(present, scores, threshold)
    return {
        "slope": slope,
        "intercept": intercept,
        "threshold": threshold,
        "n": total,
        "positive": count,
        "sensitivity": round(point.sensitivity.value, 4),
        "specificity": round(point.specificity.value, 4),
    }

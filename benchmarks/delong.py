"""DeLong variance from midranks, O(n log n), against the textbook form over every pair, in one run.

    python benchmarks/delong.py [--largest 16000] [--repeats 5]

Prints one row a size: seconds of each (best of the repeats), their ratio, and the largest difference of the results.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from cardiolens.stats import auroc


def textbook(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """Area and 95 % limits from the m x n matrix of comparisons (DeLong et al. 1988, eqs. 2-5)."""
    x, y = scores[labels][:, None], scores[~labels][None, :]
    psi = np.where(x > y, 1.0, 0.0)
    psi[x == y] = 0.5
    v10, v01 = psi.mean(axis=1), psi.mean(axis=0)
    se = np.sqrt(v10.var(ddof=1) / v10.size + v01.var(ddof=1) / v01.size)
    area = float(psi.mean())
    reach = norm.ppf(0.975) * se
    return area, max(0.0, area - reach), min(1.0, area + reach)


def midranks(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    found = auroc(labels, scores)
    return found.auc, found.low, found.high


def best_of(repeats: int, call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=16_000, help="largest number of cases, half of them positive")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print("cases,midranks_s,textbook_s,ratio,largest_difference")
    size = 1000
    while size <= args.largest:
        labels = np.arange(size) % 2 == 1
        scores = (labels + rng.normal(0, 1.5, size)).round(3)
        difference = np.abs(np.subtract(midranks(labels, scores), textbook(labels, scores))).max()
        quick = best_of(args.repeats, lambda y=labels, s=scores: midranks(y, s))
        slow = best_of(args.repeats, lambda y=labels, s=scores: textbook(y, s))
        print(f"{size},{quick:.5f},{slow:.5f},{slow / quick:.0f},{difference:.1e}")
        size *= 2


if __name__ == "__main__":
    main()

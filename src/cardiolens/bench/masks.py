"""The competitor that draws: the bundled segmenter's volumes and what they tell, with no network to train.

LVEF is that of the contours as they are.  Conditions are learned from the measures by logistic regression on
standardised figures, gaps filled with the training median; its strength is chosen by cross-validation among the
training studies.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiolens._version import __version__
from cardiolens.bench.targets import Targets
from cardiolens.contours import segment_study
from cardiolens.errors import CardiolensError
from cardiolens.segmenter import load_segmenter
from cardiolens.store import StudyStore
from cardiolens.store.atomic import write_whole
from cardiolens.study import Cine, Study, View

logger = logging.getLogger(__name__)

Told = Callable[[int, int], None]
_FOLDS = 5


def measured(store: StudyStore, keys: Sequence[str], folder: Path, phases: int, told: Told) -> dict[str, Any]:
    """Figures and seconds of each study, kept in `folder` under the study's hash; one that cannot be drawn has none.

    Returns:
        key to {"figures": {name: number}, "seconds": number, "refused": reason or ""}.
    """
    segmenter = load_segmenter()
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, key in enumerate(keys):
        told(number, len(keys))
        stamp = f"{store.hash_of(key)} {segmenter.card.sha256} {phases} {__version__}"
        path = folder / f"{hashlib.sha256(stamp.encode()).hexdigest()[:24]}.json"
        if path.exists():
            found[key] = json.loads(path.read_text())
            continue
        started, refused, figures = time.perf_counter(), "", {}
        try:
            study = store.read(key)
            short = Study(tuple(_thinned(cine, phases) for cine in study.cines if cine.view is View.SAX))
            figures = {name: float(v) for name, v in segment_study(short, segmenter).measures.figures.items()}
        except CardiolensError as error:
            refused = str(error)
        found[key] = {"figures": figures, "seconds": time.perf_counter() - started, "refused": refused}
        write_whole(path, json.dumps(found[key]).encode())
    told(len(keys), len(keys))
    return found


def _thinned(cine: Cine, phases: int) -> Cine:
    """A cine at so many moments of the cycle."""
    if cine.n_phases <= phases:
        return cine
    at = np.linspace(0, cine.n_phases, phases, endpoint=False).round().astype(int)
    times = None if cine.trigger_times_ms is None else cine.trigger_times_ms[:, at]
    return replace(cine, frames=cine.frames[:, at], trigger_times_ms=times)


def answers_from(
    found: dict[str, Any], targets: Targets, train: Sequence[str], keys: Sequence[str], seed: int
) -> npt.NDArray[np.float64]:
    """(study, target): the contours' LVEF, then a probability a condition; NaN where nothing was drawn."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    names = sorted({name for one in found.values() for name in one["figures"]})
    table = {key: [found[key]["figures"].get(name, np.nan) for name in names] for key in found}
    learned = [key for key in train if found[key]["figures"]]
    inputs = np.array([table[key] for key in learned], dtype=float)
    known = ~np.isnan(inputs).all(0)
    asked = np.array([table[key] for key in keys], dtype=float)[:, known]
    out = np.full((len(keys), len(targets.names)), np.nan)
    drawn = np.array([bool(found[key]["figures"]) for key in keys])
    out[:, 0] = [found[key]["figures"].get("lvef_pct", np.nan) for key in keys]
    wanted = targets.of(learned).numpy()
    for column in range(1, len(targets.names)):
        labelled = ~np.isnan(wanted[:, column])
        truth = wanted[labelled, column].astype(int)
        if truth.sum() < _FOLDS or (1 - truth).sum() < _FOLDS:
            out[drawn, column] = truth.mean()
            continue
        model = make_pipeline(
            SimpleImputer(strategy="median"),
            StandardScaler(),
            LogisticRegressionCV(Cs=5, cv=_FOLDS, scoring="neg_log_loss", max_iter=2000, random_state=seed),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", FutureWarning)
            model.fit(inputs[labelled][:, known], truth)
        if drawn.any():
            out[drawn, column] = model.predict_proba(asked[drawn])[:, 1]
    return out

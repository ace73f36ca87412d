"""Images of one study in a folder → the results to send."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cardiolens.dicom.deid import pseudonymise
from cardiolens.errors import CardiolensError, NoCineError
from cardiolens.pacs.results import Masks, Results, make_results
from cardiolens.reading import read_study

if TYPE_CHECKING:
    from cardiolens.contours import SegmenterLike, SegmentResult
    from cardiolens.findings import Prediction
    from cardiolens.study import Study

logger = logging.getLogger(__name__)

_TOLD = ("lvef_pct", "lv_edv_ml", "lv_esv_ml", "lv_mass_g")


@dataclass
class Work:
    """What came of one study.

    Attributes:
        results: to send.
        summary: figures for the table of studies: "lvef_network_pct", and those of the contours.
    """

    results: Results
    summary: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """Reads a study with a model, a segmenter, or both.

    Attributes:
        predict: such as `cardiolens.inference.Predictor`; None for none.
        segmenter: such as the bundled one; None for none.
        key: of the pseudonyms.
        masks: which phases get a DICOM SEG.
    """

    predict: Callable[[Study], Prediction] | None
    segmenter: SegmenterLike | None
    key: bytes
    masks: Masks = "ed-es"

    def __call__(self, folder: Path, made: dt.datetime, comments: Sequence[str] = ()) -> Work:
        """Read one study.

        Args:
            folder: its images.
            made: what the results say of when they were had.
            comments: sentences for the report.

        Raises:
            CardiolensError: no cine, or neither model nor segmenter could read it; the reasons are named.
        """
        study = pseudonymise(read_study(folder), self.key)
        said, reasons = list(comments), []
        prediction: Prediction | None = None
        contours: SegmentResult | None = None
        if self.predict is not None:
            try:
                prediction = self.predict(study)
            except CardiolensError as error:
                reasons.append(f"no prediction: {error}")
        if self.segmenter is not None:
            from cardiolens.contours import segment_study

            try:
                contours = segment_study(study, self.segmenter)
            except CardiolensError as error:
                reasons.append(f"no contours: {error}")
        if prediction is None and contours is None:
            raise NoCineError("; ".join(reasons))
        for reason in reasons:
            logger.warning("%s", reason)
        results = make_results(study, prediction, contours, made=made, masks=self.masks, comments=[*said, *reasons])
        return Work(results, _summary(prediction, contours))


def _summary(prediction: Prediction | None, contours: SegmentResult | None) -> dict[str, float]:
    out = {}
    if prediction is not None and prediction.lvef_pct is not None:
        out["lvef_network_pct"] = round(prediction.lvef_pct, 1)
        if prediction.out_of_domain:
            out["out_of_domain"] = 1.0
    if contours is not None:
        found = {name: getattr(contours.measures, name) for name in _TOLD}
        out |= {name: round(value, 1) for name, value in found.items() if value is not None}
    return out

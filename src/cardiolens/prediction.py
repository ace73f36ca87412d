"""Many studies through one model: a table, a page a study, and what failed; killed and started again, it goes on."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiolens._version import __version__
from cardiolens.conditions import ConditionFinding
from cardiolens.contours import SegmenterLike, SegmentResult, segment_study
from cardiolens.dicom.deid import load_key, pseudonym
from cardiolens.errors import CardiolensError, CheckpointError, ReadError
from cardiolens.html.report import study_report
from cardiolens.inference import Prediction, Predictor, study_hash
from cardiolens.reading import read_studies
from cardiolens.store import StudyStore, identified
from cardiolens.store.atomic import write_whole
from cardiolens.study import Study, View

if TYPE_CHECKING:
    from cardiolens.engine import Engine
    from cardiolens.models.card import Card
    from cardiolens.models.dual_encoder import DualEncoder

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the study's key, how many are done, and of how many (0: not known)."""

_PATH = re.compile(r"\S*/\S*|\S+\.(?:dcm|nii|gz|zip|tar|h5|ima)\b", re.IGNORECASE)
_COLUMNS = ("key", "lvef", "lvef_low", "lvef_high", "coverage", "out_of_domain", "domain_score", "domain_threshold")
_ATTENTION = tuple(f"attention_{view}" for view in View)
CONTOURS = (
    "contour_lvef",
    "contour_lv_edv_ml",
    "contour_lv_esv_ml",
    "contour_lv_mass_g",
    "contour_ed_phase_from_1",
    "contour_es_phase_from_1",
    "contour_worst_flag",
    "contour_flags",
    "contour_model",
)
"""Columns more, before `planes`, where a segmenter draws as well."""
_LAST = ("planes", "notes", "study_sha256", "weights_sha256", "model", "version", "page")
FIELDS = (*_COLUMNS, *_ATTENTION, *_LAST)
"""Columns of every table; a model that tells conditions has `flagged` and three a condition before `planes`."""


@dataclass(frozen=True)
class Failure:
    """A study that could not be read.

    Attributes:
        where: source or key, for the person at the console.
        why: the reason; may name files.
        study: key, or a keyed hash of the path, for files that may be given away.
    """

    where: str
    why: str
    study: str

    @property
    def told(self) -> str:
        """The reason without paths and file names, which may be patients' names."""
        return _PATH.sub("[file]", self.why.replace(self.where, "[source]"))


@dataclass(frozen=True)
class PredictionRun:
    """What came of a call.

    Attributes:
        rows: one a study, the columns of `predictions.csv`.
        failed: the studies that could not be read.
        reused: how many rows an earlier call had made already.
    """

    rows: tuple[dict[str, Any], ...]
    failed: tuple[Failure, ...]
    reused: int


def fields_of(conditions: Sequence[str], *, contours: bool = False) -> tuple[str, ...]:
    """Columns of a table for a model that tells these conditions, and for a segmenter beside it."""
    each = [f"{name}_{what}" for name in conditions for what in ("score", "probability", "flagged")]
    return (*_COLUMNS, *_ATTENTION, *(["flagged"] if each else []), *each, *(CONTOURS if contours else ()), *_LAST)


@dataclass(frozen=True)
class _Reader:
    """What reads a study: the model, and a segmenter beside it or none."""

    predictor: Predictor
    segmenter: SegmenterLike | None

    @property
    def drawn_by(self) -> dict[str, Any] | None:
        """The segmenter, for the table of predictions."""
        card: Card | None = getattr(self.segmenter, "card", None)
        if self.segmenter is None or card is None:
            return None if self.segmenter is None else {"model": type(self.segmenter).__name__, "weights_sha256": None}
        return {"model": card.full_name, "weights_sha256": card.sha256}

    def contours(self, study: Study) -> tuple[SegmentResult | None, str]:
        """What the segmenter draws, or why there is nothing."""
        if self.segmenter is None:
            return None, ""
        if View.SAX not in study.views:
            return None, "No contours: no short-axis stack in this study."
        try:
            return segment_study(study, self.segmenter), ""
        except CardiolensError as error:
            logger.warning("no contours: %s", error)
            return None, f"No contours: {error}"


def predict(
    sources: Sequence[Path],
    model: DualEncoder | Engine,
    out: Path,
    *,
    segmenter: SegmenterLike | None = None,
    device: str = "cpu",
    progress: Progress = lambda key, done, total: None,
) -> PredictionRun:
    """Predict every study under the sources.

    Writes `predictions.csv`, `predictions.json` and one HTML page a study into `out`.  A study whose pixels and model
    are those of an earlier row there is not computed again.  File names and rows carry pseudonyms only.

    Args:
        sources: stores, files of a store, DICOM folders, archives or files, NIfTI.
        model: with trained weights, and a head for LVEF or heads for conditions; or an engine that computes one.
        out: folder; absent, empty, or holding predictions of this same model and segmenter.
        segmenter: draws the studies that have a short axis as well; its LVEF and curves stand beside the model's.

    Raises:
        ReadError: a source that does not exist, or not one study could be predicted.
        CheckpointError: an untrained model or one without a head, or `out` holds predictions of another one.
    """
    reader = _Reader(Predictor(model, device=device), segmenter)
    found = list(_find(sources))
    earlier = _earlier(out, reader)
    rows: dict[str, dict[str, Any]] = {str(row["key"]): row for row in earlier}
    failed: list[Failure] = []
    fresh: list[str] = []
    reused = 0
    total = len(found) if all(one.counted for one in found) else 0
    try:
        for one in found:
            for name, study in one.studies(failed):
                key = _free(name, fresh)
                progress(key, len(fresh) + len(failed), total)
                try:
                    digest = study_hash(study)
                    if (old := rows.get(key)) and old["study_sha256"] == digest and (out / str(old["page"])).exists():
                        reused += 1
                    else:
                        rows[key] = _one(reader, study, key, digest, out)
                    fresh.append(key)
                except CardiolensError as error:
                    logger.warning("%s: %s", key, error)
                    failed.append(Failure(key, str(error), key))
    finally:
        if rows:
            _write(out, list(rows.values()), failed, reader)
    progress("", len(fresh) + len(failed), total)
    if not fresh:
        raise ReadError("no study could be predicted: " + "; ".join(f"{one.where}: {one.why}" for one in failed[:5]))
    return PredictionRun(tuple(rows[key] for key in fresh), tuple(failed), reused)


def _free(name: str, taken: Sequence[str]) -> str:
    """The key itself, or with a number behind where one call meets it again: parts of one study in two folders."""
    number = sum(key == name or key.startswith(f"{name}-part") for key in taken)
    return f"{name}-part{number + 1}" if number else name


@dataclass(frozen=True)
class _Source:
    """A place to look: one study of a store, or something to read."""

    path: Path
    key: str | None = None

    @property
    def counted(self) -> bool:
        return self.key is not None

    def studies(self, failed: list[Failure]) -> Iterator[tuple[str, Study]]:
        """(key, study) pairs under pseudonyms; what cannot be read is added to `failed`."""
        try:
            if self.key is not None:
                yield self.key, StudyStore(self.path).read(self.key)
                return
            for study in read_studies(self.path):
                if study.patient is None and study.accession is None:
                    yield f"unknown_content/{study_hash(study)[:16]}", study
                else:
                    named, key = identified(study, None)
                    yield key, named
        except CardiolensError as error:
            logger.warning("%s: %s", self.key or self.path, error)
            failed.append(Failure(self.key or str(self.path), str(error), self.shown))

    @property
    def shown(self) -> str:
        """How a source is called in files that may be given away: its key, or a keyed hash of its path."""
        return self.key or f"source_{pseudonym('path', str(self.path.absolute()), load_key())}"


def _find(sources: Sequence[Path]) -> Iterator[_Source]:
    for path in sources:
        if not path.exists():
            raise ReadError(f"{path}: there is nothing of that name")
        if path.suffix == ".h5":
            store = path.resolve().parents[1]
            yield _Source(store, f"{path.resolve().parent.name}/{path.stem}")
        elif path.is_dir() and any(path.glob("*/*.h5")):
            yield from (_Source(path, key) for key in StudyStore(path))
        else:
            yield _Source(path)


def _one(reader: _Reader, study: Study, key: str, digest: str, out: Path) -> dict[str, Any]:
    """Predict one study, write its page, give its row."""
    prediction = reader.predictor(study)
    contours, why_not = reader.contours(study)
    if why_not:
        prediction = replace(prediction, notes=(*prediction.notes, why_not))
    page = key.replace("/", "__") + ".html"
    text = study_report(study, prediction, name=key, card=reader.predictor.card, contours=contours)
    write_whole(out / page, text.encode("utf-8"))
    more = {} if reader.segmenter is None else dict(zip(CONTOURS, _contour_cells(contours), strict=True))
    return _row(prediction, key, digest, page, more)


def _contour_cells(result: SegmentResult | None) -> tuple[Any, ...]:
    """Figures, phases and flags of the contours; empty without."""
    if result is None:
        return (None,) * len(CONTOURS)
    found = result.measures
    figures = (found.lvef_pct, found.lv_edv_ml, found.lv_esv_ml, found.lv_mass_g)
    return (
        *(None if value is None else round(value, 4) for value in figures),
        *(None if phase is None else phase + 1 for phase in (found.ed_phase, found.es_phase)),
        result.worst,
        " | ".join(map(str, found.flags)),
        result.provenance["model"],
    )


def _row(prediction: Prediction, key: str, digest: str, page: str, more: dict[str, Any]) -> dict[str, Any]:
    interval = prediction.interval
    domain = prediction.domain_score, prediction.domain_threshold
    provenance = prediction.provenance
    planes = " ".join(f"{row.view}:{row.clips}" for row in prediction.attention)
    notes = " | ".join([*prediction.domain_reasons, *prediction.notes])
    values = (
        key,
        None if prediction.lvef_pct is None else round(prediction.lvef_pct, 4),
        round(interval.low, 4) if interval else None,
        round(interval.high, 4) if interval else None,
        interval.coverage if interval else None,
        prediction.out_of_domain,
        *(None if value is None else round(value, 4) for value in domain),
        *(round(prediction.view_attention.get(str(view), 0.0), 4) for view in View),
        *_condition_cells(prediction.conditions),
        *more.values(),
        planes,
        notes,
        digest,
        provenance["weights_sha256"],
        provenance["model"],
        __version__,
        page,
    )
    columns = fields_of([finding.name for finding in prediction.conditions], contours=bool(more))
    return dict(zip(columns, values, strict=True))


def _condition_cells(findings: Sequence[ConditionFinding]) -> Iterator[Any]:
    """The names of those flagged, then score, probability and flag of each; nothing without conditions."""
    if findings:
        yield " ".join(finding.name for finding in findings if finding.flagged)
    for finding in findings:
        yield round(finding.score, 4)
        yield None if finding.probability is None else round(finding.probability, 4)
        yield finding.flagged


def _earlier(out: Path, reader: _Reader) -> list[dict[str, Any]]:
    """Rows of an earlier call of the same model; another model's folder is refused."""
    path = out / "predictions.json"
    if not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ReadError(f"{out} is not empty and holds no predictions; give a new --out")
        return []
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        weights, rows = fields["weights_sha256"], list(fields["studies"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(f"{path} is not a table of predictions ({error}); give a new --out") from error
    if weights != reader.predictor.card.sha256 or fields.get("version") != __version__:
        raise CheckpointError(f"{out} holds predictions of another model or version; give a new --out")
    if fields.get("engine", "torch") != reader.predictor.engine.name:
        raise CheckpointError(
            f"{out} holds predictions by the engine {fields.get('engine', 'torch')}; give a new --out"
        )
    if fields.get("segmenter") != reader.drawn_by:
        raise CheckpointError(
            f"{out} holds predictions made with another segmenter, or without one where there is one now; give a new "
            "--out, or --segment or --no-segment as before"
        )
    return [row for row in rows if (out / str(row["page"])).exists()]


def _write(out: Path, rows: list[dict[str, Any]], failed: list[Failure], reader: _Reader) -> None:
    """Both tables, whole or not at all."""
    predictor = reader.predictor
    table = io.StringIO()
    names = [name for head in predictor.condition_heads for name in head.labels]
    columns = fields_of(names, contours=reader.segmenter is not None)
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / "predictions.csv", table.getvalue().encode("utf-8"))
    fields = {
        "what": f"{_told(predictor)}; research use only, not a medical device",
        "version": __version__,
        "model": predictor.card.full_name,
        "weights_sha256": predictor.card.sha256,
        "engine": predictor.engine.name,
        "transform": predictor.transform.to_dict(),
        "trained": predictor.card.provenance,
        **({"conditions": _thresholds(predictor)} if names else {}),
        **({"segmenter": reader.drawn_by} if reader.segmenter is not None else {}),
        "studies": rows,
        "failed": [{"study": one.study, "reason": one.told} for one in failed],
    }
    write_whole(out / "predictions.json", (json.dumps(fields, indent=1) + "\n").encode("utf-8"))


def _told(predictor: Predictor) -> str:
    """What the predictions are of."""
    parts = [
        words for words, there in (("LVEF", predictor.has_lvef), ("conditions", predictor.condition_heads)) if there
    ]
    return f"{' and '.join(parts)} predictions"


def _thresholds(predictor: Predictor) -> dict[str, dict[str, Any]]:
    """For each condition the threshold of its flag and what it rests on, or why there is none."""
    found: dict[str, dict[str, Any]] = {}
    for head in predictor.condition_heads:
        for name in head.labels:
            why = head.left_out.get(name, "no calibration was done")
            found[name] = dict(head.calibration.get(name) or {"not_calibrated": why})
    return found

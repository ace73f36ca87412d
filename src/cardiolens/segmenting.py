"""What `cardiolens segment` writes of one study: masks, DICOM SEG, videos, curve, tables and a page."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cardiolens.contours.curve import curve_figure
from cardiolens.contours.lines import contour_video
from cardiolens.contours.study import Progress, SegmentResult
from cardiolens.dicom.write import SegWriter, why_no_seg
from cardiolens.errors import CardiolensError, ReadError
from cardiolens.html.contours import segment_report
from cardiolens.io.masks import encode_masks
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.store.atomic import disk_errors, write_whole
from cardiolens.study import Study, View

logger = logging.getLogger(__name__)

_TABLE = "measures.json"
_WHAT = "contours and figures of one study; research use only, not a medical device"


@dataclass(frozen=True)
class Written:
    """The files of one study, and what could not be written, each with its reason."""

    files: tuple[Path, ...]
    not_written: tuple[str, ...]


def claim(out: Path, study_sha256: str) -> None:
    """Take a folder for one study: absent, empty, or one that holds this same study.

    Raises:
        ReadError: it holds something else.
        StoreError: the disk refuses.
    """
    earlier = _earlier(out)
    if earlier is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReadError(f"{out} is not empty and holds no contours; give a new --out")
    if earlier is not None and earlier.get("study_sha256") != study_sha256:
        raise ReadError(f"{out} holds the contours of another study; give a new --out")
    if earlier is None:
        started = {"what": _WHAT, "finished": False, "study_sha256": study_sha256, "files": []}
        with disk_errors(out):
            write_whole(out / _TABLE, _json(started))


def write_segmentation(
    study: Study,
    result: SegmentResult,
    key: str,
    out: Path,
    *,
    dicom_seg: bool = True,
    video: bool = True,
    progress: Progress = lambda what, done, total: None,
) -> Written:
    """Write everything that there is of one study; `measures.json` last.  Files of an earlier call that are not written
    again are removed.

    Args:
        study: as it was segmented, under pseudonyms.
        key: its pseudonymous name.
        out: folder, see `claim`.
        dicom_seg: write DICOM SEG where the images came as DICOM.  These files carry the patient's name and number, as
            the images do; nothing else does.
        video: write MP4.

    Raises:
        ReadError: `out` holds something else.
        StoreError: the disk refuses.
    """
    claim(out, str(result.provenance["study_sha256"]))
    files = _Files(out)
    for segmentation in result.segmentations:
        stem = f"mask_{segmentation.view}"
        files.add(f"{stem}.nii.gz", encode_masks(segmentation))
        files.add(f"{stem}.json", _json(_sidecar(segmentation)))
    for segmentation in result.automatic:
        files.add(f"model_{segmentation.view}.nii.gz", encode_masks(segmentation))
    if dicom_seg:
        _write_seg(result, files, progress)
    if video:
        _write_video(result, files, progress)
    progress("writing the page", 0, 1)
    short_axis = result.segmentation(View.SAX)
    if curve := curve_figure(result.measures, short_axis.cine if short_axis else None):
        files.add("volume_curve.png", curve)
    files.add("report.html", segment_report(study, result, name=key).encode("utf-8"))
    files.add("measures.csv", _csv(key, result))
    earlier = _earlier(out) or {}
    fields = _table(study, result, key, files)
    files.add(_TABLE, _json(fields))
    _remove_stale(out, earlier, files.names)
    progress("", 1, 1)
    return Written(tuple(out / name for name in files.names), tuple(files.not_written))


@dataclass
class _Files:
    """What has been written so far, by name below the folder."""

    out: Path
    names: list[str] = field(default_factory=list)
    not_written: list[str] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> None:
        with disk_errors(self.out / name):
            write_whole(self.out / name, content)
        self.names.append(name)


def _write_seg(result: SegmentResult, files: _Files, progress: Progress) -> None:
    corrected = {one.view for one in result.automatic} | {
        View(str(change.facts["view"])) for change in result.changes if change.what == "contours"
    }
    for segmentation in result.segmentations:
        if reason := why_no_seg(segmentation.cine):
            files.not_written.append(reason)
            continue
        try:
            writer = SegWriter(segmentation, automatic=segmentation.view not in corrected)
            phases = segmentation.cine.n_phases
            for phase in range(phases):
                progress(f"DICOM SEG of {segmentation.view}", phase, phases)
                files.add(f"seg/{segmentation.view}_phase_{phase + 1:02d}.dcm", writer(phase))
            files.not_written += writer.notes
        except CardiolensError as error:
            logger.warning("%s", error)
            files.not_written.append(str(error))


def _write_video(result: SegmentResult, files: _Files, progress: Progress) -> None:
    measures = result.measures
    marks = {phase: word for word, phase in (("ED", measures.ed_phase), ("ES", measures.es_phase)) if phase is not None}
    for segmentation in result.segmentations:
        view = segmentation.view
        own = marks if view is View.SAX else {}
        files.add(f"contours_{view}.mp4", contour_video(segmentation, own, _named(progress, f"video of {view}")))


def _named(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _sidecar(segmentation: Segmentation) -> dict[str, Any]:
    """What a mask file cannot say by itself."""
    cine = segmentation.cine
    at, times = cine.slice_positions_mm, cine.trigger_times_ms
    return {
        "what": "labels of heart structures; research use only, not a medical device",
        "view": str(segmentation.view),
        "labels": {"background": 0, **{name: STRUCTURES[name] for name in segmentation.structures}},
        "axes": "x (columns), y (rows), slice, time; RAS, mm and s",
        "drawn_by": segmentation.source,
        "slice_positions_mm": None if at is None else [round(float(v), 3) for v in at],
        "trigger_times_ms": None if times is None else [[round(float(v), 2) for v in row] for row in times],
        "notes": list(segmentation.notes),
    }


def _table(study: Study, result: SegmentResult, key: str, files: _Files) -> dict[str, Any]:
    measures = result.measures
    return {
        "what": _WHAT,
        "finished": True,
        "study": key,
        "study_sha256": result.provenance["study_sha256"],
        "made": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "phases_from_1": _phases(result),
        "measures": measures.as_dict(),
        "changes": [{"what": one.what, "words": one.words, **one.facts} for one in result.changes],
        "before_changes": None if result.before is None else result.before.as_dict(),
        "not_drawn": dict(result.skipped),
        "not_written": files.not_written,
        "notes": list(result.notes),
        "provenance": dict(result.provenance),
        "timing_s": dict(result.timing_s),
        "files": [*files.names, _TABLE],
        "refused_series": [{"series": one.series, "reason": one.reason} for one in study.refused],
    }


def _phases(result: SegmentResult) -> dict[str, int | None]:
    """ED and ES as a reader counts, and as --phase-ed and --phase-es take them."""
    both = (("ed", result.measures.ed_phase), ("es", result.measures.es_phase))
    return {name: None if phase is None else phase + 1 for name, phase in both}


def _csv(key: str, result: SegmentResult) -> bytes:
    """One row: every figure that `Measures` knows, phases, flags, who drew."""
    measures = result.measures
    row: dict[str, Any] = {"study": key}
    row |= dict.fromkeys(_figure_names(result))
    row |= {name: round(value, 4) for name, value in measures.figures.items()}
    row |= {f"{name}_phase_from_1": phase for name, phase in _phases(result).items()}
    row["worst_flag"] = result.worst or ""
    row["flags"] = " | ".join(str(flag) for flag in measures.flags)
    row["changed_by_a_person"] = bool(result.changes)
    row |= {name: result.provenance[name] for name in ("model", "weights_sha256", "study_sha256", "cardiolens")}
    target = io.StringIO()
    table = csv.DictWriter(target, list(row), lineterminator="\n")
    table.writeheader()
    table.writerow(row)
    return target.getvalue().encode("utf-8")


def _figure_names(result: SegmentResult) -> Iterator[str]:
    """Names of all single figures, measured or not, so that tables of several studies have the same columns."""
    from cardiolens.html.contours import GROUPS

    yield from (name for _, rows in GROUPS for name, _ in rows)


def _json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=1) + "\n").encode("utf-8")


def _earlier(out: Path) -> dict[str, Any] | None:
    """The table of an earlier call; None where there is none."""
    path = out / _TABLE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return fields if isinstance(fields, dict) and fields.get("what") == _WHAT else None


def _remove_stale(out: Path, earlier: Mapping[str, Any], names: list[str]) -> None:
    """Remove what an earlier call wrote and this one did not; nothing outside the folder, nothing of others."""
    for name in earlier.get("files", ()):
        path = out / str(name)
        if name not in names and ".." not in Path(name).parts and not Path(name).is_absolute():
            path.unlink(missing_ok=True)

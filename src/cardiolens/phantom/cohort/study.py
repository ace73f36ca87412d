"""One phantom patient on disk: drawn, rendered, told and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cardiolens.phantom.cohort.order import StudyOrder
from cardiolens.phantom.folder import plain, read_record
from cardiolens.store.atomic import temporary_beside, write_whole

if TYPE_CHECKING:
    from cardiolens.phantom.heart import HeartParameters
    from cardiolens.phantom.mr import Protocol
    from cardiolens.study import Study

_DIGITS = 4  # after the point, of every figure in a record but the parameters


def record_path(order: StudyOrder) -> Path:
    """Where the study's truth lies; beside the images for DICOM, in `truth/` for a store."""
    if order.config.format == "store":
        return order.folder / "truth" / f"{order.name}.json"
    return order.folder / order.name / "truth.json"


def record_of(order: StudyOrder) -> dict[str, Any]:
    """The study's truth record.

    Raises:
        PhantomError: it is missing or damaged.
    """
    return read_record(record_path(order), "this study")


def is_finished(order: StudyOrder) -> bool:
    """Whether the study is there, whole."""
    if not record_path(order).is_file():
        return False
    if order.config.format != "store":
        return True
    from cardiolens.store import StudyStore

    return order.key in StudyStore(order.folder)


def make_study(order: StudyOrder) -> str:
    """Make one study; gives its name.  The same order gives the same bytes."""
    from cardiolens.phantom.cohort.patient import draw_patient
    from cardiolens.phantom.report.writer import write_report
    from cardiolens.phantom.truth.curves import curves_of

    patient = draw_patient(order)
    truth, protocol = patient.truth, protocol_of(order)
    study = replace(
        _scan(order, patient.parameters, protocol),
        patient=order.patient,
        accession=order.name,
        site=order.institution,
        sex=truth.sex,
        age=float(int(truth.age)),
        report=write_report(
            patient.parameters,
            truth,
            order.rng("report", by_session=True),
            history=patient.history,
            field_t=protocol.field_strength_t,
            contrast=True if protocol.agent_mm > 0 else None,
        ),
    )
    record = {
        "study": order.name,
        "patient": order.patient,
        "key": order.key,
        "index": order.index,
        "session": order.session + 1,
        "site": order.site.name,
        "protocol": asdict(protocol),
        "covariates": patient.covariates,
        "day": patient.day,
        "truth": asdict(truth),
        "parameters": patient.parameters.to_dict(),
        "curves": vars(curves_of(patient.parameters)),
        "landmarks": _landmarks(patient.parameters, study),
        "report": study.report,
    }
    record["sha256"] = _content_hash(record, study)
    if order.config.format == "store":
        _put_in_store(order, study, patient.parameters, record)
    else:
        _write_folder(order, study, patient.parameters, record, order.config.style or order.site.style_of(protocol))
    return order.name


def protocol_of(order: StudyOrder) -> Protocol:
    """How the patient is scanned, in all sessions: drawn from the site, and what the cohort overrides."""
    config = order.config
    drawn = order.site.protocol(order.rng("protocol"))
    return drawn.with_(matrix=order.matrix, phases=config.phases, sax_planes=config.sax_planes)


def _scan(order: StudyOrder, parameters: HeartParameters, protocol: Protocol) -> Study:
    from cardiolens.phantom.cohort.crop import crop_study
    from cardiolens.phantom.render import render_study

    seed = int(order.rng("scan", by_session=True).integers(2**31))
    study = render_study(parameters, seed=seed, protocol=protocol)
    return study if order.config.crop_mm is None else crop_study(study, parameters, order.config.crop_mm)


def _write_folder(
    order: StudyOrder, study: Study, parameters: HeartParameters, record: dict[str, Any], style: str
) -> None:
    from cardiolens.phantom.dicom.writer import write_dicom

    with _whole(order.folder / order.name) as part:
        write_dicom(study, part / "dicom", style=style, seed=order.uid_seed, localizer=True)
        if order.config.masks:
            _write_masks(parameters, study, part / "masks")
        (part / "report.txt").write_text(f"{study.report}\n", encoding="utf-8")
        (part / "truth.json").write_text(_json(record), encoding="utf-8")


def _put_in_store(order: StudyOrder, study: Study, parameters: HeartParameters, record: dict[str, Any]) -> None:
    """The study first, its masks, and its record last, so that a kill between them only makes the study anew."""
    from cardiolens.phantom.cohort.drawn import annotate
    from cardiolens.store import StudyStore

    store = StudyStore(order.folder, mode="a")
    store.write(study, key=order.key)
    if order.config.masks:
        store.annotate(order.key, annotate(parameters, study))
        final = order.folder / "truth" / order.name
        final.parent.mkdir(exist_ok=True)
        with _whole(final) as part:
            _write_masks(parameters, study, part / "masks")
    write_whole(record_path(order), _json(record).encode())


@contextmanager
def _whole(final: Path) -> Iterator[Path]:
    """A folder to write into that gets its name only when all is in it."""
    part = temporary_beside(final)
    part.mkdir()
    try:
        yield part
        if final.is_dir():  # another process was faster; its study has the same content
            shutil.rmtree(part)
        else:
            part.replace(final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _write_masks(parameters: HeartParameters, study: Study, folder: Path) -> None:
    """One NIfTI a view, uint8 (col, row, slice, time), with the numbers of `truth.MASK_LABELS`."""
    import nibabel

    from cardiolens.phantom.truth.on_images import masks

    folder.mkdir()
    for cine in study.cines:
        assert cine.affine is not None and cine.trigger_times_ms is not None  # noqa: S101 - the phantom has both
        labels = masks(parameters, cine).transpose(3, 2, 0, 1)
        image = nibabel.Nifti1Image(labels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ cine.affine)  # type: ignore[no-untyped-call]  # LPS to NIfTI's RAS
        image.header.set_xyzt_units("mm", "msec")  # type: ignore[no-untyped-call]
        image.header["pixdim"][4] = float(np.diff(cine.trigger_times_ms, axis=1).mean())
        nibabel.save(image, folder / f"{cine.view}.nii.gz")


def _landmarks(parameters: HeartParameters, study: Study) -> dict[str, Any]:
    """View → name → (slice, time, 2) row and column, for the views that cut the valve plane and the apex."""
    from cardiolens.phantom.truth.on_images import landmarks

    found = {str(cine.view): landmarks(parameters, cine) for cine in study.cines}
    return {view: points for view, points in found.items() if all(np.isfinite(p).any() for p in points.values())}


def _content_hash(record: dict[str, Any], study: Study) -> str:
    digest = hashlib.sha256(_json(record).encode())
    for cine in study.cines:
        digest.update(f"{cine.view} {cine.shape} {cine.frames.dtype.str}".encode())
        digest.update(np.ascontiguousarray(cine.frames).data)
    return digest.hexdigest()


def _json(record: dict[str, Any]) -> str:
    rounded = {**plain(record, _DIGITS), "parameters": plain(record["parameters"], 17)}
    return json.dumps(rounded, indent=1, sort_keys=True) + "\n"

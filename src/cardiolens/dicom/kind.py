"""Is a pile a cine?  Decided by its time axis and sequence tags, never by its place among the series."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from cardiolens.dicom.headers import Frame
from cardiolens.dicom.series import Pile, Plane

MIN_PHASES = 8  # fewer do not show a heart beat
MAX_BEAT_MS = 3000.0  # one R-R at 20 beats a minute; longer is several beats
_OVERLAY = re.compile(r"inline[\s_-]*vf", re.IGNORECASE)
_TAGGED = re.compile(r"(^|[^a-z])tag|spamm", re.IGNORECASE)
_CONTRASTS = {
    "PERFUSION": "perfusion",
    "TAGGING": "tagging",
    "FLOW_ENCODED": "phase-contrast flow",
    "VELOCITY_ENCODED": "phase-contrast flow",
    "DIFFUSION": "diffusion",
    "T2_STAR": "T2* map",
    "STIR": "inversion recovery",
}
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_COMPONENTS = {
    "P": "phase or velocity images (phase-contrast flow)",
    "R": "real part, not magnitude",
    "I": "imaginary part",
}


def refusal(pile: Pile) -> str | None:
    """Why a pile is no cine, or None when it is one.  The first reason that holds, from certain to likely."""
    checks: tuple[Callable[[Pile], str | None], ...] = (
        _modality,
        _drawn_over,
        _encoding,
        _phases,
        _preparation,
        _beats,
    )
    return next((reason for check in checks if (reason := check(pile))), None)


def evidence(pile: Pile) -> tuple[str, ...]:
    """What speaks for a cine, in words."""
    plane = _fullest(pile)
    said = [f"{plane.n_phases} phases at one position, ranked by {plane.axis_name}"]
    if plane.times_ms:
        said.append(f"trigger delays {plane.times_ms[0]:.0f} to {plane.times_ms[-1]:.0f} ms")
    if is_steady_state(pile.first):
        said.append("steady-state gradient echo (SSFP)")
    numbers = pile.first.file.numbers
    if numbers.get("CardiacNumberOfImages", 0) > 1:
        said.append(f"CardiacNumberOfImages {numbers['CardiacNumberOfImages']:.0f}")
    return tuple(said)


def is_steady_state(frame: Frame) -> bool:
    """Steady-state sequence by SequenceVariant SS, the enhanced tag, or the vendors' names for bSSFP."""
    texts = frame.file.texts
    names = " ".join((texts["SequenceName"], texts["PulseSequenceName"], texts["SeriesDescription"])).lower()
    return (
        "SS" in texts["SequenceVariant"].split("\\")
        or texts["SteadyStatePulseSequence"] not in ("", "NONE")
        or bool(re.search(r"tfi\d|trufi|fiesta|bffe|b-ffe|ssfp|btfe", names))
    )


def is_original(pile: Pile) -> bool:
    """Whether the scanner made the images, by ImageType and SOP class; a screenshot or a reformat is not original."""
    file = pile.first.file
    return "SECONDARY" not in file.image_type[:2] and not file.texts["SOPClassUID"].startswith(_SECONDARY_CAPTURE)


def _fullest(pile: Pile) -> Plane:
    return max(pile.planes, key=lambda plane: plane.n_phases)


def _modality(pile: Pile) -> str | None:
    modality = pile.first.file.texts["Modality"].upper()
    return None if modality in ("MR", "") else f"modality {modality}, not MR"


def _drawn_over(pile: Pile) -> str | None:
    file = pile.first.file
    if _OVERLAY.search(pile.description):
        return "InlineVF: contours of the scanner's own analysis are drawn over the images"
    if file.texts["BurnedInAnnotation"].upper() == "YES":
        return "annotations are burnt into the pixels (BurnedInAnnotation YES)"
    if file.samples == 3 and not is_original(pile):
        return "colour secondary capture: contours or maps are drawn over the images"
    return None


def _encoding(pile: Pile) -> str | None:
    frame = pile.first
    if frame.component != "M":
        return _COMPONENTS.get(frame.component, "not magnitude")
    if frame.velocity:
        return "velocity encoding in the sequence tags: phase-contrast flow"
    sequence = f"{frame.file.texts['SequenceName']} {frame.file.texts['PulseSequenceName']}"
    if frame.file.texts["Tagging"].upper() not in ("", "NONE") or _TAGGED.search(sequence):
        return "tagging"
    contrast = _CONTRASTS.get(frame.contrast)
    return f"{contrast} by AcquisitionContrast" if contrast else None


def _phases(pile: Pile) -> str | None:
    n = pile.n_phases
    if n == 1 and pile.n_orientations > 1:
        return f"no time axis: one image a plane in {pile.n_orientations} orientations (localizer)"
    if n == 1:
        return f"no time axis: one image a plane, {len(pile.planes)} plane(s) (localizer, late enhancement or anatomy)"
    if n < MIN_PHASES:
        return f"only {n} images at one position; a cine has at least {MIN_PHASES} phases"
    return None


def _preparation(pile: Pile) -> str | None:
    texts = pile.first.file.texts
    if "IR" in texts["ScanningSequence"].upper().split("\\") or texts["InversionRecovery"].upper() == "YES":
        return "inversion recovery (TI scout, T1 map or late enhancement), not a plain cine"
    inversions = {frame.inversion_ms for frame in _fullest(pile).frames if frame.inversion_ms}
    if len(inversions) > 2:
        return "inversion time changes from image to image (T1 map or TI scout)"
    scanning = texts["ScanningSequence"].upper().split("\\")
    if "SE" in scanning and "GR" not in scanning:
        return "spin echo, not a cine sequence"
    return None


def _beats(pile: Pile) -> str | None:
    """Images spread over many beats are dynamic (perfusion, maps, real time), not phases of one."""
    plane = _fullest(pile)
    if plane.times_ms and plane.times_ms[-1] - plane.times_ms[0] > MAX_BEAT_MS:
        span = (plane.times_ms[-1] - plane.times_ms[0]) / 1000
        return f"{plane.n_phases} images over {span:.0f} s of trigger delay: several beats (perfusion or real time)"
    times = [frame.acquisition_s for frame in plane.frames if frame.acquisition_s is not None]
    if len(times) < plane.n_phases or len(set(times)) < plane.n_phases:
        return None
    steps = np.diff(np.sort(times))
    span = max(times) - min(times)
    if span > MAX_BEAT_MS / 1000 and np.median(steps) > 0.25:
        return (
            f"{plane.n_phases} images over {span:.0f} s, about one a beat (perfusion or a map), not phases of one beat"
        )
    if span > 2 * MAX_BEAT_MS / 1000 and plane.axis_name != "TriggerTime":
        return f"{plane.n_phases} images over {span:.0f} s: real time over several beats"
    return None

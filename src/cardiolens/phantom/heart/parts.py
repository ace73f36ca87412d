"""Parts of a heart that are the same in every healthy one, and what disease makes of them; each checked on its own.

Valves(mitral_regurgitation=0.8)          # from 0, none, to 1, as bad as it gets
Mass(kind="thrombus", site="LV apex", size_mm=22.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from cardiolens.errors import PhantomError

N_SEGMENTS = 17
Segments = tuple[float, ...]
NO_SEGMENTS: Segments = (0.0,) * N_SEGMENTS

VSD_SITES = ("", "perimembranous", "outlet", "muscular")
PROSTHESES = ("", "mitral", "aortic")
SCAR_PATTERNS = ("", "subendocardial", "mid-wall", "subepicardial", "patchy", "diffuse")
MASS_KINDS = ("thrombus", "myxoma", "tumor", "cyst", "lipoma", "vegetation")
MASS_SITES = (
    "LV apex",
    "LV wall",
    "RV wall",
    "LA septum",
    "LA appendage",
    "RA wall",
    "mitral valve",
    "aortic valve",
    "pericardium",
)
SURGERIES = (
    "coronary bypass",
    "valve replacement",
    "tetralogy repair",
    "septal defect closure",
    "aortic repair",
    "myectomy",
)
RHYTHMS = ("sinus", "atrial fibrillation", "ectopy")

Ranges = Mapping[str, tuple[float, float, str]]
Part = TypeVar("Part")


def is_number(value: object) -> bool:
    """Whether it is an int or a float, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_ranges(thing: Any, ranges: Ranges, what: str) -> None:
    """Raise `PhantomError` naming the first field outside its (low, high, unit)."""
    for name, (low, high, unit) in ranges.items():
        value = getattr(thing, name)
        if not is_number(value) or not low <= value <= high:
            raise PhantomError(f"{what}: {name} must lie in {low:g} to {high:g} {unit}".rstrip() + f", got {value!r}")


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise `PhantomError` unless the setting is a whole number in low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise PhantomError(f"{name} must be {low} to {high}, a whole number, got {value!r}")


def check_choice(thing: Any, name: str, choices: tuple[str, ...], what: str) -> None:
    """Raise `PhantomError` unless the field is one of the choices."""
    value = getattr(thing, name)
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise PhantomError(f"{what}: {name} must be one of {known}, got {value!r}")


def check_segments(thing: Any, name: str, low: float, high: float, what: str) -> None:
    """Raise `PhantomError` unless the field is a tuple of 17 numbers in low to high."""
    values = getattr(thing, name)
    check_tuple(thing, name, what)
    if len(values) != N_SEGMENTS or not all(is_number(v) and low <= v <= high for v in values):
        raise PhantomError(f"{what}: {name} must be {N_SEGMENTS} numbers in {low:g} to {high:g}, got {values}")


def check_tuple(thing: Any, name: str, what: str) -> None:
    """Raise `PhantomError` unless the field is a tuple; a list can be changed, and what holds it cannot be hashed."""
    value = getattr(thing, name)
    if not isinstance(value, tuple):
        raise PhantomError(f"{what}: {name} must be a tuple, got {value!r}")


def check_flags(thing: Any, names: tuple[str, ...], what: str) -> None:
    """Raise `PhantomError` naming the first field that is neither True nor False."""
    for name in names:
        if not isinstance(getattr(thing, name), bool):
            raise PhantomError(f"{what}: {name} must be True or False, got {getattr(thing, name)!r}")


def part_from_dict(kind: type[Part], values: object, what: str) -> Part:
    """A part from the plain values that `dataclasses.asdict` makes of it, after JSON too: lists become tuples.

    Raises:
        PhantomError: no mapping, a name that the part has not, one that is missing, or a value that it refuses.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, Mapping):
        raise PhantomError(f"{what}: must be a mapping of {', '.join(sorted(known))}, got {values!r}")
    for wrong, told in ((set(values) - known, "unknown"), (known - set(values), "missing")):
        if wrong:
            raise PhantomError(f"{what}: {told} {', '.join(sorted(map(str, wrong)))}; is it a record of this version?")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


@dataclass(frozen=True, kw_only=True)
class Valves:
    """The valves.  Every defect runs from 0, none, to 1, as bad as it gets; `limits.VALVE_STEPS` has the grades.

    Attributes:
        sam: systolic anterior motion of the mitral leaflet.
        bicuspid: two cusps in the aortic valve.
        prosthesis: which valve is replaced; mechanical: by a metal one, which voids more signal.
    """

    mitral_regurgitation: float = 0.0
    tricuspid_regurgitation: float = 0.0
    aortic_regurgitation: float = 0.0
    aortic_stenosis: float = 0.0
    pulmonary_stenosis: float = 0.0
    pulmonary_regurgitation: float = 0.0
    sam: float = 0.0
    bicuspid: bool = False
    prosthesis: str = ""
    mechanical: bool = False

    def __post_init__(self) -> None:
        left = ("mitral_regurgitation", "tricuspid_regurgitation", "aortic_regurgitation", "aortic_stenosis")
        names = (*left, "pulmonary_stenosis", "pulmonary_regurgitation", "sam")
        check_ranges(self, dict.fromkeys(names, (0.0, 1.0, "")), "phantom valves")
        check_choice(self, "prosthesis", PROSTHESES, "phantom valves")
        check_flags(self, ("bicuspid", "mechanical"), "phantom valves")


@dataclass(frozen=True, kw_only=True)
class Vessels:
    """Great vessels: inner diameters (mm) of the aortic sinuses, the ascending aorta and the pulmonary trunk.

    Attributes:
        override: share of the aorta that rides over the right ventricle (0 normal, 0.5 tetralogy).
    """

    aortic_root_mm: float = 32.0
    ascending_aorta_mm: float = 29.0
    pulmonary_trunk_mm: float = 25.0
    override: float = 0.0

    def __post_init__(self) -> None:
        wide = dict.fromkeys(("aortic_root_mm", "ascending_aorta_mm", "pulmonary_trunk_mm"), (12.0, 80.0, "mm"))
        check_ranges(self, {**wide, "override": (0.0, 0.8, "")}, "phantom vessels")


@dataclass(frozen=True, kw_only=True)
class Septa:
    """Both septa.

    Attributes:
        atrial_mm: thickness of the atrial septum; atrial_fat: made of fat (else of muscle).
        asd_mm, vsd_mm: widths of an atrial and a ventricular defect, 0 none; vsd_site: where the latter is.
        shift_diastole, shift_systole: 0 the ventricular septum bows to the right as it should, 1 it is flat (a
            D-shaped LV), more is bowed to the left; a volume-loaded RV flattens it in diastole, a pressure-loaded
            one in systole.
        bounce_mm: jerk of the septum in early filling, as in constriction.
    """

    atrial_mm: float = 2.0
    atrial_fat: bool = False
    asd_mm: float = 0.0
    vsd_mm: float = 0.0
    vsd_site: str = ""
    shift_diastole: float = 0.0
    shift_systole: float = 0.0
    bounce_mm: float = 0.0

    def __post_init__(self) -> None:
        ranges: Ranges = {
            "atrial_mm": (1.0, 40.0, "mm"),
            "asd_mm": (0.0, 40.0, "mm"),
            "vsd_mm": (0.0, 30.0, "mm"),
            "shift_diastole": (0.0, 1.3, ""),
            "shift_systole": (0.0, 1.3, ""),
            "bounce_mm": (0.0, 8.0, "mm"),
        }
        check_ranges(self, ranges, "phantom septa")
        check_choice(self, "vsd_site", VSD_SITES, "phantom septa")
        check_flags(self, ("atrial_fat",), "phantom septa")
        if (self.vsd_mm > 0) != bool(self.vsd_site):
            raise PhantomError(f"phantom septa: vsd_mm {self.vsd_mm:g} and vsd_site {self.vsd_site!r} contradict")


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """What the muscle is like inside; most of it shows in late enhancement and T2 images, little on cine.

    Attributes:
        scar: share of the wall that is scarred, per AHA segment; scar_pattern: where in the wall it lies.
        edema: 0 to 1 per AHA segment.
        t1_shift_ms, t2_shift_ms: of the whole LV muscle against normal.
        rv_fat: share of the RV free wall that is replaced by fat.
    """

    scar: Segments = NO_SEGMENTS
    scar_pattern: str = ""
    edema: Segments = NO_SEGMENTS
    t1_shift_ms: float = 0.0
    t2_shift_ms: float = 0.0
    rv_fat: float = 0.0

    def __post_init__(self) -> None:
        what = "phantom tissue"
        check_segments(self, "scar", 0.0, 1.0, what)
        check_segments(self, "edema", 0.0, 1.0, what)
        check_choice(self, "scar_pattern", SCAR_PATTERNS, what)
        shifts: Ranges = {
            "t1_shift_ms": (-300.0, 400.0, "ms"),
            "t2_shift_ms": (-20.0, 40.0, "ms"),
            "rv_fat": (0.0, 1.0, ""),
        }
        check_ranges(self, shifts, what)
        if any(self.scar) != bool(self.scar_pattern):
            raise PhantomError(f"{what}: scar and scar_pattern {self.scar_pattern!r} contradict")


@dataclass(frozen=True, kw_only=True)
class Mass:
    """Something in or on the heart that does not belong there: an ellipsoid with a rough surface.

    Attributes:
        kind: of `MASS_KINDS`; site: of `MASS_SITES`; size_mm: its longest diameter.
        mobile: 0 sits still, 1 swings freely with the blood.
    """

    kind: str
    site: str
    size_mm: float
    mobile: float = 0.0

    def __post_init__(self) -> None:
        check_choice(self, "kind", MASS_KINDS, "phantom mass")
        check_choice(self, "site", MASS_SITES, "phantom mass")
        check_ranges(self, {"size_mm": (3.0, 90.0, "mm"), "mobile": (0.0, 1.0, "")}, "phantom mass")


@dataclass(frozen=True, kw_only=True)
class Surgery:
    """What was done before.  `kinds` of `SURGERIES`; `wires` in the sternum, each a void."""

    kinds: tuple[str, ...] = ()
    wires: bool = False

    def __post_init__(self) -> None:
        check_tuple(self, "kinds", "phantom surgery")
        check_flags(self, ("wires",), "phantom surgery")
        unknown = [kind for kind in self.kinds if kind not in SURGERIES]
        if unknown:
            raise PhantomError(f"phantom surgery: unknown {unknown}; known are {', '.join(SURGERIES)}")

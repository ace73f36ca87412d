"""The nouns that everything passes: `View`, `Cine`, `Study`.  Frozen, validated, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cardiolens.errors import GeometryError

FloatArray = npt.NDArray[np.float64]
_PLAUSIBLE_CYCLE_MS = (250.0, 2500.0)


class View(str, Enum):
    """The four standard cine planes; equal to their names: `View.SAX == "SAX"`."""

    SAX = "SAX"
    CH2 = "2CH"
    CH3 = "3CH"
    CH4 = "4CH"

    def __str__(self) -> str:
        return self.value


class LazyFrames(Protocol):
    """Pixels that are read on first use.  `load()` gives (slice, time, row, col) in native dtype."""

    @property
    def shape(self) -> tuple[int, int, int, int]: ...

    def load(self) -> npt.NDArray[Any]: ...


class _Frames:
    """Descriptor behind `Cine.frames`: holds an array or a `LazyFrames`, gives the array, read once."""

    def __get__(self, cine: Cine | None, owner: type | None = None) -> npt.NDArray[Any]:
        if cine is None:
            raise AttributeError("frames")  # tells dataclass that the field has no default
        held: npt.NDArray[Any] | LazyFrames = cine.__dict__["_frames"]
        if isinstance(held, np.ndarray):
            return held
        loaded = held.load()
        if loaded.shape != tuple(held.shape):
            raise GeometryError(f"{cine.source}: pixels have shape {loaded.shape}, headers said {held.shape}")
        cine.__dict__["_frames"] = loaded
        return loaded

    def __set__(self, cine: Cine, value: npt.NDArray[Any] | LazyFrames) -> None:
        cine.__dict__["_frames"] = value
        cine.__dict__["_origin"] = None if isinstance(value, np.ndarray) else value


@dataclass(frozen=True, eq=False)
class Cine:
    """One view over the heart cycle.

    Attributes:
        view: which plane.
        frames: (slice, time, row, col), grey, native dtype; may be given as a `LazyFrames`.
        source: the series it came from, for messages and provenance (no patient identifier).
        spacing_mm: (row, col) distance between pixel centres; None when unknown.
        slice_positions_mm: (slice,) along the plane normal, ascending; None when unknown.
        trigger_times_ms: (slice, time) after the R wave; None when unknown.
        affine: 4x4 from voxel (col, row, slice) to patient LPS mm; slices at their mean step; None when unknown.
        attributes: acquisition facts that identify nobody (manufacturer, field strength, TR, ...).
        notes: what the reader found and did (phases resampled, duplicates dropped, geometry absent).

    Geometry is never invented: what is absent is None, and what contradicts itself raises `GeometryError`.
    """

    view: View
    frames: _Frames = _Frames()
    source: str = field(default="", kw_only=True)
    spacing_mm: tuple[float, float] | None = field(default=None, kw_only=True)
    slice_positions_mm: FloatArray | None = field(default=None, kw_only=True)
    trigger_times_ms: FloatArray | None = field(default=None, kw_only=True)
    affine: FloatArray | None = field(default=None, kw_only=True)
    attributes: Mapping[str, str | float] = field(default_factory=dict, kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view", View(self.view))
        if len(self.shape) != 4 or min(self.shape) < 1:
            raise GeometryError(f"{self.source}: frames must be (slice, time, row, col), got shape {self.shape}")
        self._freeze("slice_positions_mm", (self.n_slices,))
        self._freeze("trigger_times_ms", (self.n_slices, self.n_phases))
        self._freeze("affine", (4, 4))
        self._check_spacing()
        self._check_positions()
        self._check_affine()

    def __repr__(self) -> str:
        return f"Cine({self.view}, shape={self.shape}, spacing_mm={self.spacing_mm}, source={self.source!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        """(slice, time, row, col), without reading pixels."""
        return tuple(self.__dict__["_frames"].shape)

    @property
    def origin(self) -> LazyFrames | None:
        """What the pixels are read from, also after they were; None where they were given as an array."""
        origin: LazyFrames | None = self.__dict__["_origin"]
        return origin

    @property
    def n_slices(self) -> int:
        return self.shape[0]

    @property
    def n_phases(self) -> int:
        return self.shape[1]

    @property
    def cycle_ms(self) -> float | None:
        """Length of the recorded heart cycle from the trigger times; None when unknown or implausible."""
        times, low, high = self.trigger_times_ms, *_PLAUSIBLE_CYCLE_MS
        if times is None or self.n_phases < 2:
            return None
        span = np.sort(times, axis=1)
        cycle = float(np.median((span[:, -1] - span[:, 0]) * self.n_phases / (self.n_phases - 1)))
        return cycle if low <= cycle <= high else None

    @property
    def has_geometry(self) -> bool:
        """Whether lengths in mm can be measured in the plane."""
        return self.spacing_mm is not None

    def require_spacing_mm(self, measure: str) -> tuple[float, float]:
        """Pixel spacing (row, col) in mm, or `GeometryError` naming the measure that needs it."""
        if self.spacing_mm is None:
            raise GeometryError(
                f"{self.source}: {measure} needs pixel spacing, which this cine does not carry; "
                "read it from DICOM or NIfTI with geometry (ratios such as LVEF work without)"
            )
        return self.spacing_mm

    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml: pixel area times the step between slices.  Refuses without geometry."""
        row, col = self.require_spacing_mm("a volume")
        if self.slice_positions_mm is None or self.n_slices < 2:
            raise GeometryError(f"{self.source}: a volume needs a stack of slices with known positions")
        step = float(np.diff(self.slice_positions_mm).mean())
        return row * col * step / 1000.0

    def _freeze(self, name: str, shape: tuple[int, ...]) -> None:
        value = getattr(self, name)
        if value is None:
            return
        array = np.array(value, dtype=np.float64)
        if array.shape != shape:
            raise GeometryError(f"{self.source}: {name} must have shape {shape}, got {array.shape}")
        if not np.isfinite(array).all():
            raise GeometryError(f"{self.source}: {name} holds NaN or infinity")
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def _check_spacing(self) -> None:
        if self.spacing_mm is None:
            return
        spacing = tuple(float(s) for s in self.spacing_mm)
        if len(spacing) != 2 or not all(np.isfinite(s) and s > 0 for s in spacing):
            raise GeometryError(f"{self.source}: spacing_mm must be two positive numbers, got {self.spacing_mm}")
        object.__setattr__(self, "spacing_mm", spacing)

    def _check_positions(self) -> None:
        positions = self.slice_positions_mm
        if positions is not None and len(positions) > 1 and (np.diff(positions) <= 0).any():
            raise GeometryError(f"{self.source}: slice_positions_mm must ascend, got {positions.tolist()}")

    def _check_affine(self) -> None:
        """Raise where the affine contradicts spacing or slice positions (tolerance 0.1 mm or 1 %)."""
        if self.affine is None:
            return
        if self.spacing_mm is None:
            raise GeometryError(f"{self.source}: an affine without spacing_mm; give both or neither")
        col, row, step = (self.affine[:3, i] for i in range(3))
        lengths = (float(np.linalg.norm(row)), float(np.linalg.norm(col)))
        if not np.allclose(lengths, self.spacing_mm, rtol=0.01):
            raise GeometryError(f"{self.source}: affine says spacing {lengths}, spacing_mm says {self.spacing_mm}")
        normal = np.cross(col, row) / (lengths[0] * lengths[1])
        if self.slice_positions_mm is not None:
            if abs(float(normal @ self.affine[:3, 3]) - self.slice_positions_mm[0]) > 0.1:
                raise GeometryError(f"{self.source}: affine origin is not at the first slice position")
            if self.n_slices > 1:
                mean_step = float(np.diff(self.slice_positions_mm).mean())
                if abs(float(normal @ step) - mean_step) > max(0.1, 0.01 * mean_step):
                    raise GeometryError(f"{self.source}: affine slice step differs from slice_positions_mm")


@dataclass(frozen=True)
class Refusal:
    """A series that was found and not used, and why."""

    series: str
    reason: str
    n_files: int = 0


@dataclass(frozen=True, eq=False)
class Study:
    """One examination of one patient: its cines, at most one a view.

    Attributes:
        cines: in the order SAX, 2CH, 3CH, 4CH.
        patient: identifier as found; replaced by a pseudonym at ingest.
        accession: examination identifier as found; replaced likewise.
        site: institution name, free of identifiers.
        sex: "F", "M" or None.
        age: years, or None.
        report: report text, or None.
        refused: series that were not used, each with its reason.
        notes: what else the reader found (corrupt files, duplicates).
    """

    cines: tuple[Cine, ...]
    patient: str | None = None
    accession: str | None = None
    site: str | None = None
    sex: str | None = None
    age: float | None = None
    report: str | None = None
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        order = list(View)
        cines = tuple(sorted(self.cines, key=lambda cine: order.index(cine.view)))
        views = [cine.view for cine in cines]
        if len(set(views)) != len(views):
            raise GeometryError(f"a study holds one cine a view, got {[str(v) for v in views]}")
        object.__setattr__(self, "cines", cines)

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(cine.view for cine in self.cines)

    def cine(self, view: View | str) -> Cine:
        """The cine of a view; `KeyError` names the views at hand."""
        for cine in self.cines:
            if cine.view == view:
                return cine
        raise KeyError(f"no {view} in this study, which has {', '.join(map(str, self.views)) or 'no cine'}")

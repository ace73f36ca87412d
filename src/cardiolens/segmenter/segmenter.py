"""`Segmenter`: a study in, the structures of its heart out, plane by plane and phase by phase, without geometry.

Two networks a kind of view.  The first finds the heart in the whole field of a few phases; the second draws in a window
that is sized by what the first found.  So no spacing is needed, and a scan without any is read as well as another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cardiolens.errors import NoCineError, ReadError
from cardiolens.models.card import Card
from cardiolens.models.plane_unet import PlaneUNet
from cardiolens.segmentation import STRUCTURES, Segmentation
from cardiolens.segmenter.channels import channels_of, normalised
from cardiolens.segmenter.crop import Window
from cardiolens.segmenter.tidy import main_piece, tidy
from cardiolens.segmenter.upright import Turn, turn_of
from cardiolens.study import Cine, Study, View

Progress = Callable[[int, int], None]
_LOOKS = 5  # phases in which the heart is looked for
_MOVED = 0.06  # share of the window by which a better one must differ to be used
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Pair:
    """The two networks for one kind of view, and the structures that they know: classes 1, 2, ..."""

    locate: PlaneUNet
    contour: PlaneUNet
    structures: tuple[str, ...]


class Segmenter:
    """Draws the structures of cines.

    >>> segmenter = load_segmenter()                                    # doctest: +SKIP
    >>> segmenter(cardiolens.read_study("path/to/dicom"))[0].counts("LV cavity")   # doctest: +SKIP
    """

    def __init__(self, short: Pair, long: Pair | None = None, *, card: Card, batch: int = 16) -> None:
        """Take trained networks.

        Args:
            short: for the short axis; long: for the long axes, None when there are none.
            card: what they are and how they were trained; its name stands in `Segmentation.source`.
            batch: frames at once; bounds the memory, does not change the result.
        """
        self.short, self.long, self.card = short, long, card
        self.pairs: Mapping[View, Pair] = {
            view: pair for view in View for pair in [short if view is View.SAX else long] if pair is not None
        }
        self.name, self.batch = card.full_name, batch

    @property
    def views(self) -> tuple[View, ...]:
        """The views that it can read."""
        return tuple(self.pairs)

    def __call__(
        self, study: Study, views: Iterable[View] | None = None, *, progress: Progress | None = None
    ) -> tuple[Segmentation, ...]:
        """Segment the cines of a study.

        Args:
            views: which; None for all that the study holds and the segmenter knows.
            progress: called with (done, total) frames.

        Raises:
            NoCineError: the study holds none of them.
            ReadError: pixels that are NaN or all the same.
        """
        wanted = tuple(self.pairs) if views is None else tuple(View(view) for view in views)
        cines = [cine for cine in study.cines if cine.view in wanted and cine.view in self.pairs]
        if not cines:
            have = ", ".join(cine.view for cine in study.cines) or "none"
            raise NoCineError(
                f"nothing to segment: asked for {', '.join(wanted)}, {self.name} knows {', '.join(self.pairs)}, "
                f"the study holds {have}"
            )
        total, done, out = sum(c.n_slices * c.n_phases for c in cines), 0, []
        for cine in cines:
            tell = None if progress is None else _after(progress, done, total)
            out.append(self.segment(cine, progress=tell))
            done += cine.n_slices * cine.n_phases
        return tuple(out)

    @torch.inference_mode()
    def segment(self, cine: Cine, *, progress: Callable[[int], None] | None = None) -> Segmentation:
        """Segment one cine; `progress` is called with the number of frames done."""
        pair = self.pairs[cine.view]
        turn = turn_of(cine)
        frames = _square_pixels(_frames(cine, turn), cine, turn)
        window = self._locate(pair, frames)
        if window is None:
            empty, nowhere = np.zeros(cine.shape, dtype=np.uint8), np.full(cine.shape[:2], np.nan)
            note = "no heart was found in the field; nothing is labelled"
            return Segmentation(cine, empty, pair.structures, nowhere, self.name, (note,))
        channels = channels_of(frames)
        window = self._settled(pair, channels[:, _looks(frames)].flatten(0, 1), window)
        chances = self.draw(pair, channels.flatten(0, 1), window, progress)
        raw, sure = self._labels(pair, chances, window, frames, cine, turn)
        labels, notes = tidy(raw, pair.structures, rings=cine.view is View.SAX)
        confidence = np.where((labels > 0).any((2, 3)), sure, np.nan)
        return Segmentation(cine, labels, pair.structures, confidence, self.name, notes)

    def _locate(self, pair: Pair, frames: Tensor) -> Window | None:
        """Look in a few phases of every plane, once over the whole field and once nearer."""
        channels = channels_of(frames)[:, _looks(frames)].flatten(0, 1)
        rows, cols = frames.shape[2:]
        window, found = Window.whole(int(rows), int(cols)), None
        for _ in range(2):
            chances = torch.cat([pair.locate(normalised(part)).softmax(1) for part in self._cut(channels, window)])
            heart = window.put_back(1 - chances[:, :1], int(rows), int(cols))[:, 0].numpy()
            found = Window.around(main_piece(heart))
            if found is None:
                return None
            window = Window(found.row, found.col, min(window.side, max(2.2 * found.side, 32.0)))
        return found

    def _cut(self, channels: Tensor, window: Window) -> Iterable[Tensor]:
        for part in torch.split(channels, self.batch):
            absent = part.isnan().amax((2, 3), keepdim=True)
            cut = window.cut(part.nan_to_num())
            yield torch.where(absent, torch.nan, cut)

    def _settled(self, pair: Pair, channels: Tensor, window: Window) -> Window:
        """The window about what is drawn in a few phases, until it stays."""
        rows, cols = channels.shape[2:]
        for _ in range(_ROUNDS):
            chances = self.draw(pair, channels, window)
            better = Window.around(window.put_back(1 - chances[:, :1], int(rows), int(cols)).numpy() > 0.5)
            if better is None or not better.differs(window, _MOVED):
                break
            window = better
        return window

    def draw(
        self, pair: Pair, channels: Tensor, window: Window, progress: Callable[[int], None] | None = None
    ) -> Tensor:
        """Channels (frame, channel, row, col) of images -> (frame, class, SIDE, SIDE) chances in the window."""
        out, done = [], 0
        for part in self._cut(channels, window):
            images = normalised(part)
            out.append(pair.contour(images).softmax(1))
            done += len(part)
            if progress:
                progress(done)
        return torch.cat(out)

    def _labels(
        self, pair: Pair, chances: Tensor, window: Window, frames: Tensor, cine: Cine, turn: Turn
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """Labels (slice, time, row, col) on the cine's grid, and the mean chance of what is labelled (slice, time)."""
        codes = np.array([0, *(STRUCTURES[name] for name in pair.structures)], dtype=np.uint8)
        rows, cols = _sides(cine, turn)
        labels, sure = [], []
        for part in torch.split(chances, self.batch):
            back = window.put_back(part[:, 1:], *frames.shape[2:])
            if back.shape[2:] != (rows, cols):
                back = F.interpolate(back, size=(rows, cols), mode="bilinear", align_corners=False)
            top, which = torch.cat([1 - back.sum(1, keepdim=True), back], dim=1).max(1)
            inside = which > 0
            labels.append(codes[which.numpy()])
            sure.append(((top * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)).double().numpy())
        whole = np.concatenate(labels).reshape(*cine.shape[:2], rows, cols)
        return turn.back(whole), np.concatenate(sure).reshape(cine.shape[:2])


def _looks(frames: Tensor) -> npt.NDArray[np.int64]:
    """A few phases over the beat."""
    return np.unique(np.linspace(0, frames.shape[1] - 1, _LOOKS).round().astype(np.int64))


def _frames(cine: Cine, turn: Turn) -> Tensor:
    """(slice, time, row, col) float32 in [0, 1], the brightest 0.2 % cut off, turned."""
    frames = turn.of(np.asarray(cine.frames, dtype=np.float32))
    if not np.isfinite(frames).all():
        raise ReadError(f"{cine.source}: pixels hold NaN or infinity; nothing can be segmented")
    low, high = float(frames.min()), float(np.percentile(frames, 99.8))
    if high <= low:
        high = float(frames.max())
    if high <= low:
        raise ReadError(f"{cine.source}: all pixels are the same; nothing can be segmented")
    return torch.from_numpy(np.clip((frames - low) / (high - low), 0.0, 1.0))


def _sides(cine: Cine, turn: Turn) -> tuple[int, int]:
    """Rows and columns after the turn."""
    rows, cols = cine.shape[2:]
    return (cols, rows) if turn.quarters % 2 else (rows, cols)


def _square_pixels(frames: Tensor, cine: Cine, turn: Turn) -> Tensor:
    """Resampled along its coarser side where pixels are known not to be square."""
    if cine.spacing_mm is None:
        return frames
    row, col = cine.spacing_mm[::-1] if turn.quarters % 2 else cine.spacing_mm
    fine = min(row, col)
    size = tuple(max(8, round(n * mm / fine)) for n, mm in zip(frames.shape[2:], (row, col), strict=True))
    if size == tuple(frames.shape[2:]):
        return frames
    return F.interpolate(frames, size=size, mode="bilinear", align_corners=False)


def _after(progress: Progress, done: int, total: int) -> Callable[[int], None]:
    return lambda more: progress(done + more, total)

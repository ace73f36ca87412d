"""A study in, its structures out."""

import numpy as np
import pytest
import torch
from segmenter_samples import SHORT, cine, tiny_net, tiny_segmenter

from cardiolens.errors import CheckpointError, NoCineError, ReadError
from cardiolens.models.card import Card
from cardiolens.segmentation import STRUCTURES
from cardiolens.segmenter import Segmenter, load_segmenter, save_segmenter
from cardiolens.segmenter.segmenter import Pair
from cardiolens.study import Cine, Study, View


class Bright(torch.nn.Module):
    """In place of a trained network: what is bright against its surroundings is LV cavity."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        frame = images[:, :1]
        return torch.cat([-8 * frame, 8 * frame, -99 + 0 * frame, -99 + 0 * frame], dim=1)


def bright_segmenter(batch: int = 16) -> Segmenter:
    return Segmenter(Pair(Bright(), Bright(), SHORT), card=Card(name="segmenter", tag="bright"), batch=batch)


def discs(rows: int = 90, cols: int = 70, stretch: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Frames (slice, time, row, col) of a bright disc that beats on grey, and where it is."""
    y, x = np.mgrid[:rows, :cols]
    away = np.hypot((y - 0.45 * rows) * stretch, x - 0.5 * cols)
    inside = np.stack([np.stack([away < 11 - k - t for t in range(3)]) for k in range(4)])
    frames = np.where(inside, 900, 200) + np.random.default_rng(0).integers(0, 30, inside.shape)
    return frames.astype(np.uint16), inside


def test_a_bright_disc_is_found_where_it_is_on_every_plane_and_phase():
    frames, inside = discs()
    found = bright_segmenter().segment(cine(frames))
    assert found.structures == SHORT and found.source == "segmenter:bright"
    overlap = 2 * (found.mask("LV cavity") & inside).sum() / (found.mask("LV cavity").sum() + inside.sum())
    assert overlap > 0.95
    assert found.confidence.shape == (4, 3) and np.nanmin(found.confidence) > 0.6


def test_the_size_of_a_batch_does_not_matter():
    frames, _ = discs()
    one, many = (bright_segmenter(batch).segment(cine(frames)) for batch in (1, 16))
    assert np.array_equal(one.labels, many.labels)


def test_pixels_that_are_not_square_are_read_as_if_they_were():
    frames, inside = discs(rows=45, cols=70, stretch=2.0)
    found = bright_segmenter().segment(cine(frames, spacing_mm=(2.8, 1.4)))
    assert found.labels.shape == frames.shape
    overlap = 2 * (found.mask("LV cavity") & inside).sum() / (found.mask("LV cavity").sum() + inside.sum())
    assert overlap > 0.93


def test_a_single_plane_and_phase_is_read():
    frames, inside = discs()
    found = bright_segmenter().segment(cine(frames[:1, :1]))
    assert 2 * (found.mask("LV cavity") & inside[:1, :1]).sum() > 0.93 * (
        found.mask("LV cavity").sum() + inside[:1, :1].sum()
    )


def test_a_field_without_a_heart_is_labelled_nowhere_and_says_so():
    class Nothing(Bright):
        def forward(self, images):
            return super().forward(images) * 0 + torch.tensor([9.0, -9, -9, -9]).view(1, 4, 1, 1)

    segmenter = Segmenter(Pair(Nothing(), Nothing(), SHORT), card=Card(name="segmenter"))
    found = segmenter.segment(cine(discs()[0]))
    assert not found.labels.any() and np.isnan(found.confidence).all() and "no heart" in found.notes[0]


@pytest.mark.parametrize(
    ("frames", "words"),
    [(np.full((1, 2, 40, 40), 7, np.int16), "the same"), (np.full((1, 2, 40, 40), np.nan, np.float32), "NaN")],
)
def test_pixels_that_say_nothing_are_refused(frames, words):
    with pytest.raises(ReadError, match=words):
        tiny_segmenter().segment(cine(frames))


def test_only_the_views_asked_for_are_read_and_progress_ends_at_the_whole():
    frames, _ = discs()
    study = Study((cine(frames), Cine(View.CH4, frames[:1], source="long")))
    told = []
    found = bright_segmenter()(study, progress=lambda done, total: told.append((done, total)))
    assert [one.view for one in found] == [View.SAX]  # it knows no long axis
    assert told[-1] == (12, 12)
    with pytest.raises(NoCineError, match="4CH"):
        bright_segmenter()(study, [View.CH4])


def test_what_was_saved_draws_the_same(tmp_path):
    long = Pair(tiny_net(3, 6), tiny_net(4, 6), tuple(STRUCTURES))
    segmenter = Segmenter(Pair(tiny_net(1), tiny_net(2), SHORT), long, card=Card(name="segmenter", tag="test"))
    for pair in (segmenter.short, segmenter.long):
        for net in (pair.locate, pair.contour):
            net.half().float()  # as stored
    again = load_segmenter(save_segmenter(segmenter, tmp_path / "model"))
    assert again.views == tuple(View) and again.long.structures == tuple(STRUCTURES)
    frames = discs()[0]
    assert np.array_equal(again.segment(cine(frames)).labels, segmenter.segment(cine(frames)).labels)


def test_weights_that_are_not_those_of_the_card_are_refused(tmp_path):
    folder = save_segmenter(tiny_segmenter(), tmp_path / "model")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="copy the folder again"):
        load_segmenter(folder)


def test_another_model_or_none_is_refused_by_name(tmp_path, predictor_folder):
    with pytest.raises(CheckpointError, match="no segmenter"):
        load_segmenter(predictor_folder)
    with pytest.raises(CheckpointError, match="there are"):
        load_segmenter(tmp_path / "absent")

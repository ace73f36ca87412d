"""Images turned as people hang them."""

import numpy as np
import pytest

from cardiolens.phantom import render_study, sample_parameters
from cardiolens.segmenter.upright import Turn, turn_of
from cardiolens.study import Cine, View


@pytest.fixture(scope="module")
def study():
    return render_study(sample_parameters(np.random.default_rng(5)), seed=1, matrix=48, phases=1, sax_planes=3)


def turned(cine: Cine, turn: Turn) -> Cine:
    """The same planes, stored another way round, with the affine that then holds."""
    frames = turn.of(cine.frames)
    place = np.stack(np.meshgrid(range(48), range(48), indexing="ij"), -1)  # row, col of each pixel
    rows, cols = (turn.of(place[..., i]) for i in (0, 1))
    affine = cine.affine.copy()

    def point(r, c):
        return cine.affine[:3, 3] + cine.affine[:3, 0] * cols[r, c] + cine.affine[:3, 1] * rows[r, c]

    affine[:3, 0], affine[:3, 1], affine[:3, 3] = point(0, 1) - point(0, 0), point(1, 0) - point(0, 0), point(0, 0)
    return Cine(cine.view, frames, source="turned", spacing_mm=cine.spacing_mm, affine=affine)


@pytest.mark.parametrize("view", list(View))
def test_the_phantom_hangs_as_usual(study, view):
    assert turn_of(study.cine(view)) == Turn()


@pytest.mark.parametrize("view", list(View))
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cine_stored_any_way_round_is_turned_back(study, view, quarters, mirrored):
    cine = study.cine(view)
    stored = turned(cine, Turn(quarters, mirrored))
    assert np.array_equal(turn_of(stored).of(stored.frames), cine.frames)


@pytest.mark.parametrize("turn", [Turn(q, m) for q in range(4) for m in (False, True)])
def test_labels_come_back_to_the_grid_that_was_turned(turn):
    labels = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    assert np.array_equal(turn.back(turn.of(labels)), labels)


def test_without_geometry_nothing_is_turned():
    assert turn_of(Cine(View.SAX, np.zeros((1, 1, 4, 4), np.uint8))) == Turn()

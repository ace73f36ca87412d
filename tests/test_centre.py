"""The square about the heart: its middle is the crossing of the planes."""

import numpy as np
import pytest

from cardiolens.centre import around_heart
from cardiolens.study import Cine, Study, View


def affine(right, down, normal, origin):
    out = np.eye(4)
    out[:3, 0], out[:3, 1], out[:3, 2], out[:3, 3] = right, down, normal, origin
    return out


def crossing(point):
    """SAX, 2CH and 4CH as the three coordinate planes through a point, 1 mm a pixel, from a corner at 0."""
    x, y, z = np.eye(3)
    at = np.asarray(point, float)
    frames = np.zeros((1, 1, 50, 60), np.uint16)
    frames[0, 0, round(at[1]), round(at[0])] = 9
    return Study(
        (
            Cine("SAX", frames, spacing_mm=(1.0, 1.0), affine=affine(x, y, z, [0, 0, at[2]])),
            Cine("2CH", frames, spacing_mm=(1.0, 1.0), affine=affine(y, z, x, [at[0], 0, 0])),
            Cine("4CH", frames, spacing_mm=(1.0, 1.0), affine=affine(z, x, y, [0, at[1], 0])),
        ),
        patient="p",
        accession="a",
        site="s",
    )


@pytest.mark.parametrize("point", [(20, 15, 3), (40, 44, 9), (5, 8, 0)])
def test_the_square_has_the_crossing_of_the_planes_in_its_middle(point):
    study = crossing(point)
    square, words = around_heart(study, View.SAX, study.cine(View.SAX).frames, 21.0)
    assert words == "crossing of SAX, 2CH and 4CH"
    assert square.shape == (1, 1, 21, 21)
    assert np.argwhere(square[0, 0] == 9).tolist() == [[10, 10]]


def test_a_view_without_a_plane_is_cut_about_the_middle_of_its_image():
    study = crossing((20, 15, 3))
    plain = Cine("3CH", np.zeros((1, 1, 9, 9), np.uint16), spacing_mm=(1.0, 1.0))
    more = Study((*study.cines, plain), patient="p", accession="a", site="s")
    square, words = around_heart(more, View.CH3, np.pad([[9]], 4)[None, None], 3.0)
    assert words == "image centre: no plane geometry of 3CH"
    assert np.argwhere(square[0, 0] == 9).tolist() == [[1, 1]]

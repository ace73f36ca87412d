"""Windows on an image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segmenter_samples import ring

from cardiolens.segmenter.crop import REACH, SIDE, Window, smoothed


@given(st.floats(10, 40), st.floats(10, 40), st.floats(0.5, 2.0))
def test_a_window_finds_the_middle_and_the_size_of_a_disc(row, col, scale):
    y, x = np.mgrid[:64, :64]
    radius = 8 * scale
    disc = np.hypot(y - row, x - col) < radius
    whole = np.hypot(y - row, x - col) < radius + 1
    if (whole[[0, -1]].any()) or (whole[:, [0, -1]].any()):
        return
    window = Window.around(disc)
    assert (window.row, window.col) == pytest.approx((row, col), abs=0.5)
    assert window.side == pytest.approx(REACH * radius / np.sqrt(2), rel=0.12)


def test_nothing_has_no_window():
    assert Window.around(np.zeros((3, 2, 10, 10))) is None


@given(st.floats(20, 28), st.floats(20, 28), st.floats(25, 90))
def test_what_is_cut_and_put_back_lies_where_it_was(row, col, side):
    heart = torch.from_numpy((ring() > 0).astype(np.float32))[None, None]
    window = Window(row, col, side)
    back = window.put_back(window.cut(heart), 48, 48)[0, 0].numpy() > 0.5
    offset = np.abs(np.mgrid[:48, :48] - np.array([row, col])[:, None, None]).max(0)
    inside = offset < side / 2 - 2
    true = heart[0, 0].numpy() > 0.5
    assert (back[inside] != true[inside]).mean() < 0.03
    assert not back[offset > side / 2 + 1].any()


def test_the_whole_window_holds_every_pixel_of_an_oblong_image():
    window = Window.whole(30, 50)
    back = window.put_back(window.cut(torch.ones(1, 1, 30, 50)), 30, 50)
    assert float(back.min()) > 0.45  # the very edge is half outside


def test_a_finer_window_is_not_blurred_and_a_coarser_one_keeps_its_sum():
    image = torch.zeros(1, 1, 64, 64)
    image[0, 0, 32, 32] = 1.0
    assert torch.equal(smoothed(image, 1.0), image)
    blurred = smoothed(image, 4.0)
    assert float(blurred.sum()) == pytest.approx(1.0, rel=1e-5) and float(blurred.max()) < 0.2


def test_windows_differ_by_middle_or_by_side():
    window = Window(20, 20, 50)
    assert not window.differs(Window(21, 20, 51), 0.06)
    assert window.differs(Window(24, 20, 50), 0.06) and window.differs(Window(20, 20, 60), 0.06)
    assert SIDE % 16 == 0

"""Cine loops as pictures: what they show, how large they are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cardiolens.html.loops import MOST_PHASES, Sheet, all_sheets, loop_data, model_field, sheets_of
from cardiolens.study import Cine, View


def picture(sheet: Sheet) -> np.ndarray:
    head, _, body = sheet.uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))).convert("L"))


def frame(sheet: Sheet, phase: int) -> np.ndarray:
    row, col = divmod(phase, sheet.columns)
    whole = picture(sheet)
    return whole[row * sheet.height : (row + 1) * sheet.height, col * sheet.width : (col + 1) * sheet.width]


def stepped(planes=2, phases=6, rows=40, cols=60, **more) -> Cine:
    """Brightness tells plane and phase: 1000 * plane + 100 * phase, in a frame of black and a corner of white."""
    frames = np.zeros((planes, phases, rows, cols), np.int16)
    for plane in range(planes):
        for phase in range(phases):
            frames[plane, phase, 8:, :] = 1000 * plane + 100 * phase
    return Cine(View.SAX, frames, **more)


def test_every_frame_is_where_the_sheet_says_in_the_right_order():
    sheets = sheets_of(stepped())
    assert [(s.phases, s.width, s.height) for s in sheets] == [(6, 60, 40)] * 2
    levels = [float(frame(sheet, phase)[20:, :].mean()) for sheet in sheets for phase in range(6)]
    expected = [255 * (1000 * plane + 100 * phase) / 1500 for plane in range(2) for phase in range(6)]
    assert levels == pytest.approx(expected, abs=6)  # one window for all planes


def test_large_frames_are_reduced_and_small_ones_are_not_enlarged():
    assert {(s.width, s.height) for s in sheets_of(stepped(1, 2, 192, 384))} == {(192, 96)}
    assert {(s.width, s.height) for s in sheets_of(stepped(1, 2, 30, 20))} == {(20, 30)}


def test_pixels_that_are_not_square_are_shown_at_the_true_aspect():
    (sheet,) = sheets_of(stepped(1, 2, 40, 60, spacing_mm=(3.0, 1.0)))
    assert (sheet.width, sheet.height) == (60, 120)


def test_of_many_phases_evenly_spaced_ones_are_kept():
    (sheet,) = sheets_of(stepped(1, 60, 16, 16))
    assert sheet.phases == MOST_PHASES
    levels = [float(frame(sheet, phase)[12:].mean()) for phase in range(sheet.phases)]
    assert np.corrcoef(levels, np.arange(MOST_PHASES))[0, 1] > 0.99


@pytest.mark.parametrize(
    "frames",
    [
        np.full((1, 1, 16, 16), 7, np.uint8),
        np.random.default_rng(0).normal(0, 1, (1, 3, 16, 16)),
        np.random.default_rng(0).integers(0, 9, (2, 2, 16, 24)).astype(">u2"),
        np.stack([np.full((2, 16, 16), np.nan), np.random.default_rng(0).random((2, 16, 16))]),
    ],
    ids=["constant, one phase", "negative floats", "big endian", "a plane of NaN"],
)
def test_any_pixels_make_a_picture(frames):
    sheets = sheets_of(Cine(View.CH4, frames))
    assert len(sheets) == len(frames)
    assert picture(sheets[-1]).dtype == np.uint8
    if frames.dtype.kind == "f":
        assert picture(sheets[-1]).std() > 20


def test_too_large_a_page_gets_smaller_pictures_until_it_fits():
    noise = np.random.default_rng(0).integers(0, 4000, (3, 8, 256, 256)).astype(np.uint16)
    full = all_sheets([Cine(View.SAX, noise)])
    size = sum(len(sheet.uri) for sheet in full[0])
    fitted = all_sheets([Cine(View.SAX, noise)], most=size // 3)
    assert sum(len(sheet.uri) for sheet in fitted[0]) <= size // 3
    assert full[0][0].width == 192
    assert [sheet.phases for sheet in fitted[0]] == [8, 8, 8]


def test_the_outline_is_the_square_that_the_transform_keeps():
    assert model_field(Cine(View.SAX, np.zeros((1, 1, 100, 200))), 128, 64) == pytest.approx([0.375, 0.25, 0.25, 0.5])


def test_planes_that_were_not_read_have_neither_weight_nor_score():
    cine = stepped(3, 2, 16, 16)
    data = loop_data(cine, sheets_of(cine), {1: 1.0}, {1: 0.4})
    assert [(plane["attention"], plane["score"]) for plane in data["planes"]] == [
        (None, None),
        (1.0, 0.4),
        (None, None),
    ]

import pickle

import numpy as np
import pytest

from cardiolens.errors import GeometryError
from cardiolens.study import Cine, Study, View


def affine_at(origin, spacing=(1.5, 1.5), step=10.0):
    matrix = np.eye(4)
    matrix[0, 0], matrix[1, 1], matrix[2, 2] = spacing[1], spacing[0], step
    matrix[:3, 3] = origin
    return matrix


def stack(**changes):
    fields = {
        "frames": np.arange(3 * 4 * 5 * 6, dtype=np.uint16).reshape(3, 4, 5, 6),
        "spacing_mm": (1.5, 1.5),
        "slice_positions_mm": [7.0, 17.0, 27.0],
        "affine": affine_at((0.0, 0.0, 7.0)),
        "source": "series 7",
    }
    return Cine(**{"view": "SAX", **fields, **changes})


class Counted:
    """Lazy frames that count how often they are read."""

    shape = (1, 2, 3, 4)

    def __init__(self, given=(1, 2, 3, 4)):
        self.given, self.reads = given, 0

    def load(self):
        self.reads += 1
        return np.zeros(self.given, np.int16)


def test_a_view_equals_and_prints_its_name():
    assert View.CH4 == "4CH"
    assert f"{View.CH4}" == "4CH"
    assert View("SAX") is View.SAX


def test_a_cine_knows_its_voxel_volume():
    assert stack().voxel_volume_ml() == pytest.approx(1.5 * 1.5 * 10 / 1000)


def test_lazy_frames_are_read_on_first_use_and_once():
    lazy = Counted()
    cine = Cine("2CH", lazy)
    assert cine.shape == (1, 2, 3, 4)
    assert lazy.reads == 0
    assert cine.frames is cine.frames
    assert lazy.reads == 1


def test_lazy_frames_that_differ_from_their_headers_raise():
    with pytest.raises(GeometryError, match="headers said"):
        _ = Cine("2CH", Counted(given=(1, 2, 3, 5)), source="series 9").frames


def test_a_cine_survives_pickling():
    cine = pickle.loads(pickle.dumps(stack()))  # noqa: S301 - written a line above
    np.testing.assert_array_equal(cine.frames, stack().frames)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": np.zeros((3, 4, 5))}, "must be"),
        ({"spacing_mm": (0.0, 1.0)}, "positive"),
        ({"spacing_mm": (1.0, 1.0)}, "affine says spacing"),
        ({"slice_positions_mm": [7.0, 27.0, 17.0]}, "ascend"),
        ({"slice_positions_mm": [8.0, 18.0, 28.0]}, "first slice"),
        ({"slice_positions_mm": [7.0, 12.0, 17.0]}, "slice step"),
        ({"trigger_times_ms": np.zeros((3, 5))}, "trigger_times_ms"),
        ({"spacing_mm": None}, "without spacing"),
        ({"affine": np.full((4, 4), np.nan)}, "NaN"),
    ],
)
def test_geometry_that_contradicts_itself_raises_and_names_the_series(changes, message):
    with pytest.raises(GeometryError, match=message) as caught:
        stack(**changes)
    assert "series 7" in str(caught.value)


def test_a_cine_without_geometry_refuses_lengths_and_volumes():
    cine = stack(spacing_mm=None, affine=None, slice_positions_mm=None)
    assert not cine.has_geometry
    with pytest.raises(GeometryError, match="wall thickness needs pixel spacing"):
        cine.require_spacing_mm("wall thickness")
    with pytest.raises(GeometryError):
        cine.voxel_volume_ml()


def test_an_unknown_view_raises():
    with pytest.raises(ValueError, match="RVOT"):
        stack(view="RVOT")


def test_a_cine_cannot_be_changed():
    cine = stack()
    with pytest.raises(AttributeError):
        cine.view = View.CH2
    with pytest.raises(ValueError, match="read-only"):
        cine.affine[0, 0] = 3.0


def test_a_study_orders_its_views_and_finds_them_by_name():
    study = Study((Cine("4CH", np.zeros((1, 2, 3, 4))), stack()))
    assert study.views == ("SAX", "4CH")
    assert study.cine("4CH").n_phases == 2
    with pytest.raises(KeyError, match="SAX, 4CH"):
        study.cine("3CH")


def test_a_study_holds_one_cine_a_view():
    with pytest.raises(GeometryError, match="one cine a view"):
        Study((stack(), stack()))


def test_the_cycle_comes_from_the_trigger_times_or_not_at_all():
    times = np.linspace(0, 900, 10)[None].repeat(2, 0)
    frames = np.zeros((2, 10, 8, 8))
    assert Cine(View.SAX, frames, trigger_times_ms=times).cycle_ms == pytest.approx(1000)
    assert Cine(View.SAX, frames, trigger_times_ms=times[:, ::-1]).cycle_ms == pytest.approx(1000)
    assert Cine(View.SAX, frames, trigger_times_ms=times * 10).cycle_ms is None
    assert Cine(View.SAX, frames, trigger_times_ms=times * 0).cycle_ms is None
    assert Cine(View.SAX, frames).cycle_ms is None
    assert Cine(View.SAX, frames[:, :1], trigger_times_ms=times[:, :1]).cycle_ms is None

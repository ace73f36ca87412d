"""`Volume` takes images in their order and refuses what contradicts itself."""

import numpy as np
import pytest

from cardiolens.errors import GeometryError, InputError
from cardiolens.volume import Volume

_LOOP = np.zeros((5, 8, 9), dtype=np.uint8)


def test_grey_and_colour_are_told_apart() -> None:
    assert not Volume(_LOOP, "time").in_colour
    colour = Volume(np.zeros((5, 8, 9, 3), dtype=np.uint8), "depth", step_mm=2.0)
    assert colour.in_colour
    assert len(colour) == 5


@pytest.mark.parametrize(
    "images",
    [np.zeros((8, 9)), np.zeros((0, 8, 9)), np.zeros((5, 8, 9, 4)), np.full((2, 2, 2), None), np.full((2, 2, 2), "a")],
)
def test_what_is_no_row_of_images_is_refused(images) -> None:
    with pytest.raises(InputError, match="images must be numbers"):
        Volume(images, "time")


def test_times_that_do_not_ascend_and_distances_below_zero_are_refused() -> None:
    for times in ([0, 1, 1, 2, 3], [0, 1, 2], [0, 1, 2, 3, np.nan]):
        with pytest.raises(GeometryError, match="times must ascend"):
            Volume(_LOOP, "time", times_ms=np.array(times, dtype=float))
    with pytest.raises(GeometryError, match="above 0 mm"):
        Volume(_LOOP, "depth", spacing_mm=(1.0, -1.0))
    with pytest.raises(InputError, match="'time' or 'depth'"):
        Volume(_LOOP, "width")  # type: ignore[arg-type]

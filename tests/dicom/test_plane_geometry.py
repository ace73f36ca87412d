"""The angles that views are told by, checked against directions worked out by hand."""

import numpy as np
import pytest

from cardiolens.dicom.plane_geometry import (
    CLASSES,
    USUAL_AXIS,
    angle_about_axis_deg,
    angle_between_deg,
    fit_planes,
    group_parallel,
    heart_axes,
    long_axis_offsets_mm,
)


def test_across_the_usual_axis_lateral_is_left_and_back_and_anterior_is_up_and_front() -> None:
    lateral, head = heart_axes(USUAL_AXIS)
    assert lateral == pytest.approx([0.72, 0.70, 0.0], abs=0.02)
    assert head == pytest.approx([0.26, -0.27, 0.93], abs=0.02)


def test_planes_have_the_angle_of_the_direction_they_contain() -> None:
    axis = np.array([0.6, -0.8, 0.0])  # level: lateral is (0.8, 0.6, 0), anterior is straight up
    assert angle_about_axis_deg(np.array([0.8, 0.6, 0.0]), axis) == pytest.approx(90.0)  # the upright plane
    level = float(angle_about_axis_deg(np.array([0.0, 0.0, 1.0]), axis))
    assert min(level, 180.0 - level) == pytest.approx(0.0)
    rising = np.cross(axis, [0.8 * np.sqrt(0.5), 0.6 * np.sqrt(0.5), np.sqrt(0.5)])  # contains lateral-and-up
    assert angle_about_axis_deg(rising, axis) == pytest.approx(45.0)
    assert angle_about_axis_deg(-rising, axis) == pytest.approx(45.0)


def test_angles_between_lines_have_no_sign() -> None:
    assert angle_between_deg(np.array([0, 0, 1.0]), np.array([0, 0, -2.0])) == pytest.approx(0.0)
    assert angle_between_deg(np.array([0, 0, 1.0]), np.array([0, 3.0, 0])) == pytest.approx(90.0)


def test_parallel_normals_are_grouped_whatever_their_sign() -> None:
    normals = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 0.02, -1.0]])
    assert group_parallel(normals) == [[0, 2], [1]]


def test_probabilities_sum_to_one_and_are_the_same_every_time() -> None:
    normals = [USUAL_AXIS, np.array([0.7, 0.7, 0.0]), np.array([0.3, -0.5, 0.8])]
    first, second = fit_planes(normals, [10, 1, 1]), fit_planes(normals, [10, 1, 1])
    for a, b in zip(first, second, strict=True):
        assert set(a.probability) == set(CLASSES)
        assert sum(a.probability.values()) == pytest.approx(1.0)
        assert a.probability == b.probability


def test_a_short_axis_stack_fixes_the_axis() -> None:
    tilted = USUAL_AXIS + 0.25 * heart_axes(USUAL_AXIS)[0]
    with_stack = fit_planes([tilted], [10])[0]
    without = fit_planes([np.cross(tilted, [0.0, 0.0, 1.0])], [1])[0]
    assert with_stack.tilt_deg < 6.0
    assert with_stack.axis_sd_deg < 10.0 < without.axis_sd_deg


def test_offsets_are_measured_from_the_crossing_towards_the_right() -> None:
    axis = np.array([0.6, -0.8, 0.0])
    lateral, up = np.array([0.8, 0.6, 0.0]), np.array([0.0, 0.0, 1.0])
    centre = np.array([20.0, -40.0, 5.0])
    normals = [up, lateral, -lateral, (up + lateral) / np.sqrt(2)]
    centres = [centre, centre + 7 * axis, centre - 45 * lateral + 9 * up, centre]
    offsets = long_axis_offsets_mm(normals, centres, axis)
    assert offsets is not None
    assert [abs(offsets[0]), abs(offsets[1]), offsets[2], abs(offsets[3])] == pytest.approx([0, 0, 45, 0], abs=1e-6)


def test_parallel_planes_show_no_axis() -> None:
    up = np.array([0.0, 0.0, 1.0])
    assert long_axis_offsets_mm([up, up], [np.zeros(3), up * 30], np.array([0.6, -0.8, 0.0])) is None

"""The model's grid: what is laid on it comes back where it was."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cardiolens.centre import Centre, heart_centre, mask_centre
from cardiolens.errors import CheckpointError, GeometryError, ReadError
from cardiolens.grid import CINEMA_GRID, GridSpec, ViewGrid, place
from cardiolens.study import Cine, Study, View

SMALL = GridSpec({View.SAX: ViewGrid((40, 40, 6), (2.0, 2.0, 10.0)), View.CH4: ViewGrid((48, 48), (1.5, 1.5))})


def rotation(angles):
    """(3, 3) from three angles in radians."""
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


def cine(shape, spacing, step=10.0, angles=(0.0, 0.0, 0.0), origin=(0.0, 0.0, 0.0), view=View.SAX, frames=None):
    slices, rows, cols = shape
    turn = rotation(angles)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = turn[:, 0] * spacing[1], turn[:, 1] * spacing[0], turn[:, 2] * step
    affine[:3, 3] = origin
    first = float(turn[:, 2] @ np.array(origin))
    return Cine(
        view,
        np.zeros((slices, 1, rows, cols), np.int16) if frames is None else frames,
        source="made up",
        spacing_mm=spacing,
        slice_positions_mm=first + np.arange(slices) * step,
        affine=affine,
    )


def ellipsoid(shape, spacing, step, centre, radii):
    """Labels (slice, row, col): 1 within a ball of mm radii, 2 in a shell about it."""
    slices, rows, cols = np.indices(shape)
    away = np.sqrt(
        (((slices - centre[0]) * step) / radii[0]) ** 2
        + (((rows - centre[1]) * spacing[0]) / radii[1]) ** 2
        + (((cols - centre[2]) * spacing[1]) / radii[2]) ** 2
    )
    return np.where(away < 1, 1, np.where(away < 1.4, 2, 0)).astype(np.uint8)


def test_the_published_grid_is_the_default():
    assert CINEMA_GRID[View.SAX] == ViewGrid((192, 192, 16), (1, 1, 10))
    assert CINEMA_GRID[View.CH2] == ViewGrid((256, 256), (1, 1))
    assert GridSpec.from_dict(GridSpec().to_dict()) == GridSpec()
    with pytest.raises(CheckpointError, match="update cardiolens"):
        GridSpec.from_dict({**GridSpec().to_dict(), "flip": True})
    with pytest.raises(CheckpointError, match="no views"):
        GridSpec.from_dict({})
    with pytest.raises(CheckpointError, match="impossible"):
        ViewGrid((10, 10), (1.0, 1.0, 1.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(30, 50), st.integers(30, 50))
def test_on_a_grid_that_coincides_labels_images_and_points_come_back_as_they_were(seed, slices, rows, cols):
    rng = np.random.default_rng(seed)
    given_cine = cine((slices, rows, cols), (2.0, 2.0), angles=rng.uniform(-3, 3, 3), origin=rng.normal(0, 80, 3))
    placement = place(given_cine, SMALL)
    labels = rng.integers(0, 6, (slices, rows, cols)).astype(np.uint8)
    back = placement.to_source(placement.labels(labels))
    covered = placement.covered()
    assert covered[:6].any()
    np.testing.assert_array_equal(back, np.where(covered, labels, 0))
    if slices <= 6 and rows <= 40 and cols <= 40:
        assert covered.all()
    points = rng.uniform(0, 30, (4, 2))
    np.testing.assert_allclose(placement.points_to_source(placement.points(points)), points, atol=1e-9)
    frame = rng.uniform(0, 900, labels.shape)
    once = placement.image(frame)
    assert once.shape == (40, 40, 6)
    assert 0 <= once.min() <= once.max() <= 1


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.tuples(st.floats(0.8, 2.6), st.floats(0.8, 2.6)),
    st.floats(8.0, 12.0),
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.integers(0, 1000),
)
def test_volumes_and_landmarks_survive_anisotropic_pixels_other_steps_and_rotated_planes(spacing, step, angles, seed):
    rng = np.random.default_rng(seed)
    shape = (9, round(70 / spacing[0]), round(74 / spacing[1]))
    given_cine = cine(shape, spacing, step, angles, rng.normal(0, 50, 3))
    middle = np.array(shape) / 2 + rng.uniform(-1, 1, 3)
    labels = ellipsoid(shape, spacing, step, middle, (32.0, 20.0, 22.0))
    deep = GridSpec({View.SAX: ViewGrid((40, 40, 12), (2.0, 2.0, 10.0))})
    placement = place(given_cine, deep)
    back = placement.to_source(placement.labels(labels))
    assert back.shape == labels.shape
    for label, tolerance in ((1, 0.1), (2, 0.1)):
        before, after = (int((values == label).sum()) for values in (labels, back))
        assert abs(after - before) <= tolerance * before
    same = (back[labels > 0] == labels[labels > 0]).mean()
    assert same > 0.85
    points = rng.uniform(5, 20, (3, 2))
    assert np.abs(placement.points_to_source(placement.points(points)) - points).max() < 1e-6


def test_a_landmark_lies_where_its_pixel_went():
    frames = np.zeros((1, 1, 60, 70), np.int16)
    frames[0, 0, 33, 41] = 1000
    given_cine = cine((1, 60, 70), (1.1, 1.3), view=View.CH4, frames=frames)
    placement = place(given_cine, SMALL)
    x, y = placement.points([33, 41])
    found = placement.image(frames[:, 0])
    weights = found / found.sum()
    assert abs((weights.sum(1) * np.arange(48)).sum() - x) < 0.5
    assert abs((weights.sum(0) * np.arange(48)).sum() - y) < 0.5
    assert found.shape == (48, 48)


def test_axes_run_column_row_slice():
    frames = np.zeros((4, 1, 40, 40), np.int16)
    frames[2, 0, 10, 30] = 500
    given_cine = cine((4, 40, 40), (2.0, 2.0), frames=frames)
    found = place(given_cine, SMALL).image(frames[:, 0])
    assert np.unravel_index(found.argmax(), found.shape) == (30, 10, 2)


def test_a_model_that_wants_rows_first_gets_them_first_and_everything_comes_back():
    rows_first = GridSpec({View.SAX: ViewGrid((32, 40, 6), (1.7, 2.0, 10.0)), View.CH4: SMALL.of("4CH")}, "row-col")
    assert GridSpec.from_dict(rows_first.to_dict()) == rows_first
    columns_first = GridSpec({View.SAX: ViewGrid((40, 32, 6), (2.0, 1.7, 10.0))})
    rng = np.random.default_rng(3)
    given_cine, frame = cine((4, 41, 37), (1.7, 2.0)), rng.uniform(0, 9, (4, 41, 37))
    one, other = place(given_cine, rows_first), place(given_cine, columns_first)
    np.testing.assert_array_equal(one.image(frame), other.image(frame).swapaxes(0, 1))
    labels = rng.integers(0, 4, frame.shape).astype(np.uint8)
    np.testing.assert_array_equal(one.to_source(one.labels(labels)), other.to_source(other.labels(labels)))
    np.testing.assert_allclose(one.points([7.0, 30.0]), other.points([7.0, 30.0])[::-1])
    np.testing.assert_allclose(one.points_to_source(one.points([7.0, 30.0])), [7.0, 30.0])


def test_a_shallow_stack_is_padded_at_the_end_and_a_deep_one_cut_about_its_middle_and_both_say_so():
    shallow = place(cine((3, 40, 40), (2.0, 2.0)), SMALL)
    assert shallow.covered().all()
    assert not shallow.labels(np.ones((3, 40, 40), np.uint8))[:, :, 3:].any()
    deep = place(cine((11, 40, 40), (2.0, 2.0)), SMALL)
    assert deep.covered().any(axis=(1, 2)).tolist() == [False] * 2 + [True] * 6 + [False] * 3
    assert any("11 planes" in note and "cut to 6" in note for note in deep.notes)
    about = place(cine((11, 40, 40), (2.0, 2.0)), SMALL, voxel=(20, 20, 9))
    assert about.covered().any(axis=(1, 2)).tolist() == [False] * 5 + [True] * 6


def test_the_window_follows_the_left_ventricle():
    mask = np.zeros((3, 90, 90), bool)
    mask[1:, 60:81, 20:31] = True
    assert mask_centre(mask) == (25, 70, 1.5)
    assert mask_centre(np.zeros((1, 4, 4), bool)) is None
    labels = mask.astype(np.uint8)
    placement = place(cine((3, 90, 90), (2.0, 2.0)), SMALL, voxel=mask_centre(mask))
    x, y, _ = (line.mean() for line in np.nonzero(placement.labels(labels)))
    assert abs(x - 19.5) <= 0.5
    assert abs(y - 19.5) <= 0.5


def three_planes(point, angles):
    """SAX, 2CH and 4CH through a point, of some orientation."""
    turn = rotation(angles)
    cines = []
    for view, normal, right in ((View.SAX, 2, 0), (View.CH2, 0, 1), (View.CH4, 1, 2)):
        axes = np.stack([turn[:, right], np.cross(turn[:, normal], turn[:, right]), turn[:, normal]], axis=1)
        spacing, size = (1.5, 1.2), (5 if view is View.SAX else 1, 60, 64)
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1], affine[:3, 2] = axes[:, 0] * 1.2, axes[:, 1] * 1.5, axes[:, 2] * 8.0
        inside = np.array([25.0, 35.0, (size[0] - 1) / 2])
        affine[:3, 3] = point - affine[:3, :3] @ inside
        positions = axes[:, 2] @ affine[:3, 3] + np.arange(size[0]) * 8.0
        cines.append(
            Cine(
                view, np.zeros((size[0], 1, *size[1:])), spacing_mm=spacing, slice_positions_mm=positions, affine=affine
            )
        )
    return cines


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-200, 200)] * 3), st.tuples(*[st.floats(-3, 3)] * 3))
def test_three_planes_cross_where_they_were_made_to(point, angles):
    cines = three_planes(np.array(point), angles)
    centre = heart_centre(Study(tuple(cines)))
    np.testing.assert_allclose(centre.point, point, atol=1e-6)
    placement = place(cines[0], SMALL, centre)
    x, y = placement.points([35.0, 25.0])
    assert abs(x - 19.5) <= 0.5 + 1e-6
    assert abs(y - 19.5) <= 0.5 + 1e-6
    assert "crossing" in placement.notes[0]


def test_without_three_crossing_planes_the_image_centre_is_taken_and_said():
    cines = three_planes(np.zeros(3), (0.1, 0.2, 0.3))
    assert heart_centre(Study(tuple(cines[:2]))).words == "image centre: no plane geometry of 4CH"
    parallel = [*cines[:2], Cine("4CH", np.zeros((1, 1, 60, 64)), spacing_mm=(1.5, 1.2), affine=cines[1].affine)]
    assert "parallel" in heart_centre(Study(tuple(parallel))).words
    moved = cines[0].affine.copy()
    moved[:3, 3] += moved[:3, 0] * 400
    normal = np.cross(moved[:3, 0], moved[:3, 1]) / (1.5 * 1.2)
    away = Cine("SAX", np.zeros((1, 1, 60, 64)), spacing_mm=(1.5, 1.2), affine=moved)
    assert normal.shape == (3,)
    assert "outside" in heart_centre(Study((away, *cines[1:]))).words
    placement = place(cines[0], SMALL, Centre(None, "image centre: no plane geometry of 4CH"))
    assert "no plane geometry of 4CH" in placement.notes[0]


def test_a_cine_without_spacing_is_refused_or_taken_pixel_by_pixel_with_a_flag():
    bare = Cine("SAX", np.zeros((3, 2, 40, 40)), source="published file")
    with pytest.raises(GeometryError, match=r"published file.*pixel spacing"):
        place(bare, SMALL)
    placement = place(bare, SMALL, pixels=True)
    assert any("sizes are not known" in note for note in placement.notes)
    labels = np.random.default_rng(0).integers(0, 4, (3, 40, 40)).astype(np.uint8)
    np.testing.assert_array_equal(placement.to_source(placement.labels(labels)), labels)


def test_one_plane_of_a_long_axis_stack_is_used_and_gets_the_labels_back():
    stack = cine((3, 48, 48), (1.5, 1.5), view=View.CH4)
    placement = place(stack, SMALL)
    back = placement.to_source(np.full((48, 48), 4, np.uint8))
    assert back.any(axis=(1, 2)).tolist() == [False, True, False]
    assert any("plane 2 of 3" in note for note in placement.notes)
    shares = np.stack([np.full((48, 48), 0.25), np.full((48, 48), 0.75)])
    assert placement.probabilities_to_source(shares)[1, 1] == pytest.approx(0.75)


def test_intensities_between_the_percentiles_become_zero_to_one_and_padding_is_zero():
    rng = np.random.default_rng(0)
    frame = rng.normal(300, 40, (2, 30, 30))
    frame[0, 0, 0] = 1e6
    placement = place(cine((2, 30, 30), (2.0, 2.0)), SMALL)
    found = placement.image(frame)
    inside = placement.labels(np.ones((2, 30, 30), np.uint8)) == 1
    assert inside.sum() == 2 * 30 * 30
    assert not found[~inside].any()
    low, high = np.percentile(frame, (0.95, 99.5))
    expected = np.clip((frame - low) / (high - low), 0, 1).transpose(2, 1, 0)
    np.testing.assert_allclose(found[inside].reshape(expected.shape), expected, atol=1e-5)
    with pytest.raises(ReadError, match="NaN"):
        placement.image(np.full((2, 30, 30), np.nan))
    with pytest.raises(GeometryError, match="shape"):
        placement.image(frame[:, :10])
    with pytest.raises(GeometryError, match="no grid for 2CH"):
        place(cine((1, 30, 30), (1.0, 1.0), view=View.CH2), SMALL)

"""Planes of unequal phases."""

import dicom_factory as make
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiolens.dicom.headers import read_headers
from cardiolens.dicom.series import Plane
from cardiolens.dicom.timing import common_count, to_count


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    from cardiolens.dicom.files import FileRef

    (path,) = make.save([make.image()], tmp_path_factory.mktemp("one"))
    with path.open("rb") as stream:
        return read_headers(FileRef(str(path)), stream, path.stat().st_size).frames[0]


def plane(frame, times, name="TriggerTime"):
    return Plane((frame,) * len(times), tuple(map(float, times)), name, 0.0)


def values(timed, signal):
    """What a signal sampled at the plane's own times becomes."""
    r = timed.resampling
    return (1 - np.array(r.weight)) * signal[list(r.left)] + np.array(r.weight) * signal[list(r.right)]


def test_a_full_plane_is_left_alone(frame):
    assert to_count(plane(frame, range(0, 800, 40)), 20).resampling is None


@given(lost=st.sets(st.integers(1, 18), min_size=1, max_size=4))
def test_lost_phases_come_back_between_their_neighbours(frame, lost):
    full = np.arange(20) * 40.0
    kept = np.delete(full, sorted(lost))
    damaged = plane(frame, kept)
    assert damaged.expected_phases() == 20
    timed = to_count(damaged, 20)
    np.testing.assert_allclose(timed.times_ms, full, atol=1e-6)
    np.testing.assert_allclose(values(timed, kept), full, atol=1e-3)  # a signal linear in time comes back exactly


@pytest.mark.parametrize("lost", [0, 19])
def test_lost_end_phases_lie_between_their_neighbours_around_the_beat(frame, lost):
    phases = np.delete(np.arange(20), lost)
    timed = to_count(plane(frame, phases * 40.0), 20)
    np.testing.assert_allclose(timed.times_ms, np.arange(20) * 40.0, atol=1e-6)
    signal = np.cos(2 * np.pi * phases / 20)
    np.testing.assert_allclose(values(timed, signal), np.cos(2 * np.pi * np.arange(20) / 20), atol=0.06)


@given(n=st.integers(8, 40), count=st.integers(8, 40), beat=st.floats(400, 1500))
def test_another_count_divides_the_same_beat(frame, n, count, beat):
    times = np.arange(n) * beat / n
    timed = to_count(plane(frame, times), count)
    if n * 2 < count:
        assert timed is None
    elif n != count and abs(n - count) > 2:
        np.testing.assert_allclose(timed.times_ms, np.arange(count) * beat / count, rtol=1e-6, atol=1e-6)
        signal = np.sin(2 * np.pi * times / beat)
        wanted = np.sin(2 * np.pi * np.arange(count) / count)
        assert np.abs(values(timed, signal) - wanted).max() < 1.01 * (1 - np.cos(np.pi / n))


def test_no_times_are_claimed_for_planes_ranked_by_number(frame):
    timed = to_count(plane(frame, range(12), "InstanceNumber"), 20)
    assert timed.times_ms is None
    assert len(timed.resampling.left) == 20


def test_the_common_count_is_the_most_frequent_and_of_equals_the_larger(frame):
    planes = [plane(frame, np.arange(n) * 800.0 / n) for n in (25, 25, 30)]
    assert common_count(planes) == 25
    assert common_count(planes[1:]) == 30

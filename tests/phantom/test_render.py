"""Rendered studies: geometry, agreement of views, determinism, what is seen where."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.anatomy import anatomy_of
from cardiolens.phantom.anatomy.planes import heart_frame
from cardiolens.phantom.disease import sample_parameters
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.render import render_study
from cardiolens.phantom.truth.on_images import landmarks, masks
from cardiolens.study import View


@pytest.fixture(scope="module")
def heart():
    return sample_parameters(np.random.default_rng(4), condition="normal")


@pytest.fixture(scope="module")
def study(heart):
    return render_study(heart, seed=9, matrix=128, phases=10, sub_slices=2)


@pytest.fixture(scope="module")
def still_study(heart):
    """No noise, patient in the same place for every plane."""
    return render_study(heart, seed=9, matrix=192, phases=4, noise=0.0, breath_hold_mm=0.0, sax_planes=10)


def test_a_study_has_four_views_with_full_geometry(study):
    assert study.views == tuple(View)
    sax = study.cine("SAX")
    assert sax.shape == (12, 10, 128, 128)
    for cine in study.cines:
        assert cine.frames.dtype == np.uint16
        assert cine.affine is not None and cine.trigger_times_ms is not None
        assert cine.spacing_mm == pytest.approx((350 / 128, 350 / 128))
        assert (np.diff(cine.trigger_times_ms, axis=1) > 0).all()


def test_the_short_axis_normal_lies_where_real_studies_have_it(study):
    """Sunnybrook's SAX normals are (-0.67, 0.67, 0.32) and (-0.62, 0.67, 0.41)."""
    col, row = study.cine("SAX").affine[:3, 0], study.cine("SAX").affine[:3, 1]
    normal = np.cross(col, row) / np.linalg.norm(np.cross(col, row))
    assert normal @ np.array([-0.645, 0.667, 0.368]) > np.cos(np.deg2rad(30))


def test_the_same_seed_gives_the_same_pixels_in_another_process_with_more_threads(heart, study):
    again = render_study(heart, seed=9, matrix=128, phases=10, sub_slices=2)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(study.cines, again.cines, strict=True))
    code = (
        "import numpy as np, hashlib\n"
        "from cardiolens.phantom.disease import sample_parameters\n"
        "from cardiolens.phantom.render import render_study\n"
        "p = sample_parameters(np.random.default_rng(4), condition='normal')\n"
        "s = render_study(p, seed=9, matrix=128, phases=10, sub_slices=2, views=('4CH',))\n"
        "print(hashlib.sha256(s.cine('4CH').frames.tobytes()).hexdigest())\n"
    )
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "3")
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **threads}
    )
    assert out.stdout.strip() == hashlib.sha256(study.cine("4CH").frames.tobytes()).hexdigest()


def test_another_seed_scans_the_same_heart_differently(heart, study):
    other = render_study(heart, seed=10, matrix=128, phases=10, sub_slices=2)
    assert not np.array_equal(other.cine("4CH").frames, study.cine("4CH").frames)
    assert not np.allclose(other.cine("SAX").affine, study.cine("SAX").affine)


def test_the_stack_holds_the_whole_ventricle(heart, study):
    label = masks(heart, study.cine("SAX"))
    per_plane = (label[:, 0] == 1).sum((1, 2))
    assert (per_plane[3:-4] > 50).all()
    assert per_plane[0] == 0 and per_plane[-1] == 0
    volume = per_plane.sum() * study.cine("SAX").voxel_volume_ml()
    assert volume == pytest.approx(heart.lv_edv_ml, rel=0.12)  # slices of 8 to 12 mm, as on a scanner


def test_the_left_ventricle_shrinks_in_the_pixels_too(heart, still_study):
    cine = render_study(heart, seed=9, matrix=128, phases=20, noise=0.0, views=(View.SAX,)).cine("SAX")
    label = masks(heart, cine)
    middle = int((label[:, 0] == 1).sum((1, 2)).argmax()) - 3
    frames = cine.frames[middle].astype(float)
    inside = label[middle, 0] == 1
    threshold = 0.7 * np.median(frames[0][inside])
    bright = [(frame[inside] > threshold).mean() for frame in frames]
    smallest = int(np.argmin([(label[middle, i] == 1).sum() for i in range(20)]))
    assert bright[0] > 0.8
    assert bright[smallest] < bright[0] - 0.25


def test_blood_is_brighter_than_muscle_and_muscle_than_lung(heart, still_study):
    for view in View:
        cine = still_study.cine(view)
        k = cine.n_slices // 2
        label = masks(heart, cine)[k, 0]
        frame = cine.frames[k, 0].astype(float)
        blood, muscle = np.median(frame[label == 1]), np.median(frame[label == 2])
        assert blood > 1.5 * muscle > 0, view


def test_views_agree_where_their_planes_cross(heart, still_study):
    """Along the line that a long-axis plane and a short-axis plane share, the labels are the same."""
    sax = still_study.cine("SAX")
    sax_label = masks(heart, sax)
    for view in ("2CH", "3CH", "4CH"):
        long = still_study.cine(view)
        label = masks(heart, long)[0, 0]
        same = total = 0
        for k in range(2, sax.n_slices - 1):
            row, col = np.mgrid[: long.shape[2], : long.shape[3]]
            points = np.stack([col, row, 0 * row, np.ones_like(row)], -1) @ long.affine.T
            voxel = points @ np.linalg.inv(sax.affine).T
            near = np.abs(voxel[..., 2] - k) * np.linalg.norm(sax.affine[:3, 2]) < 0.5
            r, c = np.rint(voxel[near][:, 1]).astype(int), np.rint(voxel[near][:, 0]).astype(int)
            keep = (r >= 0) & (c >= 0) & (r < 192) & (c < 192)
            a, b = label[near][keep], sax_label[k, 0][r[keep], c[keep]]
            heart_there = (a > 0) | (b > 0)
            same += int((a == b)[heart_there].sum())
            total += int(heart_there.sum())
        assert total > 100
        assert same / total > 0.88, view  # the rest is rounding to the nearest voxel along the borders


def test_display_follows_convention(heart, still_study):
    """SAX: RV to the left of the LV.  4CH: apex above the valves, LV to the right of the RV."""

    def middle(mask):
        return np.argwhere(mask).mean(0)

    sax = masks(heart, still_study.cine("SAX"))[5, 0]
    assert middle(sax == 3)[1] < middle(sax == 1)[1] - 5
    four = masks(heart, still_study.cine("4CH"))[0, 0]
    assert {1, 2, 3, 4, 5} <= set(np.unique(four))
    assert middle(four == 3)[1] < middle(four == 1)[1] - 5
    assert middle(four == 1)[0] < middle(four == 4)[0] - 5
    assert middle(four == 5)[1] < middle(four == 4)[1] - 5


def test_landmarks_travel_by_mapse_and_the_apex_stays(heart):
    cine = render_study(heart, seed=3, matrix=128, phases=20, views=(View.CH4,), sub_slices=1).cine("4CH")
    found = landmarks(heart, cine)
    spacing = cine.spacing_mm[0]
    hinge = 0.5 * (found["mitral_1"][0] + found["mitral_2"][0]) * spacing
    apex = found["apex"][0] * spacing
    travel = np.linalg.norm(hinge - hinge[0], axis=1).max()
    assert travel == pytest.approx(heart.mapse_mm, rel=0.12)
    assert np.linalg.norm(apex - apex[0], axis=1).max() < 0.35 * heart.mapse_mm
    label = masks(heart, cine)[0, 0]
    r, c = np.rint(0.5 * (found["mitral_1"] + found["mitral_2"])[0, 0]).astype(int)
    assert set(np.unique(label[r - 2 : r + 3, c - 2 : c + 3])) >= {1, 4}  # between LV and LA


def test_a_short_axis_plane_has_no_long_axis_landmarks(heart, study):
    found = landmarks(heart, study.cine("SAX"))
    assert np.isnan(found["apex"]).all()


def test_heart_coordinates_are_a_right_handed_frame(heart):
    axes = heart_frame(heart).axes
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert -axes[0, 2] > 0.3 and axes[1, 2] > 0.3  # the apex points left and forward


def test_largest_and_smallest_hearts_render_within_the_chest():
    for p in (
        HeartParameters(
            lv_edv_ml=480, lv_length_mm=130, lvef_pct=12, mapse_mm=4, rv_edv_ml=300, height_cm=190, weight_kg=95
        ),
        HeartParameters(sex="F", lv_edv_ml=70, lv_length_mm=70, mapse_mm=10, rv_edv_ml=70, height_cm=150, weight_kg=45),
    ):
        cine = render_study(p, seed=0, matrix=64, phases=3, noise=0.0, views=(View.CH4,)).cine("4CH")
        label = masks(p, cine)
        assert (label == 1).any() and anatomy_of(p).length > 60


@pytest.mark.parametrize(
    "bad",
    [
        {"matrix": 4},
        {"phases": 0},
        {"sax_planes": 0},
        {"slice_gap_mm": -1.0},
        {"field_mm": 0.0},
        {"sub_slices": 0},
        {"noise": -0.1},
        {"noise": float("nan")},
        {"views": ()},
        {"seed": -1},
    ],
)
def test_a_scan_no_scanner_makes_is_refused(heart, bad):
    with pytest.raises(PhantomError, match=next(iter(bad))):
        render_study(heart, **{"seed": 1, **bad})

"""Late enhancement and T2: bright where the tissue says, and masks that agree with the images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cardiolens.errors import PhantomError
from cardiolens.phantom.enhancement import Enhancement, _Grain, _shares, enhance
from cardiolens.phantom.heart import HeartParameters
from cardiolens.phantom.heart.parts import Tissue
from cardiolens.phantom.render import render_study
from cardiolens.study import Cine, View

LAD = (1, 2, 7, 8, 13, 14, 17)


def segments(hit: tuple[int, ...], share: float) -> tuple[float, ...]:
    return tuple(share if s in hit else 0.0 for s in range(1, 18))


def heart(pattern: str, hit: tuple[int, ...], share: float, edema: float = 0.0) -> HeartParameters:
    scar = segments(hit, share)
    return HeartParameters(wall_mm=11.0, tissue=Tissue(scar=scar, scar_pattern=pattern, edema=segments(hit, edema)))


@pytest.fixture(scope="module")
def cine() -> Cine:
    """Six planes; scar does not show on cine, so one serves all hearts."""
    study = render_study(
        HeartParameters(wall_mm=11.0), seed=1, matrix=80, field_mm=210, phases=1, sax_planes=6, views=(View.SAX,)
    )
    return study.cine(View.SAX)


def depth_of(seen: Enhancement, mask: np.ndarray) -> float:
    """Mean share of the way from cavity to outer border, in plane."""
    from scipy.ndimage import distance_transform_edt

    found = []
    for labels, part in zip(seen.labels, mask, strict=True):
        if (labels == 1).any() and part.any():
            inner = distance_transform_edt(labels != 1)
            outer = distance_transform_edt((labels == 1) | (labels == 2))
            found.append((inner / (inner + outer))[part])
    return float(np.concatenate(found).mean())


def test_healthy_muscle_is_nulled_and_has_no_scar(cine: Cine) -> None:
    seen = enhance(HeartParameters(wall_mm=11.0), cine, seed=2)
    assert not seen.scar.any() and not seen.edema.any() and not seen.no_reflow.any()
    assert seen.lge.shape == seen.t2.shape == (6, 80, 80)
    blood, muscle = seen.lge[seen.labels == 1].mean(), seen.lge[seen.labels == 2].mean()
    assert blood > 3 * muscle
    assert seen.t2[seen.labels == 2].mean() > 2 * seen.t2[seen.labels == 1].mean(), "black blood"


def test_acute_infarct_is_bright_with_a_dark_core_and_oedema_around(cine: Cine) -> None:
    seen = enhance(heart("subendocardial", LAD, 0.9, edema=1.0), cine, seed=2)
    wall = seen.labels == 2
    assert seen.scar.any() and seen.no_reflow.any()
    assert not (seen.scar & seen.no_reflow).any()
    assert ((seen.scar | seen.no_reflow | seen.edema) <= wall).all(), "within the myocardium"
    remote = wall & ~seen.scar & ~seen.no_reflow & ~seen.edema
    assert seen.lge[seen.scar].mean() > 4 * seen.lge[remote].mean()
    assert seen.lge[seen.no_reflow].mean() < 0.6 * seen.lge[seen.scar].mean()
    assert seen.t2[seen.edema].mean() > 1.5 * seen.t2[remote].mean()
    assert (seen.edema & ~seen.scar & ~seen.no_reflow).any() and (seen.scar <= seen.edema).mean() > 0.99
    assert seen.no_reflow.sum() < seen.scar.sum()


def test_patterns_lie_where_their_names_say(cine: Cine) -> None:
    depths = {}
    for pattern in ("subendocardial", "mid-wall", "subepicardial"):
        seen = enhance(heart(pattern, (1, 7, 13), 0.4), cine, seed=2)
        depths[pattern] = depth_of(seen, seen.scar)
    assert depths["subendocardial"] < 0.35 < depths["mid-wall"] < 0.65 < depths["subepicardial"]


@pytest.mark.parametrize("pattern", ["patchy", "diffuse"])
def test_spread_scar_takes_its_share_of_the_wall(cine: Cine, pattern: str) -> None:
    every = tuple(range(1, 18))
    few, many = (enhance(heart(pattern, every, share), cine, seed=2) for share in (0.25, 0.75))
    assert few.scar.sum() < 0.5 * many.scar.sum()
    bright = [seen.lge[seen.labels == 2].mean() for seen in (few, many)]
    assert bright[1] > 1.5 * bright[0]


def test_scar_is_in_the_segments_that_were_named(cine: Cine) -> None:
    front = enhance(heart("subendocardial", (1, 7, 13), 0.6), cine, seed=2)
    back = enhance(heart("subendocardial", (4, 10, 15), 0.6), cine, seed=2)
    cavity_row = np.nonzero(front.labels == 1)[1].mean()
    assert np.nonzero(front.scar)[1].mean() < cavity_row < np.nonzero(back.scar)[1].mean()


def test_same_seed_same_images(cine: Cine) -> None:
    one, two, other = (enhance(heart("patchy", LAD, 0.5), cine, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.lge, two.lge) and np.array_equal(one.scar, two.scar)
    assert not np.array_equal(one.lge, other.lge)


def test_refuses_other_views_and_missing_geometry(cine: Cine) -> None:
    with pytest.raises(PhantomError, match="needs a short-axis cine"):
        enhance(HeartParameters(), dataclasses.replace(cine, frames=cine.frames, view=View.CH4), seed=1)
    bare = dataclasses.replace(cine, frames=cine.frames, trigger_times_ms=None)
    with pytest.raises(PhantomError, match="needs a short-axis cine"):
        enhance(HeartParameters(), bare, seed=1)
    unknown = dataclasses.replace(cine, frames=cine.frames, attributes={})
    with pytest.raises(PhantomError, match="SliceThickness"):
        enhance(HeartParameters(), unknown, seed=1)


def test_a_thick_slice_mixes_more_than_a_thin_one(cine: Cine) -> None:
    def mixed(thickness: float) -> int:
        """Voxels that are muscle in part only."""
        facts = {**cine.attributes, "SliceThickness": thickness}
        thick = dataclasses.replace(cine, frames=cine.frames, attributes=facts)
        share = _shares(HeartParameters(wall_mm=11.0), thick, _Grain(np.random.default_rng(0)))["muscle"]
        return int(((share > 0.05) & (share < 0.95)).sum())

    assert mixed(16.0) > 1.2 * mixed(2.0)

"""Projections and the numbers of a map."""

import importlib

import numpy as np
import pandas as pd
import pytest
from search_fixtures import made_index, tiny_model

from cardiolens.errors import InputError
from cardiolens.search import neighbour_share, project, view_mixing
from cardiolens.search.figure import figure_png
from cardiolens.search.mapping import make_maps
from cardiolens.search.maps import expected_share, nearest, neighbour_correlation


def clusters(n=30, width=12, apart=10.0, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, width))
    rows[: n // 2, 0] += apart
    rows[n // 2 :, 1] += apart
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_two_clusters_lie_apart_and_the_seed_decides_the_map(method):
    rows = clusters()
    places = project(rows, method, seed=3)
    assert places.shape == (30, 2)
    np.testing.assert_array_equal(places, project(rows, method, seed=3))
    middle = places[:15].mean(0), places[15:].mean(0)
    spread = max(places[:15].std(), places[15:].std())
    assert np.linalg.norm(middle[0] - middle[1]) > spread


def test_principal_components_keep_the_distances_of_a_plane():
    flat = (
        np.random.default_rng(0).normal(size=(9, 2)) @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0][:2]
    )
    places = project(flat, "pca")
    wanted, found = (np.linalg.norm(x[:, None] - x[None], axis=-1) for x in (flat, places))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


@pytest.mark.parametrize("rows", [np.ones((4, 1)), np.ones((5, 3)), clusters(4)])
def test_degenerate_vectors_still_make_a_map(rows):
    for method in ("tsne", "pca"):
        assert np.isfinite(project(rows, method)).all()


def test_umap_is_the_packages_own_or_its_absence_is_told(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(InputError, match="umap-learn"):
        project(clusters(), "umap")


@pytest.mark.parametrize(
    ("rows", "method", "message"),
    [
        (np.eye(3), "tsne", "four or more"),
        (np.full((5, 2), np.nan), "tsne", "NaN"),
        (np.eye(5), "som", "tsne, umap, pca"),
    ],
)
def test_what_cannot_be_drawn_is_refused(rows, method, message):
    with pytest.raises(InputError, match=message):
        project(rows, method)


def test_views_that_keep_apart_share_all_neighbours_and_random_ones_what_chance_gives():
    rows, views = clusters(60), ["SAX"] * 30 + ["4CH"] * 30
    assert view_mixing(rows, views, k=5) == 1.0
    shuffled = [views[i] for i in np.random.default_rng(0).permutation(60)]
    assert view_mixing(rows, shuffled, k=5) == pytest.approx(expected_share(shuffled), abs=0.12)


def test_neighbours_of_the_same_patient_are_not_counted():
    rows = np.repeat(clusters(10), 4, axis=0)  # four equal clips a patient
    patients = [f"p{i // 4}" for i in range(40)]
    near = nearest(rows, 6, patients=patients)
    assert all(patients[i] != patients[j] for i, row in enumerate(near) for j in row)
    groups = patients
    assert neighbour_share(rows, groups, 3, patients=patients) == 0
    assert neighbour_share(rows, groups, 3) == 1
    assert expected_share(groups, patients) == 0


def test_with_fewer_possible_neighbours_those_there_are_count():
    rows = clusters(6)
    patients = ["p", "p", "p", "p", "q", "q"]
    assert (nearest(rows, 4, patients=patients)[:4] >= 0).sum(1).tolist() == [2] * 4
    assert neighbour_share(rows, ["a"] * 6, 4, patients=patients) == 1
    with pytest.raises(InputError, match="two or more patients"):
        nearest(rows, 2, patients=["p"] * 6)


def test_nearest_agrees_with_a_plain_sort():
    rows = clusters(25, apart=0.0)
    near = nearest(rows, 4, block=7)
    similarity = rows.astype(np.float32) @ rows.astype(np.float32).T
    np.fill_diagonal(similarity, -9)
    for i in range(25):
        assert set(near[i]) == set(np.argsort(-similarity[i])[:4])


def test_of_very_many_clips_some_are_asked_among_all(monkeypatch):
    rows, views = clusters(60), ["SAX"] * 30 + ["4CH"] * 30
    whole = nearest(rows, 5)
    np.testing.assert_array_equal(np.sort(nearest(rows, 5, of=np.array([3, 40]))), np.sort(whole[[3, 40]]))
    monkeypatch.setattr("cardiolens.search.maps._MOST_ASKED", 10)
    assert view_mixing(rows, views, k=5) == 1.0
    assert neighbour_correlation(rows, np.arange(60.0), 5) > 0.5


def test_a_number_that_neighbours_share_correlates():
    rows = clusters(40)
    values = np.r_[np.full(20, 30.0), np.full(20, 60.0)] + np.random.default_rng(0).normal(size=40)
    assert neighbour_correlation(rows, values, 5) > 0.9
    assert abs(neighbour_correlation(rows, np.random.default_rng(1).permutation(values), 5)) < 0.5
    assert np.isnan(neighbour_correlation(rows, np.ones(40), 5))


@pytest.fixture
def two_encoders(model):
    keys = [f"s_p{i // 2}/a" for i in range(24)]
    views = ["SAX", "4CH"] * 12
    good = made_index(model, keys, views, clusters(24, width=24), patients={key: key for key in keys})
    other = tiny_model(seed=9)
    bad = made_index(other, keys[2:], views[2:], np.random.default_rng(0).normal(size=(22, 24)))
    bad = type(bad)(bad.keys, bad.views, good.planes[2:], bad.rows, {**bad.meta, "model": "baseline"})
    return good, bad


@pytest.fixture
def table():
    keys = [f"s_p{i}/a" for i in range(12)]
    return pd.DataFrame(
        {
            "lvef": np.r_[np.linspace(20, 35, 6), np.linspace(55, 70, 6)],
            "half": ["x"] * 6 + ["y"] * 6,
            "dilated": [1, 1, 1, 0, 0, 0] * 2,
            "many": [f"name {i}" for i in range(12)],
            "some": ["x"] * 3 + [None] * 9,
            "empty": [None] * 12,
        },
        index=pd.Index(keys, name="key"),
    )


def test_maps_of_two_encoders_show_the_clips_that_both_hold(two_encoders, table):
    good, bad = two_encoders
    maps = make_maps(good, ["view", "half", "lvef", "dilated"], table=table, against=bad, method="pca", k=3)
    assert (len(maps.points), maps.left_out, maps.thinned) == (22, 2, 0)
    numbers = maps.to_dict()["maps"]
    assert set(numbers) == {"made", "baseline"}
    assert numbers["made"]["half"]["same_share"] > 0.95 > numbers["baseline"]["half"]["same_share"]
    assert numbers["made"]["lvef"]["correlation"] > 0.9
    assert maps.colours[3].groups == ("no", "yes")
    own = view_mixing(good.take(np.arange(2, 24)).rows, good.views[2:], 3, patients=good.keys[2:])
    assert numbers["made"]["view"]["same_share"] == own
    assert figure_png(maps).startswith(b"\x89PNG")


def test_points_may_be_studies_and_are_thinned_for_drawing_only(two_encoders, table):
    good, _ = two_encoders
    by_study = make_maps(good, ["half"], table=table, method="pca", by="study", k=3)
    assert len(by_study.points) == 12
    thin = make_maps(good, ["half"], table=table, method="pca", k=3, most=10)
    whole = make_maps(good, ["half"], table=table, method="pca", k=3)
    assert (len(thin.points), thin.thinned) == (10, 14)
    assert thin.maps[0].together[0].value == whole.maps[0].together[0].value
    assert figure_png(thin).startswith(b"\x89PNG")


def test_values_that_are_not_known_are_left_out_of_the_number_and_rare_ones_put_together(two_encoders, table):
    good, _ = two_encoders
    maps = make_maps(good, ["some", "many"], table=table, method="pca", k=2)
    some, many = maps.maps[0].together
    assert some.n == 6
    assert many.n == 24
    assert maps.colours[1].groups[-1] == "other"
    assert len(maps.colours[1].groups) == 8
    assert figure_png(maps).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("colour", "by", "message"),
    [
        ("age", "clip", r"no column 'age' to colour by; there are: view, lvef, half, dilated, many, some, empty"),
        ("view", "study", r"no column 'view' to colour by; there are: lvef"),
        ("empty", "clip", "is empty for every study"),
    ],
)
def test_a_colour_that_is_not_there_names_those_that_are(two_encoders, table, colour, by, message):
    with pytest.raises(InputError, match=message):
        make_maps(two_encoders[0], [colour], table=table, method="pca", by=by)


def test_indexes_that_cannot_be_compared_are_refused(two_encoders):
    good, bad = two_encoders
    with pytest.raises(InputError, match="of the same model"):
        make_maps(good, ["view"], against=good, method="pca")
    others = type(bad)(tuple(f"o{i}" for i in range(22)), bad.views, bad.planes, bad.rows, bad.meta)
    with pytest.raises(InputError, match="no clip in common"):
        make_maps(good, ["view"], against=others, method="pca")
    with pytest.raises(InputError, match="give --table"):
        make_maps(good, ["lvef"], method="pca", by="study")

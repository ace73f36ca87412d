"""Answers when views are hidden, and what that does to MAE and AUROC."""

import numpy as np
import pandas as pd
import pytest
import torch

from cardiolens.errors import ReportError
from cardiolens.explain.ablation import ablate, ablation_effects
from cardiolens.explain.bags import StudyClips, outputs_of, pool
from cardiolens.study import View


def study(key, views, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    views = tuple(View(view) for view in views)
    return StudyClips(key, views, tuple(range(len(views))), torch.randn(len(views), width, generator=generator))


def test_hiding_a_view_is_asking_the_head_without_its_clips(model):
    width = model.video_proj.in_features
    one = study("s_p/a", ["SAX", "SAX", "2CH", "4CH"], width)
    (row,) = ablate(model, "lvef", [one]).to_dict("records")

    def alone(places):
        with torch.inference_mode():
            return float(model.measure("lvef", one.features[places][None]).output[0, 0])

    assert row["all"] == pytest.approx(alone([0, 1, 2, 3]), abs=1e-4)
    assert row["without_SAX"] == pytest.approx(alone([2, 3]), abs=1e-4)
    assert row["without_2CH"] == pytest.approx(alone([0, 1, 3]), abs=1e-4)
    assert row["only_4CH"] == pytest.approx(alone([3]), abs=1e-4)
    assert np.isnan(row["only_3CH"])
    assert np.isnan(row["without_3CH"])
    assert row["views"] == "SAX 2CH 4CH"


def test_a_study_of_3ch_alone_answers_from_it_and_has_nothing_else_to_hide(model):
    one = study("s_p/a", ["3CH"], model.video_proj.in_features)
    (row,) = ablate(model, "lvef", [one]).to_dict("records")
    assert row["only_3CH"] == row["all"]
    assert all(np.isnan(row[f"without_{view}"]) for view in View)


def test_a_bag_of_60_clips_and_small_ones_beside_it_answer_as_alone(model):
    width = model.video_proj.in_features
    large = study("s_p/large", ["SAX"] * 57 + ["2CH", "3CH", "4CH"], width, 1)
    small = study("s_q/small", ["4CH"], width, 2)
    together = pool(model, "diagnoses", [large, small])
    for one, said in zip([large, small], together, strict=True):
        (alone,) = pool(model, "diagnoses", [one])
        assert said.output == pytest.approx(alone.output, abs=1e-6)
        assert said.attention == pytest.approx(alone.attention, abs=1e-6)
        assert len(said.attention) == len(one.views)
    assert pool(model, "diagnoses", [large, small], [View.SAX])[1] is None


def test_outputs_are_named_by_the_card_and_numbered_where_it_is_silent(model):
    assert outputs_of(model) == {"lvef": ("lvef",), "diagnoses": ("myocarditis", "cardiac_thrombus")}
    model.card.tasks.clear()
    assert outputs_of(model) == {"lvef": ("lvef",), "diagnoses": ("diagnoses_0", "diagnoses_1")}


def table(kind, full, less, truth, patients=None, **more):
    """Effects of hiding 4CH, by hand-made answers."""
    keys = [f"s_p{i}/a" for i in range(len(full))]
    blank = {f"{what}_{view}": np.nan for what in ("without", "only") for view in View}
    frame = pd.DataFrame({"key": keys, "head": "h", "output": "o", "views": "", "all": full, **blank})
    frame["without_4CH"] = frame["only_4CH"] = less
    labels = pd.DataFrame({"o": truth}, index=keys)
    whose = pd.Series(patients or keys, index=keys)
    found = ablation_effects(frame, labels, whose, {"h": kind}, n_resamples=400, **more)
    return found.set_index(["ablation", "view"])


def test_the_change_of_mae_is_that_of_the_same_studies_with_limits_about_it():
    rng = np.random.default_rng(0)
    truth = rng.uniform(30, 70, 60)
    full, less = truth + rng.normal(0, 2, 60), truth + rng.normal(0, 6, 60)
    less[:10] = np.nan
    found = table("regression", full, less, truth)
    row = found.loc[("without", "4CH")]
    assert row.n == 50
    assert row.full == pytest.approx(np.abs(full - truth)[10:].mean())
    assert row.ablated == pytest.approx(np.abs(less - truth)[10:].mean())
    assert row.change == pytest.approx(row.ablated - row.full)
    assert 0 < row.low < row.change < row.high
    assert found.loc[("without", "SAX")].note == "no study holds this view and another one"


def test_patients_and_not_studies_are_drawn():
    rng = np.random.default_rng(1)
    truth = rng.uniform(30, 70, 40)
    error = np.repeat(rng.normal(0, 6, 10), 4)
    apart = table("regression", truth, truth + error, truth).loc[("only", "4CH")]
    owners = [f"p{i // 4}" for i in range(40)]
    clustered = table("regression", truth, truth + error, truth, owners).loc[("only", "4CH")]
    assert clustered.n_patients == 10
    assert clustered.high - clustered.low > 1.4 * (apart.high - apart.low)


def test_the_change_of_auroc_is_by_hand_and_never_turned_round():
    truth = [0, 1] * 8
    full = [0.1, 0.9] * 8
    less = [0.9, 0.1] * 8
    row = table("classification", full, less, truth).loc[("without", "4CH")]
    assert (row.full, row.ablated, row.change) == (1.0, 0.0, -1.0)
    assert (row.n_positive, row.low, row.high) == (8, -1.0, -1.0)


@pytest.mark.parametrize(
    ("truth", "note"),
    [([0] * 12, "all 12 studies are negative"), ([1] * 2 + [0] * 10, "no limits: 2 patients in a group")],
)
def test_too_few_of_a_class_is_said_and_gives_no_limits(truth, note):
    row = table("classification", np.linspace(0, 1, 12), np.linspace(1, 0, 12), truth).loc[("without", "4CH")]
    assert note in row.note
    assert np.isnan(row.low)


def test_labels_that_are_none_are_refused_and_unlabelled_outputs_left_out(caplog):
    with pytest.raises(ReportError, match="a condition is 0, 1 or empty"):
        table("classification", [0.1] * 6, [0.2] * 6, [0, 1, 2, 0, 1, 0])
    with pytest.raises(ReportError, match="not numbers"):
        table("regression", [0.1] * 3, [0.2] * 3, ["high", "low", "low"])
    frame = pd.DataFrame({"key": ["k"], "head": "h", "output": "unknown", "all": [1.0]})
    with caplog.at_level("WARNING"):
        assert ablation_effects(frame, pd.DataFrame(), pd.Series(dtype=str), {"h": "regression"}).empty
    assert "no column unknown" in caplog.text

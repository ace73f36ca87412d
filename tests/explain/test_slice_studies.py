"""What order is worth to a model of slices, and how alike trunks are."""

import numpy as np
import pytest
import torch

from cardiolens.errors import InputError
from cardiolens.explain.cka import compare_trunks, likeness_p, linear_cka
from cardiolens.explain.slice_order import order_study, shuffled_predictions
from cardiolens.models.answers import Answers
from cardiolens.models.slivit import SLIViT, SLIViTConfig
from cardiolens.models.trunk import SliceClassifier, SliceClassifierConfig, TrunkConfig
from cardiolens.training.slice_data import SliceSource

SMALL = TrunkConfig(depths=(1, 1, 1, 1), widths=(8, 8, 16, 16), channels=1, layer_scale=0.1)


def features(n, width, seed):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_cka_does_not_see_rotations_and_scales_but_tells_noise():
    x = features(50, 8, 0)
    turn = torch.linalg.qr(features(8, 8, 1)).Q
    for debiased in (True, False):
        assert linear_cka(x, 3.0 * x @ turn, debiased=debiased) == pytest.approx(1.0)
        assert linear_cka(x, features(50, 5, 2), debiased=debiased) < 0.4
        assert linear_cka(x, features(50, 5, 2)) == pytest.approx(linear_cka(features(50, 5, 2), x))


def test_few_examples_of_many_features_look_alike_unless_the_estimate_is_debiased():
    scores = {False: [], True: []}
    for seed in range(40):
        x, y = features(9, 192, 2 * seed), features(9, 192, 2 * seed + 1)
        for debiased, found in scores.items():
            found.append(linear_cka(x, y, debiased=debiased))
    assert np.mean(scores[False]) > 0.85
    assert abs(np.mean(scores[True])) < 0.1


def test_cka_by_its_definition():
    x, y = features(12, 3, 0).double(), features(12, 4, 1).double()
    xc, yc = x - x.mean(0), y - y.mean(0)
    wanted = (yc.T @ xc).square().sum() / ((xc.T @ xc).norm() * (yc.T @ yc).norm())
    assert linear_cka(x, y, debiased=False) == pytest.approx(float(wanted))


def test_trunks_are_compared_slice_by_slice_and_a_trunk_is_most_like_itself():
    torch.manual_seed(0)
    one, other = (SliceClassifier(SliceClassifierConfig(SMALL, 64)) for _ in range(2))
    volumes = [torch.rand(3, 96, 96) for _ in range(4)]
    found = {(p.first, p.second): p for p in compare_trunks({"a": one, "b": one, "c": other}, volumes)}
    assert found["a", "b"].scores.shape == (12,)
    assert found["a", "b"].overall == pytest.approx(1.0)
    assert found["a", "c"].overall < 0.99
    assert found["a", "c"].top >= found["a", "c"].overall
    assert likeness_p(found["a", "b"].scores, found["a", "c"].scores) < 0.01
    with pytest.raises(InputError, match="two trunks"):
        compare_trunks({"a": one}, volumes)
    with pytest.raises(InputError, match="4 examples"):
        linear_cka(torch.zeros(3, 2), torch.zeros(3, 2))


def test_a_model_that_adds_up_its_slices_loses_nothing_by_their_order_and_one_that_reads_places_does():
    torch.manual_seed(0)
    config = SLIViTConfig(SMALL, 4, 32, "slices", "mean", width=16, answers=Answers(("v",), ("value",)))
    model = SLIViT(config).eval()
    volumes = {f"p{n}/v": torch.rand(4, 1, 1).expand(4, 32, 32) for n in range(6)}
    source = SliceSource(volumes.__getitem__, cache=True)
    keys = list(volumes)
    said = shuffled_predictions(model, source, keys, copies=3)
    assert said.shape == (3, 6, 1)
    plain = model.predict(torch.stack([source.slices(key) for key in keys]).unsqueeze(2))
    torch.testing.assert_close(said[0], plain.detach(), atol=0.05, rtol=0.05)
    true = plain[:, 0].detach().numpy()
    noisy = true + np.random.default_rng(0).normal(size=(20, 6))
    study = order_study("r2", true, true, noisy)
    assert (study.in_order, study.rank) == (1.0, 1.0)
    assert study.lost > 0
    assert order_study("mae", true, true + 5.0, noisy).rank == 21.0
    with pytest.raises(InputError, match="unknown metric"):
        order_study("dice", true, true, noisy)

"""Occlusion finds what the answer hangs on."""

import pytest
import torch

from cardiolens.errors import InputError
from cardiolens.explain.occlusion import answer_of, distance_from, occlusion


class LooksAtACorner:
    """A model whose only feature is the brightness of the lower right corner."""

    def features(self, clips):
        return clips[..., -8:, -8:].mean((1, 2, 3, 4))[:, None]


def test_only_boxes_over_what_the_model_looks_at_are_hot():
    clip = torch.zeros(1, 4, 32, 32)
    clip[..., -8:, -8:] = 1.0
    heat = occlusion(LooksAtACorner(), clip, {"corner": lambda features: features[:, 0]}, box=8)["corner"]
    assert heat.shape == (32, 32)
    assert heat[-1, -1] == heat.max() > 0.5
    assert heat[:20, :20].max() == 0


@pytest.mark.parametrize("box", [1, 33])
def test_a_box_that_cannot_be_is_refused(box):
    with pytest.raises(InputError, match="the box must be 2 to 32"):
        occlusion(LooksAtACorner(), torch.zeros(1, 4, 32, 32), {}, box=box)


def test_every_pixel_is_covered_by_some_box_whatever_the_size():
    heat = occlusion(LooksAtACorner(), torch.rand(1, 2, 30, 34), {"one": lambda f: torch.arange(len(f)) + 1.0}, box=7)
    assert torch.isfinite(heat["one"]).all()


def test_scores_are_the_answer_of_the_whole_study_and_the_distance_of_the_embedding(model):
    torch.manual_seed(0)
    features = torch.randn(4, model.video_proj.in_features)
    new = torch.randn(2, model.video_proj.in_features)
    with torch.inference_mode():
        found = answer_of(model, "diagnoses", features, 2, 1)(new)
        replaced = features.clone()
        replaced[2] = new[1]
        assert float(found[1]) == pytest.approx(
            float(model.measure("diagnoses", replaced[None]).output[0, 1]), abs=1e-6
        )
        score = distance_from(model, features[0])
        assert score(features[:1]).abs().max() < 1e-6
        assert float(score(new)[0]) == pytest.approx(
            1 - float(torch.cosine_similarity(model.project(features[0]), model.project(new[0]), dim=0)), abs=1e-5
        )

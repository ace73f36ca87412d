"""Estimates of memory and time: the counting itself, and against what jobs were measured to take."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from cardiolens.errors import InputError
from cardiolens.estimate import estimate, estimate_pretraining, estimate_segmenting, traced
from cardiolens.hub import load_model
from cardiolens.phantom import HeartParameters, render_study
from cardiolens.segmenter import load_segmenter
from cardiolens.store import StudyStore
from cardiolens.study import View
from cardiolens.training.recipe import PretrainRecipe
from synthetic_studies import beating_study

FACTOR = 1.5  # within which an estimate of memory must lie


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    out = StudyStore(tmp_path_factory.mktemp("estimate") / "store", mode="a")
    for i in range(3):
        out.write(beating_study(i, sax=7, report="The left ventricle is dilated."), key=f"s_p{i}/a{i}")
    return StudyStore(out.path)


def test_what_is_alive_at_once_and_multiplied_is_counted():
    def work():
        a = torch.zeros(1000, 100, device="meta")
        b = a + 1  # 2 x 400 kB alive
        del a
        c = b @ torch.zeros(100, 10, device="meta")  # 400 kB + 4 kB + 40 kB
        return c.sum()

    peak, flops = traced(work)
    assert peak == 800_000
    assert flops == 2 * 1000 * 100 * 10


def test_a_view_takes_nothing_and_what_is_kept_for_the_backward_pass_does():
    weight = torch.zeros(100, 100, device="meta", requires_grad=True)

    def forward():
        x = torch.zeros(50, 100, device="meta")
        for _ in range(10):
            x = torch.relu(x @ weight)
        return x[:5].view(-1)

    with torch.no_grad():
        without = traced(forward)[0]
    assert traced(forward)[0] > 3.5 * without


@pytest.mark.parametrize("job", ["embed", "predict"])
def test_the_estimate_is_near_the_measured_peak(predictor_folder, tmp_path, job):
    store = StudyStore(tmp_path / "store", mode="a")
    store.write(beating_study(0, sax=7), key="s_p0/a0")
    found = estimate(load_model(predictor_folder), store, job)
    assert (found.studies, found.clips) == (1, 7)
    command = {
        "embed": ["embed", store.path, "-m", predictor_folder, "-o", tmp_path / "i.safetensors"],
        "predict": ["predict", store.path, "-m", predictor_folder, "--no-segment", "-o", tmp_path / "out"],
    }[job]
    code = (
        "import resource, sys; from cardiolens.cli import build_app; "
        "build_app()(args=sys.argv[1:], standalone_mode=False); "
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True, timeout=250, check=True
    )
    peak = int(done.stdout.split("peak")[-1]) / (1024 if sys.platform != "darwin" else 2**20)
    process = found.parts_mib["process"]  # of this test run, which has imported more than the job does
    fresh = found.memory_mib - process + min(process, peak)
    assert peak / FACTOR < fresh < peak * FACTOR


def test_larger_batches_and_pretraining_take_more(store, predictor_folder):
    model = load_model(predictor_folder)
    small, large = (estimate(model, store, "embed", batch=batch).parts_mib["network at work"] for batch in (1, 7))
    assert large > 3 * small
    optimiser = {"lr": 1e-3, "batch": 3, "epochs": 4}
    fields = {"name": "r", "text": {"freeze_layers": 0, "max_tokens": 16}, "split": {"fractions": {"train": 1.0}}}
    one, two = (
        estimate_pretraining(PretrainRecipe(**fields, optimiser={**optimiser, **more}), store)
        for more in ({}, {"epochs": 400})  # seconds are measured, and this machine may be busy
    )
    assert one.parts_mib["network at work"] > 2 * small
    assert one.studies == 3
    assert one.parts_mib["optimiser"] > 5
    assert two.seconds > one.seconds
    assert np.isfinite(one.memory_mib)


def test_the_estimate_of_segmenting_is_near_what_lives_at_once_while_a_cine_is_drawn(tmp_path):
    size = {"seed": 3, "matrix": 64, "phases": 3, "sub_slices": 1, "breath_hold_mm": 0.0}
    study, store = render_study(HeartParameters(), views=(View.CH4,), **size), StudyStore(tmp_path / "store", mode="a")
    store.write(study, key="s_P1/A1")
    segmenter = load_segmenter()
    found = estimate_segmenting(segmenter, StudyStore(store.path))
    assert (found.studies, found.clips, found.items) == (1, 3, "frames")
    peak = traced(lambda: segmenter.segment(study.cine(View.CH4)))[0] / 2**20
    assert peak / FACTOR < found.parts_mib["network at work"] < peak * FACTOR


def test_an_empty_store_is_refused(tmp_path, predictor_folder):
    with pytest.raises(InputError, match="nothing to estimate"):
        estimate(load_model(predictor_folder), StudyStore(tmp_path / "none", mode="a"), "embed")

"""What the drawing competitor learns from its measures."""

import numpy as np
import pandas as pd
import pytest

from cardiolens.bench.masks import answers_from
from cardiolens.bench.targets import DISEASE, Targets
from cardiolens.stats import auroc

KEYS = [f"s_p{i}/a" for i in range(60)]
TRAIN, TEST = KEYS[:40], KEYS[40:]


def made(refused=()):
    draw = np.random.default_rng(0)
    edv = draw.uniform(80, 300, len(KEYS))
    wide = (edv + draw.normal(0, 15, len(KEYS)) > 190).astype(float)
    table = pd.DataFrame({"lvef": 55.0, DISEASE: wide, "wide": wide, "rare": 0.0}, index=KEYS)
    table.iloc[:2, 3] = 1.0
    found = {
        key: {"figures": {} if key in refused else {"edv_ml": edv[i], "lvef_pct": 50.0 + i}, "seconds": 1.0}
        for i, key in enumerate(KEYS)
    }
    return found, Targets(tuple(table.columns), table, 55.0, 10.0, {})


def test_lvef_is_that_of_the_contours_and_a_condition_is_learned_from_the_measures():
    found, targets = made()
    out = answers_from(found, targets, TRAIN, TEST, seed=0)
    assert out[:, 0].tolist() == [50.0 + i for i in range(40, 60)]
    truth = targets.table.loc[TEST, "wide"].to_numpy()
    assert auroc(truth, out[:, 2]).auc > 0.9
    assert 0.5 < out[truth == 1, 2].mean() <= 1 and out[truth == 0, 2].mean() < 0.5


def test_a_condition_of_too_few_cases_is_answered_by_its_share():
    found, targets = made()
    assert answers_from(found, targets, TRAIN, TEST, seed=0)[:, 3] == pytest.approx(2 / 40)


def test_a_study_that_could_not_be_drawn_has_no_answer_and_teaches_nothing():
    found, targets = made(refused=(TRAIN[0], TEST[0]))
    out = answers_from(found, targets, TRAIN, TEST, seed=0)
    assert np.isnan(out[0]).all()
    assert not np.isnan(out[1:]).any()
    assert out[1, 3] == pytest.approx(1 / 39)  # of the two cases one was not drawn

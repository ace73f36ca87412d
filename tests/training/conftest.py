"""A small store whose studies carry a signal: the square in the middle pulses by the label."""

import numpy as np
import pandas as pd
import pytest

from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study


def study(index: int, lvef: float) -> Study:
    rng = np.random.default_rng(index)
    time = np.cos(np.linspace(0, 2 * np.pi, 16, endpoint=False))
    cines = []
    for view, planes in (("SAX", 3), ("4CH", 1)):
        frames = rng.integers(0, 60, (planes, 16, 48, 48)).astype(np.uint16)
        for phase in range(16):
            half = round(10 + lvef / 10 * time[phase])
            frames[:, phase, 24 - half : 24 + half, 24 - half : 24 + half] += 400
        cines.append(Cine(view, frames, source=f"synthetic {view}"))
    words = "severely reduced" if lvef < 40 else "preserved"
    report = f"LV systolic function is {words}. LVEF is {lvef:.0f} %. No effusion. Normal RV. Normal atria. No mass."
    return Study(tuple(cines), patient=f"p{index}", accession=f"a{index}", site="test", report=report)


@pytest.fixture(scope="session")
def small_store(tmp_path_factory) -> StudyStore:
    store = StudyStore(tmp_path_factory.mktemp("small") / "store", mode="a")
    labels = {}
    for index in range(48):
        lvef = 15.0 + 60.0 * index / 47
        labels[store.write(study(index, lvef), key=f"test_p{index:02d}/a{index:02d}")] = lvef
    store.write_labels(pd.DataFrame({"lvef": labels}).rename_axis("key"))
    return StudyStore(store.path)

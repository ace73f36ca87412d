"""A small store of beating discs with geometry, masks, landmarks, ED and ES."""

import numpy as np
import pandas as pd

from cardiolens.annotation import Annotation
from cardiolens.store import StudyStore
from cardiolens.study import Cine, Study, View

PHASES = 4
STRUCTURES = ("LV cavity", "LV myocardium")
SIZES = {"SAX": (32, 32, 2), "4CH": (32, 32)}


def disc(rows, cols, radius, middle):
    at = np.indices((rows, cols))
    away = np.hypot(at[0] - middle[0], at[1] - middle[1])
    return np.where(away < radius, 1, np.where(away < radius + 3, 2, 0)).astype(np.uint8)


def beating(seed, spacing=2.0, geometry=True):
    """A study and what is drawn on it: the wider it beats, the higher its LVEF."""
    rng = np.random.default_rng(seed)
    wide, share = rng.uniform(6.5, 9.0), rng.uniform(0.45, 0.85)
    cines, drawn = [], {}
    for view, planes in ((View.SAX, 2), (View.CH4, 1)):
        middle = rng.uniform(16, 20, 2)
        radii = wide * (1 - (1 - share) * np.array([0.0, 0.6, 1.0, 0.5]))
        labels = np.stack([disc(36, 34, radius, middle) for radius in radii])
        frames = 60 * (labels == 2) + 300 * (labels == 1) + rng.normal(40, 6, labels.shape)
        frames, labels = (np.repeat(values[None], planes, 0) for values in (frames.astype(np.int16), labels))
        affine = np.diag([spacing, spacing, 10.0, 1.0])
        known = {"spacing_mm": (spacing, spacing), "slice_positions_mm": np.arange(planes) * 10.0, "affine": affine}
        cines.append(Cine(view, frames, source=f"discs {view}", **(known if geometry else {})))
        points = {}
        if view is View.CH4:
            aside = np.array([[[0.0, -1.0]], [[0.0, 1.0]], [[1.0, 0.0]]]) * radii[[0, 2]][None, :, None]
            places = middle + aside
            points = {name: places[i][None] for i, name in enumerate(("mitral_1", "mitral_2", "apex"))}
        drawn[view] = Annotation((0, 2), labels[:, [0, 2]], STRUCTURES, ed=0, es=2, landmarks=points, source="test")
    return Study(tuple(cines)), drawn, 100 * (1 - share**2), wide


def write_store(folder, count=16):
    store = StudyStore(folder, mode="a")
    rows = {}
    for index in range(count):
        study, drawn, lvef, wide = beating(index)
        key = store.write(study, key=f"test_p{index:02d}/a{index:02d}")
        store.annotate(key, drawn)
        rows[key] = {"lvef": lvef, "group": "wide" if wide > 7.75 else "narrow", "vendor": 1.0}
    store.write_labels(pd.DataFrame.from_dict(rows, orient="index").rename_axis("key"))
    return StudyStore(store.path)

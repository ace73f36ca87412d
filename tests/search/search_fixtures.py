"""A tiny model with both towers, small studies, and an index of any vectors."""

import numpy as np
import torch

from cardiolens.models.card import Card
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mvit import MViTConfig
from cardiolens.models.text import TextConfig, TextEncoder
from cardiolens.search import EmbeddingIndex
from cardiolens.search.embedding import video_hash
from cardiolens.study import Cine, Study, View
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.transforms import ClipTransform

REPORTS = [
    "The left ventricle is dilated. No thrombus.",
    "Normal study. The atria are normal. No effusion. No mass. Normal valves. The aorta is normal.",
    "There is left ventricular hypertrophy.",
    "Large pericardial effusion. The right ventricle is dilated.",
]
VIDEO = MViTConfig(
    frames=4, crop=16, channels=1, width=8, head_width=8, stage_starts=(1,), kv_stride=(2, 1), mlp_ratio=2.0
)


def tiny_model(seed=0, text=True):
    """Random weights; built in milliseconds."""
    torch.manual_seed(seed)
    transform = {"frames": 4, "short_side": 20, "crop": 16, "channels": 1}
    tower = None
    if text:
        tokenizer = ReportTokenizer.train(REPORTS, vocabulary=200)
        size = {"width": 16, "layers": 1, "heads": 2, "hidden": 32, "positions": 64, "max_tokens": 64}
        tower = TextEncoder(TextConfig(len(tokenizer), **size, pooling="mean"), tokenizer)
    card = Card(name="shad-mvit-tiny", transform=transform)
    return DualEncoder(VIDEO, card=card, embed_dim=24, text=tower).eval()


def small_study(seed, views=((View.SAX, 3), (View.CH4, 1)), report=None, patient="p"):
    rng = np.random.default_rng(seed)
    cines = tuple(Cine(v, rng.integers(0, 900, (n, 5, 24, 20)).astype(np.uint16), source=f"c {v}") for v, n in views)
    return Study(cines, patient=patient, accession=f"a{seed}", site="s", report=report)


def made_index(model, keys, views, rows, **more):
    """An index as if the model had made it, of any vectors."""
    rows = np.asarray(rows, dtype=np.float32)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    transform = ClipTransform.from_dict(model.card.transform).to_dict()
    meta = {"model": "made", "model_hash": video_hash(model), "transform": transform, "space": "embedding"}
    return EmbeddingIndex(tuple(keys), tuple(map(View, views)), tuple(range(len(keys))), rows, meta, **more)

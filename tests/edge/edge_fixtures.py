"""A tiny trained model with an LVEF head, a calibrated head for two conditions and a domain reference; and its export.

`python tests/edge/edge_fixtures.py` writes both anew to tests/golden/edge.
"""

from pathlib import Path

import numpy as np
import torch

from cardiolens.hub import load_model, save_model
from cardiolens.inference import fit_domain
from cardiolens.models.card import Card
from cardiolens.models.dual_encoder import DualEncoder
from cardiolens.models.mil import GatedAttentionMIL, MILConfig
from cardiolens.models.mvit import MViTConfig
from cardiolens.study import Cine, Study, View

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "edge"
VIDEO = MViTConfig(
    frames=4, crop=16, channels=1, width=8, head_width=8, stage_starts=(1,), kv_stride=(2, 1), mlp_ratio=2.0
)
LABELS = ["left_ventricular_dilation", "cardiac_thrombus"]


def edge_study(seed: int, sax: int = 3) -> Study:
    """A study whose pixels are smooth in space and time, and a little noise."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0, 3, 30)

    def cine(view: View, planes: int) -> Cine:
        time = np.linspace(0, 2 * np.pi, 6)[:, None, None]
        waves = np.sin(grid[:, None] * rng.uniform(1, 3) + np.cos(time)) + np.cos(grid[None] * rng.uniform(1, 3))
        frames = 300 + 100 * waves[None] + rng.normal(0, 5, (planes, 6, 30, 30))
        return Cine(view, frames.astype(np.float32), source=f"cine {view}")

    return Study((cine(View.SAX, sax), cine(View.CH4, 1)), patient="p", accession=f"a{seed}")


def make_model(folder: Path) -> Path:
    torch.manual_seed(0)
    card = Card(name="shad-mvit-tiny", transform={"frames": 4, "short_side": 20, "crop": 16, "channels": 1})
    model = DualEncoder(VIDEO, card=card, embed_dim=24).eval()
    small = {"embed_dim": 24, "hidden": 16, "gate": 8}
    model.heads["lvef"] = GatedAttentionMIL(MILConfig(**small)).eval()
    model.heads["diagnoses"] = GatedAttentionMIL(
        MILConfig(kind="classification", outputs=2, projection=VIDEO.out_width, **small)
    ).eval()
    fitted = {"slope": 2.0, "intercept": -1.0, "threshold": 0.5, "n": 50, "positive": 20}
    card.tasks["lvef"] = {"kind": "regression", "conformal": {"coverage": 0.9, "quantile": 6.0, "n": 40}}
    card.tasks["diagnoses"] = {
        "kind": "classification",
        "labels": LABELS,
        "calibration": {
            "threshold": "greatest Youden index",
            "conditions": {LABELS[0]: {**fitted, "sensitivity": 0.9, "specificity": 0.8}},
        },
    }
    studies = [edge_study(100 + i) for i in range(20)]
    fit_domain(model, studies[:10], studies[10:], quantile=0.9)
    return save_model(model, folder)


def main() -> None:
    from cardiolens.edge import export_model

    folder = make_model(GOLDEN / "model")
    export_model(load_model(folder), GOLDEN / "export", studies=[edge_study(i) for i in range(3)])


if __name__ == "__main__":
    main()

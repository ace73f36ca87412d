"""CineMA's published layout, loaded by name, against what the authors' own code computed."""

import numpy as np
import pytest
import torch
from published import expected, given, published, relative_error
from safetensors.torch import save_file

from cardiolens import load_model

TOLERANCE = 1e-5
NAMES = {"SAX": "sax", "2CH": "lax_2c", "3CH": "lax_3c", "4CH": "lax_4c"}
SIZES = {"SAX": (192, 192, 16), "2CH": (256, 256), "3CH": (256, 256), "4CH": (256, 256)}


def position_table(grid, width):
    """The fixed table from its definition, axis by axis: column, row, depth."""
    indices = np.indices(grid).reshape(len(grid), -1)
    each = 2 * (width // (2 * len(grid)))
    table = np.zeros((1, indices.shape[1], width))
    for block, axis in enumerate((1, 0, 2)[: len(grid)]):
        for i in range(each // 2):
            angle = indices[axis] / 10000 ** (i / (each / 2))
            table[0, :, block * each + i] = np.sin(angle)
            table[0, :, block * each + each // 2 + i] = np.cos(angle)
    return torch.from_numpy(table.astype(np.float32))


def loaded(folder, name, model, tables=None):
    """The golden file's checkpoint, written as its authors publish and loaded by name."""
    file = folder / f"{name}.safetensors"
    save_file(published(name) | (tables or {}), file)
    try:
        return load_model(model, weights=file)
    finally:
        file.unlink()


def image(view, frames=1):
    suffix = f":{frames}frames" if frames > 1 else ""
    return {view: given(NAMES[view] + suffix, (1, frames, *SIZES[view]))}


@pytest.fixture(scope="module")
def mae(tmp_path_factory):
    tables = {}
    for view, size in SIZES.items():
        grid = (size[0] // 16, size[1] // 16, *size[2:])
        tables[f"enc_down_dict.{NAMES[view]}.pos_embed"] = position_table(grid, 768)
        tables[f"dec_embed_dict.{NAMES[view]}.pos_embed"] = position_table(grid, 512)
    return loaded(tmp_path_factory.mktemp("mae"), "cinema_mae_base", "cinema-base", tables)


@pytest.fixture(scope="module")
def views():
    return {view: tensor for name in SIZES for view, tensor in image(name).items()}


def test_autoencoder_reproduces_the_published_losses_and_predictions(mae, views):
    truth = expected("cinema_mae_base")
    masks = {view: torch.from_numpy(truth[f"mask_{name}"]) for view, name in NAMES.items()}
    with torch.inference_mode():
        found = mae(views, masks)
    assert relative_error(found.loss, truth["loss"]) < TOLERANCE
    for view, name in NAMES.items():
        assert relative_error(found.losses[view], truth[f"loss_{name}"]) < TOLERANCE
        assert relative_error(found.predictions[view][:, ::16], truth[f"pred_{name}"]) < TOLERANCE
        assert relative_error(mae.encoder.stems[view].position[:, ::64], truth[f"pos_embed_{name}"]) < TOLERANCE
    assert relative_error(mae.get_buffer("position_SAX")[:, ::64], truth["dec_pos_embed_sax"]) < TOLERANCE
    assert mae.card.licence.weights.startswith("MIT")
    assert mae.card.transform["axes"] == "col-row"


@pytest.mark.slow
def test_autoencoder_reproduces_the_published_features(mae, views):
    truth = expected("cinema_mae_base")
    with torch.inference_mode():
        found = mae.features(views)
    assert relative_error(found.cls[:, None], truth["feature_cls"]) < TOLERANCE
    for view, name in NAMES.items():
        assert relative_error(found.tokens[view][:, ::32], truth[f"feature_{name}"]) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "view", "outputs"),
    [
        ("cinema_convvit_lax4c2_reg1", "4CH", 1),
        pytest.param("cinema_convvit_sax2_cls5", "SAX", 5, marks=pytest.mark.slow),
    ],
)
def test_heads_reproduce_the_published_logits(tmp_path, name, view, outputs):
    model, truth = loaded(tmp_path, name, "cinema-convvit-base"), expected(name)
    assert (list(model.config.encoder.views), model.config.encoder.in_channels) == ([view], 2)
    assert (model.config.outputs, model.config.kind) == (outputs, "raw")
    with torch.inference_mode():
        for pool, key in (("all", "logits"), ("cls", "logits_cls"), ("patch", "logits_patch")):
            assert relative_error(model(image(view, frames=2), pool), truth[key]) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "view", "millions"),
    [
        ("cinema_convunetr_lax4c_seg4", "4CH", 102.0),
        pytest.param("cinema_convunetr_sax_seg4", "SAX", 125.6, marks=pytest.mark.slow),
    ],
)
def test_segmenter_reproduces_the_published_logits(tmp_path, name, view, millions):
    model, truth = loaded(tmp_path, name, "cinema-unetr-base"), expected(name)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    with torch.inference_mode():
        logits = model(image(view))[view]
    assert relative_error(logits[:, :, ::16, ::16], truth["logits_sub16"]) < TOLERANCE
    assert relative_error(logits.flatten(2).mean(2), truth["mean"]) < TOLERANCE
    assert relative_error(logits.flatten(2).std(2), truth["std"]) < TOLERANCE

"""Each choice of the paper, and each on which it is silent, is a switch of the recipe that changes what it should."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from cardiolens.hub import load_model, save_model
from cardiolens.text.token_store import TokenStore
from cardiolens.text.tokenizer import ReportTokenizer
from cardiolens.training.contrastive import ContrastiveModule, pairs_loader, start_model
from cardiolens.training.data import ClipSource
from cardiolens.training.recipe import PretrainRecipe, load_recipe
from cardiolens.transforms import ClipTransform

sys.path.insert(0, str(Path(__file__).parent))
from tiny_towers import OWNER, module, recipe, whole_batch

TINY = (
    "name: x\noptimiser: {lr: 1e-3, batch: 4, epochs: 1}\ntext: {vocabulary: 200, freeze_layers: 0, max_tokens: 48}\n"
)


@pytest.fixture
def asked(tmp_path):
    """A recipe from a file, with `--set` overrides."""

    def ask(*overrides):
        (tmp_path / "recipe.yaml").write_text(TINY)
        return load_recipe(tmp_path / "recipe.yaml", PretrainRecipe, overrides)

    return ask


# The objective -------------------------------------------------------------------------------------------------------


def loss(built, flooded=False):
    batch = whole_batch(built)
    return built.training_step(batch, 0) if flooded else built.contrast(batch, batch.clips)


def both_losses(temperature):
    """Video-to-text and text-to-video losses of the tiny batch, written out."""
    built = module(recipe())
    batch, owner = whole_batch(built), torch.tensor(OWNER)
    video = F.normalize(built.model.video_proj(built.model.features(batch.clips)), dim=1)
    text = F.normalize(built.model.text_proj(built.model.text_encoder(batch.tokens, batch.mask)), dim=1)
    logits = video @ text.T / temperature
    rival = [torch.stack([logits[i, j], *logits[owner != j, j]]) for i, j in enumerate(OWNER)]
    to_video = torch.stack([row.logsumexp(0) - row[0] for row in rival]).mean()
    return F.cross_entropy(logits, owner), to_video


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("video_weight", [0.0, 0.5, 1.0])
def test_temperature_and_lambda_are_those_of_the_written_out_objective(temperature, video_weight):
    to_text, to_video = both_losses(temperature)
    found = loss(module(recipe(temperature=temperature, video_weight=video_weight)))
    torch.testing.assert_close(found, video_weight * to_text + (1 - video_weight) * to_video)


def test_flooding_turns_the_gradient_round_and_zero_switches_it_off():
    plain, off, high = (module(recipe(flood=level)) for level in (0.0, 0.0, 50.0))
    bare, without, flooded = loss(plain), loss(off, flooded=True), loss(high, flooded=True)
    for value in (bare, without, flooded):
        value.backward()
    assert torch.equal(bare, without)
    assert float(flooded) == pytest.approx(100.0 - float(bare))
    torch.testing.assert_close(high.model.video_proj.weight.grad, -off.model.video_proj.weight.grad)


@pytest.mark.parametrize("centre", [False, True])
def test_centring_takes_away_what_all_clips_share(centre):
    built = module(recipe(centre=centre))
    before = loss(built)
    with torch.no_grad():
        built.model.video_proj.bias += 3.0
    assert torch.allclose(before, loss(built)) == centre


# Augmentation --------------------------------------------------------------------------------------------------------


def augmented(monkeypatch, settings):
    """How far the clips that reach the tower are from those of the batch."""
    built, seen = module(settings), []
    features = built.model.features
    monkeypatch.setattr(built.model, "features", lambda clips: seen.append(clips) or features(clips))
    batch = whole_batch(built)
    built.training_step(batch, 0)
    return float((seen[0] - batch.clips).abs().mean())


def test_augmentation_grows_with_its_severity_and_zero_switches_it_off(monkeypatch):
    none, some, strong = (augmented(monkeypatch, recipe(augment=severity)) for severity in (0.0, 1.0, 8.0))
    assert none == 0
    assert 0 < some < strong


# What is drawn -------------------------------------------------------------------------------------------------------


def drawn(asked_recipe, store, epoch=0):
    """First batch of an epoch, and the words of its reports."""
    source = ClipSource(store, ClipTransform(frames=2, short_side=16, crop=16), cache=True)
    keys = store.keys()[:12]
    reports = {key: store.report(key) for key in keys}
    tokenizer = ReportTokenizer.train(reports.values(), vocabulary=400)
    tokens = TokenStore.build(reports, tokenizer)
    loader = pairs_loader(asked_recipe, source, keys, tokens, tokenizer, max_tokens=128, train=True)
    loader.batch_sampler.sampler.set_epoch(epoch)
    batch = next(iter(loader))
    return batch, [tokenizer.words(ids) for ids in batch.tokens.tolist()]


@pytest.mark.parametrize(
    ("override", "clips"),
    [
        ("clips_per_study=1", 4),
        ("clips_per_study=views", 8),
        ("clips_per_study=all", 16),  # three SAX planes and 4CH
        ("clips_per_study=all plane_sampling=random_half", None),
        ("clips_per_study=all plane_sampling=alternate", None),
        ("optimiser.batch=6", 6),
        ("optimiser.batch=6 clips_per_study=views", 12),
    ],
)
def test_clips_of_a_step_are_as_many_as_asked_for(asked, small_store, override, clips):
    batch, _ = drawn(asked(*override.split()), small_store)
    studies = 6 if "batch=6" in override else 4
    assert len(batch.tokens) == len(batch.studies) == studies
    assert sorted(set(batch.owner.tolist())) == list(range(studies))
    if clips is None:  # half of three SAX planes, and the one of 4CH
        assert 2 * studies <= len(batch.clips) < 4 * studies
    else:
        assert len(batch.clips) == clips


def test_a_random_half_is_another_one_each_epoch_and_alternate_planes_are_not(asked, small_store):
    def clips_by_study(sampling, epoch):
        override = ("clips_per_study=all", f"plane_sampling={sampling}", "optimiser.batch=12")
        batch, _ = drawn(asked(*override), small_store, epoch)
        return {
            study: batch.clips[batch.owner == row].flatten(1).sum(1).tolist() for row, study in enumerate(batch.studies)
        }

    assert clips_by_study("alternate", 0) == clips_by_study("alternate", 1)
    assert clips_by_study("random_half", 0) != clips_by_study("random_half", 1)


@pytest.mark.parametrize("sentences", [1, 5])
def test_so_many_sentences_of_a_report_are_read(asked, small_store, sentences):
    _, texts = drawn(asked(f"text.sentences={sentences}"), small_store)
    assert {text.count(".") for text in texts} == {sentences}  # "LVEF is 40 %." has one as the others


def test_processes_that_read_ahead_change_nothing(asked, small_store):
    one, other = (drawn(asked(f"workers={workers}"), small_store)[0] for workers in (0, 2))
    assert one.studies == other.studies
    assert torch.equal(one.clips, other.clips)


# What it starts from -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bert(small_store, tmp_path_factory):
    """The local folder of a BERT with three layers."""
    from cardiolens.models.text import TextConfig, TextEncoder
    from cardiolens.text.tokenizer import ReportTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = ReportTokenizer.train([small_store.report(small_store.keys()[0])], vocabulary=200)
    size = {"width": 16, "layers": 3, "heads": 2, "hidden": 32, "positions": 64, "max_tokens": 48}
    TextEncoder(TextConfig(len(tokenizer), **size), tokenizer).bert.save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def start(asked_recipe, store):
    torch.manual_seed(0)
    return start_model(asked_recipe, store, store.keys()[:12])


@pytest.mark.parametrize("layers", [0, 2, 3])
def test_frozen_text_layers_do_not_train(asked, small_store, bert, layers):
    built = start(asked(f"text.pretrained={bert}", f"text.freeze_layers={layers}"), small_store)
    frozen = {name.split(".")[2] for name, p in built.text_encoder.bert.named_parameters() if not p.requires_grad}
    assert {part for part in frozen if part.isdigit()} == {str(n) for n in range(layers)}
    embeddings = built.text_encoder.bert.embeddings.word_embeddings.weight
    assert embeddings.requires_grad == (layers == 0)


def test_text_pooling_changes_the_vector_of_a_report(asked, small_store, bert):
    vectors = []
    for pooling in ("cls", "mean", "max"):
        tower = start(asked(f"text.pretrained={bert}", "text.pooling=" + pooling), small_store).text_encoder.eval()
        vectors.append(tower(*tower.tokenize(["LVEF is 31 %."])))
    assert not any(torch.allclose(vectors[a], vectors[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_initial_weights_are_those_of_the_file_and_text_settings_those_of_the_recipe(asked, small_store, tmp_path):
    first = start(asked(), small_store)
    with torch.no_grad():
        first.video_proj.weight.fill_(0.25)
    folder = save_model(first, tmp_path / "model")
    again = start(asked(f"weights={folder}", "text.pooling=max", "text.freeze_layers=1"), small_store)
    ours, theirs = first.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.text_encoder.config.pooling == "max"
    assert not again.text_encoder.bert.encoder.layer[0].output.dense.weight.requires_grad
    assert again.text_encoder.bert.encoder.layer[1].output.dense.weight.requires_grad


@pytest.mark.parametrize("name", ["shad-mvit-tiny", "shad-resnet3d-tiny"])
def test_the_encoder_is_the_one_that_the_recipe_names(asked, small_store, name):
    built = start(asked(f"model={name}"), small_store)
    assert type(built.video_encoder) is type(load_model(name).video_encoder)
    assert built.training


# What is kept out of the optimiser -----------------------------------------------------------------------------------


@pytest.mark.parametrize("freeze", [False, True])
def test_frozen_batch_statistics_stay_where_they_are(asked, freeze):
    model = torch.nn.Module()
    model.embed_dim, model.heads, model.classifier = 4, torch.nn.ModuleDict(), torch.nn.Linear(2, 2)
    model.norm = torch.nn.BatchNorm3d(3)
    built = ContrastiveModule(model, asked(f"freeze_norm={freeze}"))
    built.train()
    built.on_train_epoch_start()
    model.norm(torch.rand(2, 3, 2, 2, 2) + 5)
    assert (model.norm.running_mean.abs().max() == 0) == freeze
    assert not model.classifier.weight.requires_grad  # it takes no part, and DDP would wait for its gradient

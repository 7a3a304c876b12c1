"""The benchmark of language models: its losses are those of the models that it trains."""

import dataclasses

import pytest
import torch

from benchmarks.ladder import training
from benchmarks.ladder.recipes import UNITS
from benchmarks.ladder.training import CURVE_BATCH_SIZE, TokenizedText, train_ngram
from tests.helpers.benchmark_runs import record_calls, token_losses, window_losses
from utils.data.corpora import load_text

NAMES = {"characters": ("RNN", "GPT"), "words": ("window", "LSTM", "GPT")}  # of models to train


@pytest.fixture
def few_models(monkeypatch):
    """Units with few models, as wide ones take long."""
    for unit, names in NAMES.items():
        recipes = {name: UNITS[unit].recipes[name] for name in names}
        monkeypatch.setitem(UNITS, unit, dataclasses.replace(UNITS[unit], recipes=recipes))


def test_the_command_stores_each_model_of_each_unit_and_seed(run, few_models, monkeypatch):
    calls = record_calls(monkeypatch, training, "fit_recipe")
    run("ladder", "--units", "words", "--seeds", 0, "--steps", 1)
    content = run("ladder", "--units", "characters", "--seeds", 0, 1, "--steps", 1)
    assert list(content) == ["words, seed 0", "characters, seed 0", "characters, seed 1"]
    for name, part in content.items():
        unit, seed = name.split(", seed ")
        ngram = f"{UNITS[unit].ngram_order}-gram"
        assert part.keys() == {ngram, *NAMES[unit], "provenance"}
        assert part[ngram].keys() == {"loss", "seconds"}
        assert part["provenance"]["seeds"] == [part["GPT"]["seed"]] == [int(seed)]
        assert part["provenance"]["origin"] == "stand-in"
    models = [next(model.parameters()) for _, (model, _) in calls[-4::2]]  # of the RNNs
    assert (models[0] - models[1]).abs().mean() > 0.01, "each seed has its own first parameters"
    first, second = (content[f"characters, seed {seed}"] for seed in (0, 1))
    assert first["RNN"]["loss"] != second["RNN"]["loss"]
    assert first["6-gram"]["loss"] == second["6-gram"]["loss"], "counts have no seed"


def test_losses_alone_and_mixed_are_those_of_the_model(run, few_models, monkeypatch):
    calls = record_calls(monkeypatch, training, "fit_recipe")
    content = run("ladder", "--units", "words", "--seeds", 0, "--steps", 2)["words, seed 0"]
    text = TokenizedText.from_corpus(load_text(), UNITS["words"])
    ngram_log_probs, _ = train_ngram(text, UNITS["words"].ngram_order)
    assert content["5-gram"]["loss"] == pytest.approx(-ngram_log_probs.mean().item())
    for ((recipe, *_), (model, _)), name in zip(calls, NAMES["words"], strict=True):
        figures = content[name]
        assert figures["num_parameters"] == sum(p.numel() for p in model.parameters())
        windows = window_losses(
            model, text.valid, num_segments=CURVE_BATCH_SIZE, context_length=recipe.context_length
        )
        steps = [loss for _, loss in figures["curve"]]
        assert len(steps) == 2 and min(steps) == pytest.approx(windows.mean().item(), abs=1e-5)
        assert figures["curve"][-1][0] == pytest.approx(figures["seconds"])
        assert figures["ngram_loss"] == pytest.approx(content["5-gram"]["loss"]), "a short text"
        if name == "GPT":  # whose windows have no context
            continue
        losses = token_losses(model, text.valid).double()  # the whole text in one call
        assert figures["loss"] == pytest.approx(losses.mean().item(), abs=1e-5)
        mixed = [
            -torch.log(w * (-losses).exp() + (1 - w) * ngram_log_probs.exp()).mean().item()
            for w in torch.arange(101, dtype=torch.float64) / 100
        ]
        assert figures["mixture_loss"] == pytest.approx(min(mixed), abs=1e-5)
        expected = mixed[round(100 * figures["mixture_weight"])]
        assert figures["mixture_loss"] == pytest.approx(expected, abs=1e-5)

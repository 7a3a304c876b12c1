"""The benchmark of language models: its losses are those of the models that it trains."""

import dataclasses

import pytest
import torch

from benchmarks import tuning
from benchmarks.ladder import __main__ as command
from benchmarks.ladder import equal, training
from benchmarks.ladder.equal import FRACTIONS, NETWORKS, ORDERS, Characters
from benchmarks.ladder.recipes import UNITS
from benchmarks.ladder.training import CURVE_BATCH_SIZE, TokenizedText, train_ngram
from tests.helpers.benchmark_runs import record_calls, token_losses, window_losses
from utils.data.corpora import load_text
from utils.metrics.cost import count_parameters
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts

NAMES = {"characters": ("RNN", "GPT"), "words": ("window", "LSTM", "GPT")}  # of models to train


@pytest.fixture
def few_models(monkeypatch):
    """Units with few models, as wide ones take long."""
    for unit, names in NAMES.items():
        recipes = {name: UNITS[unit].recipes[name] for name in names}
        monkeypatch.setitem(UNITS, unit, dataclasses.replace(UNITS[unit], recipes=recipes))


def test_the_command_stores_each_model_of_each_unit_and_seed(run, few_models, monkeypatch):
    calls = record_calls(monkeypatch, training, "fit_recipe")
    run("ladder", "long", "--units", "words", "--seeds", 0, "--steps", 1)
    content = run("ladder", "long", "--units", "characters", "--seeds", 0, 1, "--steps", 1)
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
    content = run("ladder", "long", "--units", "words", "--seeds", 0, "--steps", 2)["words, seed 0"]
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


# ---- networks of equal size ---------------------------------------------------------------------


def test_networks_are_of_nearly_equal_size():
    sizes = [count_parameters(build(69)) for build in NETWORKS.values()]
    assert max(sizes) < 1.05 * min(sizes)


@pytest.fixture
def one_rate(monkeypatch):
    """One trial for each rate that would be tuned."""
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})


def by_name(rows):
    return {(row["part"], row["arm"], row["seed"]): row for row in rows}


def losses_of(text, train, order):
    """Validation and test loss of an n-gram model, counted here."""
    counts = NGramCounts(train, order=order, vocab_size=len(text.tokenizer))
    model = NGramLM.kneser_ney(counts, modified=True)
    return [-float(model.score(ids)[1:].mean()) for ids in (text.valid, text.test)]


def test_equal_writes_counts_trials_and_runs(run, one_rate, monkeypatch):
    calls = record_calls(monkeypatch, equal, "fit")
    names = ("NNLM", "LSTM")
    arguments = ("equal", "--networks", *names, "--seeds", 0, 1, "--steps", 3)
    rows = by_name(run("ladder", *arguments)["rows"])
    text = Characters.from_corpus(load_text())
    for order in (1, 3):
        figures = rows["equal", f"{order}-gram", 0]["figures"]
        expected = losses_of(text, text.train, order)
        assert [figures["validation loss"], figures["loss"]] == pytest.approx(expected)
    valid = {n: rows["equal", f"{n}-gram", 0]["figures"]["validation loss"] for n in ORDERS}
    best = min(valid, key=valid.get)
    for name in names:
        trial = rows["equal, trials", f"{name}, rate 0.01", command.TUNING_SEEDS[0]]
        assert trial["figures"].keys() == {"validation loss"}, "a trial leaves the test text alone"
        first, second = (rows["equal", name, seed] for seed in (0, 1))
        assert first["settings"]["order"] == best and first["settings"]["grid"] == [0.01]
        assert first["figures"]["loss"] != second["figures"]["loss"]
        assert first["costs"]["tokens"] == 3 * 16 * 64
    model = calls[-1][0][0]  # the LSTM of seed 1
    test = token_losses(model, text.test).double()
    figures = rows["equal", "LSTM", 1]["figures"]
    assert figures["loss"] == pytest.approx(test.mean().item(), abs=1e-5)
    counts = NGramCounts(text.train, order=best, vocab_size=len(text.tokenizer))
    counted = NGramLM.kneser_ney(counts, modified=True).score(text.test)[1:].exp()
    mixed = figures["weight"] * (-test).exp() + (1 - figures["weight"]) * counted
    assert figures["mixture loss"] == pytest.approx(-mixed.log().mean().item(), abs=1e-5)
    assert len(figures["curve"]) == 3 and figures["curve"][-1][0] == 3 * 16 * 64


def test_size_uses_parts_of_the_training_text(run, one_rate):
    rows = by_name(run("ladder", "size", "--seeds", 0, "--steps", 2)["rows"])
    whole = Characters.from_corpus(load_text())
    for fraction, divisor in FRACTIONS.items():
        row = rows["size", f"2-gram, {fraction}", 0]
        part = whole.train[: len(whole.train) // divisor]
        assert row["costs"]["tokens"] == pytest.approx(len(part), abs=1)
        assert row["figures"]["loss"] == pytest.approx(losses_of(whole, part, 2)[1], abs=1e-3)
        assert rows["size", f"LSTM, {fraction}", 0]["settings"]["order"] in ORDERS


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("ladder", "equl")
    assert "there are equal, size, long" in capsys.readouterr().err

"""The controls of the ladder: equal passes, and mixtures with two n-gram models."""

import pytest
import torch

from benchmarks import ladder_controls as controls
from benchmarks import tuning
from benchmarks.ladder import equal
from benchmarks.ladder.equal import BATCH_SIZE, CONTEXT_LENGTH, FRACTIONS, Characters
from tests.helpers.benchmark_runs import record_calls, token_losses
from utils.data.corpora import load_text
from utils.decoding.interpolation import MIXTURE_WEIGHTS
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts


def by_name(rows):
    return {(row["part"], row["arm"], row["seed"]): row for row in rows}


def probabilities(text, order):
    """Of the tokens of the validation and the test text but the first, counted here."""
    counts = NGramCounts(text.train, order=order, vocab_size=len(text.tokenizer))
    model = NGramLM.kneser_ney(counts, modified=True)
    return [model.score(ids)[1:].exp() for ids in (text.valid, text.test)]


def test_two_tables_are_mixed_with_the_weight_best_on_validation(run):
    rows = by_name(run("ladder_controls", "counts")["rows"])
    text = Characters.from_corpus(load_text())
    (valid, test), (valid_too, test_too) = (probabilities(text, n) for n in (2, controls.ORDER))
    figures = rows["counts", f"{controls.ORDER}-gram + 2-gram", 0]["figures"]
    losses = {}
    for w in MIXTURE_WEIGHTS:
        losses[w] = -torch.log(w * valid + (1 - w) * valid_too).mean().item()
    best = min(losses, key=losses.get)
    assert figures["validation loss"] == pytest.approx(losses[best], abs=1e-5)
    w = figures["weight"]
    assert losses[w] == pytest.approx(losses[best], abs=1e-5), "near ties may differ by rounding"
    mixed = -torch.log(w * test + (1 - w) * test_too).mean().item()
    assert figures["loss"] == pytest.approx(mixed, abs=1e-5)


def test_a_run_of_equal_passes_reads_about_as_many_characters_as_the_text_has(run, monkeypatch):
    monkeypatch.setattr(tuning, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    rows = by_name(run("ladder_controls", "passes", "--seeds", 0)["rows"])
    whole = load_text()
    for fraction, divisor in FRACTIONS.items():
        size = len(whole.train) // divisor
        row = rows["passes", f"LSTM, {fraction}", 0]
        assert 0 <= row["costs"]["tokens"] - size < BATCH_SIZE * CONTEXT_LENGTH
        trials = [seed for part, _, seed in rows if part == "passes, trials"]
        assert set(trials) == set(controls.TUNING_SEEDS) and 0 not in trials


def test_a_network_is_mixed_with_both_tables(run, monkeypatch):
    calls = record_calls(monkeypatch, equal, "fit")
    arguments = ("mixtures", "--networks", "LSTM", "--seeds", 0, "--steps", 2)
    rows = by_name(run("ladder_controls", *arguments)["rows"])
    text = Characters.from_corpus(load_text())
    counts = {arm: row for (part, arm, _), row in rows.items() if part == "counts"}
    partner = min(counts, key=lambda arm: counts[arm]["figures"]["validation loss"])
    order, share = int(partner.split("+ ")[1][0]), counts[partner]["figures"]["weight"]
    tables = [probabilities(text, n)[1] for n in (order, controls.ORDER)]
    both = share * tables[0] + (1 - share) * tables[1]
    ((model, *_), _) = calls[-1]
    network = (-token_losses(model, text.test).double()).exp()
    figures = rows["mixtures", "LSTM", 0]["figures"]
    mixed = figures["weight"] * network + (1 - figures["weight"]) * both
    assert figures["mixture loss"] == pytest.approx(-mixed.log().mean().item(), abs=1e-5)


def test_a_misspelt_part_is_refused(run, capsys):
    with pytest.raises(SystemExit):
        run("ladder_controls", "cuonts")
    assert "there are counts, passes, mixtures" in capsys.readouterr().err

"""The benchmark of windows: losses are those of its models, rates are tuned inside a grid."""

import math

import pytest
import torch

from benchmarks import window
from benchmarks.tuning import FACTOR
from benchmarks.window import BATCH_SIZE, CONTEXT_LENGTH, MAX_TRIALS, RATES, Task
from tests.helpers.benchmark_runs import record_calls, token_losses
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import UNK
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.training.history import History, Validation

STEPS = 3


def test_the_command_stores_losses_of_networks_and_of_counts(run, monkeypatch):
    trained = record_calls(monkeypatch, window, "fit")
    monkeypatch.setattr(window, "tune", lambda *_, **__: {0.005: 2.0, 0.01: 1.0, 0.02: 3.0})
    content = run("window", *f"--orders 2 4 --seeds 3 5 --steps {STEPS}".split())
    rows = {(row["part"], row["arm"], row["seed"]): row for row in content["rows"]}
    task = Task.load()
    test = task.ids["test"]
    networks = [rows["network", f"n = {n}", seed] for n in (2, 4) for seed in (3, 5)]
    for row, ((model, stream, config), _) in zip(networks, trained, strict=True):
        assert row["arm"] == f"n = {model.order}" and stream.seed == row["seed"]
        assert (config.steps, config.learning_rate) == (STEPS, 0.01)
        assert row["settings"]["learning_rate"] == 0.01
        assert row["settings"]["grid"] == [0.005, 0.01, 0.02]
        assert row["costs"]["tokens"] == STEPS * BATCH_SIZE * CONTEXT_LENGTH
        losses, figures = token_losses(model, test), row["figures"]
        assert figures["test loss"] == pytest.approx(float(losses.mean()), abs=1e-5)
        known = float(losses[test[1:] != UNK].mean())
        assert figures["test loss, known words"] == pytest.approx(known, abs=1e-5)
        lowest = min(loss for _, loss in figures["validation curve"])
        assert figures["validation loss"] == pytest.approx(lowest, abs=0.02)  # other windows
    counts = NGramCounts(task.ids["train"], order=5, vocab_size=len(task.tokenizer))
    for n in (2, 3, 4, 5):
        loss = -float(NGramLM.kneser_ney(counts, order=n, modified=True).score(test)[1:].mean())
        for seed in (3, 5):
            row = rows["counts", f"n = {n}", seed]
            assert row["figures"]["test loss"] == pytest.approx(loss, abs=0.01)


class Rows:
    """Rows of a file that is empty at first."""

    def __init__(self):
        self.stored = {}

    def missing(self, arm, seeds, settings):
        return [seed for seed in seeds if (arm, seed) not in self.stored]

    def write(self, arm, seed, *, figures, settings, costs):
        self.stored[arm, seed] = figures

    def figures(self, arm, seed):
        return self.stored[arm, seed]


def tune_to(monkeypatch, best):
    def run_trial(task, order, *, steps, rate, seed):
        return {"validation loss": abs(math.log(rate / best))}, {}

    monkeypatch.setattr(window, "run_trial", run_trial)
    return window.tune(None, 3, steps=7, seed=1, rows=Rows())


@pytest.mark.parametrize(
    "best, trials",
    [(RATES[1], 3), (RATES[0], 4), (RATES[2] * FACTOR, 5), (RATES[0] / FACTOR**2, 6)],
)
def test_tuning_goes_on_until_the_best_rate_is_inside(monkeypatch, best, trials):
    scores = tune_to(monkeypatch, best)
    assert min(scores, key=scores.get) == pytest.approx(best) and len(scores) == trials
    assert list(scores) == sorted(scores) and min(scores) < best < max(scores)


def test_tuning_gives_up_where_there_is_no_best_rate(monkeypatch):
    with pytest.raises(RuntimeError, match="at an edge"):
        tune_to(monkeypatch, RATES[2] * FACTOR**MAX_TRIALS)


def test_cosines_of_twins_and_others(monkeypatch):
    monkeypatch.setattr(window, "FREQUENT", 2)
    words = "the The cat Cat dog Dog".split()
    text = " ".join([*words[:-1]] * 2 + ["Dog"])  # Dog occurs once only
    tokenizer = WordTokenizer.train(text)
    task = Task({"train": torch.tensor(tokenizer.encode(text))}, tokenizer, "real")
    vectors = torch.zeros(len(tokenizer), 2)
    directions = {"the": (1, 0), "The": (2, 0), "cat": (0, 3), "Cat": (1, 1)}
    for word, direction in directions.items():
        vectors[tokenizer.vocab.index[word]] = torch.tensor(direction, dtype=torch.float32)
    twins, others = window.twin_cosines(task, vectors)
    root = math.sqrt(0.5)
    assert twins == pytest.approx((1 + root) / 2)  # the–The, cat–Cat
    assert others == pytest.approx((root + 0) / 2)  # the–Cat, cat–The
    monkeypatch.setattr(window, "FREQUENT", 3)
    assert window.twin_cosines(task, vectors) == (0.0, 0.0)


def test_a_run_that_a_signal_stops_leaves_no_row(run, monkeypatch):
    def stopped(model, *_, valid, progress):
        return History(validations=[Validation(1, 9.0)], stop_signal=15)

    monkeypatch.setattr(window, "fit", stopped)
    with pytest.raises(SystemExit) as stop:
        run("window", *"--orders 2 --seeds 0 --steps 2".split())
    assert stop.value.code == 143

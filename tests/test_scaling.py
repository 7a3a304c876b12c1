"""The scaling law: its fit finds a law that is there, its optimum is one, a run is what it says."""

import json
import math

import numpy as np
import pytest

from benchmarks import scaling as benchmark
from utils.data.corpora import Corpus
from utils.metrics.cost import gpt_parameters
from utils.studies import scaling
from utils.studies.scaling import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    LAYERS,
    CharacterScaling,
    ScalingLaw,
    ScalingRun,
)

LAW = ScalingLaw(E=1.7, A=40.0, alpha=0.5, B=30.0, beta=0.4)
N, D = (x.ravel() for x in np.meshgrid(np.geomspace(2e3, 4e5, 7), np.geomspace(2e4, 6e5, 4)))


def test_the_fit_finds_the_law_that_made_the_losses():
    found = scaling.fit_scaling_law(N, D, LAW.loss(N, D))
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(found, name) == pytest.approx(getattr(LAW, name), rel=0.02), name


def test_the_fit_bears_noise_and_outliers():
    random = np.random.default_rng(0)
    loss = LAW.loss(N, D) * np.exp(random.normal(0, 0.003, len(N)))
    loss[[3, 11]] *= 1.5  # two runs that went wrong
    found = scaling.fit_scaling_law(N, D, loss)
    assert found.loss(2e6, 2e6) == pytest.approx(LAW.loss(2e6, 2e6), rel=0.03)


@pytest.mark.parametrize("compute", [1e9, 1e12, 1e15])
def test_no_other_split_of_the_compute_does_better_than_the_optimum(compute):
    n, d = LAW.optimum(compute)
    assert 6 * n * d == pytest.approx(compute)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert LAW.loss(n * factor, d / factor) > LAW.loss(n, d)


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_runs_are_refused(count):
    with pytest.raises(ValueError, match="6 runs or more"):
        scaling.fit_scaling_law(N[:count], D[:count], np.ones(count))


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="N, D and loss"):
        scaling.fit_scaling_law(N, D[:-1], np.ones(len(N)))


def test_a_run_says_what_was_trained_and_does_so_again():
    text = "to be or not to be, that is the question. " * 40
    runs = CharacterScaling(Corpus("toy", "stand-in", text, text[:300], text[:300]))
    run = runs.train(width=8, steps=30)
    assert run.tokens == 30 * BATCH_SIZE * CONTEXT_LENGTH and run.rate == scaling.learning_rate_for(
        8
    )
    assert run.parameters == gpt_parameters(runs.vocab_size, width=8, layers=LAYERS)
    assert run.loss < math.log(runs.vocab_size) - 0.5
    assert runs.train(width=8, steps=30).loss == run.loss
    assert runs.train(width=8, steps=30, seed=1).loss != run.loss
    assert runs.train(width=8, steps=30, scale=0.5).rate == run.rate / 2


def test_wider_models_learn_at_lower_rates():
    assert scaling.learning_rate_for(192) == pytest.approx(scaling.learning_rate_for(48) / 2)


def test_the_benchmark_writes_its_runs_whole_and_says_where_they_came_from(tmp_path, monkeypatch):
    text = "to be or not to be, that is the question. " * 40
    corpus = Corpus("toy", "stand-in", text, text[:300], text[:300])
    monkeypatch.setattr(benchmark.data, "load_text", lambda: corpus)
    monkeypatch.setattr(benchmark, "TRIAL", 2)
    out = tmp_path / "new" / "scaling.json"
    benchmark.main(["--widths", "8", "--steps", "2", "3", "--seeds", "2", f"--out={out}"])
    found = json.loads(out.read_text())
    assert [(r["tokens"], r["seed"]) for r in found["runs"]] == [
        (steps * BATCH_SIZE * CONTEXT_LENGTH, seed) for steps in (2, 3) for seed in (0, 1)
    ]
    assert found["provenance"]["origin"] == "stand-in" and found["provenance"]["seeds"] == [0, 1]
    assert str(out) not in out.read_text() and list(out.parent.iterdir()) == [out]


def test_the_stored_runs_are_real_and_span_two_orders_of_magnitude():
    found = json.loads((benchmark.ROOT / "book" / "results" / "scaling.json").read_text())
    sizes = sorted({run["parameters"] for run in found["runs"]})
    assert found["provenance"]["origin"] == "real" and found["provenance"]["commit"]
    assert len(sizes) > 6 and sizes[-2] > 100 * sizes[0], "without the largest, which is left out"
    assert len({run["tokens"] for run in found["runs"]}) >= 4
    per_size = [ScalingRun(**run).loss for run in found["runs"]]
    assert all(0.5 < loss < math.log(found["settings"]["vocabulary"]) for loss in per_size)

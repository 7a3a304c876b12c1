"""The scaling law: its fit recovers a law, its optimum is one, a run is what it says."""

import json
import math

import numpy as np
import pytest

from benchmarks import scaling as benchmark
from benchmarks.record import RESULTS
from utils.data.corpora import Corpus
from utils.metrics.cost import gpt_parameters
from utils.studies.scaling import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    LAYERS,
    CharacterScaling,
    ScalingLaw,
    ScalingRun,
    fit_scaling_law,
    learning_rate_for,
)

LAW = ScalingLaw(E=1.7, A=40.0, alpha=0.5, B=30.0, beta=0.4)
PARAMETERS, TOKENS = (
    grid.ravel() for grid in np.meshgrid(np.geomspace(2e3, 4e5, 7), np.geomspace(2e4, 6e5, 4))
)


@pytest.fixture
def toy_corpus():
    text = "to be or not to be, that is the question. " * 40
    return Corpus("toy", "stand-in", text, text[:300], text[:300])


def test_the_fit_finds_the_law_that_made_the_losses():
    law = fit_scaling_law(PARAMETERS, TOKENS, LAW.loss(PARAMETERS, TOKENS))
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(law, name) == pytest.approx(getattr(LAW, name), rel=0.02), name


def test_the_fit_bears_noise_and_outliers():
    rng = np.random.default_rng(0)
    losses = LAW.loss(PARAMETERS, TOKENS) * np.exp(rng.normal(0, 0.003, len(TOKENS)))
    losses[[3, 11]] *= 1.5  # two runs that went wrong
    law = fit_scaling_law(PARAMETERS, TOKENS, losses)
    assert law.loss(2e6, 2e6) == pytest.approx(LAW.loss(2e6, 2e6), rel=0.03)


@pytest.mark.parametrize("compute", [1e9, 1e12, 1e15])
def test_no_other_split_of_the_compute_does_better_than_the_optimum(compute):
    parameters, tokens = LAW.optimum(compute)
    assert 6 * parameters * tokens == pytest.approx(compute)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert LAW.loss(parameters * factor, tokens / factor) > LAW.loss(parameters, tokens)


@pytest.mark.parametrize("count", [0, 5])
def test_too_few_runs_are_refused(count):
    with pytest.raises(ValueError, match="6 runs or more"):
        fit_scaling_law(PARAMETERS[:count], TOKENS[:count], np.ones(count))


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="N, D and loss"):
        fit_scaling_law(PARAMETERS, TOKENS[:-1], np.ones(len(PARAMETERS)))


def test_a_run_says_what_was_trained_and_does_so_again(toy_corpus):
    study = CharacterScaling(toy_corpus)
    run = study.train(8, steps=30)
    assert run.tokens == 30 * BATCH_SIZE * CONTEXT_LENGTH
    assert run.rate == learning_rate_for(8)
    assert run.parameters == gpt_parameters(study.vocab_size, width=8, layers=LAYERS)
    assert run.loss < math.log(study.vocab_size) - 0.5
    assert study.train(8, steps=30).loss == run.loss
    assert study.train(8, steps=30, seed=1).loss != run.loss
    assert study.train(8, steps=30, learning_rate_factor=0.5).rate == run.rate / 2


def test_wider_models_learn_at_lower_rates():
    assert learning_rate_for(192) == pytest.approx(learning_rate_for(48) / 2)


def test_the_benchmark_writes_its_runs_whole_and_says_where_they_came_from(
    tmp_path, monkeypatch, toy_corpus
):
    monkeypatch.setattr(benchmark, "load_text", lambda: toy_corpus)
    out = tmp_path / "new" / "scaling.json"
    options = "--widths 8 --steps 2 3 --seeds 2 --trial-steps 2".split()
    benchmark.main([*options, f"--out={out}"])
    content = json.loads(out.read_text())
    assert [(run["tokens"], run["seed"]) for run in content["runs"]] == [
        (steps * BATCH_SIZE * CONTEXT_LENGTH, seed) for steps in (2, 3) for seed in (0, 1)
    ]
    provenance = content["provenance"]
    assert provenance["origin"] == "stand-in" and provenance["seeds"] == [0, 1]
    assert str(out) not in out.read_text() and list(out.parent.iterdir()) == [out]


def test_the_stored_runs_are_real_and_span_two_orders_of_magnitude():
    content = json.loads((RESULTS / "scaling.json").read_text())
    sizes = sorted({run["parameters"] for run in content["runs"]})
    assert content["provenance"]["origin"] == "real" and content["provenance"]["commit"]
    assert len(sizes) > 6 and sizes[-2] > 100 * sizes[0], "without the largest, which is left out"
    assert len({run["tokens"] for run in content["runs"]}) >= 4
    losses = [ScalingRun(**run).loss for run in content["runs"]]
    assert all(0.5 < loss < math.log(content["settings"]["vocabulary"]) for loss in losses)

"""Runs of the study of scaling: a run is what it says, and the benchmark stores it."""

import json
import math

import pytest

from benchmarks import scaling as benchmark
from benchmarks.record import RESULTS_FOLDER
from utils.data.corpus import Corpus
from utils.metrics.cost import gpt_parameters
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    NUM_LAYERS,
    CharacterScaling,
    ScalingRun,
    learning_rate_for,
)


@pytest.fixture
def toy_corpus():
    text = "to be or not to be, that is the question. " * 40
    return Corpus("toy", "stand-in", text, text[:300], text[:300])


def test_a_run_says_what_was_trained_and_does_so_again(toy_corpus):
    study = CharacterScaling(toy_corpus)
    run = study.train(8, steps=30)
    assert run.num_tokens == 30 * BATCH_SIZE * CONTEXT_LENGTH
    assert run.learning_rate == learning_rate_for(8)
    assert run.num_parameters == gpt_parameters(study.vocab_size, width=8, num_layers=NUM_LAYERS)
    assert run.loss < math.log(study.vocab_size) - 0.5
    assert study.train(8, steps=30).loss == run.loss
    assert study.train(8, steps=30, seed=1).loss != run.loss
    assert study.train(8, steps=30, learning_rate_factor=0.5).learning_rate == run.learning_rate / 2


def test_wider_models_learn_at_lower_rates():
    assert learning_rate_for(192) == pytest.approx(learning_rate_for(48) / 2)


@pytest.mark.parametrize("width", [0, -4, 6, 10, 8.5])
def test_a_width_that_heads_cannot_divide_is_refused(toy_corpus, width):
    with pytest.raises(ValueError, match="width must be a"):
        CharacterScaling(toy_corpus).train(width, steps=1)


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
    content = json.loads((RESULTS_FOLDER / "scaling.json").read_text())
    sizes = sorted({run["parameters"] for run in content["runs"]})
    assert content["provenance"]["origin"] == "real" and content["provenance"]["commit"]
    assert len(sizes) > 6 and sizes[-2] > 100 * sizes[0], "without the largest, which is left out"
    assert len({run["tokens"] for run in content["runs"]}) >= 4
    runs = [ScalingRun.from_stored(run) for run in content["runs"]]
    assert all(0.5 < run.loss < math.log(content["settings"]["vocabulary"]) for run in runs)
    assert [run.stored() for run in runs] == content["runs"]

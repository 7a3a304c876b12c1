"""The benchmark of scaling: its numbers are those of the models that it trains."""

import json
import math
from dataclasses import asdict

import pytest
import torch

from benchmarks.record import RESULTS_FOLDER
from tests.helpers.benchmark_runs import record_calls, window_losses
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer
from utils.models.gpt_cost import gpt_parameters
from utils.studies import scaling_runs
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    EVAL_BATCH_SIZE,
    NUM_LAYERS,
    ScalingRun,
    learning_rate_for,
)


def test_the_command_stores_its_trials_and_runs(run, monkeypatch):
    calls = record_calls(monkeypatch, scaling_runs, "fit")
    content = run("scaling", *"--widths 8 12 --steps 2 3 --seeds 2 --trial-steps 2".split())
    runs, trials = content["runs"], content["learning_rates"]["rows"]
    assert [(run["width"], run["num_tokens"], run["seed"]) for run in runs] == [
        (width, steps * BATCH_SIZE * CONTEXT_LENGTH, seed)
        for width in (8, 12)
        for steps in (2, 3)
        for seed in (0, 1)
    ]
    assert [trial["learning_rate"] for trial in trials] == [
        learning_rate_for(8),
        learning_rate_for(12),
    ]
    provenance = content["provenance"]
    assert provenance["origin"] == "stand-in" and provenance["seeds"] == [0, 1]

    models = [arguments[0] for arguments, _ in calls]
    losses = [loss for trial in trials for loss in trial["losses"]] + [run["loss"] for run in runs]
    rates = [arguments[2].learning_rate for arguments, _ in calls]
    expected = [
        factor * learning_rate_for(width) for width in (8, 12) for factor in (0.5, 1.0, 2.0)
    ]
    assert rates[:6] == expected and rates[6:] == [run["learning_rate"] for run in runs]
    corpus = load_text()
    tokenizer = CharTokenizer.train(corpus.train)
    ids = torch.tensor(tokenizer.encode(corpus.valid))
    for model, loss in zip(models, losses, strict=True):
        by_hand = window_losses(
            model, ids, num_segments=EVAL_BATCH_SIZE, context_length=CONTEXT_LENGTH
        )
        assert loss == pytest.approx(by_hand.mean().item(), abs=2e-5)
    for run_, model in zip(runs, models[-len(runs) :], strict=True):
        expected = gpt_parameters(len(tokenizer), width=run_["width"], num_layers=NUM_LAYERS)
        assert run_["num_parameters"] == expected == sum(p.numel() for p in model.parameters())
    assert content["settings"]["vocab_size"] == len(tokenizer)


def test_the_stored_runs_are_real_and_span_two_orders_of_magnitude():
    content = json.loads((RESULTS_FOLDER / "scaling.json").read_text())
    sizes = sorted({run["num_parameters"] for run in content["runs"]})
    assert content["provenance"]["origin"] == "real" and content["provenance"]["commit"]
    assert len(sizes) > 6 and sizes[-2] > 100 * sizes[0], "without the largest, which is left out"
    assert len({run["num_tokens"] for run in content["runs"]}) >= 4
    runs = [ScalingRun(**run) for run in content["runs"]]
    assert all(0.5 < run.loss < math.log(content["settings"]["vocab_size"]) for run in runs)
    assert [asdict(run) for run in runs] == content["runs"]

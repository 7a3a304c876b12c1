"""The benchmark of the training loop: both loops take the same steps."""

import torch

from benchmarks.loop import MODEL_BUILDERS, train_bare, train_with_fit
from tests.helpers.small_runs import flat_weights, make_model, make_stream
from utils.training.config import TrainConfig


def test_both_loops_end_with_the_same_parameters():
    config = TrainConfig(
        steps=5, learning_rate=1e-2, schedule="constant", warmup_fraction=0.0, clip_norm=1e-3
    )
    weights = []
    for train in (train_bare, train_with_fit):
        model = make_model(dropout=0.0)
        initial = flat_weights(model)
        train(model, make_stream(), config)
        weights.append(flat_weights(model))
    assert torch.allclose(*weights, atol=1e-6)
    assert (weights[0] - initial).norm() > 0.1, "training has changed them"


def test_the_command_stores_a_ratio_of_each_model(run):
    content = run("loop", "--rounds", 2, "--steps", 1)
    assert content["ratios"].keys() == MODEL_BUILDERS.keys()
    for figures in content["ratios"].values():
        low, high = figures["quartiles"]
        assert 0 < low <= figures["median"] <= high and figures["rounds"] == 2
    assert content["provenance"]["command"] == "python -m benchmarks.loop --rounds 2 --steps 1"
    assert content["provenance"]["threads"] == 1 and content["provenance"]["origin"] == "stand-in"

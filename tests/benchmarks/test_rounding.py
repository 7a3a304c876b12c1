"""Rounding of weights: both ways to round, what a step leaves where it is, and the command."""

import pytest
import torch
from torch import nn

from benchmarks import rounding
from benchmarks.rounding import ROUNDINGS, WeightRounding, stochastically, to_nearest


@pytest.fixture
def between():
    """Many copies of numbers of both signs, 1/4 of the way from one bfloat16 to the next."""
    low = torch.tensor([1.0, -1.0, 2.0**-20, -3.0, 0.0])
    high = torch.tensor([1 + 2.0**-7, -1 - 2.0**-7, 2.0**-20 * (1 + 2.0**-7), -3 - 2.0**-6, 0.0])
    return low, high, (low + (high - low) / 4).expand(20_000, 5)


def test_to_nearest_takes_the_nearer_neighbour(between):
    low, _, numbers = between
    assert torch.equal(to_nearest(numbers), low.expand_as(numbers))


def test_stochastic_rounding_takes_both_neighbours_and_is_right_on_average(between):
    low, high, numbers = between
    torch.manual_seed(0)
    rounded = stochastically(numbers)
    assert ((rounded == low) | (rounded == high)).all()
    share = (rounded == high).float().mean(0)
    assert torch.allclose(share[:4], torch.full((4,), 0.25), atol=0.015)


def test_what_is_a_bfloat16_already_stays():
    numbers = torch.randn(1000).bfloat16().float()
    for name, rounding_of in ROUNDINGS.items():
        assert rounding_of is None or torch.equal(rounding_of(numbers), numbers), name


@pytest.mark.parametrize("arm", ROUNDINGS)
def test_weights_that_a_step_did_not_move_are_counted(arm):
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 1.0]]))
        model.bias.fill_(1.0)
    weights = WeightRounding(model, ROUNDINGS[arm])
    with torch.no_grad():
        model.weight[0, 0] += 1.0
        model.weight[0, 1] += 1e-6  # a tiny part of the distance to the next bfloat16
    torch.manual_seed(0)
    weights.after_step()
    weights.after_step()
    first = 1 / 3 if arm == "float32" else 2 / 3
    assert weights.unmoved == pytest.approx([first, 1.0])


def test_the_command_tunes_and_runs_each_arm(run, monkeypatch):
    monkeypatch.setattr(rounding, "STEPS", 2)
    monkeypatch.setattr(rounding, "MEASURED", 700)
    monkeypatch.setattr(rounding, "tune", lambda score, rates: {rates[0]: score(rates[0])})
    rows = run("rounding", "--seeds", 0, 1)["rows"]
    assert {row["arm"] for row in rows if row["part"] == "weights"} == set(ROUNDINGS)
    assert len([row for row in rows if row["part"] == "weights, trials"]) == 2 * len(ROUNDINGS)
    for row in rows:
        assert 1 < row["figures"]["loss"] < 8 and 0 <= row["figures"]["unmoved"] <= 1
        assert row["settings"]["steps"] == 2 and row["costs"]["parameters"] > 1000

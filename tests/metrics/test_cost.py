"""Numbers of parameters and operations, and the time of a call."""

import pytest
import torch
from torch import nn

from utils.metrics import cost
from utils.metrics.cost import count_flops, count_parameters, median_milliseconds

# ---- parameters and operations ------------------------------------------------------------------


def test_a_parameter_that_two_layers_share_counts_once():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    assert count_parameters(model) == 24
    model[1].weight = model[0].weight
    assert count_parameters(model) == 15


def test_frozen_parameters_can_be_left_out():
    model = nn.Linear(3, 3)
    model.bias.requires_grad_(False)
    assert count_parameters(model) == 12
    assert count_parameters(model, trainable_only=True) == 9


def test_a_model_without_parameters_has_none():
    assert count_parameters(nn.Dropout()) == 0


def test_a_matrix_product_takes_two_operations_for_each_multiplication():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7


# ---- time ---------------------------------------------------------------------------------------


def test_the_time_of_a_call_is_the_median_without_the_warmup_calls(monkeypatch):
    now, seconds = [100.0], iter([5.0, 4.0, 0.001, 0.003, 9.0])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: now[0])

    def call():
        now[0] += next(seconds)

    assert abs(median_milliseconds(call, num_repeats=3, num_warmup_calls=2) - 3.0) < 1e-6
    assert next(seconds, None) is None, "two calls to warm up and three to measure"


def test_a_call_without_a_gpu_is_not_synchronized(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: events.append("wait"))
    median_milliseconds(lambda: events.append("call"), num_repeats=2)
    assert events == ["call"] * 3


@pytest.mark.parametrize("backend", ["cuda", "mps"])
def test_a_call_ends_when_the_gpu_has_finished(monkeypatch, backend):
    """What was queued before the first call does not count."""
    events = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: backend == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: backend == "mps")
    monkeypatch.setattr(getattr(torch, backend), "synchronize", lambda: events.append("wait"))
    median_milliseconds(lambda: events.append("call"), num_repeats=2)
    assert events == ["wait", *["call", "wait"] * 3]


def test_a_median_of_no_calls_is_refused():
    with pytest.raises(ValueError, match="num_repeats must be a positive integer, got 0"):
        median_milliseconds(lambda: None, num_repeats=0)


@pytest.mark.parametrize("count", [-1, 1.5])
def test_a_negative_number_of_warmup_calls_is_refused(count):
    message = f"num_warmup_calls must be a non-negative integer, got {count}"
    with pytest.raises(ValueError, match=message):
        median_milliseconds(lambda: None, num_warmup_calls=count)

"""Mixtures of the probabilities of two models."""

import math

import numpy as np
import pytest
import torch

from utils.decoding.interpolation import MIXTURE_WEIGHTS, best_mixture_weight, mix_log_probs


def test_a_mixture_is_the_weighted_mean_of_probabilities():
    a, b = torch.tensor([0.5, 0.001, 1e-300]).double(), torch.tensor([0.1, 0.9, 1e-200]).double()
    for weight in (0.01, 0.3, 0.99):
        mixture = mix_log_probs(a.log(), b.log(), weight)
        assert torch.allclose(mixture.exp(), weight * a + (1 - weight) * b, rtol=1e-12, atol=0)
    small = mix_log_probs(torch.tensor([-2000.0]), torch.tensor([-3000.0]), 0.5)
    assert abs(small.item() + 2000 + math.log(2)) < 1e-3, "far below what exp can hold"


def test_the_best_weight_is_the_one_of_the_highest_mean():
    """One token in four is known to b only, the others to a only: 0.75 is best."""
    known, unknown = math.log(0.8), -50.0
    a, b = torch.tensor([known] * 3 + [unknown]), torch.tensor([unknown] * 3 + [known])
    assert best_mixture_weight(a, b) == 0.75
    assert best_mixture_weight(b, a) == 0.25
    for weights in ([0.1, 0.5, 0.9], np.array([0.1, 0.5, 0.9]), iter([0.1, 0.5, 0.9])):
        assert best_mixture_weight(a, b, weights) == 0.9
    assert best_mixture_weight(a, a - 1) == 0.99 == MIXTURE_WEIGHTS[-1]


@pytest.mark.parametrize("weight", [0, 1, 1.5, -0.1, math.nan])
def test_a_weight_that_is_not_between_0_and_1_is_refused(weight):
    with pytest.raises(ValueError, match="weight must be a number above 0 and below 1"):
        mix_log_probs(torch.zeros(1), torch.zeros(1), weight)


def test_log_probabilities_of_different_shapes_are_refused():
    """Shapes that torch would broadcast to a matrix, of which the mean is a number."""
    for other in (torch.zeros(3, 1), torch.zeros(1), torch.zeros(())):
        for mix in (lambda a, b: mix_log_probs(a, b, 0.5), best_mixture_weight):
            with pytest.raises(ValueError, match="two log-probabilities for each token"):
                mix(torch.zeros(3), other)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_no_weight_is_best_without_a_finite_mean(value):
    broken = torch.tensor([-1.0, value])
    with pytest.raises(ValueError, match="no weight is best"):
        best_mixture_weight(broken, broken)


def test_no_weight_is_best_if_one_model_returns_nan():
    with pytest.raises(ValueError, match="no weight is best"):
        best_mixture_weight(torch.tensor([-1.0, -2.0]), torch.tensor([-1.0, math.nan]))


def test_no_weight_is_best_without_tokens():
    with pytest.raises(ValueError, match="no weight is best"):
        best_mixture_weight(torch.zeros(0), torch.zeros(0))


def test_an_empty_list_of_weights_is_refused():
    with pytest.raises(ValueError, match="weights is empty"):
        best_mixture_weight(torch.tensor([-1.0, -2.0]), torch.tensor([-1.0, -2.0]), [])


def test_a_token_that_one_model_rules_out_does_not_prevent_a_best_weight():
    a, b = torch.tensor([-1.0, -2.0]), torch.tensor([-1.0, -math.inf])
    assert best_mixture_weight(a, b) == 0.99


def test_complex_log_probabilities_are_refused():
    real = torch.tensor([-1.0])
    for pair in ((real, real.to(torch.complex64)), (real.to(torch.complex64), real)):
        with pytest.raises(ValueError, match="not complex ones or integers"):
            mix_log_probs(*pair, 0.5)


@pytest.mark.parametrize("log_probs", [[-1.0], np.array([-1.0]), -1.0])
def test_log_probabilities_that_are_not_tensors_are_refused(log_probs):
    tensor = torch.tensor([-1.0])
    for pair in ((log_probs, tensor), (tensor, log_probs)):
        for call in (lambda a, b: mix_log_probs(a, b, 0.5), best_mixture_weight):
            with pytest.raises(ValueError, match="log-probabilities must be tensors"):
                call(*pair)


def test_no_weight_is_chosen_for_numbers_that_are_not_log_probabilities():
    log_probs, probs = torch.tensor([-1.0, -2.0]), torch.tensor([0.4, 0.1])
    for pair in ((log_probs, probs), (probs, log_probs)):
        with pytest.raises(ValueError, match=r"a log-probability is at most 0, got 0\.4"):
            best_mixture_weight(*pair)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_log_probabilities_that_are_integers_are_refused(dtype):
    """Of uint8, −1 is 255, and the mixture was 254.6."""
    for pair in (
        (torch.ones(1, dtype=dtype), -torch.ones(1)),
        (-torch.ones(1), torch.ones(1).to(dtype)),
    ):
        with pytest.raises(ValueError, match=f"floating-point numbers.*got a tensor of {dtype}"):
            mix_log_probs(*pair, 0.5)


@pytest.mark.parametrize("value", [0.5, math.inf])
def test_a_probability_in_place_of_its_logarithm_is_refused(value):
    for pair in (([value], [-1.0]), ([-1.0], [value])):
        with pytest.raises(ValueError, match="a log-probability is at most 0"):
            mix_log_probs(*map(torch.tensor, pair), 0.5)

"""The expected calibration error and temperature scaling."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from utils.metrics.calibration import expected_calibration_error, fit_temperature

# ---- expected calibration error -----------------------------------------------------------------


def test_the_calibration_error_of_four_predictions_in_two_bins():
    result = expected_calibration_error([0.6, 0.8, 0.3, 0.5], [True, False, True, True], num_bins=2)
    assert result.count.tolist() == [2, 2], "0.5 belongs to the lower bin"
    assert result.confidence == pytest.approx([0.4, 0.7])
    assert result.accuracy == pytest.approx([1.0, 0.5])
    assert result.error == pytest.approx((2 * 0.6 + 2 * 0.2) / 4)


def test_an_overconfident_model_has_a_calibration_error():
    result = expected_calibration_error(torch.ones(8), torch.arange(8) < 6)
    assert result.error == pytest.approx(0.25)
    assert result.count.tolist() == [0] * 14 + [8]


def test_empty_bins_have_neither_confidence_nor_accuracy():
    result = expected_calibration_error(torch.ones(8), torch.arange(8) < 6)
    assert np.isnan(result.accuracy[:14]).all()
    assert np.isnan(result.confidence[:14]).all()


def test_a_calibrated_model_has_no_calibration_error():
    result = expected_calibration_error([0.75] * 8, [1, 1, 1, 0] * 2, num_bins=3)
    assert result.error == pytest.approx(0, abs=1e-12)


def test_the_probability_zero_belongs_to_the_first_bin():
    assert expected_calibration_error([0.0], [False], num_bins=3).count.tolist() == [1, 0, 0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_bound_belongs_to_the_bin_below_it(dtype):
    """All bounds of up to 100 bins: 0.07 · 100 is more than 7, and 0.57 · 100 less than 57."""
    for num_bins in range(1, 101):
        bounds = np.array([m / num_bins for m in range(1, num_bins + 1)], dtype=dtype)
        count = expected_calibration_error(bounds, [True] * num_bins, num_bins=num_bins).count
        assert count.tolist() == [1] * num_bins
    decimals = np.array([float(f"0.{m:02}") for m in range(100)], dtype=dtype)  # 0 is in bin 1 too
    count = expected_calibration_error(decimals, [True] * 100, num_bins=100).count
    assert count.tolist() == [2, *[1] * 98, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_tensor_of_any_precision_and_with_a_gradient_has_a_calibration_error(dtype):
    p = torch.tensor([0.5, 0.75, 0.25, 1.0], dtype=dtype, requires_grad=True)
    is_correct = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=dtype, requires_grad=True)
    expected = expected_calibration_error([0.5, 0.75, 0.25, 1.0], [1, 0, 1, 1], num_bins=4)
    result = expected_calibration_error(p, is_correct, num_bins=4)
    assert result.count.tolist() == expected.count.tolist() == [1, 1, 1, 1]
    assert result.error == expected.error
    bounds = (torch.arange(1, 21, dtype=torch.float64) / 20).to(dtype)
    count = expected_calibration_error(bounds, torch.ones(20), num_bins=20).count
    assert count.tolist() == [1] * 20, "the bounds have the precision of the tensor"


@pytest.mark.parametrize(
    "p, correct, bins, message",
    [
        ([0.5], [True, False], 5, "shapes"),
        ([], [], 5, "shapes"),
        ([[0.5]], [[1]], 5, "shapes"),
        ([1.2], [1], 5, "must be between 0 and 1; 1 are not, the first of them is 1.2"),
        ([math.nan], [1], 5, "must be between 0 and 1; .* is nan"),
        ([0.5, -math.inf, math.nan], [1, 1, 1], 5, "2 are not, the first of them is -inf"),
        ([0.5], [math.nan], 5, "True or False"),
        ([0.5], [2], 5, "True or False"),
        ([0.5], [1], 0, "num_bins must be a positive integer, got 0"),
        ([0.5], [1], 2.5, "num_bins must be a positive integer, got 2.5"),
        ([0.5], [1], math.inf, "num_bins must be a positive integer, got inf"),
        ([0.5 + 0.5j], [1], 5, "probabilities must be real numbers; got an array of complex128"),
        ([0.5], [1 + 0j], 5, "is_correct must be real numbers; got an array of complex128"),
        (torch.tensor([0.5j]), [1], 5, "probabilities must be real numbers"),
        (["0.5"], [1], 5, "probabilities must be real numbers"),
    ],
)
def test_predictions_without_a_calibration_error_are_refused(p, correct, bins, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(p, correct, num_bins=bins)


# ---- temperature scaling ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overconfident():
    """Logits (400, 5) that are twice those of the distribution of their targets (400,)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits = 3 * torch.randn(400, 5)
        return logits, torch.distributions.Categorical(logits=logits / 2).sample()


def test_the_fitted_temperature_minimizes_the_loss(overconfident):
    logits, targets = overconfident
    best = fit_temperature(logits, targets)
    loss = {
        temperature: nn.functional.cross_entropy(logits.double() / temperature, targets)
        for temperature in (best - 1e-3, best, best + 1e-3)
    }
    assert min(loss, key=loss.get) == best
    assert 1.5 < best < 2.5


def test_the_temperature_is_proportional_to_the_logits(overconfident):
    logits, targets = overconfident
    best = fit_temperature(logits, targets)
    assert fit_temperature(4 * logits, targets) == pytest.approx(4 * best)


def test_the_temperature_does_not_depend_on_a_constant_in_each_row(overconfident):
    logits, targets = overconfident
    shift = torch.linspace(-3, 3, 400)[:, None]
    best = fit_temperature(logits, targets)
    assert fit_temperature(logits + shift, targets) == pytest.approx(best, rel=1e-4)


def test_the_temperature_stays_within_its_bounds():
    logits, right = torch.eye(3), torch.arange(3)
    assert fit_temperature(logits, right) == pytest.approx(0.01, rel=0.01)
    assert fit_temperature(logits, right.roll(1)) == pytest.approx(100, rel=0.01)


def test_the_temperature_of_equal_logits_is_one():
    assert fit_temperature(torch.zeros(3, 4), torch.arange(3)) == 1, "any other is as good"


def test_a_class_that_is_ruled_out_does_not_change_the_temperature():
    logits, targets = torch.eye(3), torch.tensor([0, 1, 0])
    ruled_out = torch.cat([logits, torch.full((3, 1), -math.inf)], 1)
    assert fit_temperature(ruled_out, targets) == pytest.approx(fit_temperature(logits, targets))


@pytest.mark.parametrize(
    "logits, targets, message",
    [
        (torch.eye(3), torch.arange(2), "temperature needs"),
        (torch.eye(3)[0], torch.arange(3), "temperature needs"),
        (torch.eye(3)[:0], torch.arange(0), "temperature needs"),
        (torch.eye(3), torch.arange(1, 4), "targets must be classes, integers from 0 to 2"),
        (torch.eye(3), torch.tensor([0.0, 0.5, 1.0]), "targets must be classes"),
        (torch.eye(3), torch.tensor([0j, 1, 2]), "targets must be classes"),
        (
            torch.eye(3),
            torch.tensor([0, 1, 2**63 + 1], dtype=torch.uint64),
            "targets must be classes",
        ),
        (torch.eye(3) * 1j, torch.arange(3), "logits must be real numbers, got torch.complex64"),
    ],
)
def test_a_temperature_needs_one_class_for_each_row_of_logits(logits, targets, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(logits, targets)


@pytest.mark.parametrize(
    "value, row, column",
    [(math.nan, 0, 0), (math.nan, 1, 0), (math.inf, 2, 1), (-math.inf, 1, 1)],
)
def test_logits_without_a_best_temperature_are_refused(value, row, column):
    """NaN, +∞, and a target that is ruled out: its loss is infinite at every temperature."""
    logits = torch.eye(3)
    logits[row, column] = value
    with pytest.raises(ValueError, match=f"logits must be finite.*row {row}, with target {row}"):
        fit_temperature(logits, torch.arange(3))


def test_rows_in_which_every_class_is_ruled_out_are_refused():
    with pytest.raises(ValueError, match="row 0"):
        fit_temperature(torch.full((2, 3), -math.inf), torch.tensor([0, 1]))


def test_logits_and_targets_may_be_lists_or_arrays():
    logits, targets = torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 0.0]]), torch.tensor([0, 0, 1])
    expected = fit_temperature(logits, targets)
    assert fit_temperature(logits.tolist(), targets.tolist()) == expected
    assert fit_temperature(logits.numpy(), targets.numpy()) == expected


@pytest.mark.parametrize("logits", [[[1.0], [2.0, 3.0]], [["a", "b"]], None])
def test_logits_that_are_not_an_array_of_numbers_are_refused(logits):
    with pytest.raises(ValueError, match="logits must be an array of numbers"):
        fit_temperature(logits, [0])


@pytest.mark.parametrize("num_bins", [0, -1, 2.0, True, 10**10])
def test_a_number_of_bins_that_cannot_be_is_refused(num_bins):
    """Ten thousand million bins would fill the memory."""
    with pytest.raises(ValueError, match="num_bins must be a"):
        expected_calibration_error([0.5], [True], num_bins=num_bins)

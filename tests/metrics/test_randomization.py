"""Approximate randomization on any score: exact on few items, near scipy's on many."""

import numpy as np
import pytest
from scipy import stats

from utils.metrics.randomization import randomization_p_value


def mean_of(num_items):
    return lambda total: total[0] / num_items


def test_all_exchanges_of_few_items_are_counted():
    """Ten items, all better by one: of 1024 exchanges two are as extreme."""
    first, second = np.full((10, 1), 2.0), np.full((10, 1), 1.0)
    assert randomization_p_value(first, second, mean_of(10)) == 2 / 1024
    assert randomization_p_value(second, first, mean_of(10)) == 2 / 1024
    assert randomization_p_value(first, first, mean_of(10)) == 1


def test_items_without_a_difference_are_not_exchanged():
    first, second = np.zeros((50, 1)), np.zeros((50, 1))
    first[:3] = 1
    assert randomization_p_value(first, second, mean_of(50), num_trials=8) == 2 / 8


def test_a_p_value_of_random_exchanges_is_near_that_of_scipy():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40, 1))
    second = first + rng.normal(size=(40, 1)) - 0.2
    result = stats.permutation_test(
        (first[:, 0], second[:, 0]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        permutation_type="samples",
        random_state=np.random.default_rng(1),
    )
    p = randomization_p_value(first, second, mean_of(40))
    assert 0.01 < p < 0.99 and p == pytest.approx(result.pvalue, abs=0.03)
    assert p == randomization_p_value(first, second, mean_of(40)), "it is seeded"


def test_differences_within_the_tolerance_are_equal():
    first, second = np.array([[1.0], [0.3]]), np.array([[0.0], [0.3 + 1e-12]])
    assert randomization_p_value(first, second, mean_of(2)) == 1
    assert randomization_p_value(first, second, mean_of(2), tolerance=0) < 1


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64", "int8", "float16", "float32"])
def test_the_type_of_the_statistics_does_not_change_the_p_value(dtype):
    """Unsigned differences would wrap, and those of half precision would be rounded."""
    first, second = np.array([[1, 1, 1, 1, 1, 0], [0, 0, 0, 1, 0, 0]])[:, :, None].astype(dtype)
    assert randomization_p_value(first, second, mean_of(6)) == 2 / 2**4


@pytest.mark.parametrize("value", [2**62, -(2**61), np.uint64(2**64 - 1)])
def test_integers_whose_sums_would_wrap_are_refused(value):
    first, second = np.full((6, 1), value), np.zeros((6, 1), dtype=np.int64)
    with pytest.raises(ValueError, match=r"first has integers up to .* too large to add"):
        randomization_p_value(first, second, mean_of(6))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_not_finite_has_no_p_value(number):
    """No difference would be as large as NaN: the p-value would be 0."""
    first, second = np.ones((6, 1)), np.zeros((6, 1))
    with pytest.raises(ValueError, match=f"statistic must give finite scores, got {number}"):
        randomization_p_value(first, second, lambda total: number)
    first[2] = number
    with pytest.raises(ValueError, match=rf"item 2 of first is not finite: \[{number}\]"):
        randomization_p_value(first, second, mean_of(6))
    with pytest.raises(ValueError, match="second must be real numbers; got an array of <U1"):
        randomization_p_value(second, np.full((6, 1), "a"), mean_of(6))


@pytest.mark.parametrize(
    "first, second, options, message",
    [
        (np.ones((3, 1)), np.ones((2, 1)), {}, r"got \(3, 1\) and \(2, 1\)"),
        (np.ones(3), np.ones(3), {}, "expected two arrays"),
        (np.ones((3, 1)), np.ones((3, 1)), {"num_trials": 0}, "num_trials must be a positive"),
        (np.ones((3, 1)), np.ones((3, 1)), {"tolerance": -1}, "tolerance must be a non-negative"),
    ],
)
def test_wrong_arguments_are_refused(first, second, options, message):
    with pytest.raises(ValueError, match=message):
        randomization_p_value(first, second, mean_of(3), **options)

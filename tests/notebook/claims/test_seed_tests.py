"""Tests on one value for each seed, against scipy's and against known p-values."""

import numpy as np
import pytest
from scipy import stats

from utils.notebook.claims import seed_tests

LOW, HIGH = np.array([1.0, 1.1, 1.2, 1.1]), np.array([2.0, 2.2, 2.1, 2.3])
X = [1, 2, 4]
RISING = np.array([[1.0, 1.1, 1.0, 1.2], [2.0, 2.2, 1.9, 2.1], [4.1, 3.9, 4.2, 4.0]])


def test_the_t_test_is_that_of_paired_samples():
    result, expected = seed_tests.t_test(LOW - HIGH), stats.ttest_rel(LOW, HIGH)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_equivalence_is_the_larger_of_two_one_sided_p_values():
    differences = LOW - HIGH
    result = seed_tests.t_equivalence(differences, 1.5)
    sides = [
        stats.ttest_1samp(differences, margin, alternative=alternative).pvalue
        for margin, alternative in ((-1.5, "greater"), (1.5, "less"))
    ]
    assert result.p == pytest.approx(max(sides))
    expected = stats.ttest_rel(LOW, HIGH).confidence_interval(0.9)
    assert result.interval == pytest.approx(tuple(expected))


def test_the_slope_test_is_a_t_test_of_the_slopes_of_the_seeds():
    slopes = [np.polyfit(X, column, 1)[0] for column in RISING.T]
    result = seed_tests.slope_test(X, RISING)
    assert result.effect == pytest.approx(np.mean(slopes))
    assert result.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue)


def test_pages_test_is_that_of_scipy_in_both_directions():
    expected = stats.page_trend_test(RISING.T).pvalue
    assert seed_tests.page_test(X, RISING, rising=True).p == expected
    falling = seed_tests.page_test(X[::-1], RISING, rising=False)
    assert falling.p == expected and falling.effect == -1


def test_signed_ranks_have_known_p_values():
    """Of 2⁷ assignments of signs, one has the largest sum of ranks and one the smallest."""
    values = np.arange(1.0, 8.0)
    assert seed_tests.wilcoxon_test(values).p == 2 / 2**7
    assert seed_tests.wilcoxon_equivalence(values, 10).p == 1 / 2**7

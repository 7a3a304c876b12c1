"""Tests of claims on one value for each seed, by scipy.

`utils.notebook.claims.evaluation` chooses among them. Each returns a `Comparison`: an effect, its
interval and a p-value. The intervals of differences have the level 95 %, those of equivalence 90 %,
because two one-sided tests at 5 % accept just when the 90 % interval lies inside the margin.

Source: Schuirmann 1987 (two one-sided tests); Page 1963 (ordered alternatives).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from utils.notebook.relative_error import Array

SIGNIFICANCE = 0.05
LEVEL = 1 - SIGNIFICANCE  # of the interval of a difference
EQUIVALENCE_LEVEL = 1 - 2 * SIGNIFICANCE


class Comparison(NamedTuple):
    """The result of a test.

    Parameters
    ----------
    effect
        A difference, a mean or a slope, in the unit of the claim.
    interval
        Its interval; None where the test gives none.
    level
        The level of the interval.
    spread
        The standard deviation over the seeds; None for items.
    p
        The p-value; None where the verdict is that of the interval alone.
    test
        The name of the test.
    """

    effect: float
    interval: tuple[float, float] | None
    level: float
    spread: float | None
    p: float | None
    test: str


def t_test(values: Array, centre: float = 0.0, *, name: str = "paired t test") -> Comparison:
    """Test whether the mean of one value for each seed differs from a number, on two sides.

    Parameters
    ----------
    values
        Differences of two arms, slopes or the values of one arm, of shape (number of seeds,).
    centre
        What the mean is compared with.
    name
        The test's name in the result.

    Returns
    -------
    comparison : Comparison
        The mean, its 95 % interval and the two-sided p-value.
    """
    result = _quietly(stats.ttest_1samp, values, centre)
    return Comparison(
        float(values.mean()), _t_interval(values, LEVEL), LEVEL, _spread(values), _p(result), name
    )


def t_equivalence(values: Array, margin: float) -> Comparison:
    """Test by two one-sided t tests whether the mean of differences lies within ±margin.

    Parameters
    ----------
    values
        The differences of two arms, of shape (number of seeds,).
    margin
        The largest difference that counts as none.

    Returns
    -------
    comparison : Comparison
        The mean, its 90 % interval and the larger of the two p-values.
    """
    lower = _quietly(stats.ttest_1samp, values, -margin, alternative="greater")
    upper = _quietly(stats.ttest_1samp, values, margin, alternative="less")
    interval = _t_interval(values, EQUIVALENCE_LEVEL)
    p, name = max(_p(lower), _p(upper)), "two one-sided paired t tests"
    return Comparison(float(values.mean()), interval, EQUIVALENCE_LEVEL, _spread(values), p, name)


def wilcoxon_test(values: Array, centre: float = 0.0) -> Comparison:
    """Test by signed ranks whether values are symmetric about a number, on two sides.

    Parameters
    ----------
    values
        Differences of two arms, or the values of one arm, of shape (number of seeds,).
    centre
        What they are compared with.

    Returns
    -------
    comparison : Comparison
        The median and the two-sided p-value, without an interval.
    """
    result = _quietly(stats.wilcoxon, values - centre)
    median = float(np.median(values))
    return Comparison(median, None, LEVEL, _spread(values), _p(result), "Wilcoxon signed-rank test")


def wilcoxon_equivalence(values: Array, margin: float) -> Comparison:
    """Test by two one-sided signed-rank tests whether differences lie within ±margin.

    Parameters
    ----------
    values
        The differences of two arms, of shape (number of seeds,).
    margin
        The largest difference that counts as none.

    Returns
    -------
    comparison : Comparison
        The median and the larger of the two p-values, without an interval.
    """
    lower = _quietly(stats.wilcoxon, values + margin, alternative="greater")
    upper = _quietly(stats.wilcoxon, values - margin, alternative="less")
    p, name = max(_p(lower), _p(upper)), "two one-sided Wilcoxon signed-rank tests"
    return Comparison(float(np.median(values)), None, EQUIVALENCE_LEVEL, _spread(values), p, name)


def slope_test(x: Sequence[float], values: Array) -> Comparison:
    """Fit a line to the arms of each seed, and test whether the mean slope differs from zero.

    Parameters
    ----------
    x
        The numbers of the arms.
    values
        One value for each arm and seed, of shape (number of arms, number of seeds).

    Returns
    -------
    comparison : Comparison
        The mean slope, its 95 % interval and the two-sided p-value.
    """
    slopes = np.array([stats.linregress(x, column).slope for column in values.T])  # (seeds,)
    return t_test(slopes, name="t test of the slopes")


def page_test(x: Sequence[float], values: Array, *, rising: bool) -> Comparison:
    """Test by Page's trend test whether the arms of all seeds are ordered as their numbers are.

    Parameters
    ----------
    x
        The numbers of the arms.
    values
        One value for each arm and seed, of shape (number of arms, number of seeds).
    rising
        Whether the values should rise with the numbers, or fall.

    Returns
    -------
    comparison : Comparison
        The mean of the seeds' rank correlations and the one-sided p-value, without an interval.
    """
    order = np.argsort(x)
    ordered = values[order if rising else order[::-1]]
    result = stats.page_trend_test(ordered.T)
    correlations = np.array([_quietly(stats.spearmanr, x, column).statistic for column in values.T])
    correlations = np.nan_to_num(correlations)  # (seeds,); equal values have no order
    name, spread = "Page's trend test", _spread(correlations)
    return Comparison(float(correlations.mean()), None, LEVEL, spread, float(result.pvalue), name)


def _t_interval(values: Array, level: float) -> tuple[float, float]:
    """Return the interval of a mean by Student's t; a point if all values are equal."""
    interval = _quietly(stats.ttest_1samp, values, 0.0).confidence_interval(level)
    mean = float(values.mean())
    low, high = float(interval.low), float(interval.high)
    return (mean, mean) if math.isnan(low) else (low, high)


def _spread(values: Array) -> float:
    """Return the standard deviation of a sample."""
    return float(values.std(ddof=1))


def _p(result: Any) -> float:
    """Return a p-value, which is 1 where all values equal what they are compared with."""
    return 1.0 if math.isnan(result.pvalue) else float(result.pvalue)


def _quietly(test: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a test of scipy without its warnings about values that are all equal."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return test(*arguments, **options)

"""Tests of claims on the items of a test set: approximate randomization, and scipy's bootstrap.

The score of a system may be any function of the sum of its items' statistics: a mean, or a measure
of the whole corpus such as BLEU. `utils.notebook.claims.evaluation` calls the tests.

Source: Riezler and Maxwell 2005 (approximate randomization); Koehn 2004 (bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import stats

from utils.metrics.randomization import randomization_p_value
from utils.notebook.claims.seed_tests import LEVEL, Comparison
from utils.notebook.relative_error import Array

Statistic: TypeAlias = Callable[[Array], float]

NUM_RESAMPLES = 9999  # the smallest p-value of random exchanges is 1 / (NUM_RESAMPLES + 1)
ROUNDING = 1e-12  # relative to the scores; differences this close are equal
BATCH_SIZE = 200  # resamples that are computed at once
RESAMPLING_SEED = 0  # of the bootstrap; the same items give the same p-value


def randomization_test(left: Array, right: Array, statistic: Statistic) -> Comparison:
    """Test by approximate randomization whether two systems differ on the items of a test set.

    Source: ``eq-randomization`` (section 6.1), by `randomization_p_value`.

    Parameters
    ----------
    left, right
        The statistics of each item, of shape (number of items, number of statistics).
    statistic
        Computes the score from the sum of the items' statistics, (number of statistics,).

    Returns
    -------
    comparison : Comparison
        The difference of the scores, its 95 % bootstrap interval and the two-sided p-value.
    """
    scores = statistic(left.sum(0)), statistic(right.sum(0))
    _check_scores(*scores)
    p = randomization_p_value(
        left,
        right,
        statistic,
        num_trials=NUM_RESAMPLES,
        tolerance=ROUNDING * max(map(abs, scores)),
    )
    comparison = bootstrap(left, right, statistic, level=LEVEL)
    return comparison._replace(p=p, test="approximate randomization test")


def bootstrap(
    left: Array, right: Array | None, statistic: Statistic, *, level: float
) -> Comparison:
    """Bootstrap the score of one system, or the difference of two, on the items of a test set.

    Parameters
    ----------
    left
        The statistics of each item, of shape (number of items, number of statistics).
    right
        The statistics of a second system for the same items; None to bootstrap one score.
    statistic
        Computes the score from the sum of the items' statistics, (number of statistics,).
    level
        The level of the interval.

    Returns
    -------
    comparison : Comparison
        The score or the difference, and its percentile interval, without a p-value.
    """

    def score(i: Array, axis: int = -1) -> Array:
        others = 0.0 if right is None else _scores(right, i, statistic, axis)
        return _scores(left, i, statistic, axis) - others

    effect = float(score(np.arange(len(left), dtype=np.float64)))
    _check_scores(effect)
    result = stats.bootstrap(
        (np.arange(len(left)),),
        score,
        vectorized=True,
        batch=BATCH_SIZE,
        confidence_level=level,
        n_resamples=NUM_RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(RESAMPLING_SEED),
    )
    interval = (float(result.confidence_interval.low), float(result.confidence_interval.high))
    return Comparison(effect, interval, level, None, None, "bootstrap of the items")


def _check_scores(*scores: float) -> None:
    """Raise ValueError if a score is not finite."""
    if not np.isfinite(scores).all():
        raise ValueError(f"statistic must give finite scores, got {', '.join(map(str, scores))}")


def _scores(table: Array, indices: Array, statistic: Statistic, axis: int) -> Array:
    """Return the scores of several choices of items, whose numbers lie along the last axis, −1."""
    totals = table[np.asarray(indices, dtype=np.int64)].sum(axis - 1)  # (…, statistics)
    # float: of several scores, NumPy takes the type of the first, to which 0.5 may be the integer 0
    scores: Array = np.apply_along_axis(lambda total: float(statistic(total)), -1, totals)
    _check_scores(*scores[~np.isfinite(scores)][:1])
    return scores

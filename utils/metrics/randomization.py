"""Approximate randomization: whether two systems differ on the items of a test set.

The score of a system may be any function of the sum of its items' statistics: a mean, or a measure
of the whole corpus such as BLEU.

Source: Riezler and Maxwell 2005.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from utils.arguments import check_number, check_positive

_SEED = 12345  # of the coin flips, as in sacrebleu
_TRIALS_AT_ONCE = 1000


def randomization_p_value(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    statistic: Callable[[npt.NDArray[Any]], float],
    *,
    num_trials: int = 10_000,
    tolerance: float = 1e-9,
) -> float:
    """Compute the p-value of the difference between the scores of two systems.

    It is the probability of an absolute difference at least as large as the observed one if a coin
    flip for each item decides whether the systems exchange their results. Only the d items whose
    statistics differ matter. If all 2^d exchanges are at most `num_trials`, each is evaluated and
    the p-value is exact. Otherwise `num_trials` random exchanges are evaluated, and the p-value is
    (c + 1) / (`num_trials` + 1), where c of them gave a difference at least as large. The coin
    flips are seeded.

    Source: ``eq-randomization`` (section 6.1); Riezler and Maxwell 2005.

    Parameters
    ----------
    first, second
        The S statistics of each of the N items for both systems, (N, S).
    statistic
        Computes the score from the sum of the items' statistics, (S,).
    num_trials
        The maximum number of exchanges.
    tolerance
        Differences this close are equal; in the unit of the score.

    Returns
    -------
    p_value : float
        Above 0 and at most 1.

    Raises
    ------
    ValueError
        If the arrays are not of one shape (N, S), hold anything but finite numbers, or integers
        whose sums exceed 64 bits, a score is not finite, `num_trials` is not a positive integer, or
        `tolerance` is not a non-negative number.

    Examples
    --------
    >>> import numpy as np
    >>> from utils.metrics.randomization import randomization_p_value
    >>> is_correct = np.array([[1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]])[:, :, None]
    >>> first, second = is_correct
    >>> randomization_p_value(first, second, lambda total: total[0] / 6)
    0.0625
    """
    check_positive(num_trials=num_trials)
    check_number(minimum=0, tolerance=tolerance)
    first, second = _as_statistics(first, "first"), _as_statistics(second, "second")
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"expected two arrays (N, S), got {first.shape} and {second.shape}")
    exchanged = (second - first)[(first != second).any(1)]  # (d, S), the effect of each exchange
    totals = first.sum(0), second.sum(0)  # (S,) each

    def difference(change: npt.NDArray[Any]) -> float:
        scores = statistic(totals[0] + change), statistic(totals[1] - change)
        if not all(map(math.isfinite, scores)):  # NaN would count as a smaller difference
            raise ValueError(f"statistic must give finite scores, got {scores[0]} and {scores[1]}")
        return abs(scores[0] - scores[1])

    threshold = difference(np.zeros_like(totals[0])) - tolerance
    is_exact = 2 ** len(exchanged) <= num_trials
    trials = 2 ** len(exchanged) if is_exact else num_trials
    rng = np.random.default_rng(_SEED)
    num_as_large = 0
    for start in range(0, trials, _TRIALS_AT_ONCE):
        numbers = np.arange(start, min(start + _TRIALS_AT_ONCE, trials))  # (R,)
        if is_exact:  # the binary digits of each number are the coin flips
            coins = numbers[:, None] >> np.arange(len(exchanged)) & 1  # (R, d)
        else:
            coins = rng.integers(2, size=(len(numbers), len(exchanged)))  # (R, d)
        num_as_large += sum(bool(difference(change) >= threshold) for change in coins @ exchanged)
    return num_as_large / trials if is_exact else (num_as_large + 1) / (trials + 1)


def _as_statistics(table: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Return statistics as int64 or float64, whose sums and differences neither wrap nor round."""
    array = np.asarray(table)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be real numbers; got an array of {array.dtype}")
    if array.dtype.kind in "iu" and array.size:
        largest = max(-int(array.min()), int(array.max()))
        if 4 * len(array) * largest >= 2**63:  # of the sums after all exchanges
            raise ValueError(f"{name} has integers up to {largest}, too large to add: give floats")
    array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    if not np.isfinite(array).all():
        item = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"item {item} of {name} is not finite: {array[item]}")
    return array

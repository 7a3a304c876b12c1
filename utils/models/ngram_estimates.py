"""Estimates of n-gram probabilities from counts: add-k, discounting and Witten–Bell.

Derived in section 2.1; ``utils.models.ngram`` makes models of them. Absolute discounting: Ney,
Essen and Kneser 1994. Witten–Bell: Witten and Bell 1991, in the interpolated form of Chen and
Goodman 1999.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from utils.arguments import check_bool, check_number, if_given
from utils.models.ngram_counts import NGramCounts


class Estimates(NamedTuple):
    """What each n-gram and each context contributes to an interpolated model.

    The probability is that of the longest context h: p(w | h) = ``ngram_probs``(h w) +
    ``lower_order_weights``(h) · p(w | h without its first token), starting from the uniform
    distribution.

    Parameters
    ----------
    ngram_probs
        Item m: for each n-gram of m + 1 tokens the probability that its own count contributes, and
        a last 0 for n-grams that do not occur.
    lower_order_weights
        Item m: for each context of m tokens the weight of the distribution after the context
        without its first token, and a last 1 for contexts that do not occur.
    """

    ngram_probs: list[np.ndarray]
    lower_order_weights: list[np.ndarray]


def add_k_estimates(counts: NGramCounts, k: float, *, order: int) -> Estimates:
    """Estimate by add-k smoothing: (count + k) / (count of the context + k V).

    Only the longest n-grams and the uniform distribution contribute; for sentences, also shorter
    n-grams that start with BOS, where no more tokens precede.

    Source: ``eq-add-k`` (section 2.1).

    Parameters
    ----------
    counts
        The counts of the training text.
    k
        Smoothing constant, added to each count.
    order
        The largest number n of tokens.

    Returns
    -------
    estimates : Estimates
        Probabilities and weights.
    """
    added = k * np.count_nonzero(counts.uniform_probs)
    estimates = Estimates([], [])
    for length in range(1, order + 1):
        total = counts.sum_by_context(counts.raw[length], length) + added
        probs = _divide(counts.raw[length], total[counts.context_indices(length)], empty=0.0)
        weights = _divide(np.full(len(total), added), total, empty=1.0)
        if length < order:  # a shorter context contributes nothing: its weight is 1
            probs = np.where(_is_complete(counts, length), probs, 0.0)
            weights = np.where(_is_complete(counts, length - 1), weights, 1.0)
        estimates.ngram_probs.append(probs)
        estimates.lower_order_weights.append(weights)
    return estimates


def estimate_discounts(counts: np.ndarray, *, modified: bool = False) -> np.ndarray:
    """Estimate the discounts of Kneser–Ney smoothing from how many n-grams have small counts.

    Source: ``eq-discount`` (section 2.1); Ney, Essen and Kneser 1994.

    Parameters
    ----------
    counts
        The counts of all n-grams of one length, (N,).
    modified
        Whether to estimate three discounts, for counts of 1, 2, and 3 or more (Chen and Goodman
        1999).

    Returns
    -------
    discounts : numpy.ndarray
        (4,): what to subtract from a count of 0, 1, 2, and 3 or more; 0.5 where too few n-grams
        give no estimate between 0 and the count.

    Raises
    ------
    ValueError
        If `modified` is neither True nor False.
    """
    check_bool(modified=modified)
    # num_ngrams[c]: how many n-grams have the count c, for c up to 4
    num_ngrams = np.bincount(np.minimum(counts, 5), minlength=6)
    ratio = num_ngrams[1] / max(1, num_ngrams[1] + 2 * num_ngrams[2])
    if not modified:
        return np.full(4, ratio if 0 < ratio < 1 else 0.5) * [0, 1, 1, 1]
    discounts = [0.0]
    for count in (1, 2, 3):
        discount = count - (count + 1) * ratio * num_ngrams[count + 1] / max(1, num_ngrams[count])
        discounts.append(discount if 0 < discount < count else 0.5)
    return np.array(discounts)


def choose_discounts(
    values: Sequence[np.ndarray], discount: float | None, *, modified: bool = False
) -> list[np.ndarray]:
    """Choose the discounts of n-grams of several lengths.

    Parameters
    ----------
    values
        The counts of the n-grams of each length.
    discount
        One discount for all; None to estimate one or three for each length.
    modified
        Whether to estimate three.

    Returns
    -------
    discounts : list of numpy.ndarray
        For each length (4,): what to subtract from a count of 0, 1, 2, and 3 or more.

    Raises
    ------
    ValueError
        For a discount outside (0, 1] or together with `modified`, and if that is neither True nor
        False.
    """
    check_bool(modified=modified)
    if discount is None:
        return [estimate_discounts(counts, modified=modified) for counts in values]
    if modified:
        raise ValueError(f"discount={discount} and modified=True, which estimates the discounts")
    check_number(above=0, maximum=1, **if_given(discount=discount))
    return [np.full(4, discount)] * len(values)


def discounted_estimates(
    counts: NGramCounts, values: Sequence[np.ndarray], discounts: Sequence[np.ndarray]
) -> Estimates:
    """Estimate by subtracting a discount from each count, for the shorter context.

    Source: ``eq-absolute-discounting`` (section 2.1); Ney, Essen and Kneser 1994.

    Parameters
    ----------
    counts
        The counts of the training text.
    values
        Item m: the counts of the n-grams of m + 1 tokens that are to be used, as ``counts.raw``.
    discounts
        Item m: what to subtract from a count of 0, 1, 2, and 3 or more of these n-grams, (4,).

    Returns
    -------
    estimates : Estimates
        Probabilities and weights.

    Raises
    ------
    ValueError
        For a discount below 0, or above the count that it is subtracted from: the result would not
        be a distribution.
    """
    for discount in discounts:
        _check_discounts(discount)
    estimates = Estimates([], [])
    for length, (count, discount) in enumerate(zip(values, discounts, strict=True), start=1):
        subtracted = np.where(count > 0, discount[np.minimum(count, 3)], 0.0)
        total = counts.sum_by_context(count, length)
        total_of_ngram = total[counts.context_indices(length)]
        estimates.ngram_probs.append(_divide(count - subtracted, total_of_ngram, empty=0.0))
        subtracted_total = counts.sum_by_context(subtracted, length)
        estimates.lower_order_weights.append(_divide(subtracted_total, total, empty=1.0))
    return estimates


def witten_bell_estimates(counts: NGramCounts, *, order: int) -> Estimates:
    """Estimate by Witten–Bell smoothing.

    A context followed by c tokens, of which N are distinct, gives the weight N / (c + N) to the
    shorter context: new tokens are expected as often as they occurred in the training text.

    Source: Witten and Bell 1991; Chen and Goodman 1999.

    Parameters
    ----------
    counts
        The counts of the training text.
    order
        The largest number n of tokens.

    Returns
    -------
    estimates : Estimates
        Probabilities and weights.
    """
    estimates = Estimates([], [])
    for length in range(1, order + 1):
        num_distinct = counts.sum_by_context(counts.raw[length] > 0, length)
        total = counts.sum_by_context(counts.raw[length], length) + num_distinct
        total_of_ngram = total[counts.context_indices(length)]
        estimates.ngram_probs.append(_divide(counts.raw[length], total_of_ngram, empty=0.0))
        estimates.lower_order_weights.append(_divide(num_distinct, total, empty=1.0))
    return estimates


def _check_discounts(discounts: np.ndarray) -> None:
    """Raise ValueError unless each discount lies between 0 and its count: 1, 2, or 3 and more."""
    for count, discount in enumerate(discounts[1:], start=1):
        if not 0 <= discount <= count:  # false for NaN as well
            raise ValueError(
                f"the discount for a count of {count} is {discount:.4g}; expected 0 … {count}"
            )


def _is_complete(counts: NGramCounts, length: int) -> np.ndarray:
    """Return whether nothing precedes each n-gram of `length` tokens, as `counts.raw` bool."""
    if length == 0 or not counts.are_sentences:
        return np.zeros(len(counts.keys[length]), dtype=bool)
    return counts.starts_with_bos(length)


def _divide(part: np.ndarray, total: np.ndarray, *, empty: float) -> np.ndarray:
    """Return part / total, and `empty` where the total is 0."""
    quotients: np.ndarray = np.divide(part, total, out=np.full(len(total), empty), where=total > 0)
    return quotients

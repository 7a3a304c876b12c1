"""Estimates of n-gram probabilities: their discounts, and what is left for the shorter context."""

import numpy as np
import pytest

from utils.models.ngram_counts import NGramCounts
from utils.models.ngram_estimates import (
    add_k_estimates,
    choose_discounts,
    discounted_estimates,
    estimate_discounts,
    witten_bell_estimates,
)

V = 9
TEXT = [4, 5, 4, 6, 5, 4, 7, 4, 5, 6, 6, 4, 5, 4, 7]  # 8 never occurs


def test_discounts_from_counts_of_counts():
    counts = np.array([1] * 10 + [2] * 4 + [3] * 2 + [4] * 1 + [9] * 5 + [0])
    y = 10 / (10 + 2 * 4)
    np.testing.assert_allclose(estimate_discounts(counts), [0, y, y, y])
    modified = [0, 1 - 2 * y * 4 / 10, 2 - 3 * y * 2 / 4, 3 - 4 * y * 1 / 2]
    np.testing.assert_allclose(estimate_discounts(counts, modified=True), modified)
    for few in ([], [7, 8], [1], [2, 2]):  # too few to estimate: half a count
        assert estimate_discounts(np.array(few, dtype=int)).tolist() == [0, 0.5, 0.5, 0.5]
        assert estimate_discounts(np.array(few, dtype=int), modified=True)[1:].min() > 0


def test_one_discount_is_for_all_counts_and_none_is_estimated():
    values = [np.array([1, 1, 2, 3]), np.array([1, 2])]
    assert [d.tolist() for d in choose_discounts(values, 0.7)] == [[0.7] * 4] * 2
    for modified in (False, True):
        for found, counts in zip(
            choose_discounts(values, None, modified=modified), values, strict=True
        ):
            assert found.tolist() == estimate_discounts(counts, modified=modified).tolist()
    for discount, modified, message in (
        (0.0, False, "discount must be"),
        (1.5, False, "discount must be"),
        (0.5, True, "discount=0.5 and modified=True"),
    ):
        with pytest.raises(ValueError, match=message):
            choose_discounts(values, discount, modified=modified)


@pytest.mark.parametrize(
    "estimate",
    [
        lambda counts: add_k_estimates(counts, 0.3, order=3),
        lambda counts: witten_bell_estimates(counts, order=3),
        lambda counts: discounted_estimates(counts, counts.raw[1:], [np.full(4, 0.5)] * 3),
    ],
    ids=["add-k", "witten-bell", "discounted"],
)
def test_what_the_n_grams_of_a_context_leave_is_its_weight(estimate):
    counts = NGramCounts(TEXT, order=3, vocab_size=V)
    estimates = estimate(counts)
    assert len(estimates.ngram_probs) == len(estimates.lower_order_weights) == 3
    for length, (p, weights) in enumerate(zip(*estimates, strict=True), start=1):
        occurs = counts.sum_by_context(counts.raw[length], length) > 0
        total = counts.sum_by_context(p, length) + weights
        np.testing.assert_allclose(total[occurs], 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    "discounts", [[0, -0.1, 1, 1], [0, 1.1, 1, 1], [0, 0.5, 2.5, 1], [0, 0.5, 1, np.nan]]
)
def test_a_discount_outside_its_count_is_refused(discounts):
    counts = NGramCounts(TEXT, order=1, vocab_size=V)
    with pytest.raises(ValueError, match="the discount for a count of"):
        discounted_estimates(counts, counts.raw[1:], [np.array(discounts)])


def test_discounts_of_nothing_and_of_the_whole_count_are_allowed():
    counts = NGramCounts(TEXT, order=1, vocab_size=V)
    for discounts, weight in (([0, 0, 0, 0], 0), ([0, 1, 2, 3], None)):
        estimates = discounted_estimates(counts, counts.raw[1:], [np.array(discounts)])
        assert (estimates.ngram_probs[0] >= 0).all()
        assert weight is None or estimates.lower_order_weights[0][0] == weight

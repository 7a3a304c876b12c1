"""Approximate randomization and bootstrap on the items of a test set, against loops."""

import numpy as np
import pytest

from utils.notebook.claims import item_tests

RIGHT = np.random.default_rng(0).integers(1, 9, (200, 2)) @ np.array([[1.0, 1.0], [0.0, 1.0]])
LEFT = RIGHT + np.array([2.0, 3.0])  # numbers of correct and of all parts of each item


def per_cent(total):
    """A measure of a corpus, not a mean over items."""
    return 100 * total[0] / total[1]


DIFFERENCE = per_cent(LEFT.sum(0)) - per_cent(RIGHT.sum(0))


def test_a_p_value_of_items_is_the_share_of_exchanges_at_least_as_extreme():
    """Ten items, all better by one: of 1024 exchanges two are as extreme."""
    left, right = np.full((10, 1), 2.0), np.full((10, 1), 1.0)
    result = item_tests.randomization_test(left, right, lambda total: total[0] / 10)
    assert result.effect == 1 and result.interval == (1, 1)
    assert result.p == 2 / 1024
    assert result.test == "approximate randomization test"


def test_the_bootstrap_resamples_pairs_and_scores_them_as_a_whole():
    result = item_tests.bootstrap(LEFT, RIGHT, per_cent, level=0.95)
    assert result.effect == pytest.approx(DIFFERENCE)
    draws = np.random.default_rng(5).integers(0, 200, (2000, 200))
    by_hand = [per_cent(LEFT[i].sum(0)) - per_cent(RIGHT[i].sum(0)) for i in draws]
    assert result.interval == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=0.3)


def test_randomization_exchanges_pairs_and_scores_them_as_a_whole():
    exchanged = np.random.default_rng(6).integers(0, 2, (1000, 200, 1)).astype(bool)
    extreme = [
        abs(per_cent(np.where(x, LEFT, RIGHT).sum(0)) - per_cent(np.where(x, RIGHT, LEFT).sum(0)))
        >= abs(DIFFERENCE) - 1e-9
        for x in exchanged
    ]
    p = item_tests.randomization_test(LEFT, RIGHT, per_cent).p
    assert p == pytest.approx(np.mean(extreme), abs=0.03)


def test_a_score_that_is_sometimes_an_integer_does_not_make_the_others_integers():
    """NumPy takes the type of several scores from the first: 0.5 became 0 beside the integer 1."""
    items = np.stack([np.repeat([0.0, 1.0], 20), np.ones(40)], 1)

    def share(total):
        return 1 if total[0] == 20 else total[0] / total[1]

    result = item_tests.bootstrap(items, None, share, level=0.95)
    assert result.interval[0] > 0.25


def test_a_score_of_a_resample_that_is_not_finite_is_refused():
    items = np.repeat([0.0, 1.0], 20)[:, None]
    with pytest.raises(ValueError, match="statistic must give finite scores, got nan"):
        item_tests.bootstrap(
            items, None, lambda total: np.nan if total[0] < 15 else total[0], level=0.95
        )

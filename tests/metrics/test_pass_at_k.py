"""pass@k: against all sets of answers, and its limits."""

from itertools import combinations
from statistics import fmean

import pytest

from utils.metrics.pass_at_k import pass_at_k


def test_it_is_the_share_of_sets_with_a_right_answer():
    for num_right in range(6):
        answers = [True] * num_right + [False] * (5 - num_right)
        for k in range(1, 6):
            sets = [any(chosen) for chosen in combinations(answers, k)]
            assert pass_at_k(5, num_right, k) == pytest.approx(fmean(sets)), (num_right, k)


def test_one_answer_has_the_share_of_right_ones():
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)


@pytest.mark.parametrize("numbers", [(0, 0, 1), (4, 5, 1), (4, 1, 5), (4, 1, 0), (4, -1, 1)])
def test_numbers_outside_their_range_are_refused(numbers):
    with pytest.raises(ValueError, match="must be"):
        pass_at_k(*numbers)

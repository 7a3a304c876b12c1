"""Groups of sequences by length, and functions that are applied to one group at a time."""

import math

import numpy as np
import pytest
import torch

from utils.data.grouped_batches import group_by_length, group_by_similar_length, map_groups

LENGTHS = [3, 1, 3, 2, 3, 1]


def test_groups_hold_indices_of_equal_length_short_sequences_first():
    assert group_by_length(LENGTHS, batch_size=2) == [[1, 5], [3], [0, 2], [4]]
    assert group_by_length([], batch_size=2) == []


def test_groups_of_similar_length_are_full_but_the_last():
    assert group_by_similar_length(LENGTHS, batch_size=4) == [[1, 5, 3, 0], [2, 4]]
    assert group_by_similar_length([], batch_size=4) == []


@pytest.mark.parametrize("group", [group_by_length, group_by_similar_length])
def test_a_group_holds_at_least_one(group):
    with pytest.raises(ValueError, match="batch_size must be a positive integer, got 0"):
        group([1], batch_size=0)


def test_results_come_in_the_order_of_the_items():
    calls = []

    def double(items):
        calls.append(items)
        return [2 * item for item in items]

    groups = group_by_length(LENGTHS, batch_size=2)
    assert map_groups(double, [10, 11, 12, 13, 14, 15], groups) == [20, 22, 24, 26, 28, 30]
    assert calls == [[11, 15], [13], [10, 12], [14]]


def test_each_item_of_a_group_has_one_result():
    with pytest.raises(ValueError, match="returned 1 for 2"):
        map_groups(lambda items: items[:1], [10, 11], [[0, 1]])


@pytest.mark.parametrize("group", [group_by_length, group_by_similar_length])
@pytest.mark.parametrize(
    "lengths, message",
    [
        ([3, math.nan], "lengths must be integers; got nan"),
        ([3, 2.0], "lengths must be integers; got 2.0"),
        (["a", "bb"], "lengths must be integers; got 'a'"),
        ("abc", "lengths must be a sequence of integers"),
        (None, "lengths must be a sequence of integers"),
        ([3, -1], "lengths count from 0; got -1"),
    ],
)
def test_what_is_no_length_is_refused(group, lengths, message):
    with pytest.raises(ValueError, match=message):
        group(lengths, batch_size=2)


@pytest.mark.parametrize("group", [group_by_length, group_by_similar_length])
def test_lengths_may_be_arrays_and_tensors(group):
    """Tensors of one number are different keys, so that each text was a batch of its own."""
    for lengths in (torch.tensor(LENGTHS), np.array(LENGTHS), list(torch.tensor(LENGTHS))):
        assert group(lengths, batch_size=2) == group(LENGTHS, batch_size=2)


@pytest.mark.parametrize("groups", [[[0, 1]], [[0, 1], [1, 2]], [[0, 1, 3]], [[0, 1], [-1]]])
def test_each_item_is_in_one_group(groups):
    with pytest.raises(ValueError, match="groups must hold each index from 0 to 2 exactly once"):
        map_groups(list, [10, 11, 12], groups)

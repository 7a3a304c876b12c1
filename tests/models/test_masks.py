"""The mask of a source, the mean over its tokens, and causal masks."""

import pytest
import torch

from utils.models.masks import causal_mask, length_mask, masked_mean, source_mask


def test_the_mask_of_a_source_is_true_at_tokens():
    assert source_mask(torch.tensor([[5, 6, 0], [3, 0, 0]])).tolist() == [
        [True, True, False],
        [True, False, False],
    ]


def test_the_mask_of_lengths_is_true_before_them():
    assert length_mask(torch.tensor([2, 0, 3]), 3).int().tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [1, 1, 1],
    ]


def test_the_mean_is_taken_over_tokens():
    x = torch.arange(12.0).view(2, 3, 2)
    is_token = torch.tensor([[True, True, False], [True, True, True]])
    assert masked_mean(x, is_token).tolist() == [[1.0, 2.0], [8.0, 9.0]]
    x[0, 2] = torch.nan  # where no token is
    assert masked_mean(x, is_token).tolist() == [[1.0, 2.0], [8.0, 9.0]]


def test_causal_masks_equal_their_definition():
    sizes = [(4, 4, None), (2, 5, None), (1, 3, None), (5, 5, 2), (3, 6, 3), (2, 4, 1)]
    for queries, keys, window in sizes:
        mask = causal_mask(queries, keys, window=window)
        for t in range(queries):
            position = keys - queries + t
            for s in range(keys):
                in_window = window is None or position - s < window
                assert mask[t, s] == (s <= position and in_window)
    assert torch.equal(causal_mask(4), causal_mask(4, 4))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"T": 3, "S": 2}, "T=3 is above S=2"),
        ({"T": 3, "window": 0}, "window must be a positive integer.* got 0"),
        ({"T": 3, "window": -1}, "window must be a positive integer.* got -1"),
    ],
)
def test_a_query_that_cannot_attend_to_itself_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        causal_mask(**arguments)


@pytest.mark.parametrize(
    "lengths, S, message",
    [
        ([-1, 2], 3, "lengths must be from 0 to S"),
        ([4, 2], 3, "lengths must be from 0 to S"),
        ([1.5, 2.0], 3, "lengths must be integers"),
        ([[1], [2]], 3, "lengths must be integers"),
        ([1, 2], 3.5, "S must be a non-negative integer, got 3.5"),
    ],
)
def test_lengths_that_rows_cannot_have_are_refused(lengths, S, message):
    with pytest.raises(ValueError, match=message):
        length_mask(torch.tensor(lengths), S)


@pytest.mark.parametrize("sizes", [{"T": 1.5, "S": 3}, {"T": 1, "S": 3.5}, {"T": "1"}])
def test_a_number_of_queries_or_keys_that_is_no_integer_is_refused(sizes):
    with pytest.raises(ValueError, match="must be a non-negative integer, got"):
        causal_mask(**sizes)


@pytest.mark.parametrize("window", [1.5, "2", float("nan")])
def test_a_window_that_is_no_integer_is_refused(window):
    with pytest.raises(ValueError, match="window must be a positive integer"):
        causal_mask(3, window=window)


@pytest.mark.parametrize("is_token", [torch.ones(2, 1), torch.ones(1, 4), torch.ones(2, 3)])
def test_a_mean_needs_a_mask_for_each_position(is_token):
    """The sum over four positions was divided by one."""
    for mask in (is_token.bool(), torch.ones(2, 4)):
        with pytest.raises(ValueError, match=r"is_token must be bool of shape \(2, 4\)"):
            masked_mean(torch.ones(2, 4, 3), mask)


def test_negative_sizes_and_true_are_no_numbers_of_positions():
    for sizes in ({"T": -1}, {"T": -1, "S": 3}, {"T": True}):
        with pytest.raises(ValueError, match="T must be a non-negative integer"):
            causal_mask(**sizes)
    with pytest.raises(ValueError, match="S must be a non-negative integer"):
        length_mask(torch.zeros(0, dtype=torch.long), -1)
    with pytest.raises(ValueError, match="window must be a positive integer"):
        causal_mask(3, window=True)

"""Checks of arguments: messages that name the argument and what it may be."""

import array

import numpy as np
import pytest
import torch

from utils.arguments import as_integers, check_choice, check_positive


@pytest.mark.parametrize("size", [0, -1, 2.0, "2"])
def test_a_size_is_a_positive_whole_number(size):
    check_positive(width=1, num_layers=np.int64(3), feedforward_size=None)
    with pytest.raises(ValueError, match=f"num_heads must be a positive whole number, got {size}"):
        check_positive(width=1, num_heads=size)


def test_a_wrong_choice_is_answered_with_the_valid_ones():
    check_choice("cell", "gru", ["lstm", "gru"])
    with pytest.raises(ValueError, match="cell is 'GRU'; choose from lstm, gru"):
        check_choice("cell", "GRU", {"lstm": 1, "gru": 2})
    with pytest.raises(ValueError, match="order is 4; choose from 1, 2"):
        check_choice("order", 4, iter((1, 2)))


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        (1, 2),
        range(1, 3),
        iter([1, 2]),
        np.array([1, 2], dtype=np.uint8),
        torch.tensor([1, 2]),
        [np.int32(1), torch.tensor(2)],
        array.array("H", [1, 2]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_whole_numbers_of_any_kind_become_integers(values):
    integers = as_integers(values)
    assert integers == [1, 2] and {type(integer) for integer in integers} == {int}


@pytest.mark.parametrize(
    "values, message",
    [
        ([1, 2.0], "ages are whole numbers; got 2.0"),
        ([1, True], "ages are whole numbers; got True"),
        ([1, float("nan")], "ages are whole numbers; got nan"),
        ([1, "2"], "ages are whole numbers; got '2'"),
        ([1, None], "ages are whole numbers; got None"),
        ([[1], [2]], r"ages are whole numbers; got \[1\]"),
        ([np.float32(2)], "ages are whole numbers; got 2.0"),
        ([np.bool_(True)], "ages are whole numbers; got True"),
        ([torch.tensor(2.5)], "ages are whole numbers; got 2.5"),
        (np.array([1.5]), "ages are whole numbers; got 1.5"),
        (torch.tensor([True]), "ages are whole numbers; got True"),
        (torch.tensor([[1, 2]]), r"ages are whole numbers; got \[1, 2\]"),
        ("12", "ages are a sequence of whole numbers; got '12'"),
        (12, "ages are a sequence of whole numbers; got 12"),
        (torch.tensor(12), "got the one number 12"),
    ],
)
def test_what_is_no_whole_number_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        as_integers(values, name="ages")

"""Conversions: numbers and integers of any kind become Python's own, and others are refused."""

import array
import math

import numpy as np
import pytest
import torch

from utils.conversions import as_finite_number, as_integers


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
def test_integers_of_any_kind_become_those_of_python(values):
    integers = as_integers(values)
    assert integers == [1, 2] and {type(integer) for integer in integers} == {int}


@pytest.mark.parametrize(
    "values, message",
    [
        ([1, 2.0], "ages must be integers; got 2.0"),
        ([1, True], "ages must be integers; got True"),
        ([1, float("nan")], "ages must be integers; got nan"),
        ([1, "2"], "ages must be integers; got '2'"),
        ([1, None], "ages must be integers; got None"),
        ([[1], [2]], r"ages must be integers; got \[1\]"),
        ([np.float32(2)], "ages must be integers; got 2.0"),
        ([np.bool_(True)], "ages must be integers; got True"),
        ([torch.tensor(2.5)], "ages must be integers; got 2.5"),
        (np.array([1.5]), "ages must be integers; got 1.5"),
        (torch.tensor([True]), "ages must be integers; got True"),
        (torch.tensor([[1, 2]]), r"ages must be integers; got \[1, 2\]"),
        ("12", "ages must be a sequence of integers; got '12'"),
        (12, "ages must be a sequence of integers; got 12"),
        (torch.tensor(12), "got the single number 12"),
    ],
)
def test_what_is_not_an_integer_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        as_integers(values, name="ages")


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2), torch.tensor([[2.0]])])
def test_a_number_of_any_kind_becomes_a_float(value):
    number = as_finite_number(value, name="loss")
    assert number == 2 and type(number) is float


@pytest.mark.parametrize(
    "value, message",
    [
        ("2", "loss is '2'; expected one finite number"),
        (b"2", "loss is b'2'; expected one finite number"),
        (True, "loss is True; expected one finite number"),
        (None, "loss is None; expected one finite number"),
        (torch.ones(2), r"loss is tensor\(\[1., 1.\]\); expected one finite number"),
        (10**400, "loss is 10+; expected one finite number"),
        (math.nan, "loss is nan; expected a finite number"),
        (-math.inf, "loss is -inf; expected a finite number"),
    ],
)
def test_what_is_not_one_finite_number_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        as_finite_number(value, name="loss")

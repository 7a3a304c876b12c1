"""Checks of arguments: messages that name the argument and what it may be."""

import numpy as np
import pytest

from utils.arguments import check_choice, check_positive


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

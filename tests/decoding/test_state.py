"""Operations on states: any tree of tensors, its form and types preserved."""

from typing import NamedTuple

import pytest
import torch

from utils.decoding.state import map_tensors, select_rows


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor | None = None


def test_rows_are_selected_in_any_tree():
    rows, x = torch.tensor([2, 0]), torch.arange(6.0).view(3, 2)
    state = {"a": [x, None], "b": (x + 1, {"c": x.long()}), "d": Pair(x, None)}
    selected = select_rows(state, rows)
    assert torch.equal(selected["a"][0], x[[2, 0]]) and selected["a"][1] is None
    assert type(selected["b"]) is tuple and torch.equal(selected["b"][0], x[[2, 0]] + 1)
    assert torch.equal(selected["b"][1]["c"], x.long()[[2, 0]])
    assert type(selected["d"]) is Pair and torch.equal(selected["d"].first, x[[2, 0]])
    assert selected["d"].second is None and select_rows(None, rows) is None
    assert torch.equal(select_rows(x, torch.tensor([1, 1, 1, 0])), x[[1, 1, 1, 0]])


@pytest.mark.parametrize("state, name", [({"a": 3}, "int"), ([1.5], "float"), ("text", "str")])
def test_what_is_no_tree_of_tensors_is_refused(state, name):
    with pytest.raises(TypeError, match=f"a tree of tensors; this one holds a {name}"):
        select_rows(state, torch.tensor([0]))


def test_three_trees_are_combined():
    x = torch.arange(3.0)
    trees = [{"a": (x + i, None), "b": Pair(x * i)} for i in (1, 2, 3)]
    result = map_tensors(lambda one, two, three: one + 10 * two + 100 * three, *trees)
    assert torch.equal(result["a"][0], (x + 1) + 10 * (x + 2) + 100 * (x + 3))
    assert torch.equal(result["b"].first, 321 * x) and result["b"].second is None


def test_a_function_is_applied_to_tensors_at_the_same_position_of_several_trees():
    x = torch.arange(3.0)
    one, other = {"a": [x, None], "b": (x,)}, {"b": (x + 2,), "a": [10 * x, None]}
    result = map_tensors(torch.add, one, other)
    assert torch.equal(result["a"][0], 11 * x) and torch.equal(result["b"][0], 2 * x + 2)
    assert result["a"][1] is None and isinstance(result["b"], tuple)
    pairs = map_tensors(torch.sub, Pair(x, x), Pair(x, 3 * x))
    assert type(pairs) is Pair and torch.equal(pairs.second, -2 * x)
    for other in ([x], [x, x, x]):
        with pytest.raises(ValueError, match=r"shorter|longer"):
            map_tensors(torch.add, [x, x], other)

"""Operations on states: any tree of tensors, its structure and types preserved."""

from collections import OrderedDict, defaultdict, namedtuple
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch

from tests.helpers.tiny_models import state_types
from utils.decoding.model_state import check_batch_size, map_tensors, select_rows
from utils.states import Memory


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor | None = None


def test_rows_are_selected_in_a_nested_tree():
    rows, x = torch.tensor([2, 0]), torch.arange(6.0).view(3, 2)
    state = {"a": [x, None], "b": (x + 1, {"c": x.long()})}
    selected = select_rows(state, rows)
    assert torch.equal(selected["a"][0], x[[2, 0]])
    assert selected["a"][1] is None
    assert torch.equal(selected["b"][0], x[[2, 0]] + 1)
    assert torch.equal(selected["b"][1]["c"], x.long()[[2, 0]])


def test_rows_are_selected_in_a_named_tuple():
    x = torch.arange(6.0).view(3, 2)
    selected = select_rows(Pair(x, None), torch.tensor([2, 0]))
    assert type(selected) is Pair
    assert torch.equal(selected.first, x[[2, 0]])
    assert selected.second is None


def test_a_row_may_be_selected_several_times():
    x = torch.arange(6.0).view(3, 2)
    assert torch.equal(select_rows(x, torch.tensor([1, 1, 1, 0])), x[[1, 1, 1, 0]])


def test_rows_of_no_state_are_none():
    assert select_rows(None, torch.tensor([2, 0])) is None


@pytest.mark.parametrize(
    "state, name",
    [
        ({"a": 3}, "int"),
        ([1.5], "float"),
        ("text", "str"),
        (MappingProxyType({}), "mappingproxy"),
        (Memory(torch.zeros(1, 1, 1), torch.ones(1, 1), torch.zeros(1, 1)), "Memory"),
    ],
)
def test_a_state_that_is_not_a_tree_of_tensors_is_refused(state, name):
    with pytest.raises(TypeError, match=f"a tree of tensors; this one holds a {name}, where only"):
        select_rows(state, torch.tensor([0]))


def test_three_trees_are_combined():
    x = torch.arange(3.0)
    trees = [{"a": (x + i, None), "b": Pair(x * i)} for i in (1, 2, 3)]
    result = map_tensors(lambda one, two, three: one + 10 * two + 100 * three, *trees)
    assert torch.equal(result["a"][0], (x + 1) + 10 * (x + 2) + 100 * (x + 3))
    assert torch.equal(result["b"].first, 321 * x)
    assert result["b"].second is None


def test_two_dicts_are_combined_by_key():
    x = torch.arange(3.0)
    one, other = {"a": [x, None], "b": (x,)}, {"b": (x + 2,), "a": [10 * x, None]}
    result = map_tensors(torch.add, one, other)
    assert torch.equal(result["a"][0], 11 * x)
    assert torch.equal(result["b"][0], 2 * x + 2)
    assert result["a"][1] is None
    assert isinstance(result["b"], tuple)


def test_two_named_tuples_are_combined():
    x = torch.arange(3.0)
    pairs = map_tensors(torch.sub, Pair(x, x), Pair(x, 3 * x))
    assert type(pairs) is Pair
    assert torch.equal(pairs.second, -2 * x)


@pytest.mark.parametrize("length", [1, 3])
def test_lists_of_different_lengths_are_refused(length):
    x = torch.arange(3.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        map_tensors(torch.add, [x, x], [x] * length)


class Defaulted(NamedTuple):
    first: torch.Tensor
    rest: tuple[torch.Tensor, ...] = ()


class Checked(Pair):
    """A class derived from a named tuple, whose constructor takes something else."""

    def __new__(cls, size):
        return super().__new__(cls, torch.zeros(size, 2), torch.ones(size))


class OnlyList(list[Any]):
    pass


def trees_of_every_kind():
    x = torch.arange(6.0).view(3, 2)
    return [
        Pair(x, x + 1),
        Defaulted(x),
        Defaulted(x, (x, x + 1)),
        Checked(3),
        namedtuple("Untyped", "a b")(x, [x]),
        Pair(Pair(x, None), {"a": (Defaulted(x),)}),
        torch.return_types.max((x, x.long())),
        OrderedDict(b=x, a=None),
        defaultdict(list, b=x),
        OnlyList([x, (), None]),
    ]


@pytest.mark.parametrize("i", range(10))
def test_named_tuples_dicts_and_lists_of_every_kind_keep_their_types(i):
    state = trees_of_every_kind()[i]
    selected = select_rows(state, torch.tensor([2, 2, 0, 1]))
    assert state_types(selected) == state_types(state)
    pairs = []
    map_tensors(lambda *pair: pairs.append(pair) or pair[0], selected, state)
    assert pairs
    assert all(torch.equal(tensor, whole[[2, 2, 0, 1]]) for tensor, whole in pairs)
    if isinstance(state, dict):
        assert list(selected) == list(state)
    if isinstance(state, defaultdict):
        assert selected.default_factory is list


@pytest.mark.parametrize(
    "one, other",
    [
        (None, torch.zeros(2)),
        (torch.zeros(2), None),
        (torch.zeros(2), [torch.zeros(2)]),
        ([torch.zeros(2)], torch.zeros(1, 2)),
        ([torch.zeros(2)], {"a": torch.zeros(2)}),
        ({"a": torch.zeros(2)}, {"b": torch.zeros(2)}),
        ({"a": torch.zeros(2)}, {"a": torch.zeros(2), "b": torch.zeros(2)}),
        ({"a": torch.zeros(2)}, [torch.zeros(2)]),
    ],
)
def test_trees_of_different_structures_are_refused(one, other):
    with pytest.raises(ValueError, match="the states differ in structure"):
        map_tensors(torch.add, one, other)


def test_a_state_of_the_same_batch_is_accepted():
    x = torch.zeros(3, 2)
    check_batch_size({"a": (x, None), "b": Pair(x)}, 3)
    check_batch_size(None, 7)


@pytest.mark.parametrize(
    "state",
    [(torch.zeros(3, 2), torch.zeros(1, 2)), {"a": torch.zeros(3, 2), "b": torch.tensor(3.0)}],
    ids=["one row", "no rows"],
)
def test_a_state_of_another_batch_is_refused_with_both_sizes(state):
    with pytest.raises(ValueError, match=r"a tensor of shape \(.*\), and the prompt 3 rows"):
        check_batch_size(state, 3)

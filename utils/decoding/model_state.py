"""Operations on a model's state that need not know the model.

A state is a tree: named tuples, tuples, lists and dicts, nested in any way, whose leaves are
tensors with the batch as first dimension, or None. Decoding uses these functions to drop rows that
have ended and to let several hypotheses continue one parent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from utils.contract import StateT
from utils.states import State


def map_tensors(
    function: Callable[..., torch.Tensor], state: StateT, *other_states: StateT
) -> StateT:
    """Apply a function to each tensor of a state, and to those at its position in other states.

    Parameters
    ----------
    function
        Called with one tensor of each state; returns the tensor that replaces them.
    state
        A tree of tensors and None.
    *other_states
        Trees of the same structure.

    Returns
    -------
    new_state : State
        A tree of the same structure and types; None stays None.

    Raises
    ------
    TypeError
        If the tree holds anything but tensors, None, named tuples, tuples, lists and dicts.
    ValueError
        If the states differ in structure: a tensor or None in one where another has a tree,
        different keys, or a different number of items.
    """
    new_state: StateT = _map_tree(function, state, *other_states)
    return new_state


def select_rows(state: StateT, rows: torch.Tensor) -> StateT:
    """Select rows of the batch, in the given order, from each tensor of a state.

    Parameters
    ----------
    state
        A tree of tensors and None.
    rows
        Indices of R rows, (R,) int64; a row may occur several times.

    Returns
    -------
    new_state : StateT
        A state with R rows, of the same type.

    Raises
    ------
    TypeError
        If the state holds anything but tensors, None, named tuples, tuples, lists and dicts.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.model_state import select_rows
    >>> state = (torch.tensor([[10], [20], [30]]), None)
    >>> select_rows(state, torch.tensor([2, 2, 0]))
    (tensor([[30],
            [30],
            [10]]), None)
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), state)


def check_batch_size(state: State, B: int) -> None:
    """Check that all tensors of a state have B rows.

    Raises
    ------
    TypeError
        If the state holds anything but tensors, None, named tuples, tuples, lists and dicts.
    ValueError
        If a tensor has a different number of rows.
    """

    def check(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dim() == 0 or len(tensor) != B:
            raise ValueError(
                f"the state has a tensor of shape {tuple(tensor.shape)}, and the prompt {B} rows: "
                "both need the same batch; select_rows() selects and repeats rows of a state"
            )
        return tensor

    map_tensors(check, state)


def _map_tree(function: Callable[..., torch.Tensor], state: Any, *others: Any) -> Any:
    """Compute the result of `map_tensors`, in which each part keeps its type."""
    if state is None or isinstance(state, torch.Tensor):
        if any(isinstance(other, torch.Tensor) != (state is not None) for other in others):
            raise ValueError(
                "the states differ in structure: one has a tensor where another has none"
            )
        return None if state is None else function(state, *others)
    if isinstance(state, dict):
        return _map_dict(function, state, *others)
    if isinstance(state, (list, tuple)):
        if any(not isinstance(other, (list, tuple)) for other in others):
            raise ValueError(
                "the states differ in structure: one has a list where another has none"
            )
        items = [_map_tree(function, *parts) for parts in zip(state, *others, strict=True)]
        # a class derived from a named tuple may have a constructor with other parameters
        return state._make(items) if hasattr(state, "_make") else type(state)(items)
    raise TypeError(
        f"a state is a tree of tensors; this one holds a {type(state).__name__}, where only "
        "tensors, None, named tuples, tuples, lists and dicts may be"
    )


def _map_dict(
    function: Callable[..., torch.Tensor], state: dict[Any, Any], *others: Any
) -> dict[Any, Any]:
    """Apply a function to each tensor of a dict, keeping its type and the order of its keys."""
    if any(not isinstance(other, dict) or other.keys() != state.keys() for other in others):
        raise ValueError(f"the states differ in structure: not all are dicts of {list(state)}")
    new_state = copy.copy(state)
    for key, value in state.items():
        new_state[key] = _map_tree(function, value, *(other[key] for other in others))
    return new_state

"""Operations on a model's state that need not know the model.

A state is a tree: named tuples, tuples, lists and dicts, nested in any way, whose leaves are
tensors with the batch as first dimension, or None. Search (``utils.decoding.search``) uses these
functions to drop rows that have ended and to let several hypotheses continue one parent.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from utils.models.contract import State


def map_tensors(function: Callable[..., torch.Tensor], state: State, *other_states: State) -> State:
    """Apply a function to each tensor of a state, and to those at its position in other states.

    Parameters
    ----------
    function
        Called with one tensor of each state; returns the tensor that takes their position.
    state
        A tree of tensors and None.
    *other_states
        Trees of the same form.

    Returns
    -------
    new_state : State
        A tree of the same form and types; None stays None.

    Raises
    ------
    TypeError
        If the tree holds anything but tensors, None, named tuples, tuples, lists and dicts.
    """
    if state is None:
        return None
    if isinstance(state, torch.Tensor):
        return function(state, *other_states)
    if isinstance(state, dict):
        return {
            key: map_tensors(function, value, *(other[key] for other in other_states))
            for key, value in state.items()
        }
    if isinstance(state, (list, tuple)):
        items = [map_tensors(function, *parts) for parts in zip(state, *other_states, strict=True)]
        is_named_tuple = hasattr(state, "_fields")
        return type(state)(*items) if is_named_tuple else type(state)(items)
    raise TypeError(f"a state is a tree of tensors; this one holds a {type(state).__name__}")


def select_rows(state: State, rows: torch.Tensor) -> State:
    """Select rows of the batch, in a given order, from each tensor of a state.

    Parameters
    ----------
    state
        A tree of tensors and None.
    rows
        Indices of R rows, (R,) int64; a row may occur several times.

    Returns
    -------
    new_state : State
        A state with R rows.

    Raises
    ------
    TypeError
        If the state holds anything but tensors, None, named tuples, tuples, lists and dicts.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), state)

"""What models hand on from call to call: their states, and what an encoder makes of a source.

A state is any tree of tensors; here are the state of an LSTM, which several models share, and the
memories of encoders. The states of other models stand beside the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch

from utils.torch_internals import register_named_tuple

State: TypeAlias = "torch.Tensor | tuple[State, ...] | list[Any] | dict[Any, Any] | None"
"""The state of a model between calls: a tree (named tuples, tuples, lists, dicts) of tensors with
the batch first, or None. ``utils.decoding.model_state`` reorders it without knowing the model."""

NodeT = TypeVar("NodeT")


def register_state(state_type: type[NodeT]) -> type[NodeT]:
    """Register a state or a memory as a node of torch's trees, under its full name.

    A state is a named tuple, whose rows ``utils.decoding.model_state`` selects; a memory, of which
    decoding selects none, is a dataclass.

    An exported model can then take and return it, and can be saved. Use it as a decorator.
    """
    name = f"{state_type.__module__}.{state_type.__qualname__}"
    if issubclass(state_type, tuple):
        register_named_tuple(state_type, name=name)
    else:
        torch.export.register_dataclass(state_type, serialized_type_name=name)
    return state_type


@register_state
class LSTMState(NamedTuple):
    """The state of an LSTM.

    Parameters
    ----------
    hidden
        The hidden state h of each layer, (B, layers, D).
    cell_state
        The cell state c of each layer, (B, layers, D).
    """

    hidden: torch.Tensor
    cell_state: torch.Tensor


@register_state
@dataclass(frozen=True)
class Memory:
    """The output of an encoder, from which a decoder starts.

    Parameters
    ----------
    states
        The encoder's outputs, (B, S, D): one vector for each source token, or for each step of
        audio. They are called states as in the literature; a `State` is something else.
    is_token
        True where the source has a token or a step of audio, False where it is padded, (B, S) bool.
    vector
        One vector for the whole source, (B, D).
    """

    states: torch.Tensor
    is_token: torch.Tensor
    vector: torch.Tensor


@register_state
@dataclass(frozen=True)
class RecurrentMemory(Memory):
    """The output of an LSTM encoder: a `Memory`, and the state in which the LSTM ends.

    A decoder that starts from exactly that state needs it (section 5.2); all others treat it like
    any `Memory`.

    Parameters
    ----------
    states, is_token, vector
        As in `Memory`.
    final_state
        The state of the LSTM after the last token of each source.
    """

    final_state: LSTMState

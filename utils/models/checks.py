"""Checks of a model's inputs: token ids, a state, an encoder's memory, values in tensors.

A model that is compiled or exported becomes a graph, in which Python code cannot read values.
There, a check of values becomes part of the graph: a wrong value raises a RuntimeError with the
same message when the graph runs. Tensors on the meta device have no values, and are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch

from utils.states import LSTMState, Memory, State
from utils.torch_internals import assert_when_run

BATCH = "B"
"""The number of rows of a batch, in the shape of a `TensorForm`."""


class TensorForm(NamedTuple):
    """What a state's tensor must look like.

    Parameters
    ----------
    shape
        Its shape, where `BATCH` stands for the number of rows and None for any size.
    dtype
        Its type; None for the type of the model's parameters.
    """

    shape: tuple[int | str | None, ...]
    dtype: torch.dtype | None = None


class OptionalForm(NamedTuple):
    """A part of a state that may be None.

    Parameters
    ----------
    form
        Its form if it is not None.
    """

    form: Form


class TupleForm(NamedTuple):
    """The form of a named tuple.

    Parameters
    ----------
    tuple_type
        Its type. In place of an `LSTMState` a state may have a plain pair, as torch's LSTM returns
        it.
    parts
        The forms of its fields, in their order.
    """

    tuple_type: type[Any]
    parts: tuple[Form, ...]


Form: TypeAlias = "TensorForm | OptionalForm | TupleForm | tuple[Form, ...] | None"
"""What a part of a state must look like: a tree of the forms above, of plain tuples, and None."""


def has_values(tensor: torch.Tensor) -> bool:
    """Return whether Python code can read the values of `tensor` now."""
    return not (tensor.is_meta or torch.compiler.is_compiling())


def is_all_true(mask: torch.Tensor) -> bool:
    """Return whether all elements of a mask are known to be True; False in a compiled graph."""
    return has_values(mask) and bool(mask.all())


def check_values(is_right: torch.Tensor, message: str) -> None:
    """Check a condition on the values of tensors, one bool.

    Raises
    ------
    ValueError
        With `message`, if the condition is False.
    """
    if has_values(is_right):
        if not is_right:
            raise ValueError(message)
    elif not is_right.is_meta:
        assert_when_run(is_right, message)


def check_id_tensor(ids: torch.Tensor) -> None:
    """Check that token ids are (B, T) int64 or int32, the types that an embedding reads.

    Raises
    ------
    ValueError
        If `ids` is not a tensor, or its dtype or number of dimensions differs.
    """
    if not isinstance(ids, torch.Tensor):
        raise ValueError(
            f"ids must be a tensor (B, T), got {type(ids).__name__}: use torch.tensor(ids)"
        )
    if ids.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"ids must be integers of type int64 or int32; got {ids.dtype}")
    if ids.dim() != 2:
        raise ValueError(
            f"ids must be a batch (B, T); got the shape {tuple(ids.shape)}: ids[None] makes a "
            "batch of one text"
        )


def check_call(model: Any, ids: torch.Tensor, state: State, form: Form) -> None:
    """Check the arguments of a model's call: ids, and a state of this model and this batch.

    Parameters
    ----------
    model
        The model; outside autocast, its state has the dtype of its `embedding`.
    ids
        Tokens, (B, T) int64 or int32.
    state
        The state before them.
    form
        What the state must look like.

    Raises
    ------
    ValueError
        If the ids are not such integers, or a part of the state is not as in `form`; the message
        names the first such part.
    """
    check_id_tensor(ids)
    weight = model.embedding.weight
    device = weight.device.type
    casts = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    dtype = None if casts else weight.dtype
    difference = _Comparison(ids.shape[0], dtype).difference(state, form)
    if difference:
        raise ValueError(
            f"this is not a state of this {type(model).__name__} and this batch: {difference}; "
            "pass the state that the model returned, at first that of begin() if it has one, for "
            "the same rows and in the model's dtype"
        )


def check_memory(
    memory: Memory, *, width: int, parts: Sequence[str] = ("states", "vector")
) -> None:
    """Check that a decoder can read an encoder's memory.

    Parameters
    ----------
    memory
        The encoder's output.
    width
        Length D of its vectors that the decoder needs.
    parts
        The parts of the memory that the decoder reads.

    Raises
    ------
    ValueError
        If `memory` is not a `Memory`, or a part has vectors of a length other than `width`.
    """
    if not isinstance(memory, Memory):
        raise ValueError(
            f"a decoder begins with the Memory of an encoder; got a {type(memory).__name__}"
        )
    for name in parts:
        size = getattr(memory, name).shape[-1]
        if size != width:
            raise ValueError(
                f"the decoder reads vectors of length {width}, but the encoder's {name} have "
                f"length {size}: build both with the same width"
            )


class _Comparison(NamedTuple):
    """What a state is compared with: the batch size B, and the dtype of the model."""

    batch_size: int
    dtype: torch.dtype | None  # None if any floating-point type is right

    def difference(self, state: Any, form: Form, path: str = "") -> str:
        """Return how a part of a state, at `path`, differs from its form; "" if it does not."""
        if isinstance(form, OptionalForm):
            return "" if state is None else self.difference(state, form.form, path)
        if isinstance(form, TensorForm):
            return self._tensor_difference(state, form, path)
        if form is None:
            return "" if state is None else f"expected None{_at(path)}, got {_describe(state)}"
        tuple_type, parts = form if isinstance(form, TupleForm) else (tuple, form)
        types = (tuple, LSTMState) if tuple_type is LSTMState else (tuple_type,)
        if type(state) not in types or len(state) != len(parts):
            expected = f"a {tuple_type.__name__} of {len(parts)}"
            return f"expected {expected}{_at(path)}, got {_describe(state)}"
        names = getattr(tuple_type, "_fields", None)
        for i, (part, part_form) in enumerate(zip(state, parts, strict=True)):
            name = f"{path}[{i}]" if names is None else f"{path}.{names[i]}"
            difference = self.difference(part, part_form, name.removeprefix("."))
            if difference:
                return difference
        return ""

    def _tensor_difference(self, tensor: object, form: TensorForm, path: str) -> str:
        """Return how a tensor of a state, at `path`, differs from its form; "" if it does not."""
        sizes = [self.batch_size if size == BATCH else size for size in form.shape]
        if not isinstance(tensor, torch.Tensor):
            return f"expected a tensor {_shape(sizes)}{_at(path)}, got {_describe(tensor)}"
        pairs = zip(tensor.shape, sizes, strict=False)
        if tensor.dim() != len(sizes) or any(b is not None and a != b for a, b in pairs):
            return f"expected the shape {_shape(sizes)}{_at(path)}, got {tuple(tensor.shape)}"
        dtype = form.dtype or self.dtype
        is_right = tensor.is_floating_point() if dtype is None else tensor.dtype == dtype
        return "" if is_right else f"expected {dtype or 'floats'}{_at(path)}, got {tensor.dtype}"


def _at(path: str) -> str:
    """Return the location of a difference, for a message."""
    return f" at {path}" if path else ""


def _shape(sizes: Sequence[int | str | None]) -> str:
    """Return a shape for a message, where None is any size."""
    return f"({', '.join('any' if size is None else str(size) for size in sizes)})"


def _describe(part: object) -> str:
    """Return what a part of a state is, for a message."""
    if isinstance(part, torch.Tensor):
        return f"a tensor {tuple(part.shape)}"
    return f"a {type(part).__name__} of {len(part)}" if isinstance(part, tuple) else f"{part!r}"

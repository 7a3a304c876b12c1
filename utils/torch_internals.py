"""What the library takes from torch beyond its public interface; no other module uses such names.

They are names that begin with an underscore in torch, a prefix that it puts before the names of
parameters, and names of files that it writes. They may change with any version: if a new one breaks
the library, look here first.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

COMPILED_PART = "_orig_mod"
"""Where ``torch.compile`` keeps the module that it wraps: "_orig_mod.output.weight"."""

SHARDING_METADATA = ".metadata"
"""The file of a distributed checkpoint that lists its shards."""


def shard_files(rank: int) -> str:
    """Return the pattern of the files that one process writes of a distributed checkpoint."""
    return f"__{rank}_*.distcp"


def register_named_tuple(tuple_type: type[Any], *, name: str) -> None:
    """Register a named tuple under a name, by which an exported model that takes it can be saved.

    ``torch.export`` registers dataclasses alone.
    """
    pytree._register_namedtuple(tuple_type, serialized_type_name=name)


def assert_when_run(is_right: torch.Tensor, message: str) -> None:
    """Let a compiled or exported model check a condition, one bool, whenever it is run.

    It raises RuntimeError with `message`. A public check needs the value while the graph is built.
    """
    torch._assert_async(is_right, message)


def is_view(tensor: torch.Tensor) -> bool:
    """Return whether autograd has made a tensor as a view of another one."""
    return tensor._base is not None


class ReplacingModule(nn.Module):
    """A module that surrounds each replacement of its tensors with a context.

    Every method of torch that moves or converts the tensors of a module, as ``to`` and
    ``to_empty``, does so by ``_apply``, also where they are called for a module around this one.
    torch has no public hook there.
    """

    def replacing_tensors(self) -> AbstractContextManager[None]:
        """Return the context; a subclass has one that acts."""
        return nullcontext()

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        """Apply `fn` to all tensors."""
        with self.replacing_tensors():
            apply_to_module: Callable[..., Any] = super()._apply
            return apply_to_module(fn, recurse)

"""The base of all torch modules of the library, whose calls have the types of their ``forward``.

torch declares modules to accept any call and to return anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from torch import nn

CallP = ParamSpec("CallP")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class _HasForward(Protocol[CallP, ResultT_co]):
    """An object with a method `forward`, whose types `TypedModule` gives to the call."""

    def forward(self, *args: CallP.args, **kwargs: CallP.kwargs) -> ResultT_co:
        """Compute the result of a call."""
        ...


class TypedModule(nn.Module):
    """A torch module whose call has the types of its `forward`; the base of all models here.

    torch declares a call of a module to take anything and return ``Any``. Here, a type checker
    takes the types of a call from `forward`. At run time, nothing differs from `torch.nn.Module`.
    """

    if TYPE_CHECKING:

        def __call__(
            self: _HasForward[CallP, ResultT_co], *args: CallP.args, **kwargs: CallP.kwargs
        ) -> ResultT_co:
            """Call `forward`, and torch's hooks around it."""
            ...

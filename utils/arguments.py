"""Checks of arguments that several packages need: sizes and names of choices."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral


def check_positive(**sizes: int | None) -> None:
    """Check that sizes are positive whole numbers.

    Parameters
    ----------
    **sizes
        The sizes by name. None is passed over: it stands for a default.

    Raises
    ------
    ValueError
        Naming the first size that is no positive whole number.
    """
    for name, size in sizes.items():
        if size is not None and (not isinstance(size, Integral) or size < 1):
            raise ValueError(f"{name} must be a positive whole number, got {size}")


def check_choice(name: str, choice: object, choices: Iterable[object]) -> None:
    """Check that an option has one of its possible values.

    Parameters
    ----------
    name
        Name of the option, for the message.
    choice
        The value given.
    choices
        The possible values.

    Raises
    ------
    ValueError
        Naming the option, the value and the possible values.
    """
    choices = list(choices)
    if choice not in choices:
        raise ValueError(f"{name} is {choice!r}; choose from {', '.join(map(str, choices))}")

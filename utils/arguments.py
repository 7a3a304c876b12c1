"""Checks of arguments that several packages need: sizes, names of choices, and whole numbers."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any


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


def as_integers(values: Iterable[Any], *, name: str = "token ids") -> list[int]:
    """Convert whole numbers, such as token ids, to a list of Python's integers.

    Parameters
    ----------
    values
        A list, an array, a tensor (N,) or anything else that yields N whole numbers.
    name
        What the numbers are, for the message.

    Returns
    -------
    integers : list of int
        The numbers.

    Raises
    ------
    ValueError
        If one of them is no whole number: neither 2.0 nor True nor "2" is one.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"{name} are a sequence of whole numbers; got {values!r}")
    numbers = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(numbers, list):  # an array or a tensor of no dimension
        raise ValueError(f"{name} are a sequence of whole numbers; got the one number {numbers}")
    if set(map(type, numbers)) <= {int}:
        return numbers
    # a list may hold the scalars of NumPy and of torch
    numbers = [x.tolist() if hasattr(x, "tolist") else x for x in numbers]
    for number in numbers:
        if type(number) is not int:
            raise ValueError(f"{name} are whole numbers; got {number!r}")
    return numbers

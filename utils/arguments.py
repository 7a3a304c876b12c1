"""Checks of arguments that several packages need: integers, numbers and names of choices.

The arguments are passed by their names, as in ``check_integer(minimum=2, order=order)``. Every
message names the argument, what it may be, and the value given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")


def if_given(**values: Value | None) -> dict[str, Value]:
    """Return the values that are not None, for the check of arguments that may be left out."""
    return {name: value for name, value in values.items() if value is not None}


def check_positive(**sizes: int) -> None:
    """Check that sizes are positive integers; raise ValueError for the first that is not."""
    check_integer(minimum=1, **sizes)


def check_positive_items(**sequences: Iterable[int]) -> None:
    """Check that the items of sequences are positive integers, as ``check_positive`` does.

    Raises
    ------
    ValueError
        For the first that is not; the message gives its number.

    Examples
    --------
    >>> from utils.arguments import check_positive_items
    >>> check_positive_items(kernel_sizes=(3, 0))
    Traceback (most recent call last):
        ...
    ValueError: kernel_sizes[1] must be a positive integer, got 0
    """
    for name, items in sequences.items():
        for number, item in enumerate(items):
            _check_integer(f"{name}[{number}]", item, minimum=1)


def check_integer(*, minimum: int, maximum: int | None = None, **values: int) -> None:
    """Check that arguments are integers of a range, as in ``check_integer(minimum=2, order=n)``.

    Parameters
    ----------
    minimum, maximum
        The smallest and the largest allowed value; no maximum by default.
    **values
        The arguments by name; a bool is not an integer.

    Raises
    ------
    ValueError
        For the first argument that is not an integer of the range.

    Examples
    --------
    >>> from utils.arguments import check_integer
    >>> check_integer(minimum=2, order=3)
    >>> check_integer(minimum=2, order=1)
    Traceback (most recent call last):
        ...
    ValueError: order must be an integer of at least 2, got 1
    """
    for name, value in values.items():
        _check_integer(name, value, minimum=minimum, maximum=maximum)


def _check_integer(name: str, value: int, *, minimum: int, maximum: int | None = None) -> None:
    """Raise ValueError unless a value, `name` in the message, is an integer of a range."""
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if is_integer and value >= minimum and (maximum is None or value <= maximum):
        return
    if maximum is not None:
        expected = f"an integer from {minimum} to {maximum}"
    elif minimum in (0, 1):
        expected = "a positive integer" if minimum else "a non-negative integer"
    else:
        expected = f"an integer of at least {minimum}"
    raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_number(
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    **values: float,
) -> None:
    """Check that arguments are numbers of a range, as in ``check_number(above=0, alpha=alpha)``.

    Parameters
    ----------
    minimum, above
        The lower bound, allowed itself (`minimum`) or not (`above`).
    maximum, below
        The upper bound, allowed itself (`maximum`) or not (`below`). Infinity is allowed only as a
        bound that is allowed itself.
    **values
        The arguments by name; a bool is not a number.

    Raises
    ------
    ValueError
        For the first argument that is not a number of the range; NaN never is.

    Examples
    --------
    >>> from utils.arguments import check_number
    >>> check_number(minimum=0, maximum=1, dropout=0.1)
    >>> check_number(minimum=0, maximum=1, dropout=10)
    Traceback (most recent call last):
        ...
    ValueError: dropout must be a number from 0 to 1, got 10
    """
    for name, value in values.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        is_in_range = is_number and (
            (math.isfinite(value) or value in (minimum, maximum))
            and (minimum is None or value >= minimum)
            and (above is None or value > above)
            and (maximum is None or value <= maximum)
            and (below is None or value < below)
        )
        if not is_in_range:
            expected = _describe_range(minimum=minimum, above=above, maximum=maximum, below=below)
            raise ValueError(f"{name} must be {expected}, got {value!r}")


def _describe_range(
    *, minimum: float | None, above: float | None, maximum: float | None, below: float | None
) -> str:
    """Return words such as "a number from 0 to 1" for the bounds of `check_number`."""
    if maximum == math.inf:
        finite = _describe_range(minimum=minimum, above=above, maximum=None, below=below)
        return f"{finite} or infinity"
    if minimum is not None and maximum is not None:
        return f"a number from {minimum} to {maximum}"
    if maximum is None and below is None and 0 in (minimum, above):
        return "a positive number" if minimum is None else "a non-negative number"
    bounds = {"at least": minimum, "above": above, "at most": maximum, "below": below}
    parts = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
    return f"a number {' and '.join(parts)}" if parts else "a finite number"


def check_bool(**flags: bool) -> None:
    """Check that arguments are True or False: "no" would count as true.

    Raises
    ------
    ValueError
        For the first that is neither; a bool of NumPy is one.

    Examples
    --------
    >>> from utils.arguments import check_bool
    >>> check_bool(bias="no")
    Traceback (most recent call last):
        ...
    ValueError: bias must be True or False, got 'no'
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{name} must be True or False, got {flag!r}")


def check_choice(choices: Iterable[object], **options: object) -> None:
    """Check that options have possible values, as in ``check_choice(CELLS, cell=cell)``.

    Parameters
    ----------
    choices
        The possible values.
    **options
        The values given, by the name of the option.

    Raises
    ------
    ValueError
        For the first option with another value; the message lists the possible ones.

    Examples
    --------
    >>> from utils.arguments import check_choice
    >>> check_choice(("rnn", "gru", "lstm"), cell="gur")
    Traceback (most recent call last):
        ...
    ValueError: cell is 'gur'; choose from rnn, gru, lstm
    """
    choices = list(choices)
    for name, choice in options.items():
        if choice not in choices:
            raise ValueError(f"{name} is {choice!r}; choose from {', '.join(map(str, choices))}")

"""Checks of arguments that several packages need: integers, numbers and names of choices.

The arguments are passed by their names, as in ``check_integer(minimum=2, order=order)``. Every
message names the argument, what it may be, and the value given.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar

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
            expected = _describe_range(minimum, above, maximum, below)
            raise ValueError(f"{name} must be {expected}, got {value!r}")


def _describe_range(
    minimum: float | None, above: float | None, maximum: float | None, below: float | None
) -> str:
    """Return words such as "a number from 0 to 1" for the bounds of `check_number`."""
    if maximum == math.inf:
        return f"{_describe_range(minimum, above, None, below)} or infinity"
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


def as_finite_number(value: Any, *, name: str) -> float:
    """Convert one number of any kind to a float.

    Parameters
    ----------
    value
        A number of Python, NumPy or torch.
    name
        What it is, for the message.

    Returns
    -------
    number : float
        The number.

    Raises
    ------
    ValueError
        If `value` is a text, a bool, several numbers, NaN, infinite or too large for a float.
    """
    message = f"{name} is {value!r}; expected one finite number"
    if isinstance(value, str | bytes | bool):
        raise ValueError(message)
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError, RuntimeError) as error:
        # RuntimeError: a tensor of several
        raise ValueError(message) from error
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}; expected a finite number")
    return number


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


def as_strings(texts: Iterable[str], *, name: str) -> list[str]:
    """Convert texts in any iterable to a list; `name` stands for them in messages.

    Raises
    ------
    ValueError
        If `texts` is one text instead of several, or an item is not a str.
    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise ValueError(f"{name}: got {texts!r}; give lists of texts, not one text")
    strings = list(texts)
    for number, text in enumerate(strings):
        if not isinstance(text, str):
            hint = ': join words by " ".join(words)' if isinstance(text, list | tuple) else ""
            raise ValueError(
                f"{name} must be texts, each a str; item {number} is a {type(text).__name__}{hint}"
            )
    return strings


def as_token_lists(sequences: Iterable[Iterable[Any]]) -> list[list[Any]]:
    """Convert the tokens of several texts to lists, those of arrays and tensors to Python's own.

    Raises
    ------
    ValueError
        If `sequences` is not a collection of collections of tokens: of strings or numbers.
    """
    texts = _as_python(sequences)
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise ValueError(f"expected the tokens of each text, a list of lists; got {texts!r}")
    token_lists = []
    for tokens in map(_as_python, texts):
        if isinstance(tokens, str) or not isinstance(tokens, Iterable):
            raise ValueError(f"a text must be a list of tokens, as text.split(); got {tokens!r}")
        token_lists.append([_as_python(token) for token in tokens])
        for token in token_lists[-1]:
            if not isinstance(token, Hashable):
                raise ValueError(f"a token must be a string or a number; got {token!r}")
    return token_lists


def _as_python(values: Any) -> Any:
    """Return the values of an array or a tensor, whose items may hash by identity; else itself."""
    return values.tolist() if hasattr(values, "tolist") else values


def as_integers(values: Iterable[Any], *, name: str = "token ids") -> list[int]:
    """Convert integers of any kind, such as token ids, to a list of Python's own.

    Parameters
    ----------
    values
        A list, an array, a tensor (N,) or any other iterable of N integers.
    name
        What the numbers are, for the message.

    Returns
    -------
    integers : list of int
        The N integers.

    Raises
    ------
    ValueError
        If `values` is not a sequence, or a value not an integer: 2.0, True and "2" are not.

    Examples
    --------
    >>> import torch
    >>> from utils.arguments import as_integers
    >>> as_integers(torch.tensor([4, 5]))
    [4, 5]
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"{name} must be a sequence of integers; got {values!r}")
    numbers = values.tolist() if hasattr(values, "tolist") else list(values)
    if not isinstance(numbers, list):  # a 0-dimensional array or tensor
        raise ValueError(f"{name} must be a sequence of integers; got the single number {numbers}")
    if set(map(type, numbers)) <= {int}:
        return numbers
    # a list may hold the scalars of NumPy and of torch
    numbers = [x.tolist() if hasattr(x, "tolist") else x for x in numbers]
    for number in numbers:
        if type(number) is not int:
            raise ValueError(f"{name} must be integers; got {number!r}")
    return numbers

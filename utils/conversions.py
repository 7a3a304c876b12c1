"""Conversions of arguments to Python's own values: numbers, integers, texts and lists of tokens.

Each accepts any iterable, array or tensor, and raises ValueError with the argument's name.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any


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
    >>> from utils.conversions import as_integers
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

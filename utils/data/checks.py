"""Checks and conversions of token ids and of texts, used wherever data enters this package."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from utils.arguments import check_integer
from utils.conversions import as_integers


def as_id_list(ids: Iterable[int], *, name: str = "token ids") -> list[int]:
    """Convert token ids of any kind to a list; `name` stands for them in messages.

    Raises
    ------
    ValueError
        If a token id is not an integer, or is negative.
    """
    integers = as_integers(ids, name=name)
    check_ids_in_vocabulary(integers, name=name)
    return integers


def as_id_tensor(ids: Iterable[Any], *, name: str = "token ids") -> torch.Tensor:
    """Convert token ids, or other integers, to a tensor.

    Parameters
    ----------
    ids
        N integers, as a list, an array or a tensor; a tensor may have any shape.
    name
        What the numbers are, for the message.

    Returns
    -------
    tensor : torch.Tensor
        The numbers as int64, (N,) or in the tensor's shape.

    Raises
    ------
    ValueError
        If a number is not an integer (2.0, NaN and True are not), or is too large for int64.
    """
    if isinstance(ids, np.ndarray):
        if ids.size and ids.dtype.kind in "bfc":
            raise ValueError(f"{name} must be integers; got an array of {ids.dtype}")
        if ids.dtype.kind in "iu":  # others hold objects or texts
            # torch reads neither negative strides nor another byte order than the machine's, and a
            # tensor of a read-only array, such as that of a file, could be written to all the same
            native, is_read_only = ids.dtype.newbyteorder("="), not ids.flags.writeable
            ids = torch.as_tensor(ids.astype(native, order="C", copy=is_read_only))
    if not isinstance(ids, torch.Tensor):
        integers = as_integers(ids, name=name)
        try:
            return torch.tensor(integers, dtype=torch.long)
        except (ValueError, RuntimeError, OverflowError) as error:  # depends on torch's version
            raise ValueError(f"{name} are too large for int64: {error}") from error
    if not is_integer_tensor(ids) and ids.numel():  # an empty list becomes a tensor of float32
        raise ValueError(f"{name} must be integers; got a tensor of {ids.dtype}")
    tensor = ids.to(torch.long)
    if ids.dtype == torch.uint64 and (tensor < 0).any():  # from 2⁶³ on they become negative
        largest = max(ids.flatten().tolist())
        raise ValueError(f"{name} are too large for int64: the largest is {largest}")
    return tensor


def is_integer_tensor(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has an integer type, which bool is not."""
    return not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)


def is_padded_at_end(is_token: torch.Tensor) -> torch.Tensor:
    """Return whether no token follows padding in a mask of tokens (B, T), as one bool."""
    return (is_token[:, 1:] <= is_token[:, :-1]).all()


def check_ids_in_vocabulary(
    ids: Iterable[int] | np.ndarray | torch.Tensor,
    vocab_size: int | None = None,
    *,
    name: str = "token ids",
) -> None:
    """Check that ids lie in 0 … V − 1, where V is the size of the vocabulary.

    Parameters
    ----------
    ids
        Integers, which may be an array or a tensor of any shape.
    vocab_size
        The size V; None if it is unknown, so that ids need only not be negative.
    name
        What the ids are, for the message.

    Raises
    ------
    ValueError
        If an id is negative or outside the vocabulary.
    """
    limit = math.inf if vocab_size is None else vocab_size
    if isinstance(ids, np.ndarray | torch.Tensor):
        invalid = ids[(ids < 0) | (ids >= limit)].tolist()
    else:
        invalid = [i for i in ids if not 0 <= i < limit]
    if invalid and vocab_size is None:
        raise ValueError(f"{name} count from 0; got {min(invalid)}")
    if invalid:
        raise ValueError(f"ids {invalid[:5]} lie outside this vocabulary of {vocab_size} tokens")


def check_text(text: object) -> None:
    """Check that `text` is a str that can be written to a file.

    Raises
    ------
    ValueError
        If `text` is not a str, or has a lone surrogate, which does not encode any character.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a text, a str; got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a text has the lone surrogate {text[error.start]!r} at position {error.start}, which "
            "does not encode any character: decode the text with the encoding of its file"
        ) from None


def check_split_sizes(sizes: Sequence[int]) -> None:
    """Check the numbers of examples for training, validation and test.

    Raises
    ------
    ValueError
        Unless they are three non-negative integers.
    """
    if len(sizes) != 3:
        raise ValueError(f"expected three sizes: training, validation and test; got {sizes!r}")
    for number, size in enumerate(sizes):
        check_integer(minimum=0, **{f"sizes[{number}]": size})

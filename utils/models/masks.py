"""Masks: where a source has tokens, what a query may attend to, and means over tokens only.

All masks are boolean, True where something counts. Masked means are derived in section 3.2, sliding
windows in section 6.2 (Beltagy et al. 2020).
"""

from __future__ import annotations

from numbers import Integral

import torch

from utils.data.checks import is_integer_tensor, is_padded_at_end
from utils.data.vocabulary import PAD
from utils.models.checks import check_id_tensor, check_values


def source_mask(source: torch.Tensor) -> torch.Tensor:
    """Return the mask of a source's tokens.

    Parameters
    ----------
    source
        Ids, (B, S), padded with PAD at the end.

    Returns
    -------
    is_token : torch.Tensor
        True where there is a token, False for padding, (B, S) bool.

    Raises
    ------
    ValueError
        For a row without tokens, for padding before a token, and for ids that are not integers
        (B, S).

    Examples
    --------
    >>> import torch
    >>> from utils.models.masks import source_mask
    >>> source_mask(torch.tensor([[4, 5, 6], [7, 0, 0]]))
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    check_id_tensor(source)
    is_token = source != PAD  # (B, S)
    check_values(
        is_token.any(1).all(),
        "a source sentence has no tokens; give each at least one, such as EOS",
    )
    check_values(
        is_padded_at_end(is_token),
        "a source sentence is padded before a token; pad at the end only",
    )
    return is_token


def length_mask(lengths: torch.Tensor, S: int) -> torch.Tensor:
    """Return the mask of the valid steps of rows that are padded at the end.

    Parameters
    ----------
    lengths
        The number of valid steps of each row, (B,).
    S
        The number of steps, padding included.

    Returns
    -------
    is_valid : torch.Tensor
        True before the length of each row, False from it on, (B, S) bool.

    Raises
    ------
    ValueError
        If the lengths are not integers (B,) from 0 to `S`, or `S` is not a non-negative integer.

    Examples
    --------
    >>> import torch
    >>> from utils.models.masks import length_mask
    >>> length_mask(torch.tensor([3, 1]), 3)
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    _check_sizes(S=S)
    if lengths.ndim != 1 or not is_integer_tensor(lengths):
        raise ValueError(
            f"lengths must be integers (B,), got {lengths.dtype} {tuple(lengths.shape)}"
        )
    check_values(
        ((lengths >= 0) & (lengths <= S)).all(),
        "lengths must be from 0 to S, the number of steps with padding",
    )
    return torch.arange(S, device=lengths.device) < lengths[:, None]


def _check_sizes(**sizes: int) -> None:
    """Raise ValueError for a size that is not an integer from 0 on; a graph may not know it yet."""
    for name, size in sizes.items():
        is_integer = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        if not is_integer and not isinstance(size, torch.SymInt):
            raise ValueError(f"{name} must be a non-negative integer, got {size!r}")


def masked_mean(x: torch.Tensor, is_token: torch.Tensor) -> torch.Tensor:
    """Return the mean (B, D) of `x` (B, S, D) over the positions where `is_token` (B, S) is True.

    What stands at the other positions has no part in it, even NaN.

    Source: ``eq-pooling`` (section 3.2).

    Raises
    ------
    ValueError
        If there is not one True or False for each position.
    """
    if is_token.shape != x.shape[:2] or is_token.dtype != torch.bool:
        raise ValueError(
            f"is_token must be bool of shape {tuple(x.shape[:2])}, one for each position of x; got "
            f"{is_token.dtype} {tuple(is_token.shape)}"
        )
    return x.masked_fill(~is_token[:, :, None], 0.0).sum(1) / is_token.sum(1, keepdim=True)


def causal_mask(
    T: int,
    S: int | None = None,
    *,
    window: int | None = None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Build the mask of queries that may attend to themselves and to preceding keys.

    Parameters
    ----------
    T
        Number of queries.
    S
        Number of keys, T by default. The queries are at the last T of these S positions.
    window
        Number of positions that a query may attend to, its own included; None for all.
    device
        Device of the mask, torch's default if None.

    Returns
    -------
    mask : torch.Tensor
        True where a query may attend, (T, S) bool.

    Raises
    ------
    ValueError
        If there are more queries than keys, or the window is not a positive integer: such queries
        could not attend to themselves; and for a number of queries or keys that is not a
        non-negative integer.

    Examples
    --------
    >>> from utils.models.masks import causal_mask
    >>> causal_mask(3).int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    >>> causal_mask(2, 4, window=2).int()
    tensor([[0, 1, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    S = T if S is None else S
    _check_sizes(T=T, S=S)
    if T > S:
        raise ValueError(f"the queries are at the last of the keys, but T={T} is above S={S}")
    is_integer = isinstance(window, Integral) and not isinstance(window, bool)
    if window is not None and (not is_integer or window < 1):
        raise ValueError(f"window must be a positive integer, as it includes itself; got {window}")
    query_positions = torch.arange(S - T, S, device=device)[:, None]  # (T, 1)
    distance = query_positions - torch.arange(S, device=device)  # (T, S)
    mask = distance >= 0
    return mask if window is None else mask & (distance < window)

"""Attention as a function: weighted means of values, by scaled dot products.

Derived in section 7.3; Vaswani et al. 2017. Attention with several heads is in ``multi_head``.

Letters: T queries, S keys, d their width. Masks are boolean and True where a query may attend
(``masks``).
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from utils.arguments import check_bool, check_number


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute softmax(q kᵀ / √d) v, written out.

    Source: ``eq-scaled-attention`` (section 7.3); Vaswani et al. 2017, eq. 1.

    Parameters
    ----------
    q
        Queries, (…, T, d).
    k, v
        Keys and values, (…, S, d).
    mask
        True where a query may attend, broadcast to (…, T, S); None for all.

    Returns
    -------
    means : torch.Tensor
        The weighted means of the values, (…, T, d); zero for a query without a key to attend to.
    weights : torch.Tensor
        The attention weights, (…, T, S); zero for a query without a key to attend to.

    Raises
    ------
    ValueError
        If the mask is not boolean, or the sizes of q, k and v do not suit each other.

    Examples
    --------
    >>> import torch
    >>> from utils.models.attention import attention
    >>> q, k, v = torch.randn(3, 2, 5, 8)
    >>> means, weights = attention(q, k, v)
    >>> means.shape, weights.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 5]))
    >>> torch.allclose(weights.sum(-1), torch.ones(2, 5))
    True
    """
    _check_sizes(q, k, v)
    weights = masked_softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), mask)  # (…, T, S)
    return weights @ v, weights


def _check_sizes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
    """Raise ValueError unless T queries, S keys and S values can be combined.

    The fused kernel of the CPU takes S from the values, and reads beyond fewer keys.
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        if not isinstance(x, torch.Tensor) or x.ndim < 2:
            got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(f"{name} must be a tensor of vectors, (…, number, width); got {got}")
    if q.shape[-1] != k.shape[-1] or q.shape[-1] == 0:
        raise ValueError(
            f"queries and keys must have one width, at least 1; got q {tuple(q.shape)} and k "
            f"{tuple(k.shape)}"
        )
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(
            f"each key needs one value: got {k.shape[-2]} keys and {v.shape[-2]} values, as k is "
            f"{tuple(k.shape)} and v {tuple(v.shape)}"
        )


def _check_mask(mask: torch.Tensor) -> None:
    """Raise ValueError unless a mask is a boolean tensor."""
    if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, torch.Tensor) else type(mask).__name__
        raise ValueError(f"a mask is a bool tensor, True where a query may attend; got {got}")


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the softmax over the unmasked scores; a score of −∞ counts as masked.

    Parameters
    ----------
    scores
        Floating-point numbers, (…, S).
    mask
        True where a score counts, broadcast to (…, S) bool; None for all.

    Returns
    -------
    weights : torch.Tensor
        Weights (…, S), zero where `mask` is False; they sum to 1, or to 0 if the whole row is
        masked or −∞.

    Raises
    ------
    ValueError
        If the mask is not boolean.

    Examples
    --------
    >>> import torch
    >>> from utils.models.attention import masked_softmax
    >>> masked_softmax(torch.zeros(4), torch.tensor([True, True, False, False]))
    tensor([0.5000, 0.5000, 0.0000, 0.0000])
    """
    counts = scores != -math.inf  # (…, S); true of NaN, which must not be hidden
    if mask is not None:
        _check_mask(mask)
        counts = counts & mask
    # the lowest number, not −∞, whose softmax is NaN if no score of a row counts
    scores = scores.masked_fill(~counts, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).masked_fill(~counts, 0.0)


def fused_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None = None,
    *,
    is_causal: bool = False,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Compute the first result of `attention` by torch's fused kernel.

    Parameters
    ----------
    q, k, v, mask
        As in `attention`.
    is_causal
        Use the kernel's own causal mask; it requires T = S and no `mask`.
    dropout
        Dropout probability of the attention weights, from 0 to below 1.

    Returns
    -------
    means : torch.Tensor
        The weighted means of the values, (…, T, d).

    Raises
    ------
    ValueError
        If `is_causal` is given with a mask or with T ≠ S or is neither True nor False, the mask is
        not boolean or has more dimensions than q, k and v, their sizes do not suit each other, or
        the probability is out of its range.
    """
    check_bool(is_causal=is_causal)
    check_number(minimum=0, below=1, dropout=dropout)
    _check_sizes(q, k, v)
    if is_causal and (mask is not None or q.shape[-2] != k.shape[-2]):
        raise ValueError(
            "is_causal needs as many queries as keys and no mask; for other cases, combine the "
            "mask with causal_mask of utils.models.masks"
        )
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=is_causal)
    _check_mask(mask)
    if mask.ndim > max(q.ndim, k.ndim, v.ndim):
        raise ValueError(
            f"a mask is broadcast to (…, T, S): one of shape {tuple(mask.shape)} has more "
            f"dimensions than q, k and v; reshape it to {max(q.ndim, k.ndim, v.ndim)} at most"
        )
    mask = torch.atleast_2d(mask)  # the kernel takes no fewer
    # a query without a key to attend to attends to all here; its result is set to zero below
    is_blind = ~mask.any(-1, keepdim=True)  # (…, T, 1)
    means = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | is_blind, dropout_p=dropout)
    return means.masked_fill(is_blind, 0.0)

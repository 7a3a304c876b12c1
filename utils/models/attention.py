"""Attention as a function: scaled dot products and masks.

Derived in section 7.3. Scaled dot products: Vaswani et al. 2017; sliding window: Beltagy et al.
2020. Attention with several heads is in ``multi_head``.

Letters: T queries, S keys, d their width. Masks are boolean and True where a query may attend.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


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
        True where a query may attend, broadcast to (…, T, S); None for everywhere.

    Returns
    -------
    means : torch.Tensor
        The weighted means of the values, (…, T, d); zero for a query that may attend to nothing.
    weights : torch.Tensor
        The attention weights, (…, T, S); zero for a query that may attend to nothing.
    """
    weights = masked_softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), mask)  # (…, T, S)
    return weights @ v, weights


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Compute the softmax over those scores that the mask allows.

    Parameters
    ----------
    scores
        Any numbers, (…, S).
    mask
        True where a score counts, broadcast to (…, S); None for everywhere.

    Returns
    -------
    torch.Tensor
        Weights (…, S), zero where `mask` is False. They sum to 1, or are all zero where `mask`
        allows nothing.
    """
    if mask is None:
        return scores.softmax(-1)
    # the lowest number, not −∞, whose softmax would be NaN where all is masked
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).masked_fill(~mask, 0.0)


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
        Use the kernel's own causal mask, which needs T = S; only without `mask`.
    dropout
        Dropout probability of the attention weights.

    Returns
    -------
    torch.Tensor
        The weighted means of the values, (…, T, d).
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=is_causal)
    # a query that may attend to nothing attends to all here, and its result is set to zero below
    is_blind = ~mask.any(-1, keepdim=True)  # (…, T, 1)
    means = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | is_blind, dropout_p=dropout)
    return means.masked_fill(is_blind, 0.0)


def causal_mask(
    T: int,
    S: int | None = None,
    *,
    window: int | None = None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Build the mask of queries that may attend to themselves and to what precedes them.

    Parameters
    ----------
    T
        Number of queries.
    S
        Number of keys, T where not given. The queries stand at the last T of these S positions.
    window
        Number of positions that a query may attend to, its own included; None for all.
    device
        Device of the mask, torch's default where not given.

    Returns
    -------
    torch.Tensor
        True where a query may attend, (T, S) bool.
    """
    S = T if S is None else S
    query_positions = torch.arange(S - T, S, device=device)[:, None]  # (T, 1)
    distance = query_positions - torch.arange(S, device=device)  # (T, S)
    mask = distance >= 0
    return mask if window is None else mask & (distance < window)

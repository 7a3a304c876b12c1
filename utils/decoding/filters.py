"""Filters of the distribution over the next token, with which `sample` shapes what it draws from.

Derived in section 6.2. Top-k: Fan et al. 2018. Top-p (nucleus sampling): Holtzman et al. 2020.
Min-p: Nguyen et al. 2024. Typical sampling: Meister et al. 2023.
"""

from __future__ import annotations

import math

import torch

from utils.arguments import check_number, check_positive
from utils.decoding.token_rules import check_logits_below_infinity


def filter_top_k(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Filter by top-k: set all logits (…, V) to −∞ except the `top_k` highest.

    Source: ``eq-top-k`` (section 6.2); Fan et al. 2018.

    Parameters
    ----------
    logits
        Logits, (…, V).
    top_k
        The number k of tokens to keep.

    Returns
    -------
    logits : torch.Tensor
        The filtered logits, (…, V).

    Raises
    ------
    ValueError
        If `top_k` is not a positive integer, or the logits are no floating-point numbers below
        infinity.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.filters import filter_top_k
    >>> logits = torch.tensor([0.5, 0.3, 0.2]).log()
    >>> filter_top_k(logits, 2).exp()
    tensor([0.5000, 0.3000, 0.0000])
    """
    check_positive(top_k=top_k)
    check_logits_below_infinity(logits)
    indices = logits.topk(min(top_k, logits.shape[-1]), -1).indices  # (…, k)
    is_best = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, indices, True)  # (…, V)
    return _keep_only(logits, is_best)


def filter_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Filter by top-p: set all logits (…, V) to −∞ except those of the nucleus.

    The nucleus is the smallest set of most probable tokens whose total probability is at least
    `top_p`: a token belongs to it if the total of all more probable ones is below `top_p`.

    Source: ``eq-top-p`` (section 6.2); Holtzman et al. 2020.

    Parameters
    ----------
    logits
        Logits, (…, V).
    top_p
        The probability p of the nucleus; 1 keeps all tokens.

    Returns
    -------
    logits : torch.Tensor
        The filtered logits, (…, V).

    Raises
    ------
    ValueError
        If `top_p` is not above 0 and at most 1, or the logits are no floating-point numbers below
        infinity.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.filters import filter_top_p
    >>> logits = torch.tensor([0.5, 0.3, 0.2]).log()
    >>> filter_top_p(logits, 0.7).exp()
    tensor([0.5000, 0.3000, 0.0000])
    """
    check_number(above=0, maximum=1, top_p=top_p)
    check_logits_below_infinity(logits)
    if top_p == 1:
        return logits
    p, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)  # (…, V)
    is_in_nucleus = p.cumsum(-1) - p < top_p  # (…, V), by decreasing probability
    return _keep_only(logits, torch.zeros_like(is_in_nucleus).scatter(-1, order, is_in_nucleus))


def filter_min_p(logits: torch.Tensor, min_p: float) -> torch.Tensor:
    """Filter by min-p: keep the tokens at least `min_p` times as probable as the best one.

    The logits (…, V) of all others become −∞.

    Source: ``eq-min-p`` (section 6.2); Nguyen et al. 2024.

    Parameters
    ----------
    logits
        Logits, (…, V).
    min_p
        The minimum probability, as a fraction of the highest; 0 keeps all tokens.

    Returns
    -------
    logits : torch.Tensor
        The filtered logits, (…, V).

    Raises
    ------
    ValueError
        If `min_p` is not from 0 to 1, or the logits are no floating-point numbers below
        infinity.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.filters import filter_min_p
    >>> logits = torch.tensor([0.5, 0.3, 0.2]).log()
    >>> filter_min_p(logits, 0.5).exp()
    tensor([0.5000, 0.3000, 0.0000])
    """
    check_number(minimum=0, maximum=1, min_p=min_p)
    check_logits_below_infinity(logits)
    if min_p == 0:
        return logits
    highest = logits.max(-1, keepdim=True).values  # (…, 1)
    return _keep_only(logits, logits >= highest + math.log(min_p))


def filter_typical(logits: torch.Tensor, typical_p: float) -> torch.Tensor:
    """Keep the tokens whose surprisal is nearest to the entropy of the distribution.

    Tokens are taken in the order of the distance |−log p − H|, until their probabilities reach
    `typical_p` together. The logits (…, V) of all others become −∞.

    Source: ``eq-typical`` (section 6.2); Meister et al. 2023.

    Parameters
    ----------
    logits
        Logits, (…, V).
    typical_p
        The probability of the tokens that are kept; 1 keeps all.

    Returns
    -------
    logits : torch.Tensor
        The filtered logits, (…, V).

    Raises
    ------
    ValueError
        If `typical_p` is not above 0 and at most 1, or the logits are no floating-point numbers
        below infinity.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.filters import filter_typical
    >>> logits = torch.tensor([0.6, 0.2, 0.1, 0.1]).log()
    >>> filter_typical(logits, 0.5).exp()
    tensor([0.6000, 0.2000, 0.0000, 0.0000])
    """
    check_number(above=0, maximum=1, typical_p=typical_p)
    check_logits_below_infinity(logits)
    if typical_p == 1:
        return logits
    log_p = logits.log_softmax(-1)  # (…, V)
    p = log_p.exp()
    entropy = -torch.special.xlogy(p, p).sum(-1, keepdim=True)  # (…, 1)
    distance = (-log_p - entropy).abs()  # (…, V), ∞ where p is 0
    order = distance.argsort(dim=-1, stable=True)  # (…, V)
    p = p.gather(-1, order)
    is_kept = p.cumsum(-1) - p < typical_p  # (…, V), by increasing distance
    return _keep_only(logits, torch.zeros_like(is_kept).scatter(-1, order, is_kept))


def _keep_only(logits: torch.Tensor, is_kept: torch.Tensor) -> torch.Tensor:
    """Set the logits at which `is_kept` is False to −∞."""
    return logits.masked_fill(~is_kept, -math.inf)

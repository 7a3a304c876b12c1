"""Filters of the distribution over the next token, with which `sample` shapes what it draws from.

Derived in section 6.2. Top-k: Fan et al. 2018. Top-p (nucleus sampling): Holtzman et al. 2020.
Min-p: Nguyen et al. 2024. Repetition penalty: Keskar et al. 2019.
"""

from __future__ import annotations

import math

import torch

from utils.arguments import check_number, check_positive
from utils.data.checks import check_ids_in_vocabulary

MAX_REPETITION_PENALTY = 1e6
"""The largest repetition penalty; the smallest is its reciprocal."""


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
    check_filter_logits(logits)
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
    check_filter_logits(logits)
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
    check_filter_logits(logits)
    if min_p == 0:
        return logits
    highest = logits.max(-1, keepdim=True).values  # (…, 1)
    return _keep_only(logits, logits >= highest + math.log(min_p))


def check_repetition_penalty(repetition_penalty: float) -> None:
    """Check that a repetition penalty is from 10⁻⁶ to 10⁶, so that no penalized logit overflows.

    Raises
    ------
    ValueError
        If the penalty is outside this range.
    """
    check_number(
        minimum=1 / MAX_REPETITION_PENALTY,
        maximum=MAX_REPETITION_PENALTY,
        repetition_penalty=repetition_penalty,
    )


def penalize_repetition(
    logits: torch.Tensor, previous_ids: torch.Tensor, repetition_penalty: float
) -> torch.Tensor:
    """Lower the logits of tokens that have occurred.

    A positive logit is divided by the penalty and a negative one multiplied by it, once per token,
    however often it occurred.

    Source: ``eq-repetition-penalty`` (section 6.2); Keskar et al. 2019, with the usual correction
    for negative logits.

    Parameters
    ----------
    logits
        Logits of the next token, (B, V).
    previous_ids
        The tokens that have occurred in each row, (B, N).
    repetition_penalty
        From 10⁻⁶ to 10⁶; 1 changes nothing.

    Returns
    -------
    logits : torch.Tensor
        The new logits, (B, V).

    Raises
    ------
    ValueError
        If the penalty is outside this range, the logits are no floating-point numbers below
        infinity, or `previous_ids` does not have the rows of the logits.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.filters import penalize_repetition
    >>> logits = torch.tensor([[2.0, -2.0, 1.0]])
    >>> penalize_repetition(logits, torch.tensor([[0, 1, 1]]), 2.0)
    tensor([[ 1., -4.,  1.]])
    """
    check_repetition_penalty(repetition_penalty)
    check_filter_logits(logits)
    check_previous_ids(previous_ids, logits)
    previous = logits.gather(-1, previous_ids)  # (B, N)
    lowered = torch.where(
        previous > 0, previous / repetition_penalty, previous * repetition_penalty
    )
    return logits.scatter(-1, previous_ids, lowered)


def check_previous_ids(previous_ids: torch.Tensor, logits: torch.Tensor) -> None:
    """Check that the tokens that have occurred are in the vocabulary, in each row of the logits.

    Parameters
    ----------
    previous_ids
        The tokens that have occurred in each row, (B, N).
    logits
        Logits of the next token, (B, V).

    Raises
    ------
    ValueError
        If the two differ in B, as torch would leave further rows as they are; or, of ids whose
        values can be read, if one is not in the vocabulary; and if they are not of type int64.
    """
    if previous_ids.shape[:-1] != logits.shape[:-1]:
        raise ValueError(
            "previous_ids must be (B, N) with the B rows of the logits (B, V), got shapes "
            f"{tuple(previous_ids.shape)} and {tuple(logits.shape)}: give the tokens of each row"
        )
    if previous_ids.dtype != torch.int64:
        raise ValueError(f"previous_ids must be integers of type int64, got {previous_ids.dtype}")
    if not previous_ids.is_meta:
        check_ids_in_vocabulary(previous_ids, logits.shape[-1])


def check_filter_logits(logits: torch.Tensor) -> None:
    """Check that a filter can order logits (…, V).

    Raises
    ------
    ValueError
        If they are integers, or one is NaN or ∞.
    """
    if not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point numbers, got {logits.dtype}")
    if not logits.is_meta and not (logits < math.inf).all():
        raise ValueError("logits must be below infinity, and none NaN; −∞ excludes a token")


def _keep_only(logits: torch.Tensor, is_kept: torch.Tensor) -> torch.Tensor:
    """Set the logits at which `is_kept` is False to −∞."""
    return logits.masked_fill(~is_kept, -math.inf)

"""Penalties of tokens that have occurred, with which `sample` shapes what it draws from.

Derived in section 6.2. Repetition penalty: Keskar et al. 2019. Frequency and presence penalties are
those of OpenAI's programming interface.
"""

from __future__ import annotations

import torch

from utils.arguments import check_number
from utils.data.checks import check_ids_in_vocabulary
from utils.decoding.token_rules import check_logits_below_infinity

MAX_REPETITION_PENALTY = 1e6
"""The largest repetition penalty; the smallest is its reciprocal."""
MAX_COUNT_PENALTY = 100.0
"""The largest size of a frequency or presence penalty, in nats."""


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


def check_count_penalties(**penalties: float) -> None:
    """Check that frequency and presence penalties are from −100 to 100 nats.

    Raises
    ------
    ValueError
        If a penalty is outside this range; it is named.
    """
    check_number(minimum=-MAX_COUNT_PENALTY, maximum=MAX_COUNT_PENALTY, **penalties)


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
    >>> from utils.decoding.penalties import penalize_repetition
    >>> logits = torch.tensor([[2.0, -2.0, 1.0]])
    >>> penalize_repetition(logits, torch.tensor([[0, 1, 1]]), 2.0)
    tensor([[ 1., -4.,  1.]])
    """
    check_repetition_penalty(repetition_penalty)
    check_logits_below_infinity(logits)
    check_previous_ids(previous_ids, logits)
    previous = logits.gather(-1, previous_ids)  # (B, N)
    lowered = torch.where(
        previous > 0, previous / repetition_penalty, previous * repetition_penalty
    )
    return logits.scatter(-1, previous_ids, lowered)


def penalize_counts(
    logits: torch.Tensor,
    previous_ids: torch.Tensor,
    *,
    frequency: float = 0.0,
    presence: float = 0.0,
) -> torch.Tensor:
    """Subtract a penalty for each occurrence of a token, and one for having occurred at all.

    Source: ``eq-count-penalties`` (section 6.2).

    Parameters
    ----------
    logits
        Logits of the next token, (B, V).
    previous_ids
        The tokens that count, (B, N).
    frequency
        What each occurrence costs, in nats, from −100 to 100.
    presence
        What the first occurrence costs in addition, in nats, from −100 to 100.

    Returns
    -------
    logits : torch.Tensor
        The new logits, (B, V).

    Raises
    ------
    ValueError
        If a penalty is outside its range, the logits are no floating-point numbers below infinity,
        or `previous_ids` does not have the rows of the logits.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.penalties import penalize_counts
    >>> logits = torch.tensor([[2.0, 2.0, 2.0]])
    >>> penalize_counts(logits, torch.tensor([[0, 1, 1]]), frequency=0.5, presence=0.25)
    tensor([[1.2500, 0.7500, 2.0000]])
    """
    check_count_penalties(frequency=frequency, presence=presence)
    check_logits_below_infinity(logits)
    check_previous_ids(previous_ids, logits)
    counts = torch.zeros_like(logits).scatter_add(
        -1, previous_ids, torch.ones_like(previous_ids, dtype=logits.dtype)
    )  # (B, V)
    return logits - frequency * counts - presence * (counts > 0)


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

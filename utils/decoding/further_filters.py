"""Typical sampling, and penalties that count, for `sample` beside the filters of `filters`.

Derived in section 6.2. Typical sampling: Meister et al. 2023. Frequency and presence penalties are
those of OpenAI's programming interface.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.arguments import check_integer, check_number
from utils.decoding.filters import check_filter_logits, check_previous_ids
from utils.decoding.sampling import SamplingConfig

MAX_PENALTY = 100.0
"""The largest size of a frequency or presence penalty, in nats."""


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
    >>> from utils.decoding.further_filters import filter_typical
    >>> logits = torch.tensor([0.6, 0.2, 0.1, 0.1]).log()
    >>> filter_typical(logits, 0.5).exp()
    tensor([0.6000, 0.2000, 0.0000, 0.0000])
    """
    check_number(above=0, maximum=1, typical_p=typical_p)
    check_filter_logits(logits)
    if typical_p == 1:
        return logits
    log_p = logits.log_softmax(-1)  # (…, V)
    p = log_p.exp()
    entropy = -torch.special.xlogy(p, p).sum(-1, keepdim=True)  # (…, 1)
    distance = (-log_p - entropy).abs()  # (…, V), ∞ where p is 0
    order = distance.argsort(dim=-1, stable=True)  # (…, V)
    p = p.gather(-1, order)
    is_kept = p.cumsum(-1) - p < typical_p  # (…, V), by increasing distance
    return logits.masked_fill(~torch.zeros_like(is_kept).scatter(-1, order, is_kept), -torch.inf)


def penalize_counts(
    logits: torch.Tensor, previous_ids: torch.Tensor, *, frequency: float = 0.0, presence: float = 0
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
        If a penalty is outside its range, or `previous_ids` does not have the rows of the logits.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.further_filters import penalize_counts
    >>> logits = torch.tensor([[2.0, 2.0, 2.0]])
    >>> penalize_counts(logits, torch.tensor([[0, 1, 1]]), frequency=0.5, presence=0.25)
    tensor([[1.2500, 0.7500, 2.0000]])
    """
    check_number(minimum=-MAX_PENALTY, maximum=MAX_PENALTY, frequency=frequency, presence=presence)
    check_previous_ids(previous_ids, logits)
    counts = torch.zeros_like(logits).scatter_add(
        -1, previous_ids, torch.ones_like(previous_ids, dtype=logits.dtype)
    )  # (B, V)
    return logits - frequency * counts - presence * (counts > 0)


@dataclass(frozen=True)
class FurtherSampling(SamplingConfig):
    """The distribution that `sample` draws from, with three options more than `SamplingConfig`.

    The penalties that count come first, then the options of `SamplingConfig` in its order,
    then typical sampling.

    Parameters
    ----------
    temperature, top_k, top_p, min_p, repetition_penalty
        As in `SamplingConfig`.
    typical_p
        Draw from the tokens nearest to the entropy that have this probability together; 1 for all.
    frequency_penalty, presence_penalty
        As in `penalize_counts`, in nats; 0 for none.
    prompt_length
        How many tokens at the beginning of each row these two do not count.

    Raises
    ------
    ValueError
        If an option is outside its range.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.further_filters import FurtherSampling
    >>> logits = torch.tensor([[0.6, 0.2, 0.1, 0.1]]).log()
    >>> FurtherSampling(typical_p=0.5).probabilities(logits, torch.tensor([[0]]))
    tensor([[0.7500, 0.2500, 0.0000, 0.0000]])
    """

    typical_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    prompt_length: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(above=0, maximum=1, typical_p=self.typical_p)
        check_number(
            minimum=-MAX_PENALTY,
            maximum=MAX_PENALTY,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )
        check_integer(minimum=0, prompt_length=self.prompt_length)

    def probabilities(self, logits: torch.Tensor, previous_ids: torch.Tensor) -> torch.Tensor:
        """Compute the distribution to draw from.

        Parameters
        ----------
        logits
            Logits of the next token, (B, V).
        previous_ids
            All ids so far, prompt included, (B, N).

        Returns
        -------
        p : torch.Tensor
            The distribution, (B, V).
        """
        logits = penalize_counts(
            logits,
            previous_ids[:, self.prompt_length :],
            frequency=self.frequency_penalty,
            presence=self.presence_penalty,
        )
        log_p = super().probabilities(logits, previous_ids).log()  # (B, V)
        return filter_typical(log_p, self.typical_p).softmax(-1)

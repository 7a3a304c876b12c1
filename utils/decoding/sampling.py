"""Sampling from a language model, and the rules that shape the distribution.

Derived in section 6.2. Top-k: Fan et al. 2018. Top-p (nucleus sampling): Holtzman et al. 2020.
Min-p: Nguyen et al. 2024. Repetition penalty: Keskar et al. 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from utils.decoding.generation import generate
from utils.decoding.rules import TokenRules
from utils.models.contract import NextTokenModel, State


@dataclass(frozen=True)
class SamplingConfig:
    """The distribution that `sample` draws from; by default it is the model's.

    The options are applied in the order: repetition penalty, temperature, top-k, top-p, min-p.

    Parameters
    ----------
    temperature
        Divides the logits; below 1 the distribution is sharper, above 1 flatter.
    top_k
        The number of tokens to draw from, the most probable ones; None for all.
    top_p
        Draw from the fewest most probable tokens that have this probability together; 1 for all.
    min_p
        Draw from tokens at least this many times as probable as the best one; 0 for all.
    repetition_penalty
        Lowers the logits of tokens that the row contains, prompt included; 1 changes nothing, and
        a value below 1 favours repetition.

    Raises
    ------
    ValueError
        For a value outside its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ValueError(
                f"temperature must be positive, got {self.temperature}; for 0 use greedy_search()"
            )
        if self.top_k is not None:
            _check_top_k(self.top_k)
        _check_top_p(self.top_p)
        _check_min_p(self.min_p)
        _check_repetition_penalty(self.repetition_penalty)

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
        logits = penalize_repetition(logits, previous_ids, self.repetition_penalty)  # (B, V)
        logits = logits - logits.max(-1, keepdim=True).values  # no overflow at low temperatures
        logits = logits / self.temperature
        if self.top_k is not None:
            logits = filter_top_k(logits, self.top_k)
        return filter_min_p(filter_top_p(logits, self.top_p), self.min_p).softmax(-1)


@torch.inference_mode()
def sample(
    model: NextTokenModel,
    prompt: torch.Tensor,
    state: State = None,
    config: SamplingConfig | None = None,
    *,
    max_length: int = 100,
    min_length: int = 0,
    no_repeat_ngram_size: int | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Draw each next token at random, until EOS or `max_length` new tokens.

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS. Shorter prompts are padded with PAD at the
        end; each is continued from its own end.
    state
        The model's state before the prompt: that of ``model.encode(source)``, or None.
    config
        The distribution to draw from; None for that of the model.
    max_length
        The largest number of new tokens.
    min_length
        The least number of new tokens, before which EOS is ruled out.
    no_repeat_ngram_size
        A size n: no n-gram of a text, prompt included, is completed for the second time; None for
        no such rule.
    generator
        A generator on the CPU, where all drawing is done: with the same seed the tokens are the
        same on every device. By default torch's global generator.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        For a prompt that is not whole numbers (B, T ≥ 1) padded at the end, a state of another
        batch, a length that is negative or a minimum above the maximum, a vocabulary without EOS,
        or logits that are no distribution (NaN, +∞, or −∞ for every token).
    """
    distribution = config or SamplingConfig()

    def draw(logits: torch.Tensor, previous_ids: torch.Tensor) -> torch.Tensor:
        p = distribution.probabilities(logits.cpu().double(), previous_ids.cpu())  # (B, V)
        return p.multinomial(1, generator=generator)[:, 0].to(prompt.device)  # (B,)

    rules = TokenRules(min_length, no_repeat_ngram_size)
    return generate(model, prompt, state, choose_tokens=draw, max_length=max_length, rules=rules)


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
        If `top_k` is not a whole number from 1.
    """
    _check_top_k(top_k)
    indices = logits.topk(min(int(top_k), logits.shape[-1]), -1).indices  # (…, k)
    is_best = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, indices, True)  # (…, V)
    return _keep_only(logits, is_best)


def filter_top_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Filter by top-p: set all logits (…, V) to −∞ except those of the nucleus.

    The nucleus is the smallest set of most probable tokens whose total probability is at least
    `top_p`: a token belongs to it if the more probable ones have less than `top_p` together.

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
        If `top_p` is not above 0 and at most 1.
    """
    _check_top_p(top_p)
    if top_p == 1:
        return logits
    p, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)  # (…, V)
    is_in_nucleus = p.cumsum(-1) - p < top_p  # (…, V), in the order of probability
    return _keep_only(logits, torch.zeros_like(is_in_nucleus).scatter(-1, order, is_in_nucleus))


def filter_min_p(logits: torch.Tensor, min_p: float) -> torch.Tensor:
    """Filter by min-p: set all logits (…, V) to −∞ except those of probable tokens.

    These are the tokens at least `min_p` times as probable as the best one.

    Source: ``eq-min-p`` (section 6.2); Nguyen et al. 2024.

    Parameters
    ----------
    logits
        Logits, (…, V).
    min_p
        The least probability, as a fraction of the highest; 0 keeps all tokens.

    Returns
    -------
    logits : torch.Tensor
        The filtered logits, (…, V).

    Raises
    ------
    ValueError
        If `min_p` is not from 0 to 1.
    """
    _check_min_p(min_p)
    if min_p == 0:
        return logits
    highest = logits.max(-1, keepdim=True).values  # (…, 1)
    return _keep_only(logits, logits >= highest + math.log(min_p))


def penalize_repetition(
    logits: torch.Tensor, previous_ids: torch.Tensor, repetition_penalty: float
) -> torch.Tensor:
    """Lower the logits of tokens that have occurred.

    A positive logit is divided by the penalty and a negative one multiplied by it, once for a
    token, however often it occurred.

    Source: ``eq-repetition-penalty`` (section 6.2); Keskar et al. 2019, with the usual correction
    for negative logits.

    Parameters
    ----------
    logits
        Logits of the next token, (B, V).
    previous_ids
        The tokens that have occurred in each row, (B, N).
    repetition_penalty
        A positive number; 1 changes nothing.

    Returns
    -------
    logits : torch.Tensor
        The new logits, (B, V).

    Raises
    ------
    ValueError
        If the penalty is not positive and finite.
    """
    _check_repetition_penalty(repetition_penalty)
    previous = logits.gather(-1, previous_ids)  # (B, N)
    lowered = torch.where(
        previous > 0, previous / repetition_penalty, previous * repetition_penalty
    )
    return logits.scatter(-1, previous_ids, lowered)


def _keep_only(logits: torch.Tensor, is_kept: torch.Tensor) -> torch.Tensor:
    """Set the logits at which `is_kept` is False to −∞."""
    return logits.masked_fill(~is_kept, -math.inf)


def _check_top_k(top_k: int) -> None:
    """Raise ValueError unless `top_k` is a whole number from 1."""
    if not (1 <= top_k < math.inf and top_k == int(top_k)):
        raise ValueError(f"top_k must be a whole number from 1, got {top_k}")


def _check_top_p(top_p: float) -> None:
    """Raise ValueError unless 0 < `top_p` ≤ 1."""
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")


def _check_min_p(min_p: float) -> None:
    """Raise ValueError unless 0 ≤ `min_p` ≤ 1."""
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be from 0 to 1, got {min_p}")


def _check_repetition_penalty(repetition_penalty: float) -> None:
    """Raise ValueError unless the penalty is positive and finite."""
    if not 0 < repetition_penalty < math.inf:
        message = "repetition_penalty must be positive, above 1 to penalize"
        raise ValueError(f"{message}, got {repetition_penalty}")

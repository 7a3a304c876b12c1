"""Sampling from a language model, built in section 6.2.

``utils.decoding.filters`` and ``utils.decoding.penalties`` shape the distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from utils.arguments import check_integer, check_number, check_positive, if_given
from utils.contract import NextTokenModel, StateT
from utils.decoding.filters import filter_min_p, filter_top_k, filter_top_p, filter_typical
from utils.decoding.generation import NO_STATE, generate
from utils.decoding.penalties import (
    check_count_penalties,
    check_repetition_penalty,
    penalize_counts,
    penalize_repetition,
)
from utils.decoding.token_rules import TokenRules, check_logits_below_infinity


@dataclass(frozen=True)
class SamplingConfig:
    """The distribution that `sample` draws from, by default that of the model.

    The options are applied in the order: frequency and presence penalties, repetition penalty,
    temperature, top-k, top-p, min-p, typical sampling.

    Parameters
    ----------
    temperature
        Divides the logits; below 1 the distribution is sharper, above 1 flatter. It is positive:
        the limit 0 is `greedy_search`.
    top_k
        Draw from this many most probable tokens; None for all.
    top_p
        Draw from the smallest set of most probable tokens with at least this total probability; 1
        for all.
    min_p
        Draw from tokens at least this many times as probable as the most probable one; 0 for all.
    repetition_penalty
        Lowers the logits of tokens that the row contains, prompt included; 1 changes nothing, and
        a value below 1 favours repetition. It is from 10⁻⁶ to 10⁶.
    typical_p
        Draw from the tokens nearest to the entropy that have this probability together; 1 for all.
    frequency_penalty, presence_penalty
        What each occurrence of a token costs in nats, and what the first one costs in addition, as
        in `penalize_counts`; 0 for nothing.
    prompt_length
        How many tokens at the beginning of each row these two do not count.

    Raises
    ------
    ValueError
        If the temperature or `top_k` is not positive, `top_p`, `min_p` or `typical_p` is not a
        probability (`top_p` and `typical_p` above 0), a penalty is outside its range, or
        `prompt_length` is negative.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.sampling import SamplingConfig
    >>> logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    >>> previous_ids = torch.empty(1, 0, dtype=torch.int64)
    >>> SamplingConfig(top_k=2).probabilities(logits, previous_ids)
    tensor([[0.6250, 0.3750, 0.0000]])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    typical_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    prompt_length: int = 0

    def __post_init__(self) -> None:
        check_number(above=0, temperature=self.temperature)
        check_repetition_penalty(self.repetition_penalty)
        check_positive(**if_given(top_k=self.top_k))
        check_number(above=0, maximum=1, top_p=self.top_p, typical_p=self.typical_p)
        check_number(minimum=0, maximum=1, min_p=self.min_p)
        check_count_penalties(
            frequency_penalty=self.frequency_penalty, presence_penalty=self.presence_penalty
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

        Raises
        ------
        ValueError
            If the logits are no floating-point numbers below infinity, or, with a penalty,
            `previous_ids` does not have the rows of the logits or has an id that they lack.
        """
        check_logits_below_infinity(logits)
        if self.frequency_penalty or self.presence_penalty:
            logits = penalize_counts(
                logits,
                previous_ids[:, self.prompt_length :],
                frequency=self.frequency_penalty,
                presence=self.presence_penalty,
            )
        if self.repetition_penalty != 1:
            logits = penalize_repetition(logits, previous_ids, self.repetition_penalty)
        logits = logits - logits.max(-1, keepdim=True).values  # no overflow at low temperatures
        # torch divides half precision in float32, where a tiny temperature is 0 and a huge one ∞
        limits = torch.finfo(torch.promote_types(logits.dtype, torch.float32))
        logits = logits / min(max(self.temperature, limits.tiny), limits.max)
        if self.top_k is not None:
            logits = filter_top_k(logits, self.top_k)
        if self.top_p < 1:
            logits = filter_top_p(logits, self.top_p)
        if self.min_p > 0:
            logits = filter_min_p(logits, self.min_p)
        if self.typical_p < 1:
            logits = filter_typical(logits, self.typical_p)
        return logits.softmax(-1)  # (B, V)


@torch.inference_mode()
def sample(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT = NO_STATE,
    *,
    sampling: SamplingConfig = SamplingConfig(),
    max_length: int = 100,
    rules: TokenRules = TokenRules(),
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
        The model's state before the prompt: None for a language model that has read no tokens,
        ``model.begin(source)`` for an encoder–decoder.
    sampling
        The distribution to draw from; by default that of the model.
    max_length
        The maximum number of new tokens.
    rules
        Which tokens may come next: a minimum length, n-grams that may not occur twice; by default
        all except PAD and BOS.
    generator
        A generator on the CPU, where all tokens are drawn: the same seed gives the same tokens on
        every device. By default torch's global generator.

    Returns
    -------
    sequences : list of list of int
        The new ids of each of the B prompts, without EOS.

    Raises
    ------
    ValueError
        If the prompt is not ids of the vocabulary, (B, T ≥ 1), padded at the end, the state is
        missing or belongs to another batch, `max_length` is negative or below the minimum length,
        the vocabulary has no EOS, the logits define no distribution (NaN, +∞, or −∞ for every
        token), or the rules leave a text without a token.

    Examples
    --------
    >>> import torch
    >>> from utils.decoding.sampling import SamplingConfig, sample
    >>> from utils.models.ngram import NGramLM
    >>> from utils.models.ngram_counts import NGramCounts
    >>> sentences = [[4, 5, 2], [4, 5, 2], [4, 6, 2]]
    >>> model = NGramLM.mle(NGramCounts(sentences, order=2, vocab_size=7))
    >>> generator = torch.Generator().manual_seed(0)
    >>> sample(model, torch.tensor([[1]] * 6), generator=generator)
    [[4, 5], [4, 6], [4, 5], [4, 5], [4, 5], [4, 6]]
    >>> sample(model, torch.tensor([[1]] * 6), sampling=SamplingConfig(top_p=0.5))
    [[4, 5], [4, 5], [4, 5], [4, 5], [4, 5], [4, 5]]
    """

    def draw(logits: torch.Tensor, previous_ids: torch.Tensor) -> torch.Tensor:
        p = sampling.probabilities(logits.cpu().double(), previous_ids.cpu())  # (B, V)
        return p.multinomial(1, generator=generator)[:, 0].to(prompt.device)  # (B,)

    return generate(model, prompt, state, choose_tokens=draw, max_length=max_length, rules=rules)

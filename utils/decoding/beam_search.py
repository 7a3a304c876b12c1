"""Beam search for the most probable sequences.

Derived in section 3.2; the length penalty in section 5.2. Beam search for sequence models:
Sutskever et al. 2014. Length normalization: Wu et al. 2016. Bonus per token: Murray and Chiang
2018. Patience: Kasai et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, overload

import torch

from utils.decoding.generation import check_arguments, evaluating, prompt_lengths
from utils.decoding.prompt_search import Continuation, Hypothesis, PromptSearch
from utils.decoding.rules import TokenRules, allowed_logits
from utils.decoding.state import select_rows
from utils.models.contract import LanguageModel, NextTokenModel, StateT


@dataclass(frozen=True)
class BeamConfig:
    """The size of a beam search, its ranking of hypotheses, and when it ends.

    A hypothesis of n tokens, including EOS if it has ended, has the score
    ``log_prob / ((5 + n) / 6) ** alpha + token_bonus * n``.

    By default a search ends safely: when it has all hypotheses that it is to return, and no partial
    one can still overtake one of them. No continuation has a higher log-probability than the
    partial hypothesis itself, so that its score at the most favourable length up to the maximum is
    a bound. With ``alpha > 0`` the maximum counts: a small `max_length` gives an early end. A beam
    of 1 is greedy search, which ends with its first EOS.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016. ``eq-token-bonus`` (section 3.2);
    Murray and Chiang 2018. Patience: Kasai et al. 2024.

    Parameters
    ----------
    beam_size
        Beam size K: how many partial hypotheses each step keeps.
    alpha
        The exponent of the length penalty; 0 ranks by the log-probability itself.
    token_bonus
        Added to the score for each token.
    patience
        None for the safe end. A number ends a prompt's search as soon as it has at least ``patience
        * beam_size`` finished hypotheses, however good the partial ones are; 1 is the rule of many
        toolkits, which is faster and may miss longer hypotheses of higher score.
    num_hypotheses
        How many hypotheses are returned at most, from 1 to K; None for K. The safe end comes sooner
        with fewer.

    Raises
    ------
    ValueError
        If the beam size is not a whole number from 1, the number of hypotheses not one from 1 to
        that, the patience not positive, or `alpha` or `token_bonus` not a finite number.
    """

    beam_size: int = 5
    _: KW_ONLY
    alpha: float = 1.0
    token_bonus: float = 0.0
    patience: float | None = None
    num_hypotheses: int | None = None

    def __post_init__(self) -> None:
        size, count = self.beam_size, self.num_returned
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"beam_size must be a whole number from 1, got {size}")
        if isinstance(count, bool) or not isinstance(count, Integral) or not 1 <= count <= size:
            raise ValueError(
                f"num_hypotheses must be a whole number from 1 to beam_size, {size}, got {count}"
            )
        for name in ("alpha", "token_bonus"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")
        if self.patience is not None and not self.patience > 0:
            raise ValueError(
                f"patience must be positive, got {self.patience}; 1 ends with beam_size hypotheses"
            )

    @property
    def num_returned(self) -> int:
        """The number of hypotheses that are returned at most."""
        return self.beam_size if self.num_hypotheses is None else self.num_hypotheses

    def score(self, log_prob: float, length: int) -> float:
        """Compute the score by which hypotheses are ranked.

        Parameters
        ----------
        log_prob
            The log-probability of the hypothesis.
        length
            Its number n of tokens, including EOS if it has ended.

        Returns
        -------
        score : float
            The score; higher is better.
        """
        return log_prob / length_penalty(length, self.alpha) + self.token_bonus * length

    def highest_score(self, log_prob: float, shortest: int, longest: int) -> float:
        """Compute a bound of the scores of all hypotheses that continue a partial one.

        Parameters
        ----------
        log_prob
            The log-probability of the partial hypothesis, which no continuation exceeds.
        shortest, longest
            Bounds of the number of tokens of its continuations.

        Returns
        -------
        score : float
            No continuation has a higher score. Penalty and bonus are monotonic in the length, so
            that the ends of its range bound each of them.
        """
        lengths = (shortest, longest)
        quotient = max(log_prob / length_penalty(length, self.alpha) for length in lengths)
        return quotient + max(self.token_bonus * length for length in lengths)


def length_penalty(length: int, alpha: float) -> float:
    """Return the length penalty ((5 + length) / 6) ** alpha, which divides a log-probability.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016, eq. 14.

    Parameters
    ----------
    length
        The number of tokens, EOS included.
    alpha
        The exponent.

    Returns
    -------
    penalty : float
        The divisor.
    """
    return ((5 + length) / 6) ** alpha


@overload
def beam_search(
    model: LanguageModel[StateT],
    prompt: torch.Tensor,
    state: StateT | None = None,
    config: BeamConfig = ...,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[Hypothesis]]: ...


@overload
def beam_search(
    model: NextTokenModel[StateT],
    prompt: torch.Tensor,
    state: StateT,
    config: BeamConfig = ...,
    *,
    max_length: int = ...,
    min_length: int = ...,
    no_repeat_ngram_size: int | None = ...,
) -> list[list[Hypothesis]]: ...


@torch.inference_mode()
def beam_search(
    model: NextTokenModel[Any],
    prompt: torch.Tensor,
    state: Any = None,
    config: BeamConfig = BeamConfig(),
    *,
    max_length: int = 100,
    min_length: int = 0,
    no_repeat_ngram_size: int | None = None,
) -> list[list[Hypothesis]]:
    """Search for the hypotheses of highest score, keeping the best K after each token.

    Each step continues every partial hypothesis of a prompt by every token. Of the continuations,
    the K most probable that do not end in EOS are the next partial hypotheses; those that end in
    EOS and are among the K most probable are finished. A prompt's search ends when no partial
    hypothesis can overtake those that are returned (see `BeamConfig`, which has other rules too),
    or at `max_length` tokens, where the partial ones count as finished. All prompts are searched
    together.

    Source: ``eq-beam`` (section 3.2); Sutskever et al. 2014.

    Parameters
    ----------
    model
        A language model; it is in evaluation mode during the call.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS. Shorter prompts are padded with PAD at the
        end; each is continued from its own end.
    state
        The model's state before the prompt: of a language model None for no tokens, of an
        encoder–decoder that of ``model.encode(source)``.
    config
        The beam size K, the ranking and the end of the search.
    max_length
        The largest number of new tokens.
    min_length
        The least number of new tokens, before which EOS is ruled out.
    no_repeat_ngram_size
        A size n: no n-gram of a text, prompt included, is completed for the second time; None for
        no such rule.

    Returns
    -------
    hypotheses : list of list of Hypothesis
        For each of the B prompts at most K hypotheses, best first.

    Raises
    ------
    ValueError
        For a prompt that is not whole numbers (B, T ≥ 1) padded at the end, a state of another
        batch, a length that is negative or a minimum above the maximum, a vocabulary without EOS,
        logits that are no distribution (NaN, +∞, or −∞ for every token), or rules that leave a
        prompt no hypothesis.
    """
    rules = TokenRules(min_length, no_repeat_ngram_size)
    check_arguments(model, prompt, state, max_length=max_length, rules=rules)
    lengths = prompt_lengths(prompt)
    T = min(lengths, default=0)  # the first call reads what all prompts have
    searches = [
        PromptSearch(config, forced_tokens=row[T:length], max_length=max_length)
        for row, length in zip(prompt.tolist(), lengths, strict=True)
    ]
    ids = all_ids = prompt[:, :T].long()
    with evaluating(model):
        while active := [search for search in searches if search.beam]:
            logits, state = model(ids, state)  # (R·K, T, V), R active prompts
            ranked = _best_continuations(logits[:, -1], all_ids, active, rules)
            rows = _advance(active, ranked).to(prompt.device)  # (R·K,)
            state, all_ids = select_rows(state, rows), all_ids[rows]
            last_tokens = [token for search in active if search.beam for token in search.next_ids]
            ids = torch.tensor(last_tokens, device=prompt.device)[:, None]  # (R·K, 1)
            all_ids = torch.cat([all_ids, ids], 1)
    return [_hypotheses(search, rules) for search in searches]


def _best_continuations(
    logits: torch.Tensor,
    all_ids: torch.Tensor,
    searches: Sequence[PromptSearch],
    rules: TokenRules,
) -> list[list[Continuation]]:
    """Return the best 2 · `beam_size` continuations of each of R prompts, best first.

    `logits` (R·K, V) follow `all_ids` (R·K, N). Twice the beam size is enough: at most K of the
    continuations end in EOS, one for each hypothesis. What the rules forbid has probability 0; the
    other tokens keep the probabilities of the model.
    """
    # mps has no float64
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64
    R, K, V = len(searches), len(searches[0].beam), logits.shape[-1]
    token_log_probs = allowed_logits(logits).to(dtype).log_softmax(-1)  # (R·K, V)
    new_lengths = [search.length for search in searches for _ in search.beam]
    token_log_probs = rules.apply(token_log_probs, all_ids, new_lengths).view(R, K, V)
    log_probs = [search.log_probs() for search in searches]
    partial_log_probs = torch.tensor(log_probs, dtype=dtype, device=logits.device)  # (R, K)
    totals = (partial_log_probs[:, :, None] + token_log_probs).view(R, K * V)
    count = min(2 * searches[0].options.beam_size, K * V)
    best, indices = totals.topk(count, -1)  # (R, count)
    return [
        [Continuation(log_prob, *divmod(i, V)) for log_prob, i in zip(*row, strict=True)]
        for row in zip(best.tolist(), indices.tolist(), strict=True)
    ]


def _advance(
    searches: Sequence[PromptSearch], ranked: Sequence[Sequence[Continuation]]
) -> torch.Tensor:
    """Advance all searches, and return the batch row of each new hypothesis's parent, (R·K,)."""
    K = len(searches[0].beam)  # rows of each search in the batch that was read
    for search, continuations in zip(searches, ranked, strict=True):
        search.advance(continuations)
    rows = [i * K + partial.parent for i, search in enumerate(searches) for partial in search.beam]
    return torch.tensor(rows, dtype=torch.int64)


def _hypotheses(search: PromptSearch, rules: TokenRules) -> list[Hypothesis]:
    """Return the hypotheses of a search that has ended, best first."""
    if not search.finished:
        raise rules.no_token_error()
    return search.finished

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
from typing import NamedTuple

import torch

from utils.data.vocabulary import EOS
from utils.decoding.generation import allowed_logits, check_prompt
from utils.decoding.state import select_rows
from utils.models.contract import NextTokenModel, State


@dataclass(frozen=True)
class BeamConfig:
    """The size of a beam search, its ranking of hypotheses, and when it ends.

    A hypothesis of n tokens, including EOS if it has ended, has the score
    ``log_prob / ((5 + n) / 6) ** alpha + token_bonus * n``.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016. ``eq-token-bonus`` (section 3.2);
    Murray and Chiang 2018. Patience: Kasai et al. 2024.

    Parameters
    ----------
    beam_size
        Beam size K: how many partial hypotheses each step keeps, and how many finished ones are
        returned at most.
    alpha
        The exponent of the length penalty; 0 ranks by the log-probability itself.
    token_bonus
        Added to the score for each token.
    patience
        A prompt's search ends when it has at least ``patience * beam_size`` finished hypotheses. A
        larger value searches longer, for longer hypotheses.

    Raises
    ------
    ValueError
        If the beam size is not a whole number from 1, the patience not positive, or `alpha` or
        `token_bonus` not a finite number.
    """

    beam_size: int = 5
    _: KW_ONLY
    alpha: float = 1.0
    token_bonus: float = 0.0
    patience: float = 1.0

    def __post_init__(self) -> None:
        size = self.beam_size
        if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
            raise ValueError(f"beam_size must be a whole number from 1, got {size}")
        for name in ("alpha", "token_bonus"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")
        if not self.patience > 0:
            raise ValueError(
                f"patience must be positive, got {self.patience}; 1 ends with beam_size hypotheses"
            )

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


@dataclass(frozen=True)
class Hypothesis:
    """One result of beam search.

    Parameters
    ----------
    ids
        Its new tokens, without EOS.
    log_prob
        Its log-probability, EOS included, where tokens that are never generated have probability 0.
    score
        Its score in the ranking (`BeamConfig.score`).
    """

    ids: list[int]
    log_prob: float
    score: float


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


@torch.inference_mode()
def beam_search(
    model: NextTokenModel,
    prompt: torch.Tensor,
    state: State = None,
    config: BeamConfig = BeamConfig(),
    *,
    max_length: int = 100,
) -> list[list[Hypothesis]]:
    """Search for the hypotheses of highest score, keeping the best K after each token.

    Each step continues every partial hypothesis of a prompt by every token. Of the continuations,
    the K most probable that do not end in EOS are the next partial hypotheses; those that end in
    EOS and are among the K most probable are finished. A prompt's search ends once it has
    ``patience * K`` finished hypotheses, or at `max_length` tokens, where the partial ones count as
    finished. A search may thus end before a longer hypothesis of higher score is complete; more
    patience makes that less likely. All prompts are searched together.

    Source: ``eq-beam`` (section 3.2); Sutskever et al. 2014.

    Parameters
    ----------
    model
        A language model in evaluation mode.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS.
    state
        The model's state before the prompt: that of ``model.encode(source)``, or None.
    config
        The beam size K, the ranking and the patience.
    max_length
        The largest number of new tokens.

    Returns
    -------
    hypotheses : list of list of Hypothesis
        For each of the B prompts at most K hypotheses, best first.

    Raises
    ------
    ValueError
        For a prompt that is not (B, T ≥ 1), a negative `max_length`, or a vocabulary without EOS.
    """
    check_prompt(prompt, max_length)
    searches = [_PromptSearch(config) for _ in prompt]
    active = searches
    ids = prompt
    for _ in range(max_length):
        if not active:
            break
        logits, state = model(ids, state)  # (R·K, T, V), R active prompts
        log_probs = [search.log_probs() for search in active]
        ranked = _best_continuations(allowed_logits(logits[:, -1]), log_probs, config.beam_size)
        for search, continuations in zip(active, ranked, strict=True):
            search.advance(continuations)
        rows = _rows_to_continue(active, len(log_probs[0])).to(prompt.device)
        state = select_rows(state, rows)
        active = [search for search in active if search.beam]
        last_tokens = [[partial.ids[-1]] for search in active for partial in search.beam]
        ids = torch.tensor(last_tokens, device=prompt.device)  # (R·K, 1)
    return [search.ranked_hypotheses() for search in searches]


class _PartialHypothesis(NamedTuple):
    """Tokens without EOS, their log p, and the position in the last beam of what they continue."""

    ids: tuple[int, ...]
    log_prob: float
    parent: int


class _Continuation(NamedTuple):
    """A partial hypothesis, by its position in the beam, and one more token; the new log p."""

    log_prob: float
    parent: int
    token: int


class _PromptSearch:
    """The search after one prompt: its partial hypotheses and its finished ones."""

    def __init__(self, config: BeamConfig) -> None:
        self.config = config
        self.length = 0  # tokens of each partial hypothesis
        self.beam = [_PartialHypothesis((), 0.0, 0)]  # empty when the search has ended
        self.finished: list[Hypothesis] = []

    def log_probs(self) -> list[float]:
        """Return log p of each hypothesis of the beam."""
        return [partial.log_prob for partial in self.beam]

    def advance(self, continuations: Sequence[_Continuation]) -> None:
        """Replace the beam by the best of its continuations, given best first."""
        self.length += 1
        beam_size = self.config.beam_size
        beam: list[_PartialHypothesis] = []
        for rank, (log_prob, parent, token) in enumerate(continuations):
            if log_prob == -math.inf or len(beam) == beam_size:
                break
            ids = self.beam[parent].ids
            if token != EOS:
                beam.append(_PartialHypothesis((*ids, token), log_prob, parent))
            elif rank < beam_size:
                self._finish(ids, log_prob)
        if beam:  # fillers, which are never continued, give all prompts K rows of the batch
            filler = beam[0]._replace(log_prob=-math.inf)
            beam += [filler] * (beam_size - len(beam))
        is_over = len(self.finished) >= self.config.patience * beam_size
        self.beam = [] if is_over else beam

    def ranked_hypotheses(self) -> list[Hypothesis]:
        """Return the best hypotheses, best first; those of the beam count as they are."""
        for partial in self.beam:
            if partial.log_prob > -math.inf:
                self._finish(partial.ids, partial.log_prob)
        ranked = sorted(self.finished, key=lambda hypothesis: -hypothesis.score)
        return ranked[: self.config.beam_size]

    def _finish(self, ids: tuple[int, ...], log_prob: float) -> None:
        """Record a hypothesis that has as many tokens as steps were made, EOS included."""
        score = self.config.score(log_prob, self.length)
        self.finished.append(Hypothesis(list(ids), log_prob, score))


def _best_continuations(
    logits: torch.Tensor, log_probs: list[list[float]], beam_size: int
) -> list[list[_Continuation]]:
    """Return the best 2 · `beam_size` continuations of each of R prompts, best first.

    `logits` (R·K, V) follow the hypotheses whose `log_probs` are (R, K). Twice the beam size is
    enough: at most K ≤ `beam_size` continuations end in EOS, one for each hypothesis.
    """
    # mps has no float64
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64
    num_prompts, K, V = len(log_probs), len(log_probs[0]), logits.shape[-1]
    token_log_probs = logits.to(dtype).log_softmax(-1).view(num_prompts, K, V)
    partial_log_probs = torch.tensor(log_probs, dtype=dtype, device=logits.device)  # (R, K)
    totals = (partial_log_probs[:, :, None] + token_log_probs).view(num_prompts, K * V)
    best, indices = totals.topk(min(2 * beam_size, K * V), -1)  # (R, 2·beam_size)
    return [
        [_Continuation(log_prob, *divmod(i, V)) for log_prob, i in zip(*row, strict=True)]
        for row in zip(best.tolist(), indices.tolist(), strict=True)
    ]


def _rows_to_continue(searches: Sequence[_PromptSearch], K: int) -> torch.Tensor:
    """Return the batch row of each hypothesis's parent, where each search had K rows: (R·K,)."""
    rows = [i * K + partial.parent for i, search in enumerate(searches) for partial in search.beam]
    return torch.tensor(rows, dtype=torch.int64)

"""Greedy search and beam search for the most probable text.

Derived in sections 3.2 (beam search) and 5.2 (greedy search, length penalty). Beam search for
sequence models: Sutskever et al. 2014. Length normalization: Wu et al. 2016. Bonus per token:
Murray and Chiang 2018. Patience: Kasai et al. 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import NamedTuple

import torch

from utils.data.vocabulary import EOS
from utils.decoding.generation import allowed_logits, check_prompt, generate
from utils.decoding.state import select_rows
from utils.models.contract import LanguageModel, State


@torch.inference_mode()
def greedy(
    model: LanguageModel, prompt: torch.Tensor, state: State = None, *, max_length: int = 100
) -> list[list[int]]:
    """Decode greedily: choose the most probable next token, until EOS or `max_length` tokens.

    Source: ``eq-greedy`` (section 5.2).

    Parameters
    ----------
    model
        A language model in evaluation mode.
    prompt
        Ids (B, T) with T ≥ 1, such as a column of BOS.
    state
        The model's state before the prompt: that of ``model.encode(source)``, or None.
    max_length
        The largest number of tokens of an answer.

    Returns
    -------
    list of list of int
        B answers, without prompt and EOS.

    Raises
    ------
    ValueError
        For a prompt that is not (B, T ≥ 1), a negative `max_length`, or a vocabulary without EOS.
    """
    return generate(
        model,
        prompt,
        state,
        choose_tokens=lambda logits, _: logits.argmax(-1),
        max_length=max_length,
    )


@dataclass(frozen=True)
class BeamConfig:
    """How beam search proceeds and how it ranks its answers.

    An answer of n tokens, including EOS if it has ended, has the score
    ``log_prob / ((5 + n) / 6) ** alpha + token_bonus * n``.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016. ``eq-token-bonus`` (section 3.2);
    Murray and Chiang 2018. Patience: Kasai et al. 2024.

    Parameters
    ----------
    beam_size
        Beam size K: how many hypotheses each step keeps, and how many answers are returned at most.
    alpha
        The exponent of the length penalty; 0 ranks by the log-probability itself.
    token_bonus
        Added to the score for each token.
    patience
        A prompt's search ends when it has at least ``patience * beam_size`` answers. A larger value
        searches longer, for longer answers.

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
                f"patience must be positive, got {self.patience}; 1 ends with beam_size answers"
            )

    def score(self, log_prob: float, length: int) -> float:
        """Return the score of an answer of `length` tokens, EOS included."""
        return log_prob / length_penalty(length, self.alpha) + self.token_bonus * length


@dataclass(frozen=True)
class Hypothesis:
    """One answer of beam search.

    Parameters
    ----------
    ids
        Its tokens, without EOS.
    log_prob
        Its log-probability, EOS included, where tokens that are never generated have probability 0.
    score
        Score in the ranking (`BeamConfig.score`).
    """

    ids: list[int]
    log_prob: float
    score: float


def length_penalty(length: int, alpha: float) -> float:
    """Return the length penalty ((5 + length) / 6) ** alpha, which divides a log-probability.

    Source: ``eq-length-penalty`` (section 5.2); Wu et al. 2016, eq. 14.

    Parameters
    ----------
    length, alpha
        The number of tokens, EOS included, and the exponent.

    Returns
    -------
    float
        The penalty.
    """
    return ((5 + length) / 6) ** alpha


@torch.inference_mode()
def beam_search(
    model: LanguageModel,
    prompt: torch.Tensor,
    state: State = None,
    config: BeamConfig = BeamConfig(),
    *,
    max_length: int = 100,
) -> list[list[Hypothesis]]:
    """Search for the answers of highest score, keeping the best K hypotheses after each token.

    Each step continues every open hypothesis of a prompt by every token. Of the continuations, the
    K most probable that do not end in EOS stay open; those that end in EOS and are among the K most
    probable are answers. A prompt's search ends once it has ``patience * K`` answers, or at
    `max_length` tokens, where the open hypotheses become answers as they are. A search may thus end
    before a longer answer of higher score is complete; more patience makes that less likely. All
    prompts are searched together.

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
        The largest number of tokens of an answer.

    Returns
    -------
    list of list of Hypothesis
        For each of the B prompts its answers, at most K, best first.

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
        last_tokens = [[text.ids[-1]] for search in active for text in search.beam]
        ids = torch.tensor(last_tokens, device=prompt.device)  # (R·K, 1)
    return [search.results() for search in searches]


class _Continuation(NamedTuple):
    """An open text and one more token: the text's position in the beam, and the new log p."""

    log_prob: float
    parent: int
    token: int


class _OpenText(NamedTuple):
    """A text without EOS, its log p, and the position in the beam of the text it continues."""

    ids: tuple[int, ...]
    log_prob: float
    parent: int


class _PromptSearch:
    """The search for the answers to one prompt: its open texts and its answers."""

    def __init__(self, config: BeamConfig) -> None:
        self.config = config
        self.length = 0  # tokens of each open text
        self.beam = [_OpenText((), 0.0, 0)]  # empty when the search has ended
        self.answers: list[Hypothesis] = []

    def log_probs(self) -> list[float]:
        """Return log p of each text of the beam."""
        return [text.log_prob for text in self.beam]

    def advance(self, continuations: Sequence[_Continuation]) -> None:
        """Replace the beam by the best of its continuations, given best first."""
        self.length += 1
        beam_size = self.config.beam_size
        beam: list[_OpenText] = []
        for rank, (log_prob, parent, token) in enumerate(continuations):
            if log_prob == -math.inf or len(beam) == beam_size:
                break
            ids = self.beam[parent].ids
            if token != EOS:
                beam.append(_OpenText((*ids, token), log_prob, parent))
            elif rank < beam_size:
                self._add_answer(ids, log_prob)
        if beam:  # fillers, which are never continued, give all prompts K rows of the batch
            filler = beam[0]._replace(log_prob=-math.inf)
            beam += [filler] * (beam_size - len(beam))
        is_over = len(self.answers) >= self.config.patience * beam_size
        self.beam = [] if is_over else beam

    def results(self) -> list[Hypothesis]:
        """Return the answers, best first; texts that are still open are answers as they are."""
        for text in self.beam:
            if text.log_prob > -math.inf:
                self._add_answer(text.ids, text.log_prob)
        ranked = sorted(self.answers, key=lambda answer: -answer.score)
        return ranked[: self.config.beam_size]

    def _add_answer(self, ids: tuple[int, ...], log_prob: float) -> None:
        """Record an answer that has as many tokens as steps were made, EOS included."""
        score = self.config.score(log_prob, self.length)
        self.answers.append(Hypothesis(list(ids), log_prob, score))


def _best_continuations(
    logits: torch.Tensor, log_probs: list[list[float]], beam_size: int
) -> list[list[_Continuation]]:
    """Return the best 2 · `beam_size` continuations of each of R prompts, best first.

    `logits` (R·K, V) follow the texts whose `log_probs` are (R, K). Twice the beam size is enough:
    at most K ≤ `beam_size` continuations end in EOS, one for each text.
    """
    # mps has no float64
    dtype = torch.float32 if logits.device.type == "mps" else torch.float64
    R, K, V = len(log_probs), len(log_probs[0]), logits.shape[-1]
    token_log_probs = logits.to(dtype).log_softmax(-1).view(R, K, V)
    text_log_probs = torch.tensor(log_probs, dtype=dtype, device=logits.device)  # (R, K)
    totals = (text_log_probs[:, :, None] + token_log_probs).view(R, K * V)
    best, indices = totals.topk(min(2 * beam_size, K * V), -1)  # (R, 2·beam_size)
    return [
        [_Continuation(log_prob, *divmod(i, V)) for log_prob, i in zip(*row, strict=True)]
        for row in zip(best.tolist(), indices.tolist(), strict=True)
    ]


def _rows_to_continue(searches: Sequence[_PromptSearch], K: int) -> torch.Tensor:
    """Return the batch row of each open text's parent, where each search had K rows: (R·K,)."""
    rows = [r * K + text.parent for r, search in enumerate(searches) for text in search.beam]
    return torch.tensor(rows, dtype=torch.int64)

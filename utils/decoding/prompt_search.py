"""The part of beam search that concerns one prompt: its hypotheses, and when its search ends.

``utils.decoding.beam_search`` runs one such search for each prompt of a batch. It computes the
best continuations, this module decides what becomes of them. Built in section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from utils.data.vocabulary import EOS


class SearchOptions(Protocol):
    """What a search needs to know, as read-only attributes and two functions."""

    @property
    def beam_size(self) -> int:
        """The number K of partial hypotheses."""
        ...

    @property
    def num_returned(self) -> int:
        """The number of finished hypotheses that are returned at most."""
        ...

    @property
    def patience(self) -> float | None:
        """End with ``patience * beam_size`` finished hypotheses; None for the safe end."""
        ...

    def score(self, log_prob: float, length: int) -> float:
        """Compute the score by which hypotheses are ranked.

        Parameters
        ----------
        log_prob
            The log-probability of the hypothesis.
        length
            Its number of tokens.

        Returns
        -------
        score : float
            Higher is better.
        """
        ...

    def highest_score(self, log_prob: float, shortest: int, longest: int) -> float:
        """Compute a bound of the scores of all hypotheses that continue a partial one.

        Parameters
        ----------
        log_prob
            The log-probability of the partial hypothesis, which no continuation exceeds.
        shortest, longest
            The smallest and the largest length of a continuation.

        Returns
        -------
        score : float
            No continuation scores higher.
        """
        ...


class Continuation(NamedTuple):
    """A partial hypothesis and one more token.

    Parameters
    ----------
    log_prob
        The log-probability of both together.
    parent
        The position of the partial hypothesis in the beam.
    token
        The token.
    """

    log_prob: float
    parent: int
    token: int


class PartialHypothesis(NamedTuple):
    """A hypothesis that has not ended.

    Parameters
    ----------
    ids
        Its new tokens, without EOS.
    log_prob
        Its log-probability.
    parent
        The position in the last beam of the hypothesis that it continues.
    """

    ids: tuple[int, ...]
    log_prob: float
    parent: int


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
        Its score in the ranking (``BeamConfig.score``).
    """

    ids: list[int]
    log_prob: float
    score: float


class PromptSearch:
    """The search after one prompt: its partial hypotheses and its finished ones.

    Parameters
    ----------
    options
        The size of the beam, the ranking and the end of the search.
    forced_tokens
        The rest of the prompt, which the model reads token by token before the search begins.
    max_length
        The largest number of new tokens.

    Attributes
    ----------
    length : int
        The number of new tokens of each partial hypothesis.
    beam : list of PartialHypothesis
        The partial hypotheses: one at first, K after the first step; empty when the search has
        ended. Those of log p = −∞ only fill the beam, so that all prompts have K rows in a batch.
    next_ids : list of int
        The token that the model reads next, for each hypothesis of the beam.
    finished : list of Hypothesis
        The best finished hypotheses, best first.
    """

    def __init__(
        self, options: SearchOptions, *, forced_tokens: Sequence[int] = (), max_length: int
    ) -> None:
        self.options = options
        self.max_length = max_length
        self.length = 0
        self.beam = [PartialHypothesis((), 0.0, 0)]
        self.next_ids: list[int] = []
        self.finished: list[Hypothesis] = []
        self._num_finished = 0
        self._forced_tokens = list(forced_tokens)
        if max_length == 0:
            self._finish_beam()

    def log_probs(self) -> list[float]:
        """Return log p of each hypothesis of the beam."""
        return [partial.log_prob for partial in self.beam]

    def advance(self, continuations: Sequence[Continuation]) -> None:
        """Replace the beam by the best of its continuations, given best first.

        While the prompt has further tokens, the continuation is the next of them instead.
        """
        if self._forced_tokens:
            self._set_beam([self.beam[0]._replace(parent=0)])
            self.next_ids = [self._forced_tokens.pop(0)] * len(self.beam)
            return
        self.length += 1
        beam: list[PartialHypothesis] = []
        for rank, (log_prob, parent, token) in enumerate(continuations):
            if log_prob == -math.inf or len(beam) == self.options.beam_size:
                break
            ids = self.beam[parent].ids
            if token != EOS:
                beam.append(PartialHypothesis((*ids, token), log_prob, parent))
            elif rank < self.options.beam_size:
                self._finish(ids, log_prob)
        self._set_beam(beam)
        self.next_ids = [partial.ids[-1] for partial in self.beam]
        if self.length == self.max_length:
            self._finish_beam()
        elif self._is_over():
            self.beam = []

    def _set_beam(self, beam: list[PartialHypothesis]) -> None:
        """Replace the beam by these hypotheses, and fill it up to K."""
        fillers = [partial._replace(log_prob=-math.inf) for partial in beam[:1]]
        self.beam = beam + fillers * (self.options.beam_size - len(beam))

    def _is_over(self) -> bool:
        """Whether no open hypothesis is worth another step."""
        if not self.beam:
            return True
        options = self.options
        if options.patience is not None:
            return self._num_finished >= options.patience * options.beam_size
        if options.beam_size == 1:  # greedy search
            return self._num_finished > 0
        if len(self.finished) < options.num_returned:
            return False
        # all have one length, so that the most probable has the highest bound
        bound = options.highest_score(self.beam[0].log_prob, self.length + 1, self.max_length)
        return self.finished[-1].score >= bound

    def _finish_beam(self) -> None:
        """Let the partial hypotheses count as finished, and end the search."""
        for partial in self.beam:
            if partial.log_prob > -math.inf:
                self._finish(partial.ids, partial.log_prob)
        self.beam = []

    def _finish(self, ids: tuple[int, ...], log_prob: float) -> None:
        """Record a hypothesis that has as many tokens as steps were made, EOS included."""
        score = self.options.score(log_prob, self.length)
        self._num_finished += 1
        self.finished.append(Hypothesis(list(ids), log_prob, score))
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)  # equal ones in their order
        del self.finished[self.options.num_returned :]

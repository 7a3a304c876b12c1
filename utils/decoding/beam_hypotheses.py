"""The hypotheses of beam search after one prompt, and the rules by which its search ends.

``utils.decoding.beam_search`` computes the most probable continuations for each prompt of a batch;
`BeamHypotheses` keeps them, finishes them or discards them. Built in section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from utils.data.vocabulary import EOS
from utils.decoding.beam_config import BeamConfig


class Continuation(NamedTuple):
    """A partial hypothesis, extended by one token.

    Parameters
    ----------
    log_prob
        The log-probability including the token.
    parent
        The index of the partial hypothesis in the beam.
    token
        The new token.
    """

    log_prob: float
    parent: int
    token: int


class PartialHypothesis(NamedTuple):
    """A hypothesis that has not ended.

    Parameters
    ----------
    ids
        Its new tokens.
    log_prob
        Its log-probability.
    parent
        The index, in the previous beam, of the hypothesis that it continues.
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
        Its score in the ranking, ``BeamConfig.score``.
    """

    ids: list[int]
    log_prob: float
    score: float


class BeamHypotheses:
    """The partial hypotheses after one prompt, which are its beam, and the finished ones.

    Parameters
    ----------
    config
        The size of the beam, the ranking and the end of the search.
    forced_tokens
        The rest of the prompt, which the model reads token by token before the search begins.
    max_length
        The maximum number of new tokens.

    Attributes
    ----------
    length : int
        The number of new tokens of each partial hypothesis.
    beam : list of PartialHypothesis
        The partial hypotheses: one at first, K after the first step; empty when the search has
        ended. Those with log p = −∞ only fill the beam, so that each prompt has K rows of a batch.
    next_ids : list of int
        The token that the model reads next, for each hypothesis of the beam.
    finished : list of Hypothesis
        The best finished hypotheses, best first.
    """

    def __init__(
        self, config: BeamConfig, *, forced_tokens: Sequence[int] = (), max_length: int
    ) -> None:
        self.config = config
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
        """Return the log-probability of each hypothesis of the beam."""
        return [partial.log_prob for partial in self.beam]

    def advance(self, continuations: Sequence[Continuation]) -> None:
        """Replace the beam with the best of its continuations, which are given best first.

        While tokens of the prompt remain, the beam is extended by the next of them instead.
        """
        if self._forced_tokens:
            self._set_beam([self.beam[0]._replace(parent=0)])
            self.next_ids = [self._forced_tokens.pop(0)] * len(self.beam)
            return
        self.length += 1
        beam: list[PartialHypothesis] = []
        for rank, (log_prob, parent, token) in enumerate(continuations):
            if log_prob == -math.inf or len(beam) == self.config.beam_size:
                break
            ids = self.beam[parent].ids
            if token != EOS:
                beam.append(PartialHypothesis((*ids, token), log_prob, parent))
            elif rank < self.config.beam_size:
                self._finish(ids, log_prob)
        self._set_beam(beam)
        self.next_ids = [partial.ids[-1] for partial in self.beam]
        if self.length == self.max_length:
            self._finish_beam()
        elif self._is_over():
            self.beam = []

    def _set_beam(self, beam: list[PartialHypothesis]) -> None:
        """Replace the beam with these hypotheses, filled up to K."""
        fillers = [partial._replace(log_prob=-math.inf) for partial in beam[:1]]
        self.beam = beam + fillers * (self.config.beam_size - len(beam))

    def _is_over(self) -> bool:
        """Whether the search ends here: by patience, or because no partial hypothesis can win."""
        if not self.beam:
            return True
        config = self.config
        if config.patience is not None:
            return self._num_finished >= config.patience * config.beam_size
        if config.beam_size == 1:  # greedy search
            return self._num_finished > 0
        if len(self.finished) < config.num_returned:
            return False
        # all have the same length, so the most probable has the highest bound
        bound = config.highest_score(self.beam[0].log_prob, self.length + 1, self.max_length)
        return self.finished[-1].score >= bound

    def _finish_beam(self) -> None:
        """Finish all partial hypotheses and end the search."""
        for partial in self.beam:
            if partial.log_prob > -math.inf:
                self._finish(partial.ids, partial.log_prob)
        self.beam = []

    def _finish(self, ids: tuple[int, ...], log_prob: float) -> None:
        """Record a finished hypothesis of `length` tokens, EOS included."""
        score = self.config.score(log_prob, self.length)
        self._num_finished += 1
        self.finished.append(Hypothesis(list(ids), log_prob, score))
        self.finished.sort(key=lambda hypothesis: -hypothesis.score)  # stable
        del self.finished[self.config.num_returned :]

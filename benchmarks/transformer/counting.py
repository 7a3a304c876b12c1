"""Masked letters predicted by counts of their two neighbours: the baseline without a network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from utils.data.batches import IGNORE_INDEX, Batch

EDGE = -1  # the neighbour of the first and of the last letter
ITERATIONS = 20

Place = tuple[Hashable, ...]


def contexts(left: int, right: int) -> tuple[Place, ...]:
    """Return what a letter is counted by: nothing, its left, its right, both neighbours."""
    return ((), ("left", left), ("right", right), ("both", left, right))


class NeighbourCounts:
    """A mixture of the frequencies of a letter given nothing, one and both of its neighbours.

    Parameters
    ----------
    rows
        The words to count.
    vocab_size
        The size of the vocabulary; the mixture has a uniform part, so that nothing is impossible.
    """

    def __init__(self, rows: Iterable[Sequence[int]], *, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.counts: dict[Place, Counter[int]] = defaultdict(Counter)
        for row in rows:
            padded = [EDGE, *row, EDGE]
            for left, letter, right in zip(padded, row, padded[2:], strict=False):
                for context in contexts(left, right):
                    self.counts[context][letter] += 1
        self.totals = {context: counter.total() for context, counter in self.counts.items()}
        self.weights = np.full(5, 0.2)

    def parts(self, left: int, letter: int, right: int) -> list[float]:
        """Return the probabilities of a letter: uniform, by frequency, left, right and both."""
        found = contexts(left, right)
        return [1 / self.vocab_size] + [
            self.counts[c][letter] / self.totals[c] if c in self.totals else 0.0 for c in found
        ]

    def fit(self, batches: Iterable[Batch]) -> None:
        """Choose the weights of the mixture by expectation maximization on masked words."""
        table = np.array([self.parts(*place) for place in masked_places(batches)])
        for _ in range(ITERATIONS):
            shares = table * self.weights
            self.weights = (shares / shares.sum(1, keepdims=True)).mean(0)

    def loss(self, batches: Iterable[Batch]) -> float:
        """Return the mean negative log-likelihood of the masked letters, in nats."""
        table = np.array([self.parts(*place) for place in masked_places(batches)])
        return float(-np.log(table @ self.weights).mean())


def masked_places(batches: Iterable[Batch]) -> list[tuple[int, int, int]]:
    """List the masked letters of batches with their neighbours.

    A masked neighbour stays masked, as the network sees it.

    Parameters
    ----------
    batches
        Masked words.

    Returns
    -------
    places : list of tuple
        Left neighbour, masked letter, right neighbour; EDGE outside the word.
    """
    places = []
    for batch in batches:
        for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            ends = [EDGE, *(i or EDGE for i in inputs), EDGE]  # padding is 0
            places += [
                (ends[t], letter, ends[t + 2])
                for t, letter in enumerate(targets)
                if letter != IGNORE_INDEX
            ]
    return places

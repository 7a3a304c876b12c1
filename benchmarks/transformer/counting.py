"""Masked letters predicted by counts of their neighbours: the baselines without a network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from utils.data.batches import IGNORE_INDEX, Batch

EDGE = -1  # the neighbour of the first and of the last letter
ITERATIONS = 50

Place = tuple[tuple[int, int], int, tuple[int, int]]  # neighbours in the order of the text
Sizes = tuple[int, int]  # how many neighbours to the left and to the right are known

NARROW: tuple[tuple[Sizes, ...], ...] = (
    ((0, 0), (1, 0), (1, 1)),
    ((0, 0), (0, 1), (1, 1)),
)
WIDE = (
    *NARROW,
    ((0, 0), (1, 0), (2, 0)),
    ((0, 0), (0, 1), (0, 2)),
    ((0, 0), (1, 0), (1, 1), (2, 1)),
    ((0, 0), (0, 1), (1, 1), (1, 2)),
    ((0, 0), (1, 0), (1, 1), (2, 1), (2, 2)),
    ((0, 0), (0, 1), (1, 1), (1, 2), (2, 2)),
)
FREQUENCY = (((0, 0),),)


class NeighbourCounts:
    """A mixture of chains, each of which counts letters by more and more of their neighbours.

    Within a chain, Witten and Bell's rule mixes each count with the link before it: a context that
    was seen n times, with u different letters, gets the weight n / (n + u), an unseen one 0. The
    first link is mixed with the uniform distribution. Each chain is a probability distribution for
    any neighbours, and so is the mixture.

    Parameters
    ----------
    rows
        The words to count.
    vocab_size
        The size of the vocabulary.
    chains
        For each chain, the numbers of neighbours to the left and right in its links.
    """

    def __init__(
        self,
        rows: Iterable[Sequence[int]],
        *,
        vocab_size: int,
        chains: Sequence[Sequence[Sizes]] = WIDE,
    ) -> None:
        self.vocab_size, self.chains = vocab_size, chains
        self.counts: dict[object, Counter[int]] = defaultdict(Counter)
        links = {sizes for chain in chains for sizes in chain}
        for row in rows:
            for left, letter, right in _places(row, row):
                for sizes in links:
                    self.counts[_context(sizes, left, right)][letter] += 1
        self.weights = np.full(len(chains), 1 / len(chains))

    def parts(self, place: Place) -> list[float]:
        """Return the probabilities of a letter between its neighbours, by each of the chains."""
        left, letter, right = place
        probabilities = []
        for chain in self.chains:
            p = 1 / self.vocab_size
            for sizes in chain:
                if counter := self.counts.get(_context(sizes, left, right)):
                    p = (counter[letter] + len(counter) * p) / (counter.total() + len(counter))
            probabilities.append(p)
        return probabilities

    def fit(self, batches: Iterable[Batch]) -> None:
        """Choose the weights of the mixture by expectation maximization on masked words."""
        table = np.array([self.parts(place) for place in masked_places(batches)])
        for _ in range(ITERATIONS):
            shares = table * self.weights
            self.weights = (shares / shares.sum(1, keepdims=True)).mean(0)

    def loss(self, batches: Iterable[Batch]) -> float:
        """Return the mean negative log-likelihood of the masked letters, in nats."""
        table = np.array([self.parts(place) for place in masked_places(batches)])
        return float(-np.log(table @ self.weights).mean())


def masked_places(batches: Iterable[Batch]) -> list[Place]:
    """List the masked letters of batches with two neighbours on each side.

    A masked neighbour stays masked, as the network sees it.

    Parameters
    ----------
    batches
        Masked words.

    Returns
    -------
    places : list of tuple
        Left neighbours, masked letter, right neighbours; EDGE outside the word.
    """
    return [
        place
        for batch in batches
        for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)
        for place in _places(inputs, targets)
        if place[1] != IGNORE_INDEX
    ]


def _places(inputs: Sequence[int], targets: Sequence[int]) -> list[Place]:
    """Return all letters of `targets` with their neighbours in `inputs`, where padding is 0."""
    ends = [EDGE, EDGE, *(i or EDGE for i in inputs), EDGE, EDGE]
    return [
        ((ends[t], ends[t + 1]), letter, (ends[t + 3], ends[t + 4]))
        for t, letter in enumerate(targets)
    ]


def _context(sizes: Sizes, left: tuple[int, int], right: tuple[int, int]) -> tuple[object, ...]:
    """Return the nearest neighbours of each side, as many as `sizes` says."""
    return (*sizes, left[2 - sizes[0] :], right[: sizes[1]])

"""IBM Model 1: alignment by counting alone, the baseline that attention must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utils.data.pair_batches import IdPair


class IBMModel1:
    """Translation probabilities t(w | x) by expectation maximization.

    Source: Brown et al. 1993, section 4.1, without the empty word.

    Parameters
    ----------
    pairs
        Pairs of source ids and target ids.
    vocab_size
        The size of the vocabulary that both sides share.
    iterations
        Number of iterations from uniform probabilities.
    """

    def __init__(self, pairs: Sequence[IdPair], *, vocab_size: int, iterations: int = 10) -> None:
        words, origins, groups, group = [], [], [], 0
        for source, target in pairs:
            for word in target:  # one group for each word of a target
                words += [word] * len(source)
                origins += source
                groups += [group] * len(source)
                group += 1
        cells = np.array(origins) * vocab_size + np.array(words)  # of the table below
        self.table = np.ones((vocab_size, vocab_size))
        for _ in range(iterations):
            shares = self.table.ravel()[cells]
            shares = shares / np.bincount(groups, shares)[groups]  # α of the word's group
            counts = np.bincount(cells, shares, vocab_size**2).reshape(vocab_size, vocab_size)
            self.table = counts / np.maximum(counts.sum(1, keepdims=True), 1e-12)

    def align(self, source: Sequence[int], target: Sequence[int]) -> list[int]:
        """Return for each word of a target the place in the source that explains it best."""
        return [int(self.table[list(source), word].argmax()) for word in target]

"""The base class of streams of batches that hold examples of equal length.

``utils.data.pair_batches`` and ``utils.data.labelled_batches`` have the streams themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

from utils.data.batches import check_step
from utils.data.grouping import group_by_length

BatchT = TypeVar("BatchT")


class GroupedBatches(ABC, Generic[BatchT]):
    """An endless stream of batches of equally long examples; a base class.

    ``stream[step]`` is the batch of a step; it depends on the seed and the step alone. Each epoch
    of ``len(stream)`` steps contains every example once, in batches composed anew and in random
    order. A length with few examples gives a smaller batch.

    Parameters
    ----------
    lengths
        The length of each example: of what an encoder reads.
    batch_size
        The largest number of examples in a batch.
    seed
        The seed of the order of the examples.
    target_lengths
        The length of each target; None if targets need no padding.

    Raises
    ------
    ValueError
        If `batch_size` is below 1.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        target_lengths: Sequence[int] | None = None,
    ) -> None:
        self.lengths, self.target_lengths = lengths, target_lengths
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = len(group_by_length(lengths, batch_size=batch_size))
        self._epoch = -1
        self._epoch_groups: list[list[int]] = []

    @abstractmethod
    def make_batch(self, indices: Sequence[int]) -> BatchT:
        """Return the batch of the examples with these indices."""

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> BatchT:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        check_step(step)
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._epoch_groups = epoch, self._shuffled_groups(epoch)
        return self.make_batch(self._epoch_groups[index])

    def __iter__(self) -> Iterator[BatchT]:
        """Iterate over the first epoch."""
        return (self[step] for step in range(self.steps_per_epoch))

    def _shuffled_groups(self, epoch: int) -> list[list[int]]:
        """Return the indices of the examples of each batch of an epoch."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.lengths)).tolist()
        if self.target_lengths is not None:
            # Sorting brings targets of similar lengths into one batch: less padding.
            order.sort(key=self.target_lengths.__getitem__)
        groups = group_by_length([self.lengths[i] for i in order], batch_size=self.batch_size)
        return [[order[i] for i in groups[j]] for j in random.permutation(len(groups))]


def check_lengths(lengths: Sequence[int], example: str, part: str) -> None:
    """Check that there is an example and that none is empty.

    Parameters
    ----------
    lengths
        The length of each example.
    example, part
        What an example is called, and its part of these lengths, for the message.

    Raises
    ------
    ValueError
        If there is no example, or one has a length of 0.
    """
    if not lengths:
        raise ValueError(f"there are no {example}s; at least one is needed")
    if 0 in lengths:
        raise ValueError(f"{example} {lengths.index(0)} has {part} of zero tokens; leave it out")

"""Groups of sequences of equal or similar length, and streams of batches made of such groups.

Batches of equal length need no padding. ``utils.data.pair_batches`` and
``utils.data.labelled_batches`` derive their streams from `GroupedBatches`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

from utils.arguments import check_integer, check_positive
from utils.data.batches import as_step
from utils.data.checks import as_id_list

GroupT = TypeVar("GroupT")
Item = TypeVar("Item")
Result = TypeVar("Result")


def group_by_length(lengths: Sequence[int], *, batch_size: int) -> list[list[int]]:
    """Group the indices of sequences into batches of equal length.

    Parameters
    ----------
    lengths
        The length of each sequence.
    batch_size
        The largest number of indices in a batch, a positive integer.

    Returns
    -------
    groups : list of list of int
        The batches, short sequences first; sequences of equal length stay in their order.

    Raises
    ------
    ValueError
        If a length is not a non-negative integer, or `batch_size` not a positive one.

    Examples
    --------
    >>> from utils.data.grouped_batches import group_by_length
    >>> group_by_length([3, 5, 3, 3], batch_size=2)
    [[0, 2], [3], [1]]
    """
    check_positive(batch_size=batch_size)
    same_length: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(as_id_list(lengths, name="lengths")):
        same_length[length].append(index)
    return [
        same_length[length][start : start + batch_size]
        for length in sorted(same_length)
        for start in range(0, len(same_length[length]), batch_size)
    ]


def group_by_similar_length(lengths: Sequence[int], *, batch_size: int) -> list[list[int]]:
    """Group the indices of sequences into batches of similar length, all but the last full.

    Parameters
    ----------
    lengths
        The length of each sequence.
    batch_size
        The number of indices in a batch, a positive integer.

    Returns
    -------
    groups : list of list of int
        The batches, short sequences first; sequences of equal length stay in their order.

    Raises
    ------
    ValueError
        As `group_by_length` does.
    """
    check_positive(batch_size=batch_size)
    lengths = as_id_list(lengths, name="lengths")
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def map_groups(
    function: Callable[[list[Item]], Sequence[Result]],
    items: Sequence[Item],
    groups: Sequence[list[int]],
) -> list[Result]:
    """Apply a function of several items to each group of them.

    Parameters
    ----------
    function
        Takes the items of one group and returns a result for each.
    items
        N items.
    groups
        Indices of the items, each index in exactly one group.

    Returns
    -------
    results : list
        The N results, in the order of `items`.

    Raises
    ------
    ValueError
        If an index is in no group or in several, or the function does not return one result for
        each item.
    """
    indices = [index for group in groups for index in group]
    if sorted(indices) != list(range(len(items))):
        raise ValueError(
            f"groups must hold each index from 0 to {len(items) - 1} exactly once, as those of "
            f"group_by_length do; got {len(indices)} indices for {len(items)} items"
        )
    results: dict[int, Result] = {}
    for group in groups:
        group_results = function([items[i] for i in group])
        if len(group_results) != len(group):
            raise ValueError(
                "the function must return one result for each item of a group; it returned "
                f"{len(group_results)} for {len(group)}"
            )
        results.update(zip(group, group_results, strict=True))
    return [results[i] for i in range(len(items))]


class GroupedBatches(ABC, Generic[GroupT]):
    """The base class of streams of batches of equally long examples, shuffled in each epoch.

    ``stream[step]`` is the batch of a step; it depends on the seed and the step alone. Each epoch
    of ``len(stream)`` steps contains every example once, in newly composed batches and in random
    order. A length with few examples leads to a smaller batch.

    Parameters
    ----------
    lengths
        The length of the input of each example.
    batch_size
        The largest number of examples in a batch.
    seed
        The seed of the order of the examples, a non-negative integer.
    target_lengths
        The length of each target; None if targets need no padding.

    Raises
    ------
    ValueError
        If `batch_size` is not a positive integer, or the seed is not a non-negative integer.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        target_lengths: Sequence[int] | None = None,
    ) -> None:
        check_integer(minimum=0, seed=seed)
        self.lengths, self.target_lengths = lengths, target_lengths
        self.batch_size, self.seed = batch_size, seed
        self.steps_per_epoch = len(group_by_length(lengths, batch_size=batch_size))
        self._epoch = -1
        self._epoch_groups: list[list[int]] = []

    @abstractmethod
    def make_batch(self, indices: Sequence[int]) -> GroupT:
        """Return the batch of the examples with these indices."""

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> GroupT:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        step = as_step(step)
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._epoch_groups = epoch, self._shuffled_groups(epoch)
        return self.make_batch(self._epoch_groups[index])

    def __iter__(self) -> Iterator[GroupT]:
        """Iterate over the first epoch."""
        return (self[step] for step in range(self.steps_per_epoch))

    def _shuffled_groups(self, epoch: int) -> list[list[int]]:
        """Return the indices of the examples of each batch of an epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lengths)).tolist()
        if self.target_lengths is not None:
            # Sorting brings targets of similar lengths into one batch: less padding.
            order.sort(key=self.target_lengths.__getitem__)
        groups = group_by_length([self.lengths[i] for i in order], batch_size=self.batch_size)
        return [[order[i] for i in groups[j]] for j in rng.permutation(len(groups))]


def check_not_empty(lengths: Sequence[int], example: str, part: str) -> None:
    """Check that there are examples and that none is empty.

    Parameters
    ----------
    lengths
        The length of each example.
    example, part
        The name of an example and of its part with these lengths, for the message.

    Raises
    ------
    ValueError
        If there is no example, or one has a length of 0.
    """
    if not lengths:
        raise ValueError(f"there are no {example}s; at least one is needed")
    if 0 in lengths:
        raise ValueError(f"{example} {lengths.index(0)} has {part} of zero tokens; leave it out")

"""Groups of sequences of equal or similar length, so that a batch holds little or no padding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from utils.arguments import check_positive

Item = TypeVar("Item")
Result = TypeVar("Result")


def group_by_length(lengths: Sequence[int], *, batch_size: int) -> list[list[int]]:
    """Group the indices of sequences into batches of equal length.

    Parameters
    ----------
    lengths
        The length of each sequence.
    batch_size
        The largest number of indices in a batch.

    Returns
    -------
    groups : list of list of int
        The batches, short sequences first; equally long ones stay in their order.

    Raises
    ------
    ValueError
        If `batch_size` is no positive whole number.
    """
    check_positive(batch_size=batch_size)
    same_length: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        same_length[length].append(index)
    return [
        same_length[length][start : start + batch_size]
        for length in sorted(same_length)
        for start in range(0, len(same_length[length]), batch_size)
    ]


def group_by_similar_length(lengths: Sequence[int], *, batch_size: int) -> list[list[int]]:
    """Group the indices of sequences into batches of similar length, all full but the last.

    Parameters
    ----------
    lengths
        The length of each sequence.
    batch_size
        The number of indices in a batch.

    Returns
    -------
    groups : list of list of int
        The batches, short sequences first; equally long ones stay in their order.

    Raises
    ------
    ValueError
        If `batch_size` is no positive whole number.
    """
    check_positive(batch_size=batch_size)
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
    """
    results: dict[int, Result] = {}
    for indices in groups:
        group_results = function([items[i] for i in indices])
        results.update(zip(indices, group_results, strict=True))
    return [results[i] for i in range(len(items))]

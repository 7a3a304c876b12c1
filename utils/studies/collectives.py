"""Collectives, simulated in one process to count what is sent.

The page "Beyond one machine" of chapter 7 derives the numbers that these functions count, and
section 7.2 compares the ring with torch. Here a "process" is an element of a list, and volumes are
counted in tensor elements, not in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


def ring_reduce_scatter(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """Add up one vector per process and leave one chunk of the sum in each process.

    In each of n − 1 rounds every process sends one chunk, which holds the sum so far, to its right
    neighbour.

    Source: ``eq-ring-volume`` (section 7.2); Patarasuk and Yuan 2009.

    Parameters
    ----------
    values
        One vector (N,) for each of n processes.

    Returns
    -------
    chunks : list of torch.Tensor
        Chunk i of the sum, (N / n,), for process i.
    num_sent : int
        Number of elements that each process sent.

    Raises
    ------
    ValueError
        If there is no process, `values` are not vectors of the same length, or N is not a multiple
        of n.
    """
    values = _check_vectors(values)
    world_size = len(values)
    _check_divisible(values)
    chunks = [list(value.chunk(world_size)) for value in values]  # chunks[rank][i] is (N / n,)
    num_sent = 0
    for step in range(world_size - 1):
        # collected before any chunk changes: all processes send at the same time
        outgoing = [chunks[rank][(rank - step - 1) % world_size] for rank in range(world_size)]
        for rank in range(world_size):
            index = (rank - step - 2) % world_size  # of the chunk that the left neighbour sends
            chunks[rank][index] = chunks[rank][index] + outgoing[rank - 1]
        num_sent += len(outgoing[0])
    return [chunks[rank][rank] for rank in range(world_size)], num_sent


def ring_all_gather(chunks: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """Give every process the concatenation of all processes' chunks.

    Source: ``eq-ring-volume`` (section 7.2); Patarasuk and Yuan 2009.

    Parameters
    ----------
    chunks
        One chunk (N / n,) for each of n processes.

    Returns
    -------
    values : list of torch.Tensor
        The concatenation (N,), once for each process.
    num_sent : int
        Number of elements that each process sent.

    Raises
    ------
    ValueError
        If there is no process, or the chunks are not vectors of the same length.
    """
    chunks = _check_vectors(chunks)
    world_size = len(chunks)
    received = [{rank: chunk} for rank, chunk in enumerate(chunks)]  # received[rank][i] is (N / n,)
    num_sent = 0
    for step in range(world_size - 1):
        outgoing = [received[rank][(rank - step) % world_size] for rank in range(world_size)]
        for rank in range(world_size):
            received[rank][(rank - step - 1) % world_size] = outgoing[rank - 1]
        num_sent += len(outgoing[0])
    values = [torch.cat([part[i] for i in range(world_size)]) for part in received]  # each (N,)
    return values, num_sent


def ring_all_reduce(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """Give every process the sum of all processes' vectors: reduce-scatter, then all-gather.

    Source: ``eq-ring-volume`` (section 7.2); Patarasuk and Yuan 2009.

    Parameters
    ----------
    values
        One vector (N,) for each of n processes.

    Returns
    -------
    sums : list of torch.Tensor
        The sum (N,), once for each process, in the dtype of the vectors, as NCCL's is: small
        integers may overflow.
    num_sent : int
        Number of elements that each process sent, 2·(n − 1)·N / n.

    Raises
    ------
    ValueError
        As `ring_reduce_scatter` does.

    Examples
    --------
    >>> import torch
    >>> from utils.studies.collectives import ring_all_reduce
    >>> sums, num_sent = ring_all_reduce([torch.tensor([1, 2]), torch.tensor([30, 40])])
    >>> sums, num_sent
    ([tensor([31, 42]), tensor([31, 42])], 2)
    """
    chunks, num_sent_to_scatter = ring_reduce_scatter(values)
    sums, num_sent_to_gather = ring_all_gather(chunks)
    return sums, num_sent_to_scatter + num_sent_to_gather


def tree_all_reduce(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[int]]:
    """Give every process the sum of all processes' vectors along a binomial tree.

    Sums move towards process 0: over distance 1 between neighbours, then 2, 4, … The total
    returns along the same connections, the longest first.

    Source: Thakur, Rabenseifner and Gropp 2005 (binomial tree).

    Parameters
    ----------
    values
        One vector (N,) for each of n processes.

    Returns
    -------
    sums : list of torch.Tensor
        The sum (N,), once for each process, in the dtype of the vectors, as NCCL's is: small
        integers may overflow.
    num_sent : list of int
        For each round, the number of elements in a message: N in each of 2·⌈log₂ n⌉ rounds.

    Raises
    ------
    ValueError
        If there is no process, or `values` are not vectors of the same length.

    Examples
    --------
    >>> import torch
    >>> from utils.studies.collectives import tree_all_reduce
    >>> sums, num_sent = tree_all_reduce([torch.tensor([1, 2]), torch.tensor([30, 40])])
    >>> sums, num_sent
    ([tensor([31, 42]), tensor([31, 42])], [2, 2])
    """
    values = _check_vectors(values)
    world_size, sums = len(values), list(values)
    distances = [2**i for i in range((world_size - 1).bit_length())]
    num_sent = []
    for distance in distances:
        for rank in range(0, world_size - distance, 2 * distance):
            sums[rank] = sums[rank] + sums[rank + distance]
        num_sent.append(len(sums[0]))
    for distance in reversed(distances):
        for rank in range(0, world_size - distance, 2 * distance):
            sums[rank + distance] = sums[rank]
        num_sent.append(len(sums[0]))
    return sums, num_sent


def halving_doubling_all_reduce(
    values: list[torch.Tensor],
) -> tuple[list[torch.Tensor], list[int]]:
    """Give every process the sum of all processes' vectors by recursive halving and doubling.

    Each process exchanges half of its part of the sum with a partner at distance n/2, half of the
    rest at n/4, …, until it has one chunk of the sum. The same exchanges in reverse join the
    chunks.

    Source: Thakur, Rabenseifner and Gropp 2005 (Rabenseifner's algorithm).

    Parameters
    ----------
    values
        One vector (N,) for each of n processes.

    Returns
    -------
    sums : list of torch.Tensor
        The sum (N,), once for each process, in the dtype of the vectors, as NCCL's is: small
        integers may overflow.
    num_sent : list of int
        For each of 2·log₂ n rounds, the number of elements that each process sends:
        2·(n − 1)·N / n in all.

    Raises
    ------
    ValueError
        If there is no process, `values` are not vectors of the same length, n is not a power of
        two, or N is not a multiple of n.

    Examples
    --------
    >>> import torch
    >>> from utils.studies.collectives import halving_doubling_all_reduce
    >>> vectors = [torch.full((4,), 10**rank) for rank in range(4)]
    >>> sums, num_sent = halving_doubling_all_reduce(vectors)
    >>> sums[0], num_sent
    (tensor([1111, 1111, 1111, 1111]), [2, 1, 1, 2])
    """
    values = _check_vectors(values)
    world_size = len(values)
    if world_size & (world_size - 1):
        raise ValueError(f"expected a power of two as the number of processes, got {world_size}")
    _check_divisible(values)
    distances = [2**i for i in range(world_size.bit_length() - 1)]
    held, num_sent = list(values), []
    for distance in reversed(distances):
        halves = [part.chunk(2) for part in held]
        # of two partners, the lower keeps the first half of the part that both hold
        kept = [int(rank & distance > 0) for rank in range(world_size)]
        held = [
            halves[rank][half] + halves[rank ^ distance][half] for rank, half in enumerate(kept)
        ]
        num_sent.append(len(held[0]))
    for distance in distances:
        num_sent.append(len(held[0]))
        held = [
            torch.cat([held[rank & ~distance], held[rank | distance]]) for rank in range(world_size)
        ]
    return held, num_sent


def _check_vectors(values: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return vectors as a list; raise ValueError unless all have the same positive length."""
    values = list(values)
    shapes = [tuple(value.shape) for value in values]
    if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ValueError(f"expected one vector of the same length for each process, got {shapes}")
    if any(value.dtype == torch.bool for value in values):
        raise ValueError("expected vectors of numbers, got bool, of which + is not the sum")
    return values


def _check_divisible(values: list[torch.Tensor]) -> None:
    """Raise ValueError unless the vectors can be split into as many chunks as there are."""
    if len(values[0]) % len(values):
        raise ValueError(f"{len(values[0])} numbers cannot be split into {len(values)} equal parts")

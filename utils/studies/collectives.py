"""Ring collectives and pipeline schedules, simulated in one process to count what is sent.

The page "Beyond one machine" of chapter 7 derives the numbers that these functions count, and
section 7.2 compares the ring with torch. Here a "process" is an element of a list, and volumes are
counted in tensor elements, not in bytes. Ring algorithms: Patarasuk and Yuan 2009. Pipeline: Huang
et al. 2019 (GPipe).
"""

from __future__ import annotations

import torch

from utils.arguments import check_positive


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
    _check_vectors(values)
    world_size = len(values)
    if len(values[0]) % world_size:
        raise ValueError(f"{len(values[0])} numbers cannot be split into {world_size} equal parts")
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
    _check_vectors(chunks)
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
        The sum (N,), once for each process.
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


def pipeline_schedule(*, num_stages: int, num_micro_batches: int) -> list[list[int | None]]:
    """Return which micro-batch each pipeline stage processes at each tick of a forward pass.

    A micro-batch enters a stage one tick after it entered the stage before.

    Source: Huang et al. 2019, figure 2.

    Parameters
    ----------
    num_stages
        Number of processes, each with a consecutive part of the layers.
    num_micro_batches
        Number of equal parts into which the batch is divided.

    Returns
    -------
    schedule : list of list
        One row per stage with ``num_stages + num_micro_batches - 1`` entries: the index of the
        micro-batch, or None while the stage is idle.

    Raises
    ------
    ValueError
        If `num_stages` or `num_micro_batches` is not a positive integer.

    Examples
    --------
    >>> from utils.studies.collectives import pipeline_schedule
    >>> for stage in pipeline_schedule(num_stages=2, num_micro_batches=3):
    ...     print(stage)
    [0, 1, 2, None]
    [None, 0, 1, 2]
    """
    check_positive(num_stages=num_stages, num_micro_batches=num_micro_batches)
    num_ticks = num_stages + num_micro_batches - 1
    return [
        [
            tick - stage if 0 <= tick - stage < num_micro_batches else None
            for tick in range(num_ticks)
        ]
        for stage in range(num_stages)
    ]


def _check_vectors(values: list[torch.Tensor]) -> None:
    """Raise ValueError unless there is a vector and all have the same positive length."""
    shapes = [tuple(value.shape) for value in values]
    if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ValueError(f"expected one vector of the same length for each process, got {shapes}")

"""What processes send each other, played through in one program and counted.

For book/07-beyond-one-machine, which derives the numbers. Rings: Patarasuk and Yuan 2009; the
pipeline: Huang et al. 2019; layers cut among processes: Shoeybi et al. 2019. "Process" means here
an element of a list; sizes are numbers, not bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch.nn import functional as F


def ring_reduce_scatter(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """n vectors (N,), one a process → a part of their sum in each, and the numbers that each sent.

    In each of n − 1 rounds every process hands one part, with all that it has gathered on its way,
    to its neighbour. Raises ValueError where N is not a multiple of n.
    """
    n = len(values)
    if len(values[0]) % n:
        raise ValueError(f"{len(values[0])} numbers cannot be cut into {n} equal parts")
    parts, sent = [list(value.chunk(n)) for value in values], 0
    for step in range(n - 1):
        handed = [parts[i][(i - step - 1) % n] for i in range(n)]  # all at once
        for i in range(n):
            k = (i - step - 2) % n  # the part that the left neighbour hands over
            parts[i][k] = parts[i][k] + handed[i - 1]
        sent += len(handed[0])
    return [parts[i][i] for i in range(n)], sent


def ring_all_gather(parts: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """n parts, one a process → all of them, joined, in each; and the numbers sent by each."""
    n, sent = len(parts), 0
    known = [{i: part} for i, part in enumerate(parts)]
    for step in range(n - 1):
        handed = [known[i][(i - step) % n] for i in range(n)]
        for i in range(n):
            known[i][(i - step - 1) % n] = handed[i - 1]
        sent += len(handed[0])
    return [torch.cat([known[i][k] for k in range(n)]) for i in range(n)], sent


def ring_all_reduce(values: list[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """n vectors (N,), one a process → their sum in each, and the numbers sent by each process."""
    parts, scattered = ring_reduce_scatter(values)
    sums, gathered = ring_all_gather(parts)
    return sums, scattered + gathered


def split_feed_forward(
    x: torch.Tensor, expand: torch.Tensor, contract: torch.Tensor, n: int
) -> list[torch.Tensor]:
    """What n processes add up to contract · gelu(expand · x): x (…, D), (H, D), (D, H).

    Each has H/n rows of the first matrix and the same columns of the second, and never needs the
    hidden numbers of the others (Shoeybi et al. 2019).
    """
    cut = zip(expand.chunk(n, 0), contract.chunk(n, 1), strict=True)
    return [F.gelu(x @ rows.mT) @ columns.mT for rows, columns in cut]


def pipeline(stages: int, parts: int) -> list[list[int | None]]:
    """Which part of the batch each stage works on at each tick of a forward pass; None: it waits.

    A part enters a stage one tick after it entered the stage before (Huang et al. 2019).
    """
    ticks = stages + parts - 1
    return [
        [tick - stage if 0 <= tick - stage < parts else None for tick in range(ticks)]
        for stage in range(stages)
    ]


def loopback_bytes() -> int | None:
    """Bytes that this machine has sent to itself so far, by the kernel's count; None but on Linux.

    The difference of two calls is what processes on one machine sent each other by gloo, and
    whatever else was sent in between.
    """
    path = Path("/proc/net/dev")
    if not sys.platform.startswith("linux") or not path.exists():
        return None
    for line in path.read_text(encoding="ascii").splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])  # bytes transmitted
    return None

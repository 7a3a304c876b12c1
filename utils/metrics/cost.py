"""The cost of a model: its parameters, its floating-point operations (FLOPs), and its time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from utils.arguments import check_bool, check_integer, check_positive


def count_parameters(model: torch.nn.Module, *, trainable_only: bool = False) -> int:
    """Count the model's parameters, or only those that need a gradient; shared ones count once.

    Raises
    ------
    ValueError
        If `trainable_only` is neither True nor False.

    Examples
    --------
    >>> from torch import nn
    >>> from utils.metrics.cost import count_parameters
    >>> count_parameters(nn.Linear(10, 5))
    55
    """
    check_bool(trainable_only=trainable_only)
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def count_flops(call: Callable[[], object]) -> int:
    """Count the FLOPs of all matrix products, forward and backward, while a function runs.

    Meanwhile attention is computed by its plain formula, because torch does not count the
    operations of its fused CPU kernel.

    Parameters
    ----------
    call
        A function without arguments; its result is not used.

    Returns
    -------
    num_flops : int
        The number of operations.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    num_flops: int = counter.get_total_flops()
    return num_flops


def median_milliseconds(
    call: Callable[[], object], *, num_repeats: int = 9, num_warmup_calls: int = 1
) -> float:
    """Measure the time of a call, as the median of several calls.

    On a GPU, including a Mac's, a call ends when its work is finished, not when it is queued.

    Parameters
    ----------
    call
        The function to time, called without arguments.
    num_repeats
        The number of measured calls.
    num_warmup_calls
        The number of calls before those; they may compile, allocate or fill caches.

    Returns
    -------
    milliseconds : float
        The median time.

    Raises
    ------
    ValueError
        If `num_repeats` is not a positive integer, or `num_warmup_calls` not a non-negative one.
    """
    check_positive(num_repeats=num_repeats)
    check_integer(minimum=0, num_warmup_calls=num_warmup_calls)
    times = []
    _synchronize()  # work queued before does not count
    for _ in range(num_warmup_calls + num_repeats):
        start = time.perf_counter()
        call()
        _synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[num_warmup_calls:])


def _synchronize() -> None:
    """Wait until the GPU, if there is one, has finished all work that is queued."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    if torch.backends.mps.is_available():
        torch.mps.synchronize()

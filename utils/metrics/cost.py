"""The cost of a model: its parameters, its floating-point operations (FLOPs), and its time.

Sections 2.2 and 8.1 derive the formulas for GPT, after Kaplan et al. 2020.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from utils.arguments import check_integer, check_positive


def count_parameters(model: torch.nn.Module, *, trainable_only: bool = False) -> int:
    """Count the model's parameters, or only those that need a gradient; shared ones count once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def gpt_parameters(vocab_size: int, *, width: int, num_layers: int) -> int:
    """Compute the number of parameters of ``utils.models.gpt.GPT`` with its default options.

    They are the embedding, which is also the output matrix, four matrices and two gains in each
    layer, and the gain of the final norm.

    Source: ``eq-gpt-parameters`` (section 2.2).

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_layers
        Number of layers.

    Returns
    -------
    num_parameters : int
        The number of parameters.
    """
    return vocab_size * width + num_layers * (12 * width**2 + 2 * width) + width


def gpt_flops(vocab_size: int, *, width: int, num_layers: int, batch_size: int, length: int) -> int:
    """Compute the FLOPs of one forward pass of GPT over ids (B, T).

    A multiplication and an addition count as two operations. Only matrix products count, not norms,
    softmax or rotations; attention counts as the full T × T, masked or not. A training step takes
    three times as many (``eq-training-flops``).

    Source: ``eq-flops-forward`` (section 2.2), times B·T; Kaplan et al. 2020.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_layers
        Number of layers.
    batch_size
        Number B of texts.
    length
        Number T of tokens of each text.

    Returns
    -------
    num_flops : int
        The number of operations.
    """
    per_token = (
        2 * (12 * num_layers * width**2 + vocab_size * width) + 4 * num_layers * length * width
    )
    return batch_size * length * per_token


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
    return counter.get_total_flops()


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
    check_integer(0, num_warmup_calls=num_warmup_calls)
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

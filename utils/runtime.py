"""Device, random seeds, mixed precision, timing and Ctrl-C: the environment in which a model runs.

Section 7.2 explains mixed precision and what a checkpoint must hold, the state of the generators
included. The module depends on torch and NumPy alone.
"""

from __future__ import annotations

import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the random number generators of Python, NumPy and torch, on all devices."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def select_device(name: str | None = None) -> torch.device:
    """Return the device called `name`, or the fastest one of this machine.

    Parameters
    ----------
    name
        A device of torch, such as "cpu" or "cuda:1". By default cuda, if there is a GPU; else mps,
        on a Mac that has it; else cpu.

    Returns
    -------
    device : torch.device
        The device.

    Raises
    ------
    ValueError
        If this machine has no such device; the message names those it has.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name is None:
        return torch.device(available[0])
    device_type, colon, index = str(name).partition(":")
    count = torch.cuda.device_count() if device_type == "cuda" else 1
    valid_index = not colon or (index.isdecimal() and int(index) < count)
    if device_type not in available or not valid_index:
        raise ValueError(f"there is no device {str(name)!r} here; choose from {available}")
    return torch.device(name)


def device_of(model: torch.nn.Module) -> torch.device:
    """Return the device of the model's parameters; the CPU for a model without parameters."""
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode for the block, and afterwards into the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def median_milliseconds(
    call: Callable[[], object], *, num_repeats: int = 9, num_warmup_calls: int = 1
) -> float:
    """Measure how long a call takes: the median of several calls.

    On a CUDA GPU a call ends when the GPU has finished its work, not when the work is queued.

    Parameters
    ----------
    call
        The function to time, called without arguments.
    num_repeats
        The number of calls that are measured.
    num_warmup_calls
        The number of calls before those, which do not count: the first compile, allocate or fill
        caches.

    Returns
    -------
    milliseconds : float
        The median.
    """
    times = []
    for _ in range(num_warmup_calls + num_repeats):
        start = time.perf_counter()
        call()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[num_warmup_calls:])


def supports_bfloat16() -> bool:
    """Return True if the GPU computes in bfloat16 itself; older ones emulate it, slowly."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: torch.device, *, enabled: bool = True) -> AbstractContextManager[object]:
    """Return the context in which a forward pass runs in mixed precision.

    On CUDA, matrix products are computed in bfloat16 if the GPU supports it, else in float16. On
    every other device, and with ``enabled=False``, the context changes nothing.

    Source: Micikevicius et al. 2018 (section 7.2).

    Parameters
    ----------
    device
        The device of the model.
    enabled
        Whether to use mixed precision.

    Returns
    -------
    context : context manager
        The context.
    """
    if device.type != "cuda" or not enabled:
        return nullcontext()
    dtype = torch.bfloat16 if supports_bfloat16() else torch.float16
    return torch.autocast("cuda", dtype=dtype)


@contextmanager
def interrupt_flag() -> Iterator[threading.Event]:
    """Let Ctrl-C set an event within the block, instead of raising KeyboardInterrupt.

    A loop that tests the event between its steps is never interrupted within one. A second Ctrl-C
    raises KeyboardInterrupt at once. Outside the main thread, where Python delivers no signals,
    the event is never set.

    Yields
    ------
    interrupted : threading.Event
        The event, which is set after the first Ctrl-C.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    previous_handler = signal.getsignal(signal.SIGINT)

    def handle(_signal_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, previous_handler)

    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous_handler)


def get_random_state() -> dict[str, Any]:
    """Return the states of all generators that a training step may draw from.

    Returns
    -------
    state : dict
        A tree of tensors, numbers and strings, which a checkpoint can hold, under "torch", "python"
        and "numpy", and under "cuda" and "mps" on machines that have them.
    """
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "python": random.getstate()}
    numpy_state = np.random.get_state(legacy=False)
    state["numpy"] = {
        "bit_generator": str(numpy_state["bit_generator"]),
        "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
        "position": int(numpy_state["state"]["pos"]),
        "has_gauss": int(numpy_state["has_gauss"]),
        "gauss": float(numpy_state["gauss"]),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what `get_random_state` returned; states of missing devices are ignored."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    saved = state["numpy"]
    key = saved["key"].numpy().astype(np.uint32)
    np.random.set_state(
        (saved["bit_generator"], key, saved["position"], saved["has_gauss"], saved["gauss"])
    )
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])

"""Device, random seeds and precision: the environment in which a model runs.

Section 7.2 explains mixed precision, and why a checkpoint holds the state of random generators.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from utils.arguments import check_bool, check_integer


def seed_everything(seed: int) -> None:
    """Seed the random number generators of Python, NumPy and torch, on all devices.

    Raises
    ------
    ValueError
        If `seed` is not an integer from 0 to 2⁶⁴ − 1.
    """
    check_integer(minimum=0, maximum=2**64 - 1, seed=seed)
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
        The device by that name, ready for models and batches.

    Raises
    ------
    ValueError
        If this machine has no such device; the message names those it has.

    Examples
    --------
    >>> from utils.runtime import select_device
    >>> select_device("cpu")
    device(type='cpu')
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    name = available[0] if name is None else str(name)
    device_type, colon, index = name.partition(":")
    count = torch.cuda.device_count() if device_type == "cuda" else 1
    valid_index = not colon or index in map(str, range(count))  # torch takes neither 00 nor ٠
    if device_type not in available or not valid_index:
        raise ValueError(f"no device {name!r} on this machine; choose from {available}")
    return torch.device(name)


def use_full_precision() -> None:
    """Compute convolutions and recurrent layers of a GPU in single precision from now on.

    By default cuDNN rounds their inputs to 11 binary digits (TF32). Products of matrices are in
    single precision by default. Mixed precision, see `autocast`, stays as it is.
    """
    torch.backends.cudnn.allow_tf32 = False


def device_of(model: object) -> torch.device:
    """Return the device of the model's parameters; the CPU for a model without parameters.

    A model that is not a torch module, such as an object with the call of one, has none.
    """
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Put the model in evaluation mode for the block, and each of its modules back afterwards.

    A model that is not a torch module, such as an object with the call of one, has no modes and
    stays as it is.

    Examples
    --------
    >>> from torch import nn
    >>> from utils.runtime import evaluation_mode
    >>> model = nn.Dropout(0.5)
    >>> with evaluation_mode(model):
    ...     print(model.training)
    False
    >>> model.training
    True
    """
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training


def supports_bfloat16() -> bool:
    """Return True if the GPU computes in bfloat16 itself; older ones emulate it, slowly."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def half_precision(model: nn.Module) -> torch.dtype:
    """Return the data type of a model's matrix products in mixed precision.

    It is bfloat16 if the GPU supports it, else float16, which needs a scaled loss (section 7.2).
    For a model with recurrent layers it is float16 in any case, as these layers of cuDNN are
    computed in float16 regardless of the type given to ``torch.autocast``.

    Parameters
    ----------
    model
        The model to train.

    Returns
    -------
    dtype : torch.dtype
        ``torch.bfloat16`` or ``torch.float16``.
    """
    is_recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    return torch.float16 if is_recurrent or not supports_bfloat16() else torch.bfloat16


def autocast(
    device: torch.device, *, enabled: bool = True, dtype: torch.dtype | None = None
) -> AbstractContextManager[object]:
    """Return the context in which a forward pass runs in mixed precision.

    On CUDA, matrix products are computed in half precision. On every other device, and with
    ``enabled=False``, the context changes nothing.

    Source: Micikevicius et al. 2018 (section 7.2).

    Parameters
    ----------
    device
        The device of the model.
    enabled
        Whether to use mixed precision.
    dtype
        The type in half precision, see `half_precision`; by default bfloat16 if the GPU supports
        it, else float16.

    Returns
    -------
    context : context manager
        Autocast on a GPU; otherwise a context without effect.

    Raises
    ------
    ValueError
        If `enabled` is neither True nor False.
    """
    check_bool(enabled=enabled)
    if device.type != "cuda" or not enabled:
        return nullcontext()
    if dtype is None:
        dtype = torch.bfloat16 if supports_bfloat16() else torch.float16
    return torch.autocast("cuda", dtype=dtype)


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
    """Restore what `get_random_state` returned; states of missing devices are ignored.

    Parameters
    ----------
    state
        The states of the generators.

    Raises
    ------
    ValueError
        If `state` is not such a state; all generators are then as before.

    Examples
    --------
    >>> import torch
    >>> from utils.runtime import get_random_state, set_random_state
    >>> state = get_random_state()
    >>> first = torch.rand(3)
    >>> set_random_state(state)
    >>> torch.equal(torch.rand(3), first)
    True
    """
    before = get_random_state()
    try:
        _set_random_state(state)
    except Exception as error:
        _set_random_state(before)
        raise ValueError(f"this is not a state of random generators: {error}") from error


def _set_random_state(state: dict[str, Any]) -> None:
    """Restore the states of the generators one after the other."""
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

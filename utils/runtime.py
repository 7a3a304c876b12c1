"""Where and how a model runs: device, seeds, mixed precision, Ctrl-C, checkpoints.

A checkpoint is one safetensors file with JSON in its header (no pickle). It is written beside its
place and takes its name only when it is whole: a run killed at any moment leaves a good one behind.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

Tree = dict | list | tuple | torch.Tensor | int | float | str | bool | None


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def device(name: str | None = None) -> torch.device:
    """The device called `name`, or the best one here: cuda, then mps, then cpu.

    Raises ValueError, naming what there is, for a device that this machine does not have.
    """
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    if torch.cuda.is_available():
        here.insert(0, "cuda")
    if name is None:
        return torch.device(here[0])
    kind, colon, index = str(name).partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in here or (colon and not (index.isdecimal() and int(index) < count)):
        raise ValueError(f"there is no device {str(name)!r} here; choose from {here}")
    return torch.device(name)


def device_of(model: torch.nn.Module) -> torch.device:
    """Where the model's parameters live; the CPU for a model of counts, which has none."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and then, whatever happens, in the mode that it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def milliseconds(call: Callable[[], object], repeats: int = 9, warm_up: int = 1) -> float:
    """The median time of one `call` among `repeats`, after `warm_up` calls that do not count.

    On a GPU, until its work is done.
    """
    found = []
    for _ in range(warm_up + repeats):
        begun = time.perf_counter()
        call()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        found.append(1000 * (time.perf_counter() - begun))
    return statistics.median(found[warm_up:])


def has_bfloat16() -> bool:
    """Whether this GPU computes in bfloat16 itself; older ones emulate it, slowly."""
    return torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(where: torch.device, enabled: bool = True):
    """Mixed precision on CUDA (bfloat16 where the GPU has it, else float16); nothing elsewhere."""
    if where.type != "cuda" or not enabled:
        return nullcontext()
    fast = torch.bfloat16 if has_bfloat16() else torch.float16
    return torch.autocast("cuda", dtype=fast)


@contextmanager
def interrupt_flag() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that no step is torn in two; a second Ctrl-C acts at once.

    Outside the main thread, where Python delivers no signals, the event is never set.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    before = signal.getsignal(signal.SIGINT)

    def handle(number, frame):
        flag.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)


def random_state() -> dict[str, Tree]:
    """The state of every generator that a training step may draw from."""
    state = {"torch": torch.get_rng_state(), "python": random.getstate()}
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state["numpy"] = {
        "keys": torch.from_numpy(keys.astype(np.int64)), "position": int(position),
        "has_gauss": int(has_gauss), "gauss": float(gauss), "kind": str(kind),
    }  # fmt: skip
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Tree]) -> None:
    """Put back what `random_state` gave; the state of a device that is not here is passed over."""
    torch.set_rng_state(state["torch"])
    random.setstate(state["python"])
    of = state["numpy"]
    keys = of["keys"].numpy().astype(np.uint32)
    np.random.set_state((of["kind"], keys, of["position"], of["has_gauss"], of["gauss"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"][: torch.cuda.device_count()])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def write_text(path: Path, text: str) -> None:
    """A small text file (UTF-8), all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def save_checkpoint(path: str | Path, content: dict[str, Tree]) -> None:
    """Write `content`, a tree of tensors and plain values, to the file `path`, all or nothing.

    The tensors are safetensors, the rest is JSON in the file's header. The file is complete and on
    the disk before it takes its name: an earlier checkpoint there stays whole until then. What a
    run that was killed in a save has left beside it, the next save writes over.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    header = {"content": json.dumps(_detach(content, tensors))}
    fresh = path.with_name(f".{path.name}")
    try:
        save_file(tensors, fresh, metadata=header)
        with open(fresh, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def load_checkpoint(path: str | Path, map_location="cpu") -> dict[str, Tree]:
    """Read what `save_checkpoint` wrote.

    Raises FileNotFoundError where there is none and ValueError where it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt", device=str(map_location)) as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            return _attach(json.loads(file.metadata()["content"]), tensors)
    except Exception as error:
        raise ValueError(f"{path} is not a checkpoint of this book: {error}") from error


def _detach(tree: Tree, tensors: dict[str, torch.Tensor]) -> Tree:
    """The tree as JSON; each tensor moves to `tensors` and leaves its key behind."""
    if isinstance(tree, torch.Tensor):
        key = str(len(tensors))
        # a copy, because safetensors refuses shared memory: tied weights are stored twice
        tensors[key] = tree.detach().to("cpu", copy=True).contiguous()
        return {"tensor": key}
    if isinstance(tree, dict):
        # pairs, because JSON would turn the optimizer's integer keys into strings
        return {"dict": [[key, _detach(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return {type(tree).__name__: [_detach(value, tensors) for value in tree]}
    return tree


def _attach(tree: Tree, tensors: dict[str, torch.Tensor]) -> Tree:
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: _attach(item, tensors) for key, item in value}
    return {"list": list, "tuple": tuple}[kind](_attach(item, tensors) for item in value)

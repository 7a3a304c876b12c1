"""Training one model with several processes, started by torchrun: a wrapper of torch.distributed.

`process_group` initializes ``torch.distributed`` and yields a `ProcessGroup`, through which the
training loop does all that several processes need: distribute the model, exchange gradients, add up
losses. There are two strategies. With "data" each process has a copy of the model
(DistributedDataParallel, Li et al. 2020); with "shard" each has a part of it (``sharding``).

With both, a step is that of one process with the whole batch: a batch is a function of the step, so
every process draws the same one, counts its tokens, and computes the loss of its own rows. Only
gradients and losses are exchanged. Section 7.2 derives it.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from utils.data.batches import IGNORE
from utils.runtime import select_device
from utils.training.objectives import Objective
from utils.training.sharding import shard_model, supports_sharding

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

STRATEGIES = ("data", "shard")
BatchType = TypeVar("BatchType")
_group_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The processes that train one model together; by default this process alone.

    `process_group` makes one. Unlike ``torch.distributed.ProcessGroup``, it also knows the strategy
    and the device, and it works for one process without ``torch.distributed``.

    Parameters
    ----------
    rank
        The number of this process, from 0.
    world_size
        The number of processes.
    strategy
        "data": each process has a copy of the model; "shard": a part of each weight.
    device
        The device of this process.
    """

    rank: int = 0
    world_size: int = 1
    strategy: str = "data"
    device: torch.device = torch.device("cpu")

    @property
    def alone(self) -> bool:
        """Whether this is one process with a whole model, which needs no torch.distributed."""
        return self.world_size == 1 and self.strategy == "data"

    def wrap(self, model: nn.Module, objective: Objective) -> nn.Module:
        """Distribute `model` over the processes and combine it with its objective.

        Parameters
        ----------
        model
            The model to train. With the strategy "shard" its weights become shards, in place; its
            optimizer must be built afterwards.
        objective
            The summed loss of a batch.

        Returns
        -------
        nn.Module
            ``module(batch, label_smoothing)`` is the summed loss of this process's rows of `batch`.
        """
        loss_module = LossModule(model, objective, rank=self.rank, world_size=self.world_size)
        if self.alone:
            return loss_module
        if self.strategy == "shard":
            return shard_model(loss_module, device=self.device, world_size=self.world_size)
        device_ids = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(loss_module, device_ids=device_ids)

    def gradient_sync(
        self, loss_module: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[Any]:
        """Return the context of one forward and backward pass of a module that `wrap` returned.

        Parameters
        ----------
        loss_module
            The module.
        enabled
            Whether the backward pass exchanges gradients: only that of a step's last batch needs
            to, because gradients add up.
        """
        if self.strategy == "shard":
            cast("FSDPModule", loss_module).set_requires_gradient_sync(enabled)
        elif not self.alone and not enabled:
            return cast(DistributedDataParallel, loss_module).no_sync()
        return nullcontext()

    def sum(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of `x` over the processes, the same in each."""
        if self.world_size == 1:
            return x
        x = x.detach().clone()
        dist.all_reduce(x)
        return x

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process."""
        return bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def barrier(self) -> None:
        """Wait until every process has called this method."""
        self.any(False)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank."""
        values = [value] * self.world_size
        if self.world_size > 1:
            dist.all_gather_object(values, value)
        return values

    def check_same(self, name: str, value: Any) -> None:
        """Raise ValueError, in every process, if `value` is not the same in all of them."""
        values = self.gather(value)
        if any(other != value for other in values):
            raise ValueError(f"the processes do not have the same {name}: by rank {values}")

    def full_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the tensors of `state_dict` on the CPU with their shards put together."""
        return {
            name: (x.full_tensor() if hasattr(x, "full_tensor") else x).detach().cpu()
            for name, x in state_dict.items()
        }


class LossModule(nn.Module):
    """A model and its objective as one module, because wrappers see calls of `forward` only.

    Parameters
    ----------
    model
        The model to train.
    objective
        The summed loss of a batch.
    rank, world_size
        The number of this process and of all.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, *, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.rank = rank
        self.world_size = world_size

    def forward(self, batch: Any, label_smoothing: float = 0.0) -> torch.Tensor:
        """Return the summed loss of this process's rows of `batch`, a scalar."""
        rows = local_rows(batch, self.rank, self.world_size)
        return self.objective(self.model, rows, label_smoothing)


def local_rows(batch: BatchType, rank: int, world_size: int) -> BatchType:
    """Return the rows of a batch that one process reads: rank, rank + world_size, ….

    A process for which no row is left must still take part in every exchange. It gets the first row
    with all targets IGNORE, whose loss and gradients are zero.

    Parameters
    ----------
    batch
        A dataclass of tensors with the batch first, `targets` among them, or None.
    rank, world_size
        The number of the process and of all.
    """
    if world_size == 1:
        return batch
    assert is_dataclass(batch) and not isinstance(batch, type), (
        f"a batch is a dataclass of tensors, not {type(batch).__name__}"
    )
    tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
    is_empty = len(tensors["targets"]) <= rank
    rows = slice(0, 1) if is_empty else slice(rank, None, world_size)
    local = {name: None if x is None else x[rows] for name, x in tensors.items()}
    if is_empty:
        local["targets"] = torch.full_like(tensors["targets"][rows], IGNORE)
    return replace(batch, **local)


@contextmanager
def process_group(strategy: str = "data", device: str | None = None) -> Iterator[ProcessGroup]:
    """Within the block, join the processes that torchrun started, by gloo on CPUs, NCCL on GPUs.

    Without torchrun it is a group of one process.

    Parameters
    ----------
    strategy
        "data" or "shard", see `ProcessGroup`.
    device
        The device, as for `select_device`; with several processes, "cuda" is for each its own GPU.

    Raises
    ------
    ValueError
        If the strategy or the device is unknown, if this torch cannot shard on the device, or if
        there are more processes than GPUs.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; choose from {', '.join(STRATEGIES)}")
    environment = _Environment.read()
    group = ProcessGroup(
        rank=environment.rank,
        world_size=environment.world_size,
        strategy=strategy,
        device=_process_device(select_device(device), strategy, environment),
    )
    if group.alone:
        yield group
        return
    _initialize(group)
    try:
        yield group
        group.barrier()  # no process leaves while another waits for its answer
    finally:
        # Gloo's threads end with the last reference to the group; sharded models hold some. A
        # thread that frees a tensor after the interpreter has shut down aborts the process.
        gc.collect()
        dist.destroy_process_group()


class _Environment(NamedTuple):
    """The environment variables that torchrun sets for each process."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int

    @classmethod
    def read(cls) -> _Environment:
        """Read the variables; without torchrun there is one process."""
        names = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
        return cls(*(int(os.environ.get(name, default)) for name, default in names.items()))


def _process_device(device: torch.device, strategy: str, environment: _Environment) -> torch.device:
    """Return the device of this process; raise ValueError if there are too few devices."""
    if strategy == "shard" and not supports_sharding(device):
        raise ValueError(
            f"torch {torch.__version__} has no shards on {device.type!r}: expected a GPU, a newer "
            "torch, or strategy 'data'"
        )
    if environment.world_size == 1:
        return device
    if device.type == "mps":
        raise ValueError("several processes need device 'cuda' or 'cpu', not 'mps'")
    if device.type != "cuda":
        return device
    processes, gpus = environment.local_world_size, torch.cuda.device_count()
    if device.index is not None or processes > gpus:
        raise ValueError(
            f"{processes} processes need {processes} GPUs and device 'cuda'; this machine has "
            f"{gpus} and the device is {str(device)!r}"
        )
    device = torch.device("cuda", environment.local_rank)
    torch.cuda.set_device(device)
    return device


def _initialize(group: ProcessGroup) -> None:
    """Initialize torch.distributed for the processes of `group`."""
    store: dist.Store
    if group.world_size == 1:
        store = dist.HashStore()
    else:
        store = next(dist.rendezvous("env://"))[0]
    # A prefix of its own: a program may form several groups in turn, and may be restarted.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)
    store = dist.PrefixStore(f"group-{attempt}-{next(_group_numbers)}", store)
    backend = "cpu:gloo,cuda:nccl" if group.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=group.rank, world_size=group.world_size)

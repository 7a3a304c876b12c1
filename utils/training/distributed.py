"""Training one model with several processes, started by torchrun: a wrapper of torch.distributed.

`process_group` initializes ``torch.distributed`` and yields a `Processes`, through which
the training loop does all that several processes need: distribute the model, exchange gradients,
add up losses. There are two strategies. With "data" each process has a copy of the model
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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast, get_args

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from utils.arguments import check_choice
from utils.runtime import select_device
from utils.training.loss_module import LossModule
from utils.training.protocols import BatchT, ModelT, Objective
from utils.training.sharding import (
    check_torch_for_sharding,
    shard_model,
    supports_sharding,
)

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule

Strategy: TypeAlias = Literal["data", "shard"]
"""How several processes train a model: each with a copy of it, or each with a part of it."""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
_group_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Processes:
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
        "data": each process has a copy of the model; "shard": a part of each parameter.
    device
        The device of this process.
    """

    rank: int = 0
    world_size: int = 1
    strategy: Strategy = "data"
    device: torch.device = torch.device("cpu")

    @property
    def is_distributed(self) -> bool:
        """Whether the training needs ``torch.distributed``: several processes, or shards."""
        return self.world_size > 1 or self.strategy == "shard"

    def wrap(self, model: ModelT, objective: Objective[ModelT, BatchT]) -> nn.Module:
        """Distribute `model` over the processes and combine it with its objective.

        Parameters
        ----------
        model
            The model to train. With the strategy "shard" its parameters become shards, in place;
            its optimizer must be built afterwards.
        objective
            The summed loss of a batch.

        Returns
        -------
        loss_module : torch.nn.Module
            ``loss_module(batch)`` is the summed loss of this process's rows of `batch`; see
            `LossModule`.
        """
        loss_module = LossModule(model, objective, rank=self.rank, world_size=self.world_size)
        if not self.is_distributed:
            return loss_module
        if self.strategy == "shard":
            return shard_model(loss_module, device=self.device, world_size=self.world_size)
        device_ids = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(loss_module, device_ids=device_ids)

    def gradient_sync(
        self, loss_module: nn.Module, *, enabled: bool
    ) -> AbstractContextManager[Any]:
        """Exchange gradients in a forward and backward pass, or leave that to a later pass.

        Parameters
        ----------
        loss_module
            The module that `wrap` returned.
        enabled
            Whether the backward pass exchanges gradients: only that of a step's last batch needs
            to, because gradients add up.

        Returns
        -------
        context : context manager
            The context in which to run both passes.
        """
        if self.strategy == "shard":
            cast("FSDPModule", loss_module).set_requires_gradient_sync(enabled)
        elif self.is_distributed and not enabled:
            return cast(DistributedDataParallel, loss_module).no_sync()
        return nullcontext()

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of `x`, of any shape, over the processes: the same in each."""
        if self.world_size == 1:
            return x
        x = x.detach().clone()
        dist.all_reduce(x)
        return x

    def is_true_in_any(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process."""
        return bool(self.all_reduce(torch.tensor(int(flag), device=self.device)))

    def barrier(self) -> None:
        """Wait until every process has called this method."""
        self.is_true_in_any(False)

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, by rank."""
        values = [value] * self.world_size
        if self.world_size > 1:
            dist.all_gather_object(values, value)
        return values

    def check_same(self, name: str, value: Any) -> None:
        """Check that a value is the same in all processes.

        Parameters
        ----------
        name
            What the value is, for the message.
        value
            The value of this process.

        Raises
        ------
        ValueError
            In every process, if not all have the same value; the message lists the values by rank.
        """
        values = self.gather(value)
        if any(other != value for other in values):
            raise ValueError(f"the processes do not have the same {name}: by rank {values}")

    def full_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the tensors of `state_dict` by name, on the CPU, with shards put together."""
        return {
            name: (x.full_tensor() if hasattr(x, "full_tensor") else x).detach().cpu()
            for name, x in state_dict.items()
        }


@contextmanager
def process_group(strategy: Strategy = "data", device: str | None = None) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them at the end of the block.

    They communicate by gloo on CPUs and by NCCL on GPUs. Without torchrun there is one process.

    Parameters
    ----------
    strategy
        "data" or "shard", see `Processes`.
    device
        The device, as for `select_device`; with several processes, "cuda" is for each its own GPU.

    Yields
    ------
    processes : Processes
        The processes, with the rank and the device of this process.

    Raises
    ------
    ValueError
        If the strategy or the device is unknown, if this torch cannot shard on the device, if there
        are more processes than GPUs, or if the variables of the environment are not such as
        torchrun sets.
    """
    check_choice(STRATEGIES, strategy=strategy)
    environment = _Environment.read()
    processes = Processes(
        rank=environment.rank,
        world_size=environment.world_size,
        strategy=strategy,
        device=_process_device(select_device(device), strategy, environment),
    )
    if not processes.is_distributed:
        yield processes
        return
    _initialize(processes)
    try:
        yield processes
        processes.barrier()  # no process leaves while another waits for its answer
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
        """Read the variables; without torchrun there is one process.

        Raises
        ------
        ValueError
            If a variable is not an integer, or a rank not below the number of processes: a process
            of rank 1 that is alone would train without a word and write nothing.
        """
        names = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
        numbers = {name: _read_number(name, default) for name, default in names.items()}
        for rank, size in (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
            if not 0 <= numbers[rank] < numbers[size]:
                raise ValueError(
                    f"the environment has {rank}={numbers[rank]} and {size}={numbers[size]}: "
                    f"expected a {rank} from 0 to {size} − 1, as torchrun sets them; unset both "
                    "for one process"
                )
        return cls(*numbers.values())


def _read_number(name: str, default: int) -> int:
    """Return the integer of an environment variable; raise ValueError for anything else."""
    setting = os.environ.get(name, str(default))
    try:
        return int(setting)
    except ValueError as error:
        raise ValueError(
            f"the environment has {name}={setting!r}: expected an integer, as torchrun sets it; "
            "unset it for one process"
        ) from error


def _process_device(
    device: torch.device, strategy: Strategy, environment: _Environment
) -> torch.device:
    """Return the device of this process; raise ValueError if this machine lacks it."""
    if strategy == "shard":
        check_torch_for_sharding()
        if not supports_sharding(device):
            raise ValueError(
                f"torch {torch.__version__} has no shards on {device.type!r}: expected a GPU, a "
                "newer torch, or strategy 'data'"
            )
    if environment.world_size == 1:
        return device
    if device.type == "mps":
        raise ValueError("several processes need device 'cuda' or 'cpu', not 'mps'")
    if device.type != "cuda":
        return device
    num_processes, num_gpus = environment.local_world_size, torch.cuda.device_count()
    if device.index is not None or num_processes > num_gpus:
        raise ValueError(
            f"{num_processes} processes need {num_processes} GPUs and device 'cuda'; this machine "
            f"has {num_gpus} and the device is {str(device)!r}"
        )
    device = torch.device("cuda", environment.local_rank)
    torch.cuda.set_device(device)
    return device


def _initialize(processes: Processes) -> None:
    """Initialize torch.distributed for `processes`."""
    store: dist.Store
    if processes.world_size == 1:
        store = dist.HashStore()
    else:
        store = next(dist.rendezvous("env://"))[0]
    # A prefix of its own: a program may form several groups in turn, and may be restarted.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"group-{attempt}-{next(_group_numbers)}", store)
    backend = "cpu:gloo,cuda:nccl" if processes.device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=processes.rank, world_size=processes.world_size
    )

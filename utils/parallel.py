"""One model trained by many processes: copies of it, or shards, started by torchrun.

A copy in each process sees its own rows of the batch, and the gradients are averaged ("data":
PyTorch's DistributedDataParallel, Li et al. 2020). With "shard" each process keeps a part of every
weight, gradient and optimizer state as well (``fully_shard``, the successor of Zhao et al. 2023;
the idea: Rajbhandari et al. 2020). Either way a step is that of one process with the whole batch:
every process draws the same batch, because a batch is a function of the step, counts its tokens,
and takes rows rank, rank + n, … of it. No number has to be sent but gradients and losses.
"""

from __future__ import annotations

import gc
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from utils import runtime
from utils.batches import IGNORE

KINDS = ("data", "shard")
TEAMS = itertools.count()
LAST = torch.zeros(())


@dataclass(frozen=True)
class Team:
    """The processes that train one model together; alone, without torchrun, a team of one.

    `rank` of `world` processes, `kind` "data" or "shard", on `device`. Made by `team`.
    """

    rank: int = 0
    world: int = 1
    kind: str = "data"
    device: torch.device = torch.device("cpu")

    @property
    def alone(self) -> bool:
        """Whether there is nobody to exchange anything with, and no shards either."""
        return self.world == 1 and self.kind == "data"

    def spread(self, model: nn.Module, objective: Callable) -> nn.Module:
        """A module that gives the summed loss of this process' rows: ``loss(batch, smoothing)``.

        With "shard" the weights of `model` become shards, so that an optimizer is made afterwards.
        """
        loss = Loss(model, objective, self.rank, self.world)
        if self.alone:
            return loss
        if self.kind == "data":
            here = [self.device] if self.device.type == "cuda" else None
            return nn.parallel.DistributedDataParallel(loss, device_ids=here)
        return shard(loss, self.device, self.world)

    @contextmanager
    def exchange(self, loss: nn.Module, last: bool) -> Iterator[None]:
        """Within: gradients are exchanged after the `last` batch of a step only."""
        if self.kind == "shard":
            loss.set_requires_gradient_sync(last)
        quiet = not self.alone and self.kind == "data" and not last
        with loss.no_sync() if quiet else nullcontext():
            yield

    def sum(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of `x` over the processes, the same in each."""
        if self.world == 1:
            return x
        x = x.detach().clone()
        dist.all_reduce(x)
        return x

    def any(self, flag: bool) -> bool:
        """Whether the flag is raised in any process."""
        return bool(self.sum(torch.tensor(int(flag), device=self.device)))

    def gather(self, value: Any) -> list:
        """The values of all processes, by rank."""
        found = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(found, value)
        return found

    def check_same(self, what: str, value: Any) -> None:
        """Raise ValueError, in every process, where `value` is not the same in all."""
        found = self.gather(value)
        if any(other != value for other in found):
            raise ValueError(f"the processes do not have the same {what}: by rank {found}")

    def whole(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Weights by name with their shards put together, in every process, on the CPU."""
        return {
            name: (x.full_tensor() if hasattr(x, "full_tensor") else x).detach().cpu()
            for name, x in weights.items()
        }

    def save(self, path: Path, plain: dict, model, optimizer, best: dict | None) -> None:
        """Write a checkpoint, all or nothing: rank 0 a file, or all processes a folder of shards.

        `plain`: what is neither weights nor optimizer. Every process' random state goes along.
        """
        plain = {**plain, "random": self.gather(runtime.random_state())}
        if self.kind == "shard":
            save_shards(self, path, plain, model, optimizer, best)
        elif self.rank == 0:
            weights = {"model": dict(model.state_dict()), "best": best}
            content = {**plain, **weights, "optimizer": optimizer.state_dict()}
            runtime.save_checkpoint(path, content)

    def load(self, path: Path, model, optimizer, check: Callable[[dict], None]) -> dict | None:
        """Put a checkpoint back into model and optimizer; the rest of it, "best" included.

        None where there is none. `check` may refuse what it reads before anything is changed.
        Raises ValueError where the checkpoint belongs to another model or is of the other kind, or
        where not all processes see the same one.
        """
        other = newest(path) if self.kind == "data" else path if path.is_file() else None
        if other is not None:
            wanted = [kind for kind in KINDS if kind != self.kind][0]
            raise ValueError(f"{path} was written with parallel={wanted!r}, not {self.kind!r}")
        found = newest(path) if self.kind == "shard" else path if path.exists() else None
        if found is None:
            self.check_same(f"checkpoint at {path} (is it on a disk that all see?)", None)
            return None
        file = found / PLAIN if self.kind == "shard" else path
        saved = runtime.load_checkpoint(file)
        self.check_same(f"checkpoint at {path} (is it on a disk that all see?)", saved.get("step"))
        check(saved)
        try:
            if self.kind == "shard":
                saved["best"] = load_shards(found, model, optimizer, saved["best"])
            else:
                model.load_state_dict(saved["model"])
                optimizer.load_state_dict(saved["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise ValueError(f"{path} belongs to another model: {error}") from error
        if self.rank < len(saved["random"]):  # more processes than there were: theirs stay fresh
            runtime.set_random_state(saved["random"][self.rank])
        return saved


class Loss(nn.Module):
    """Model and objective as one module, so that one forward call is all that a wrapper sees."""

    def __init__(self, model: nn.Module, objective: Callable, rank: int = 0, world: int = 1):
        super().__init__()
        self.model, self.objective, self.rank, self.world = model, objective, rank, world

    def forward(self, batch, label_smoothing: float = 0.0) -> torch.Tensor:
        return self.objective(self.model, share(batch, self.rank, self.world), label_smoothing)


def share(batch, rank: int, world: int):
    """Rows rank, rank + world, … of a batch (a dataclass of tensors with B first, targets in it).

    A process for which no row is left gets the first one with targets that no loss counts: it has
    to take part in every exchange, with gradients of zero.
    """
    if world == 1:
        return batch
    assert is_dataclass(batch), f"a batch is a dataclass of tensors, not {type(batch).__name__}"
    rows = {f.name: getattr(batch, f.name) for f in fields(batch)}
    empty = len(batch.targets) <= rank
    mine = {k: x if x is None else x[:1] if empty else x[rank::world] for k, x in rows.items()}
    if empty:
        mine["targets"] = torch.full_like(mine["targets"], IGNORE)
    return replace(batch, **mine)


def shard(loss: Loss, device: torch.device, world: int) -> nn.Module:
    """`loss` with its model's weights cut along the first dimension, a part in each process.

    The parts of a stack are put together one after the other, when they are needed, and taken
    apart again; what is outside of stacks stays together for the whole step.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (world,))
    for stack in [m for m in loss.modules() if isinstance(m, nn.ModuleList)]:
        for part in stack:  # its matrices and gains as one group, of which any may be called first
            group = [m for m in part.modules() if list(m.parameters(recurse=False))]
            for module in group:
                module.register_forward_hook(no_view)
            fully_shard(group, mesh=mesh)
    return fully_shard(loss, mesh=mesh)


def can_shard(device: torch.device) -> bool:
    """Whether this torch shards on such a device: 2.6 does so on GPUs only."""
    return device.type == "cuda" or (
        device.type == "cpu" and hasattr(torch.cpu.Stream, "record_event")
    )


def no_view(module, inputs, output: torch.Tensor) -> torch.Tensor:
    """A forward hook: a copy of an output that is a view, on which no hook of shards would last."""
    return output if output._base is None else output.clone()


PLAIN = "run.safetensors"  # beside the shards: step, configuration, history, random states


def newest(path: Path) -> Path | None:
    """The last whole checkpoint of shards below `path`, or None."""
    return max(path.glob("step-*"), default=None) if path.is_dir() else None


def save_shards(team: Team, path: Path, plain: dict, model, optimizer, best) -> None:
    """Each process writes its shards to path/step-N, which takes its name when it is whole."""
    from torch.distributed import checkpoint as shards

    fresh, place = path / f".step-{plain['step']:09d}", path / f"step-{plain['step']:09d}"
    if team.rank == 0:
        for old in path.glob(".step-*"):  # of a run that was killed while it wrote
            shutil.rmtree(old)
        fresh.mkdir(parents=True)
    team.check_same("step", plain["step"])  # and wait until the folder is there
    shards.save(shard_tree(model, optimizer, best), checkpoint_id=fresh)
    if team.rank == 0:
        runtime.save_checkpoint(fresh / PLAIN, {**plain, "best": best is not None})
        while place.exists():  # saved once more at the same step, at the end of a run
            place = place.with_name(place.name + "+")
        os.replace(fresh, place)
        for old in path.glob("step-*"):
            if old != place:
                shutil.rmtree(old)


def load_shards(place: Path, model, optimizer, has_best: bool) -> dict | None:
    """Put shards, by however many processes they were written, into model and optimizer.

    Gives the best weights, as this process keeps them, or None where there were none yet.
    """
    from torch.distributed import checkpoint as shards
    from torch.distributed.checkpoint import state_dict

    best = {k: v.detach().clone() for k, v in model.state_dict().items()} if has_best else None
    tree = shard_tree(model, optimizer, best)
    try:
        shards.load(tree, checkpoint_id=place)
    except shards.CheckpointException as error:
        first = next(iter(error.failures.values()))[0]
        raise ValueError(first) from error
    state_dict.set_model_state_dict(model, tree["model"])
    state_dict.set_optimizer_state_dict(model, optimizer, tree["optimizer"])
    return best


def shard_tree(model, optimizer, best: dict | None) -> dict:
    """What a checkpoint of shards holds: tensors by the names of the weights."""
    from torch.distributed.checkpoint import state_dict

    weights = state_dict.get_model_state_dict(model)
    moments = state_dict.get_optimizer_state_dict(model, optimizer)
    return {"model": weights, "optimizer": moments, "best": best or {}}


@contextmanager
def team(kind: str = "data", device: str | None = None) -> Iterator[Team]:
    """The Team of the processes that torchrun started, by gloo on CPUs and NCCL on GPUs.

    Without torchrun, a team of one. "cuda" is then each process' own GPU. Raises ValueError for an
    unknown kind, for a device that is not here and for more processes than GPUs.
    """
    if kind not in KINDS:
        raise ValueError(f"parallel is {kind!r}; choose from {', '.join(KINDS)}")
    where = runtime.device(device)
    rank, world, local, beside = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0),
                              ("LOCAL_WORLD_SIZE", 1))
    )  # fmt: skip
    if world == 1 and kind == "data":
        yield Team(0, 1, kind, where)
        return
    if kind == "shard" and not can_shard(where):
        raise ValueError(
            f"torch {torch.__version__} has no shards on {where.type!r}: expected a GPU, a newer "
            "torch, or parallel 'data'"
        )
    if where.type == "cuda" and world > 1:
        if where.index is not None or beside > torch.cuda.device_count():
            raise ValueError(
                f"{beside} processes need {beside} GPUs and device 'cuda'; this machine has "
                f"{torch.cuda.device_count()} and the device is {str(where)!r}"
            )
        where = torch.device("cuda", local)
        torch.cuda.set_device(where)
    elif where.type == "mps":
        raise ValueError("several processes need device 'cuda' or 'cpu', not 'mps'")
    backend = "cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo"
    store = dist.HashStore() if world == 1 else next(dist.rendezvous("env://"))[0]
    # a name of its own: a program may form one team after the other, and be started again
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)
    store = dist.PrefixStore(f"team-{attempt}-{next(TEAMS)}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    made = Team(rank, world, kind, where)
    try:
        yield made
        made.sum(LAST.to(where))  # nobody leaves while another still waits for an answer
    finally:
        # Gloo's threads end with the last reference to the group, which models in shards have too.
        # One that lets go of a tensor of Python's when Python has ended aborts the process.
        gc.collect()
        dist.destroy_process_group()

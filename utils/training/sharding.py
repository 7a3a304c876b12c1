"""Sharded training: every process keeps a part of each parameter, gradient and optimizer state.

This module wraps PyTorch's ``fully_shard`` (FSDP2, the successor of Zhao et al. 2023) and its
distributed checkpoints. The idea is that of ZeRO (Rajbhandari et al. 2020); the chapter "Beyond one
machine" derives what it saves and what it sends. ``distributed`` uses it for the strategy "shard".

All functions need an initialized process group of ``torch.distributed``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from utils.torch_internals import SHARDING_METADATA, is_view, shard_files
from utils.training.tensor_file import file_checksum, write_tensor_file

# The file in a checkpoint folder that holds all but the shards: step, configuration, history and
# random states.
RUN_FILE = "run.safetensors"
# The oldest torch whose shards are right: 2.8 doubles their gradients, and 2.9 fails four tests.
# The installed library does not require it, as Colab's torch must not change.
OLDEST_TORCH = (2, 10)


def supports_sharding(device: torch.device) -> bool:
    """Return True if this torch can shard a model on `device`; some builds can on GPUs only."""
    return device.type == "cuda" or (
        device.type == "cpu" and hasattr(torch.cpu.Stream, "record_event")
    )


def check_torch_for_sharding() -> None:
    """Check that this torch trains sharded models correctly.

    Raises
    ------
    ValueError
        If torch is older than OLDEST_TORCH.
    """
    version = tuple(int(number) for number in torch.__version__.split(".")[:2])
    if version < OLDEST_TORCH:
        expected = ".".join(map(str, OLDEST_TORCH))
        raise ValueError(
            f"torch {torch.__version__} computes wrong gradients of sharded models: expected torch "
            f"{expected} or newer, or strategy 'data'"
        )


def shard_model(model: nn.Module, *, device: torch.device, world_size: int) -> nn.Module:
    """Cut the parameters of `model` along their first dimension, one part for each process.

    The parameters of the first process are the ones that are cut. Each layer in
    an ``nn.ModuleList`` has its parameters gathered when it is needed and freed afterwards; all
    other parameters are gathered once for a step.

    Parameters
    ----------
    model
        The module to shard, in place; its optimizer must be built afterwards.
    device
        The device of this process.
    world_size
        The number of processes.

    Returns
    -------
    model : torch.nn.Module
        The same module.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    for tensor in (*model.parameters(), *model.buffers()):
        dist.broadcast(tensor.detach(), src=0)
    mesh = init_device_mesh(device.type, (world_size,))
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    for stack in stacks:
        for layer in stack:
            # One group for all modules with parameters: any of them may be called first.
            group = [module for module in layer.modules() if list(module.parameters(recurse=False))]
            for module in group:
                module.register_forward_hook(_clone_view)
            fully_shard(group, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def newest_checkpoint(path: Path) -> Path | None:
    """Return the folder of the last complete sharded checkpoint in the folder `path`, or None."""
    return max(path.glob("step-*"), default=None) if path.is_dir() else None


def save_shards(
    path: Path,
    run_values: dict[str, Any],
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_parameters: dict[str, torch.Tensor] | None,
) -> None:
    """Write a sharded checkpoint to the folder path/step-N, completely or not at all.

    Every process calls this function and writes its own shards. The folder has a hidden name until
    it is complete; older checkpoints in `path` are then removed.

    Parameters
    ----------
    path
        The folder of all checkpoints of the run.
    run_values
        Content of `RUN_FILE`: a tree with the key "step".
    model, optimizer
        A model from `shard_model` and its optimizer.
    best_parameters
        Sharded parameters of the best validation by name, or None.

    Raises
    ------
    OSError
        If a process cannot write its part, on a full disk for instance.
    """
    from torch.distributed import checkpoint as distributed_checkpoint

    name = f"step-{run_values['step']:09d}"
    temporary = path / f".{name}"
    if dist.get_rank() == 0:
        for leftover in path.glob(".step-*"):  # of a run that was killed while it wrote
            shutil.rmtree(leftover)
        temporary.mkdir(parents=True)
    dist.barrier()  # until the folder exists
    with _removed_after_an_error(temporary):
        distributed_checkpoint.save(
            _sharded_tensors(model, optimizer, best_parameters), checkpoint_id=temporary
        )
        checksums = _gather_dicts(_checksums(temporary, shard_files(dist.get_rank())))
        if dist.get_rank() == 0:
            description = {
                "has_best_parameters": best_parameters is not None,
                "checksums": checksums | _checksums(temporary, SHARDING_METADATA),
            }
            write_tensor_file(temporary / RUN_FILE, {**run_values, **description})
            _replace_checkpoints(temporary, path / name)


def load_shards(
    folder: Path,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    run_values: dict[str, Any],
) -> dict[str, torch.Tensor] | None:
    """Load a sharded checkpoint, written by any number of processes, into model and optimizer.

    The files are compared with their checksums before anything is loaded.

    Parameters
    ----------
    folder
        The folder of the checkpoint, as `newest_checkpoint` returns it.
    model, optimizer
        A model from `shard_model` and its optimizer.
    run_values
        The content of the checkpoint's `RUN_FILE`.

    Returns
    -------
    best_parameters : dict or None
        This process's shards of the parameters of the best validation, if there are any.

    Raises
    ------
    ValueError
        If a file of the checkpoint is damaged, or the checkpoint belongs to another model.
    """
    from torch.distributed import checkpoint as distributed_checkpoint
    from torch.distributed.checkpoint import state_dict

    _check_files(folder, run_values["checksums"])
    best_parameters = None
    if run_values["has_best_parameters"]:
        parameters: dict[str, Any] = state_dict.get_model_state_dict(model)
        best_parameters = {name: x.detach().clone() for name, x in parameters.items()}
    tensors = _sharded_tensors(model, optimizer, best_parameters)
    try:
        distributed_checkpoint.load(tensors, checkpoint_id=folder)
    except distributed_checkpoint.CheckpointException as error:
        raise ValueError(f"{folder} cannot be loaded: {_first_failure(error)}") from error
    state_dict.set_model_state_dict(model, tensors["model"])
    state_dict.set_optimizer_state_dict(model, optimizer, tensors["optimizer"])
    return best_parameters


def _sharded_tensors(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best_parameters: dict[str, torch.Tensor] | None,
) -> dict[str, Any]:
    """Return the tensors of a sharded checkpoint, by the names of the parameters."""
    from torch.distributed.checkpoint import state_dict

    return {
        "model": state_dict.get_model_state_dict(model),
        "optimizer": state_dict.get_optimizer_state_dict(model, optimizer),
        "best_parameters": best_parameters or {},
    }


def _first_failure(error: Any) -> BaseException:
    """Return the error of the first process that failed in writing or reading shards."""
    failure: BaseException = next(iter(error.failures.values()))[0]
    return failure


@contextmanager
def _removed_after_an_error(folder: Path) -> Iterator[None]:
    """Remove a folder that could not be completed; raise OSError if it could not be written."""
    from torch.distributed.checkpoint import CheckpointException

    try:
        yield
    except BaseException as error:
        if dist.get_rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, CheckpointException):  # not a subclass of Exception
            reason = " ".join(str(_first_failure(error)).split())
            raise OSError(f"{folder} cannot be written (is the disk full?): {reason}") from error
        raise


def _gather_dicts(values: dict[str, str]) -> dict[str, str]:
    """Return the dicts of all processes joined into one."""
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, values)
    return {name: value for part in gathered for name, value in part.items()}


def _checksums(folder: Path, pattern: str) -> dict[str, str]:
    """Return the checksums of the files of a pattern by name."""
    return {path.name: file_checksum(path) for path in sorted(folder.glob(pattern))}


def _check_files(folder: Path, checksums: dict[str, str]) -> None:
    """Raise ValueError in every process if a file has changed; each process reads some."""
    errors = {}
    for name in sorted(checksums)[dist.get_rank() :: dist.get_world_size()]:
        path = folder / name
        if not path.is_file():
            errors[name] = "missing"
        elif file_checksum(path) != checksums[name]:
            errors[name] = "damaged"
    errors = _gather_dicts(errors)
    if errors:
        name = min(errors)
        raise ValueError(f"{folder / name} is {errors[name]}: delete {folder}, or use a copy of it")


def _replace_checkpoints(temporary: Path, folder: Path) -> None:
    """Rename a complete checkpoint to `folder` and remove those beside it."""
    while folder.exists():  # the end of a run saves again at the same step
        folder = folder.with_name(folder.name + "+")
    os.replace(temporary, folder)
    for older in folder.parent.glob("step-*"):
        if older != folder:
            shutil.rmtree(older)


def _clone_view(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """Clone an output that is a view (a forward hook): FSDP2 would lose its backward hook."""
    return output.clone() if is_view(output) else output

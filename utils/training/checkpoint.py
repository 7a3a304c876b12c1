"""Checkpoints of a training run, from which `fit` resumes as if it had not been interrupted.

A checkpoint is one file, which the first process writes, or with the strategy "shard" a folder to
which every process writes its part. It holds the state of the run, its configuration and the random
states of all processes. The data need no state: a batch is a function of the step. Source:
``eq-torch-checkpoint`` (section 7.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from utils.files import exclusive
from utils.runtime import get_random_state, set_random_state
from utils.training.checkpoint_content import check_content, describe_run
from utils.training.distributed import Processes, Strategy
from utils.training.history import History, Validation
from utils.training.sharding import RUN_FILE, load_shards, newest_checkpoint, save_shards
from utils.training.tensor_file import read_tensor_file, write_tensor_file
from utils.training.training_run import TrainingRun


@contextmanager
def lock_run(path: Path | None, processes: Processes) -> Iterator[None]:
    """Keep other runs from writing to `path` within the block; all processes call it.

    The first process holds a lock, which a run that was killed does not leave behind, and removes
    the unfinished files that such a run has left.

    Parameters
    ----------
    path
        The file or folder that the run writes; None if it writes no checkpoints.
    processes
        The processes of the run.

    Raises
    ------
    ValueError
        In every process, if another run is writing there, or a file is where a folder must be.
    OSError
        In every process, if nothing can be written there.
    """
    if path is None:
        yield
        return
    with ExitStack() as stack:
        error: Exception | None = None
        if processes.rank == 0:
            try:
                stack.enter_context(exclusive(path, wait=False))
            except BlockingIOError:
                error = ValueError(
                    f"another run is writing to {path}: wait until it ends, or choose another name"
                )
            except (FileExistsError, NotADirectoryError) as reason:
                error = ValueError(f"expected a folder for {path}, found a file: {reason}")
            except OSError as reason:
                error = reason
        error = processes.gather(error)[0]
        if error is not None:
            raise error
        yield


def check_parameters(run: TrainingRun) -> None:
    """Check that the trained parameters are finite, which waits for the device; all processes call.

    A loss that is finite may have a gradient that is not, and a step then spoils the parameters.

    Parameters
    ----------
    run
        The run whose parameters are checked.

    Raises
    ------
    FloatingPointError
        In every process, if a trained parameter is infinite or NaN.
    """
    parameters = [x.detach() for x in run.trained_parameters]
    shards = [x.to_local() if hasattr(x, "to_local") else x for x in parameters]
    flags = [x.isfinite().all().to(run.device) for x in shards]
    if run.processes.is_true_in_any(not torch.stack(flags).all()):
        raise FloatingPointError(
            f"a parameter is infinite or NaN by step {run.step}, though the loss is finite: look "
            "for a gradient that is not, such as that of sqrt(0) or of 0 · log 0, or try a lower "
            f"learning_rate (now {run.config.learning_rate:g})"
        )


def save_checkpoint(run: TrainingRun, path: Path) -> None:
    """Write a checkpoint of the run to `path`, completely or not at all; all processes call it.

    Parameters
    ----------
    run
        The model, optimizer, random states and history to save.
    path
        The file, or with the strategy "shard" the folder of all checkpoints of the run.

    Raises
    ------
    FloatingPointError
        If the last loss or a trained parameter is not finite.
    ValueError
        If the processes have not taken the same number of steps.
    OSError
        If the checkpoint cannot be written, on a full disk for instance.
    """
    run.read_losses()
    check_parameters(run)
    processes = run.processes
    processes.check_same("step", run.step)
    run_values = {
        "config": asdict(run.config),
        "history": {**vars(run.history), "validations": list(map(tuple, run.history.validations))},
        "layout": describe_run(run),
        "step": run.step,
        "scaler": run.scaler.state_dict(),
        "random_states": processes.gather(get_random_state()),
    }
    if processes.strategy == "shard":
        save_shards(
            path,
            run_values,
            model=run.model,
            optimizer=run.optimizer,
            best_parameters=run.best_parameters,
        )
    elif processes.rank == 0:
        tensors = {
            "model": run.model_tensors(),
            "optimizer": run.optimizer.state_dict(),
            "best_parameters": run.best_parameters,
        }
        write_tensor_file(path, {**run_values, **tensors})


def resume_from_checkpoint(run: TrainingRun, path: Path) -> bool:
    """Load the checkpoint at `path` into the run, if there is one; all processes call it.

    A rejected checkpoint changes nothing.

    Parameters
    ----------
    run
        A run before its first step.
    path
        The file, or with the strategy "shard" the folder of all checkpoints of the run.

    Returns
    -------
    has_resumed : bool
        Whether there was a checkpoint.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another configuration, model, optimizer or strategy, if it is
        damaged or not that of a training run, or if not all processes see the same one.
    """
    processes = run.processes
    checkpoint = _find_checkpoint(path, processes.strategy)
    saved: dict[str, Any] = {}
    if checkpoint is not None:
        is_folder = processes.strategy == "shard"
        saved = read_tensor_file(checkpoint / RUN_FILE if is_folder else checkpoint)
    description = f"checkpoint at {path} (is it on a disk that all see?)"
    processes.check_same(description, saved.get("step"))
    if checkpoint is None:
        return False
    check_content(saved, run, path)
    _load_tensors(run, checkpoint, saved)  # first: of shards it checks the tensors
    if processes.rank < len(saved["random_states"]):  # additional processes keep their own
        set_random_state(saved["random_states"][processes.rank])
    if saved["scaler"]:  # empty if the device that wrote it needed none
        run.scaler.load_state_dict(saved["scaler"])
    run.step = saved["step"]
    run.history = History(**saved["history"])
    run.history.validations = [Validation(*pair) for pair in saved["history"]["validations"]]
    return True


def _find_checkpoint(path: Path, strategy: Strategy) -> Path | None:
    """Return the checkpoint at `path` or None; raise ValueError for what `fit` does not write."""
    if strategy == "shard":
        if (path / RUN_FILE).is_file():
            raise ValueError(
                f"{path} is one checkpoint of a run: expected the folder of all, {path.parent}"
            )
        checkpoint, other = newest_checkpoint(path), path if path.is_file() else None
    else:
        checkpoint, other = path if path.exists() else None, newest_checkpoint(path)
    if other is not None:
        other_strategy = "data" if strategy == "shard" else "shard"
        raise ValueError(f"{path} was written with strategy={other_strategy!r}, not {strategy!r}")
    if checkpoint is path and path.is_dir():
        raise ValueError(f"{path} is a folder: expected the name of a file for checkpoints")
    return checkpoint


def _load_tensors(run: TrainingRun, checkpoint: Path, saved: dict[str, Any]) -> None:
    """Load the parameters, the optimizer's state and the best parameters."""
    if run.processes.strategy == "shard":
        run.best_parameters = load_shards(
            checkpoint,
            model=run.model,
            optimizer=run.optimizer,
            run_values=saved,
        )
    else:
        run.load_model_tensors(saved["model"])
        run.optimizer.load_state_dict(saved["optimizer"])
        run.best_parameters = saved["best_parameters"]

"""Checkpoints of a training run, from which `fit` resumes as if it had not been interrupted.

A checkpoint is one file, which the first process writes, or with the strategy "shard" a folder to
which every process writes its part. It holds the state of the run, its configuration and the random
states of all processes. The data need no state: a batch is a function of the step. Source:
``eq-torch-checkpoint`` (section 7.2).
"""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from utils.runtime import get_random_state, set_random_state
from utils.training.checkpoint import load_checkpoint, save_checkpoint
from utils.training.config import TrainConfig
from utils.training.sharding import RUN_FILE, load_shards, newest_checkpoint, save_shards
from utils.training.state import History, TrainingState

# What may change when a run is resumed: it makes no difference to the steps.
_CHANGEABLE_OPTIONS = ("evaluate_every", "checkpoint_every")


def save_run(state: TrainingState, path: Path) -> None:
    """Write a checkpoint of the run to `path`, completely or not at all; all processes call it.

    Parameters
    ----------
    state
        The run.
    path
        The file, or with the strategy "shard" the folder of all checkpoints of the run.

    Raises
    ------
    FloatingPointError
        If the last loss is not finite.
    ValueError
        If the processes have not taken the same number of steps.
    """
    state.read_losses()
    processes = state.processes
    processes.check_same("step", state.step)
    run_values = {
        "config": asdict(state.config),
        "history": asdict(state.history),
        "step": state.step,
        "scaler": state.scaler.state_dict(),
        "random_states": processes.gather(get_random_state()),
    }
    if processes.strategy == "shard":
        save_shards(
            path,
            run_values,
            model=state.model,
            optimizer=state.optimizer,
            best_parameters=state.best_parameters,
        )
    elif processes.rank == 0:
        tensors = {
            "model": dict(state.model.state_dict()),
            "optimizer": state.optimizer.state_dict(),
            "best_parameters": state.best_parameters,
        }
        save_checkpoint(path, {**run_values, **tensors})


def resume_run(state: TrainingState, path: Path) -> bool:
    """Load the checkpoint at `path` into the run, if there is one; all processes call it.

    Parameters
    ----------
    state
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
        If the checkpoint belongs to another configuration, model or strategy, if it is none of a
        training run, or if not all processes see the same one.
    """
    processes = state.processes
    checkpoint = _find_checkpoint(path, processes.strategy)
    saved: dict[str, Any] = {}
    if checkpoint is not None:
        is_folder = processes.strategy == "shard"
        saved = load_checkpoint(checkpoint / RUN_FILE if is_folder else checkpoint)
    description = f"checkpoint at {path} (is it on a disk that all see?)"
    processes.check_same(description, saved.get("step"))
    if checkpoint is None:
        return False
    _check_config(saved, state.config, path)
    try:
        _load_tensors(state, checkpoint, saved)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(f"{path} belongs to another model: {error}") from error
    if saved["scaler"]:  # empty if the device that wrote it needed none
        state.scaler.load_state_dict(saved["scaler"])
    state.step = saved["step"]
    state.history = History(**saved["history"])
    if processes.rank < len(saved["random_states"]):  # additional processes keep their own
        set_random_state(saved["random_states"][processes.rank])
    return True


def _find_checkpoint(path: Path, strategy: str) -> Path | None:
    """Return the checkpoint at `path` or None; raise ValueError for the other strategy's."""
    if strategy == "shard":
        checkpoint, other = newest_checkpoint(path), path if path.is_file() else None
    else:
        checkpoint, other = path if path.exists() else None, newest_checkpoint(path)
    if other is not None:
        other_strategy = "data" if strategy == "shard" else "shard"
        raise ValueError(f"{path} was written with strategy={other_strategy!r}, not {strategy!r}")
    return checkpoint


def _check_config(saved: dict[str, Any], config: TrainConfig, path: Path) -> None:
    """Raise ValueError unless a run with `config` may resume from the checkpoint."""
    if "config" not in saved:
        raise ValueError(f"{path} holds {list(saved)}, but no run of fit to resume")
    for name in (field.name for field in fields(config) if field.name not in _CHANGEABLE_OPTIONS):
        if saved["config"].get(name) != getattr(config, name):
            raise ValueError(
                f"{path} was trained with {name}={saved['config'].get(name)!r}, not "
                f"{getattr(config, name)!r}: use the same configuration or another file"
            )


def _load_tensors(state: TrainingState, checkpoint: Path, saved: dict[str, Any]) -> None:
    """Load the parameters, the optimizer's state and the best parameters."""
    if state.processes.strategy == "shard":
        state.best_parameters = load_shards(
            checkpoint,
            model=state.model,
            optimizer=state.optimizer,
            has_best_parameters=saved["has_best_parameters"],
        )
    else:
        state.model.load_state_dict(saved["model"])
        state.optimizer.load_state_dict(saved["optimizer"])
        state.best_parameters = saved["best_parameters"]

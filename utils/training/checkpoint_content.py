"""The content of a checkpoint, and the checks that it passes before a run resumes from it.

The checks change nothing. A checkpoint that passes them can be loaded without an error, so that a
rejected one leaves the run as it was.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from utils.arguments import check_integer, check_number
from utils.runtime import get_random_state, set_random_state
from utils.torch_internals import SHARDING_METADATA
from utils.training.config import TrainConfig
from utils.training.distributed import Strategy
from utils.training.history import History
from utils.training.model_description import describe_modules, describe_tensors, plain_name
from utils.training.optimizers import Muon
from utils.training.training_run import TrainingRun

# What may change when a run is resumed: it makes no difference to the steps.
_CHANGEABLE_OPTIONS = ("validate_every", "checkpoint_every")
_CHANGEABLE_GROUP_OPTIONS = {"params", "lr", "fused", "foreach", "capturable", "differentiable"}
_RUN_KEYS = {"config", "history", "layout", "step", "scaler", "random_states"}
_STRATEGY_KEYS: dict[Strategy, set[str]] = {
    "data": {"model", "optimizer", "best_parameters"},
    "shard": {"has_best_parameters", "checksums"},
}
# What an optimizer keeps of a parameter in the parameter's own shape.
_STATE_TENSORS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"}


def describe_run(run: TrainingRun) -> dict[str, Any]:
    """Return what a model and an optimizer must have in common with those of a checkpoint.

    That is the type and the shape of each tensor of the model by name, the classes and plain
    attributes of its modules, the optimizer's class, and of each of its groups the names of the
    parameters and the options that make a difference. Which parameters have a state is stored
    beside them, so that a lost state is noticed.
    """
    names = {id(x): plain_name(run.model, name) for name, x in run.model.named_parameters()}
    groups = [
        {
            "parameters": [names.get(id(x), "no parameter of the model") for x in group["params"]],
            "options": {
                name: value
                for name, value in group.items()
                if name not in _CHANGEABLE_GROUP_OPTIONS and not isinstance(value, torch.Tensor)
            },
            "has_state": [bool(run.optimizer.state.get(x)) for x in group["params"]],
        }
        for group in run.optimizer.param_groups
    ]
    return {
        "model": describe_tensors(run.model_tensors()),
        "modules": describe_modules(run.model),
        "optimizer": type(run.optimizer).__name__,
        "groups": groups,
    }


def check_content(saved: dict[str, Any], run: TrainingRun, path: Path) -> None:
    """Check that a run can resume from a checkpoint, without changing anything.

    Of shards only the file of the run is checked; ``sharding`` checks their tensors.

    Parameters
    ----------
    saved
        The content of the checkpoint, or with the strategy "shard" of its file of the run.
    run
        The run before its first step.
    path
        The checkpoint, for the messages.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another configuration, model, optimizer or strategy, or its
        values are not those of a run.
    """
    expected = describe_run(run)
    try:
        _check_config(saved, run.config, run.processes.strategy, path)
        _check_layout(saved["layout"], expected, path)
        try:
            _check_values(saved, run, expected)
        except ValueError as error:
            raise ValueError(f"{path} is not a checkpoint of such a run: {error}") from error
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(
            f"{path} is not a checkpoint of a run: its form is wrong ({reason})"
        ) from error


def _check_config(
    saved: dict[str, Any], config: TrainConfig, strategy: Strategy, path: Path
) -> None:
    """Raise ValueError unless a run with `config` may resume from the checkpoint."""
    if "config" not in saved:
        raise ValueError(f"{path} holds {list(saved)}, but no run of fit to resume")
    for other, keys in _STRATEGY_KEYS.items():
        if other != strategy and saved.keys() >= keys:
            raise ValueError(f"{path} was written with strategy={other!r}, not {strategy!r}")
    names = [field.name for field in fields(config)]
    is_same_version = (
        saved.keys() == _RUN_KEYS | _STRATEGY_KEYS[strategy]
        and set(saved["config"]) == set(names)
        and set(saved["history"]) == {field.name for field in fields(History)}
        and all("has_state" in group for group in saved["layout"]["groups"])
    )
    if not is_same_version:
        raise ValueError(
            f"{path} was written by another version of the book: train again with another file"
        )
    for name in names:
        if name not in _CHANGEABLE_OPTIONS and saved["config"][name] != getattr(config, name):
            raise ValueError(
                f"{path} was trained with {name}={saved['config'][name]!r}, not "
                f"{getattr(config, name)!r}: use the same configuration or another file"
            )


def _check_layout(saved: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Raise ValueError unless the model and the optimizer are like those of the checkpoint."""
    for part in ("model", "modules"):
        saved_part = saved.get(part, expected[part])  # older checkpoints do not describe modules
        for name in sorted(saved_part.keys() | expected[part].keys()):
            theirs, ours = saved_part.get(name), expected[part].get(name)
            if theirs != ours:
                raise ValueError(
                    f"{path} belongs to another model: there {name} is {theirs or 'missing'}, here "
                    f"{ours or 'missing'}"
                )
    theirs, ours = ([layout["optimizer"], *_group_names(layout)] for layout in (saved, expected))
    if theirs != ours:
        raise ValueError(
            f"{path} was written with another optimizer: there {theirs[0]} with "
            f"{len(theirs) - 1} groups of parameters, here {ours[0]} with {len(ours) - 1}"
        )
    for saved_group, group in zip(saved["groups"], expected["groups"], strict=True):
        for name in saved_group["options"].keys() & group["options"].keys():
            if saved_group["options"][name] != group["options"][name]:
                raise ValueError(
                    f"{path} was written with {name}={saved_group['options'][name]!r} of "
                    f"{theirs[0]}, not {group['options'][name]!r}: use the same optimizer"
                )


def _group_names(layout: dict[str, Any]) -> list[list[str]]:
    """Return the names of the parameters of each group of an optimizer."""
    return [group["parameters"] for group in layout["groups"]]


def _check_values(saved: dict[str, Any], run: TrainingRun, expected: dict[str, Any]) -> None:
    """Raise ValueError unless the values of a checkpoint are those of a run like this one."""
    check_integer(minimum=0, maximum=run.config.steps, step=saved["step"])
    _check_history(saved["history"], saved["step"])
    _check_random_states(saved["random_states"])
    scaler_keys = torch.amp.GradScaler("cpu").state_dict().keys()
    if saved["scaler"] and saved["scaler"].keys() != scaler_keys:
        raise ValueError("the state of its loss scaler is incomplete")
    is_sharded = run.processes.strategy == "shard"
    has_best = saved["has_best_parameters"] if is_sharded else saved["best_parameters"] is not None
    if has_best is not bool(saved["history"]["validations"]):
        raise ValueError("it must have best parameters if it has validations, and only then")
    if is_sharded:
        if SHARDING_METADATA not in saved["checksums"]:
            raise ValueError("it has no checksums of its shards")
        return
    for name in ("model", "best_parameters"):
        tensors = saved[name]
        if tensors is not None and describe_tensors(tensors) != expected["model"]:
            raise ValueError(f"the tensors in {name} are not those of the model")
    _check_optimizer(saved, run.optimizer)


def _check_history(history: dict[str, Any], step: int) -> None:
    """Raise ValueError unless the history is one of a run after `step` steps."""
    losses, validations = history["losses"], history["validations"]
    if len(losses) != step or not all(isinstance(loss, float) for loss in losses):
        raise ValueError(f"expected the losses of {step} steps, found {len(losses)}")
    check_integer(minimum=0, maximum=step, best_step=history["best_step"])
    check_integer(minimum=0, num_tokens=history["num_tokens"], stop_signal=history["stop_signal"])
    check_number(minimum=0, seconds=history["seconds"])
    earlier = -1
    for validated_step, loss in validations:
        check_integer(minimum=earlier + 1, maximum=step, validated_step=validated_step)
        check_number(validation_loss=loss)
        earlier = validated_step


def _check_random_states(states: list[dict[str, Any]]) -> None:
    """Raise ValueError unless the random states of all processes can be set."""
    if not states:
        raise ValueError("it has no random states")
    before = get_random_state()
    try:
        for state in states:
            set_random_state(state)
    finally:
        set_random_state(before)


def _check_optimizer(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError unless the optimizer's part of a checkpoint can be loaded by `optimizer`."""
    state, saved_groups = saved["optimizer"]["state"], saved["optimizer"]["param_groups"]
    positions = [group["params"] for group in optimizer.state_dict()["param_groups"]]
    if [group["params"] for group in saved_groups] != positions:
        raise ValueError("its optimizer has other groups of parameters")
    if not state.keys() <= set(chain(*positions)):
        raise ValueError("its optimizer has the state of an unknown parameter")
    groups = zip(
        optimizer.param_groups, positions, saved_groups, saved["layout"]["groups"], strict=True
    )
    for group, indices, saved_group, description in groups:
        if any(saved_group[name] != value for name, value in description["options"].items()):
            raise ValueError("its optimizer has other options than it names")
        if [bool(state.get(index)) for index in indices] != description["has_state"]:
            raise ValueError("its optimizer lacks the state of a parameter")
        for parameter, index in zip(group["params"], indices, strict=True):
            if state.get(index):
                _check_state(state[index], parameter, optimizer, group, saved["step"])


def _check_state(
    state: dict[str, Any],
    parameter: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    group: dict[str, Any],
    step: int,
) -> None:
    """Raise ValueError unless the state of one parameter is one that the optimizer can go on with.

    Of optimizers other than Adam and Muon, only the shapes of the usual tensors are known. What a
    newer torch keeps besides is left to it.
    """
    shape = tuple(parameter.shape)
    for name in _STATE_TENSORS & state.keys():
        if tuple(state[name].shape) != shape:
            raise ValueError(
                f"{name} of its optimizer has the shape {tuple(state[name].shape)}, not {shape}"
            )
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW, Muon):
        return
    is_orthogonal = group.get("orthogonal", False)  # one of Muon's
    names = {"step", "momentum_buffer"} if is_orthogonal else {"step", "exp_avg", "exp_avg_sq"}
    if group.get("amsgrad") and not is_orthogonal:
        names.add("max_exp_avg_sq")
    if not names <= state.keys():
        raise ValueError(f"its optimizer keeps {sorted(state)} of a parameter")
    if not 0 <= float(state["step"]) <= step:
        raise ValueError(f"its optimizer counts {float(state['step']):g} steps of {step}")

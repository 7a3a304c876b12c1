"""The state of a training run: everything that a checkpoint must hold, and the history it reports.

It is not the state of a model between two calls, which ``utils.decoding.state`` handles. Section
7.2 shows what happens when a checkpoint leaves a part of it out.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from utils.runtime import device_of, half_precision
from utils.training.config import TrainConfig
from utils.training.distributed import ProcessGroup
from utils.training.objectives import BatchT, ModelT, Objective
from utils.training.optimizers import OptimizerFactory


@dataclass
class History:
    """The results of a training run: losses, speed and the best step.

    Parameters
    ----------
    losses
        The training loss of each step, in nats per token.
    valid_losses
        The step and the loss of each validation.
    num_tokens
        Number of predicted tokens in all steps.
    seconds
        Time of all steps, without validations and checkpoints.
    best_step
        The step after which the model had the parameters that it now has.
    stop_signal
        The number of the signal that ended the run before its last step: 2 for Ctrl-C, 15 for
        SIGTERM; 0 if none did.
    """

    losses: list[float] = field(default_factory=list)
    valid_losses: list[tuple[int, float]] = field(default_factory=list)
    num_tokens: int = 0
    seconds: float = 0.0
    best_step: int = 0
    stop_signal: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM ended the run before its last step."""
        return self.stop_signal != 0

    @property
    def tokens_per_second(self) -> float:
        """The speed of the steps, in predicted tokens per second."""
        return self.num_tokens / max(self.seconds, 1e-9)


@dataclass(kw_only=True)
class TrainingState:
    """The state of one call of `fit`.

    Parameters
    ----------
    model
        The model as the caller of `fit` has it.
    loss_module
        Model and objective as one module, distributed over the processes: ``loss_module(batch,
        label_smoothing)`` is the summed loss of this process's rows.
    optimizer, scaler
        The optimizer, and the loss scaler that float16 needs.
    config
        The configuration of the run.
    processes
        The processes that train together.
    step
        Number of steps taken.
    history
        The history that `fit` will return.
    autocast_dtype
        The data type of mixed precision on a GPU, as of ``utils.runtime.half_precision``.
    best_parameters
        The model's tensors at the lowest validation loss so far, by `plain_name`; None before the
        first validation.
    """

    model: nn.Module
    loss_module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    config: TrainConfig
    processes: ProcessGroup
    step: int = 0
    history: History = field(default_factory=History)
    autocast_dtype: torch.dtype | None = None
    best_parameters: dict[str, torch.Tensor] | None = None
    _device_losses: list[torch.Tensor] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return device_of(self.model)

    def model_tensors(self) -> dict[str, torch.Tensor]:
        """Return the model's parameters and buffers by `plain_name`."""
        tensors = self.model.state_dict()
        return {plain_name(self.model, name): x for name, x in tensors.items()}

    def load_model_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Copy tensors, by `plain_name`, into the model's parameters and buffers."""
        names = self.model.state_dict()
        self.model.load_state_dict({name: tensors[plain_name(self.model, name)] for name in names})

    @cached_property
    def trained_parameters(self) -> list[nn.Parameter]:
        """The parameters that the optimizer changes: those of the model in its order, then others.

        Their gradients alone are clipped.
        """
        parameters = [x for group in self.optimizer.param_groups for x in group["params"]]
        positions = {id(x): i for i, x in enumerate(self.model.parameters())}
        return sorted(parameters, key=lambda x: positions.get(id(x), len(positions)))

    def record_step(self, loss: torch.Tensor, num_tokens: int) -> None:
        """Count one more step, with this process's part of its loss and all its tokens.

        Parameters
        ----------
        loss
            This process's part of the step's mean loss, a scalar.
        num_tokens
            Number of predicted tokens of the step, in all processes.
        """
        self.step += 1
        self.history.num_tokens += num_tokens
        self._device_losses.append(loss)

    def read_losses(self) -> None:
        """Copy the losses of the last steps from the device, which waits for it, to the history.

        Raises
        ------
        FloatingPointError
            If the last loss is not finite.
        """
        if self._device_losses:
            losses = self.processes.sum(torch.stack(self._device_losses))
            self.history.losses += losses.tolist()
            self._device_losses.clear()
        if self.history.losses:
            self.check_finite(self.history.losses[-1])

    def check_finite(self, loss: float) -> None:
        """Check that a loss is a finite number.

        Parameters
        ----------
        loss
            The loss.

        Raises
        ------
        FloatingPointError
            If it is infinite or not a number; the message says what may help.
        """
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} by step {self.step}: try a lower learning_rate "
                f"(now {self.config.learning_rate:g}), a longer warmup or a clip_norm"
            )


def initial_state(
    model: ModelT,
    config: TrainConfig,
    *,
    make_optimizer: OptimizerFactory,
    objective: Objective[ModelT, BatchT],
    processes: ProcessGroup,
) -> TrainingState:
    """Return the state before the first step; with the strategy "shard" the model is sharded.

    Gradients that the model has are cleared.

    Parameters
    ----------
    model, config, make_optimizer, objective
        As for `utils.training.loop.fit`.
    processes
        The processes that train together.

    Returns
    -------
    state : TrainingState
        The state, with a new optimizer.

    Raises
    ------
    ValueError
        If the model has nothing to train, the processes do not have the same model and
        configuration, the optimizer needs a closure, or the model would need float16, whose loss
        scaling does not work with shards.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError("the model has no parameter to train: expected one with requires_grad")
    processes.check_same("configuration", asdict(config))
    processes.check_same("model", _fingerprint(model))
    uses_half_precision = device_of(model).type == "cuda" and config.mixed_precision
    dtype = half_precision(model) if uses_half_precision else None
    needs_scaling = dtype is torch.float16
    if needs_scaling and processes.strategy == "shard":
        raise ValueError(
            "shards cannot train in float16: they need a GPU with bfloat16 and a model without "
            "recurrent layers, or mixed_precision=False"
        )
    model.zero_grad()
    loss_module = processes.wrap(model, objective)
    optimizer = make_optimizer(model, config)  # after `wrap`, which makes shards
    _check_optimizer(optimizer)
    return TrainingState(
        model=model,
        loss_module=loss_module,
        optimizer=optimizer,
        scaler=torch.amp.GradScaler("cuda", enabled=needs_scaling),
        config=config,
        processes=processes,
        autocast_dtype=dtype,
    )


def plain_name(model: nn.Module, name: str) -> str:
    """Return the name that a tensor of a model has without the wrappers of torch.

    ``torch.compile`` puts ``_orig_mod.`` in front of the names of what it compiles, and
    ``DistributedDataParallel`` puts ``module.``; checkpoints do without.

    Parameters
    ----------
    model
        The model, which may be wrapped or have parts that are.
    name
        The name in its ``state_dict``, such as "_orig_mod.output.weight".

    Returns
    -------
    plain_name : str
        The name without wrappers, such as "output.weight".
    """
    parts: list[str] = []
    module: Any = model
    for part in name.split("."):
        is_wrapped = isinstance(module, (DataParallel, DistributedDataParallel))
        if part != "_orig_mod" and not (is_wrapped and part == "module"):
            parts.append(part)
        module = getattr(module, part, None)
    return ".".join(parts)


def describe_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return the type and the shape of each tensor by its name, such as "float32 (12, 8)"."""
    return {
        name: f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
        for name, x in tensors.items()
    }


def _fingerprint(model: nn.Module) -> str:
    """Return a few characters that differ for models of other tensors or other trained ones."""
    trained = [name for name, x in model.named_parameters() if x.requires_grad]
    described = repr((describe_tensors(model.state_dict()), trained))
    return f"{len(trained)} trained tensors, {hashlib.sha256(described.encode()).hexdigest()[:8]}"


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Raise ValueError if each step of the optimizer needs a closure, which `fit` has none of."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        name = type(optimizer).__name__
        raise ValueError(f"{name} needs a closure: expected an optimizer that steps without one")

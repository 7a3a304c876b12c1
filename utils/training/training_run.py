"""A training run: everything that a checkpoint must hold.

Section 7.2 shows what happens when a checkpoint leaves a part of it out.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from dataclasses import asdict, dataclass, field
from functools import cached_property

import torch
from torch import nn

from utils.runtime import device_of, half_precision
from utils.training.config import TrainConfig
from utils.training.distributed import Processes, Strategy
from utils.training.history import History
from utils.training.model_description import describe_tensors, plain_name
from utils.training.optimizers import Muon, OptimizerFactory
from utils.training.protocols import BatchT, ModelT, Objective


@dataclass(kw_only=True)
class TrainingRun:
    """One call of `fit`: what it trains and how far it has come.

    Parameters
    ----------
    model
        The model as the caller of `fit` has it.
    loss_module
        Model and objective as one module, distributed over the processes: ``loss_module(batch)`` is
        the summed loss of this process's rows.
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
        The data type of mixed precision on a GPU, see ``utils.runtime.half_precision``.
    best_parameters
        The model's tensors at the lowest validation loss so far, by `plain_name`; None before the
        first validation.
    """

    model: nn.Module
    loss_module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    config: TrainConfig
    processes: Processes
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
        """The parameters that the optimizer changes: first the model's in its order, then others.

        Their gradients alone are clipped.
        """
        parameters = [x for group in self.optimizer.param_groups for x in group["params"]]
        positions = {id(x): i for i, x in enumerate(self.model.parameters())}
        return sorted(parameters, key=lambda x: positions.get(id(x), len(positions)))

    def record_step(self, loss: torch.Tensor, num_tokens: int) -> None:
        """Count a step, with this process's part of its mean loss and the tokens of all."""
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
            losses = self.processes.all_reduce(torch.stack(self._device_losses))
            self.history.losses += losses.tolist()
            self._device_losses.clear()
        if self.history.losses:
            self.check_finite(self.history.losses[-1])

    def check_finite(self, loss: float) -> None:
        """Check that a loss is finite.

        Raises
        ------
        FloatingPointError
            If `loss` is infinite or NaN.
        """
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} by step {self.step}: try a lower learning_rate "
                f"(now {self.config.learning_rate:g}), a larger warmup_fraction or a clip_norm"
            )


def start_run(
    model: ModelT,
    config: TrainConfig,
    *,
    make_optimizer: OptimizerFactory,
    objective: Objective[ModelT, BatchT],
    processes: Processes,
) -> TrainingRun:
    """Return a run before its first step; with the strategy "shard" the model is sharded.

    Gradients that the model has are cleared.

    Parameters
    ----------
    model, config, make_optimizer, objective
        As for `utils.training.loop.fit`.
    processes
        The processes that train together.

    Returns
    -------
    run : TrainingRun
        The run, with a new optimizer.

    Raises
    ------
    ValueError
        If the model has nothing to train, the processes do not have the same model and
        configuration, the optimizer holds no parameter that the model trains or needs a closure, or
        the strategy is "shard" with Muon, which needs whole matrices, or with a model that would
        need float16, whose loss scaling does not work with shards.
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
    optimizer = checked_optimizer(make_optimizer, model, config, strategy=processes.strategy)
    model.zero_grad()
    loss_module = processes.wrap(model, objective)
    if processes.is_distributed:  # `wrap` has made shards, or copied the first process's parameters
        optimizer = make_optimizer(model, config)
    return TrainingRun(
        model=model,
        loss_module=loss_module,
        optimizer=optimizer,
        scaler=torch.amp.GradScaler("cuda", enabled=needs_scaling),
        config=config,
        processes=processes,
        autocast_dtype=dtype,
    )


def _fingerprint(model: nn.Module) -> str:
    """Return a short text that differs between models with different (trained) tensors."""
    trained = [name for name, x in model.named_parameters() if x.requires_grad]
    described = repr((describe_tensors(model.state_dict()), trained))
    return f"{len(trained)} trained tensors, {hashlib.sha256(described.encode()).hexdigest()[:8]}"


def checked_optimizer(
    make_optimizer: OptimizerFactory, model: nn.Module, config: TrainConfig, *, strategy: Strategy
) -> torch.optim.Optimizer:
    """Build an optimizer, or say why it cannot train a model, before anything is changed.

    Parameters
    ----------
    make_optimizer
        Builds the optimizer.
    model
        The model to train.
    config
        Its configuration.
    strategy
        The strategy of the processes that train it.

    Returns
    -------
    optimizer : torch.optim.Optimizer
        The optimizer of the model as it is now; shards need another.

    Raises
    ------
    ValueError
        If `make_optimizer` refuses the model, if the optimizer holds no parameter that the model
        trains, or if it needs what `fit` does not give it: a closure, or whole matrices where the
        strategy is "shard".
    """
    optimizer = make_optimizer(model, config)
    _check_holds_parameters(optimizer, model)
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        name = type(optimizer).__name__
        raise ValueError(f"{name} needs a closure: expected an optimizer that steps without one")
    if strategy == "shard" and isinstance(optimizer, Muon):
        raise ValueError("Muon needs whole matrices: expected adamw with strategy 'shard'")
    return optimizer


def _check_holds_parameters(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    """Raise ValueError if no parameter of the optimizer is one that the model trains."""
    trained = {id(x) for x in model.parameters() if x.requires_grad}
    if not any(id(x) in trained for group in optimizer.param_groups for x in group["params"]):
        raise ValueError(
            f"{type(optimizer).__name__} holds no parameter that {type(model).__name__} trains, so "
            "nothing would change: expected some or all with requires_grad of model.parameters(), "
            "of the model that make_optimizer is given"
        )

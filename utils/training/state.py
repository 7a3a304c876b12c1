"""The state of a training run: everything that a checkpoint must hold, and the history it reports.

It is not the state of a model between two calls, which ``utils.decoding.state`` handles. Section
7.2 shows what happens when a checkpoint leaves a part of it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import nn

from utils.runtime import device_of, supports_bfloat16
from utils.training.config import TrainConfig
from utils.training.distributed import ProcessGroup
from utils.training.objectives import Objective
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
    interrupted
        Whether Ctrl-C ended the run before its last step.
    """

    losses: list[float] = field(default_factory=list)
    valid_losses: list[tuple[int, float]] = field(default_factory=list)
    num_tokens: int = 0
    seconds: float = 0.0
    best_step: int = 0
    interrupted: bool = False

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
    best_parameters
        The model's tensors at the lowest validation loss so far, by name; None before the first
        validation.
    """

    model: nn.Module
    loss_module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    config: TrainConfig
    processes: ProcessGroup
    step: int = 0
    history: History = field(default_factory=History)
    best_parameters: dict[str, torch.Tensor] | None = None
    _device_losses: list[torch.Tensor] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return device_of(self.model)

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
    model: nn.Module,
    config: TrainConfig,
    *,
    make_optimizer: OptimizerFactory,
    objective: Objective,
    processes: ProcessGroup,
) -> TrainingState:
    """Return the state before the first step; with the strategy "shard" the model is sharded.

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
        If the GPU would need float16, whose loss scaling does not work with shards.
    """
    uses_cuda = device_of(model).type == "cuda"
    needs_scaling = uses_cuda and config.mixed_precision and not supports_bfloat16()
    if needs_scaling and processes.strategy == "shard":
        raise ValueError("shards need a GPU with bfloat16, or mixed_precision=False")
    loss_module = processes.wrap(model, objective)
    return TrainingState(
        model=model,
        loss_module=loss_module,
        optimizer=make_optimizer(model, config),  # after `wrap`, which makes shards
        scaler=torch.amp.GradScaler("cuda", enabled=needs_scaling),
        config=config,
        processes=processes,
    )

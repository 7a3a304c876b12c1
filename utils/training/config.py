"""The configuration of a training run and its learning-rate schedule.

Derived in section 3.1, as are the loop and AdamW; section 6.1 derives label smoothing, section 7.2
mixed precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias

from utils.arguments import check_choice


def _cosine(progress: float) -> float:
    """Follow half a period of the cosine, from 1 down to 0."""
    return (1 + math.cos(math.pi * progress)) / 2


def _linear(progress: float) -> float:
    """Fall at a constant rate from 1 to 0."""
    return 1 - progress


def _constant(_progress: float) -> float:
    """Stay at 1."""
    return 1.0


Schedule: TypeAlias = Literal["cosine", "linear", "constant"]
"""The name of a schedule of the learning rate."""

# Each schedule maps the fraction of the steps after the warm-up that are done, from 0 to 1, to the
# fraction of the way from the final up to the highest learning rate.
SCHEDULES: dict[Schedule, Callable[[float], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "constant": _constant,
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a model is trained.

    Parameters
    ----------
    steps
        Number of optimizer steps.
    learning_rate
        The highest learning rate, reached at the end of the warm-up.
    schedule
        How the learning rate falls after the warm-up: cosine, linear or constant.
    warmup
        Fraction of `steps` in which the learning rate rises linearly from 0 to `learning_rate`.
    final_ratio
        The learning rate that the schedule ends with, as a fraction of `learning_rate`.
    weight_decay
        Weight decay of the optimizer; only matrices are decayed.
    betas
        Decay rates of Adam's running means of the gradient and of its square, each from 0 to
        below 1.
    clip_norm
        Gradient clipping: the largest norm of the gradient, to which a longer one is scaled down;
        0 for none.
    accumulation_steps
        Gradient accumulation: number of batches whose gradients are added up for one step.
    label_smoothing
        Probability mass that label smoothing takes from the correct token and spreads over the
        whole vocabulary.
    evaluate_every
        Number of steps between two validations, at most `steps`; 0 for one validation at the end.
    checkpoint_every
        Number of steps between two checkpoints, at most `steps`; 0 for one checkpoint at the end.
    mixed_precision
        Whether matrix products on CUDA are computed in half precision.

    Raises
    ------
    ValueError
        If a value is outside its range; the message names it.
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    schedule: Schedule = "linear"
    warmup: float = 0.04
    final_ratio: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    accumulation_steps: int = 1
    label_smoothing: float = 0.0
    evaluate_every: int = 0
    checkpoint_every: int = 0
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        check_choice("schedule", self.schedule, SCHEDULES)
        for name in ("steps", "accumulation_steps"):
            self._check_count(name, minimum=1)
        for name in ("evaluate_every", "checkpoint_every"):
            self._check_count(name, minimum=0)
            if getattr(self, name) > self.steps:
                raise ValueError(
                    f"{name} must be at most steps={self.steps}, or 0 for once at the end, got "
                    f"{getattr(self, name)}"
                )
        for name in ("warmup", "final_ratio", "label_smoothing"):
            self._check_number(name, maximum=1)
        for name in ("weight_decay", "clip_norm"):
            self._check_number(name, maximum=math.inf)
        self._check_rates()
        if not isinstance(self.mixed_precision, bool):
            raise ValueError(f"mixed_precision must be True or False, got {self.mixed_precision!r}")

    def _check_count(self, name: str, *, minimum: int) -> None:
        """Raise ValueError unless a value is a whole number from `minimum`."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{name} must be a whole number from {minimum}, got {value!r}")
        object.__setattr__(self, name, int(value))  # of NumPy, say: a checkpoint holds plain ones

    def _check_number(self, name: str, *, maximum: float) -> None:
        """Raise ValueError unless a value is from 0 to `maximum`."""
        value = getattr(self, name)
        if not _is_number(value) or not 0 <= value <= maximum:
            raise ValueError(f"{name} must be a number from 0 to {maximum}, got {value!r}")
        object.__setattr__(self, name, float(value))

    def _check_rates(self) -> None:
        """Raise ValueError unless the learning rate and the decay rates are in their ranges."""
        if not _is_number(self.learning_rate) or not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate!r}")
        object.__setattr__(self, "learning_rate", float(self.learning_rate))
        is_pair = isinstance(self.betas, (tuple, list)) and len(self.betas) == 2
        if not is_pair or not all(_is_number(beta) and 0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers from 0 to below 1, got {self.betas!r}")
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))


def _is_number(value: Any) -> bool:
    """Return whether a value is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def learning_rate_at(config: TrainConfig, step: int) -> float:
    """Compute the learning rate of one optimizer step.

    It rises linearly during the warm-up and then follows the schedule down to the final rate, at
    which it stays.

    Source: ``eq-training-schedule`` (section 3.1).

    Parameters
    ----------
    config
        The configuration of the run.
    step
        The step, counted from 0.

    Returns
    -------
    learning_rate : float
        The learning rate of the step.
    """
    warmup_steps = round(config.warmup * config.steps)
    if step < warmup_steps:
        return config.learning_rate * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, config.steps - warmup_steps))
    decay = SCHEDULES[config.schedule](progress)
    return config.learning_rate * (config.final_ratio + (1 - config.final_ratio) * decay)

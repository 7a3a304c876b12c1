"""The configuration of a training run and its learning-rate schedule.

Derived in section 3.1, as are the loop and AdamW; section 7.2 derives mixed precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Literal, TypeAlias

from utils.arguments import check_bool, check_choice, check_integer, check_number


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
    """The configuration of a training run.

    Parameters
    ----------
    steps
        Number of optimizer steps.
    learning_rate
        The highest learning rate, reached at the end of the warm-up; at most 10³⁰, as steps are
        computed in float32.
    schedule
        How the learning rate falls after the warm-up: cosine, linear or constant.
    warmup_fraction
        Fraction of `steps` in which the learning rate rises linearly from 0 to `learning_rate`.
    final_learning_rate_fraction
        The learning rate that the schedule ends with, as a fraction of `learning_rate`.
    weight_decay
        Weight decay of the optimizer; only matrices are decayed.
    betas
        Decay rates of Adam's running means of the gradient and of its square, each from 0 to
        below 1.
    clip_norm
        Gradient clipping: the largest norm of the gradient, to which a longer one is scaled down;
        0, not infinity, for no clipping.
    accumulation_steps
        Gradient accumulation: number of batches whose gradients are added up for one step.
    validate_every
        Number of steps between two validations, at most `steps`; 0 for one validation at the end.
    checkpoint_every
        Number of steps between two checkpoints, at most `steps`; 0 for one checkpoint at the end.
    mixed_precision
        Whether matrix products on CUDA are computed in half precision.

    Raises
    ------
    ValueError
        If a value is outside its range.

    Examples
    --------
    >>> from utils.training.config import TrainConfig
    >>> config = TrainConfig(steps=500, schedule="cosine")
    >>> config.learning_rate, config.clip_norm
    (0.002, 1.0)
    >>> TrainConfig(steps=0)
    Traceback (most recent call last):
        ...
    ValueError: steps must be a positive integer, got 0
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    schedule: Schedule = "linear"
    warmup_fraction: float = 0.04
    final_learning_rate_fraction: float = 0.0
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    clip_norm: float = 1.0
    accumulation_steps: int = 1
    validate_every: int = 0
    checkpoint_every: int = 0
    mixed_precision: bool = True

    def __post_init__(self) -> None:
        check_choice(SCHEDULES, schedule=self.schedule)
        for name in ("steps", "accumulation_steps"):
            self._convert(name, int, partial(check_integer, minimum=1))
        for name in ("validate_every", "checkpoint_every"):
            self._convert(name, int, partial(check_integer, minimum=0))
            if getattr(self, name) > self.steps:
                raise ValueError(
                    f"{name} must be at most steps={self.steps}, or 0 for once at the end, got "
                    f"{getattr(self, name)}"
                )
        for name in ("warmup_fraction", "final_learning_rate_fraction"):
            self._convert(name, float, partial(check_number, minimum=0, maximum=1))
        for name in ("weight_decay", "clip_norm"):
            self._convert(name, float, partial(check_number, minimum=0))
        self._convert("learning_rate", float, partial(check_number, above=0, maximum=1e30))
        is_pair = isinstance(self.betas, (tuple, list)) and len(self.betas) == 2
        if not is_pair or not all(map(_is_decay_rate, self.betas)):
            raise ValueError(f"betas must be two numbers from 0 to below 1, got {self.betas!r}")
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))
        check_bool(mixed_precision=self.mixed_precision)

    def _convert(self, name: str, number_type: type, check: Callable[..., None]) -> None:
        """Check a number and make it one of Python's own, as a checkpoint stores those only."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"{name} must be a number, got None")
        check(**{name: value})
        object.__setattr__(self, name, number_type(value))


def _is_decay_rate(value: object) -> bool:
    """Return whether a value is a number from 0 to below 1."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < 1


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

    Raises
    ------
    ValueError
        If the step is not a non-negative integer.

    Examples
    --------
    >>> from utils.training.config import TrainConfig, learning_rate_at
    >>> config = TrainConfig(steps=100, learning_rate=0.01, warmup_fraction=0.1)
    >>> [round(learning_rate_at(config, step), 4) for step in (0, 4, 9, 10, 55, 100)]
    [0.001, 0.005, 0.01, 0.01, 0.005, 0.0]
    """
    check_integer(minimum=0, step=step)
    warmup_steps = round(config.warmup_fraction * config.steps)
    if step < warmup_steps:
        return config.learning_rate * (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, config.steps - warmup_steps))
    decay = SCHEDULES[config.schedule](progress)
    return config.learning_rate * (
        config.final_learning_rate_fraction + (1 - config.final_learning_rate_fraction) * decay
    )

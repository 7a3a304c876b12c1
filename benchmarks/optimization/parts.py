"""The parts of the benchmark and their arms."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.optimization.networks import DeepLM, build_lstm
from benchmarks.optimization.training import Recipe
from utils.training.config import TrainConfig
from utils.training.optimizers import muon

WARMUP, COOLDOWN = 0.1, 0.2  # fractions of the steps
NUM_LAYERS = 12  # of the deep network
ROOT_2 = math.sqrt(2)  # the κ that keeps the mean square through ReLU
REST_RATE = 0.004  # of AdamW for what Muon does not train


def build_sgd(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Build plain gradient descent."""
    return torch.optim.SGD(model.parameters(), lr=rate)


def build_momentum(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Build gradient descent with momentum 0.9."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)


def build_adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Build Adam."""
    return torch.optim.Adam(model.parameters(), lr=rate)


def build_muon(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Build Muon with a learning rate of its own, and AdamW with a fixed one for the rest."""
    config = TrainConfig(learning_rate=rate, betas=(0.9, 0.999))
    optimizer = muon(model, config, lr_scale=1.0)
    for group in optimizer.param_groups:
        if not group["orthogonal"]:
            group["lr"] = REST_RATE
    return optimizer


def build_split_adam(model: Any, rate: float) -> torch.optim.Optimizer:
    """Build Adam with the groups of `build_muon`: the rate is that of the hidden matrices only."""
    groups = build_muon(model, rate).param_groups
    return torch.optim.Adam([{"params": g["params"], "lr": g["lr"]} for g in groups])


def trapezoid(step: int, steps: int, *, warmup: float = 0.0, cooldown: float = 0.0) -> float:
    """Rise linearly in the first steps, fall linearly to zero in the last ones.

    Parameters
    ----------
    step
        The step, counted from 0.
    steps
        The number of steps.
    warmup, cooldown
        Fractions of the steps in which the rate rises and falls.

    Returns
    -------
    factor : float
        The factor of the learning rate.
    """
    rise = (step + 1) / (warmup * steps) if warmup else 1.0
    fall = (steps - step) / (cooldown * steps) if cooldown else 1.0
    return min(1.0, rise, fall)


def cosine(step: int, steps: int) -> float:
    """Rise linearly in the first steps, then fall as half a cosine."""
    warmup_steps = WARMUP * steps
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return (1 + math.cos(math.pi * (step - warmup_steps) / (steps - warmup_steps))) / 2


def doubled(first: float, count: int = 5) -> tuple[float, ...]:
    """Return rates, each twice the one before."""
    return tuple(first * 2**power for power in range(count))


SGD: dict[str, Any] = {"optimizer": build_sgd, "name": "SGD", "rates": doubled(1.0)}
MOMENTUM: dict[str, Any] = {"optimizer": build_momentum, "name": "momentum", "rates": doubled(0.05)}
ADAM: dict[str, Any] = {"optimizer": build_adam, "name": "Adam", "rates": doubled(0.002)}
MUON: dict[str, Any] = {"optimizer": build_muon, "name": "Muon", "rates": doubled(0.01)}
SPLIT: dict[str, Any] = {
    "optimizer": build_split_adam,
    "name": "Adam, 0.004 for the rest",
    "rates": doubled(0.001),
}

short_run = partial(Recipe, build=build_lstm, steps=300)
scheduled = partial(Recipe, build=build_lstm, steps=400, **ADAM)
to_target = partial(Recipe, build=build_lstm, target=2.2, **ADAM | {"rates": doubled(0.004)})


def deep(optimizer: dict[str, Any] | None = None, **options: Any) -> Recipe:
    """Return the recipe of a deep network with these options."""
    build = partial(DeepLM, num_layers=NUM_LAYERS, **options)
    return Recipe(build=build, steps=150, **(optimizer or ADAM | {"rates": doubled(0.001)}))


def overfitted(dropout: float) -> Recipe:
    """Return the recipe of a run on a short text."""
    return Recipe(
        build=partial(build_lstm, width=128, dropout=dropout),
        steps=300,
        train_length=10_000,
        validate_every=20,
        **ADAM | {"rates": doubled(0.001)},
    )


SMALL = 1 / math.sqrt(NUM_LAYERS)  # times √2: the κ of the arms without one in their names
BOTH: dict[str, Any] = {"residual": True, "norm": True}
HELPED = BOTH | {"scale": ROOT_2 * SMALL}

PARTS: dict[str, dict[str, Recipe]] = {
    "optimizers": {
        "SGD": short_run(**SGD),
        "momentum": short_run(**MOMENTUM),
        "Adam": short_run(**ADAM),
        "SGD, clipped": short_run(clip_norm=1.0, **SGD),
    },
    "depth": {
        "plain, κ = 1": deep(scale=1.0),
        "plain, κ = √2": deep(scale=ROOT_2),
        "normalized, κ = √2": deep(scale=ROOT_2, norm=True),
        "plain, small κ": deep(scale=ROOT_2 * SMALL),
        "residual, κ = √2": deep(scale=ROOT_2, residual=True),
        "residual": deep(scale=ROOT_2 * SMALL, residual=True),
        "residual and normalized, κ = √2": deep(scale=ROOT_2, **BOTH),
        "residual and normalized": deep(**HELPED),
        "residual and normalized, Muon": deep(MUON, **HELPED),
        "residual and normalized, rest at 0.004": deep(SPLIT, **HELPED),
    },
    "schedules": {
        "constant": scheduled(),
        "warm-up": scheduled(schedule=partial(trapezoid, warmup=WARMUP)),
        "decay": scheduled(schedule=partial(trapezoid, cooldown=1.0)),
        "warm-up and decay": scheduled(
            schedule=partial(trapezoid, warmup=WARMUP, cooldown=1 - WARMUP)
        ),
        "warm-up and cosine": scheduled(schedule=cosine),
        "warm-up, stable, decay": scheduled(
            schedule=partial(trapezoid, warmup=WARMUP, cooldown=COOLDOWN)
        ),
    },
    "batches": {
        str(size): to_target(batch_size=size, steps=steps)
        for size, steps in ((4, 2000), (16, 800), (64, 400), (256, 200))
    },
    "overfitting": {"no dropout": overfitted(0.0), "dropout 0.3": overfitted(0.3)},
}

"""Training of M networks at once, each with its own learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch.nn import functional as F

from benchmarks.bottleneck.networks import Network, Parameters, Stack
from benchmarks.bottleneck.task import Strings, make_strings, training_letters
from utils.training.config import TrainConfig, learning_rate_at

BATCH_SIZE = 32
BETAS, EPSILON = (0.9, 0.98), 1e-8
CLIP_NORM, WARMUP = 1.0, 0.1


class StackedAdam:
    """Adam for M networks, whose gradients are clipped one network at a time.

    Parameters
    ----------
    parameters
        Tensors whose first axis is the network.
    rates
        The highest learning rate of each network.
    steps
        Number of steps; the rate rises over a tenth of them and falls linearly to zero.
    """

    def __init__(self, parameters: Parameters, rates: Sequence[float], *, steps: int) -> None:
        self.parameters = list(parameters.values())
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.rates = torch.tensor(rates)
        self.plan = TrainConfig(steps=steps, learning_rate=1.0, warmup_fraction=WARMUP)

    def step(self, loss: torch.Tensor, step: int) -> None:
        """Take one step against the gradient of a loss.

        Parameters
        ----------
        loss
            A sum over networks, a scalar.
        step
            The number of the step, from 0.
        """
        gradients = torch.autograd.grad(loss, self.parameters)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)  # (M,)
        factors = (CLIP_NORM / norms.clamp(min=1e-12)).clamp(max=1.0)
        first, second = BETAS
        rates = self.rates * learning_rate_at(self.plan, step)
        rates = rates * math.sqrt(1 - second ** (step + 1)) / (1 - first ** (step + 1))
        with torch.no_grad():
            for p, g, (mean, square) in zip(self.parameters, gradients, self.moments, strict=True):
                clipped = g * _per_network(factors, g)
                mean.lerp_(clipped, 1 - first)
                square.lerp_(clipped * clipped, 1 - second)
                p.sub_(_per_network(rates, p) * mean / (square.sqrt() + EPSILON))


def _per_network(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return `values` (M,) with as many axes as `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))


def summed_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the sum over networks of the mean loss of a target, from logits (M, …, V)."""
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
    return loss * len(targets)


def minimize(
    parameters: Parameters,
    loss: Callable[[int], torch.Tensor],
    *,
    rates: Sequence[float],
    steps: int,
) -> None:
    """Train parameters with `StackedAdam`.

    Parameters
    ----------
    parameters
        Tensors whose first axis is the network.
    loss
        Computes the loss of a step, a sum over networks.
    rates
        The highest learning rate of each network.
    steps
        Number of steps.
    """
    optimizer = StackedAdam(parameters, rates, steps=steps)
    for step in range(steps):
        optimizer.step(loss(step), step)


def train(
    networks: Sequence[Network], *, rates: Sequence[float], seeds: Sequence[int], steps: int
) -> Stack:
    """Train networks of one shape from their seeds.

    Parameters
    ----------
    networks
        The networks.
    rates
        The highest learning rate of each.
    seeds
        The seed of each one's parameters and strings.
    steps
        Number of steps.

    Returns
    -------
    stack : Stack
        The trained networks.
    """
    stack = Stack(networks, seeds)
    minimize(stack.parameters, partial(_copying_loss, stack), rates=rates, steps=steps)
    return stack


def _copying_loss(stack: Stack, step: int) -> torch.Tensor:
    """Return the loss of one training step."""
    letters = training_letters(stack.seeds, step, batch_size=BATCH_SIZE)
    strings: Strings = make_strings(letters, stack.reversed_source)
    return summed_loss(stack.logits(strings), strings.targets)

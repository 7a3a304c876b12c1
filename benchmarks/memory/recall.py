"""The recall task: its budget, and how many networks are trained at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.memory.recall_networks import RecallNetwork, RecallNetworks
from benchmarks.memory.task import NUM_SYMBOLS
from benchmarks.tuning import finite_loss
from utils.training.config import TrainConfig, learning_rate_at

RECALL_RATES = tuple(0.001 * 2**k for k in range(9))
SOLVED = 0.05  # nats
DELAY = 30  # steps from the symbol to the query
STEPS = 600  # of the optimizer
BATCH_SIZE = 32  # symbols drawn for a step
EPSILON = 1e-8  # of Adam

Figures = dict[str, Any]


def recall_settings(network: RecallNetwork) -> dict[str, Any]:
    """Return what rows store of an arm's settings, but for its learning rate."""
    return {
        "optimizer": "AdamW",
        "steps": STEPS,
        "batch size": BATCH_SIZE,
        "clip norm": 1.0,
        "delay": DELAY,
        "network": asdict(network),
    }


def best_rate(scores: Mapping[float, float]) -> float:
    """Return the middle one (or the lower of two) of the rates that solve the task, or the best."""
    solving = [rate for rate in sorted(scores) if scores[rate] < SOLVED]
    return solving[(len(solving) - 1) // 2] if solving else min(scores, key=lambda r: scores[r])


def train_side_by_side(
    network: RecallNetwork, *, rates: Sequence[float], seeds: Sequence[int]
) -> list[tuple[Figures, dict[str, Any]]]:
    """Train a network for each pair of a rate and a seed.

    A step draws BATCH_SIZE symbols for each seed. As there are only eight sequences, the mean loss
    of such a batch is that of the eight, weighted by how often each was drawn.

    Parameters
    ----------
    network
        What each network consists of.
    rates, seeds
        The rate and the seed of each network, (R,) each.

    Returns
    -------
    runs : list of tuple
        Figures and costs of each network.
    """
    start = time.process_time()
    networks = RecallNetworks(network, seeds)
    generators = [torch.Generator().manual_seed(100_003 * seed + 1) for seed in seeds]
    adam = SideBySideAdam(networks, rates, TrainConfig(steps=STEPS, learning_rate=1.0))
    shares = _share_of_the_symbol(networks, DELAY)
    for step in range(STEPS):
        weights = torch.stack([_draw(generator) for generator in generators])  # (R, 8)
        adam.step(weights * losses(networks, DELAY), step)
    last = losses(networks, DELAY).mean(dim=1).tolist()  # (R,)
    sizes = sum(p[0].numel() for p in networks.parameters())
    costs = {
        "parameters": sizes,
        "tokens": STEPS * BATCH_SIZE * (DELAY + 1),
        "processor_seconds": round((time.process_time() - start) / len(seeds), 2),
    }
    return [
        (
            {
                "loss": finite_loss(last[r]),
                "share of the first input, start": shares[r],
            },
            costs,
        )
        for r in range(len(seeds))
    ]


def losses(networks: RecallNetworks, delay: int) -> torch.Tensor:
    """Return the loss of each network on each of the eight sequences, (R, 8)."""
    logits = networks(networks.inputs(delay))  # (R, 8, V)
    labels = torch.arange(NUM_SYMBOLS).repeat(len(logits))
    return F.cross_entropy(logits.flatten(0, 1), labels, reduction="none").view(-1, NUM_SYMBOLS)


class SideBySideAdam:
    """AdamW without decay and with clipping, for each network by itself, each with its own rate.

    Parameters
    ----------
    networks
        R networks.
    rates
        The highest learning rate of each, (R,).
    config
        Schedule, betas and the threshold of clipping.
    """

    def __init__(
        self, networks: RecallNetworks, rates: Sequence[float], config: TrainConfig
    ) -> None:
        self._parameters, self._config = list(networks.parameters()), config
        self._rates = torch.tensor(rates)
        self._means = [torch.zeros_like(p) for p in self._parameters]
        self._squares = [torch.zeros_like(p) for p in self._parameters]

    def step(self, losses: torch.Tensor, step: int) -> None:
        """Take a step on the sum of each network's losses.

        Parameters
        ----------
        losses
            The losses of R networks, (R, n).
        step
            The number of the step, counted from 0.
        """
        gradients = torch.autograd.grad(losses.sum(), self._parameters)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)  # (R,)
        factors = (self._config.clip_norm / (norms + 1e-6)).clamp(max=1.0)
        rates = self._rates * learning_rate_at(self._config, step)
        beta, gamma = self._config.betas
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(
                self._parameters, gradients, self._means, self._squares, strict=True
            ):
                shape = (-1, *[1] * (parameter.dim() - 1))
                clipped = gradient * factors.view(shape)
                mean.lerp_(clipped, 1 - beta)
                square.lerp_(clipped.square(), 1 - gamma)
                root = (square / (1 - gamma ** (step + 1))).sqrt() + EPSILON
                corrected = mean / (1 - beta ** (step + 1))
                parameter.sub_(rates.view(shape) * corrected / root)


def _draw(generator: torch.Generator) -> torch.Tensor:
    """Draw a batch of symbols and return the share of each, (8,)."""
    symbols = torch.randint(NUM_SYMBOLS, (BATCH_SIZE,), generator=generator)
    return torch.bincount(symbols, minlength=NUM_SYMBOLS) / BATCH_SIZE


def _share_of_the_symbol(networks: RecallNetworks, delay: int) -> list[float]:
    """Return for each network which share of the gradient is that of the first input.

    The gradient of each sequence's loss with respect to each of its word vectors has a norm; the
    share is the first one divided by the sum of all, the mean over the eight sequences.
    """
    shape = (-1, NUM_SYMBOLS, -1)
    inputs = [x.detach().expand(*shape).clone() for x in networks.inputs(delay)]
    for x in inputs:
        x.requires_grad_()
    logits = networks(inputs)
    labels = torch.arange(NUM_SYMBOLS).repeat(len(logits))
    loss = F.cross_entropy(logits.flatten(0, 1), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, inputs)
    norms = torch.stack([g.double().norm(dim=-1) for g in gradients])  # (T, R, 8)
    shares = norms[0] / norms.sum(dim=0)
    return [float(share) for share in shares.mean(dim=1)]

"""Scaling laws: train a size on a budget of tokens, fit the loss, find the best use of compute.

Used in section 2.2 and by benchmarks/scaling.py. The law, its fit and its optimum follow Hoffmann
et al. 2022: N parameters, D tokens read, C ≈ 6·N·D floating-point operations.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import least_squares

from utils import data, metrics, optimizers, runtime, training
from utils.lm import GPT
from utils.training import TrainConfig
from utils.vocab import CharTokenizer

LAYERS, HEADS, BLOCK, BATCH = 2, 2, 64, 8  # of every size: the width alone grows
VALID = 20_000  # characters on which the losses are measured
DELTA = 1e-3  # where Huber's loss turns from square to straight: Hoffmann et al.'s


@dataclass(frozen=True)
class Law:
    """L(N, D) = E + A / N^α + B / D^β, in nats a token (``eq-scaling-law``)."""

    E: float
    A: float
    alpha: float
    B: float
    beta: float

    def loss(self, N, D):
        """The loss of N parameters after D tokens; numbers or arrays."""
        N, D = np.asarray(N, float), np.asarray(D, float)
        return self.E + self.A * N**-self.alpha + self.B * D**-self.beta

    def optimum(self, C):
        """The N and D of the lowest loss where 6·N·D = C (``eq-scaling-optimum``)."""
        both = self.alpha + self.beta
        G = (self.alpha * self.A / (self.beta * self.B)) ** (1 / both)
        product = np.asarray(C, float) / 6
        return G * product ** (self.beta / both), product ** (self.alpha / both) / G


def fit_law(N: Sequence[float], D: Sequence[float], loss: Sequence[float]) -> Law:
    """The law with the smallest Huber loss between logarithms of losses (``eq-scaling-huber``).

    The best of a grid of starts, each followed down by least squares. Raises ValueError where
    there are fewer runs than the law has numbers to find.
    """
    N, D, loss = (np.asarray(x, float) for x in (N, D, loss))
    if not len(N) == len(D) == len(loss) > 5:
        raise ValueError(f"a fit needs N, D and loss of 6 runs or more; got {len(N)} runs")

    def residuals(p: np.ndarray) -> np.ndarray:
        return np.log(_law(p).loss(N, D)) - np.log(loss)

    floor = np.log(loss.min())
    starts = itertools.product((floor - 0.4,), (1, 4), (0.4,), (1, 4), (0.4,))
    bounds = np.transpose([(-5, floor), (-5, 20), (0.02, 2), (-5, 20), (0.02, 2)])
    found = [
        least_squares(residuals, start, bounds=bounds, loss="huber", f_scale=DELTA)
        for start in starts
    ]
    return _law(min(found, key=lambda result: result.cost).x)


def _law(p) -> Law:
    """From the numbers that are searched: the logarithms of E, A and B keep them positive."""
    return Law(*(float(x) for x in (np.exp(p[0]), np.exp(p[1]), p[2], np.exp(p[3]), p[4])))


@dataclass(frozen=True)
class Run:
    """One model, trained once: `parameters` N, `tokens` D, `loss` in nats a character."""

    width: int
    parameters: int
    tokens: int
    rate: float
    seed: int
    loss: float
    seconds: float


class CharacterRuns:
    """Models of several widths on the characters of one text, each trained afresh."""

    def __init__(self, corpus: data.Corpus):
        tokenizer = CharTokenizer.train(corpus.train)
        self.vocab_size = len(tokenizer)
        self.ids = torch.tensor(tokenizer.encode(corpus.train))
        valid = torch.tensor(tokenizer.encode(corpus.valid[: VALID + 1]))
        self.valid = data.text_eval_batches(valid, 64, BLOCK)

    def train(self, width: int, steps: int, seed: int = 0, scale: float = 1.0, device=None) -> Run:
        """Train one size on one budget, with a learning rate that falls to zero at its end."""
        runtime.seed_everything(seed)
        model = GPT(self.vocab_size, width, LAYERS, HEADS, BLOCK).to(device or "cpu")
        rate = scale * rate_for(width)
        config = TrainConfig(steps=steps, learning_rate=rate, warmup=0.05, weight_decay=0.1)
        batches, started = data.TextBatches(self.ids, BATCH, BLOCK, seed), time.process_time()
        history = training.fit(model, batches, config, progress=False, optimizer=optimizers.muon)
        seconds = time.process_time() - started
        loss = training.evaluate(model, self.valid).loss
        size = metrics.parameters(model)
        return Run(width, size, history.tokens, rate, seed, round(loss, 5), round(seconds, 2))


def rate_for(width: int) -> float:
    """The learning rate of a size: falls with the root of the width, 0.015 at a width of 48."""
    return 0.015 * (48 / width) ** 0.5

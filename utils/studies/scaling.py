"""Scaling laws: train models of several sizes, fit their losses, find the compute-optimal size.

Derived in section 2.2. The law, its fit and its optimum follow Hoffmann
et al. 2022 ("Training Compute-Optimal Large Language Models"). A model with N parameters, trained
on D tokens, costs about C = 6·N·D floating-point operations.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import least_squares

from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import Corpus
from utils.data.tokenizers import CharTokenizer
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.optimizers import muon

Array: TypeAlias = npt.NDArray[np.float64]

# The setting that all models of the study have in common; only the width varies.
LAYERS = 2
HEADS = 2
CONTEXT_LENGTH = 64  # tokens
BATCH_SIZE = 8  # windows in a training step
EVAL_BATCH_SIZE = 64  # windows in a validation batch
VALID_CHARACTERS = 20_000  # predicted characters of the validation text

HUBER_DELTA = 1e-3  # residual at which the Huber loss becomes linear, as in Hoffmann et al.
MIN_RUNS = 6  # one more than the law has constants
REFERENCE_WIDTH = 48
REFERENCE_LEARNING_RATE = 0.015  # at the reference width


@dataclass(frozen=True)
class ScalingLaw:
    """The loss as a function of model size and data: L(N, D) = E + A / N^α + B / D^β.

    Source: ``eq-scaling-law`` (section 2.2); Hoffmann et al. 2022, eq. 2.

    Parameters
    ----------
    E
        Irreducible loss in nats per token: the limit for large N and D.
    A, alpha
        Coefficient and exponent of the term for N, the number of parameters.
    B, beta
        Coefficient and exponent of the term for D, the number of training tokens.
    """

    E: float
    A: float
    alpha: float
    B: float
    beta: float

    def loss(self, parameters: npt.ArrayLike, tokens: npt.ArrayLike) -> Array:
        """Return the loss in nats per token; numbers or arrays, which are broadcast.

        Source: ``eq-scaling-law`` (section 2.2).

        Parameters
        ----------
        parameters, tokens
            N and D, numbers or arrays.

        Returns
        -------
        numpy.ndarray
            The loss in nats per token.
        """
        parameters, tokens = _as_array(parameters), _as_array(tokens)
        return self.E + self.A * parameters**-self.alpha + self.B * tokens**-self.beta

    def optimum(self, compute: npt.ArrayLike) -> tuple[Array, Array]:
        """Return the parameters N and tokens D with the lowest loss for a budget of operations.

        Source: ``eq-scaling-optimum`` (section 2.2); Hoffmann et al. 2022, eq. 4.

        Parameters
        ----------
        compute
            C, floating-point operations of the whole training, a number or an array.

        Returns
        -------
        parameters, tokens
            N and D, shaped like `compute`, with 6·N·D = C; not rounded to whole numbers.
        """
        exponents = self.alpha + self.beta
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1 / exponents)  # G
        product = _as_array(compute) / 6  # N·D
        parameters = ratio * product ** (self.beta / exponents)
        tokens = product ** (self.alpha / exponents) / ratio
        return parameters, tokens


def fit_scaling_law(
    parameters: Sequence[float] | Array,
    tokens: Sequence[float] | Array,
    losses: Sequence[float] | Array,
) -> ScalingLaw:
    """Fit a scaling law to the losses of trained models.

    The law has the smallest sum of Huber losses of log L(N, D) − log loss, so that a few failed
    runs have little influence. The search starts from a grid of points and keeps the best result.

    Source: ``eq-scaling-huber`` (section 2.2); Hoffmann et al. 2022, eq. 3.

    Parameters
    ----------
    parameters, tokens
        N and D of each run, all positive.
    losses
        Validation loss of each run in nats per token, positive.

    Returns
    -------
    ScalingLaw
        The fitted law.

    Raises
    ------
    ValueError
        If there are fewer than 6 runs, or the three sequences differ in length.
    """
    sizes, budgets, observed = (_as_array(values) for values in (parameters, tokens, losses))
    if not len(sizes) == len(budgets) == len(observed) >= MIN_RUNS:
        counts = f"{len(sizes)}, {len(budgets)} and {len(observed)}"
        raise ValueError(f"a fit needs N, D and loss of {MIN_RUNS} runs or more; got {counts}")

    def residuals(coordinates: Array) -> Array:
        return np.log(_law_at(coordinates).loss(sizes, budgets)) - np.log(observed)

    lowest = np.log(observed.min())  # E cannot exceed the lowest loss
    starts = itertools.product((lowest - 0.4,), (1, 4), (0.4,), (1, 4), (0.4,))
    bounds = np.transpose([(-5, lowest), (-5, 20), (0.02, 2), (-5, 20), (0.02, 2)])
    fits = [
        least_squares(residuals, start, bounds=bounds, loss="huber", f_scale=HUBER_DELTA)
        for start in starts
    ]
    return _law_at(min(fits, key=lambda fit: fit.cost).x)


def _as_array(values: npt.ArrayLike) -> Array:
    """Convert numbers to a float64 array."""
    return np.asarray(values, dtype=np.float64)


def _law_at(coordinates: Array) -> ScalingLaw:
    """Build a law from (log E, log A, α, log B, β); the logarithms keep E, A and B positive."""
    log_E, log_A, alpha, log_B, beta = coordinates
    return ScalingLaw(
        E=float(np.exp(log_E)),
        A=float(np.exp(log_A)),
        alpha=float(alpha),
        B=float(np.exp(log_B)),
        beta=float(beta),
    )


@dataclass(frozen=True)
class ScalingRun:
    """The result of training one model once.

    Parameters
    ----------
    width
        Width of the model.
    parameters
        N, its number of parameters.
    tokens
        D, training tokens, repetitions included.
    rate
        The highest learning rate of the run (stored under this name in book/results/scaling.json).
    seed
        Seed of the weights and of the order of the data.
    loss
        Validation loss in nats per character, to 5 decimals.
    seconds
        Processor time of the training, to 2 decimals.
    """

    width: int
    parameters: int
    tokens: int
    rate: float
    seed: int
    loss: float
    seconds: float


class CharacterScaling:
    """Train GPT models of several widths on the characters of one text.

    All runs have the same vocabulary, training text and validation windows, so that their losses
    can be compared.

    Parameters
    ----------
    corpus
        A text corpus: `train` is trained on, the beginning of `valid` measures the loss.
    """

    def __init__(self, corpus: Corpus) -> None:
        tokenizer = CharTokenizer.train(corpus.train)
        self.vocab_size = len(tokenizer)
        self.train_ids = torch.tensor(tokenizer.encode(corpus.train))  # (N,)
        valid_ids = torch.tensor(tokenizer.encode(corpus.valid[: VALID_CHARACTERS + 1]))  # (N,)
        self.valid_batches = text_eval_batches(
            valid_ids, batch_size=EVAL_BATCH_SIZE, context_length=CONTEXT_LENGTH
        )

    def train(
        self,
        width: int,
        *,
        steps: int,
        seed: int = 0,
        learning_rate_factor: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> ScalingRun:
        """Train a new model with Muon and measure its validation loss.

        The learning rate falls linearly to zero at the last step, because a run that is stopped
        early would look worse than one planned for that length.

        Parameters
        ----------
        width
            Width of the model, a multiple of 4.
        steps
            Training steps of BATCH_SIZE windows with CONTEXT_LENGTH tokens each.
        seed
            Seed of the weights and of the order of the data.
        learning_rate_factor
            Multiplies the learning rate that `learning_rate_for` gives.
        device
            Device to train on.

        Returns
        -------
        ScalingRun
            Size and data of the run, its loss and its processor time.
        """
        seed_everything(seed)
        model = GPT(
            self.vocab_size,
            width=width,
            layers=LAYERS,
            heads=HEADS,
            context_length=CONTEXT_LENGTH,
        ).to(device)
        config = TrainConfig(
            steps=steps,
            learning_rate=learning_rate_factor * learning_rate_for(width),
            warmup=0.05,
            weight_decay=0.1,
        )
        batches = TextBatches(
            self.train_ids, batch_size=BATCH_SIZE, context_length=CONTEXT_LENGTH, seed=seed
        )
        start_time = time.process_time()
        history = fit(model, batches, config, progress=False, optimizer=muon)
        seconds = time.process_time() - start_time
        return ScalingRun(
            width=width,
            parameters=count_parameters(model),
            tokens=history.tokens,
            rate=config.learning_rate,
            seed=seed,
            loss=round(evaluate(model, self.valid_batches).loss, 5),
            seconds=round(seconds, 2),
        )


def learning_rate_for(width: int) -> float:
    """Return the learning rate for a width: 0.015 at width 48, proportional to 1 / √width."""
    return REFERENCE_LEARNING_RATE * (REFERENCE_WIDTH / width) ** 0.5

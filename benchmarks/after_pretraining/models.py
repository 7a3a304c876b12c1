"""Models of the stages: pretrained, instructed, and copies to train further."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch

from benchmarks.after_pretraining.task import TOKENIZER, Demonstrations, PretrainingLines
from utils.data.batches import Batch
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import count_tokens

PRETRAINING = TrainConfig(steps=250, learning_rate=6e-3, warmup_fraction=0.1)
LINES_IN_BATCH = 64
ROWS_IN_BATCH = 64  # of all stages after pretraining


def small_gpt() -> GPT:
    """Build the model of this benchmark."""
    return GPT(len(TOKENIZER), width=64, num_layers=2, num_heads=4, context_length=32)


@cache
def _pretrained(seed: int) -> GPT:
    """Pretrain once for each seed of a process."""
    seed_everything(seed)
    model = small_gpt()
    lines = PretrainingLines(batch_size=LINES_IN_BATCH, seed=seed)
    fit(model, lines, PRETRAINING, progress=False).raise_if_interrupted()
    return model


def pretrained(seed: int) -> GPT:
    """Return a copy of the model that a seed pretrains."""
    return copy.deepcopy(_pretrained(seed))


def train_on(model: GPT, stream: Any, *, steps: int, rate: float, is_constant: bool = False) -> int:
    """Train a model by maximum likelihood, in place.

    Parameters
    ----------
    model
        The model to train.
    stream
        Batches by step.
    steps, rate
        Number of steps, and the highest learning rate.
    is_constant
        Whether the rate is constant, or warms up and falls.

    Returns
    -------
    tokens : int
        The number of predicted tokens.
    """
    config = TrainConfig(steps=steps, learning_rate=rate, warmup_fraction=0.1)
    if is_constant:
        config = TrainConfig(
            steps=steps, learning_rate=rate, schedule="constant", warmup_fraction=0.0
        )
    fit(model, stream, config, progress=False).raise_if_interrupted()
    return sum(count_tokens(stream[step]) for step in range(steps))


def instruct(
    model: GPT,
    pairs: list[tuple[str, str]],
    *,
    steps: int,
    rate: float,
    seed: int,
    num_replayed: int = 0,
    is_constant: bool = False,
) -> int:
    """Fine-tune a model on demonstrations, in place.

    Parameters
    ----------
    model
        The pretrained model.
    pairs
        Moves and answers.
    steps, rate
        Number of steps, and the learning rate.
    seed
        The seed of the order.
    num_replayed
        How many rows of a batch are lines of pretraining instead.
    is_constant
        Whether the rate is constant, or warms up and falls.

    Returns
    -------
    tokens : int
        The number of predicted tokens.
    """
    stream = Demonstrations(pairs, batch_size=ROWS_IN_BATCH, seed=seed, num_replayed=num_replayed)
    return train_on(model, stream, steps=steps, rate=rate, is_constant=is_constant)


@torch.no_grad()
def logits_of(model: GPT, batch: Batch) -> torch.Tensor:
    """Return the logits (B, T, V) of a batch without a gradient."""
    return model(batch.inputs)[0]

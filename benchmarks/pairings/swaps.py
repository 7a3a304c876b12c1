"""Swapped encoders: a new decoder is trained on the frozen encoder of another model."""

from __future__ import annotations

import time
from typing import Any

from torch import nn

from benchmarks.pairings.measures import exact_share
from benchmarks.pairings.parts import ONE_LAYER, RATE, TWO_LAYERS, Recipe
from benchmarks.pairings.task import Task
from benchmarks.pairings.training import STEPS, costs_of, train
from benchmarks.tuning import Costs, Figures
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything

SWAPS = {
    "encoder of two layers, decoder of one": (TWO_LAYERS, ONE_LAYER),
    "encoder of one layer, decoder of one": (ONE_LAYER, ONE_LAYER),
    "encoder of one layer, decoder of two": (ONE_LAYER, TWO_LAYERS),
}  # each encoder is named by the decoder that it was trained with
NEW_SEED = 50  # added to the seed for the parameters of the new decoder


def train_swapped(
    donor: Recipe, receiver: Recipe, task: Task, *, seed: int, steps: int = STEPS
) -> tuple[Any, Any]:
    """Train the donor; then train a new decoder of the receiver on its encoder, which is frozen.

    Parameters
    ----------
    donor, receiver
        The arm whose encoder is kept, and the arm whose decoder is new and which says what of the
        encoder it is given.
    task
        The data.
    seed
        The seed; the new decoder has parameters of another.
    steps
        The number of steps of each training.

    Returns
    -------
    first, second : EncoderDecoder
        The donor, and the new decoder with its encoder.
    """
    seed_everything(seed)
    first = train(donor.build(task.vocab_size), donor, task, rate=RATE, seed=seed, steps=steps)
    seed_everything(seed + NEW_SEED)
    fresh: Any = receiver.build(task.vocab_size)
    kept = first.encoder.encoder if donor.has_one_vector else first.encoder
    encoder = fresh.encoder
    if receiver.has_one_vector:
        encoder.encoder = kept
    else:
        encoder = kept
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    second: nn.Module = EncoderDecoder(encoder, fresh.decoder)
    return first, train(second, receiver, task, rate=RATE, seed=seed, steps=steps)


def run_swap(
    donor: Recipe, receiver: Recipe, task: Task, *, seed: int, steps: int = STEPS
) -> tuple[Figures, Costs]:
    """Measure the right answers of a donor and of the new decoder on its encoder.

    Parameters
    ----------
    donor
        The arm whose encoder is trained with its own decoder, and then kept as it is.
    receiver
        The arm whose decoder is trained on that encoder.
    task
        The data.
    seed
        Seed of both trainings.
    steps
        Steps of each training.

    Returns
    -------
    figures : dict
        The shares of answers that are right as a whole.
    costs : dict
        What the two trainings cost.
    """
    start = time.process_time()
    first, second = train_swapped(donor, receiver, task, seed=seed, steps=steps)
    figures: Figures = {
        "exact": exact_share(second, task.reporting),
        "exact, donor": exact_share(first, task.reporting),
    }
    return figures, costs_of(second, task, start, seed=seed, steps=steps)

"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.memory.gradients import gradient_by_distance, unit_that_counts
from benchmarks.memory.task import (
    RECALL_VOCABULARY,
    REPORTING_SEED,
    SELECTION_SEED,
    Characters,
    RecallBatches,
    recall_split,
    windows,
)
from benchmarks.tuning import finite_loss
from utils.data.batches import TextBatches, text_eval_batches
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.models.language_models import RNNLM
from utils.runtime import seed_everything
from utils.states import LSTMState
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit

CLIP_NORM = 1.0
CONTEXT_LENGTH = 64  # characters in a training window
STRIPS, BLOCK = 64, 4  # parallel strips of text, and the characters of a block
UNIT_TEXT = 1000  # characters on which single units are chosen, and as many to measure them

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an arm trains and how, but for its learning rate.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary.
    rates
        The learning rates that tuning tries first.
    steps, batch_size
        The budget.
    delay
        Of the recall task; None for characters.
    carried
        Whether the state is carried from block to block of parallel strips; None for random
        windows, each with a fresh state.
    units
        Whether single units are measured.
    tuning_seeds
        The seeds with which rates are tried.
    """

    build: Callable[[int], Any]
    rates: tuple[float, ...]
    steps: int
    batch_size: int
    delay: int | None = None
    carried: bool | None = None
    units: bool = False
    tuning_seeds: tuple[int, ...] = (100,)

    def settings(self) -> dict[str, Any]:
        """Return what is stored of the recipe."""
        length = CONTEXT_LENGTH if self.carried is None else BLOCK
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "context length": length if self.delay is None else self.delay + 1,
            "clip norm": CLIP_NORM,
            "delay": self.delay,
            "carried": self.carried,
        }


def run_trial(
    recipe: Recipe, task: Characters, *, rate: float, seed: int
) -> tuple[Figures, dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    task
        The characters.
    rate
        The learning rate.
    seed
        Seed of the parameters and of the batches.

    Returns
    -------
    figures : dict
        The loss that selects and what is reported.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    if recipe.delay is not None:
        model = recipe.build(RECALL_VOCABULARY)
        figures = _train_to_recall(model, recipe, recipe.delay, rate, seed)
    else:
        model = recipe.build(len(task.tokenizer))
        train = _train_on_windows if recipe.carried is None else _train_on_strips
        figures = train(model, recipe, task, rate, seed)
    length = int(recipe.settings()["context length"])
    costs = {
        "parameters": count_parameters(model),
        "tokens": recipe.steps * recipe.batch_size * length,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _train_to_recall(model: Any, recipe: Recipe, delay: int, rate: float, seed: int) -> Figures:
    """Train on the recall task and measure how often the symbol is right."""
    selection, reporting = (recall_split(delay, s) for s in (SELECTION_SEED, REPORTING_SEED))
    figures: Figures = {"gradient at the start": gradient_by_distance(model, reporting[0])}
    batches = RecallBatches(delay, recipe.batch_size, seed)
    _fit(model, batches, recipe, rate)
    with torch.no_grad():
        logits = model(reporting[0].inputs)[0][:, -1]  # (B, V)
    wanted = reporting[0].targets[:, -1]
    return figures | {
        "selection loss": finite_loss(evaluate(model, selection).loss),
        "loss": finite_loss(float(F.cross_entropy(logits, wanted))),
        "accuracy": float((logits.argmax(-1) == wanted).float().mean()),
        "share of the first input, start": figures["gradient at the start"][-1],
        "share of the first input, end": gradient_by_distance(model, reporting[0])[-1],
    }


def _train_on_windows(
    model: Any, recipe: Recipe, task: Characters, rate: float, seed: int
) -> Figures:
    """Train on windows of text, each with a fresh state."""
    batch = text_eval_batches(task.reporting, batch_size=64, context_length=CONTEXT_LENGTH)[0]
    texts = task.selection[:UNIT_TEXT], task.reporting[:UNIT_TEXT]
    figures: Figures = {"gradient at the start": gradient_by_distance(model, batch)}
    if recipe.units:
        figures["line unit, start"] = unit_that_counts(model, *texts, task.tokenizer.decode)
    batches = TextBatches(
        task.train, batch_size=recipe.batch_size, context_length=CONTEXT_LENGTH, seed=seed
    )
    losses = _fit(model, batches, recipe, rate)
    if recipe.units:
        figures["line unit, end"] = unit_that_counts(model, *texts, task.tokenizer.decode)
    return figures | {
        "selection loss": finite_loss(evaluate(model, windows(task.selection)).loss),
        "bits": _bits(model, task.reporting),
        "gradient at the end": gradient_by_distance(model, batch),
        "training curve": [sum(part) / len(part) for part in _parts(losses, 20)],
    }


def _train_on_strips(
    model: RNNLM, recipe: Recipe, task: Characters, rate: float, seed: int
) -> Figures:
    """Train on short blocks of parallel strips, with or without the state of the block before."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    strips = text_eval_batches(task.train, batch_size=STRIPS, context_length=BLOCK)
    state: Any = None
    for step in range(recipe.steps):
        batch = strips[(seed * recipe.steps + step) % len(strips)]
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / recipe.steps)
        logits, state = model(batch.inputs, state if recipe.carried else None)
        state = LSTMState(*(part.detach() for part in state))  # it goes on, its history does not
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
    blocks = text_eval_batches(task.reporting, batch_size=STRIPS, context_length=BLOCK)
    return {
        "selection loss": -float(token_log_probs(model, task.selection).mean()),
        "bits": _bits(model, task.reporting),
        "bits, fresh state": finite_loss(evaluate(model, blocks).loss) / math.log(2),
    }


def _fit(model: Any, batches: Any, recipe: Recipe, rate: float) -> list[float]:
    """Train by the library's loop and return the losses."""
    config = TrainConfig(steps=recipe.steps, learning_rate=rate, clip_norm=CLIP_NORM)
    history = fit(model, batches, config, progress=False)
    history.raise_if_interrupted()
    return history.losses


def _bits(model: Any, ids: torch.Tensor) -> float:
    """Return bits per character of a text that is read from beginning to end."""
    nats = finite_loss(-float(token_log_probs(model, ids).mean()))
    return nats / math.log(2)


def _parts(values: list[float], count: int) -> list[list[float]]:
    """Cut a list into `count` parts of nearly equal length, or fewer of one."""
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[a:b] for a, b in itertools.pairwise(edges) if b > a]

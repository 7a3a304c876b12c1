"""One run of an arm that reads text: its recipe and what is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.memory.gradients import gradient_by_distance, unit_that_counts
from benchmarks.memory.task import Characters, windows
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
    carried: bool | None = None
    units: bool = False
    tuning_seeds: tuple[int, ...] = (100, 101)

    def settings(self) -> dict[str, Any]:
        """Return what is stored of the recipe."""
        length = CONTEXT_LENGTH if self.carried is None else BLOCK
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "context length": length,
            "clip norm": CLIP_NORM,
            "carried": self.carried,
        }


def run_trial(
    recipe: Recipe, task: Characters, *, rate: float, seed: int, is_trial: bool = False
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
    is_trial
        Whether the loss that selects is measured alone.

    Returns
    -------
    figures : dict
        The loss that selects and, unless it is a trial, what is reported.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = recipe.build(len(task.tokenizer))
    if recipe.carried is None:
        before = {} if is_trial else _inside(model, recipe, task, "start")
        _train_on_windows(model, recipe, task, rate, seed)
        figures = {"selection loss": finite_loss(evaluate(model, windows(task.selection)).loss)}
        if not is_trial:
            figures |= before | _inside(model, recipe, task, "end")
            figures["bits"] = _bits(model, task.reporting)
    else:
        _train_on_strips(model, recipe, task, rate, seed)
        figures = {"selection loss": math.log(2) * _bits(model, task.selection)}
        if not is_trial:
            blocks = text_eval_batches(task.reporting, batch_size=STRIPS, context_length=BLOCK)
            figures["bits"] = _bits(model, task.reporting)
            figures["bits, fresh state"] = finite_loss(evaluate(model, blocks).loss) / math.log(2)
    length = int(recipe.settings()["context length"])
    costs = {
        "parameters": count_parameters(model),
        "tokens": recipe.steps * recipe.batch_size * length,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _inside(model: Any, recipe: Recipe, task: Characters, when: str) -> Figures:
    """Measure the gradient by distance and single units, at the start or the end of training."""
    batch = text_eval_batches(task.reporting, batch_size=64, context_length=CONTEXT_LENGTH)[0]
    figures: Figures = {f"gradient at the {when}": gradient_by_distance(model, batch)}
    if recipe.units:
        texts = task.selection[:UNIT_TEXT], task.reporting[:UNIT_TEXT]
        figures[f"line unit, {when}"] = unit_that_counts(model, *texts, task.tokenizer.decode)
    return figures


def _train_on_windows(model: Any, recipe: Recipe, task: Characters, rate: float, seed: int) -> None:
    """Train on windows of text, each with a fresh state."""
    batches = TextBatches(
        task.train, batch_size=recipe.batch_size, context_length=CONTEXT_LENGTH, seed=seed
    )
    config = TrainConfig(steps=recipe.steps, learning_rate=rate, clip_norm=CLIP_NORM)
    fit(model, batches, config, progress=False).raise_if_interrupted()


def _train_on_strips(
    model: RNNLM, recipe: Recipe, task: Characters, rate: float, seed: int
) -> None:
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


def _bits(model: Any, ids: torch.Tensor) -> float:
    """Return bits per character of a text that is read from beginning to end."""
    nats = finite_loss(-float(token_log_probs(model, ids).mean()))
    return nats / math.log(2)

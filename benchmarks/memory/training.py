"""One run of an arm that reads text: its recipe and what is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.memory.gradients import best_unit_correlation, gradient_by_distance
from benchmarks.memory.task import Characters, windows
from benchmarks.tuning import finite_loss
from utils.data.batches import TextBatches, text_eval_batches
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit

CLIP_NORM = 1.0
CONTEXT_LENGTH = 64  # characters in a training window
UNIT_TEXT = 1000  # characters on which single units are chosen, and as many to measure them

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The model and the training of an arm, except its learning rate, which is tuned.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary.
    rates
        The learning rates that tuning tries first.
    steps, batch_size
        The budget.
    units
        Whether single units are measured.
    tuning_seeds
        The seeds with which rates are tried.
    """

    build: Callable[[int], Any]
    rates: tuple[float, ...]
    steps: int
    batch_size: int
    units: bool = False
    tuning_seeds: tuple[int, ...] = (100, 101)

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "context length": CONTEXT_LENGTH,
            "clip norm": CLIP_NORM,
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
    before = {} if is_trial else _measure_gradient_and_units(model, recipe, task=task, when="start")
    _train(model, recipe, task=task, rate=rate, seed=seed)
    figures = {"selection loss": finite_loss(evaluate(model, windows(task.selection)).loss)}
    if not is_trial:
        nats = finite_loss(-float(token_log_probs(model, task.reporting).mean()))
        figures |= (
            before
            | _measure_gradient_and_units(model, recipe, task=task, when="end")
            | {"bits": nats / math.log(2)}
        )
    costs = {
        "parameters": count_parameters(model),
        "tokens": recipe.steps * recipe.batch_size * CONTEXT_LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _measure_gradient_and_units(
    model: Any, recipe: Recipe, *, task: Characters, when: str
) -> Figures:
    """Measure the gradient by distance and single units, at the start or the end of training."""
    batch = text_eval_batches(task.reporting, batch_size=64, context_length=CONTEXT_LENGTH)[0]
    figures: Figures = {f"gradient at the {when}": gradient_by_distance(model, batch)}
    if recipe.units:
        texts = task.selection[:UNIT_TEXT], task.reporting[:UNIT_TEXT]
        figures[f"line unit, {when}"] = best_unit_correlation(
            model, *texts, decode=task.tokenizer.decode
        )
    return figures


def _train(model: Any, recipe: Recipe, *, task: Characters, rate: float, seed: int) -> None:
    """Train on windows of text, each with a fresh state."""
    batches = TextBatches(
        task.train, batch_size=recipe.batch_size, context_length=CONTEXT_LENGTH, seed=seed
    )
    config = TrainConfig(steps=recipe.steps, learning_rate=rate, clip_norm=CLIP_NORM)
    fit(model, batches, config, progress=False).raise_if_interrupted()

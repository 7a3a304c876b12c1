"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.optimization.task import Task, eval_batches
from benchmarks.tuning import DIVERGED, Costs, Figures, finite_loss
from utils.data.batches import TextBatches
from utils.runtime import seed_everything
from utils.training.evaluation import evaluate

CONTEXT_LENGTH = 32
NUM_BINS = 25  # of the stored curve of training losses
FIRST_LOOK, GROWTH = 16, 1.15  # validations where steps to a target are counted: steps, factor


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The model and the training of an arm, except its learning rate, which is tuned.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary.
    optimizer
        Builds the optimizer for a model and a learning rate.
    name
        The optimizer's name in the settings.
    rates
        The learning rates that tuning tries first, each twice the one before.
    steps
        Number of steps, at most.
    schedule
        The factor of the learning rate for a step and the number of steps.
    batch_size
        Windows in a batch.
    clip_norm
        The largest norm of a gradient; infinite without clipping.
    train_length
        Characters of the training text that are used; None for all. If it is given, each
        validation also measures the loss on them, in evaluation mode.
    target
        A validation loss; the steps to reach it are then measured, and as few as possible wanted.
    validate_every
        Steps between two validations, of which the lowest counts (early stopping); 0 for one at
        the end.
    """

    build: Callable[[int], nn.Module]
    optimizer: Callable[[Any, float], torch.optim.Optimizer]
    name: str
    rates: tuple[float, ...]
    steps: int
    schedule: Callable[[int, int], float] = lambda step, steps: 1.0
    batch_size: int = 16
    clip_norm: float = math.inf
    train_length: int | None = None
    target: float | None = None
    validate_every: int = 0

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": self.name,
            "steps": self.steps,
            "batch size": self.batch_size,
            "context length": CONTEXT_LENGTH,
            "clip norm": None if math.isinf(self.clip_norm) else self.clip_norm,
            "training characters": self.train_length,
            "target": self.target,
            "validate every": self.validate_every,
        }


def run_trial(recipe: Recipe, task: Task, *, rate: float, seed: int) -> tuple[Figures, Costs]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    task
        The data.
    rate
        The learning rate.
    seed
        Seed of the parameters and of the batches.

    Returns
    -------
    figures, costs : dict
        What a row stores. Tuning minimizes the "score": the loss on the selection split, or the
        steps to the target.
    """
    start = time.process_time()
    seed_everything(seed)
    model = recipe.build(task.vocab_size)
    batches = TextBatches(
        task.train[: recipe.train_length],
        batch_size=recipe.batch_size,
        context_length=CONTEXT_LENGTH,
        seed=seed,
    )
    course = _train(model, batches, recipe=recipe, task=task, rate=rate)
    figures = course.figures(recipe)
    score = "selection loss" if recipe.target is None else "steps to target"
    costs = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": len(course.losses) * recipe.batch_size * CONTEXT_LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures | {"score": figures[score]}, costs


@dataclass
class _Curves:
    """Losses and norms that are recorded while a model trains.

    Parameters
    ----------
    losses
        The training loss of each step, at most DIVERGED.
    norms
        The norm of each step's gradient before clipping.
    selection, training
        Pairs of step and loss on the selection split, and on the training text in evaluation mode.
    reported
        The loss on the reporting split after the step with the lowest loss on the selection split.
    """

    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    selection: list[tuple[int, float]] = field(default_factory=list)
    training: list[tuple[int, float]] = field(default_factory=list)
    reported: float = DIVERGED

    def figures(self, recipe: Recipe) -> dict[str, Any]:
        """Return the figures of a run by this recipe that rows store."""
        curve, validations = self.losses, self.selection or [(len(self.losses), DIVERGED)]
        if len(curve) >= NUM_BINS:
            curve = [float(part.mean()) for part in np.array_split(curve, NUM_BINS)]
        figures: dict[str, Any] = {
            "training curve": curve,
            "validation curve": validations,
            "selection loss": min(loss for _, loss in validations),
        }
        if self.training:
            figures["training curve, evaluation mode"] = self.training
        if math.isfinite(recipe.clip_norm):
            figures["clipped share"] = float(np.mean(np.array(self.norms) > recipe.clip_norm))
        if recipe.target is None:
            figures["loss"] = self.reported
        else:
            figures["steps to target"] = steps_to_target(validations, recipe.target)
        return figures


def _train(
    model: nn.Module, batches: TextBatches, *, recipe: Recipe, task: Task, rate: float
) -> _Curves:
    """Train a model, and validate it when it is due."""
    optimizer, course = recipe.optimizer(model, rate), _Curves()
    factors = [group["lr"] / rate for group in optimizer.param_groups]
    train_text = eval_batches(task.train[: recipe.train_length]) if recipe.train_length else []
    for step in range(recipe.steps):
        batch = batches[step]
        model.train()
        logits, _ = model(batch.inputs)  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        for factor, group in zip(factors, optimizer.param_groups, strict=True):
            group["lr"] = factor * rate * recipe.schedule(step, recipe.steps)
        optimizer.step()
        course.losses.append(finite_loss(float(loss.detach())))
        course.norms.append(float(norm))
        if course.losses[-1] == DIVERGED and step >= 20:
            break
        if is_due(step + 1, recipe):
            _validate(model, step + 1, recipe=recipe, task=task, course=course)
            if train_text:
                course.training.append((step + 1, finite_loss(evaluate(model, train_text).loss)))
            if recipe.target is not None and course.selection[-1][1] <= recipe.target:
                break
    return course


def _validate(model: nn.Module, step: int, *, recipe: Recipe, task: Task, course: _Curves) -> None:
    """Measure the selection split and, where its loss is the lowest so far, the reporting split."""
    loss = finite_loss(evaluate(model, task.selection).loss)
    lowest = min([DIVERGED, *(loss for _, loss in course.selection)])
    if recipe.target is None and loss < lowest:
        course.reported = finite_loss(evaluate(model, task.reporting).loss)
    course.selection.append((step, loss))


def is_due(step: int, recipe: Recipe) -> bool:
    """Return whether the model is validated after a step, counted from 1."""
    if step == recipe.steps:
        return True
    if recipe.target is not None:
        looks = [int(math.log(number, GROWTH)) for number in (step, max(1, step - 1))]
        return step >= FIRST_LOOK and looks[0] > looks[1]
    return bool(recipe.validate_every) and step % recipe.validate_every == 0


def steps_to_target(curve: list[tuple[int, float]], target: float) -> float:
    """Return the step at which a loss falls to a target, interpolated between two validations.

    Parameters
    ----------
    curve
        Pairs of step and loss.
    target
        The loss to reach.

    Returns
    -------
    steps : float
        The number of steps. If the last loss is above the target, ten times the last step for
        each nat above it, and the last step once more.
    """
    last_step, last_loss = curve[-1]
    if last_loss > target:
        return last_step * (1 + 10 * (last_loss - target))
    if len(curve) == 1:
        return float(last_step)
    step, loss = curve[-2]
    return step + (last_step - step) * (loss - target) / (loss - last_loss)

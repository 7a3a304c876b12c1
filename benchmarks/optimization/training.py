"""One run of an arm: its recipe, its data and what is measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer
from utils.runtime import seed_everything
from utils.training.evaluation import evaluate

CONTEXT_LENGTH = 32
DIVERGED = 20.0  # nats: what a run counts that ended with more, or with no number
NUM_BINS = 25  # of the stored curve of training losses
FIRST_LOOK, GROWTH = 16, 1.15  # validations where steps to a target are counted: steps, factor


@dataclass(frozen=True)
class Task:
    """The characters of a text, and two parts of its validation text.

    Parameters
    ----------
    train
        Ids of the training text, (N,).
    choice
        Validation batches by which rates, and steps of early stopping, are chosen.
    report
        Other validation batches, on which the chosen runs are measured.
    vocab_size
        Size of the vocabulary.
    origin
        Where the text comes from: "real" or "stand-in".
    """

    train: torch.Tensor
    choice: list[Batch]
    report: list[Batch]
    vocab_size: int
    origin: str

    @classmethod
    def load(cls) -> Task:
        """Load Tiny Shakespeare: a fifth of its validation text chooses, two fifths report."""
        corpus = load_text()
        tokenizer = CharTokenizer.train(corpus.train)
        train, valid = (
            torch.tensor(tokenizer.encode(text)) for text in (corpus.train, corpus.valid)
        )
        fifth = len(valid) // 5
        choice, report = (
            text_eval_batches(part, batch_size=32, context_length=128)
            for part in (valid[:fifth], valid[fifth : 3 * fifth])
        )
        return cls(train, choice, report, len(tokenizer), corpus.origin)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an arm trains and how, but for its learning rate.

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
        Characters of the training text that are used; None for all.
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
        """Return what is stored of the recipe."""
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


@dataclass(frozen=True)
class Trial:
    """What one run measured.

    Parameters
    ----------
    score
        What tuning wants low: the loss on the validation text for choices, or steps.
    figures
        What is stored.
    costs
        Parameters, tokens and seconds.
    """

    score: float
    figures: dict[str, Any]
    costs: dict[str, Any]


def run_trial(recipe: Recipe, task: Task, *, rate: float, seed: int) -> Trial:
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
    trial : Trial
        What was measured.
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
    losses, curve, reported = _train(model, batches, recipe, task, rate)
    figures: dict[str, Any] = {
        "training curve": [float(part.mean()) for part in np.array_split(losses, NUM_BINS)]
        if len(losses) >= NUM_BINS
        else losses,
        "validation curve": curve,
        "choice loss": min(loss for _, loss in curve),
    }
    score = figures["choice loss"]
    if recipe.target is None:
        figures["loss"] = reported
    else:
        score = figures["steps to target"] = steps_to_target(curve, recipe.target)
    costs = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": len(losses) * recipe.batch_size * CONTEXT_LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return Trial(score, figures, costs)


def _train(
    model: nn.Module, batches: TextBatches, recipe: Recipe, task: Task, rate: float
) -> tuple[list[float], list[tuple[int, float]], float]:
    """Train; return the losses, the validation losses by step, and that of the best on `report`."""
    optimizer, losses = recipe.optimizer(model, rate), list[float]()
    factors = [group["lr"] / rate for group in optimizer.param_groups]
    curve, reported = list[tuple[int, float]](), DIVERGED
    for step in range(recipe.steps):
        batch = batches[step]
        model.train()
        logits, _ = model(batch.inputs)  # (B, T, V)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        for factor, group in zip(factors, optimizer.param_groups, strict=True):
            group["lr"] = factor * rate * recipe.schedule(step, recipe.steps)
        optimizer.step()
        losses.append(_finite(float(loss.detach())))
        if losses[-1] == DIVERGED and len(losses) > 20:
            break
        if is_due(step + 1, recipe):
            choice = _finite(evaluate(model, task.choice).loss)
            if recipe.target is None and choice < min([DIVERGED, *(loss for _, loss in curve)]):
                reported = _finite(evaluate(model, task.report).loss)
            curve.append((step + 1, choice))
            if recipe.target is not None and choice <= recipe.target:
                break
    return losses, curve or [(len(losses), DIVERGED)], reported


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


def _finite(loss: float) -> float:
    """Return a loss, or DIVERGED if it is larger or no number."""
    return min(DIVERGED, loss)  # of which the first stays where the second is no number

"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.attention.choice import (
    READINGS,
    Estimator,
    HardObjective,
    Reading,
    effective_positions,
    predict_from_each_position,
)
from benchmarks.attention.task import (
    COPYING_VOCABULARY,
    REPORTING_SEED,
    SELECTION_SEED,
    CopyingBatches,
    Translation,
    alignment_error_rate,
    measured_strings,
)
from benchmarks.tuning import finite_loss
from utils.data.batches import IGNORE_INDEX, Batch, pad
from utils.data.vocabulary import BOS, EOS
from utils.metrics.cost import count_parameters
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.history import History
from utils.training.loop import fit

EXAMPLE = 18  # the reporting pair whose weights are stored: its verb comes last in German
CURVE_POINTS = 40
ALIGNMENTS = 6  # in the course of a training
OWN_READING: dict[Estimator, Reading] = {  # what an arm is trained for
    "soft": "soft",
    "mixture": "mixture",
    "bound": "one drawn",
    "reinforce with baseline": "one drawn",
    "reinforce": "one drawn",
}

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
    length
        Letters to copy; None for translation.
    estimator
        How the choice of a position is trained.
    clip_norm
        The largest norm of a gradient; 0 for no clipping.
    """

    build: Callable[[int], EncoderDecoder[Any]]
    rates: tuple[float, ...]
    steps: int
    batch_size: int
    length: int | None = None
    estimator: Estimator = "soft"
    clip_norm: float = 1.0

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "letters": self.length,
            "estimator": self.estimator,
            "clip norm": self.clip_norm,
        }

    def objective(self) -> Callable[[Any, Batch], torch.Tensor]:
        """Return what training minimizes."""
        if self.estimator.startswith("reinforce"):
            return HardObjective(has_baseline=self.estimator == "reinforce with baseline")
        return READINGS[OWN_READING[self.estimator]]


def run_trial(
    recipe: Recipe, task: Translation | None, *, rate: float, seed: int
) -> tuple[Figures, dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    task
        The sentence pairs; None for copying.
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
    model = recipe.build(COPYING_VOCABULARY if task is None else task.vocab_size)
    if task is None:
        assert recipe.length is not None
        figures = _copy(model, recipe, length=recipe.length, rate=rate, seed=seed)
        tokens = recipe.steps * recipe.batch_size * recipe.length
    else:
        figures = _translate(model, recipe, task=task, rate=rate, seed=seed)
        tokens = recipe.steps * recipe.batch_size * _mean_length(task)
    costs = {
        "parameters": count_parameters(model),
        "tokens": tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _copy(model: Any, recipe: Recipe, *, length: int, rate: float, seed: int) -> Figures:
    """Train to copy, and measure the loss by each reading and the weight on the right position."""
    batches = CopyingBatches(length, batch_size=recipe.batch_size, seed=seed)
    objective = recipe.objective()
    losses = _fit(model, batches, recipe=recipe, rate=rate, objective=objective).losses
    if isinstance(objective, HardObjective):
        losses = objective.drawn_losses
    selection, reporting = (
        measured_strings(length, split) for split in (SELECTION_SEED, REPORTING_SEED)
    )
    (batch,) = reporting
    with torch.no_grad():
        weights = model.decoder.attention_weights(batch.inputs, model.begin(batch.source))
    own = READINGS[OWN_READING[recipe.estimator]]
    figures = {
        "selection loss": finite_loss(evaluate(model, selection, objective=own).loss),
        "training curve": _curve(losses),
    }
    for name, reading in READINGS.items():
        figures[f"loss, {name}"] = finite_loss(evaluate(model, reporting, objective=reading).loss)
    if weights.shape[-1] == length:
        on_place = weights.diagonal(dim1=1, dim2=2)  # (B, T)
        figures["weight on the right place"] = float(on_place.mean())
        figures["places used"] = effective_positions([*weights.flatten(0, 1)])
    return figures


def _translate(model: Any, recipe: Recipe, *, task: Translation, rate: float, seed: int) -> Figures:
    """Train to translate, and measure the loss and, in the course of training, the alignment."""
    batches = task.batches(batch_size=recipe.batch_size, seed=seed)
    selection = task.eval_batches(task.selection)
    course: list[dict[str, float]] = []

    def measure(history: History) -> None:
        latest = history.validations[-1]
        errors = _alignment_errors(model, task)
        course.append({"step": latest.step, "selection loss": latest.loss, **errors})

    history = _fit(
        model,
        batches,
        recipe=recipe,
        rate=rate,
        objective=recipe.objective(),
        valid=selection,
        on_validation=measure,
    )
    example = task.linked[EXAMPLE]
    weights = _weights(model, task)[0][EXAMPLE, : len(example.target), : len(example.source)]
    return {
        "selection loss": finite_loss(history.best_loss),
        "loss": finite_loss(evaluate(model, task.eval_batches(task.reporting)).loss),
        "training curve": _curve(history.losses),
        "course": course,
        **_alignment_errors(model, task),
        "example": {
            "source": example.source,
            "target": example.target,
            "links": sorted(example.links),
            "weights": [[round(w, 4) for w in row] for row in weights.tolist()],
        },
    }


def _alignment_errors(model: Any, task: Translation) -> dict[str, float]:
    """Compute the error of the largest weight, and of the largest posterior of the same model."""
    weights, posterior = _weights(model, task)
    return {
        name: alignment_error_rate(values.argmax(-1).tolist(), task.linked)
        for name, values in (("alignment error", weights), ("posterior's error", posterior))
    }


@torch.no_grad()
def _weights(model: Any, task: Translation) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights and posteriors, up to a factor, (N, T, S) of all reporting pairs.

    The posterior multiplies a weight by the probability of the word that is there, given the state
    of that place alone. Rows after the end of a target are of no use.
    """
    sources, targets = zip(*task.reporting, strict=True)
    inputs = pad([[BOS, *target] for target in targets], EOS)
    batch = Batch(inputs, pad([[*target, EOS] for target in targets], IGNORE_INDEX), pad(sources))
    log_weights, log_p = predict_from_each_position(model, batch)
    return log_weights.exp(), (log_weights + log_p).exp()


def _fit(
    model: Any,
    batches: Any,
    *,
    recipe: Recipe,
    rate: float,
    objective: Callable[[Any, Batch], torch.Tensor],
    valid: list[Batch] | None = None,
    on_validation: Callable[[History], None] | None = None,
) -> History:
    """Train by the library's loop."""
    config = TrainConfig(
        steps=recipe.steps,
        learning_rate=rate,
        warmup_fraction=0.1,
        clip_norm=recipe.clip_norm,
        validate_every=max(1, recipe.steps // ALIGNMENTS),
    )
    history = fit(
        model,
        batches,
        config,
        objective=objective,
        valid=valid,
        progress=False,
        on_validation=on_validation,
    )
    history.raise_if_interrupted()
    return history


def _curve(losses: list[float]) -> list[float]:
    """Return means of a list in CURVE_POINTS parts."""
    edges = [len(losses) * i // CURVE_POINTS for i in range(CURVE_POINTS + 1)]
    return [sum(losses[a:b]) / (b - a) for a, b in itertools.pairwise(edges) if b > a]


def _mean_length(task: Translation) -> int:
    """Return the mean number of targets of a pair, rounded, EOS included."""
    return round(sum(len(target) + 1 for _, target in task.train) / len(task.train))

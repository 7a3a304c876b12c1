"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.attention.choice import Estimator, HardObjective, mixture_nll, places_used
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
from utils.data.batches import Batch
from utils.data.vocabulary import BOS
from utils.metrics.cost import count_parameters
from utils.models.encoder_decoder import EncoderDecoder
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import token_nll

EXAMPLE = 18  # the reporting pair whose weights are stored: its verb comes last in German
CURVE_POINTS = 40

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
    length
        Letters to copy; None for translation.
    estimator
        How the choice of a place is trained.
    """

    build: Callable[[int], EncoderDecoder[Any]]
    rates: tuple[float, ...]
    steps: int
    batch_size: int
    length: int | None = None
    estimator: Estimator = "soft"

    def settings(self) -> dict[str, Any]:
        """Return what is stored of the recipe."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "letters": self.length,
            "estimator": self.estimator,
        }

    def objective(self) -> Callable[[Any, Batch], torch.Tensor]:
        """Return what training minimizes."""
        if self.estimator == "soft":
            return token_nll
        if self.estimator == "exact":
            return mixture_nll
        return HardObjective(has_baseline=self.estimator == "reinforce with baseline")


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
        figures = _copy(model, recipe, recipe.length, rate, seed)
        tokens = recipe.steps * recipe.batch_size * recipe.length
    else:
        figures = _translate(model, recipe, task, rate, seed)
        tokens = recipe.steps * recipe.batch_size * _mean_length(task)
    costs = {
        "parameters": count_parameters(model),
        "tokens": tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _copy(model: Any, recipe: Recipe, length: int, rate: float, seed: int) -> Figures:
    """Train to copy, and measure the loss, the right letters and the weight on the right place."""
    batches = CopyingBatches(length, batch_size=recipe.batch_size, seed=seed)
    losses = _fit(model, batches, recipe, rate)
    objective = token_nll if recipe.estimator == "soft" else mixture_nll
    selection, reporting = (
        measured_strings(length, split) for split in (SELECTION_SEED, REPORTING_SEED)
    )
    (batch,) = reporting
    with torch.no_grad():
        weights = model.decoder.attention_weights(batch.inputs, model.begin(batch.source))
    figures = {
        "selection loss": finite_loss(evaluate(model, selection, objective=objective).loss),
        "loss": finite_loss(evaluate(model, reporting, objective=objective).loss),
        "training curve": _curve(losses),
    }
    if weights.shape[-1] == length:
        on_place = weights.diagonal(dim1=1, dim2=2)  # (B, T)
        figures["weight on the right place"] = float(on_place.mean())
        figures["places used"] = places_used([*weights.flatten(0, 1)])
    return figures


def _translate(model: Any, recipe: Recipe, task: Translation, rate: float, seed: int) -> Figures:
    """Train to translate, and measure the loss and the alignment."""
    batches = task.batches(batch_size=recipe.batch_size, seed=seed)
    losses = _fit(model, batches, recipe, rate)
    rows = [_weights(model, source, target) for source, target in task.reporting]
    now = [row[:-1].argmax(-1).tolist() for row in rows]  # the last step predicts EOS
    after = [row[1:].argmax(-1).tolist() for row in rows]
    example = task.linked[EXAMPLE]
    return {
        "selection loss": finite_loss(evaluate(model, task.eval_batches(task.selection)).loss),
        "loss": finite_loss(evaluate(model, task.eval_batches(task.reporting)).loss),
        "training curve": _curve(losses),
        "alignment error": alignment_error_rate(now, task.linked),
        "alignment error, one step later": alignment_error_rate(after, task.linked),
        "places used": places_used(rows),
        "example": {
            "source": example.source,
            "target": example.target,
            "links": sorted(example.links),
            "weights": [[round(w, 4) for w in row] for row in rows[EXAMPLE][:-1].tolist()],
        },
    }


@torch.no_grad()
def _weights(model: Any, source: list[int], target: list[int]) -> torch.Tensor:
    """Return the attention weights (T + 1, S) of a pair; the last row predicts EOS."""
    ids, inputs = torch.tensor([source]), torch.tensor([[BOS, *target]])
    return model.decoder.attention_weights(inputs, model.begin(ids))[0]


def _fit(model: Any, batches: Any, recipe: Recipe, rate: float) -> list[float]:
    """Train by the library's loop and return the losses."""
    config = TrainConfig(steps=recipe.steps, learning_rate=rate, warmup_fraction=0.1)
    history = fit(model, batches, config, objective=recipe.objective(), progress=False)
    history.raise_if_interrupted()
    return history.losses


def _curve(losses: list[float]) -> list[float]:
    """Return means of a list in CURVE_POINTS parts."""
    edges = [len(losses) * i // CURVE_POINTS for i in range(CURVE_POINTS + 1)]
    return [sum(losses[a:b]) / (b - a) for a, b in itertools.pairwise(edges) if b > a]


def _mean_length(task: Translation) -> int:
    """Return the mean number of targets of a pair, rounded, EOS included."""
    return round(sum(len(target) + 1 for _, target in task.train) / len(task.train))

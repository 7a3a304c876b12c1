"""One run of an arm: teacher forcing or scheduled sampling, and what is measured then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks.pairings.measures import exact_share, history_figures, wrong_words
from benchmarks.pairings.parts import WIDTH, Recipe
from benchmarks.pairings.task import Task
from benchmarks.tuning import Costs, Figures, finite_loss
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit

STEPS, BATCH_SIZE = 300, 16
KAPPA = STEPS / 5  # of the inverse sigmoid


class ScheduledSampling(nn.Module):
    """A model that, in training, reads a true word with a probability and else one it has drawn.

    Source: ``eq-scheduled-sampling`` (section 3.2); Bengio et al. 2015.

    Parameters
    ----------
    model
        An encoder–decoder.
    epsilon
        The probability of the true word in a step of training.
    seed
        The seed of the draws.
    """

    def __init__(self, model: nn.Module, epsilon: Callable[[int], float], *, seed: int) -> None:
        super().__init__()
        self.model, self.epsilon, self.steps_done = model, epsilon, 0
        self.generator = torch.Generator().manual_seed(seed)

    def begin(self, source: torch.Tensor) -> Any:
        """Return the first state for `source` (B, S)."""
        return self.model.begin(source)  # type: ignore[operator]

    def forward(self, ids: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Compute the logits after each of `ids`, or of what replaces them in training.

        Parameters
        ----------
        ids
            The true words, (B, T).
        state
            What `begin` or the last call returned.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : Any
            The state for the next call.
        """
        if not self.training:
            outputs, state = self.model(ids, state)
            return outputs, state
        epsilon, word, steps = self.epsilon(self.steps_done), ids[:, :1], []
        for t in range(ids.shape[1]):
            logits, state = self.model(word, state)  # (B, 1, V)
            steps.append(logits)
            p = logits[:, 0].detach().softmax(-1)
            drawn = p.multinomial(1, generator=self.generator)  # (B, 1)
            is_true = torch.rand(len(ids), 1, generator=self.generator) < epsilon
            if t + 1 < ids.shape[1]:
                word = torch.where(is_true, ids[:, t + 1 : t + 2], drawn)
        self.steps_done += 1
        return torch.cat(steps, 1), state


def inverse_sigmoid(step: int) -> float:
    """Return the probability of the true word in a step, which falls from almost 1.

    Source: section 3.2; Bengio et al. 2015.
    """
    return KAPPA / (KAPPA + math.exp(step / KAPPA))


def settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of an arm that rows store."""
    return {
        "optimizer": "AdamW",
        "steps": STEPS,
        "batch size": BATCH_SIZE,
        "width": WIDTH,
        "kappa": KAPPA if recipe.is_scheduled else None,
    }


def train(
    model: Any, recipe: Recipe, task: Task, *, rate: float, seed: int, steps: int = STEPS
) -> Any:
    """Train a model as its arm says.

    Parameters
    ----------
    model
        An encoder–decoder.
    recipe
        How it trains.
    task
        The data.
    rate
        The learning rate.
    seed
        The seed of the batches and of what scheduled sampling draws.
    steps
        The number of steps.

    Returns
    -------
    model : EncoderDecoder
        The same model, trained, in evaluation mode.
    """
    trained = ScheduledSampling(model, inverse_sigmoid, seed=seed) if recipe.is_scheduled else model
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed)
    config = TrainConfig(steps=steps, learning_rate=rate)
    fit(trained, batches, config, progress=False).raise_if_interrupted()
    return model.eval()


def costs_of(model: nn.Module, task: Task, start: float, *, seed: int, steps: int) -> Costs:
    """Count parameters and tokens, and measure the time of a run.

    Parameters
    ----------
    model
        The trained model.
    task
        The data.
    start
        The reading of ``time.process_time`` when the run started.
    seed
        The seed of the batches.
    steps
        The number of steps.

    Returns
    -------
    costs : dict
        What a row stores.
    """
    batches = PairBatches(task.train, batch_size=BATCH_SIZE, seed=seed)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": sum(int((batches[k].targets >= 0).sum()) for k in range(steps)),
        "processor_seconds": round(time.process_time() - start, 2),
    }


def run_trial(
    recipe: Recipe, task: Task, *, rate: float, seed: int, steps: int = STEPS
) -> tuple[Figures, Costs]:
    """Train once and measure.

    Parameters
    ----------
    recipe
        What is trained and how.
    task
        The data.
    rate
        The learning rate.
    seed
        The seed of parameters, batches and draws.
    steps
        The number of steps.

    Returns
    -------
    figures, costs : dict
        What a row stores. Tuning minimizes the "score": the wrong answers among the selection
        pairs. Their loss, which adds less than one, decides between equal numbers.
    """
    start = time.process_time()
    seed_everything(seed)
    model: Any = recipe.build(task.vocab_size)
    train(model, recipe, task, rate=rate, seed=seed, steps=steps)
    loss, reported = (
        finite_loss(evaluate(model, pair_eval_batches(pairs, batch_size=500)).loss)
        for pairs in (task.selection, task.reporting)
    )
    exact_selection = exact_share(model, task.selection)
    figures: Figures = {
        "exact": exact_share(model, task.reporting),
        "loss": reported,
        "exact, selection": exact_selection,
    }
    for name, items in wrong_words(model, task).items():
        figures |= {f"{name}, {key}": n for key, n in history_figures(model, items).items()}
    figures["score"] = (1 - exact_selection) * len(task.selection) + loss / (1 + loss)
    return figures, costs_of(model, task, start, seed=seed, steps=steps)

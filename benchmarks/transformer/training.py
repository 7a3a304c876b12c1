"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.transformer.controls import CONTROLS, control_of
from benchmarks.transformer.networks import CONTEXT_LENGTH, attentions
from benchmarks.transformer.task import Characters, Words
from benchmarks.tuning import finite_loss
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import Schedule, TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit

LENGTHS = (16, 32, 64, 96, 128, 192, 256)  # tokens that a model reads before it is measured
LAST = 8  # predictions of each text that are measured, the same ones for each length
CURVE_POINTS = 40

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
        Characters of a text in training; None for masked letters of words.
    warmup, schedule, clip_norm
        As in `TrainConfig`.
    lengths
        Whether texts of other lengths than in training are measured too.
    controls
        Whether longer texts are also measured under each of CONTROLS.
    """

    build: Callable[[int], Any]
    rates: tuple[float, ...]
    steps: int
    batch_size: int
    length: int | None
    warmup: float = 0.1
    schedule: Schedule = "linear"
    clip_norm: float = 1.0
    lengths: bool = False
    controls: bool = False

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "length": self.length,
            "warm-up": self.warmup,
            "schedule": self.schedule,
            "clip norm": self.clip_norm,
        }


def run_trial(
    recipe: Recipe, task: Characters | Words, *, rate: float, seed: int
) -> tuple[Figures, dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    task
        The text.
    rate
        The highest learning rate.
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
    model = recipe.build(task.vocab_size)
    if isinstance(task, Characters):
        assert recipe.length is not None
        batches: Any = task.batches(batch_size=recipe.batch_size, length=recipe.length, seed=seed)
        parts = {part: task.eval_batches(part, length=recipe.length) for part in ("valid", "test")}
        tokens = recipe.steps * recipe.batch_size * recipe.length
    else:
        batches = task.batches(batch_size=recipe.batch_size, seed=seed)
        parts = {part: task.eval_batches(part) for part in ("valid", "test")}
        tokens = sum(int((batches[i].inputs > 0).sum()) for i in range(5)) * recipe.steps // 5
    config = TrainConfig(
        steps=recipe.steps,
        learning_rate=rate,
        warmup_fraction=recipe.warmup,
        schedule=recipe.schedule,
        clip_norm=recipe.clip_norm,
    )
    history = fit(model, batches, config, progress=False)
    history.raise_if_interrupted()
    figures: Figures = {
        "selection loss": finite_loss(evaluate(model, parts["valid"]).loss),
        "loss": finite_loss(evaluate(model, parts["test"]).loss),
        "training curve": _curve(history.losses),
    }
    if recipe.lengths and isinstance(task, Characters):
        controls = CONTROLS if recipe.controls else ()
        figures |= measure_lengths(model.eval(), task.ids["test"], controls=controls)
    costs = {
        "parameters": count_parameters(model),
        "tokens": tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


@torch.no_grad()
def measure_lengths(model: GPT, ids: torch.Tensor, *, controls: Iterable[str] = ()) -> Figures:
    """Measure the same predictions after texts of different lengths, all of which end there.

    Parameters
    ----------
    model
        A model of `language_model`.
    ids
        A text, (N,).
    controls
        Names of CONTROLS under which texts longer than in training are measured too.

    Returns
    -------
    figures : dict
        "loss after n" tokens for each n of LENGTHS, with attention to all of them and, beyond the
        length of training, in a window of that length and under the controls.
    """
    longest = LENGTHS[-1]
    rows = ids[: (len(ids) - 1) // longest * longest].view(-1, longest)
    targets = torch.cat([rows[:, 1:], rows[:, :1].roll(-1, 0)], 1)[:-1, -LAST:]
    rows = rows[:-1]  # the last one has no token behind it
    figures: Figures = {}
    for length in LENGTHS:
        views = {"": window_of(model, None)}
        if length > CONTEXT_LENGTH:
            views[", window"] = window_of(model, CONTEXT_LENGTH)
            views |= {f", {control}": control_of(model, control) for control in controls}
        for name, view in views.items():
            with view:
                logits, _ = model(rows[:, -length:])  # (rows, length, V)
            loss = F.cross_entropy(logits[:, -LAST:].flatten(0, 1), targets.flatten())
            figures[f"loss after {length}{name}"] = finite_loss(float(loss))
    return figures


@contextmanager
def window_of(model: GPT, window: int | None) -> Iterator[None]:
    """Let each layer attend to the last `window` tokens, or to all of them, in the block."""
    before = [attention.window for attention in attentions(model)]
    try:
        for attention in attentions(model):
            attention.window = window
        yield
    finally:
        for attention, old in zip(attentions(model), before, strict=True):
            attention.window = old


def _curve(losses: list[float]) -> list[float]:
    """Return means of a list in CURVE_POINTS parts."""
    edges = [len(losses) * i // CURVE_POINTS for i in range(CURVE_POINTS + 1)]
    return [finite_loss(sum(losses[a:b]) / (b - a)) for a, b in itertools.pairwise(edges) if b > a]

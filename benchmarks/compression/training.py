"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.compression.task import KINDS, Texts
from benchmarks.tuning import finite_loss
from utils.data.batches import Batch
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_nll

TEMPERATURE, TEACHER_SHARE = 2.0, 0.7
MEASURED_LENGTH = 64  # tokens of a window

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The model and the training of an arm, except its learning rate, which is tuned.

    Parameters
    ----------
    build
        Builds the model from the texts with their stored model.
    kind
        The name of the text that it is trained on.
    rates
        The learning rates that tuning tries first.
    steps, batch_size, length
        The budget: steps, windows in a batch, tokens in a window.
    part
        The part of the text that it is trained on.
    validate_every
        The steps between two measurements of the loss on validation text, of which the model keeps
        the best; 0 for a model that keeps its last weights.
    distilled
        Whether the stored model's distributions are part of the loss.
    fixed_rate
        The learning rate of an arm that is not tuned; None for one that is.
    """

    build: Callable[[Texts], GPT]
    kind: str
    rates: tuple[float, ...]
    steps: int
    batch_size: int = 4
    length: int = 64
    part: str = "train"
    validate_every: int = 0
    distilled: bool = False
    fixed_rate: float | None = None

    def settings(self) -> dict[str, Any]:
        """Return the settings of the recipe that rows store."""
        return {
            "optimizer": "AdamW",
            "steps": self.steps,
            "batch size": self.batch_size,
            "length": self.length,
            "text": f"{self.kind}, {self.part}",
            "validate every": self.validate_every,
            "distilled": self.distilled,
        }


def distillation(
    logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Compute the divergence of a student from its teacher, both softened.

    Source: ``eq-distillation`` (section 8.1); Hinton et al. 2015.

    Parameters
    ----------
    logits, teacher_logits
        Logits of student and teacher, (…, V) each.
    temperature
        Divides both.

    Returns
    -------
    loss : torch.Tensor
        τ² KL(teacher ‖ student), summed over all tokens, in nats.
    """
    soft = (teacher_logits / temperature).softmax(-1)
    divergence = F.kl_div((logits / temperature).log_softmax(-1), soft, reduction="sum")
    return temperature**2 * divergence


def distilled_from(teacher: GPT) -> Callable[[GPT, Batch], torch.Tensor]:
    """Return the objective that mixes the text's loss with the divergence from a teacher.

    In evaluation mode it is the text's loss alone, which selects the weights that are kept.
    """

    def objective(model: GPT, batch: Batch) -> torch.Tensor:
        if not model.training:
            return token_nll(model, batch)
        logits = model(batch.inputs)[0]
        with torch.no_grad():
            teacher_logits = teacher(batch.inputs)[0]
        soft = distillation(logits, teacher_logits, TEMPERATURE)
        hard = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum")
        return TEACHER_SHARE * soft + (1 - TEACHER_SHARE) * hard

    return objective


def run_trial(
    recipe: Recipe, texts: Texts, *, rate: float, seed: int
) -> tuple[Figures, dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    texts
        The texts.
    rate
        The highest learning rate.
    seed
        Seed of new parameters and of the batches.

    Returns
    -------
    figures : dict
        The step whose weights are kept, the loss that selects, and the loss on the test part of
        each kind of text.
    costs : dict
        Trained parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = recipe.build(texts)
    history = _train(model, recipe, texts, rate=rate, seed=seed)
    figures: Figures = {
        "best step": history.best_step,
        "selection loss": finite_loss(loss_of(model, texts, kind=recipe.kind, part="valid")),
        **{
            f"loss on {kind}": finite_loss(loss_of(model, texts, kind=kind, part="test"))
            for kind in KINDS
        },
    }
    costs = {
        "parameters": count_parameters(model, trainable_only=True),
        "tokens": recipe.steps * recipe.batch_size * recipe.length,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def _train(model: GPT, recipe: Recipe, texts: Texts, *, rate: float, seed: int) -> History:
    """Train a model by a recipe, in place."""
    batches = texts.batches(
        recipe.kind,
        recipe.part,
        batch_size=recipe.batch_size,
        length=recipe.length,
        seed=seed,
    )
    config = TrainConfig(
        steps=recipe.steps,
        learning_rate=rate,
        warmup_fraction=0.1,
        validate_every=recipe.validate_every,
    )
    valid = texts.eval_batches(recipe.kind, "valid", length=MEASURED_LENGTH)
    history = fit(
        model,
        batches,
        config,
        progress=False,
        objective=distilled_from(texts.model) if recipe.distilled else token_nll,
        valid=valid if recipe.validate_every else None,
    )
    history.raise_if_interrupted()
    return history


def loss_of(model: GPT, texts: Texts, *, kind: str, part: str) -> float:
    """Measure the loss of a model on a part of a text.

    Parameters
    ----------
    model
        The model.
    texts
        The texts by name and part.
    kind
        The name of the text.
    part
        The part of it.

    Returns
    -------
    loss : float
        In nats per token, each token after the first predicted once.
    """
    return evaluate(model, texts.eval_batches(kind, part, length=MEASURED_LENGTH)).loss

"""One run of an arm: its recipe and what is measured."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from benchmarks.scaling.experts import (
    BALANCE_WEIGHT,
    balanced_nll,
    largest_share,
    with_experts,
)
from benchmarks.tuning import finite_loss
from utils.data.batches import text_eval_batches
from utils.data.corpora import Corpus
from utils.data.tokenizers import CharTokenizer
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.studies.scaling_runs import (
    BATCH_SIZE,
    CONTEXT_LENGTH,
    EVAL_BATCH_SIZE,
    NUM_HEADS,
    NUM_LAYERS,
    VALID_CHARACTERS,
    CharacterScaling,
)
from utils.training.evaluation import evaluate
from utils.training.objectives import token_nll

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The model and the training of an arm, except its learning rate, which is tuned.

    Parameters
    ----------
    width
        Width d of the model.
    steps
        Training steps.
    batch_size
        Windows in a step.
    num_experts
        Experts in each layer; 1 for a plain feed-forward network.
    balance_weight
        Weight of the loss that keeps the experts equally busy.
    """

    width: int
    steps: int
    batch_size: int = BATCH_SIZE
    num_experts: int = 1
    balance_weight: float = BALANCE_WEIGHT

    def build(self, vocab_size: int) -> GPT:
        """Build the model."""
        model = GPT(
            vocab_size,
            width=self.width,
            num_layers=NUM_LAYERS,
            num_heads=NUM_HEADS,
            context_length=CONTEXT_LENGTH,
        )
        if self.num_experts > 1:
            with_experts(model, num_experts=self.num_experts)
        return model

    def settings(self, rate: float | None, grid: list[float] | None) -> dict[str, Any]:
        """Return the settings that rows store: the recipe, its learning rate and those tried."""
        return {
            "optimizer": "Muon and AdamW",
            "learning_rate": rate,
            "grid": grid,
            **asdict(self),
            "layers": NUM_LAYERS,
            "context length": CONTEXT_LENGTH,
        }


class Study(CharacterScaling):
    """The study of the grid, with a second part of the validation text, which chooses rates.

    Parameters
    ----------
    corpus
        A text corpus.
    """

    def __init__(self, corpus: Corpus[str]) -> None:
        super().__init__(corpus)
        tokenizer = CharTokenizer.train(corpus.train)
        text = corpus.valid[VALID_CHARACTERS : 2 * VALID_CHARACTERS + 1] or corpus.valid
        self.selection_batches = text_eval_batches(
            torch.tensor(tokenizer.encode(text)),
            batch_size=EVAL_BATCH_SIZE,
            context_length=CONTEXT_LENGTH,
        )


def run_trial(recipe: Recipe, study: Study, *, rate: float, seed: int) -> tuple[Figures, Figures]:
    """Train once.

    Parameters
    ----------
    recipe
        What to train and how.
    study
        The data.
    rate
        The highest learning rate.
    seed
        Seed of the parameters and of the batches.

    Returns
    -------
    figures : dict
        The losses in nats per character on the first part of the validation text, on the second,
        and in the last tenth of the training; with experts, the share of the busiest one.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = recipe.build(study.vocab_size)
    history = study.fit_model(
        model,
        steps=recipe.steps,
        learning_rate=rate,
        seed=seed,
        batch_size=recipe.batch_size,
        objective=partial(balanced_nll, balance_weight=recipe.balance_weight)
        if recipe.num_experts > 1
        else token_nll,
    )
    last = history.losses[-max(1, recipe.steps // 10) :]
    figures = {
        "loss": round(finite_loss(evaluate(model, study.valid_batches).loss), 5),
        "selection loss": round(finite_loss(evaluate(model, study.selection_batches).loss), 5),
        "last training loss": round(finite_loss(sum(last) / len(last)), 5),
    }
    if recipe.num_experts > 1:
        figures["largest share"] = round(largest_share(model, study.valid_batches), 5)
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs

"""One run of a recipe, and what is stored of it."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.seq2seq.control import NoSource
from benchmarks.seq2seq.measures import Figures, Model, measure, translate
from benchmarks.seq2seq.search import search_trees
from benchmarks.seq2seq.task import LONG, Recipe, Task
from benchmarks.tuning import finite_loss
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.metrics.cost import count_parameters
from utils.metrics.text import bleu
from utils.models.encoder_decoder import lstm_seq2seq
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_objective

DROPOUT = LABEL_SMOOTHING = WARMUP = 0.1
CURVE_SENTENCES = 300  # of the validation sentences, for BLEU during training
FOLLOWED = (30, 25, 35)  # validation sentences whose translations are stored at each validation


def run_trial(
    recipe: Recipe, task: Task, *, rate: float, seed: int, is_tuning: bool = False
) -> tuple[Figures, dict[str, Any]]:
    """Train once and measure.

    Parameters
    ----------
    recipe
        What is trained and how.
    task
        The data.
    rate
        The highest learning rate.
    seed
        Seed of the parameters and of the batches.
    is_tuning
        Whether only the validation loss is wanted.

    Returns
    -------
    figures : dict
        Losses in nats per piece, BLEU and the curves of the training; for `LONG` also its
        translations and searches.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = lstm_seq2seq(len(task.tokenizer), width=recipe.width, num_layers=1, dropout=DROPOUT)
    if not recipe.has_source:
        model.encoder = NoSource(model.encoder)
    curve: list[Figures] = []
    history = _fit(
        model, task, recipe=recipe, rate=rate, seed=seed, curve=None if is_tuning else curve
    )
    seconds = time.process_time() - start
    figures: Figures = {"validation loss": finite_loss(history.best_loss)}
    if not is_tuning:
        figures |= {"curve": curve} | measure(model, task, recipe)
    if recipe == LONG and not is_tuning:
        figures["searches"] = search_trees(model, task, recipe)
    costs = {
        "parameters": count_parameters(model),
        "tokens": history.num_tokens,
        "processor_seconds": round(seconds, 2),
    }
    return figures, costs


def _fit(
    model: Model, task: Task, *, recipe: Recipe, rate: float, seed: int, curve: list[Figures] | None
) -> History:
    """Train by the library's loop; append loss, BLEU and translations to a curve, if given."""
    valid = task.pairs("valid", recipe)
    references = [target for _, target in task.texts["valid"][:CURVE_SENTENCES]]

    def follow(history: History) -> None:
        answers = translate(model, task, valid[:CURVE_SENTENCES])
        step, loss = history.validations[-1]
        followed = [answers[i] for i in FOLLOWED if i < len(answers)]
        assert curve is not None
        score = bleu(answers, references)
        curve.append({"step": step, "loss": loss, "BLEU": score, "translations": followed})

    every = 0 if curve is None else max(1, -(-recipe.steps // recipe.validations))
    config = TrainConfig(
        steps=recipe.steps, learning_rate=rate, warmup_fraction=WARMUP, validate_every=every
    )
    history = fit(
        model,
        PairBatches(task.pairs("train", recipe), batch_size=recipe.batch_size, seed=seed),
        config,
        valid=pair_eval_batches(valid, batch_size=128),
        progress=False,
        on_validation=None if curve is None else follow,
        objective=token_objective(label_smoothing=LABEL_SMOOTHING),
    )
    history.raise_if_interrupted()  # half a run is no row
    return history

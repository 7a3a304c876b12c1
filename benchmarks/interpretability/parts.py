"""The parts of the benchmark and their arms."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from benchmarks.interpretability.attributions import measure_deletion
from benchmarks.interpretability.features import run_autoencoder
from benchmarks.interpretability.induction import (
    VOCAB_SIZE,
    PeriodicBatches,
    examine_heads,
    repeated_batch,
    repeated_loss,
)
from benchmarks.interpretability.networks import AttentionOnly, Reader, praise_loss
from benchmarks.interpretability.sparse import STEPS as SPARSE_STEPS
from benchmarks.interpretability.stream import StreamTask
from benchmarks.tuning import Arm, Costs, Figures, finite_loss
from utils.data.corpora import load_reviews, load_text
from utils.data.labelled_batches import LabelledBatches, labelled_eval_batches
from utils.data.tokenizers import WordTokenizer
from utils.metrics.cost import count_parameters
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

TUNING_SEEDS = (100,)
HELD_OUT = 999  # draws the sequences that select a rate; those that are measured have another one
MEASURED = 998
SENTENCES, DELETED = 120, 10  # that are explained, and words deleted in each


@dataclass(frozen=True, eq=False)
class LabelledText:
    """Labelled sentences as ids.

    Parameters
    ----------
    train, valid, test
        Pairs of words and label.
    vocab_size
        Size of the vocabulary.
    origin
        "real" or "stand-in".
    """

    train: list[tuple[list[int], int]]
    valid: list[tuple[list[int], int]]
    test: list[tuple[list[int], int]]
    vocab_size: int
    origin: Any


@cache
def labelled_text() -> LabelledText:
    """Return sentences of film reviews; words that occur once in training are unknown ones."""
    corpus = load_reviews()
    words = WordTokenizer.train([text for text, _ in corpus.train], min_count=2)
    train, valid, test = (
        [(words.encode(text), label) for text, label in split]
        for split in (corpus.train, corpus.valid, corpus.test)
    )
    return LabelledText(train, valid, test, len(words), corpus.origin)


@cache
def load_stream_task() -> StreamTask:
    """Return the stored GPT with its text."""
    return StreamTask.load()


def origin_of(part: str) -> str:
    """Return where the data of a part come from."""
    if part == "reviews":
        return str(labelled_text().origin)
    return load_text().origin if part == "features" else "real"


def _costs(start: float, parameters: int, tokens: int | None = None) -> dict[str, Any]:
    """Return the costs of a run that began at `start`."""
    seconds = round(time.process_time() - start, 2)
    return {"parameters": parameters, "tokens": tokens, "processor_seconds": seconds}


def run_classifier(
    *, rate: float, seed: int, steps: int, batch_size: int
) -> tuple[Figures, dict[str, Any]]:
    """Train a classifier; judge the rankings of its words, unless the run only selects a rate.

    Parameters
    ----------
    rate, seed
        Learning rate, and seed of parameters and batches.
    steps, batch_size
        The budget.

    Returns
    -------
    figures, costs : dict
        Losses, accuracy, and what `measure_deletion` measures.
    """
    start, text = time.process_time(), labelled_text()
    seed_everything(seed)
    model = Reader(text.vocab_size)
    batches = LabelledBatches(text.train, batch_size=batch_size, seed=seed)
    config = TrainConfig(steps=steps, learning_rate=rate)
    fit(model, batches, config, progress=False, objective=praise_loss).raise_if_interrupted()
    model.eval()
    with torch.no_grad():
        losses = [
            float(praise_loss(model, batch))
            for batch in labelled_eval_batches(text.valid, batch_size=100)
        ]
        right = [
            float(((model(batch.inputs)[0] > 0) == (batch.targets > 0)).sum())
            for batch in labelled_eval_batches(text.test, batch_size=100)
        ]
    figures: Figures = {"selection loss": finite_loss(sum(losses) / len(text.valid))}
    if seed not in TUNING_SEEDS:
        figures["accuracy"] = sum(right) / len(text.test)
        some = [ids for ids, _ in text.test if DELETED <= len(ids) <= 40][:SENTENCES]
        figures |= measure_deletion(model, some, deleted=DELETED, seed=seed)
    return figures, _costs(start, count_parameters(model))


def run_heads(
    *, rate: float, seed: int, num_layers: int, num_heads: int, steps: int, batch_size: int
) -> tuple[Figures, dict[str, Any]]:
    """Train an attention-only model on periodic sequences and examine its heads.

    Parameters
    ----------
    rate, seed
        Learning rate, and seed of parameters and batches.
    num_layers, num_heads
        As in `AttentionOnly`.
    steps, batch_size
        The budget.

    Returns
    -------
    figures, costs : dict
        Losses and what `examine_heads` measures.
    """
    start = time.process_time()
    seed_everything(seed)
    model = AttentionOnly(VOCAB_SIZE, num_layers=num_layers, num_heads=num_heads)
    config = TrainConfig(steps=steps, learning_rate=rate, warmup_fraction=0.1)
    batches = PeriodicBatches(batch_size=batch_size, seed=seed)
    fit(model, batches, config, progress=False).raise_if_interrupted()
    model.eval()
    loss = finite_loss(repeated_loss(model, repeated_batch(256, HELD_OUT)))
    figures: Figures = {"selection loss": loss}
    if seed not in TUNING_SEEDS:
        figures |= examine_heads(model, MEASURED)
    tokens = steps * batch_size * batches[0].inputs.shape[1]
    return figures, _costs(start, count_parameters(model), tokens)


def run_feature_arm(*, rate: float, seed: int) -> tuple[Figures, Costs]:
    """Train a sparse autoencoder; see `run_autoencoder`."""
    start, text = time.process_time(), load_stream_task()
    is_trial = seed in TUNING_SEEDS
    figures = run_autoencoder(text, rate=rate, seed=seed, is_trial=is_trial)
    return figures, _costs(start, count_parameters(text.model))


Run = Callable[..., tuple[Figures, Costs]]


def _arm(
    run: Run,
    rates: tuple[float, ...],
    *,
    optimizer: str,
    steps: int,
    batch_size: int,
    **options: Any,
) -> Arm:
    """Return an arm whose run has the budget and the options as arguments."""
    stored = {"optimizer": optimizer, "steps": steps, "batch size": batch_size, **options}

    def run_one(*, rate: float, seed: int) -> tuple[Figures, Costs]:
        return run(rate=rate, seed=seed, steps=steps, batch_size=batch_size, **options)

    return Arm(stored, run_one, rates)


def _feature_arm(run: Run, rates: tuple[float, ...], steps: int, **options: Any) -> Arm:
    """Return an arm on the stored GPT."""

    def run_one(*, rate: float, seed: int) -> tuple[Figures, Costs]:
        return run(rate=rate, seed=seed, **options)

    return Arm({"optimizer": "Adam", "steps": steps, **options}, run_one, rates)


CLASSIFIER_RATES, HEAD_RATES = (0.0075, 0.015, 0.03), (0.004, 0.008, 0.016)
reviews: dict[str, Any] = {"optimizer": "AdamW", "steps": 350, "batch_size": 32}
heads: dict[str, Any] = {"optimizer": "AdamW", "steps": 600, "batch_size": 24}

PARTS: dict[str, dict[str, Arm]] = {
    "induction": {
        "two layers": _arm(run_heads, HEAD_RATES, num_layers=2, num_heads=4, **heads),
    },
    "reviews": {
        "learned": _arm(run_classifier, CLASSIFIER_RATES, **reviews),
    },
    "features": {
        "autoencoder": _feature_arm(run_feature_arm, (0.004, 0.008, 0.016), SPARSE_STEPS),
    },
}

"""Dates and their language models for the part "voices" of ``speech``: n-grams and a GPT."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import torch

from benchmarks.result_files import SeedRows
from benchmarks.tuning import Arm, tune_arm
from utils.contract import LanguageModel
from utils.data.batches import Batch
from utils.data.vocabulary import BOS, EOS
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.models.ngram_counts import NGramCounts
from utils.runtime import evaluation_mode, seed_everything
from utils.speech.digits import DIGIT_TOKENIZER
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit

GPT_SIZES: dict[str, Any] = {"width": 64, "num_layers": 2, "num_heads": 4, "context_length": 16}
GPT_STEPS, GPT_BATCH = 300, 64
GPT_RATES, GPT_TUNING_SEED = (0.004, 0.008, 0.016), 100
FIRST_DATE, DAYS = date(1950, 1, 1), 36_525


def shuffled_calendar(seed: int) -> list[str]:
    """Return all dates of a century in random order, each as eight digits."""
    calendar = [f"{FIRST_DATE + timedelta(i):%Y%m%d}" for i in range(DAYS)]
    np.random.default_rng(seed).shuffle(calendar)
    return calendar


def count_texts(texts: Sequence[str], order: int) -> NGramCounts:
    """Count the n-grams of strings of digits that end."""
    ids = [torch.tensor([*DIGIT_TOKENIZER.encode(text), EOS]) for text in texts]
    return NGramCounts(ids, order=order, vocab_size=len(DIGIT_TOKENIZER))


def date_batch(dates: Sequence[str]) -> Batch:
    """Return dates as a batch for a language model: inputs from BOS on, labels to EOS."""
    rows = torch.tensor([[BOS, *DIGIT_TOKENIZER.encode(text), EOS] for text in dates])
    return Batch(rows[:, :-1], rows[:, 1:])


@dataclass(frozen=True)
class DateBatches:
    """Batches of random dates.

    Parameters
    ----------
    dates
        The dates to draw from.
    seed
        Seeds the draws.
    """

    dates: Sequence[str]
    seed: int

    def __getitem__(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + step)
        drawn = torch.randint(len(self.dates), (GPT_BATCH,), generator=generator)
        return date_batch([self.dates[i] for i in drawn.tolist()])


def train_gpt(dates: Sequence[str], *, rate: float, seed: int) -> GPT:
    """Train a GPT on dates.

    Parameters
    ----------
    dates
        The dates.
    rate
        The highest learning rate.
    seed
        Seed of the parameters and the batches.

    Returns
    -------
    model : GPT
        The model in evaluation mode.
    """
    seed_everything(seed)
    model = GPT(len(DIGIT_TOKENIZER), **GPT_SIZES)
    config = TrainConfig(steps=GPT_STEPS, learning_rate=rate, warmup_fraction=0.1)
    fit(model, DateBatches(dates, seed), config, progress=False).raise_if_interrupted()
    return model.eval()


@torch.inference_mode()
def text_log_probs(model: LanguageModel[Any], texts: Sequence[Sequence[int]]) -> list[float]:
    """Compute the log-probability of each text, its end included.

    Parameters
    ----------
    model
        A language model.
    texts
        The ids of each text.

    Returns
    -------
    log_probs : list of float
        One sum for each text, in nats.
    """
    longest = max(map(len, texts))
    inputs = torch.tensor([[BOS, *text, *[EOS] * (longest - len(text))] for text in texts])
    labels = torch.tensor([[*text, *[EOS] * (longest + 1 - len(text))] for text in texts])
    with evaluation_mode(model):
        logits, _ = model(inputs, None)  # (N, T, V)
    log_probs = logits.double().log_softmax(-1).gather(2, labels[..., None])[..., 0]  # (N, T)
    counted = torch.arange(longest + 1) <= torch.tensor([[len(text)] for text in texts])
    return torch.where(counted, log_probs, 0.0).sum(1).tolist()


def gpt_costs(model: GPT, seconds: float | None) -> dict[str, Any]:
    """Return the costs of training a GPT."""
    tokens = GPT_STEPS * GPT_BATCH * 9  # eight digits and the end
    return {
        "parameters": count_parameters(model),
        "tokens": tokens,
        "processor_seconds": seconds and round(seconds, 1),
    }


def tune_gpt(trials: SeedRows) -> dict[str, Any]:
    """Return the settings of the GPT with the best rate and the grid of those tried."""
    dates = shuffled_calendar(GPT_TUNING_SEED)
    tuning, held_out = dates[: len(dates) // 4], dates[-1000:]

    def run(*, seed: int, rate: float) -> tuple[dict[str, Any], dict[str, Any]]:
        began = time.process_time()
        model = train_gpt(tuning, rate=rate, seed=seed)
        loss = evaluate(model, [date_batch(held_out)]).loss
        return {"selection loss": loss}, gpt_costs(model, time.process_time() - began)

    settings = {"optimizer": "AdamW", "steps": GPT_STEPS, **GPT_SIZES, "batch": GPT_BATCH}
    arm = Arm(settings, run, GPT_RATES)
    return tune_arm("GPT", arm, seeds=[GPT_TUNING_SEED], trials=trials)

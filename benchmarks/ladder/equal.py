"""Networks of nearly equal size, trained on equally many characters: the parts equal and size.

Each reads the same batches with the same optimizer. The learning rate is tuned for each by
``benchmarks.tuning``, the weight of a mixture and the order of the n-gram model are chosen on the
validation text, and losses are reported on the test text. The command is that of
``benchmarks.ladder.__main__``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.tuning import finite_loss
from utils.data.batches import TextBatches, text_eval_batches
from utils.data.corpora import Corpus
from utils.data.tokenizers import CharTokenizer
from utils.decoding.interpolation import best_mixture_weight, mix_log_probs
from utils.decoding.sampling import sample
from utils.decoding.scoring import token_log_probs
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit

CONTEXT_LENGTH = 64  # characters of a training window
BATCH_SIZE = 16  # windows
STEPS = 1000
RATES = (0.01, 0.02, 0.04)  # that tuning tries first
NUM_VALIDATIONS = 10  # in a run
CURVE_TOKENS = 20_000  # of the validation text, for the curves
CURVE_BATCH_SIZE = 20  # windows
SAMPLE_LENGTH = 120  # characters
ORDERS = range(1, 10)  # of the n-gram models
FRACTIONS = {"1/16": 16, "1/4": 4}  # of the training text: its first sixteenth and quarter

NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "NNLM": partial(NNLM, order=8, embedding_size=16, hidden_size=270, use_direct_layer=False),
    "RNN": partial(RNNLM, width=176, embedding_size=32),
    "LSTM": partial(RNNLM, width=88, cell="lstm", embedding_size=32),
    "GPT": partial(GPT, width=44, num_layers=2, num_heads=2, context_length=CONTEXT_LENGTH),
}


@dataclass(frozen=True)
class Characters:
    """The text by characters.

    Parameters
    ----------
    train, valid, test
        Ids of the three parts, (N,).
    tokenizer
        Its characters, those of the whole training text.
    """

    train: torch.Tensor
    valid: torch.Tensor
    test: torch.Tensor
    tokenizer: CharTokenizer

    @classmethod
    def from_corpus(cls, corpus: Corpus[str], *, divisor: int = 1) -> Characters:
        """Encode the text.

        Parameters
        ----------
        corpus
            The text.
        divisor
            What part of the training text is kept: its first 1 / `divisor`.

        Returns
        -------
        text : Characters
            Its ids.
        """
        tokenizer = CharTokenizer.train(corpus.train)
        train = corpus.train[: len(corpus.train) // divisor]
        texts = (train, corpus.valid, corpus.test)
        return cls(  # type: ignore[call-arg]
            *(torch.tensor(tokenizer.encode(text)) for text in texts),  # type: ignore[arg-type]
            tokenizer,
        )


@dataclass(frozen=True)
class NGramScores:
    """The n-gram model that networks are mixed with, by its scores.

    Parameters
    ----------
    order
        Its order.
    valid, test
        Log-probabilities of the tokens of the two texts but the first, (N − 1,).
    """

    order: int
    valid: torch.Tensor
    test: torch.Tensor


def count(text: Characters, order: int) -> tuple[NGramLM, dict[str, Any]]:
    """Count n-grams.

    Parameters
    ----------
    text
        The text.
    order
        The order n of the model.

    Returns
    -------
    model : NGramLM
        The modified Kneser–Ney model.
    costs : dict
        Stored n-grams, tokens and seconds of the processor.
    """
    start = time.process_time()
    counts = NGramCounts(text.train, order=order, vocab_size=len(text.tokenizer))
    model = NGramLM.kneser_ney(counts, modified=True)
    costs = {
        "parameters": sum(len(keys) - 1 for keys in counts.keys[1:]),
        "tokens": len(text.train),
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return model, costs


def choose_ngram(losses: Mapping[int, float], text: Characters) -> NGramScores:
    """Return the n-gram model of the order with the lowest validation loss.

    Parameters
    ----------
    losses
        The validation losses by order.
    text
        The text.

    Returns
    -------
    counted : Counted
        Its order and scores.
    """
    order = min(losses, key=lambda n: losses[n])
    model, _ = count(text, order)
    return NGramScores(order, token_log_probs(model, text.valid), token_log_probs(model, text.test))


def draw(model: Any, text: Characters, *, seed: int) -> str:
    """Draw a text from a model, after the first character of the validation text.

    Parameters
    ----------
    model
        The language model.
    text
        The text, for its tokenizer.
    seed
        Seed of the draws.

    Returns
    -------
    drawn : str
        SAMPLE_LENGTH characters.
    """
    generator = torch.Generator().manual_seed(seed)
    (ids,) = sample(model, text.valid[None, :1], max_length=SAMPLE_LENGTH, generator=generator)
    return text.tokenizer.decode(ids)


def run_network(
    name: str, text: Characters, counted: NGramScores | None, *, rate: float, steps: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a network once.

    Parameters
    ----------
    name
        Its name.
    text
        The text.
    counted
        The n-gram model to mix with; None for a trial, which does not read the test text.
    rate
        The learning rate.
    steps
        Training steps.
    seed
        Seed of the parameters and of the batches.

    Returns
    -------
    figures : dict
        Losses in nats per character.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = NETWORKS[name](len(text.tokenizer))
    config = TrainConfig(
        steps=steps, learning_rate=rate, validate_every=-(-steps // NUM_VALIDATIONS)
    )
    batches = TextBatches(
        text.train, batch_size=BATCH_SIZE, context_length=CONTEXT_LENGTH, seed=seed
    )
    windows = text_eval_batches(
        text.valid[:CURVE_TOKENS], batch_size=CURVE_BATCH_SIZE, context_length=CONTEXT_LENGTH
    )
    history = fit(model, batches, config, valid=windows, progress=False)
    history.raise_if_interrupted()
    costs = {
        "parameters": count_parameters(model),
        "tokens": steps * BATCH_SIZE * CONTEXT_LENGTH,
        "processor_seconds": round(time.process_time() - start, 2),
    }
    valid = token_log_probs(model, text.valid)
    figures: dict[str, Any] = {"validation loss": finite_loss(-float(valid.mean()))}
    if counted is None:
        return figures, costs
    test, weight = token_log_probs(model, text.test), best_mixture_weight(valid, counted.valid)
    tokens_per_step = BATCH_SIZE * CONTEXT_LENGTH
    figures |= {
        "loss": -float(test.mean()),
        "mixture loss": -float(mix_log_probs(test, counted.test, weight).mean()),
        "weight": weight,
        "curve": [(step * tokens_per_step, loss) for step, loss in history.validations],
        "sample": draw(model, text, seed=seed),
    }
    return figures, costs

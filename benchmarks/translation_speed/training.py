"""The speed of training the book's models, compared with those of well-known tutorials.

The part "training" of the benchmark ``translation_speed``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.timing import measure_in_turn, stored_speeds
from benchmarks.translation.task import TranslationTask
from benchmarks.translation_speed.tutorial_rnns import StepwiseAttention, StepwiseLSTM
from benchmarks.translation_speed.tutorial_transformer import PlainTransformer
from utils.data.batches import IGNORE_INDEX, Batch
from utils.data.pair_batches import IdPair, PairBatches, pair_batch
from utils.metrics.cost import count_parameters
from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.objectives import count_tokens, token_nll
from utils.training.optimizers import adamw

BATCH_SIZE = 128  # sentences in a training step
BOOK_STEPS, TUTORIAL_STEPS = 3, 2  # training steps in a round
WIDTHS = range(192, 641, 8)  # those that are tried to match a number of parameters


def build_attention_gru(vocab_size: int, *, width: int) -> EncoderDecoder[AttentionDecoderState]:
    """Build the book's encoder–decoder of GRUs with attention.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Width D of the model.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    decoder = AttentionDecoder(vocab_size, width=width, attention_score="scaled", dropout=0.1)
    return EncoderDecoder(RNNEncoder(vocab_size, width=width, dropout=0.1), decoder)


def build_deep_transformer(
    vocab_size: int, *, width: int
) -> EncoderDecoder[TransformerDecoderState]:
    """Build the book's Transformer with three layers on each side.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Width D of the model.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    encoder = TransformerEncoder(
        vocab_size, width=width, num_layers=3, num_heads=8, feedforward_size=512, dropout=0.1
    )
    decoder = TransformerDecoder(
        vocab_size, width=width, num_layers=3, num_heads=8, feedforward_size=512, dropout=0.1
    )
    return EncoderDecoder(encoder, decoder)


@dataclass(frozen=True)
class ModelPair:
    """A tutorial's model and the book's model of the same sort.

    Parameters
    ----------
    build_tutorial
        Builds the tutorial's model for a size of the vocabulary.
    build_book
        Builds the book's model for a size of the vocabulary and a width.
    """

    build_tutorial: Callable[[int], nn.Module]
    build_book: Callable[..., EncoderDecoder[Any]]


MODEL_PAIRS = {
    "attention GRU": ModelPair(StepwiseAttention, build_attention_gru),
    "LSTM": ModelPair(
        StepwiseLSTM, partial(lstm_seq2seq, num_layers=2, dropout=0.1, share_embedding=False)
    ),
    "Transformer": ModelPair(PlainTransformer, build_deep_transformer),
}


def measure_training(task: TranslationTask, *, num_rounds: int) -> dict[str, Any]:
    """Compare the speeds of all pairs of models.

    Parameters
    ----------
    task
        The data.
    num_rounds
        The number of rounds.

    Returns
    -------
    results : dict
        What is stored of each pair, by its name.
    """
    results = {}
    for name, pair in MODEL_PAIRS.items():
        results[name] = compare_training(task, pair, num_rounds=num_rounds)
        print(name, results[name], flush=True)
    return results


def compare_training(task: TranslationTask, pair: ModelPair, *, num_rounds: int) -> dict[str, Any]:
    """Compare the speeds of training two models.

    Parameters
    ----------
    task
        The data.
    pair
        The two models.
    num_rounds
        The number of rounds.

    Returns
    -------
    results : dict
        What is stored: the speeds in target tokens per processor second, the numbers of parameters
        and the width of the book's model.
    """
    seed_everything(0)
    vocab_size = len(task.tokenizer)
    tutorial = pair.build_tutorial(vocab_size)
    width = equal_width(pair.build_book, vocab_size, count_parameters(tutorial))
    book = pair.build_book(vocab_size, width=width)
    stream = PairBatches(task.train, batch_size=BATCH_SIZE, seed=0)
    padded = padded_batches(task.train, TUTORIAL_STEPS * (num_rounds + 1))  # one round warms up

    def measure_book(i: int) -> float:
        batches = [stream[BOOK_STEPS * i + j] for j in range(BOOK_STEPS)]
        return tokens_per_second(book, batches, book_loss)

    def measure_tutorial(i: int) -> float:
        batches = padded[TUTORIAL_STEPS * i : TUTORIAL_STEPS * (i + 1)]
        return tokens_per_second(tutorial, batches, tutorial_loss)

    speeds = measure_in_turn(measure_book, measure_tutorial, num_rounds=num_rounds)
    return {
        **stored_speeds(speeds),
        "parameters": [count_parameters(model) for model in (book, tutorial)],
        "width": width,
    }


def equal_width(
    build: Callable[..., EncoderDecoder[Any]], vocab_size: int, num_parameters: int
) -> int:
    """Return the width whose number of parameters is nearest to `num_parameters`.

    Parameters
    ----------
    build
        Builds a model for a size of the vocabulary and a width.
    vocab_size
        Size V of the vocabulary.
    num_parameters
        The number of parameters to match.

    Returns
    -------
    width : int
        One of `WIDTHS`.
    """
    return min(
        WIDTHS,
        key=lambda width: abs(count_parameters(build(vocab_size, width=width)) - num_parameters),
    )


def padded_batches(pairs: Sequence[IdPair], num_batches: int) -> list[Batch]:
    """Return random batches: any sentences, padded to the longest.

    Parameters
    ----------
    pairs
        Ids of sources and targets.
    num_batches
        The number of batches.

    Returns
    -------
    batches : list of Batch
        Batches of `BATCH_SIZE` pairs.
    """
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(0)).tolist()
    groups = [order[i * BATCH_SIZE : (i + 1) * BATCH_SIZE] for i in range(num_batches)]
    return [pair_batch([pairs[i] for i in group]) for group in groups]


def tutorial_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the loss of a tutorial's model in nats per target token.

    Parameters
    ----------
    model
        The model.
    batch
        The batch.

    Returns
    -------
    loss : torch.Tensor
        The mean loss, a scalar.
    """
    logits = model(batch.source, batch.inputs)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE_INDEX)


def book_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the loss of the book's model in nats per target token.

    Parameters
    ----------
    model
        The model.
    batch
        The batch.

    Returns
    -------
    loss : torch.Tensor
        The mean loss, a scalar.
    """
    return token_nll(model, batch) / count_tokens(batch)


def tokens_per_second(
    model: nn.Module,
    batches: Sequence[Batch],
    loss_of: Callable[[nn.Module, Batch], torch.Tensor],
) -> float:
    """Return how many real target tokens training steps process per processor second.

    Parameters
    ----------
    model
        The model.
    batches
        The batches of the steps.
    loss_of
        Computes the loss of the model on a batch.

    Returns
    -------
    speed : float
        Tokens per second.
    """
    optimizer = adamw(model, TrainConfig())
    model.train()
    start = time.process_time()
    for batch in batches:
        loss_of(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return sum(map(count_tokens, batches)) / (time.process_time() - start)

"""The encoder–decoders that ``translation`` trains, and what it trains of them.

The models of the bake-off have about equal numbers of parameters. Their learning rates are those of
which the part "rates" found neither the half nor the double better on validation, after all steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.translation_task import BEAM_SIZE
from utils.decoding.beam_search import BeamConfig
from utils.models.attention_decoder import AttentionDecoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.pooling import FixedVectorEncoder
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.training.optimizers import OptimizerFactory, adamw, muon

DROPOUT = 0.1  # in the bake-off


class ModelBuilder(Protocol):
    """A function that builds an encoder–decoder."""

    def __call__(self, vocab_size: int, *, dropout: float) -> EncoderDecoder:
        """Build a model for one vocabulary of both languages."""
        ...


def build_recurrent(
    vocab_size: int, *, dropout: float, cell: str = "lstm", single_vector: bool = False
) -> EncoderDecoder:
    """Build a bidirectional recurrent encoder and a decoder with attention between two layers.

    With `single_vector` the decoder attends to nothing but the encoder's vector.

    Parameters
    ----------
        vocab_size
            Size V of the vocabulary.
        dropout
            Probability of dropout.
        cell
            The recurrent cell, "lstm" or "gru".
        single_vector
            Whether the decoder attends to the encoder's vector alone.

    Returns
    -------
        model : EncoderDecoder
            The untrained model.
    """
    encoder = RNNEncoder(vocab_size, width=256, num_layers=1, cell=cell, dropout=dropout)
    decoder = AttentionDecoder(
        vocab_size, width=256, num_layers=1, cell=cell, attention_score="scaled", dropout=dropout
    )
    return EncoderDecoder(FixedVectorEncoder(encoder) if single_vector else encoder, decoder)


def build_convolutional(vocab_size: int, *, dropout: float) -> EncoderDecoder:
    """Build an encoder and a decoder of two convolutional layers each.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    dropout
        Probability of dropout.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    encoder = CNNEncoder(vocab_size, width=264, num_layers=2, dropout=dropout)
    decoder = CNNDecoder(vocab_size, width=264, num_layers=2, dropout=dropout)
    return EncoderDecoder(encoder, decoder)


def build_transformer(vocab_size: int, *, dropout: float) -> EncoderDecoder:
    """Build a Transformer with an encoder and a decoder of two layers each.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    dropout
        Probability of dropout.

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    encoder = TransformerEncoder(
        vocab_size, width=256, num_layers=2, num_heads=4, feedforward_size=256, dropout=dropout
    )
    decoder = TransformerDecoder(
        vocab_size, width=256, num_layers=2, num_heads=4, feedforward_size=256, dropout=dropout
    )
    return EncoderDecoder(encoder, decoder)


@dataclass(frozen=True)
class TranslationRecipe:
    """A model and how it is trained.

    Parameters
    ----------
    build
        Builds the model.
    learning_rate
        The highest learning rate.
    make_optimizer
        Builds the optimizer for the model and its configuration.
    """

    build: ModelBuilder
    learning_rate: float
    make_optimizer: OptimizerFactory = adamw


RECIPES = {
    "LSTM": TranslationRecipe(partial(build_recurrent, single_vector=True), learning_rate=4e-3),
    "LSTM + attention": TranslationRecipe(build_recurrent, learning_rate=4e-3),
    "CNN": TranslationRecipe(build_convolutional, learning_rate=4e-3),
    "Transformer": TranslationRecipe(build_transformer, learning_rate=8e-3, make_optimizer=muon),
    "Transformer, AdamW": TranslationRecipe(build_transformer, learning_rate=2e-3),
    "GRU + attention": TranslationRecipe(partial(build_recurrent, cell="gru"), learning_rate=2e-3),
}
BAKE_OFF_STEPS = {
    "LSTM": 1380,
    "LSTM + attention": 1350,
    "CNN": 1270,
    "Transformer": 680,
    "Transformer, AdamW": 910,
}
LENGTH_PENALTY = BeamConfig(BEAM_SIZE, alpha=1.0)
TOKEN_BONUSES = tuple(
    BeamConfig(BEAM_SIZE, alpha=0.0, token_bonus=bonus, patience=2) for bonus in (0.4, 0.6, 0.8)
)


@dataclass(frozen=True, kw_only=True)
class TranslationJob:
    """One model to train from one seed.

    Parameters
    ----------
    model
        Its name in `RECIPES`.
    seed
        Seed of the parameters and of the order of the data.
    steps
        Training steps.
    learning_rate
        The highest learning rate.
    dropout
        Probability of dropout.
    rankings
        How beam search may rank its answers: the test set is translated with the one that has the
        best BLEU on validation. Without any, the model is not tested.
    """

    model: str
    seed: int
    steps: int
    learning_rate: float
    dropout: float = DROPOUT
    rankings: tuple[BeamConfig, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A longer training of one model; the fields are those of `TranslationJob`."""

    model: str
    steps: int
    dropout: float
    rankings: tuple[BeamConfig, ...]


BUDGETS = {
    "five minutes": Budget(
        model="LSTM + attention", steps=1650, dropout=0.1, rankings=(LENGTH_PENALTY,)
    ),
    "fifteen minutes": Budget(
        model="GRU + attention",
        steps=5400,
        dropout=0.2,
        rankings=(LENGTH_PENALTY, *TOKEN_BONUSES),
    ),
}


def bake_off_jobs(models: list[str], seeds: list[int]) -> dict[str, TranslationJob]:
    """Return the jobs of the bake-off by their names in the results.

    Parameters
    ----------
    models
        Names of the models.
    seeds
        The seeds.

    Returns
    -------
    jobs : dict
        The jobs by name.
    """
    return {
        f"{model}, seed {seed}": TranslationJob(
            model=model,
            seed=seed,
            steps=BAKE_OFF_STEPS[model],
            learning_rate=RECIPES[model].learning_rate,
            rankings=(LENGTH_PENALTY,),
        )
        for seed in seeds
        for model in models
    }


def longer_jobs(budgets: list[str], seeds: list[int]) -> dict[str, TranslationJob]:
    """Return the jobs of the longer trainings by their names in the results.

    Parameters
    ----------
    budgets
        Names of budgets in `BUDGETS`.
    seeds
        The seeds.

    Returns
    -------
    jobs : dict
        The jobs by name.
    """
    return {
        f"{name}, seed {seed}": TranslationJob(
            model=budget.model,
            seed=seed,
            steps=budget.steps,
            learning_rate=RECIPES[budget.model].learning_rate,
            dropout=budget.dropout,
            rankings=budget.rankings,
        )
        for seed in seeds
        for name, budget in BUDGETS.items()
        if name in budgets
    }


def rate_jobs(models: list[str]) -> dict[str, TranslationJob]:
    """Return the jobs with half and with twice the learning rate by their names in the results."""
    return {
        f"rate {rate:g}, {model}": TranslationJob(
            model=model, seed=0, steps=BAKE_OFF_STEPS[model], learning_rate=rate
        )
        for model in models
        for rate in (RECIPES[model].learning_rate / 2, RECIPES[model].learning_rate * 2)
    }

"""The encoder–decoders of the benchmark ``translation``, and how it trains them.

The models of the bake-off have about equal numbers of parameters. Their learning rates are those of
which the part "rates" found neither the half nor the double better on validation, after all steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from utils.models.attention_decoder import AttentionDecoder, AttentionDecoderState
from utils.models.convolutional import CNNDecoder, CNNDecoderState, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.recurrent import Cell
from utils.models.recurrent_encoders import RNNEncoder
from utils.models.transformer import (
    TransformerDecoder,
    TransformerDecoderState,
    TransformerEncoder,
)
from utils.training.optimizers import OptimizerFactory, adamw, muon


class ModelBuilder(Protocol):
    """A function that builds an encoder–decoder."""

    def __call__(self, vocab_size: int, *, dropout: float) -> EncoderDecoder[Any]:
        """Build an untrained model.

        Parameters
        ----------
        vocab_size
            Size V of the vocabulary, which both languages share.
        dropout
            Probability of dropout.

        Returns
        -------
        model : EncoderDecoder
            The model.
        """
        ...


def build_recurrent(
    vocab_size: int,
    *,
    dropout: float,
    cell: Cell = "lstm",
    single_vector: bool = False,
    score: Literal["scaled", "multiplicative"] = "scaled",
) -> EncoderDecoder[AttentionDecoderState]:
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
    score
        The score of attention, divided by √D if it is "scaled".

    Returns
    -------
    model : EncoderDecoder
        The untrained model.
    """
    encoder = RNNEncoder(vocab_size, width=256, num_layers=1, cell=cell, dropout=dropout)
    decoder = AttentionDecoder(
        vocab_size, width=256, num_layers=1, cell=cell, attention_score=score, dropout=dropout
    )
    return EncoderDecoder(FixedVectorEncoder(encoder) if single_vector else encoder, decoder)


def build_convolutional(vocab_size: int, *, dropout: float) -> EncoderDecoder[CNNDecoderState]:
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


def build_transformer(
    vocab_size: int, *, dropout: float
) -> EncoderDecoder[TransformerDecoderState]:
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

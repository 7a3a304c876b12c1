"""The encoders, the decoders and the arms that pair them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from utils.models.attention_decoder import AttentionDecoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import RNNEncoder

WIDTH, NUM_CONVOLUTIONS = 48, 2
Build = Callable[[int], Any]


def build_gru_encoder(vocab_size: int) -> RNNEncoder:
    """Build a GRU that reads in both directions."""
    return RNNEncoder(vocab_size, width=WIDTH)


def build_cnn_encoder(vocab_size: int) -> CNNEncoder:
    """Build gated convolutions that end in the maximum over positions."""
    return CNNEncoder(vocab_size, width=WIDTH, num_layers=NUM_CONVOLUTIONS, pooling="max")


def build_step_decoder(vocab_size: int) -> RNNDecoder:
    """Build a GRU that reads the vector in each step."""
    return RNNDecoder(vocab_size, width=WIDTH, vector_input="every")


def build_gru_attention(vocab_size: int) -> AttentionDecoder:
    """Build two layers of GRU with attention between them."""
    return AttentionDecoder(vocab_size, width=WIDTH)


def build_cnn_attention(vocab_size: int) -> CNNDecoder:
    """Build causal convolutions with attention in each block."""
    return CNNDecoder(vocab_size, width=WIDTH, num_layers=NUM_CONVOLUTIONS)


ENCODERS: dict[str, Build] = {"GRU": build_gru_encoder, "CNN": build_cnn_encoder}
DECODERS: dict[str, Build] = {
    "GRU, c in each step": build_step_decoder,
    "CNN, attention": build_cnn_attention,
    "GRU, attention": build_gru_attention,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An encoder, a decoder and how they train.

    Parameters
    ----------
    encoder, decoder
        Their names.
    has_one_vector
        Whether the decoder is given the encoder's vector as its only state.
    is_scheduled
        Whether training is by scheduled sampling, not by teacher forcing.
    """

    encoder: str
    decoder: str
    has_one_vector: bool = False
    is_scheduled: bool = False

    def build(self, vocab_size: int) -> EncoderDecoder[Any]:
        """Build the untrained model."""
        encoder = ENCODERS[self.encoder](vocab_size)
        if self.has_one_vector:
            encoder = FixedVectorEncoder(encoder)
        return EncoderDecoder(encoder, DECODERS[self.decoder](vocab_size))


def _arms() -> dict[str, Recipe]:
    """Return the arms by name, those of the first comparisons first."""
    in_each_step = Recipe(encoder="GRU", decoder="GRU, c in each step")
    arms = {
        "GRU → GRU, c in each step": in_each_step,
        "scheduled sampling": replace(in_each_step, is_scheduled=True),
    }
    for kind in ENCODERS:
        recipe = Recipe(encoder=kind, decoder=f"{kind}, attention")
        arms[f"{kind} → {recipe.decoder}"] = recipe
        arms[f"{kind} → {kind}, one vector"] = replace(recipe, has_one_vector=True)
    return arms


ARMS = _arms()
ONE_LAYER, TWO_LAYERS = "GRU → GRU, c in each step", "GRU → GRU, one vector"
RATE = 0.016  # the best of the first comparison for each arm that the controls do not tune

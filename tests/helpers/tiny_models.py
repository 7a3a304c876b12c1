"""Every model under the contract ``model(ids, state) -> (logits, state)``, at a tiny size.

Each dict maps a name to a function of the width D that builds a language model, an encoder, a
decoder or a pair of both. `make` builds one of the models by name, ready for comparisons.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from tests.helpers.tensors import multiply_weights
from utils.data.vocabulary import PAD
from utils.models.attention_decoder import AttentionDecoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.encoder_decoder import EncoderDecoder, lstm_seq2seq
from utils.models.fixed_vector_encoder import FixedVectorEncoder
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder

V = 11
SOURCE = torch.tensor([[5, 6, 7, 2], [8, 9, 2, PAD], [10, 2, PAD, PAD], [4, 4, 4, 2]])  # (B, S)
IDS = torch.tensor([[1, 5, 6, 7, 8], [1, 9, 9, 4, 4], [1, 3, 10, 4, 5], [1, 4, 5, 6, 7]])  # (B, T)
MODERN = {
    "positional_encoding": "rotary",
    "norm": "rms",
    "activation": "squared_relu",
    "qk_norm": True,
}


def nnlm(D: int, order: int = 5, **options) -> NNLM:
    return NNLM(V, order=order, embedding_size=D, hidden_size=D, **options)


def gpt(D: int, **options) -> GPT:
    sizes = {"width": D, "num_layers": 2, "num_heads": 3, "context_length": 3}
    return GPT(V, **sizes | {"zero_init": False} | options)


def gpt2(D: int) -> GPT:
    return gpt(
        D,
        num_heads=1,
        context_length=8,
        positional_encoding="learned",
        norm="layer",
        activation="gelu",
        qk_norm=False,
        bias=True,
    )


def transformer(stack_class: type, D: int, **options) -> nn.Module:
    return stack_class(V, width=D, num_layers=2, num_heads=3, **options)


LANGUAGE_MODELS = {
    "nnlm": nnlm,
    "nnlm, indirect": lambda D: nnlm(D, use_direct_layer=False),
    "nnlm, one word": lambda D: nnlm(D, order=2),
    "rnn": lambda D: RNNLM(V, width=D, embedding_size=D - 2),
    "gru": lambda D: RNNLM(V, width=D, num_layers=2, cell="gru"),
    "lstm": lambda D: RNNLM(V, width=D, cell="lstm", tied=True),
    "lstm, two layers": lambda D: RNNLM(V, width=D, num_layers=2, cell="lstm", tied=True),
    "lstm, untied": lambda D: RNNLM(V, width=D, num_layers=3, cell="lstm"),
    "lstm, narrow": lambda D: RNNLM(
        V, width=D, num_layers=2, cell="lstm", tied=True, embedding_size=D - 2
    ),
    "lstm, narrow, untied": lambda D: RNNLM(
        V, width=D, num_layers=2, cell="lstm", embedding_size=D - 2
    ),
    "gpt": gpt,
    "gpt, long window": lambda D: gpt(D, context_length=20),
    "gpt, window of one": lambda D: gpt(D, context_length=1, positional_encoding="sinusoidal"),
    "gpt, sinusoidal": lambda D: gpt(D, context_length=20, positional_encoding="sinusoidal"),
    "gpt, pairs": lambda D: gpt(D, ngram_table_sizes=(V * V,)),
    "gpt, n-grams in few rows": lambda D: gpt(D, ngram_table_sizes=(V * V, 50, 7)),
    "gpt-2": gpt2,
    "gpt, gated": lambda D: gpt(D, activation="swiglu", feedforward_size=D + 2, norm_epsilon=1e-5),
}
ENCODERS = {
    "gru": lambda D: RNNEncoder(V, width=D),
    "deep lstm": lambda D: RNNEncoder(
        V, width=D, num_layers=2, cell="lstm", bidirectional=False, embedding_size=D - 2
    ),
    "cnn": lambda D: CNNEncoder(V, width=D, num_layers=2),
    "cnn, max": lambda D: CNNEncoder(V, width=D, num_layers=2, kernel_size=5, pooling="max"),
    "transformer": lambda D: transformer(TransformerEncoder, D),
    "post-norm": lambda D: transformer(TransformerEncoder, D, norm_first=False, bias=True),
    "modern": lambda D: transformer(TransformerEncoder, D, **MODERN),
    "gated": lambda D: transformer(TransformerEncoder, D, activation="swiglu", norm="rms"),
    "fixed": lambda D: FixedVectorEncoder(RNNEncoder(V, width=D)),
    "handover": lambda D: LSTMEncoder(V, width=D, num_layers=2),
}
DECODERS: dict[str, Callable[[int], Any]] = {
    "start": lambda D: RNNDecoder(V, width=D, num_layers=2),
    "every": lambda D: RNNDecoder(V, width=D, cell="rnn", vector_input="every"),
    "both": lambda D: RNNDecoder(
        V, width=D, num_layers=2, cell="lstm", vector_input="both", embedding_size=D - 2
    ),
    "multiplicative": lambda D: AttentionDecoder(V, width=D),
    "additive": lambda D: AttentionDecoder(
        V, width=D, num_layers=2, cell="lstm", attention_score="additive", embedding_size=D - 2
    ),
    "location": lambda D: AttentionDecoder(V, width=D, attention_score="location"),
    "cnn, vector": lambda D: CNNDecoder(V, width=D, num_layers=2, use_attention=False),
    "cnn, attention": lambda D: CNNDecoder(V, width=D, num_layers=2, kernel_size=2),
    "transformer": lambda D: transformer(TransformerDecoder, D),
    "post-norm": lambda D: transformer(TransformerDecoder, D, norm_first=False, bias=True),
    "modern": lambda D: transformer(TransformerDecoder, D, feedforward_size=D, **MODERN),
    "gated": lambda D: transformer(TransformerDecoder, D, activation="swiglu", norm_first=False),
    "learned": lambda D: transformer(
        TransformerDecoder, D, positional_encoding="learned", max_positions=8
    ),
}


def pair(encoder: str, decoder: str):
    """A function that builds an encoder–decoder of these two."""
    return lambda D: EncoderDecoder(ENCODERS[encoder](D), DECODERS[decoder](D))


ENCODER_DECODERS = {
    **{f"gru → {name}": pair("gru", name) for name in DECODERS},
    **{f"{name} → transformer": pair(name, "transformer") for name in ENCODERS if name != "gru"},
    **{f"{name} → start": pair(name, "start") for name in ENCODERS if name != "gru"},
    "lstm": lambda D: lstm_seq2seq(V, width=D, num_layers=2),
    "lstm, two embeddings": lambda D: lstm_seq2seq(V, width=D, num_layers=2, share_embedding=False),
    "lstm, narrow": lambda D: lstm_seq2seq(V, width=D, num_layers=2, embedding_size=D - 2),
}
MODELS = {f"LM: {name}": build for name, build in LANGUAGE_MODELS.items()} | ENCODER_DECODERS


def make(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Build a model of width 6 in evaluation mode, with weights large enough for logits to differ.

    The weights are the same at each call.
    """
    torch.manual_seed(1)
    return multiply_weights(MODELS[name](6).to(dtype).eval(), 2)


def initial_state(model: nn.Module, rows=slice(None)):
    """The state before the first token, of these rows of `SOURCE` for an encoder–decoder."""
    return model.begin(SOURCE[rows]) if isinstance(model, EncoderDecoder) else None


def state_tensors(state) -> list[torch.Tensor]:
    """The tensors of a state, in order; None is left out."""
    return [leaf for leaf in pytree.tree_leaves(state) if leaf is not None]


def state_types(state) -> list[type]:
    """The type of a state, those of its parts, of their parts, and so on."""
    if state is None or isinstance(state, torch.Tensor):
        return [type(state)]
    parts = state.values() if isinstance(state, dict) else state
    return [type(state), *(part_type for part in parts for part_type in state_types(part))]

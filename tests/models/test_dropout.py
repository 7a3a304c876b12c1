"""Dropout acts wherever a docstring says so, in training only, and nowhere else.

Dropout is seen where it is computed: calls of `nn.Dropout`, attention weights of torch's kernel,
and the layers of torch's recurrent networks. Each test lists the shapes of the tensors in which
numbers are set to zero, in the order of the computation.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.helpers.tiny_models import IDS, SOURCE, V
from utils.models.attention_decoder import AttentionDecoder
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.gpt import GPT
from utils.models.language_models import NNLM, RNNLM
from utils.models.recurrent_decoders import RNNDecoder
from utils.models.recurrent_encoders import LSTMEncoder, RNNEncoder
from utils.models.transformer import TransformerDecoder, TransformerEncoder
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.features import NUM_MEL_BANDS
from utils.states import Memory

B, S, T = 4, 4, 5
D, E, H = 8, 5, 2
BETWEEN_LAYERS = "between layers"
# of a Transformer's layer: attention weights, what they add, hidden units, what they add
ENCODER_LAYER = [(B, H, S, S), (B, S, D), (B, S, 4 * D), (B, S, D)]
LANGUAGE_MODEL_LAYER = [(B, H, T, T), (B, T, D), (B, T, 4 * D), (B, T, D)]
DECODER_LAYER = [*LANGUAGE_MODEL_LAYER[:2], (B, H, T, S), (B, T, D), *LANGUAGE_MODEL_LAYER[2:]]
HEADS: dict[str, Any] = {"width": D, "num_layers": 2, "num_heads": H}
NARROW: dict[str, Any] = {"width": D, "embedding_size": E}

READERS = {  # language models: what builds one, and where it has dropout
    "nnlm": (
        lambda p: NNLM(V, order=3, embedding_size=E, hidden_size=D, dropout=p),
        [(B, T, 2 * E), (B, T, D)],
    ),
    "rnn": (lambda p: RNNLM(V, **NARROW, dropout=p), [(B, T, E), (B, T, D)]),
    "gru, two layers": (
        lambda p: RNNLM(V, **NARROW, num_layers=2, cell="gru", dropout=p),
        [(B, T, E), BETWEEN_LAYERS, (B, T, D)],
    ),
    "lstm": (
        lambda p: RNNLM(V, **NARROW, num_layers=3, cell="lstm", tied=True, dropout=p),
        [(B, T, E), BETWEEN_LAYERS, BETWEEN_LAYERS, (B, T, D)],
    ),
    "gpt": (lambda p: GPT(V, **HEADS, dropout=p), [(B, T, D), *LANGUAGE_MODEL_LAYER * 2]),
}
ENCODERS = {
    "lstm": (
        lambda p: LSTMEncoder(V, **NARROW, num_layers=2, dropout=p),
        [(B, S, E), BETWEEN_LAYERS],
    ),
    "rnn": (  # word vectors, between layers, states, vector
        lambda p: RNNEncoder(V, **NARROW, num_layers=2, dropout=p),
        [(B, S, E), BETWEEN_LAYERS, (B, S, D), (B, D)],
    ),
    "cnn": (lambda p: CNNEncoder(V, width=D, num_layers=3, dropout=p), [(B, S, D)] * 4),
    "transformer": (
        lambda p: TransformerEncoder(V, **HEADS, dropout=p),
        [(B, S, D), *ENCODER_LAYER * 2],
    ),
    "word cnn": (
        lambda p: WordCNNEncoder(V, embedding_size=E, num_filters=2, dropout=p),
        [(B, S, E)],
    ),
    "classifier": (
        lambda p: Classifier(
            WordCNNEncoder(V, embedding_size=E, num_filters=2), input_size=6, dropout=p
        ),
        [(B, 6)],
    ),
}
DECODERS = {
    "rnn": (
        lambda p: RNNDecoder(V, **NARROW, num_layers=2, dropout=p),
        [(B, T, E), BETWEEN_LAYERS, (B, T, D)],
    ),
    "attention": (  # word vectors, input of the upper layers, between these, before the output
        lambda p: AttentionDecoder(V, **NARROW, num_layers=2, dropout=p),
        [(B, T, E), (B, T, 2 * D), BETWEEN_LAYERS, (B, T, 2 * D)],
    ),
    "cnn": (lambda p: CNNDecoder(V, width=D, num_layers=3, dropout=p), [(B, T, D)] * 5),
    "transformer": (
        lambda p: TransformerDecoder(V, **HEADS, dropout=p),
        [(B, T, D), *DECODER_LAYER * 2, (B, T, D)],
    ),
}


def dropout_sites(model: nn.Module, compute: Callable[[], object], monkeypatch) -> list[Any]:
    """The shapes of all tensors in which `compute` sets numbers to zero, in order."""
    sites: list[Any] = []
    kernel = F.scaled_dot_product_attention

    def recorded_kernel(q, k, *args, dropout_p=0.0, **options):
        if dropout_p:
            sites.append((*q.shape[:-1], k.shape[-2]))
        return kernel(q, k, *args, dropout_p=dropout_p, **options)

    def record_dropout(module, inputs, result):
        if module.training and module.p:
            sites.append(tuple(result.shape))

    def record_layers(module, inputs, result):
        if module.training and module.dropout:
            sites.extend([BETWEEN_LAYERS] * (module.num_layers - 1))

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(record_dropout)
        if isinstance(module, nn.RNNBase):
            module.register_forward_hook(record_layers)
    with monkeypatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", recorded_kernel)
        compute()
    return sites


def check_sites(model: nn.Module, compute, expected: list[Any], monkeypatch) -> None:
    """Assert that training drops numbers at the expected sites, and evaluation at none."""
    assert dropout_sites(model.train(), compute, monkeypatch) == expected
    model.eval()
    assert dropout_sites(model, compute, monkeypatch) == []


@pytest.mark.parametrize("name", READERS)
def test_dropout_of_a_language_model(name, monkeypatch):
    build, expected = READERS[name]
    model = build(0.5)
    check_sites(model, lambda: model(IDS), expected, monkeypatch)
    without = build(0.0).train()
    assert dropout_sites(without, lambda: without(IDS), monkeypatch) == []


@pytest.mark.parametrize("name", ENCODERS)
def test_dropout_of_an_encoder(name, monkeypatch):
    build, expected = ENCODERS[name]
    model = build(0.5)
    check_sites(model, lambda: model(SOURCE), expected, monkeypatch)


@pytest.mark.parametrize("name", DECODERS)
def test_dropout_of_a_decoder(name, monkeypatch):
    build, expected = DECODERS[name]
    model = build(0.5)
    memory = Memory(torch.randn(B, S, D), torch.ones(B, S, dtype=torch.bool), torch.randn(B, D))
    state = model.begin(memory)
    check_sites(model, lambda: model(IDS, state), expected, monkeypatch)


def test_alignments_are_computed_without_dropout(monkeypatch):
    model = AttentionDecoder(V, **NARROW, dropout=0.5).train()
    memory = Memory(torch.randn(B, S, D), torch.ones(B, S, dtype=torch.bool), torch.randn(B, D))
    state = model.begin(memory)
    assert dropout_sites(model, lambda: model.attention_weights(IDS, state), monkeypatch) == []


def test_dropout_of_a_recognizer(monkeypatch):
    model = CTCRecognizer(V, width=D, num_layers=2, dropout=0.5)
    features, lengths = torch.randn(B, 16, NUM_MEL_BANDS), torch.full((B,), 16)
    expected = [(B, S, D), (B, S, 2 * D), (B, S, 2 * D)]  # the second one between layers
    check_sites(model, lambda: model(features, lengths), expected, monkeypatch)

"""Decoders of all kinds: outputs tied to the embedding, dropout, and a Transformer's first state.

What each computes is tested in the file of its module.
"""

import pytest
import torch
from torch import nn

from tests.helpers.tensors import randn, same
from tests.helpers.tiny_models import DECODERS
from utils.models.attention_decoder import AttentionDecoder
from utils.models.convolutional import CNNDecoder
from utils.models.recurrent_decoders import LSTMDecoder, RNNDecoder
from utils.models.transformer import TransformerDecoder
from utils.states import Memory

V, B, S, D = 11, 3, 4, 6
IDS = torch.tensor([[1, 5, 6], [1, 9, 9], [1, 3, 10]])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def memory():
    """Two states of the last source are padding."""
    is_token = torch.ones(B, S, dtype=torch.bool)
    is_token[2, 2:] = False
    return Memory(randn(B, S, D), is_token, randn(B, D))


@pytest.mark.parametrize("name", [*DECODERS, "lstm"])
def test_an_output_is_tied_to_the_embedding_and_starts_without_a_bias(name):
    """Only an LSTM decoder has a bias from the start, as the language model that it is."""
    decoder = LSTMDecoder(V, width=D) if name == "lstm" else DECODERS[name](D)
    assert decoder.output.weight is decoder.embedding.weight
    assert decoder.output.bias.shape == (V,)
    assert bool(decoder.output.bias.any()) == (name == "lstm")


@pytest.mark.parametrize("embedding_size", [4, D, 2 * D])
@pytest.mark.parametrize("decoder_class", [AttentionDecoder, LSTMDecoder, RNNDecoder])
def test_a_map_leads_to_an_embedding_of_another_size(decoder_class, embedding_size):
    decoder = decoder_class(V, width=D, embedding_size=embedding_size)
    width = 2 * D if decoder_class is AttentionDecoder else D  # of what the output reads
    if embedding_size == width:
        assert type(decoder.output_projection) is nn.Identity
    else:
        assert decoder.output_projection.weight.shape == (embedding_size, width)
        assert decoder.output_projection.bias is None


def test_a_transformer_decoder_begins_with_keys_and_values_of_the_memory(memory):
    decoder = TransformerDecoder(V, width=D, num_layers=2, num_heads=2).double()
    state = decoder.begin(memory)
    assert state.is_token is memory.is_token and state.caches == (None, None)
    assert state.tokens_read.tolist() == [0] * B and state.tokens_read.dtype == torch.int64
    for layer, cache in zip(decoder.layers, state.memory_caches, strict=True):
        keys_and_values = layer.cross_attention.kv_projection(memory.states)
        keys, values = keys_and_values.chunk(2, -1)  # (B, S, D) each
        for part, expected in ((cache.keys, keys), (cache.values, values)):
            assert same(part, expected.unflatten(-1, (2, -1)).transpose(1, 2))
    _, later = decoder(IDS, state)
    assert later.tokens_read.tolist() == [3] * B
    assert all(cache.keys.shape == (B, 2, 3, D // 2) for cache in later.caches)
    pairs = zip(later.memory_caches, state.memory_caches, strict=True)
    assert all(a is b for a, b in pairs), "computed once for a source"


@pytest.mark.parametrize(
    "decoder_class", [AttentionDecoder, CNNDecoder, RNNDecoder, TransformerDecoder]
)
def test_dropout_acts_in_training_only(decoder_class, memory):
    options = {"num_heads": 2} if decoder_class is TransformerDecoder else {}
    decoder = decoder_class(V, width=D, num_layers=1, dropout=0.5, **options).double()
    state = decoder.begin(memory)
    assert not torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])
    decoder.eval()
    state = decoder.begin(memory)
    assert torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])

"""Decoders without recurrent attention: their first states, formulas and tied outputs.

The recurrent decoder with attention is in test_attention_decoder.py, the Transformer's in
test_transformer.py.
"""

import pytest
import torch
from torch import nn

from tests.tensors import randn, randomize_weights, same
from utils.models.attention import attention
from utils.models.contract import Memory
from utils.models.decoder_parts import InitialState, TiedOutput
from utils.models.decoders import CNNDecoder, RNNDecoder
from utils.models.positions import sinusoids
from utils.models.recurrent import CELLS
from utils.models.transformer import TransformerDecoder

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


@pytest.mark.parametrize("cell", CELLS)
def test_a_first_state_is_the_tanh_of_a_linear_map_of_the_vector(cell):
    make_state, vector = InitialState(D, layers=2, cell=cell).double(), randn(B, D)
    state = make_state(vector)
    h, c = state if cell == "lstm" else (state, None)
    assert h.shape == (B, 2, D)
    for layer in range(2):
        rows = slice(layer * D, (layer + 1) * D)
        linear = vector @ make_state.project.weight[rows].T + make_state.project.bias[rows]
        assert same(h[:, layer], linear.tanh())
        assert c is None or same(c[:, layer], linear)
    zero_state = InitialState(D, layers=2, cell=cell, from_vector=False)(vector)
    h, c = zero_state if cell == "lstm" else (zero_state, zero_state)
    assert h.shape == c.shape == (B, 2, D) and not h.any() and not c.any()


@pytest.mark.parametrize("width", [D, 2 * D])
def test_a_tied_output_multiplies_with_the_embeddings_matrix(width):
    embedding = nn.Embedding(V, D).double()
    output = TiedOutput(width, embedding, dropout=0.5).double()
    assert output.linear.weight is embedding.weight and not output.linear.bias.any()
    assert len(output.output_parameters()) == 1
    assert output.output_parameters()[0] is embedding.weight
    x = randn(B, 2, width)
    assert not torch.equal(output(x), output(x))
    randomize_weights(output)
    hidden = x if width == D else x @ output.project.weight.T
    assert same(output.eval()(x), hidden @ embedding.weight.T + output.linear.bias)


@pytest.mark.parametrize("context", ["start", "every", "both"])
def test_an_rnn_decoder_uses_the_vector_at_the_start_in_every_step_or_both(context, memory):
    decoder = RNNDecoder(V, width=D, layers=2, context=context).double().eval()
    state = decoder.begin(memory)
    assert state.vector is memory.vector
    assert state.hidden.shape == (B, 2, D) and state.hidden.any() == (context != "every")
    words = decoder.embedding.weight[IDS] * D**0.5  # (B, T, D)
    if context != "start":
        words = torch.cat([words, memory.vector[:, None].expand(-1, 3, -1)], -1)
    hidden = torch.zeros(B, 2, D).double()
    if context != "every":
        hidden = decoder.initial_state.project(memory.vector).tanh().view(B, 2, D)
    x, h = decoder.rnn.rnn(words, hidden.transpose(0, 1).contiguous())
    logits, state = decoder(IDS, state)
    assert same(logits, x @ decoder.embedding.weight.T + decoder.output.linear.bias)
    assert same(state.hidden, h.transpose(0, 1)) and state.vector is memory.vector


@pytest.mark.parametrize("with_attention", [False, True])
def test_a_cnn_decoder_computes_its_blocks(with_attention, memory):
    """Each block: √½ · (x + √½ · (gated convolution + context)), zeros before the first token."""
    decoder = CNNDecoder(V, width=D, layers=2, kernel_size=3, attention=with_attention).double()
    state = decoder.begin(memory)
    words = decoder.embedding.weight[IDS] * D**0.5
    words = words + sinusoids(torch.arange(3), D, dtype=torch.float64)
    x = words
    for i, layer in enumerate(decoder.layers):
        inputs = torch.cat([torch.zeros(B, 2, D).double(), x], 1)  # (B, 2 + T, D)
        both = torch.stack(
            [
                layer.convolution.bias
                + sum(inputs[:, t + k] @ layer.convolution.weight[:, :, k].T for k in range(3))
                for t in range(3)
            ],
            1,
        )  # (B, T, 2·D)
        gated = both[..., :D] * both[..., D:].sigmoid()
        context = memory.vector[:, None]
        if with_attention:
            query = (decoder.queries[i](gated) + words) * 0.5**0.5
            context, _ = attention(query, memory.states, memory.states, memory.is_token[:, None])
        x = (x + (gated + decoder.contexts[i](context)) * 0.5**0.5) * 0.5**0.5
    logits, _ = decoder(IDS, state)
    assert same(logits, x @ decoder.embedding.weight.T + decoder.output.linear.bias)


@pytest.mark.parametrize("with_attention", [False, True])
def test_the_state_of_a_cnn_decoder_does_not_grow(with_attention, memory):
    decoder = CNNDecoder(V, width=D, layers=2, kernel_size=3, attention=with_attention).double()
    state = decoder.begin(memory)
    expected = memory.states if with_attention else memory.vector[:, None]
    assert same(state.states, expected) and state.is_token.shape == expected.shape[:2]
    assert not any(previous.any() for previous in state.previous)
    for t in range(3):
        assert state.tokens_read.tolist() == [t] * B and state.tokens_read.dtype == torch.int64
        assert [previous.shape for previous in state.previous] == [(B, 2, D)] * 2
        _, state = decoder(IDS[:, t : t + 1], state)


def test_a_transformer_decoder_begins_with_keys_and_values_of_the_memory(memory):
    decoder = TransformerDecoder(V, width=D, layers=2, heads=2).double()
    state = decoder.begin(memory)
    assert state.is_token is memory.is_token and state.caches == (None, None)
    assert state.tokens_read.tolist() == [0] * B and state.tokens_read.dtype == torch.int64
    for layer, cache in zip(decoder.layers, state.memory_caches, strict=True):
        keys, values = layer.cross_attention.kv(memory.states).chunk(2, -1)  # (B, S, D) each
        for part, expected in ((cache.keys, keys), (cache.values, values)):
            assert same(part, expected.unflatten(-1, (2, -1)).transpose(1, 2))
    _, later = decoder(IDS, state)
    assert later.tokens_read.tolist() == [3] * B
    assert all(cache.keys.shape == (B, 2, 3, D // 2) for cache in later.caches)
    pairs = zip(later.memory_caches, state.memory_caches, strict=True)
    assert all(a is b for a, b in pairs), "computed once for a source"


@pytest.mark.parametrize("decoder_class", [RNNDecoder, CNNDecoder, TransformerDecoder])
def test_dropout_acts_in_training_only(decoder_class, memory):
    options = {"heads": 2} if decoder_class is TransformerDecoder else {}
    decoder = decoder_class(V, width=D, layers=1, dropout=0.5, **options).double()
    state = decoder.begin(memory)
    assert not torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])
    decoder.eval()
    state = decoder.begin(memory)
    assert torch.equal(decoder(IDS, state)[0], decoder(IDS, state)[0])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="context is 'never'; choose from start, every, both"):
        RNNDecoder(V, width=D, context="never")
    for build in (
        lambda: RNNDecoder(V, width=D, cell="elman"),
        lambda: InitialState(D, layers=1, cell="elman"),
    ):
        with pytest.raises(ValueError, match="choose from rnn, gru, lstm"):
            build()

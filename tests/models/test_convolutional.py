"""The encoder and the decoder that are stacked from gated convolutions.

What all encoders and all decoders have in common is tested in test_all_encoders.py and
test_all_decoders.py.
"""

import pytest
import torch

from tests.helpers.tensors import randn, same
from tests.helpers.tiny_models import SOURCE
from utils.data.vocabulary import PAD
from utils.models.attention import attention
from utils.models.convolutional import CNNDecoder, CNNEncoder
from utils.models.gated_convolution import GatedConvolution
from utils.models.positions import sinusoidal_encoding
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


@pytest.mark.parametrize(
    "pooling, pool", [("mean", lambda x: x.mean(0)), ("max", lambda x: x.amax(0))]
)
def test_pooling_is_a_mean_or_a_maximum_over_tokens(pooling, pool):
    memory = CNNEncoder(V, width=D, pooling=pooling).double().eval()(SOURCE)
    for i, length in enumerate((4, 3, 2, 4)):
        torch.testing.assert_close(memory.vector[i], pool(memory.states[i, :length]))
    assert (memory.states[SOURCE == PAD] == 0).all()


@pytest.mark.parametrize("use_attention", [False, True])
def test_a_cnn_decoder_computes_its_blocks(use_attention, memory):
    """Each block: √½ · (x + √½ · (gated convolution + context)), zeros before the first token."""
    decoder = CNNDecoder(V, width=D, num_layers=2, use_attention=use_attention).double()
    state = decoder.begin(memory)
    words = decoder.embedding.weight[IDS] * D**0.5
    words = words + sinusoidal_encoding(torch.arange(3), D, dtype=torch.float64)
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
        if use_attention:
            query = (decoder.query_projections[i](gated) + words) * 0.5**0.5
            context, _ = attention(query, memory.states, memory.states, memory.is_token[:, None])
        x = (x + (gated + decoder.context_projections[i](context)) * 0.5**0.5) * 0.5**0.5
    logits, _ = decoder(IDS, state)
    assert same(logits, x @ decoder.embedding.weight.T + decoder.output.bias)


@pytest.mark.parametrize("use_attention", [False, True])
def test_the_state_of_a_cnn_decoder_does_not_grow(use_attention, memory):
    decoder = CNNDecoder(V, width=D, num_layers=2, use_attention=use_attention).double()
    state = decoder.begin(memory)
    expected = memory.states if use_attention else memory.vector[:, None]
    assert same(state.states, expected) and state.is_token.shape == expected.shape[:2]
    assert not any(previous.any() for previous in state.previous)
    for t in range(3):
        assert state.tokens_read.tolist() == [t] * B and state.tokens_read.dtype == torch.int64
        assert [previous.shape for previous in state.previous] == [(B, 2, D)] * 2
        _, state = decoder(IDS[:, t : t + 1], state)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: GatedConvolution(12, kernel_size=4), "kernel_size must be odd .*, got 4"),
        (lambda: GatedConvolution(12, kernel_size=0), "kernel_size must be a positive integer"),
        (
            lambda: GatedConvolution(12, causal=True)(torch.zeros(1, 2, 12)),
            "needs previous, the inputs before x",
        ),
        (
            lambda: CNNEncoder(V, width=D, pooling="median"),  # type: ignore[arg-type]
            "pooling is 'median'; choose from mean, max",
        ),
        (lambda: CNNEncoder(V, width=D, kernel_size=4), "kernel_size must be odd"),
    ],
)
def test_mistakes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()

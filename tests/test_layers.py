"""Layers: equal to torch's with copied weights, with and without padding, in and out of training.

The layers of recurrent networks are in test_recurrent.py, whole stacks in test_transformer.py.
"""

import copy
from typing import cast

import pytest
import torch
from torch import nn

from tests.tensors import close, randn, randomize_weights, same
from tests.torch_layers import rename
from utils.data.vocabulary import PAD
from utils.models.attention import causal_mask
from utils.models.layers import (
    ACTIVATIONS,
    GatedConvolution,
    ScaledEmbedding,
    TransformerLayer,
    check_sizes,
    make_norm,
)
from utils.models.multi_head import KVCache

B, T, S, D, H = 3, 5, 7, 12, 4
HIDDEN = 20
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
IS_TOKEN = torch.arange(T) < torch.tensor([5, 2, 3])[:, None]  # (B, T)
MEMORY_IS_TOKEN = torch.arange(S) < torch.tensor([7, 1, 4])[:, None]  # (B, S)
TORCH_CAUSAL_MASK = ~causal_mask(T)  # torch's masks are True where a query may not attend


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_pair(cross, norm_first, causal, *, dropout=0.0, activation="gelu", dtype=torch.float64):
    """A layer of ours and one of torch's with the same weights."""
    torch_class = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    torch_layer = torch_class(
        D, H, HIDDEN, dropout, activation, batch_first=True, norm_first=norm_first
    )
    layer = TransformerLayer(
        D,
        heads=H,
        activation=activation,
        bias=True,
        dropout=dropout,
        norm_first=norm_first,
        cross_attention=cross,
        hidden_size=HIDDEN,
        causal=causal,
    )
    layer.load_state_dict(rename(randomize_weights(torch_layer).state_dict()))
    return layer.to(dtype), torch_layer.to(dtype)


def run_pair(layer, torch_layer, x, states, *, causal, padded):
    """Apply both layers to x (B, T, D), and to an encoder's states (B, S, D) where they attend."""
    is_token, memory_is_token = (IS_TOKEN, MEMORY_IS_TOKEN) if padded else (None, None)
    mask, padding = TORCH_CAUSAL_MASK if causal else None, None if is_token is None else ~is_token
    if layer.cross_attention is None:
        result, _ = layer(x, is_token=is_token)
        return result, torch_layer(x, src_mask=mask, src_key_padding_mask=padding)
    memory_cache = layer.cross_attention.memory_cache(states)
    result, _ = layer(
        x, is_token=is_token, memory_cache=memory_cache, memory_is_token=memory_is_token
    )
    torch_result = torch_layer(
        x,
        states,
        mask,
        tgt_key_padding_mask=padding,
        memory_key_padding_mask=None if memory_is_token is None else ~memory_is_token,
    )
    return result, torch_result


def gradients(layer, result, x, states) -> dict:
    """The gradients with respect to each weight and both inputs, by name; zero where unused."""
    variables = dict(layer.named_parameters()) | {"x": x, "states": states}
    values = torch.autograd.grad(result.sin().sum(), list(variables.values()), allow_unused=True)
    return {
        name: torch.zeros_like(variable) if value is None else value
        for (name, variable), value in zip(variables.items(), values, strict=True)
    }


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_a_layer_and_its_gradients_equal_torchs(cross, norm_first, causal, padded, training, dtype):
    layer, torch_layer = make_pair(cross, norm_first, causal, dtype=dtype)
    layer.train(training), torch_layer.train(training)
    x, states = (randn(B, length, D, dtype=dtype).requires_grad_() for length in (T, S))
    is_token = IS_TOKEN if padded else torch.ones_like(IS_TOKEN)  # results at padding do not count
    result, torch_result = (
        result[is_token]
        for result in run_pair(layer, torch_layer, x, states, causal=causal, padded=padded)
    )
    assert close(result, torch_result, TOLERANCE[dtype])
    computed = gradients(layer, result, x, states)
    expected = gradients(torch_layer, torch_result, x, states)
    inputs = {name: expected.pop(name) for name in ("x", "states")}
    expected = rename(expected) | inputs
    assert computed.keys() == expected.keys()
    for name, gradient in computed.items():
        assert close(gradient, expected[name], 10 * TOLERANCE[dtype]), name


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_activations_equal_torchs(activation):
    layer, torch_layer = make_pair(False, True, False, activation=activation)
    x = randn(B, T, D)
    assert same(layer(x)[0], torch_layer(x), 1e-10)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_dropout_acts_on_the_same_numbers_as_torchs(cross, norm_first):
    """One sentence only: of several, torch draws the numbers in another order."""
    layer, torch_layer = make_pair(cross, norm_first, True, dropout=0.3)
    x, states = randn(1, T, D), randn(1, S, D)
    torch.manual_seed(7)
    memory_cache = layer.cross_attention.memory_cache(states) if cross else None
    result = layer(x, memory_cache=memory_cache)[0]
    torch.manual_seed(7)
    mask = TORCH_CAUSAL_MASK
    torch_result = torch_layer(x, states, mask) if cross else torch_layer(x, mask)
    assert same(result, torch_result)
    assert not same(result, layer.eval()(x, memory_cache=memory_cache)[0], 1e-3)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_an_encoder_layer_equals_torchs_fast_path(padded, norm_first, monkeypatch):
    """In evaluation without gradients, torch uses a kernel for the layer as a whole."""
    kernel, calls = torch._transformer_encoder_layer_fwd, []

    def counted_kernel(*arguments):
        calls.append(1)
        return kernel(*arguments)

    monkeypatch.setattr(torch, "_transformer_encoder_layer_fwd", counted_kernel)
    layer, torch_layer = make_pair(False, norm_first, False, dtype=torch.float32)
    layer.eval(), torch_layer.eval()
    x = randn(B, T, D, dtype=torch.float32)
    is_token = IS_TOKEN if padded else torch.ones_like(IS_TOKEN)
    with torch.inference_mode():
        result, torch_result = run_pair(layer, torch_layer, x, None, causal=False, padded=padded)
    assert calls and close(result[is_token], torch_result[is_token], 1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_layer_equals_its_formula(norm_first):
    """Post-norm is norm(x + f(x)) and pre-norm x + f(norm(x)), part after part."""
    layer = TransformerLayer(D, heads=H, bias=True, cross_attention=True, norm_first=norm_first)
    layer = randomize_weights(layer).double()
    x, memory_cache = randn(B, T, D), layer.cross_attention.memory_cache(randn(B, S, D))
    parts = {
        layer.norm1: lambda y: layer.attention(y)[0],
        layer.norm_cross: lambda y: layer.cross_attention(y, memory_cache),
        layer.norm2: lambda y: layer.contract(nn.functional.gelu(layer.expand(y))),
    }
    y = x
    for norm, part in parts.items():
        y = y + part(norm(y)) if norm_first else norm(y + part(y))
    assert same(layer(x, memory_cache=memory_cache)[0], y)


def test_a_layer_hands_its_cache_on():
    layer = TransformerLayer(D, heads=H, window=3, qk_norm=True).double()
    x = randn(B, T, D)
    expected, last_cache = layer(x)
    first, cache = layer(x[:, :2])
    second, cache = layer(x[:, 2:], cache=cache)
    assert same(torch.cat([first, second], 1), expected)
    assert isinstance(cache, KVCache) and cache.keys.shape[2] == 2
    assert same(cache.keys, last_cache.keys) and same(cache.values, last_cache.values)


def test_rms_norm_equals_its_formula():
    norm = randomize_weights(make_norm("rms", D)).double()
    x = randn(B, T, D) * 3
    expected = x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight
    assert same(norm(x), expected)
    assert torch.isfinite(norm(torch.zeros(1, D, dtype=torch.float64))).all()
    assert [name for name, _ in norm.named_parameters()] == ["weight"]


def test_layer_norm_is_torchs_with_or_without_a_bias():
    for bias in (True, False):
        norm = make_norm("layer", D, bias=bias)
        assert isinstance(norm, nn.LayerNorm) and (norm.bias is not None) == bias


def test_squared_relu():
    x = torch.tensor([-2.0, 0.0, 3.0])
    assert torch.equal(ACTIVATIONS["relu2"](x), torch.tensor([0.0, 0.0, 9.0]))


def test_a_scaled_embedding_is_the_row_of_the_matrix_times_the_root_of_its_length():
    embedding = ScaledEmbedding(9, 16, padding_idx=PAD)
    ids = torch.tensor([[3, PAD]])
    assert same(embedding(ids), 4 * embedding.weight[ids])
    assert (embedding.weight[PAD] == 0).all()
    lengths = ScaledEmbedding(5000, 16).weight.norm(dim=1)
    assert abs(lengths.pow(2).mean() - 1) < 0.05


def test_a_gated_convolution_equals_its_formula():
    layer = GatedConvolution(D, kernel_size=3, causal=True)
    x, previous = torch.randn(1, 4, D), torch.randn(1, 2, D)
    result = layer(x, previous)
    weight, bias = layer.convolution.weight, layer.convolution.bias  # (2·D, D, 3), (2·D)
    inputs = torch.cat([previous, x], 1)[0]
    for t in range(4):
        a, b = (bias + sum(weight[:, :, k] @ inputs[t + k] for k in range(3))).chunk(2)
        torch.testing.assert_close(result[0, t], a * b.sigmoid())


def test_a_convolution_that_is_not_causal_reaches_equally_far_in_both_directions():
    layer = GatedConvolution(D, kernel_size=5).double()
    x = randn(1, 9, D)
    other = x.clone()
    other[:, 4] += 1
    change = (layer(x) - layer(other)).abs().amax(-1)[0]  # (9,)
    assert (change[2:7] > 1e-6).all() and (change[:2] == 0).all() and (change[7:] == 0).all()


def test_dropout_acts_in_training_only():
    layer = TransformerLayer(D, heads=H, dropout=0.5)
    x = randn(B, T, D, dtype=torch.float32)
    assert not same(layer(x)[0], layer(x)[0])
    layer.eval()
    assert same(layer(x)[0], layer(x)[0]) and same(copy.deepcopy(layer)(x)[0], layer(x)[0])


@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda: TransformerLayer(12, heads=3, activation="swish"),
            "activation is 'swish'; choose from gelu, relu, relu2",
        ),
        (
            lambda: TransformerLayer(12, heads=3, norm="batch"),
            "norm is 'batch'; choose from layer, rms",
        ),
        (
            lambda: TransformerLayer(12, heads=3, cross_attention=True)(torch.zeros(1, 2, 12)),
            "needs memory_cache",
        ),
        (lambda: GatedConvolution(12, kernel_size=4), "kernel_size must be odd .*, got 4"),
        (lambda: GatedConvolution(12, kernel_size=0), "kernel_size must be a positive whole numb"),
        (
            lambda: GatedConvolution(12, causal=True)(torch.zeros(1, 2, 12)),
            "needs previous, the inputs before x",
        ),
        (
            lambda: check_sizes(width=3, layers=None, heads=cast(int, 1.5)),
            "^heads must be .*, got 1.5",
        ),
    ],
)
def test_mistakes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_even_kernels_are_for_causal_convolutions():
    assert GatedConvolution(4, kernel_size=2, causal=True).kernel_size == 2

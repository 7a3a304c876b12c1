"""A Transformer layer equals torch's with copied weights: padded or not, training or not.

Whole stacks are in test_transformer.py.
"""

import copy

import pytest
import torch
from torch import nn

from tests.helpers.tensors import close, randn, randomize_weights, same
from tests.helpers.torch_layers import rename
from utils.models.kv_cache import KVCache
from utils.models.masks import causal_mask
from utils.models.transformer_layer import ACTIVATIONS, TransformerLayer

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
        num_heads=H,
        activation=activation,
        bias=True,
        dropout=dropout,
        norm_first=norm_first,
        use_cross_attention=cross,
        feedforward_size=HIDDEN,
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
    memory_cache = layer.cross_attention.project_memory(states)
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


def gradients(layer, result, x, states) -> dict[str, torch.Tensor]:
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
    memory_cache = layer.cross_attention.project_memory(states) if cross else None
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
    layer = TransformerLayer(
        D, num_heads=H, bias=True, use_cross_attention=True, norm_first=norm_first
    )
    layer = randomize_weights(layer).double()
    x, memory_cache = randn(B, T, D), layer.cross_attention.project_memory(randn(B, S, D))
    parts = {
        layer.attention_norm: lambda y: layer.attention(y)[0],
        layer.cross_attention_norm: lambda y: layer.cross_attention(y, memory_cache),
        layer.feedforward_norm: lambda y: layer.down_projection(
            nn.functional.gelu(layer.up_projection(y))
        ),
    }
    y = x
    for norm, part in parts.items():
        y = y + part(norm(y)) if norm_first else norm(y + part(y))
    assert same(layer(x, memory_cache=memory_cache)[0], y)


def test_a_layer_hands_its_cache_on():
    layer = TransformerLayer(D, num_heads=H, window=3, qk_norm=True).double()
    x = randn(B, T, D)
    expected, last_cache = layer(x)
    first, cache = layer(x[:, :2])
    second, cache = layer(x[:, 2:], cache=cache)
    assert same(torch.cat([first, second], 1), expected)
    assert isinstance(cache, KVCache) and cache.keys.shape[2] == 2
    assert same(cache.keys, last_cache.keys) and same(cache.values, last_cache.values)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_swiglu_is_a_gated_network_with_parameters_of_its_own(norm_first, bias):
    """Written out: W₂ (silu(W₃ x) ⊙ W₁ x), with x · σ(x) for silu (Shazeer 2020, eq. 6)."""
    layer = TransformerLayer(
        D,
        num_heads=H,
        activation="swiglu",
        feedforward_size=HIDDEN,
        norm_first=norm_first,
        bias=bias,
    )
    layer = randomize_weights(layer).double()
    expected_shapes = {"up": (HIDDEN, D), "gate": (HIDDEN, D), "down": (D, HIDDEN)}
    weights = {name: getattr(layer, f"{name}_projection").weight for name in expected_shapes}
    assert {name: tuple(w.shape) for name, w in weights.items()} == expected_shapes
    assert len({id(w) for w in weights.values()}) == 3

    def linear(name, x):
        projection = getattr(layer, f"{name}_projection")
        return x @ projection.weight.T + (projection.bias if bias else 0.0)

    x = randn(B, T, D)
    attended = x + layer.attention(layer.attention_norm(x) if norm_first else x)[0]
    attended = attended if norm_first else layer.attention_norm(attended)
    read = layer.feedforward_norm(attended) if norm_first else attended
    gate = linear("gate", read)
    expected = attended + linear("down", gate * gate.sigmoid() * linear("up", read))
    expected = expected if norm_first else layer.feedforward_norm(expected)
    assert same(layer(x)[0], expected)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name != "swiglu"])
def test_other_activations_have_no_gate(activation):
    layer = TransformerLayer(D, num_heads=H, activation=activation)
    assert layer.gate_projection is None
    assert not any("gate" in name for name, _ in layer.named_parameters())


def test_silu():
    x = randn(7)
    assert same(ACTIVATIONS["silu"](x), x / (1 + (-x).exp()))


def test_all_norms_have_the_epsilon_that_is_given():
    options = {"num_heads": H, "use_cross_attention": True, "qk_norm": True}
    layer = TransformerLayer(D, norm="rms", norm_epsilon=0.3, **options).double()
    norms = [module for module in layer.modules() if isinstance(module, nn.RMSNorm)]
    assert len(norms) == 3 and {norm.eps for norm in norms} == {0.3}
    assert layer.attention.norm_epsilon == 0.3
    layer = TransformerLayer(D, norm="layer", **options)
    norms = [module for module in layer.modules() if isinstance(module, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5} and layer.attention.norm_epsilon == 1e-6


def test_squared_relu():
    x = torch.tensor([-2.0, 0.0, 3.0])
    assert torch.equal(ACTIVATIONS["squared_relu"](x), torch.tensor([0.0, 0.0, 9.0]))


def test_dropout_acts_in_training_only():
    layer = TransformerLayer(D, num_heads=H, dropout=0.5)
    x = randn(B, T, D, dtype=torch.float32)
    assert not same(layer(x)[0], layer(x)[0])
    layer.eval()
    assert same(layer(x)[0], layer(x)[0]) and same(copy.deepcopy(layer)(x)[0], layer(x)[0])


@pytest.mark.parametrize(
    "build, message",
    [
        (
            lambda: TransformerLayer(12, num_heads=3, activation="swish"),  # type: ignore[arg-type]
            "activation is 'swish'; choose from gelu, relu, silu, squared_relu, swiglu",
        ),
        (
            lambda: TransformerLayer(12, num_heads=3, norm="batch"),  # type: ignore[arg-type]
            "norm is 'batch'; choose from layer, rms",
        ),
        (
            lambda: TransformerLayer(12, num_heads=3, use_cross_attention=True)(
                torch.zeros(1, 2, 12)
            ),
            "needs memory_cache",
        ),
        (
            lambda: TransformerLayer(12, num_heads=3, causal=False, window=2),
            "window=2 needs causal=True",
        ),
        (lambda: TransformerLayer(12, num_heads=3, window=0), "window must be a positive integer"),
        (
            lambda: TransformerLayer(12, num_heads=3, feedforward_size=0),
            "feedforward_size must be a positive integer",
        ),
        (
            lambda: TransformerLayer(12, num_heads=3, norm_epsilon=0.0),
            r"at least 1\.17.*, got 0\.0",
        ),
    ],
)
def test_mistakes_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()

"""Attention with several heads: equal to single heads and to torch's, padding, and the cache."""

import pytest
import torch
from torch import nn

from tests.helpers.tensors import close, randn, randomize_weights, same
from utils.models.attention import attention
from utils.models.masks import causal_mask
from utils.models.multi_head import CrossAttention, SelfAttention

B, T, S, D, H = 3, 5, 7, 12, 3
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
IS_TOKEN = torch.arange(T) < torch.tensor([5, 2, 4])[:, None]  # (B, T)
MEMORY_IS_TOKEN = torch.arange(S) < torch.tensor([7, 1, 4])[:, None]  # (B, S)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("qk_norm", [False, True])
def test_each_head_is_attention_on_its_own_slice_of_queries_keys_and_values(qk_norm):
    layer = SelfAttention(D, num_heads=H, qk_norm=qk_norm).double()
    x, heads = randn(1, T, D), []
    for h in range(H):
        rows = slice(h * D // H, (h + 1) * D // H)
        q, k, v = (x[0] @ weight[rows].T for weight in layer.qkv_projection.weight.chunk(3))
        if qk_norm:
            q, k = (y / y.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt() for y in (q, k))
            q = 2 * q
        heads.append(attention(q, k, v, causal_mask(T))[0])
    assert same(layer(x)[0][0], torch.cat(heads, -1) @ layer.output_projection.weight.T)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_self_attention_equals_torchs_multi_head_attention(training, padded, causal, dtype):
    torch_layer = randomize_weights(nn.MultiheadAttention(D, H, batch_first=True))
    torch_layer.to(dtype).train(training)
    layer = SelfAttention(D, num_heads=H, causal=causal, bias=True).to(dtype).train(training)
    layer.load_state_dict(
        {
            name.replace("in_proj_", "qkv_projection.").replace(
                "out_proj", "output_projection"
            ): weight
            for name, weight in torch_layer.state_dict().items()
        }
    )
    x = randn(B, T, D, dtype=dtype)
    result = layer(x, is_token=IS_TOKEN if padded else None)[0]
    masks = {"attn_mask": ~causal_mask(T)} if causal else {}
    padding = ~IS_TOKEN if padded else None
    torch_result, _ = torch_layer(x, x, x, key_padding_mask=padding, **masks)
    assert close(result, torch_result, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("padded", [False, True])
def test_cross_attention_equals_torchs_multi_head_attention(padded, dtype):
    torch_layer = randomize_weights(nn.MultiheadAttention(D, H, batch_first=True)).to(dtype)
    layer = CrossAttention(D, num_heads=H, bias=True).to(dtype)
    weights = {}
    for name in ("weight", "bias"):  # torch has the three projections in one matrix
        in_proj = getattr(torch_layer, f"in_proj_{name}")
        weights[f"query_projection.{name}"], weights[f"kv_projection.{name}"] = (
            in_proj.tensor_split([D])
        )
        weights[f"output_projection.{name}"] = getattr(torch_layer.out_proj, name)
    layer.load_state_dict(weights)
    x, states = randn(B, T, D, dtype=dtype), randn(B, S, D, dtype=dtype)
    result = layer(x, layer.project_memory(states), MEMORY_IS_TOKEN if padded else None)
    padding = ~MEMORY_IS_TOKEN if padded else None
    torch_result, _ = torch_layer(x, states, states, key_padding_mask=padding)
    assert close(result, torch_result, TOLERANCE[dtype])


@pytest.mark.parametrize("layer_class", [SelfAttention, CrossAttention])
def test_the_linear_maps_have_a_bias_on_request_only(layer_class):
    for options, has_bias in (({}, False), ({"bias": True}, True)):
        layer = layer_class(D, num_heads=H, **options)
        biases = [part.bias for part in layer.modules() if isinstance(part, nn.Linear)]
        assert biases and all((bias is not None) is has_bias for bias in biases)


@pytest.mark.parametrize("causal", [False, True])
def test_no_token_attends_to_padding(causal):
    layer = SelfAttention(D, num_heads=H, causal=causal).double()
    x = randn(B, T, D)
    other = torch.where(IS_TOKEN[..., None], x, randn(B, T, D))
    a, b = layer(x, is_token=IS_TOKEN)[0], layer(other, is_token=IS_TOKEN)[0]
    assert same(a[IS_TOKEN], b[IS_TOKEN])
    unmasked = layer(x)[0][IS_TOKEN], layer(other)[0][IS_TOKEN]
    assert causal or not same(*unmasked), "without the mask, padding does matter"


def test_padding_at_the_beginning_gives_no_nan():
    is_token = torch.tensor([[False, False, True, True, True]])
    layer = SelfAttention(D, num_heads=H).double()
    x = randn(1, T, D)
    result = layer(x, is_token=is_token)[0]
    assert (result[0, :2] == 0).all(), "these positions can attend to padding only"
    assert same(result[0, 2:], layer(x[:, 2:])[0][0])


@pytest.mark.parametrize("window", [None, 1, 2, 4])
def test_with_a_cache_tokens_attend_as_in_one_call(window):
    layer = SelfAttention(D, num_heads=H, window=window).double()
    x = randn(B, T, D)
    expected, _ = layer(x)
    cache, results = None, []
    for part in x.split([1, 3, 1], 1):
        result, cache = layer(part, cache=cache)
        results.append(result)
    assert same(torch.cat(results, 1), expected)
    assert cache.keys.shape[2] == (T if window is None else min(T, window - 1))


def test_attention_that_is_not_causal_returns_no_cache():
    assert SelfAttention(D, num_heads=H, causal=False)(torch.zeros(1, 2, D))[1] is None


def test_dropout_acts_on_the_weights_in_training_only():
    layer = SelfAttention(D, num_heads=H, dropout=0.5).double()
    cross = CrossAttention(D, num_heads=H, dropout=0.5).double()
    x, memory_cache = randn(B, T, D), cross.project_memory(randn(B, S, D))
    assert not same(layer(x)[0], layer(x)[0])
    assert not same(cross(x, memory_cache), cross(x, memory_cache))
    layer.eval(), cross.eval()
    assert same(layer(x)[0], layer(x)[0])
    assert same(cross(x, memory_cache), cross(x, memory_cache))


def test_queries_and_keys_are_normalized_with_the_epsilon_that_is_given():
    layer = SelfAttention(D, num_heads=H, qk_norm=True, norm_epsilon=0.3).double()
    x = randn(B, T, D)
    q, k, v = layer._project_heads(x, None)
    raw = layer.qkv_projection(x).unflatten(-1, (3, H, -1)).permute(2, 0, 3, 1, 4)
    for vectors, projected, factor in ((q, raw[0], 2.0), (k, raw[1], 1.0)):
        mean_square = projected.pow(2).mean(-1, keepdim=True)
        assert same(vectors, factor * projected / (mean_square + 0.3).sqrt())
    assert same(v, raw[2])


@pytest.mark.parametrize("window", [1, 3])
def test_a_window_is_for_causal_attention_only(window):
    with pytest.raises(ValueError, match=f"window={window} needs causal=True"):
        SelfAttention(12, num_heads=3, causal=False, window=window)


def test_mistakes_are_named():
    for window in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"window must be a positive .*, got {window}"):
            SelfAttention(12, num_heads=3, window=window)
    for epsilon in (0.0, -1.0, float("nan"), float("inf"), 1e-300):
        with pytest.raises(
            ValueError, match=f"epsilon must be a number at least .*, got {epsilon}"
        ):
            SelfAttention(12, num_heads=3, norm_epsilon=epsilon)
    with pytest.raises(ValueError, match="5 heads do not divide a width of 12"):
        SelfAttention(12, num_heads=5)
    with pytest.raises(ValueError, match="5 heads do not divide a width of 12"):
        CrossAttention(12, num_heads=5)

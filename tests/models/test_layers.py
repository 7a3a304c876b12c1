"""Layers of many models: scaled embedding, output layer, projection and norms."""

import math

import pytest
import torch
from torch import nn

from tests.helpers.tensors import randn, randomize_weights, same
from utils.data.vocabulary import PAD
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.models.layers import (
    MIN_EPSILON,
    OutputLayer,
    ScaledEmbedding,
    TiedModule,
    make_final_norm,
    make_norm,
    projection_or_identity,
)
from utils.models.multi_head import SelfAttention
from utils.models.recurrent import make_rnn

B, T, D, V = 3, 5, 12, 9


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_a_scaled_embedding_is_the_row_of_the_matrix_times_the_root_of_its_length():
    embedding = ScaledEmbedding(9, 16, padding_idx=PAD)
    ids = torch.tensor([[3, PAD]])
    assert same(embedding(ids), 4 * embedding.weight[ids])
    assert (embedding.weight[PAD] == 0).all()
    lengths = ScaledEmbedding(5000, 16).weight.norm(dim=1)
    assert abs(lengths.pow(2).mean() - 1) < 0.05


@pytest.mark.parametrize("bias", [False, True])
def test_an_output_layer_multiplies_with_the_matrix_of_its_embedding(bias):
    embedding, x = nn.Embedding(V, D).double(), randn(B, T, D)
    output = OutputLayer(D, V, bias=bias, embedding=embedding).double()
    assert output.weight is embedding.weight
    assert same(output(x), x @ embedding.weight.T + (output.bias if bias else 0.0))
    assert [id(p) for p in output.output_parameters()] == [id(embedding.weight)]


def test_an_output_layer_without_an_embedding_is_torchs_linear_layer():
    torch.manual_seed(1)
    output = OutputLayer(D, V)
    torch.manual_seed(1)
    linear = nn.Linear(D, V)
    assert torch.equal(output.weight, linear.weight) and torch.equal(output.bias, linear.bias)
    assert [id(p) for p in output.output_parameters()] == [id(output.weight)]
    with pytest.raises(AssertionError, match="the matrices differ in shape"):
        OutputLayer(D, V, embedding=nn.Embedding(V, D + 1))


def test_a_projection_is_the_identity_where_the_sizes_are_equal():
    x = randn(B, T, D)
    assert projection_or_identity(D, D)(x) is x
    projection = randomize_weights(projection_or_identity(D, 4)).double()
    assert [name for name, _ in projection.named_parameters()] == ["weight"]
    assert same(projection(x), x @ projection.weight.T)


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


@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_the_epsilon_of_a_norm_is_an_option(norm):
    x = randn(B, T, D) * 0.1
    centred = x - x.mean(-1, keepdim=True) if norm == "layer" else x
    for epsilon in (0.5, 1e-3):
        expected = centred / (centred.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
        assert same(make_norm(norm, D, epsilon=epsilon).double()(x), expected)
    for wrong in (0.0, -1e-06, float("nan"), float("inf"), 1e-300):
        with pytest.raises(
            ValueError, match=rf"epsilon must be a number at least 1\.17.*, got {wrong}"
        ):
            make_norm(norm, D, epsilon=wrong)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_the_smallest_epsilon_of_a_norm_keeps_zeros_finite(norm, dtype):
    layer = make_norm(norm, D, epsilon=MIN_EPSILON).to(dtype)
    assert layer(torch.zeros(2, D, dtype=dtype)).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_a_norm_of_large_numbers_in_half_precision_is_no_overflow(norm, dtype):
    """Their squares are beyond float16."""
    x = torch.tensor([[300.0, -300.0, 10.0, 1.0], [6e4, -6e4, 6e4, -6e4]])
    expected = make_norm(norm, 4)(x)
    result = make_norm(norm, 4).to(dtype)(x.to(dtype))
    assert result.dtype == dtype and same(result, expected, 0.01)


class Tied(TiedModule):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.parts = nn.ModuleList([self.embedding, nn.Linear(D, V), nn.Linear(D, V)])
        self.output = OutputLayer(D, V, embedding=self.embedding)
        self.parts[2].bias = self.output.bias


def shared(module):
    """Which names belong to one parameter."""
    names = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return sorted(names.values())


def test_shared_parameters_stay_shared_when_they_are_replaced():
    module = Tied()
    expected = shared(module)
    assert ["embedding.weight", "output.weight", "parts.0.weight"] in map(sorted, expected)
    assert shared(module.to(torch.float64)) == expected
    with torch.device("meta"):
        empty = Tied()
    assert shared(empty) == expected
    assert shared(empty.to_empty(device="cpu")) == expected
    copy = Tied().to("meta")
    tensors = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert copy.load_state_dict(tensors, assign=True).missing_keys == []
    assert shared(copy) == expected and same(copy.output.weight, module.output.weight)
    assert not any(parameter.is_meta for parameter in copy.parameters())


def test_parameters_that_were_parted_stay_apart():
    module = Tied()
    module.output.weight = nn.Parameter(module.output.weight.detach().clone())
    expected = shared(module)
    assert ["output.weight"] in expected and shared(module.to("meta")) == expected


def test_an_unknown_norm_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="norm is 'batch'; choose from layer, rms"):
        make_norm("batch", D)
    for norm_first in (True, False):
        with pytest.raises(ValueError, match="norm is 'batch'; choose from layer, rms"):
            make_final_norm(D, norm="batch", norm_first=norm_first)


def test_a_final_norm_is_a_norm_after_pre_norm_layers_only():
    assert make_final_norm(D, norm="rms", epsilon=0.3).eps == 0.3
    norm = make_final_norm(D, bias=True)
    assert isinstance(norm, nn.LayerNorm) and norm.bias is not None
    assert isinstance(make_final_norm(D, norm_first=False), nn.Identity)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, math.nan, True, None])
@pytest.mark.parametrize(
    "build",
    [
        lambda dropout: GPT(9, width=8, num_heads=2, dropout=dropout),
        lambda dropout: RNNLM(9, width=8, dropout=dropout),
        lambda dropout: SelfAttention(8, num_heads=2, dropout=dropout),
        lambda dropout: make_rnn("gru", input_size=8, width=8, num_layers=2, dropout=dropout),
    ],
    ids=["GPT", "RNNLM", "SelfAttention", "make_rnn"],
)
def test_a_dropout_that_is_not_a_probability_is_refused(build, dropout):
    with pytest.raises(ValueError, match="dropout must be a number at least 0 and below 1"):
        build(dropout)

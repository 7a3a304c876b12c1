"""Layers of many models: scaled embedding, output layer, projection and norms."""

import pytest
import torch
from torch import nn

from tests.helpers.tensors import randn, randomize_weights, same
from utils.data.vocabulary import PAD
from utils.models.layers import OutputLayer, ScaledEmbedding, make_norm, make_projection

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
    assert make_projection(D, D)(x) is x
    projection = randomize_weights(make_projection(D, 4)).double()
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


def test_an_unknown_norm_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="norm is 'batch'; choose from layer, rms"):
        make_norm("batch", D)

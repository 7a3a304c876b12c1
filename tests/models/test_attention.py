"""Attention as a function: equal to loops and to torch's kernel, and masks by their definition."""

import math

import pytest
import torch
from torch.nn import functional as F

from tests.helpers.tensors import randn, same
from utils.models.attention import attention, fused_attention, masked_softmax
from utils.models.masks import causal_mask

B, T, S, H = 3, 5, 7, 3


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_attention_equals_its_formula_in_loops():
    q, k, v = randn(T, 4), randn(S, 4), randn(S, 2)
    means, weights = attention(q, k, v)
    for t in range(T):
        powers = [math.exp(sum(q[t, i] * k[s, i] for i in range(4)) / 2) for s in range(S)]
        for s in range(S):
            assert abs(weights[t, s] - powers[s] / sum(powers)) < 1e-12
        for i in range(2):
            assert abs(means[t, i] - sum(weights[t, s] * v[s, i] for s in range(S))) < 1e-12


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("mask_name", ["none", "causal", "padding", "window"])
def test_attention_equals_torchs_kernel_with_its_gradients(mask_name, dtype, tolerance):
    q, k, v = (randn(B, H, length, 4, dtype=dtype).requires_grad_() for length in (T, S, S))
    mask = {
        "none": None,
        "causal": causal_mask(T, S),
        "padding": torch.arange(S) < torch.tensor([7, 1, 3])[:, None, None, None],
        "window": causal_mask(T, S, window=2),
    }[mask_name]
    means, weights = attention(q, k, v, mask)
    fused_means = fused_attention(q, k, v, mask)
    torch_means = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert same(means, torch_means, tolerance) and same(fused_means, torch_means, tolerance)
    assert same(weights.sum(-1), torch.ones_like(weights[..., 0]), tolerance)
    assert mask is None or (weights.masked_select(~mask) == 0).all()
    gradients, fused_gradients = (
        torch.autograd.grad(result.sin().sum(), (q, k, v)) for result in (means, fused_means)
    )
    pairs = zip(gradients, fused_gradients, strict=True)
    assert all(same(a, b, 10 * tolerance) for a, b in pairs)


def test_the_kernels_causal_mask_is_the_causal_mask():
    q, k, v = (randn(B, H, T, 4) for _ in range(3))
    assert same(fused_attention(q, k, v, is_causal=True), fused_attention(q, k, v, causal_mask(T)))


@pytest.mark.parametrize("function", [lambda *arguments: attention(*arguments)[0], fused_attention])
def test_a_query_that_may_attend_to_nothing_gets_zero_and_no_nan(function):
    q, k, v = (randn(1, 1, length, 4).requires_grad_() for length in (T, S, S))
    mask = torch.ones(T, S, dtype=torch.bool)
    mask[2] = False
    means = function(q, k, v, mask)
    assert (means[0, 0, 2] == 0).all() and means[0, 0, [0, 1, 3, 4]].abs().min() > 0
    means.sin().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v))
    assert (q.grad[0, 0, 2] == 0).all() and q.grad[0, 0, 3].abs().min() > 0


def test_masked_softmax_is_the_softmax_of_what_the_mask_allows():
    scores = randn(4, S)
    assert same(masked_softmax(scores), scores.softmax(-1))
    mask = torch.arange(S) < torch.tensor([7, 1, 3, 0])[:, None]
    weights = masked_softmax(scores, mask)
    for row, length in enumerate([7, 1, 3, 0]):
        assert same(weights[row, :length], scores[row, :length].softmax(-1))
        assert (weights[row, length:] == 0).all()


def test_dropout_sets_weights_to_zero():
    q, k, v = (randn(B, H, length, 4) for length in (T, S, S))
    mask = causal_mask(T, S)
    for options in ({}, {"mask": mask}):
        plain, dropped = (fused_attention(q, k, v, **options, dropout=p) for p in (0.0, 0.5))
        assert not same(plain, dropped, 1e-3)


def test_the_kernels_own_causal_mask_takes_no_other_mask_and_as_many_queries_as_keys():
    q, k, v = (torch.randn(2, 5, 4) for _ in range(3))
    with pytest.raises(ValueError, match="is_causal needs as many queries as keys and no mask"):
        fused_attention(q, k, v, causal_mask(5), is_causal=True)
    with pytest.raises(ValueError, match=r"is_causal needs"):
        fused_attention(q[:, :2], k, v, is_causal=True)


@pytest.mark.parametrize("mask", [torch.ones(2, 2), torch.ones(2, 2, dtype=torch.int64), [[True]]])
def test_a_mask_that_is_not_boolean_is_refused(mask):
    x = torch.randn(2, 4)
    for call in (attention, fused_attention):
        with pytest.raises(ValueError, match="a mask is a bool tensor"):
            call(x, x, x, mask)
    with pytest.raises(ValueError, match="a mask is a bool tensor"):
        masked_softmax(x[:, :2], mask)


@pytest.mark.parametrize(
    "mask, expected",
    [
        (None, [[0.0, 0.0], [1.0, 0.0]]),
        (torch.tensor([True, True]), [[0.0, 0.0], [1.0, 0.0]]),
        (torch.tensor([False, True]), [[0.0, 0.0], [0.0, 0.0]]),
    ],
    ids=["no mask", "all", "second"],
)
def test_scores_of_minus_infinity_have_no_weights(mask, expected):
    scores = torch.tensor([[-math.inf, -math.inf], [2.0, -math.inf]], requires_grad=True)
    weights = masked_softmax(scores, mask)
    assert weights.tolist() == expected
    weights.square().sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_a_score_that_is_no_number_is_not_hidden():
    scores = torch.tensor([math.nan, 1.0])
    for mask in (None, torch.tensor([True, True])):
        assert masked_softmax(scores, mask).isnan().all()
    assert masked_softmax(scores, torch.tensor([False, True])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dropout", [float("nan"), -0.1, 1.0, 2.0, "0.1", True])
def test_the_fused_kernel_is_not_given_a_wrong_dropout(dropout):
    x = torch.ones(1, 2, 4)
    with pytest.raises(ValueError, match="dropout must be a number at least 0 and below 1, got"):
        fused_attention(x, x, x, dropout=dropout)


@pytest.mark.parametrize("function", [attention, fused_attention])
@pytest.mark.parametrize(
    "q, k, v, message",
    [
        ((5, 8), (5, 8), (3, 8), "each key needs one value: got 5 keys and 3 values"),
        ((5, 8), (1, 8), (5, 8), "each key needs one value: got 1 keys and 5 values"),
        ((5, 8), (5, 6), (5, 8), "queries and keys must have one width"),
        ((5, 0), (5, 0), (5, 8), "queries and keys must have one width, at least 1"),
    ],
)
@pytest.mark.parametrize("rows", [(), (1, 2)])
def test_sizes_that_do_not_suit_each_other_are_refused(function, q, k, v, rows, message):
    """The kernel of the CPU dropped keys without a value, and read beyond fewer keys than values.

    With 100,000 values and one key the process ended.
    """
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        function(*(torch.ones(*rows, *shape) for shape in (q, k, v)))


@pytest.mark.parametrize("function", [attention, fused_attention])
def test_what_has_no_vectors_is_refused(function):
    x = randn(T, 4)
    for wrong in (x[0], [[1.0]], None):
        with pytest.raises(ValueError, match="k must be a tensor of vectors"):
            function(x, wrong, x)


def test_masks_of_fewer_dimensions_are_broadcast_and_those_of_more_refused():
    q, k, v = randn(B, H, T, 4), randn(B, H, S, 4), randn(B, H, S, 4)
    for mask in (torch.arange(S) < 4, torch.tensor(True), torch.tensor([True])):
        assert same(fused_attention(q, k, v, mask), attention(q, k, v, mask)[0], 1e-12)
    with pytest.raises(ValueError, match="has more dimensions than q, k and v"):
        fused_attention(q, k, v, torch.ones(2, B, H, T, S, dtype=torch.bool))

"""Attention: by hand = the kernel, blind rows, masks, rotations, the cache."""

import math

import pytest
import torch
from tensors import random, same
from torch.nn import functional as F

from utils.decoding.state import select_rows
from utils.models import attention
from utils.models.multi_head import KVCache, SelfAttention
from utils.models.positions import rotary_angles, rotate, sinusoids

B, T, S, D, H = 3, 5, 7, 12, 3


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_the_formula_by_loops():
    q, k, v = random(T, 4), random(S, 4), random(S, 2)
    found, weights = attention.attention(q, k, v)
    for t in range(T):
        powers = [math.exp(sum(q[t, i] * k[s, i] for i in range(4)) / 2) for s in range(S)]
        for s in range(S):
            assert abs(weights[t, s] - powers[s] / sum(powers)) < 1e-12
        for i in range(2):
            assert abs(found[t, i] - sum(weights[t, s] * v[s, i] for s in range(S))) < 1e-12


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("kind", ["none", "causal", "padding", "window"])
def test_by_hand_is_torchs_kernel(kind, dtype, tolerance):
    q, k, v = (random(B, H, n, 4, dtype=dtype).requires_grad_() for n in (T, S, S))
    mask = {
        "none": None,
        "causal": attention.causal_mask(T, S),
        "padding": torch.arange(S) < torch.tensor([7, 1, 3])[:, None, None, None],
        "window": attention.causal_mask(T, S, window=2),
    }[kind]
    own, weights = attention.attention(q, k, v, mask)
    torchs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert same(own, torchs, tolerance) and same(
        attention.fused_attention(q, k, v, mask), torchs, tolerance
    )
    assert same(weights.sum(-1), torch.ones_like(weights[..., 0]), tolerance)
    assert mask is None or (weights.masked_select(~mask) == 0).all()
    together = (own.sin().sum(), attention.fused_attention(q, k, v, mask).sin().sum())
    by_hand, fused = (torch.autograd.grad(loss, (q, k, v)) for loss in together)
    assert all(same(a, b, 10 * tolerance) for a, b in zip(by_hand, fused, strict=True))


def test_causal_without_a_mask_is_the_causal_mask():
    q, k, v = (random(B, H, T, 4) for _ in range(3))
    assert same(
        attention.fused_attention(q, k, v, causal=True),
        attention.fused_attention(q, k, v, attention.causal_mask(T)),
    )


@pytest.mark.parametrize(
    "function", [lambda *a: attention.attention(*a)[0], attention.fused_attention]
)
def test_a_query_that_may_look_at_nothing_gets_zero_and_no_nan(function):
    q, k, v = (random(1, 1, n, 4).requires_grad_() for n in (T, S, S))
    mask = torch.ones(T, S, dtype=torch.bool)
    mask[2] = False
    found = function(q, k, v, mask)
    assert (found[0, 0, 2] == 0).all() and found[0, 0, [0, 1, 3, 4]].abs().min() > 0
    found.sin().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v))
    assert (q.grad[0, 0, 2] == 0).all() and q.grad[0, 0, 3].abs().min() > 0


def test_masks_from_their_definition():
    for T, S, window in [(4, 4, None), (2, 5, None), (1, 3, None), (5, 5, 2), (3, 6, 3), (2, 4, 1)]:
        mask = attention.causal_mask(T, S, window=window)
        for t in range(T):
            for s in range(S):
                place = S - T + t
                assert mask[t, s] == (s <= place and (window is None or place - s < window))


def test_sinusoids_from_the_paper():
    found = sinusoids(torch.tensor([[0, 1], [9, 300]]), 6, dtype=torch.float64)
    assert found.shape == (2, 2, 6)
    for place, row in zip([0, 1, 9, 300], found.flatten(0, 1), strict=True):
        for i in range(3):
            angle = place / 10000 ** (2 * i / 6)
            assert abs(row[2 * i] - math.sin(angle)) < 1e-12
            assert abs(row[2 * i + 1] - math.cos(angle)) < 1e-12


def test_rotated_scores_depend_on_the_distance_alone():
    def score(q, k, m, n):
        a = rotary_angles(torch.tensor([m, n]), 8, dtype=torch.float64)
        q, k = rotate(torch.stack([q, k]), a.cos(), a.sin())
        return q @ k

    q, k = random(2, 8)
    assert abs(score(q, k, 0, 0) - q @ k) < 1e-12
    for distance in (-3, 1, 40):
        scores = torch.stack([score(q, k, m + distance, m) for m in (5, 6, 100, 1000)])
        assert (scores - scores[0]).abs().max() < 1e-10
    assert abs(score(q, k, 6, 5) - score(q, k, 7, 5)) > 1e-3
    assert abs(score(q, k, 6, 5) - score(q, k, 5, 6)) > 1e-3


def test_a_rotation_keeps_lengths_and_turns_pairs_by_their_angle():
    a = rotary_angles(torch.arange(T), 6, dtype=torch.float64)
    x = random(B, T, 6)
    turned = rotate(x, a.cos(), a.sin())
    assert same(turned.norm(dim=-1), x.norm(dim=-1))
    complex_ = torch.complex(x[..., :3], x[..., 3:]) * torch.polar(torch.ones_like(a), a)
    assert same(turned, torch.cat([complex_.real, complex_.imag], -1))


@pytest.mark.parametrize("normalized", [False, True])
def test_heads_one_by_one(normalized):
    """Each head is attention on its own slice of queries, keys and values."""
    layer = SelfAttention(D, heads=H, qk_norm=normalized).double()
    x, heads = random(1, T, D), []
    for h in range(H):
        rows = slice(h * D // H, (h + 1) * D // H)
        q, k, v = (x[0] @ w[rows].T for w in layer.qkv.weight.chunk(3))
        if normalized:
            q, k = ((y / y.pow(2).mean(-1, keepdim=True).add(1e-6).sqrt()) for y in (q, k))
            q = 2 * q
        heads.append(attention.attention(q, k, v, attention.causal_mask(T))[0])
    assert same(layer(x)[0][0], torch.cat(heads, -1) @ layer.project.weight.T)


def test_padding_is_never_read_and_causal_padding_neither():
    token = torch.arange(T) < torch.tensor([5, 2, 4])[:, None]
    for causal in (False, True):
        layer = SelfAttention(D, heads=H, causal=causal).double()
        x = random(B, T, D)
        other = torch.where(token[..., None], x, random(B, T, D))
        a, b = layer(x, padding=token)[0], layer(other, padding=token)[0]
        assert same(a[token], b[token])
        assert not same(layer(x)[0][token], layer(other)[0][token]) or causal


def test_padding_at_the_beginning_gives_no_nan():
    token = torch.tensor([[False, False, True, True, True]])
    layer = SelfAttention(D, heads=H).double()
    x = random(1, T, D)
    found = layer(x, padding=token)[0]
    assert (found[0, :2] == 0).all(), "places that see padding alone"
    assert same(found[0, 2:], layer(x[:, 2:])[0][0])


def test_a_cache_grows_slides_and_reorders():
    k, v = random(2, B, H, 4, 2)
    more = random(2, B, H, 3, 2)
    cache = KVCache((k, v))
    grown = cache.extended(*more)
    assert same(grown[0], torch.cat([k, more[0]], 2)) and same(grown[1][:, :, 4:], more[1])
    assert cache[0].shape[2] == 4, "the old one stays"
    assert same(grown.last(2)[1], more[1][:, :, 1:]) and grown.last(0)[0].shape[2] == 0
    assert grown.last(99)[0].shape[2] == 7
    picked = select_rows(cache, torch.tensor([2, 0]))
    assert isinstance(picked, KVCache) and same(picked[1], v[[2, 0]])


def test_an_attention_that_is_not_causal_keeps_no_cache():
    assert SelfAttention(D, heads=H, causal=False)(torch.zeros(1, 2, D))[1] is None


def test_dropout_acts_on_the_weights_in_training_only():
    layer = SelfAttention(D, heads=H, dropout=0.5).double()
    x = random(B, T, D)
    assert not same(layer(x)[0], layer(x)[0])
    layer.eval()
    assert same(layer(x)[0], layer(x)[0])


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="5 heads do not divide a width of 12"):
        SelfAttention(12, heads=5)
    with pytest.raises(ValueError, match="heads do not divide"):
        SelfAttention(12, heads=0)
    with pytest.raises(ValueError, match="must be even, got 3"):
        rotary_angles(torch.arange(2), 3)

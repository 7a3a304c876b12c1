"""Attention and what stands around it: masks, positions, norms, the key–value cache, one layer.

GPT (``utils.lm``, section 6.2) is made of it, and the Transformer of section 7.3. Scaled dot
products, several heads, sinusoids: Vaswani et al. 2017; rotary positions: Su et al. 2021; RMSNorm:
Zhang and Sennrich 2019; squared ReLU: So et al. 2021; normalized queries and keys: Henry et al.
2020; sliding window: Beltagy et al. 2020. Masks are boolean, True where a query may look.
Letters: B batch, T queries, S keys, D model width, H heads; a head is D/H wide.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "relu2": lambda x: x * F.relu(x)}  # relu(x)²
NORMS = ("layer", "rms")
SHARPNESS = 2.0  # of normalized queries: scores lie within ±2√d, wide enough for a sharp softmax


def attention(q, k, v, mask=None) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(q kᵀ / √d) v, written out (Vaswani et al. 2017, eq. 1).

    q (…, T, d), k and v (…, S, d), mask (…, T, S) → the result (…, T, d) and the weights
    (…, T, S). A query that may look at nothing gets weights and a result of zero.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (…, T, S)
    if mask is None:
        weights = scores.softmax(-1)
    else:  # the lowest number, not −∞, whose softmax would be NaN where all is masked
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(~mask, 0.0)
    return weights @ v, weights


def attend(q, k, v, mask=None, causal: bool = False, dropout: float = 0.0) -> torch.Tensor:
    """The result of `attention` by torch's fused kernel; `causal` (T = S) stands for its mask."""
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=causal)
    blind = ~mask.any(-1, keepdim=True)  # (…, T, 1)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | blind, dropout_p=dropout)
    return found.masked_fill(blind, 0.0)


def causal_mask(T: int, S: int | None = None, window: int | None = None, device=None):
    """(T, S): the queries are the last T of S places; each sees itself and what came before.

    With `window`, it sees only the last `window` places, its own among them.
    """
    S = T if S is None else S
    distance = torch.arange(S - T, S, device=device)[:, None] - torch.arange(S, device=device)
    seen = distance >= 0  # (T, S)
    return seen if window is None else seen & (distance < window)


def angles(positions: torch.Tensor, width: int, dtype=torch.float32) -> torch.Tensor:
    """positions (…) → position · 10000^(−2i/width) for i = 0 … width/2 − 1, (…, width/2).

    Raises ValueError for an odd width: the angles turn pairs of numbers.
    """
    if width % 2:
        raise ValueError(f"angles turn pairs of numbers: the width must be even, got {width}")
    exponent = torch.arange(0, width, 2, device=positions.device, dtype=dtype) / width
    return positions[..., None].to(dtype) * 10000.0**-exponent


def sinusoids(positions: torch.Tensor, width: int, dtype=torch.float32) -> torch.Tensor:
    """positions (…) → (…, width): sine and cosine of each angle in turn."""
    a = angles(positions, width, dtype)
    return torch.stack([a.sin(), a.cos()], -1).flatten(-2)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn number i and number i + d/2 of x (…, d), as a pair, by angle i.

    cos and sin of the angles: (…, d/2). The product of two turned vectors depends on the
    difference of their positions alone.
    """
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)  # (…, d)
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def root_mean_square(x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """x (…, D) over the root of its mean square."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


class RMSNorm(nn.Module):
    """`root_mean_square` times a learned gain a number; no mean is taken off, no bias added."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return root_mean_square(x) * self.weight


def make_norm(kind: str, width: int, bias: bool = True) -> nn.Module:
    """A norm by name; raises ValueError for an unknown one."""
    if kind not in NORMS:
        raise ValueError(f"norm is {kind!r}; choose from {', '.join(NORMS)}")
    return RMSNorm(width) if kind == "rms" else nn.LayerNorm(width, bias=bias)


class KVCache(tuple):
    """Keys and values of the places read so far, each (B, H, S, D/H): one layer's memory.

    A tuple of tensors with the batch first, so that ``decoding.reorder`` can pick its rows.
    """

    def extended(self, k: torch.Tensor, v: torch.Tensor) -> KVCache:
        """With the keys and values of T more places; this cache stays as it was."""
        return KVCache(torch.cat(pair, 2) for pair in zip(self, (k, v), strict=True))

    def last(self, count: int) -> KVCache:
        """The last `count` places at most."""
        return KVCache(x[:, :, max(0, x.shape[2] - count) :] for x in self)


class SelfAttention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, 3.2.2).

    `width` D, divided among `heads` H. `causal`: a place does not see later ones, and with
    `window` only the last `window` places. `normalized`: keys have mean square 1 and queries
    twice their length.
    Raises ValueError where the heads do not divide the width.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        causal: bool = True,
        window: int | None = None,
        normalized: bool = False,
        bias: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        if heads < 1 or width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width} evenly")
        self.heads, self.causal, self.window = heads, causal, window
        self.normalized, self.dropout = normalized, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.project = nn.Linear(width, width, bias=bias)

    def forward(self, x, cache: KVCache | None = None, turn=None, padding=None):
        """x (B, T, D) → (B, T, D) and the cache with these T places (None unless causal).

        `cache`: the places before; `turn`: cos and sin of the rotary angles of the T places,
        (B or 1, 1, T, D/2H) each; `padding` (B, S): True where a key is a token, not padding.
        """
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        qk, v = qkv[:2], qkv[2]  # (2, B, H, T, D/H) and (B, H, T, D/H)
        qk = root_mean_square(qk) if self.normalized else qk
        q, k = qk if turn is None else rotate(qk, *turn)
        q = q * SHARPNESS if self.normalized else q
        known = KVCache((k, v)) if cache is None else KVCache(cache).extended(k, v)
        dropout = self.dropout if self.training else 0.0
        whole, mask = self._mask(q.shape[2], known[0].shape[2], padding, x.device)
        found = attend(q, *known, mask, whole, dropout)  # (B, H, T, D/H)
        kept = known if self.window is None else known.last(self.window - 1)
        return self.project(found.transpose(1, 2).flatten(2)), kept if self.causal else None

    def _mask(self, T: int, S: int, padding, device) -> tuple[bool, torch.Tensor | None]:
        """Whether the kernel's own causal mask will do, else the mask, or None to see all."""
        within = self.window is None or S <= self.window
        if padding is None and within and (not self.causal or T in (1, S)):
            return self.causal and T == S, None
        mask = causal_mask(T, S, self.window, device) if self.causal else None  # (T, S)
        if padding is None:
            return False, mask
        seen = padding[:, None, None, :]  # (B, 1, 1, S)
        return False, seen if mask is None else seen & mask


class Layer(nn.Module):
    """One pre-norm layer: x + attention(norm(x)), then x + feed-forward(norm(x)).

    The hidden layer is 4·D wide. `attention` takes what `SelfAttention` takes. Raises ValueError
    for an unknown activation or norm.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        norm: str = "layer",
        activation: str = "gelu",
        bias: bool = False,
        dropout: float = 0.0,
        **attention,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; choose from {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.norm1, self.norm2 = make_norm(norm, width, bias), make_norm(norm, width, bias)
        self.attention = SelfAttention(width, heads, bias=bias, dropout=dropout, **attention)
        self.expand = nn.Linear(width, 4 * width, bias=bias)
        self.contract = nn.Linear(4 * width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, cache: KVCache | None = None, turn=None, padding=None):
        """x (B, T, D) → (B, T, D) and the cache, as `SelfAttention`."""
        found, cache = self.attention(self.norm1(x), cache, turn, padding)
        x = x + self.dropout(found)
        hidden = self.activation(self.expand(self.norm2(x)))  # (B, T, 4·D)
        return x + self.dropout(self.contract(self.dropout(hidden))), cache

"""Attention: scores, masks, positions, the key–value cache, many heads.

The recurrent decoders of ``utils.seq2seq`` (sections 4.2 and 6.3) use the first part, GPT (6.2) and
the Transformer (7.3) all of it. Additive scores: Bahdanau et al. 2015; with location: Chorowski et
al. 2015; multiplicative: Luong et al. 2015; scaled dot products, several heads, sinusoids: Vaswani
et al. 2017; rotary positions: Su et al. 2021; normalized queries and keys: Henry et al. 2020;
sliding window: Beltagy et al. 2020. Masks are boolean, True where a query may look.
Letters: B batch, T queries, S keys, D model width, H heads; a head is D/H wide.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

SHARPNESS = 2.0  # of normalized queries: scores lie within ±2√d, wide enough for a sharp softmax


def attention(q, k, v, mask=None) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(q kᵀ / √d) v, written out (``eq-scaled-attention``; Vaswani et al. 2017, eq. 1).

    q (…, T, d), k and v (…, S, d), mask (…, T, S) → the result (…, T, d) and the weights
    (…, T, S). A query that may look at nothing gets weights and a result of zero.
    """
    weights = masked_softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]), mask)  # (…, T, S)
    return weights @ v, weights


def masked_softmax(scores: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Scores (…, S) → weights that sum to 1 where `mask` is True, all 0 where it is nowhere."""
    if mask is None:
        return scores.softmax(-1)
    # the lowest number, not −∞, whose softmax would be NaN where all is masked
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).masked_fill(~mask, 0.0)


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

    At least in single precision: half of it cannot count beyond some hundreds of places.
    Raises ValueError for an odd width: the angles turn pairs of numbers.
    """
    if width % 2:
        raise ValueError(f"angles turn pairs of numbers: the width must be even, got {width}")
    dtype = torch.promote_types(dtype, torch.float32)
    exponent = torch.arange(0, width, 2, device=positions.device, dtype=dtype) / width
    return positions[..., None].to(dtype) * 10000.0**-exponent


def sinusoids(positions: torch.Tensor, width: int, dtype=torch.float32) -> torch.Tensor:
    """positions (…) → (…, width): sine and cosine of each angle in turn (``eq-sinusoids``)."""
    a = angles(positions, width, dtype)
    return torch.stack([a.sin(), a.cos()], -1).flatten(-2).to(dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn number i and number i + d/2 of x (…, d), as a pair, by angle i (``eq-rotary``).

    cos and sin of the angles: (…, d/2). The product of two turned vectors depends on the
    difference of their positions alone (``eq-rotary-score``).
    """
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)  # (…, d)
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def root_mean_square(x: torch.Tensor, eps: float = 1e-6) -> torch.Tensor:
    """x (…, D) over the root of its mean square."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


class KVCache(tuple):
    """Keys and values of the places read so far, each (B, H, S, D/H): one layer's memory.

    A tuple of tensors with the batch first, so that ``decoding.reorder`` can pick its rows.
    """

    def extended(self, k: torch.Tensor, v: torch.Tensor) -> KVCache:
        """With the keys and values of T more places; this cache stays as it was."""
        return KVCache([torch.cat(pair, 2) for pair in zip(self, (k, v), strict=True)])

    def last(self, count: int) -> KVCache:
        """The last `count` places at most."""
        return KVCache([x[:, :, max(0, x.shape[2] - count) :] for x in self])


class Multiplicative(nn.Module):
    """Scores qᵀ W k of queries and places of D numbers each (``eq-score-multiplicative``).

    Luong et al. 2015, "general".
    """

    def __init__(self, width: int):
        super().__init__()
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """query (B, T, D) and keys (B, S, D), which are ``self.key(places)`` → (B, T, S)."""
        return query @ keys.mT


class Scaled(Multiplicative):
    """Multiplicative scores over √D (``eq-score-scaled``; the root: Vaswani et al. 2017).

    They grow with the width no more, so that the softmax starts soft and its gradient alive.
    """

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """query (B, T, D) and keys (B, S, D), which are ``self.key(places)`` → (B, T, S)."""
        return super().forward(query, keys) / math.sqrt(query.shape[-1])


class Additive(nn.Module):
    """Scores ωᵀ tanh(W q + U k + b) of queries and places of D numbers (``eq-score-additive``).

    Bahdanau et al. 2015.
    """

    def __init__(self, width: int):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """query (B, T, D) and keys (B, S, D), which are ``self.key(places)`` → (B, T, S)."""
        hidden = (self.query(query)[:, :, None] + keys[:, None]).tanh()  # (B, T, S, D)
        return self.weigh(hidden)[..., 0]


class Location(Additive):
    """Scores ωᵀ tanh(W q + U k + Q f + b); f tells where one looked last (``eq-score-location``).

    f is the last weights convolved with `filters` filters that reach `reach` places to either
    side. Chorowski et al. 2015. Each step needs the weights of the step before: no two at once.
    """

    def __init__(self, width: int, filters: int = 8, reach: int = 7):
        super().__init__(width)
        self.around = nn.Conv1d(1, filters, 2 * reach + 1, padding=reach, bias=False)
        self.place = nn.Linear(filters, width, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """query (B, 1, D), keys (B, S, D) = ``self.key(places)``, last weights (B, S) → (B, 1, S).

        Before the first step nothing has been looked at: all weights 0.
        """
        assert query.shape[1] == 1, "a step's scores need the weights of the step before"
        f = self.around(last[:, None]).mT  # (B, S, filters)
        return super().forward(query, keys + self.place(f))


SCORES = {
    "additive": Additive,
    "location": Location,
    "multiplicative": Multiplicative,
    "scaled": Scaled,
}


def check_heads(width: int, heads: int) -> None:
    """Raise ValueError where the heads do not divide the width."""
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads do not divide a width of {width} evenly")


class SelfAttention(nn.Module):
    """Multi-head self-attention (``eq-multi-head``; Vaswani et al. 2017, 3.2.2).

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
        check_heads(width, heads)
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
            return (True if self.causal and T == S else False), None  # no symbol, when compiled
        mask = causal_mask(T, S, self.window, device) if self.causal else None  # (T, S)
        if padding is None:
            return False, mask
        seen = padding[:, None, None, :]  # (B, 1, 1, S)
        return False, seen if mask is None else seen & mask


class CrossAttention(nn.Module):
    """Multi-head attention from T places of a decoder to the S places of an encoder's memory.

    `width` D, divided among `heads` H, as in `SelfAttention`.
    """

    def __init__(self, width: int, heads: int, bias: bool = False, dropout: float = 0.0):
        super().__init__()
        check_heads(width, heads)
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width, bias=bias)
        self.kv = nn.Linear(width, 2 * width, bias=bias)
        self.project = nn.Linear(width, width, bias=bias)

    def known(self, memory: torch.Tensor) -> KVCache:
        """Keys and values of the memory (B, S, D): they stay the same for every token written."""
        return KVCache(self.kv(memory).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4))

    def queries(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, T, D) → (B, H, T, D/H)."""
        return self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor, known: KVCache, seen: torch.Tensor | None = None):
        """x (B, T, D), `known` of the memory, `seen` (B, S): False for padding → (B, T, D)."""
        dropout = self.dropout if self.training else 0.0
        mask = None if seen is None else seen[:, None, None, :]  # (B, 1, 1, S)
        found = attend(self.queries(x), *known, mask, dropout=dropout)  # (B, H, T, D/H)
        return self.project(found.transpose(1, 2).flatten(2))

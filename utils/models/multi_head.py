"""Multi-head attention, to a text's own tokens and to an encoder's states.

Derived in section 7.3. Multi-head attention: Vaswani et al. 2017; normalized queries and keys:
Henry et al. 2020; sliding window: Beltagy et al. 2020.

Letters: B batch size, T queries, S keys, D model width, H heads; a head has width D/H.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_bool, check_number, check_positive, if_given
from utils.models.attention import fused_attention
from utils.models.kv_cache import KVCache
from utils.models.layers import MIN_EPSILON, RMS_EPSILON
from utils.models.masks import causal_mask
from utils.models.positions import RotaryAngles, rotate
from utils.models.typed_module import TypedModule

QUERY_SCALE = 2.0
"""Factor of normalized queries. Scores then lie within ±2√d, enough for a sharp softmax."""


class _Mask(NamedTuple):
    """Which keys a query may attend to: a mask, or the causal one of the fused kernel."""

    mask: torch.Tensor | None  # broadcast to (B, H, T, S); None if none is needed
    is_causal: bool  # whether the kernel applies its own causal mask


def check_heads(width: int, num_heads: int) -> None:
    """Check that a vector of length `width` can be divided among attention heads.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `num_heads` does not divide `width`.
    """
    check_positive(width=width, num_heads=num_heads)
    if width % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {width} evenly")


class SelfAttention(TypedModule):
    """Multi-head self-attention.

    Source: ``eq-multi-head`` (section 7.3); Vaswani et al. 2017, section 3.2.2.

    Parameters
    ----------
    width
        Length D of an input and of an output vector.
    num_heads
        Number H of heads, each of width D/H.
    causal
        Causal attention: a token attends to itself and to preceding tokens only.
    window
        Sliding window: a token attends to the last `window` tokens only, including itself; None for
        all. It requires causal attention.
    qk_norm
        Normalize queries and keys to mean square 1, then multiply queries by `QUERY_SCALE`.
    norm_epsilon
        Epsilon of that normalization.
    bias
        Give the linear maps a bias.
    dropout
        Dropout probability of the attention weights.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `num_heads` does not divide `width`, attention with a
        window is not causal, epsilon is below `MIN_EPSILON`, or `dropout` is not from 0 to 1.

    Examples
    --------
    >>> import torch
    >>> from utils.models.multi_head import SelfAttention
    >>> attention = SelfAttention(32, num_heads=4)
    >>> out, cache = attention(torch.randn(2, 5, 32))
    >>> out.shape, cache.keys.shape
    (torch.Size([2, 5, 32]), torch.Size([2, 4, 5, 8]))
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        causal: bool = True,
        window: int | None = None,
        qk_norm: bool = False,
        norm_epsilon: float = RMS_EPSILON,
        bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(width, num_heads)
        check_positive(**if_given(window=window))
        check_number(minimum=MIN_EPSILON, norm_epsilon=norm_epsilon)
        check_number(minimum=0, below=1, dropout=dropout)
        check_bool(causal=causal, qk_norm=qk_norm, bias=bias)
        if window is not None and not causal:
            raise ValueError(
                f"window={window} needs causal=True: attention in both directions has no window"
            )
        self.num_heads = num_heads
        self.causal = causal
        self.window = window
        self.qk_norm = qk_norm
        self.norm_epsilon = norm_epsilon
        self.dropout = dropout
        self.qkv_projection = nn.Linear(width, 3 * width, bias=bias)
        self.output_projection = nn.Linear(width, width, bias=bias)

    def forward(
        self,
        x: torch.Tensor,
        *,
        cache: KVCache | None = None,
        rotary: RotaryAngles | None = None,
        is_token: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, KVCache | None]:
        """Let each of T tokens attend to these tokens and to those in the cache.

        Parameters
        ----------
        x
            Vectors of T tokens, (B, T, D).
        cache
            Keys and values of the tokens before these T; None if there are none.
        rotary
            Rotation of queries and keys by the positions of the T tokens.
        is_token
            True where there is a token, False for padding, for the S tokens of cache and `x`
            together, (B, S) bool; None if there is no padding.

        Returns
        -------
        out : torch.Tensor
            One vector for each token, (B, T, D).
        cache : KVCache or None
            The cache for the next call; None unless `causal`.
        """
        q, k, v = self._project_heads(x, rotary)  # (B, H, T, D/H) each
        full = KVCache(k, v) if cache is None else cache.extended(k, v)  # (B, H, S, D/H)
        mask, is_causal = self._choose_mask(q.shape[2], full.keys.shape[2], is_token, x.device)
        dropout = self.dropout if self.training else 0.0
        means = fused_attention(
            q, full.keys, full.values, mask, is_causal=is_causal, dropout=dropout
        )  # (B, H, T, D/H)
        out = self.output_projection(means.transpose(1, 2).flatten(2))  # (B, T, D)
        if not self.causal:
            return out, None
        return out, full if self.window is None else full.last(self.window - 1)

    def _project_heads(
        self, x: torch.Tensor, rotary: RotaryAngles | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries, keys and values of `x` (B, T, D), each (B, H, T, D/H)."""
        qkv = self.qkv_projection(x).unflatten(-1, (3, self.num_heads, -1))  # (B, T, 3, H, D/H)
        qk, v = qkv[:, :, :2], qkv[:, :, 2]
        if self.qk_norm:
            # before the axes are permuted, because the result is contiguous: the kernel's output
            # then has the layout of `x`, and its heads are joined without a copy
            qk = F.rms_norm(qk, qk.shape[-1:], eps=self.norm_epsilon)
        qk = qk.permute(2, 0, 3, 1, 4)  # (2, B, H, T, D/H)
        v = v.transpose(1, 2)  # (B, H, T, D/H)
        if rotary is not None:
            qk = rotate(qk, rotary.cos, rotary.sin)
        q, k = qk
        return (q * QUERY_SCALE if self.qk_norm else q), k, v

    def _choose_mask(
        self, T: int, S: int, is_token: torch.Tensor | None, device: torch.device
    ) -> _Mask:
        """Return the mask of T queries and S keys."""
        fits_window = self.window is None or S <= self.window
        if is_token is None and fits_window and (not self.causal or T in (1, S)):
            # a Python bool, not a SymBool, when the model is compiled for any T
            return _Mask(None, is_causal=True if self.causal and T == S else False)
        mask = causal_mask(T, S, window=self.window, device=device) if self.causal else None
        if is_token is None:
            return _Mask(mask, is_causal=False)  # (T, S)
        key_mask = is_token[:, None, None, :]  # (B, 1, 1, S)
        return _Mask(key_mask if mask is None else key_mask & mask, is_causal=False)


class CrossAttention(TypedModule):
    """Multi-head attention from the T tokens of a decoder to the S states of an encoder.

    Source: ``eq-multi-head`` (section 7.3); Vaswani et al. 2017, section 3.2.3.

    Parameters
    ----------
    width
        Length D of the vectors of both.
    num_heads
        Number H of heads, each of width D/H.
    bias
        Give the linear maps a bias.
    dropout
        Dropout probability of the attention weights.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `num_heads` does not divide `width`, or `dropout` is
        not from 0 to 1.

    Examples
    --------
    >>> import torch
    >>> from utils.models.multi_head import CrossAttention
    >>> attention = CrossAttention(32, num_heads=4)
    >>> memory_cache = attention.project_memory(torch.randn(2, 7, 32))
    >>> attention(torch.randn(2, 5, 32), memory_cache).shape
    torch.Size([2, 5, 32])
    """

    def __init__(
        self, width: int, *, num_heads: int, bias: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_heads(width, num_heads)
        check_number(minimum=0, below=1, dropout=dropout)
        check_bool(bias=bias)
        self.num_heads = num_heads
        self.dropout = dropout
        self.query_projection = nn.Linear(width, width, bias=bias)
        self.kv_projection = nn.Linear(width, 2 * width, bias=bias)
        self.output_projection = nn.Linear(width, width, bias=bias)

    def project_memory(self, states: torch.Tensor) -> KVCache:
        """Compute the keys and values of a source.

        They are the same for every token of the target: compute them once for each source.

        Parameters
        ----------
        states
            States of the encoder, (B, S, D).

        Returns
        -------
        cache : KVCache
            Keys and values, each (B, H, S, D/H).
        """
        kv = self.kv_projection(states).unflatten(-1, (2, self.num_heads, -1))  # (B, S, 2, H, D/H)
        keys, values = kv.permute(2, 0, 3, 1, 4)  # (B, H, S, D/H) each
        return KVCache(keys, values)

    def project_queries(self, x: torch.Tensor) -> torch.Tensor:
        """Return the queries (B, H, T, D/H) of the decoder's vectors `x` (B, T, D)."""
        queries: torch.Tensor = self.query_projection(x).unflatten(-1, (self.num_heads, -1))
        return queries.transpose(1, 2)

    def forward(
        self, x: torch.Tensor, memory_cache: KVCache, is_token: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Let each token of the decoder attend to the encoder's states.

        Parameters
        ----------
        x
            Vectors of the decoder's tokens, (B, T, D).
        memory_cache
            Keys and values of the source, from the method `project_memory`.
        is_token
            True where the source has a token, (B, S) bool; None if it has no padding.

        Returns
        -------
        output : torch.Tensor
            The result, (B, T, D).
        """
        mask = None if is_token is None else is_token[:, None, None, :]  # (B, 1, 1, S)
        dropout = self.dropout if self.training else 0.0
        keys, values = memory_cache
        queries = self.project_queries(x)  # (B, H, T, D/H)
        means = fused_attention(queries, keys, values, mask, dropout=dropout)  # (B, H, T, D/H)
        output: torch.Tensor = self.output_projection(means.transpose(1, 2).flatten(2))  # (B, T, D)
        return output

"""One layer of a Transformer, as encoders, decoders and GPT stack them.

Derived in section 7.3. Layer: Vaswani et al. 2017; norm before or after: Xiong et al. 2020; squared
ReLU: So et al. 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_choice
from utils.models.contract import TypedModule
from utils.models.kv_cache import KVCache
from utils.models.layers import Norm, make_norm
from utils.models.multi_head import CrossAttention, SelfAttention
from utils.models.positions import Rotary


def squared_relu(x: torch.Tensor) -> torch.Tensor:
    """Return relu(x)² for each number of `x`."""
    return x * F.relu(x)


Activation: TypeAlias = Literal["gelu", "relu", "squared_relu"]
"""The name of an activation function of a feed-forward network."""

ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "squared_relu": squared_relu,
}
"""Activation functions of a feed-forward network by name."""


class TransformerLayer(TypedModule):
    """Layer of a Transformer: self-attention, optional cross-attention, feed-forward network.

    Each part f has a residual connection: x + f(norm(x)) with `norm_first`, else norm(x + f(x)).

    Source: ``eq-pre-norm``, ``eq-post-norm`` and ``eq-feed-forward`` (section 7.3); Vaswani et al.
    2017, section 3.1; Xiong et al. 2020.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_heads
        Number H of attention heads, each of width D/H.
    norm
        A name for `make_norm`.
    activation
        Activation of the feed-forward network, a key of `ACTIVATIONS`.
    bias
        Give linear maps and LayerNorms a bias.
    dropout
        Probability of dropout, on attention weights, on hidden units of the feed-forward network
        and on what each part adds to the residual.
    norm_first
        Normalize before each part (pre-norm), not after it (post-norm).
    use_cross_attention
        Add attention to the states of an encoder.
    feedforward_size
        Number of hidden units of the feed-forward network, 4·D where not given.
    causal, window, qk_norm
        As in `SelfAttention`.

    Raises
    ------
    ValueError
        If the activation or the norm is unknown, or `num_heads` does not divide `width`.
    """

    def __init__(
        self,
        width: int,
        *,
        num_heads: int,
        norm: Norm = "layer",
        activation: Activation = "gelu",
        bias: bool = False,
        dropout: float = 0.0,
        norm_first: bool = True,
        use_cross_attention: bool = False,
        feedforward_size: int | None = None,
        causal: bool = True,
        window: int | None = None,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        feedforward_size = 4 * width if feedforward_size is None else feedforward_size
        self.activation = ACTIVATIONS[activation]
        self.norm_first = norm_first
        self.attention_norm = make_norm(norm, width, bias=bias)
        self.feedforward_norm = make_norm(norm, width, bias=bias)
        self.attention = SelfAttention(
            width,
            num_heads=num_heads,
            causal=causal,
            window=window,
            qk_norm=qk_norm,
            bias=bias,
            dropout=dropout,
        )
        self.cross_attention_norm: nn.Module | None = None
        self.cross_attention: CrossAttention | None = None
        if use_cross_attention:
            self.cross_attention_norm = make_norm(norm, width, bias=bias)
            self.cross_attention = CrossAttention(
                width, num_heads=num_heads, bias=bias, dropout=dropout
            )
        self.up_projection = nn.Linear(width, feedforward_size, bias=bias)
        self.down_projection = nn.Linear(feedforward_size, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        *,
        cache: KVCache | None = None,
        rotary: Rotary | None = None,
        is_token: torch.Tensor | None = None,
        memory_cache: KVCache | None = None,
        memory_is_token: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, KVCache | None]:
        """Apply the layer to the vectors of T tokens.

        Parameters
        ----------
        x
            Vectors of T tokens, (B, T, D).
        cache, rotary, is_token
            As in `SelfAttention.forward`.
        memory_cache
            Keys and values of the encoder's states, from `CrossAttention.project_memory`; a layer
            with cross-attention needs them.
        memory_is_token
            True where the source has a token, (B, S) bool; None where it has no padding.

        Returns
        -------
        x : torch.Tensor
            One vector for each token, (B, T, D).
        cache : KVCache or None
            The cache for the next call; None unless `causal`.

        Raises
        ------
        ValueError
            If the layer has cross-attention and `memory_cache` is None.
        """
        normed = self._norm_before(self.attention_norm, x)
        update, cache = self.attention(normed, cache=cache, rotary=rotary, is_token=is_token)
        x = self._add(self.attention_norm, x, update)
        x = self._attend_to_source(x, memory_cache, memory_is_token)
        update = self._feed_forward(self._norm_before(self.feedforward_norm, x))
        return self._add(self.feedforward_norm, x, update), cache

    def _attend_to_source(
        self, x: torch.Tensor, memory_cache: KVCache | None, memory_is_token: torch.Tensor | None
    ) -> torch.Tensor:
        """Apply the part of the layer with cross-attention to `x`, in a layer that has one."""
        if self.cross_attention is None or self.cross_attention_norm is None:
            return x
        if memory_cache is None:
            raise ValueError(
                "a layer with cross-attention needs memory_cache, keys and values of a source"
            )
        normed = self._norm_before(self.cross_attention_norm, x)
        update = self.cross_attention(normed, memory_cache, memory_is_token)
        return self._add(self.cross_attention_norm, x, update)

    def _feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result (B, T, D) of the feed-forward network for `x` (B, T, D)."""
        hidden = self.activation(self.up_projection(x))  # (B, T, feedforward_size)
        return self.down_projection(self.dropout(hidden))  # (B, T, D)

    def _norm_before(self, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return what a part of the layer reads: in a pre-norm layer, the normalized `x`."""
        return norm(x) if self.norm_first else x

    def _add(self, norm: nn.Module, x: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        """Add what a part of the layer computed to `x`; in a post-norm layer, normalize the sum."""
        x = x + self.dropout(update)
        return x if self.norm_first else norm(x)


def make_final_norm(
    width: int, *, norm_first: bool = True, norm: Norm = "layer", bias: bool = False
) -> nn.Module:
    """Build the last norm of a stack: a norm after pre-norm layers, the identity after post-norm.

    Parameters
    ----------
    width
        Length D of the vectors.
    norm_first
        Whether the layers are pre-norm. Then their sum is not normalized, and one more norm is
        needed; post-norm layers need none.
    norm
        "layer" or "rms".
    bias
        Give a LayerNorm a bias.

    Returns
    -------
    torch.nn.Module
        A norm, or the identity.

    Raises
    ------
    ValueError
        If the layers are pre-norm and the name of the norm is unknown.
    """
    return make_norm(norm, width, bias=bias) if norm_first else nn.Identity()

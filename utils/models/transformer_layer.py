"""One layer of a Transformer, as encoders, decoders and GPT stack them.

Derived in section 7.3. Layer: Vaswani et al. 2017; norm before or after: Xiong et al. 2020; squared
ReLU: So et al. 2021; gated feed-forward network: Shazeer 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_bool, check_choice, check_positive, if_given
from utils.models.kv_cache import KVCache
from utils.models.layers import RMS_EPSILON, Norm, make_dropout, make_norm
from utils.models.multi_head import CrossAttention, SelfAttention
from utils.models.positions import RotaryAngles
from utils.models.typed_module import TypedModule


def squared_relu(x: torch.Tensor) -> torch.Tensor:
    """Return relu(x)² for each number of `x`."""
    return x * F.relu(x)


Activation: TypeAlias = Literal["gelu", "relu", "silu", "squared_relu", "swiglu"]
"""The name of an activation of a feed-forward network."""

ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
    "squared_relu": squared_relu,
    "swiglu": F.silu,
}
"""Activation functions of a feed-forward network by name."""

GATED_ACTIVATIONS: tuple[Activation, ...] = ("swiglu",)
"""Those whose result multiplies a second linear map of the input."""


class TransformerLayer(TypedModule):
    """Layer of a Transformer: self-attention, optional cross-attention, feed-forward network.

    Each part f has a residual connection: x + f(norm(x)) with `norm_first`, else norm(x + f(x)).
    The feed-forward network computes W₂ a(W₁ x) for an activation a, and with "swiglu"
    W₂ (silu(W₃ x) ⊙ W₁ x), with 1.5 times as many parameters.

    Source: ``eq-pre-norm``, ``eq-post-norm`` and ``eq-feed-forward`` (section 7.3); Vaswani et al.
    2017, section 3.1; Xiong et al. 2020; Shazeer 2020, eq. 6.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_heads
        Number H of attention heads, each of width D/H.
    norm
        "layer" or "rms" (see `make_norm`).
    activation
        Activation of the feed-forward network: "gelu", "relu", "silu", "squared_relu" or "swiglu".
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
        Number of hidden units of the feed-forward network, 4·D by default.
    causal, window, qk_norm
        As in `SelfAttention`.
    norm_epsilon
        Epsilon of all norms, including that of queries and keys; None for the default of each (see
        `make_norm`).

    Raises
    ------
    ValueError
        If the activation or the norm is unknown, `num_heads` does not divide `width`, a size is not
        a positive integer, or as in `SelfAttention`.
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
        norm_epsilon: float | None = None,
    ) -> None:
        super().__init__()
        check_choice(ACTIVATIONS, activation=activation)
        check_bool(norm_first=norm_first, use_cross_attention=use_cross_attention)
        check_positive(
            width=width, num_heads=num_heads, **if_given(feedforward_size=feedforward_size)
        )
        feedforward_size = 4 * width if feedforward_size is None else feedforward_size
        self.activation = ACTIVATIONS[activation]
        self.norm_first = norm_first
        self.attention_norm = make_norm(norm, width, bias=bias, epsilon=norm_epsilon)
        self.feedforward_norm = make_norm(norm, width, bias=bias, epsilon=norm_epsilon)
        self.attention = SelfAttention(
            width,
            num_heads=num_heads,
            causal=causal,
            window=window,
            qk_norm=qk_norm,
            norm_epsilon=RMS_EPSILON if norm_epsilon is None else norm_epsilon,
            bias=bias,
            dropout=dropout,
        )
        self.cross_attention_norm: nn.Module | None = None
        self.cross_attention: CrossAttention | None = None
        if use_cross_attention:
            self.cross_attention_norm = make_norm(norm, width, bias=bias, epsilon=norm_epsilon)
            self.cross_attention = CrossAttention(
                width, num_heads=num_heads, bias=bias, dropout=dropout
            )
        self.up_projection = nn.Linear(width, feedforward_size, bias=bias)
        self.down_projection = nn.Linear(feedforward_size, width, bias=bias)
        self.gate_projection: nn.Linear | None = None
        if activation in GATED_ACTIVATIONS:
            self.gate_projection = nn.Linear(width, feedforward_size, bias=bias)
        self.dropout = make_dropout(dropout)

    def forward(
        self,
        x: torch.Tensor,
        *,
        cache: KVCache | None = None,
        rotary: RotaryAngles | None = None,
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
            Keys and values of the encoder's states, from `CrossAttention.project_memory`; required
            by a layer with cross-attention.
        memory_is_token
            True where the source has a token, (B, S) bool; None if it has no padding.

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
        """Apply cross-attention to `x`, in a layer that has it."""
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
        hidden = self.up_projection(x)  # (B, T, feedforward_size)
        if self.gate_projection is None:
            hidden = self.activation(hidden)
        else:
            hidden = hidden * self.activation(self.gate_projection(x))
        output: torch.Tensor = self.down_projection(self.dropout(hidden))  # (B, T, D)
        return output

    def _norm_before(self, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return what a part of the layer reads: in a pre-norm layer, the normalized `x`."""
        return norm(x) if self.norm_first else x

    def _add(self, norm: nn.Module, x: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        """Add what a part of the layer computed to `x`; in a post-norm layer, normalize the sum."""
        x = x + self.dropout(update)
        return x if self.norm_first else norm(x)

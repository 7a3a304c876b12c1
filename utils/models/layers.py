"""Parts that models are stacked from: embedding, norms, Transformer layer, gated convolution.

Derived in sections 7.3 and 3.2 (the gated convolution). Transformer layer and scaled embedding:
Vaswani et al. 2017; norm before or after: Xiong et al. 2020; RMSNorm: Zhang and Sennrich 2019;
squared ReLU: So et al. 2021; gated convolution: Dauphin et al. 2017 and Gehring et al. 2017; tied
embeddings: Press and Wolf 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import torch
from torch import nn
from torch.nn import functional as F

from utils.models.multi_head import RMS_EPSILON, CrossAttention, KVCache, SelfAttention
from utils.models.positions import Rotary


def squared_relu(x: torch.Tensor) -> torch.Tensor:
    """Return relu(x)² for each number of `x`."""
    return x * F.relu(x)


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "relu2": squared_relu,
}
"""Activation functions of a feed-forward network by name."""

SQRT_HALF = 0.5**0.5
"""Factor of the sum of two terms of equal variance, which then has the variance of each."""

NORMS = ("layer", "rms")
"""Names of the norms of `make_norm`."""


class ScaledEmbedding(nn.Embedding):
    """Embedding multiplied by √E, for a matrix tied to the output.

    Rows start with length about 1, so that as an output matrix they give logits of moderate size;
    the factor √E makes each number of a vector that the network reads about 1 as well. Constructor
    arguments as of `torch.nn.Embedding`.

    Source: Vaswani et al. 2017, section 3.4.
    """

    def reset_parameters(self) -> None:
        """Draw rows of length about 1, and set the row of padding to zero."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        self._fill_padding_idx_with_zero()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the vectors (…, E) of `ids` (…)."""
        return super().forward(ids) * self.embedding_dim**0.5


def make_norm(norm: str, width: int, *, bias: bool = True) -> nn.Module:
    """Build a normalization layer by name.

    Source: ``eq-layer-norm`` and ``eq-rms-norm`` (section 7.3).

    Parameters
    ----------
    norm
        "layer" for LayerNorm, "rms" for RMSNorm.
    width
        Length D of the vectors that are normalized.
    bias
        Give a LayerNorm a bias; RMSNorm has none.

    Returns
    -------
    torch.nn.Module
        A layer from (…, D) to (…, D).

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if norm not in NORMS:
        raise ValueError(f"norm is {norm!r}; choose from {', '.join(NORMS)}")
    return nn.RMSNorm(width, eps=RMS_EPSILON) if norm == "rms" else nn.LayerNorm(width, bias=bias)


class TransformerLayer(nn.Module):
    """Layer of a Transformer: self-attention, optional cross-attention, feed-forward network.

    Each part f has a residual connection: x + f(norm(x)) with `norm_first`, else norm(x + f(x)).

    Source: ``eq-pre-norm``, ``eq-post-norm`` and ``eq-feed-forward`` (section 7.3); Vaswani et al.
    2017, section 3.1; Xiong et al. 2020.

    Parameters
    ----------
    width
        Length D of the vectors.
    heads
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
    cross_attention
        Add attention to the states of an encoder.
    hidden_size
        Number of hidden units of the feed-forward network, 4·D where not given.
    causal, window, qk_norm
        As in `SelfAttention`.

    Raises
    ------
    ValueError
        If the activation or the norm is unknown, or `heads` does not divide `width`.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        norm: str = "layer",
        activation: str = "gelu",
        bias: bool = False,
        dropout: float = 0.0,
        norm_first: bool = True,
        cross_attention: bool = False,
        hidden_size: int | None = None,
        causal: bool = True,
        window: int | None = None,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation is {activation!r}; choose from {', '.join(ACTIVATIONS)}")
        hidden_size = 4 * width if hidden_size is None else hidden_size
        self.activation = ACTIVATIONS[activation]
        self.norm_first = norm_first
        self.norm1 = make_norm(norm, width, bias=bias)
        self.norm2 = make_norm(norm, width, bias=bias)
        self.attention = SelfAttention(
            width,
            heads=heads,
            causal=causal,
            window=window,
            qk_norm=qk_norm,
            bias=bias,
            dropout=dropout,
        )
        self.norm_cross = make_norm(norm, width, bias=bias) if cross_attention else None
        self.cross_attention = (
            CrossAttention(width, heads=heads, bias=bias, dropout=dropout)
            if cross_attention
            else None
        )
        self.expand = nn.Linear(width, hidden_size, bias=bias)
        self.contract = nn.Linear(hidden_size, width, bias=bias)
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
            Keys and values of the encoder's states, from `CrossAttention.memory_cache`; a layer
            with cross-attention needs them.
        memory_is_token
            True where the source has a token, (B, S) bool; None where it has no padding.

        Returns
        -------
        tuple
            The result (B, T, D), and the cache for the next call, None unless `causal`.

        Raises
        ------
        ValueError
            If the layer has cross-attention and `memory_cache` is None.
        """
        normed = self._norm_before(self.norm1, x)
        update, cache = self.attention(normed, cache=cache, rotary=rotary, is_token=is_token)
        x = self._add(self.norm1, x, update)
        if self.cross_attention is not None and self.norm_cross is not None:
            if memory_cache is None:
                raise ValueError(
                    "a layer with cross-attention needs memory_cache, keys and values of a source"
                )
            query = self._norm_before(self.norm_cross, x)
            update = self.cross_attention(query, memory_cache, memory_is_token)
            x = self._add(self.norm_cross, x, update)
        hidden = self.activation(self.expand(self._norm_before(self.norm2, x)))  # (B, T, hidden)
        return self._add(self.norm2, x, self.contract(self.dropout(hidden))), cache

    def _norm_before(self, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Return what a part of the layer reads: in a pre-norm layer, the normalized `x`."""
        return norm(x) if self.norm_first else x

    def _add(self, norm: nn.Module, x: torch.Tensor, update: torch.Tensor) -> torch.Tensor:
        """Add what a part of the layer computed to `x`; in a post-norm layer, normalize the sum."""
        x = x + self.dropout(update)
        return x if self.norm_first else norm(x)


class GatedConvolution(nn.Module):
    """Convolution with a gated linear unit: a · σ(b), where a and b are convolutions of the input.

    Source: ``eq-glu`` and ``eq-causal-convolution`` (section 3.2); Dauphin et al. 2017, eq. 1.

    Parameters
    ----------
    width
        Length D of an input and of an output vector.
    kernel_size
        Number of positions that an output depends on.
    causal
        An output depends on its own position and those before it; else on as many on either side.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, or if `kernel_size` is even but not `causal`.
    """

    def __init__(self, width: int, *, kernel_size: int = 3, causal: bool = False) -> None:
        super().__init__()
        check_sizes(width=width, kernel_size=kernel_size)
        if not causal and kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd to reach as far back as ahead, got {kernel_size}"
            )
        self.causal = causal
        self.kernel_size = kernel_size
        padding = 0 if causal else kernel_size // 2
        self.convolution = nn.Conv1d(width, 2 * width, kernel_size, padding=padding)

    def forward(self, x: torch.Tensor, previous: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the convolution and its gate.

        Parameters
        ----------
        x
            Vectors of T tokens, (B, T, D).
        previous
            The inputs before `x`, (B, kernel_size − 1, D); a causal convolution needs them.

        Returns
        -------
        torch.Tensor
            One vector for each token, (B, T, D).

        Raises
        ------
        ValueError
            If the convolution is causal and `previous` is None.
        """
        if self.causal:
            if previous is None:
                raise ValueError("a causal convolution needs previous, the inputs before x")
            x = torch.cat([previous, x], 1)  # (B, kernel_size − 1 + T, D)
        return F.glu(self.convolution(x.mT), 1).mT  # (B, T, D)


def check_sizes(**sizes: int | None) -> None:
    """Raise ValueError naming the first of `sizes` that is no positive whole number.

    Sizes of None are passed over: they stand for a default.
    """
    for name, size in sizes.items():
        if size is not None and (not isinstance(size, Integral) or size < 1):
            raise ValueError(f"{name} must be a positive whole number, got {size}")

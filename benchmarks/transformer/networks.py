"""Variants of Transformers: no positions, grouped keys and values, post-norm, masked letters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from utils.models.gpt import GPT
from utils.models.layers import make_final_norm
from utils.models.multi_head import SelfAttention
from utils.models.positions import RotaryAngles, rotate, sinusoidal_encoding, token_positions
from utils.models.transformer import TransformerEncoder
from utils.models.transformer_layer import TransformerLayer
from utils.models.transformer_stack import init_xavier

SIZES: dict[str, Any] = {"width": 64, "num_layers": 2, "num_heads": 4}
CONTEXT_LENGTH = 64  # of the language models in training


class NoPositions(nn.Module):
    """In place of a positional encoding: nothing is added and nothing rotated."""

    def forward(self, x: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the word vectors (B, T, D) as they are."""
        return x, None


class GroupedAttention(nn.Module):
    """Causal self-attention in which several heads share keys and values; it keeps no cache.

    Source: ``eq-grouped`` (section 7.3); Ainslie et al. 2023.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_heads
        Number H of heads, each of width D/H.
    num_groups
        Number G of heads that have keys and values, a divisor of H.
    """

    def __init__(self, width: int, *, num_heads: int, num_groups: int) -> None:
        super().__init__()
        self.num_heads, self.num_groups = num_heads, num_groups
        self.query_projection = nn.Linear(width, width, bias=False)
        self.kv_projection = nn.Linear(width, 2 * num_groups * (width // num_heads), bias=False)
        self.output_projection = nn.Linear(width, width, bias=False)

    def forward(
        self,
        x: torch.Tensor,
        *,
        cache: None = None,
        rotary: RotaryAngles | None = None,
        is_token: None = None,
    ) -> tuple[torch.Tensor, None]:
        """Let each token attend to itself and to those before it.

        Parameters
        ----------
        x
            Vectors of T tokens, (B, T, D).
        cache
            None: a text is read at once.
        rotary
            Rotation of queries and keys.
        is_token
            None: a text has no padding.

        Returns
        -------
        out : torch.Tensor
            One vector for each token, (B, T, D).
        cache : None
            No cache.
        """
        q = self.query_projection(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        kv = self.kv_projection(x).unflatten(-1, (2, self.num_groups, -1))  # (B, T, 2, G, D/H)
        k, v = kv.permute(2, 0, 3, 1, 4)  # (B, G, T, D/H) each
        if rotary is not None:
            q, k = rotate(q, rotary.cos, rotary.sin), rotate(k, rotary.cos, rotary.sin)
        repeats = self.num_heads // self.num_groups
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)  # (B, H, T, D/H)
        means = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output_projection(means.transpose(1, 2).flatten(2)), None


class Stack(nn.Module):
    """A deep language model of Transformer layers, pre-norm or post-norm.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    norm_first
        Whether the norm stands before each part.
    width, num_layers, num_heads
        The sizes.
    """

    def __init__(
        self, vocab_size: int, *, norm_first: bool, width: int, num_layers: int, num_heads: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.layers = nn.ModuleList(
            TransformerLayer(width, num_heads=num_heads, bias=True, norm_first=norm_first)
            for _ in range(num_layers)
        )
        self.norm = make_final_norm(width, norm_first=norm_first, bias=True)
        self.output = nn.Linear(width, vocab_size)
        init_xavier(self.layers)
        nn.init.xavier_uniform_(self.output.weight)

    def forward(self, ids: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        """Return logits (B, T, V) of the token after each of `ids` (B, T), and no state."""
        x = self.embedding(ids)  # (B, T, D)
        x = x + sinusoidal_encoding(token_positions(ids), x.shape[2])
        for layer in self.layers:
            x, _ = layer(x)
        return self.output(self.norm(x)), None


class MaskedLM(nn.Module):
    """An encoder that predicts what stands at masked places.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary, the mask included.
    causal
        Let a place attend to itself and those before it only.
    """

    def __init__(self, vocab_size: int, *, causal: bool) -> None:
        super().__init__()
        self.encoder = TransformerEncoder(vocab_size, **SIZES)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        for attention in attentions(self.encoder):
            attention.causal = causal

    def forward(self, ids: torch.Tensor, state: None = None) -> tuple[torch.Tensor, None]:
        """Return logits (B, T, V) of the token at each place of `ids` (B, T), and no state."""
        states = self.encoder(ids).states  # (B, T, D)
        return states @ self.encoder.embedding.weight.T + self.bias, None


class UndividedProjection(nn.Module):
    """Queries, keys and values whose scores are as large as if no root divided them.

    Parameters
    ----------
    projection
        The map of an attention to queries, keys and values, one below another.
    head_width
        Length d of a query of one head.
    """

    def __init__(self, projection: nn.Linear, head_width: int) -> None:
        super().__init__()
        self.projection, self.factor = projection, head_width**0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return queries times the root of d, keys and values of `x` (B, T, D): (B, T, 3 D)."""
        q, k, v = self.projection(x).chunk(3, -1)
        return torch.cat([q * self.factor, k, v], -1)


def attentions(model: nn.Module) -> list[SelfAttention]:
    """Return the self-attentions of a model."""
    return [module for module in model.modules() if isinstance(module, SelfAttention)]


def language_model(
    vocab_size: int,
    *,
    positions: str = "rotary",
    num_groups: int | None = None,
    activation: Any = "gelu",
    feedforward_size: int | None = None,
    hidden_std: float | None = None,
    word_std: float | None = None,
    num_heads: int = SIZES["num_heads"],
    query_std: float | None = None,
    divided: bool = True,
) -> GPT:
    """Build a small decoder-only Transformer.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    positions
        "none", or an encoding of the library.
    num_groups
        Number of heads with keys and values; None for all.
    activation, feedforward_size
        As in `GPT`.
    hidden_std
        Standard deviation of the initial matrices in front of the hidden units; None for that of
        GPT-2.
    word_std
        Standard deviation of the initial word vectors; None for that of GPT-2.
    num_heads
        Number H of heads.
    query_std
        Standard deviation of the initial matrices of queries, keys and values; None for GPT-2's.
    divided
        Whether scores are divided by the root of the width of a head.

    Returns
    -------
    model : GPT
        A model that attends to at most CONTEXT_LENGTH tokens in each layer.
    """
    encoding: Any = "rotary" if positions == "none" else positions
    model = GPT(
        vocab_size,
        **SIZES | {"num_heads": num_heads},
        context_length=CONTEXT_LENGTH,
        positional_encoding=encoding,
        activation=activation,
        feedforward_size=feedforward_size,
        qk_norm=False,
    )
    if positions == "none":
        model.positional_encoding = NoPositions()  # type: ignore[assignment]
    if num_groups is not None:
        _share_keys(model, num_groups)
    for names, std in (
        (("up_projection", "gate_projection"), hidden_std),
        (("qkv_projection",), query_std),
        (("embedding",), word_std),
    ):
        if std is not None:
            _redraw(model, names, std)
    if not divided:
        for attention in attentions(model):
            attention.qkv_projection = UndividedProjection(  # type: ignore[assignment]
                attention.qkv_projection, SIZES["width"] // num_heads
            )
    return model


def _redraw(model: GPT, names: tuple[str, ...], std: float) -> None:
    """Draw anew the parameters whose names contain one of `names`."""
    for name, parameter in model.named_parameters():
        if any(part in name for part in names):
            nn.init.normal_(parameter, std=std)


def _share_keys(model: GPT, num_groups: int) -> None:
    """Give each layer a `GroupedAttention`."""
    for layer in model.layers:
        attention = GroupedAttention(
            SIZES["width"], num_heads=SIZES["num_heads"], num_groups=num_groups
        )
        for matrix in (attention.query_projection, attention.kv_projection):
            nn.init.normal_(matrix.weight, std=0.02)
        nn.init.zeros_(attention.output_projection.weight)
        layer.attention = attention

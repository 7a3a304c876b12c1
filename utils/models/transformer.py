"""Encoder and decoder of a Transformer.

Built in section 7.3. Vaswani et al. 2017; initial weights: Glorot and
Bengio 2010.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.contract import Memory
from utils.models.decoder_parts import TiedOutput
from utils.models.encoders import masked_mean, source_mask
from utils.models.layers import ScaledEmbedding, TransformerLayer, check_sizes, make_norm
from utils.models.multi_head import CrossAttention, KVCache
from utils.models.positions import PositionalEncoding, Rotary, token_positions


class TransformerStack(nn.Module):
    """Embedding, positional encoding and layers, which encoder and decoder have in common.

    The subclasses set `causal` and `cross_attention`.

    Source: section 7.3; Vaswani et al. 2017, section 3.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of word vectors and states.
    layers
        Number of layers.
    heads
        Number H of attention heads, each of width D/H.
    positional_encoding
        "learned", "rotary" or "sinusoidal".
    dropout
        Probability of dropout on word vectors, in each layer and before a decoder's output.
    context_length
        Number of tokens in the longest text; only learned positions are limited by it.
    norm
        "layer" or "rms".
    activation
        Activation of the feed-forward networks: "gelu", "relu" or "relu2", the square of relu.
    hidden_size
        Number of hidden units of each feed-forward network, 4·D where not given.
    bias
        Give linear maps and LayerNorms a bias.
    norm_first
        Normalize before each part of a layer (pre-norm), not after it (post-norm).
    qk_norm
        Normalize queries and keys (see `SelfAttention`).

    Attributes
    ----------
    causal
        Whether a token attends only to itself and to those before it.
    cross_attention
        Whether each layer attends to the states of an encoder.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, `heads` does not divide `width`, or a name is
        unknown.
    """

    causal: ClassVar[bool]
    cross_attention: ClassVar[bool]

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 3,
        heads: int = 4,
        positional_encoding: str = "sinusoidal",
        dropout: float = 0.0,
        context_length: int = 256,
        norm: str = "layer",
        activation: str = "gelu",
        hidden_size: int | None = None,
        bias: bool = False,
        norm_first: bool = True,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(
            vocab_size=vocab_size,
            width=width,
            layers=layers,
            heads=heads,
            context_length=context_length,
            hidden_size=hidden_size,
        )
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.positional_encoding = PositionalEncoding(
            positional_encoding,
            width=width,
            head_width=width // heads,
            context_length=context_length,
        )
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                heads=heads,
                norm=norm,
                activation=activation,
                bias=bias,
                dropout=dropout,
                norm_first=norm_first,
                cross_attention=self.cross_attention,
                hidden_size=hidden_size,
                causal=self.causal,
                qk_norm=qk_norm,
            )
            for _ in range(layers)
        )
        self.norm = final_norm(width, norm_first=norm_first, norm=norm, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self._add_output()
        init_xavier(self.layers)

    def _add_output(self) -> None:
        """Create the output, where a subclass has one."""

    def embed(
        self, ids: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, Rotary | None]:
        """Compute what the first layer reads.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        positions
            Position of each token, (B or 1, T) int64.

        Returns
        -------
        tuple
            Word vectors with positions (B, T, D), and the `Rotary` that every layer needs, None
            unless positions are rotary.
        """
        x, rotary = self.positional_encoding(self.embedding(ids), positions)
        return self.dropout(x), rotary


class TransformerEncoder(TransformerStack):
    """Transformer encoder: every token attends to the whole source.

    The vector of the memory is the mean of the states. The constructor arguments are those of
    `TransformerStack`.

    Source: section 7.3; Vaswani et al. 2017, section 3.1.
    """

    causal = False
    cross_attention = False

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S)."""
        is_token = source_mask(source)  # (B, S)
        x, rotary = self.embed(source, token_positions(source))  # (B, S, D)
        mask = None if is_token.all() else is_token
        for layer in self.layers:
            x, _ = layer(x, rotary=rotary, is_token=mask)
        x = self.norm(x)
        return Memory(x, is_token, masked_mean(x, is_token))


class TransformerDecoderState(NamedTuple):
    """State of a `TransformerDecoder`.

    Parameters
    ----------
    is_token
        True where the source has a token, False for padding, (B, S) bool.
    memory_caches
        Keys and values of the encoder's states in each layer.
    tokens_read
        Number of tokens read so far, (B,) int64.
    caches
        Keys and values of these tokens in each layer; None before the first token.
    """

    is_token: torch.Tensor
    memory_caches: tuple[KVCache, ...]
    tokens_read: torch.Tensor
    caches: tuple[KVCache | None, ...]


class TransformerDecoder(TransformerStack):
    """Transformer decoder: causal self-attention, and attention to the encoder's states.

    The output matrix is the embedding's. The constructor arguments are those of
    `TransformerStack`.

    Source: section 7.3; Vaswani et al. 2017, section 3.1.
    """

    causal = True
    cross_attention = True

    def _add_output(self) -> None:
        """Create the output, tied to the embedding."""
        width, dropout = self.embedding.embedding_dim, self.dropout.p
        self.output = TiedOutput(width, self.embedding, dropout=dropout)

    def begin(self, memory: Memory) -> TransformerDecoderState:
        """Return the state before the first token."""
        B, device = len(memory.is_token), memory.is_token.device
        attentions = [module for module in self.modules() if isinstance(module, CrossAttention)]
        return TransformerDecoderState(
            memory.is_token,
            tuple(attention.memory_cache(memory.states) for attention in attentions),
            tokens_read=torch.zeros(B, dtype=torch.int64, device=device),
            caches=(None,) * len(self.layers),
        )

    def forward(
        self, ids: torch.Tensor, state: TransformerDecoderState
    ) -> tuple[torch.Tensor, TransformerDecoderState]:
        """Return logits (B, T, V) for `ids` (B, T), and the state after them.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`: that of `begin` or of an earlier call.

        Returns
        -------
        tuple
            Logits (B, T, V), and the state after `ids`.
        """
        positions = token_positions(ids) + state.tokens_read[:, None]  # (B, T)
        x, rotary = self.embed(ids, positions)  # (B, T, D)
        memory_is_token = None if state.is_token.all() else state.is_token
        caches = []
        for i, layer in enumerate(self.layers):
            x, cache = layer(
                x,
                cache=state.caches[i],
                rotary=rotary,
                memory_cache=state.memory_caches[i],
                memory_is_token=memory_is_token,
            )
            caches.append(cache)
        tokens_read = state.tokens_read + ids.shape[1]
        logits = self.output(self.norm(x))  # (B, T, V)
        return logits, state._replace(tokens_read=tokens_read, caches=tuple(caches))


def final_norm(
    width: int, *, norm_first: bool = True, norm: str = "layer", bias: bool = False
) -> nn.Module:
    """Build the final norm: a norm after pre-norm layers, the identity after post-norm layers.

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
    """
    return make_norm(norm, width, bias=bias) if norm_first else nn.Identity()


def init_xavier(layers: nn.Module) -> None:
    """Initialize all linear maps in `layers` by Xavier initialization, and set biases to zero.

    Source: Glorot and Bengio 2010, eq. 16.
    """
    for module in layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

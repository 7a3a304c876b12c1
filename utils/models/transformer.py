"""Encoder and decoder of a Transformer, stacks of the layers of ``transformer_layer``.

Built in section 7.3. Vaswani et al. 2017; initial weights: Glorot and Bengio 2010.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import nn

from utils.arguments import check_positive
from utils.data.vocabulary import PAD
from utils.models.contract import Memory, TypedModule
from utils.models.layers import Norm, OutputLayer, ScaledEmbedding
from utils.models.multi_head import CrossAttention, KVCache
from utils.models.pooling import masked_mean, source_mask
from utils.models.positions import EncodingName, PositionalEncoding, Rotary, token_positions
from utils.models.transformer_layer import Activation, TransformerLayer, make_final_norm


class TransformerStack(TypedModule):
    """Embedding, positional encoding and layers, which encoder and decoder have in common.

    Source: section 7.3; Vaswani et al. 2017, section 3.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of word vectors and states.
    num_layers
        Number of layers.
    num_heads
        Number H of attention heads, each of width D/H.
    positional_encoding
        "learned", "rotary" or "sinusoidal".
    dropout
        Probability of dropout on word vectors, in each layer and before a decoder's output.
    max_positions
        Largest number of tokens of a text, with learned positions; others are not limited by it.
    norm
        "layer" or "rms".
    activation
        Activation of the feed-forward networks: "gelu", "relu" or "squared_relu".
    feedforward_size
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
        Whether a token attends only to itself and to those before it; set by a subclass.
    use_cross_attention
        Whether each layer attends to the states of an encoder; set by a subclass.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, `num_heads` does not divide `width`, or a name is
        unknown.
    """

    causal: ClassVar[bool]
    use_cross_attention: ClassVar[bool]

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 3,
        num_heads: int = 4,
        positional_encoding: EncodingName = "sinusoidal",
        dropout: float = 0.0,
        max_positions: int = 256,
        norm: Norm = "layer",
        activation: Activation = "gelu",
        feedforward_size: int | None = None,
        bias: bool = False,
        norm_first: bool = True,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            num_heads=num_heads,
            max_positions=max_positions,
            feedforward_size=feedforward_size,
        )
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.positional_encoding = PositionalEncoding(
            positional_encoding,
            width=width,
            head_width=width // num_heads,
            max_positions=max_positions,
        )
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                num_heads=num_heads,
                norm=norm,
                activation=activation,
                bias=bias,
                dropout=dropout,
                norm_first=norm_first,
                use_cross_attention=self.use_cross_attention,
                feedforward_size=feedforward_size,
                causal=self.causal,
                qk_norm=qk_norm,
            )
            for _ in range(num_layers)
        )
        self.norm = make_final_norm(width, norm_first=norm_first, norm=norm, bias=bias)
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
            Position of each token, counted from 0, (B or 1, T) int64.

        Returns
        -------
        x : torch.Tensor
            Word vectors with positions, (B, T, D).
        rotary : Rotary or None
            The rotation that every layer needs; None unless positions are rotary.
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
    use_cross_attention = False

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode a source.

        Parameters
        ----------
        source
            Tokens, (B, S) int64, padded with PAD at the end.

        Returns
        -------
        Memory
            States (B, S, D), their mean over the tokens (B, D), and where there are tokens.

        Raises
        ------
        ValueError
            If positions are learned and the source is longer than `max_positions`.
        """
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
    use_cross_attention = True

    def _add_output(self) -> None:
        """Create the output, tied to the embedding."""
        vocab_size, width = self.embedding.weight.shape
        self.output = OutputLayer(width, vocab_size, embedding=self.embedding)
        nn.init.zeros_(self.output.bias)

    def begin(self, memory: Memory) -> TransformerDecoderState:
        """Return the state before the first token."""
        B, device = len(memory.is_token), memory.is_token.device
        attentions = [module for module in self.modules() if isinstance(module, CrossAttention)]
        return TransformerDecoderState(
            memory.is_token,
            tuple(attention.project_memory(memory.states) for attention in attentions),
            tokens_read=torch.zeros(B, dtype=torch.int64, device=device),
            caches=(None,) * len(self.layers),
        )

    def forward(
        self, ids: torch.Tensor, state: TransformerDecoderState
    ) -> tuple[torch.Tensor, TransformerDecoderState]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`: that of `begin` or of an earlier call.

        Returns
        -------
        logits : torch.Tensor
            Logits of the token after each of `ids`, (B, T, V).
        state : TransformerDecoderState
            The state after `ids`.

        Raises
        ------
        ValueError
            If positions are learned and the text is longer than `max_positions`.
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
        logits = self.output(self.dropout(self.norm(x)))  # (B, T, V)
        return logits, state._replace(tokens_read=tokens_read, caches=tuple(caches))


def init_xavier(layers: nn.Module) -> None:
    """Draw the weights of all linear maps by Xavier initialization, and set biases to zero.

    Source: Glorot and Bengio 2010, eq. 16.

    Parameters
    ----------
    layers
        A module; the weights of all linear maps in it are replaced.
    """
    for module in layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

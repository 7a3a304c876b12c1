"""What the encoder and decoder of a Transformer have in common: embedding, positions and layers.

Built in section 7.3. Vaswani et al. 2017; initial weights: Glorot and Bengio 2010.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from utils.arguments import check_positive, if_given
from utils.data.vocabulary import PAD
from utils.models.layers import (
    Norm,
    ScaledEmbedding,
    TiedModule,
    make_dropout,
    make_final_norm,
    make_tied_output,
)
from utils.models.multi_head import check_heads
from utils.models.positions import EncodingName, PositionalEncoding, RotaryAngles
from utils.models.transformer_layer import Activation, TransformerLayer


class TransformerStack(TiedModule):
    """Embedding, positional encoding and layers of an encoder or decoder.

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
        Largest number of tokens of a text; it limits learned positions only.
    norm, activation, feedforward_size, bias, norm_first, qk_norm, norm_epsilon
        As in `TransformerLayer`.

    Attributes
    ----------
    is_decoder
        Whether a token attends only to itself and preceding tokens, each layer also to the states
        of an encoder, and an output layer is tied to the embedding; set by a subclass.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `num_heads` does not divide `width`, or a name is
        unknown.
    """

    is_decoder: ClassVar[bool]

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
        norm_epsilon: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            num_heads=num_heads,
            max_positions=max_positions,
            **if_given(feedforward_size=feedforward_size),
        )
        check_heads(width, num_heads)
        self.num_heads = num_heads
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
                use_cross_attention=self.is_decoder,
                feedforward_size=feedforward_size,
                causal=self.is_decoder,
                qk_norm=qk_norm,
                norm_epsilon=norm_epsilon,
            )
            for _ in range(num_layers)
        )
        self.norm = make_final_norm(
            width, norm_first=norm_first, norm=norm, bias=bias, epsilon=norm_epsilon
        )
        self.dropout = make_dropout(dropout)
        if self.is_decoder:
            self.output = make_tied_output(self.embedding)
        init_xavier(self.layers)

    def embed(
        self, ids: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, RotaryAngles | None]:
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
        rotary : RotaryAngles or None
            The rotation that every layer needs; None unless positions are rotary.
        """
        x, rotary = self.positional_encoding(self.embedding(ids), positions)
        return self.dropout(x), rotary


def init_xavier(layers: nn.Module) -> None:
    """Initialize all linear maps of a module: weights by Xavier initialization, biases with zeros.

    Source: Glorot and Bengio 2010, eq. 16.
    """
    for module in layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

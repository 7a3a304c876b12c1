"""Convolutional encoder and decoder, stacks of gated convolutions.

Derived in section 3.2. Gehring et al. 2017. The convolution itself is in ``gated_convolution``.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import nn

from utils.arguments import check_bool, check_choice, check_positive
from utils.data.vocabulary import PAD
from utils.models.attention import fused_attention
from utils.models.checks import BATCH, TensorForm, TupleForm, check_call, check_memory
from utils.models.gated_convolution import GatedConvolution
from utils.models.layers import ScaledEmbedding, TiedModule, make_dropout, make_tied_output
from utils.models.masks import masked_mean, source_mask
from utils.models.positions import sinusoidal_encoding, token_positions
from utils.models.typed_module import TypedModule
from utils.states import Memory, register_state

Pooling: TypeAlias = Literal["mean", "max"]
"""How one vector is computed from several: their mean, or the maximum of each dimension."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

SQRT_HALF = 0.5**0.5
"""Factor of the sum of two terms of equal variance, which then has the variance of each."""


class CNNEncoder(TypedModule):
    """Gated convolutions over word vectors with sinusoidal positions, then pooling.

    Each layer computes √½ · (x + GLU(convolution(x))), so that a state depends on the
    layers · (kernel_size − 1) tokens around its own.

    Source: ``eq-cnn-encoder``, ``eq-pooling`` (section 3.2); Gehring et al. 2017, section 3.2.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of word vectors and states.
    num_layers
        Number of convolutions.
    kernel_size
        Number of tokens that a convolution covers; odd.
    pooling
        How the vector is computed from the states: their "mean", or the "max" of each dimension.
    dropout
        Probability of dropout on the input of each layer and on word vectors.

    Raises
    ------
    ValueError
        If the pooling is unknown, a size is not a positive integer, or `kernel_size` is even.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 3,
        kernel_size: int = 3,
        pooling: Pooling = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, width=width, num_layers=num_layers)
        check_choice(POOLINGS, pooling=pooling)
        self.pooling = pooling
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(
            GatedConvolution(width, kernel_size=kernel_size) for _ in range(num_layers)
        )
        self.dropout = make_dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode a source.

        Parameters
        ----------
        source
            Ids, (B, S), padded with PAD at the end.

        Returns
        -------
        memory : Memory
            Its states are zero at padding.

        Raises
        ------
        ValueError
            For a source without tokens, or with padding before a token.
        """
        is_token = source_mask(source)  # (B, S)
        mask = is_token[:, :, None]  # (B, S, 1)
        x = self.embedding(source)  # (B, S, D)
        x = self.dropout(
            x + sinusoidal_encoding(token_positions(source), x.shape[2], dtype=x.dtype)
        )
        for layer in self.layers:
            x = x * mask  # convolutions read zeros at padding
            x = (x + layer(self.dropout(x))) * SQRT_HALF
        if self.pooling == "mean":
            vector = masked_mean(x, is_token)  # (B, D)
        else:
            vector = x.masked_fill(~mask, -math.inf).amax(1)  # (B, D)
        return Memory(x * mask, is_token, vector)


@register_state
class CNNDecoderState(NamedTuple):
    """State of a `CNNDecoder`.

    Parameters
    ----------
    states
        What the blocks receive from the encoder, (B, S, D): with attention its states, without
        attention only its vector, so that S = 1.
    is_token
        True where `states` belongs to a token, False for padding, (B, S) bool.
    tokens_read
        Number of tokens read so far, (B,) int64.
    previous
        The last inputs of each block, each (B, kernel_size − 1, D); zero before the first token.
    """

    states: torch.Tensor
    is_token: torch.Tensor
    tokens_read: torch.Tensor
    previous: tuple[torch.Tensor, ...]


class CNNDecoder(TiedModule):
    """Causal gated convolutions over the tokens so far.

    A decoder computes its first state from an encoder's `Memory` by `begin`; after that it is
    called as any language model. The output matrix is the embedding's.

    Source: ``eq-causal-convolution`` and ``eq-cnn-decoder`` (section 3.2); Gehring et al. 2017,
    section 3.

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of word vectors and of the encoder's states.
    num_layers
        Number of blocks: a gated convolution, to which the source's context is added.
    kernel_size
        Number of tokens that a convolution covers.
    use_attention
        Whether a block's context is computed by attention to the encoder's states; otherwise it is
        the source's vector.
    dropout
        Probability of dropout on word vectors, on the input of each block and before the output.

    Raises
    ------
    ValueError
        If a size is not a positive integer.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 3,
        kernel_size: int = 3,
        use_attention: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size, width=width, num_layers=num_layers, kernel_size=kernel_size
        )
        check_bool(use_attention=use_attention)
        self.width, self.kernel_size, self.use_attention = width, kernel_size, use_attention
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(
            GatedConvolution(width, kernel_size=kernel_size, causal=True) for _ in range(num_layers)
        )
        self.query_projections = nn.ModuleList(
            nn.Linear(width, width) for _ in range(num_layers if use_attention else 0)
        )
        self.context_projections = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))
        self.output = make_tied_output(self.embedding)
        self.dropout = make_dropout(dropout)

    def begin(self, memory: Memory) -> CNNDecoderState:
        """Return the `CNNDecoderState` before the first token.

        Raises
        ------
        ValueError
            If the encoder's vectors are not as long as the decoder's.
        """
        part = "states" if self.use_attention else "vector"
        check_memory(memory, width=self.width, parts=(part,))
        B = memory.vector.shape[0]
        states = memory.states if self.use_attention else memory.vector[:, None]  # (B, S or 1, D)
        is_token = memory.is_token[:, : states.shape[1]]  # the first of a source is always a token
        tokens_read = torch.zeros(B, dtype=torch.int64, device=states.device)
        zeros = self.embedding.weight.new_zeros(B, self.kernel_size - 1, self.width)
        return CNNDecoderState(states, is_token, tokens_read, (zeros,) * len(self.layers))

    def forward(
        self, ids: torch.Tensor, state: CNNDecoderState
    ) -> tuple[torch.Tensor, CNNDecoderState]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`, which `begin` or an earlier call returned.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state : CNNDecoderState
            The state after `ids`.

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is of another model, batch or type.
        """
        check_call(self, ids, state, self._state_form())
        T = ids.shape[1]
        positions = token_positions(ids) + state.tokens_read[:, None]  # (B, T)
        words = self.embedding(ids)  # (B, T, D)
        words = self.dropout(words + sinusoidal_encoding(positions, self.width, dtype=words.dtype))
        x, previous = words, []
        for i, layer in enumerate(self.layers):
            inputs = self.dropout(x)
            # the last kernel_size − 1 inputs
            previous.append(torch.cat([state.previous[i], inputs], 1)[:, T:])
            gated = layer(inputs, state.previous[i])  # (B, T, D)
            context = self._context(i, gated, words, state)  # (B, T or 1, D)
            x = (x + (gated + self.context_projections[i](context)) * SQRT_HALF) * SQRT_HALF
        state = state._replace(tokens_read=state.tokens_read + T, previous=tuple(previous))
        return self.output(self.dropout(x)), state

    def _state_form(self) -> TupleForm:
        """Return the form of a state, for `check_call`."""
        S = None if self.use_attention else 1
        states = TensorForm((BATCH, S, self.width))
        mask = TensorForm((BATCH, S), torch.bool)
        tokens_read = TensorForm((BATCH,), torch.int64)
        previous = TensorForm((BATCH, self.kernel_size - 1, self.width))
        parts = (states, mask, tokens_read, (previous,) * len(self.layers))
        return TupleForm(CNNDecoderState, parts)

    def _context(
        self, i: int, gated: torch.Tensor, words: torch.Tensor, state: CNNDecoderState
    ) -> torch.Tensor:
        """Return the source's context in block `i` for each of T tokens, (B, T or 1, D)."""
        if not self.use_attention:
            return state.states
        query = (self.query_projections[i](gated) + words) * SQRT_HALF  # (B, T, D)
        return fused_attention(query, state.states, state.states, state.is_token[:, None])

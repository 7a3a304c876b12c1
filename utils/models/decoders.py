"""A recurrent decoder without attention, and a convolutional one with or without it.

Derived in sections 3.2 and 4.2. The recurrent decoder with attention is in
``utils.models.attention_decoder``, the Transformer's in ``utils.models.transformer``. Recurrent:
Sutskever et al. 2014, Cho et al. 2014; convolutional: Gehring et al. 2017.

A decoder computes its first state from an encoder's `Memory` by ``begin(memory)``; after that it is
called as any language model, ``decoder(ids, state) -> (logits, state)``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.attention import fused_attention
from utils.models.contract import Memory
from utils.models.decoder_parts import InitialState, TiedOutput
from utils.models.layers import SQRT_HALF, GatedConvolution, ScaledEmbedding, check_sizes
from utils.models.positions import sinusoids, token_positions
from utils.models.recurrent import BatchFirstRNN, RecurrentState

CONTEXTS = ("start", "every", "both")
"""When an `RNNDecoder` uses the source's vector."""


class RNNDecoderState(NamedTuple):
    """State of an `RNNDecoder`.

    Parameters
    ----------
    vector
        The source's vector, (B, D).
    hidden
        Hidden state of each layer, (B, layers, D); of an LSTM that and the cell state.
    """

    vector: torch.Tensor
    hidden: RecurrentState


class RNNDecoder(nn.Module):
    """Recurrent decoder that receives the source as one vector.

    Source: ``eq-repair-start`` and ``eq-repair-every`` (section 4.2), ``eq-decoder-rnn``
    (section 3.2).

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of the hidden state and of the source's vector.
    layers
        Number of layers.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    context
        How the source's vector is used: "start" computes the first hidden state from it (Sutskever
        et al. 2014), "every" appends it to the word vector in each step, "both" does both (Cho et
        al. 2014).
    embedding_size
        Length E of a word vector; D where not given.
    dropout
        Probability of dropout on word vectors, between layers and before the output.

    Raises
    ------
    ValueError
        If the cell or the context is unknown, or a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        context: str = "start",
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if context not in CONTEXTS:
            raise ValueError(f"context is {context!r}; choose from {', '.join(CONTEXTS)}")
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.context = context
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.initial_state = InitialState(
            width, layers=layers, cell=cell, from_vector=context != "every"
        )
        input_size = embedding_size if context == "start" else embedding_size + width
        self.rnn = BatchFirstRNN(
            cell, input_size=input_size, width=width, layers=layers, dropout=dropout
        )
        self.output = TiedOutput(width, self.embedding, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def begin(self, memory: Memory) -> RNNDecoderState:
        """Return the state before the first token."""
        return RNNDecoderState(memory.vector, self.initial_state(memory.vector))

    def forward(
        self, ids: torch.Tensor, state: RNNDecoderState
    ) -> tuple[torch.Tensor, RNNDecoderState]:
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
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        if self.context != "start":
            vectors = state.vector[:, None].expand(-1, ids.shape[1], -1)  # (B, T, D)
            x = torch.cat([x, vectors], -1)  # (B, T, E + D)
        x, hidden = self.rnn(x, state.hidden)  # (B, T, D)
        return self.output(x), RNNDecoderState(state.vector, hidden)


class CNNDecoderState(NamedTuple):
    """State of a `CNNDecoder`.

    Parameters
    ----------
    states
        What the blocks receive from the encoder, (B, S, D): with attention its states, without
        attention the source's vector only, so that S = 1.
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


class CNNDecoder(nn.Module):
    """Causal gated convolutions over the tokens so far.

    Source: ``eq-causal-convolution`` and ``eq-cnn-decoder`` (section 3.2); Gehring et al. 2017,
    section 3.

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of word vectors and of the encoder's states.
    layers
        Number of blocks: a gated convolution, to which the source's context is added.
    kernel_size
        Number of tokens that a convolution covers.
    attention
        Whether a block's context comes from attention to the encoder's states; else it is the
        source's vector.
    dropout
        Probability of dropout on word vectors, on the input of each block and before the output.

    Raises
    ------
    ValueError
        If a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 3,
        kernel_size: int = 3,
        attention: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, kernel_size=kernel_size)
        self.width, self.kernel_size, self.attention = width, kernel_size, attention
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(
            GatedConvolution(width, kernel_size=kernel_size, causal=True) for _ in range(layers)
        )
        self.queries = nn.ModuleList(nn.Linear(width, width) for _ in range(layers * attention))
        self.contexts = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.output = TiedOutput(width, self.embedding, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def begin(self, memory: Memory) -> CNNDecoderState:
        """Return the state before the first token."""
        B = len(memory.vector)
        states = memory.states if self.attention else memory.vector[:, None]  # (B, S or 1, D)
        is_token = memory.is_token[:, : states.shape[1]]  # the first of a source is always a token
        tokens_read = torch.zeros(B, dtype=torch.int64, device=states.device)
        zeros = self.embedding.weight.new_zeros(B, self.kernel_size - 1, self.width)
        return CNNDecoderState(states, is_token, tokens_read, (zeros,) * len(self.layers))

    def forward(
        self, ids: torch.Tensor, state: CNNDecoderState
    ) -> tuple[torch.Tensor, CNNDecoderState]:
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
        T = ids.shape[1]
        positions = token_positions(ids) + state.tokens_read[:, None]  # (B, T)
        words = self.embedding(ids)  # (B, T, D)
        words = self.dropout(words + sinusoids(positions, self.width, dtype=words.dtype))
        x, previous = words, []
        for i, layer in enumerate(self.layers):
            inputs = self.dropout(x)
            # the last kernel_size − 1 inputs
            previous.append(torch.cat([state.previous[i], inputs], 1)[:, T:])
            gated = layer(inputs, state.previous[i])  # (B, T, D)
            context = self.contexts[i](self._context(i, gated, words, state))  # (B, T or 1, D)
            x = (x + (gated + context) * SQRT_HALF) * SQRT_HALF
        state = state._replace(tokens_read=state.tokens_read + T, previous=tuple(previous))
        return self.output(x), state

    def _context(
        self, i: int, gated: torch.Tensor, words: torch.Tensor, state: CNNDecoderState
    ) -> torch.Tensor:
        """Return the source's context in block `i` for each of T tokens, (B, T or 1, D)."""
        if not self.attention:
            return state.states
        query = (self.queries[i](gated) + words) * SQRT_HALF  # (B, T, D)
        return fused_attention(query, state.states, state.states, state.is_token[:, None])

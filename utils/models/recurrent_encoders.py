"""Recurrent encoders: an LSTM that hands over its state, and a network in one or two directions.

Derived in sections 3.2 and 5.2 (the LSTM). Sutskever et al. 2014, Cho et al. 2014; bidirectional:
Bahdanau et al. 2015.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.arguments import check_positive, if_given
from utils.data.vocabulary import PAD
from utils.models.layers import ScaledEmbedding, make_dropout
from utils.models.masks import source_mask
from utils.models.recurrent import Cell, make_rnn, run_packed
from utils.models.typed_module import TypedModule
from utils.states import LSTMState, Memory, RecurrentMemory


class LSTMEncoder(TypedModule):
    """Unidirectional LSTM; its decoder starts from the last hidden and cell state of each layer.

    Source: ``eq-handover`` (section 5.2); Sutskever et al. 2014.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of the hidden state.
    num_layers
        Number of layers.
    dropout
        Probability of dropout on word vectors and between layers.
    embedding_size
        Length E of a word vector; D by default.

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
        num_layers: int = 2,
        dropout: float = 0.0,
        embedding_size: int | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            **if_given(embedding_size=embedding_size),
        )
        embedding_size = embedding_size or width
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=PAD)
        self.rnn = make_rnn(
            "lstm", input_size=embedding_size, width=width, num_layers=num_layers, dropout=dropout
        )
        self.dropout = make_dropout(dropout)

    def forward(self, source: torch.Tensor) -> RecurrentMemory:
        """Encode a source, (B, S), padded with PAD at the end.

        The memory's vector is the last hidden state of the top layer.

        Raises
        ------
        ValueError
            For a source without tokens, or with padding before a token.
        """
        is_token = source_mask(source)  # (B, S)
        x = self.dropout(self.embedding(source))  # (B, S, E)
        states, final_state = run_packed(self.rnn, x, is_token)  # (B, S, D)
        assert isinstance(final_state, LSTMState)
        vector = final_state.hidden[:, -1]  # (B, D)
        return RecurrentMemory(states, is_token, vector, final_state)


class RNNEncoder(TypedModule):
    """Recurrent network in one or two directions.

    The states are those of the last layer, with both directions side by side; the vector consists
    of the state in which each direction ends.

    Source: ``eq-encoder-rnn`` (section 3.2); Bahdanau et al. 2015, section 3.2.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of a state; with two directions, each contributes D/2 numbers.
    num_layers
        Number of layers.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    bidirectional
        Whether a second network reads from the end to the beginning.
    embedding_size
        Length E of a word vector; D by default.
    dropout
        Probability of dropout on word vectors, between layers, on states and on the vector.

    Raises
    ------
    ValueError
        If the cell is unknown, a size is not a positive integer, or the width is odd with
        two directions.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 1,
        cell: Cell = "gru",
        bidirectional: bool = True,
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            **if_given(embedding_size=embedding_size),
        )
        embedding_size = embedding_size or width
        self.num_directions = 2 if bidirectional else 1
        if width % self.num_directions:
            raise ValueError(
                f"each direction has half of the width, which must be even, got {width}"
            )
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.rnn = make_rnn(
            cell,
            input_size=embedding_size,
            width=width // self.num_directions,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.dropout = make_dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode a source, (B, S), padded with PAD at the end; states are zero at padding.

        Raises
        ------
        ValueError
            For a source without tokens, or with padding before a token.
        """
        is_token = source_mask(source)  # (B, S)
        x = self.dropout(self.embedding(source))  # (B, S, E)
        states, final_state = run_packed(self.rnn, x, is_token)  # (B, S, D)
        hidden = final_state if isinstance(final_state, torch.Tensor) else final_state.hidden
        last_layer = hidden[:, -self.num_directions :]  # (B, directions, D/directions)
        vector = last_layer.flatten(1)  # (B, D)
        return Memory(self.dropout(states), is_token, self.dropout(vector))

"""Recurrent decoders without attention.

Derived in sections 3.2, 4.2 and 5.2 (`LSTMDecoder`). Sutskever et al. 2014, Cho et al. 2014. The
recurrent decoder with attention is in ``attention_decoder``.

A decoder computes its first state from an encoder's `Memory` by ``begin(memory)``; after that it is
called as any language model, ``decoder(ids, state) -> (logits, state)``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import torch

from utils.arguments import check_choice, check_positive, if_given
from utils.data.vocabulary import PAD
from utils.models.checks import BATCH, TensorForm, TupleForm, check_call, check_memory
from utils.models.layers import (
    ScaledEmbedding,
    TiedModule,
    make_dropout,
    make_tied_output,
    projection_or_identity,
)
from utils.models.recurrent import (
    Cell,
    InitialState,
    RecurrentState,
    make_rnn,
    run_batch_first,
    state_form,
)
from utils.states import LSTMState, Memory, RecurrentMemory, register_state

VectorInput: TypeAlias = Literal["start", "every", "both"]
"""How an `RNNDecoder` uses the source's vector."""

VECTOR_INPUTS: tuple[VectorInput, ...] = get_args(VectorInput)


@register_state
class RNNDecoderState(NamedTuple):
    """State of an `RNNDecoder`.

    Parameters
    ----------
    vector
        The source's vector, (B, D).
    rnn_state
        The hidden state of each layer (B, layers, D), or an `LSTMState` of such tensors.
    """

    vector: torch.Tensor
    rnn_state: RecurrentState


class RNNDecoder(TiedModule):
    """Recurrent decoder that receives the source as one vector.

    The output matrix is the embedding's.

    Source: ``eq-repair-start`` and ``eq-repair-every`` (section 4.2), ``eq-decoder-rnn``
    (section 3.2).

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of the hidden state and of the source's vector.
    num_layers
        Number of layers.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    vector_input
        How the source's vector is used: "start" computes the first hidden state from it (Sutskever
        et al. 2014), "every" appends it to the word vector in each step, "both" does both (Cho et
        al. 2014).
    embedding_size
        Length E of a word vector; D by default.
    dropout
        Probability of dropout on word vectors, between layers and before the output.

    Raises
    ------
    ValueError
        If the cell or `vector_input` is unknown, or a size is not a positive integer.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 1,
        cell: Cell = "gru",
        vector_input: VectorInput = "start",
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice(VECTOR_INPUTS, vector_input=vector_input)
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            **if_given(embedding_size=embedding_size),
        )
        embedding_size = embedding_size or width
        self.vector_input = vector_input
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.initial_state = InitialState(
            width, num_layers=num_layers, cell=cell, from_vector=vector_input != "every"
        )
        input_size = embedding_size if vector_input == "start" else embedding_size + width
        self.rnn = make_rnn(
            cell, input_size=input_size, width=width, num_layers=num_layers, dropout=dropout
        )
        self.output_projection = projection_or_identity(width, embedding_size)
        self.output = make_tied_output(self.embedding)
        self.dropout = make_dropout(dropout)

    def begin(self, memory: Memory) -> RNNDecoderState:
        """Return the `RNNDecoderState` before the first token.

        Raises
        ------
        ValueError
            If the source's vector is not as long as the decoder's states.
        """
        check_memory(memory, width=self.rnn.hidden_size, parts=("vector",))
        return RNNDecoderState(memory.vector, self.initial_state(memory.vector))

    def forward(
        self, ids: torch.Tensor, state: RNNDecoderState
    ) -> tuple[torch.Tensor, RNNDecoderState]:
        """Compute the logits (B, T, V) after each of `ids` (B, T), and the state after all of them.

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is of another model, batch or type.
        """
        vector = TensorForm((BATCH, self.rnn.hidden_size))
        form = TupleForm(RNNDecoderState, (vector, state_form(self.rnn)))
        check_call(self, ids, state, form)
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        if self.vector_input != "start":
            vectors = state.vector[:, None].expand(-1, ids.shape[1], -1)  # (B, T, D)
            x = torch.cat([x, vectors], -1)  # (B, T, E + D)
        x, rnn_state = run_batch_first(self.rnn, x, state.rnn_state)  # (B, T, D)
        logits = self.output(self.output_projection(self.dropout(x)))  # (B, T, V)
        return logits, RNNDecoderState(state.vector, rnn_state)


class LSTMDecoder(TiedModule):
    """LSTM that starts from the state in which an `LSTMEncoder` ends.

    After that it computes what an `RNNLM` of LSTM cells with tied embeddings computes, and starts
    from the same random numbers: the bias of its output, which starts at 0 in the other decoders,
    is drawn too. It has no parameters of its own for the first state, so encoder and decoder have
    the same width and number of layers.

    Source: ``eq-handover`` (section 5.2); Sutskever et al. 2014.

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of the hidden state.
    num_layers
        Number of layers.
    dropout
        Probability of dropout on word vectors, between layers and before the output.
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
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.rnn = make_rnn(
            "lstm", input_size=embedding_size, width=width, num_layers=num_layers, dropout=dropout
        )
        self.dropout = make_dropout(dropout)
        self.output_projection = projection_or_identity(width, embedding_size)
        # torch's own initial bias, with which the stored results of section 5.2 were measured
        self.output = make_tied_output(self.embedding, zero_bias=False)

    def begin(self, memory: RecurrentMemory) -> LSTMState:
        """Return the state in which the encoder ended, its parts (B, layers, D).

        Raises
        ------
        ValueError
            If `memory` is not a `RecurrentMemory`, or its state is not of this width and number of
            layers.
        """
        if not isinstance(memory, RecurrentMemory):
            raise ValueError(
                "an LSTMDecoder starts from the final state of an LSTMEncoder; this encoder's "
                f"{type(memory).__name__} has none: use an LSTMEncoder, or an RNNDecoder"
            )
        check_memory(memory, width=self.rnn.hidden_size, parts=("vector",))
        num_layers = memory.final_state.hidden.shape[1]
        if num_layers != self.rnn.num_layers:
            raise ValueError(
                f"the encoder's final state has {num_layers} layers, but the decoder has "
                f"{self.rnn.num_layers}: build both with the same num_layers"
            )
        return memory.final_state

    def forward(self, ids: torch.Tensor, state: LSTMState) -> tuple[torch.Tensor, LSTMState]:
        """Compute the logits (B, T, V) after each of `ids` (B, T), and the state after all of them.

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is of another model, batch or type.
        """
        check_call(self, ids, state, state_form(self.rnn))
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, new_state = run_batch_first(self.rnn, x, LSTMState(*state))  # (B, T, D)
        assert isinstance(new_state, LSTMState)
        return self.output(self.output_projection(self.dropout(x))), new_state  # (B, T, V)

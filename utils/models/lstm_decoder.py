"""LSTM decoder that continues from the state in which an LSTM encoder ends.

Derived in section 5.2; Sutskever et al. 2014. The encoder is ``recurrent_encoders.LSTMEncoder``.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.arguments import check_positive
from utils.data.vocabulary import PAD
from utils.models.checks import check_call
from utils.models.contract import LSTMState, RecurrentMemory
from utils.models.layers import OutputLayer, ScaledEmbedding, TiedModule, make_projection
from utils.models.recurrent import make_rnn, run_batch_first, state_form


class LSTMDecoder(TiedModule):
    """LSTM that starts from the state in which an `LSTMEncoder` ends.

    After that it computes what an `RNNLM` of LSTM cells with tied embeddings computes. It has no
    parameters of its own for the first state, so encoder and decoder have the same width and number
    of layers.

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
        Length E of a word vector; D where not given.

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
        num_layers: int = 2,
        dropout: float = 0.0,
        embedding_size: int | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size, width=width, num_layers=num_layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.rnn = make_rnn(
            "lstm", input_size=embedding_size, width=width, num_layers=num_layers, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.output_projection = make_projection(width, embedding_size)
        self.output = OutputLayer(embedding_size, vocab_size, embedding=self.embedding)

    def begin(self, memory: RecurrentMemory) -> LSTMState:
        """Return the state in which the encoder ended, its parts (B, layers, D).

        Raises
        ------
        ValueError
            If the encoder is none that hands its state over.
        """
        if not isinstance(memory, RecurrentMemory):
            raise ValueError(
                "an LSTMDecoder starts from the final state of an LSTMEncoder; this encoder's "
                f"{type(memory).__name__} has none: take an LSTMEncoder, or an RNNDecoder"
            )
        return memory.final_state

    def forward(self, ids: torch.Tensor, state: LSTMState) -> tuple[torch.Tensor, LSTMState]:
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
            (B, T, V).
        state : LSTMState
            The state after `ids`.

        Raises
        ------
        ValueError
            If `ids` are no whole numbers (B, T), or `state` is of another model, batch or type.
        """
        check_call(self, ids, state, state_form(self.rnn))
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        x, new_state = run_batch_first(self.rnn, x, LSTMState(*state))  # (B, T, D)
        assert isinstance(new_state, LSTMState)
        return self.output(self.output_projection(self.dropout(x))), new_state  # (B, T, V)

"""Recurrent decoder that attends to the encoder's states.

Derived in section 4.2. Attention: Bahdanau et al. 2015; queries computed before attention: Luong
et al. 2015. The scores are in ``utils.models.scores``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.attention import masked_softmax
from utils.models.contract import Memory
from utils.models.decoder_parts import InitialState, TiedOutput
from utils.models.layers import ScaledEmbedding, check_sizes
from utils.models.recurrent import BatchFirstRNN, RecurrentState
from utils.models.scores import SCORES, LocationScore


class AttentionState(NamedTuple):
    """State of an `AttentionDecoder`.

    Parameters
    ----------
    states
        The encoder's states, (B, S, D).
    is_token
        True where the source has a token, False for padding, (B, S) bool.
    keys
        Keys of the attention score, computed from the encoder's states, (B, S, D).
    query_state
        State of the layer that computes the queries, (B, 1, D); of an LSTM that and the cell state.
    output_state
        State of the layers above attention, (B, layers, D); of an LSTM that and the cell state.
    previous_weights
        Attention weights of the last step, (B, S), zero before the first token; only with the
        location score, which needs them, else None.
    """

    states: torch.Tensor
    is_token: torch.Tensor
    keys: torch.Tensor
    query_state: RecurrentState
    output_state: RecurrentState
    previous_weights: torch.Tensor | None


class AttentionDecoder(nn.Module):
    """Recurrent decoder: its first layer computes the queries of attention, the others read both.

    The query depends on the tokens so far but not on earlier attention, so that all steps of a
    known target are computed at once. In this the model follows Luong et al. 2015; in place of
    their attentional vector, which is fed back, it has `layers` above attention.

    Source: ``eq-attention-step`` and ``eq-attention-weights`` (section 4.2).

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of hidden states and of the encoder's states.
    layers
        Number of layers above attention.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    score
        How a query is compared with the encoder's states: "additive" (Bahdanau et al. 2015),
        "multiplicative" (Luong et al. 2015), "scaled" (multiplicative divided by √D) or "location"
        (additive and dependent on the weights of the last step, Chorowski et al. 2015, so that
        steps are computed one by one).
    embedding_size
        Length E of a word vector; D where not given.
    dropout
        Probability of dropout on word vectors, on the input of the layers above, between these
        layers and before the output.

    Raises
    ------
    ValueError
        If the score or the cell is unknown, or a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        score: str = "multiplicative",
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"score is {score!r}; choose from {', '.join(SCORES)}")
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.initial_query_state = InitialState(width, layers=1, cell=cell)
        self.query_rnn = BatchFirstRNN(cell, input_size=embedding_size, width=width)
        self.score = SCORES[score](width)
        self.initial_output_state = InitialState(width, layers=layers, cell=cell)
        self.output_rnn = BatchFirstRNN(
            cell, input_size=2 * width, width=width, layers=layers, dropout=dropout
        )
        self.output = TiedOutput(2 * width, self.embedding, dropout=dropout)
        self.dropout = nn.Dropout(dropout)

    def begin(self, memory: Memory) -> AttentionState:
        """Return the state before the first token."""
        needs_weights = isinstance(self.score, LocationScore)
        return AttentionState(
            memory.states,
            memory.is_token,
            query_state=self.initial_query_state(memory.vector),
            output_state=self.initial_output_state(memory.vector),
            previous_weights=torch.zeros_like(memory.states[..., 0]) if needs_weights else None,
            keys=self.score.key(memory.states),
        )

    def forward(
        self, ids: torch.Tensor, state: AttentionState
    ) -> tuple[torch.Tensor, AttentionState]:
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
        words = self.dropout(self.embedding(ids))  # (B, T, E)
        queries, query_state = self.query_rnn(words, state.query_state)  # (B, T, D)
        weights = self._attention_weights(queries, state)  # (B, T, S)
        contexts = weights @ state.states  # (B, T, D)
        inputs = self.dropout(torch.cat([queries, contexts], -1))  # (B, T, 2·D)
        x, output_state = self.output_rnn(inputs, state.output_state)  # (B, T, D)
        logits = self.output(torch.cat([x, contexts], -1))  # (B, T, V)
        return logits, state._replace(
            query_state=query_state,
            output_state=output_state,
            previous_weights=None if state.previous_weights is None else weights[:, -1],
        )

    def weights(self, ids: torch.Tensor, state: AttentionState) -> torch.Tensor:
        """Compute the attention weights of a known target, without dropout.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64: BOS and the target, or a part of it.
        state
            The state before `ids`.

        Returns
        -------
        torch.Tensor
            For each step the weights of the encoder's states, which sum to 1, (B, T, S).
        """
        queries, _ = self.query_rnn(self.embedding(ids), state.query_state)  # (B, T, D)
        return self._attention_weights(queries, state)

    def _attention_weights(self, queries: torch.Tensor, state: AttentionState) -> torch.Tensor:
        """Return the attention weights (B, T, S) of `queries` (B, T, D)."""
        mask = state.is_token[:, None]  # (B, 1, S)
        previous = state.previous_weights  # (B, S)
        if previous is None:
            return masked_softmax(self.score(queries, state.keys), mask)
        steps = []
        for query in queries.split(1, 1):  # (B, 1, D)
            steps.append(masked_softmax(self.score(query, state.keys, previous), mask))
            previous = steps[-1][:, 0]
        return torch.cat(steps, 1)  # (B, T, S)

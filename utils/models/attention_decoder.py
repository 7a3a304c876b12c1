"""Recurrent decoder that attends to the encoder's states.

Derived in section 4.2. Attention: Bahdanau et al. 2015; queries computed before attention: Luong
et al. 2015. The scores are in ``utils.models.attention_scores``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from utils.arguments import check_choice, check_positive, if_given
from utils.data.vocabulary import PAD
from utils.models.attention import masked_softmax
from utils.models.attention_scores import ATTENTION_SCORES, AttentionScore, LocationScore
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
from utils.states import Memory, register_state


@register_state
class AttentionDecoderState(NamedTuple):
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
        State of the layer that computes the queries, (B, 1, D); of an LSTM an `LSTMState`.
    output_state
        State of the layers above attention, (B, layers, D); of an LSTM an `LSTMState`.
    previous_weights
        Attention weights of the last step, (B, S), zero before the first token; None unless the
        score is the location score, which needs them.
    """

    states: torch.Tensor
    is_token: torch.Tensor
    keys: torch.Tensor
    query_state: RecurrentState
    output_state: RecurrentState
    previous_weights: torch.Tensor | None


class AttentionDecoder(TiedModule):
    """Recurrent decoder: its first layer computes the queries of attention, the others read both.

    The query depends on the tokens so far but not on earlier attention, so that all steps of a
    known target are computed at once, as in Luong et al. 2015. Instead of their attentional vector,
    which is fed back, the model has `num_layers` layers above attention. The output matrix is tied
    to the embedding.

    Source: ``eq-attention-step`` and ``eq-attention-weights`` (section 4.2).

    Parameters
    ----------
    vocab_size
        Size V of the target vocabulary.
    width
        Length D of hidden states and of the encoder's states.
    num_layers
        Number of layers above attention.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    attention_score
        How a query is compared with the encoder's states: "additive" (Bahdanau et al. 2015),
        "multiplicative" (Luong et al. 2015), "scaled" (multiplicative divided by √D) or "location"
        (additive and dependent on the weights of the last step, Chorowski et al. 2015, so that
        steps are computed one by one).
    embedding_size
        Length E of a word vector; D by default.
    dropout
        Probability of dropout on word vectors, on the input of the layers above, between these
        layers and before the output.

    Raises
    ------
    ValueError
        If the attention score or the cell is unknown, or a size is not a positive integer.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_layers: int = 1,
        cell: Cell = "gru",
        attention_score: AttentionScore = "multiplicative",
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice(ATTENTION_SCORES, attention_score=attention_score)
        check_positive(
            vocab_size=vocab_size,
            width=width,
            num_layers=num_layers,
            **if_given(embedding_size=embedding_size),
        )
        embedding_size = embedding_size or width
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.initial_query_state = InitialState(width, cell=cell)
        self.query_rnn = make_rnn(cell, input_size=embedding_size, width=width)
        self.attention_score = ATTENTION_SCORES[attention_score](width)
        self.initial_output_state = InitialState(width, num_layers=num_layers, cell=cell)
        self.output_rnn = make_rnn(
            cell, input_size=2 * width, width=width, num_layers=num_layers, dropout=dropout
        )
        self.output_projection = projection_or_identity(2 * width, embedding_size)
        self.output = make_tied_output(self.embedding)
        self.dropout = make_dropout(dropout)

    def begin(self, memory: Memory) -> AttentionDecoderState:
        """Return the `AttentionDecoderState` before the first token.

        Raises
        ------
        ValueError
            If the encoder's states are not as long as the decoder's.
        """
        check_memory(memory, width=self.query_rnn.hidden_size)
        needs_weights = isinstance(self.attention_score, LocationScore)
        return AttentionDecoderState(
            memory.states,
            memory.is_token,
            query_state=self.initial_query_state(memory.vector),
            output_state=self.initial_output_state(memory.vector),
            previous_weights=torch.zeros_like(memory.states[..., 0]) if needs_weights else None,
            keys=self.attention_score.key_projection(memory.states),
        )

    def forward(
        self, ids: torch.Tensor, state: AttentionDecoderState
    ) -> tuple[torch.Tensor, AttentionDecoderState]:
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
        state : AttentionDecoderState
            The state after `ids`.

        Raises
        ------
        ValueError
            If `ids` are not integers (B, T), or `state` is of another model, batch or type.
        """
        check_call(self, ids, state, self._state_form())
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        queries, query_state = run_batch_first(self.query_rnn, x, state.query_state)  # (B, T, D)
        weights = self._weigh(queries, state)  # (B, T, S)
        contexts = weights @ state.states  # (B, T, D)
        x = self.dropout(torch.cat([queries, contexts], -1))  # (B, T, 2·D)
        x, output_state = run_batch_first(self.output_rnn, x, state.output_state)  # (B, T, D)
        x = self.dropout(torch.cat([x, contexts], -1))  # (B, T, 2·D)
        logits = self.output(self.output_projection(x))  # (B, T, V)
        return logits, state._replace(
            query_state=query_state,
            output_state=output_state,
            previous_weights=self._last_weights(weights, state),
        )

    def attention_weights(self, ids: torch.Tensor, state: AttentionDecoderState) -> torch.Tensor:
        """Compute the attention weights (B, T, S) of `ids` (B, T), without dropout.

        The weights of each step sum to 1 over the S states of the encoder.

        Raises
        ------
        ValueError
            As for a call of the model.
        """
        check_call(self, ids, state, self._state_form())
        x = self.embedding(ids)  # (B, T, E)
        queries, _ = run_batch_first(self.query_rnn, x, state.query_state)  # (B, T, D)
        return self._weigh(queries, state)

    def _state_form(self) -> TupleForm:
        """Return the form of a state, for `check_call`."""
        states = TensorForm((BATCH, None, self.query_rnn.hidden_size))
        mask = TensorForm((BATCH, None), torch.bool)
        needs_weights = isinstance(self.attention_score, LocationScore)
        weights = TensorForm((BATCH, None)) if needs_weights else None
        query_state, output_state = state_form(self.query_rnn), state_form(self.output_rnn)
        parts = (states, mask, states, query_state, output_state, weights)
        return TupleForm(AttentionDecoderState, parts)

    def _last_weights(
        self, weights: torch.Tensor, state: AttentionDecoderState
    ) -> torch.Tensor | None:
        """Return the weights (B, S) that the next call needs, after the `weights` (B, T, S)."""
        if state.previous_weights is None or weights.shape[1] == 0:
            return state.previous_weights
        return weights[:, -1]

    def _weigh(self, queries: torch.Tensor, state: AttentionDecoderState) -> torch.Tensor:
        """Return the attention weights (B, T, S) of `queries` (B, T, D)."""
        mask = state.is_token[:, None]  # (B, 1, S)
        score = self.attention_score
        if not isinstance(score, LocationScore):
            return masked_softmax(score(queries, state.keys), mask)
        steps, previous = [], state.previous_weights  # (B, S)
        if queries.shape[1] == 0:
            return queries @ state.keys.mT  # (B, 0, S)
        for query in torch.split(queries, 1, 1):  # (B, 1, D)
            steps.append(masked_softmax(score(query, state.keys, previous), mask))
            previous = steps[-1][:, 0]
        return torch.cat(steps, 1)  # (B, T, S)

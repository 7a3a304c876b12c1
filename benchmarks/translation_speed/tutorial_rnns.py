"""Recurrent encoder–decoders as well-known tutorials write them, for ``translation_speed``.

Their decoders are called token by token and read their own token half of the time. Sutskever et al.
2014; Bahdanau et al. 2015. The code was written for this benchmark.
"""

from __future__ import annotations

from typing import Generic, NamedTuple

import torch
from torch import nn

from utils.contract import StateT
from utils.data.vocabulary import PAD
from utils.models.typed_module import TypedModule

MASKED_SCORE = -1e10  # an attention score without effect
DROPOUT = 0.5
TEACHER_FORCING = 0.5  # probability that the next input is the target's token


class StepwiseDecoder(TypedModule, Generic[StateT]):
    """A recurrent encoder–decoder that is called for one target token after the other."""

    def begin(self, source: torch.Tensor) -> StateT:
        """Return the decoder's first state for `source` (B, S)."""
        raise NotImplementedError

    def step(self, ids: torch.Tensor, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Return logits (B, V) for the tokens `ids` (B,), and the state after them.

        Parameters
        ----------
        ids
            One token of each row, (B,).
        state
            The state before it.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, V).
        new_state : StateT
            The state after the tokens.
        """
        raise NotImplementedError

    def forward(self, source: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits (B, T, V) for `source` (B, S) and target tokens `inputs` (B, T).

        Parameters
        ----------
        source
            Ids of the sources, (B, S).
        inputs
            Ids of the targets, (B, T).

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        """
        state, ids, logits = self.begin(source), inputs[:, 0], []
        steps = inputs.shape[1]
        for i in range(steps):
            step_logits, state = self.step(ids, state)  # (B, V)
            logits.append(step_logits)
            is_free = torch.rand(()) < 1 - TEACHER_FORCING or i + 1 == steps
            ids = step_logits.argmax(-1) if is_free else inputs[:, i + 1]  # (B,)
        return torch.stack(logits, 1)  # (B, T, V)


class StepwiseLSTM(StepwiseDecoder[tuple[torch.Tensor, torch.Tensor]]):
    """An encoder and a decoder of two LSTM layers each, joined by the final state.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    embedding_size
        Length E of a word vector.
    width
        Length D of the states.
    """

    def __init__(self, vocab_size: int, *, embedding_size: int = 128, width: int = 256) -> None:
        super().__init__()
        self.embeddings = _two_embeddings(vocab_size, embedding_size)
        self.encoder = nn.LSTM(embedding_size, width, 2, dropout=DROPOUT)
        self.decoder = nn.LSTM(embedding_size, width, 2, dropout=DROPOUT)
        self.output = nn.Linear(width, vocab_size)
        self.dropout = nn.Dropout(DROPOUT)

    def begin(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the encoder's final hidden and cell states, (2, B, D) each."""
        vectors = self.dropout(self.embeddings[0](source.T))  # (S, B, E)
        return self.encoder(vectors)[1]

    def step(
        self, ids: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return logits (B, V) for the tokens `ids` (B,), and the state after them.

        Parameters
        ----------
        ids
            One token of each row, (B,).
        state
            The hidden and cell states before it, (2, B, D) each.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, V).
        state : tuple of torch.Tensor
            The states after the tokens.
        """
        vectors = self.dropout(self.embeddings[1](ids))[None]  # (1, B, E)
        hidden, state = self.decoder(vectors, state)  # (1, B, D)
        return self.output(hidden[0]), state


class StepwiseAttentionState(NamedTuple):
    """The state of a `StepwiseAttention` decoder.

    Parameters
    ----------
    hidden
        The decoder's state, (B, D).
    states
        The encoder's states, (B, S, 2·D).
    is_token
        True where the source has a token, (B, S).
    """

    hidden: torch.Tensor
    states: torch.Tensor
    is_token: torch.Tensor


class StepwiseAttention(StepwiseDecoder[StepwiseAttentionState]):
    """A bidirectional GRU, and a GRU decoder with additive attention to its states.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    embedding_size
        Length E of a word vector.
    width
        Length D of the states.
    """

    def __init__(self, vocab_size: int, *, embedding_size: int = 128, width: int = 192) -> None:
        super().__init__()
        self.embeddings = _two_embeddings(vocab_size, embedding_size)
        self.encoder = nn.GRU(embedding_size, width, bidirectional=True)
        self.initial_state_projection = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.score_hidden = nn.Linear(3 * width, width)
        self.score_output = nn.Linear(width, 1, bias=False)
        self.decoder = nn.GRU(embedding_size + 2 * width, width)
        self.output = nn.Linear(embedding_size + 3 * width, vocab_size)

    def begin(self, source: torch.Tensor) -> StepwiseAttentionState:
        """Return the decoder's first state for `source` (B, S)."""
        vectors = self.dropout(self.embeddings[0](source.T))  # (S, B, E)
        states, final = self.encoder(vectors)  # (S, B, 2·D), (2, B, D)
        hidden = self.initial_state_projection(torch.cat([final[0], final[1]], -1)).tanh()  # (B, D)
        return StepwiseAttentionState(hidden, states.transpose(0, 1), source != PAD)

    def step(
        self, ids: torch.Tensor, state: StepwiseAttentionState
    ) -> tuple[torch.Tensor, StepwiseAttentionState]:
        """Return logits (B, V) for the tokens `ids` (B,), and the state after them.

        Parameters
        ----------
        ids
            One token of each row, (B,).
        state
            The state before it.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, V).
        state : StepwiseAttentionState
            The state after the tokens.
        """
        hidden, states, is_token = state  # (B, D), (B, S, 2·D), (B, S)
        vectors = self.dropout(self.embeddings[1](ids))  # (B, E)
        query = hidden[:, None].expand(-1, states.shape[1], -1)  # (B, S, D)
        scores = self.score_output(
            self.score_hidden(torch.cat([query, states], -1)).tanh()  # (B, S, D)
        )[..., 0]  # (B, S)
        weights = scores.masked_fill(~is_token, MASKED_SCORE).softmax(-1)  # (B, S)
        context = (weights[:, None] @ states)[:, 0]  # (B, 2·D)
        output, hidden = self.decoder(torch.cat([vectors, context], -1)[None], hidden[None])
        logits = self.output(torch.cat([output[0], context, vectors], -1))  # (B, V)
        return logits, StepwiseAttentionState(hidden[0], states, is_token)


def _two_embeddings(count: int, width: int) -> nn.ModuleList:
    """Return tables of `count` vectors for the source and for the target."""
    return nn.ModuleList(nn.Embedding(count, width) for _ in range(2))

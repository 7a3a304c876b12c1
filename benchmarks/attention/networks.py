"""The decoder of Luong et al. 2015: attention above one recurrent layer."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.attention import masked_softmax
from utils.models.attention_scores import AdditiveScore, MultiplicativeScore, ScaledScore
from utils.models.encoder_decoder import EncoderDecoder
from utils.models.layers import ScaledEmbedding
from utils.models.recurrent import InitialState, RecurrentState, make_rnn, run_batch_first
from utils.models.recurrent_encoders import RNNEncoder
from utils.states import Memory

ScoreName: TypeAlias = Literal["additive", "general", "scaled"]

SCORES = {"additive": AdditiveScore, "general": MultiplicativeScore, "scaled": ScaledScore}


class LuongState(NamedTuple):
    """State of a `LuongDecoder`.

    Parameters
    ----------
    states, is_token, keys
        The encoder's states (B, S, D), where they are tokens (B, S), and their keys (B, S, D).
    query_state
        State of the recurrent layer, (B, 1, D).
    """

    states: torch.Tensor
    is_token: torch.Tensor
    keys: torch.Tensor
    query_state: RecurrentState


class LuongDecoder(nn.Module):
    """A recurrent layer, attention, and an output that reads both.

    The context of a step affects the prediction of that step only.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of all vectors.
    score
        "general", "additive", or "scaled": general, divided by √D.
    """

    def __init__(self, vocab_size: int, *, width: int, score: ScoreName = "general") -> None:
        super().__init__()
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.initial_state = InitialState(width, cell="gru")
        self.rnn = make_rnn("gru", input_size=width, width=width)
        self.score: Any = SCORES[score](width)
        self.combine = nn.Linear(2 * width, width)
        self.output = nn.Linear(width, vocab_size)

    def begin(self, memory: Memory) -> LuongState:
        """Return the state before the first token."""
        keys = self.score.key_projection(memory.states)  # (B, S, D)
        first = self.initial_state(memory.vector)  # (B, 1, D)
        return LuongState(memory.states, memory.is_token, keys, first)

    def forward(self, ids: torch.Tensor, state: LuongState) -> tuple[torch.Tensor, LuongState]:
        """Compute the logits (B, T, V) of the token after each of `ids` (B, T)."""
        queries, weights, query_state = self._attend(ids, state)
        return self.read(queries, weights @ state.states), state._replace(query_state=query_state)

    def attention_weights(self, ids: torch.Tensor, state: LuongState) -> torch.Tensor:
        """Compute the attention weights (B, T, S) of `ids` (B, T)."""
        return self._attend(ids, state)[1]

    def queries_and_weights(
        self, ids: torch.Tensor, state: LuongState
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute queries (B, T, D) and attention weights (B, T, S) of `ids` (B, T)."""
        queries, weights, _ = self._attend(ids, state)
        return queries, weights

    def read(self, queries: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
        """Compute logits (…, V) from queries and contexts (…, D)."""
        logits: torch.Tensor = self.output(self.combine(torch.cat([queries, contexts], -1)).tanh())
        return logits

    def _attend(
        self, ids: torch.Tensor, state: LuongState
    ) -> tuple[torch.Tensor, torch.Tensor, RecurrentState]:
        """Return queries (B, T, D), weights (B, T, S) and the state of the recurrent layer."""
        x = self.embedding(ids)  # (B, T, D)
        queries, query_state = run_batch_first(self.rnn, x, state.query_state)  # (B, T, D)
        scores = self.score(queries, state.keys)  # (B, T, S)
        return queries, masked_softmax(scores, state.is_token[:, None]), query_state


def build(
    vocab_size: int, *, width: int, score: ScoreName = "general", is_bidirectional: bool = False
) -> EncoderDecoder[LuongState]:
    """Build an encoder–decoder of GRUs.

    Parameters
    ----------
    vocab_size, width, score
        As for `LuongDecoder`.
    is_bidirectional
        Whether the encoder reads in both directions.

    Returns
    -------
    model : EncoderDecoder
        The model.
    """
    encoder = RNNEncoder(vocab_size, width=width, bidirectional=is_bidirectional)
    return EncoderDecoder(encoder, LuongDecoder(vocab_size, width=width, score=score))

"""A Transformer as well-known tutorials write it, for ``translation_speed``.

Its attention is written out, and it decodes without a cache. Vaswani et al. 2017. The code was
written for this benchmark.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.translation_speed.tutorial_rnns import MASKED_SCORE
from utils.contract import ConditionalLanguageModel
from utils.data.vocabulary import PAD
from utils.models.typed_module import TypedModule
from utils.states import State

DROPOUT = 0.1
MAX_POSITIONS = 100


class PlainAttention(nn.Module):
    """Multi-head attention whose weights are computed, masked and normalized one by one.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_heads
        Number H of heads.
    """

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_projection = nn.Linear(width, width)
        self.key_projection = nn.Linear(width, width)
        self.value_projection = nn.Linear(width, width)
        self.output_projection = nn.Linear(width, width)

    def forward(
        self, x: torch.Tensor, memory: torch.Tensor, is_visible: torch.Tensor
    ) -> torch.Tensor:
        """Attend from `x` (B, T, D) to `memory` (B, S, D) where the mask (B, 1, ·, S) is True.

        Parameters
        ----------
        x
            The vectors that attend, (B, T, D).
        memory
            The vectors that they attend to, (B, S, D).
        is_visible
            True where a vector may attend to another, (B, 1, · , S).

        Returns
        -------
        context : torch.Tensor
            The sums of the values, (B, T, D).
        """
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (
                self.query_projection(x),
                self.key_projection(memory),
                self.value_projection(memory),
            )
        )  # (B, H, T or S, D/H)
        scores = q @ k.mT / q.shape[-1] ** 0.5  # (B, H, T, S)
        weights = scores.masked_fill(~is_visible, MASKED_SCORE).softmax(-1)
        weights = F.dropout(weights, DROPOUT, self.training)
        return self.output_projection((weights @ v).transpose(1, 2).flatten(2))  # (B, T, D)


class PlainLayer(nn.Module):
    """A post-norm Transformer layer.

    Parameters
    ----------
    width
        Length D of the vectors.
    num_heads
        Number of attention heads.
    feedforward_size
        Width of the feed-forward part.
    use_cross_attention
        Whether it attends to a memory as well, between its two parts.
    """

    def __init__(
        self, width: int, *, num_heads: int, feedforward_size: int, use_cross_attention: bool
    ) -> None:
        super().__init__()
        num_attentions = 2 if use_cross_attention else 1
        self.attentions = nn.ModuleList(
            PlainAttention(width, num_heads=num_heads) for _ in range(num_attentions)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(num_attentions + 1))
        self.up_projection, self.down_projection = (
            nn.Linear(width, feedforward_size),
            nn.Linear(feedforward_size, width),
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self,
        x: torch.Tensor,
        is_visible: torch.Tensor,
        memory: torch.Tensor | None = None,
        memory_is_token: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the layer's output (B, T, D) for `x` (B, T, D).

        Parameters
        ----------
        x
            The vectors, (B, T, D).
        is_visible
            True where one of them may attend to another, (B, 1, ·, T).
        memory
            The encoder's output, (B, S, D); None in an encoder.
        memory_is_token
            True where the source has a token, (B, 1, 1, S).

        Returns
        -------
        output : torch.Tensor
            The layer's output, (B, T, D).
        """
        x = self.norms[0](x + self.dropout(self.attentions[0](x, x, is_visible)))
        if memory is not None:
            context = self.attentions[1](x, memory, memory_is_token)  # (B, T, D)
            x = self.norms[1](x + self.dropout(context))
        hidden = self.down_projection(self.dropout(self.up_projection(x).relu()))  # (B, T, D)
        return self.norms[-1](x + self.dropout(hidden))


class PlainTransformer(nn.Module):
    """A Transformer with learned positions, whose attention reads the whole target at once.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of the vectors.
    num_heads
        Number of attention heads.
    feedforward_size
        Width of the feed-forward parts.
    num_layers
        Number of layers of the encoder, and of the decoder.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        num_heads: int = 8,
        feedforward_size: int = 512,
        num_layers: int = 3,
    ) -> None:
        super().__init__()
        self.width = width
        self.embeddings = nn.ModuleList(nn.Embedding(vocab_size, width) for _ in range(2))
        self.positions = nn.ModuleList(nn.Embedding(MAX_POSITIONS, width) for _ in range(2))
        self.encoder, self.decoder = (
            nn.ModuleList(
                PlainLayer(
                    width,
                    num_heads=num_heads,
                    feedforward_size=feedforward_size,
                    use_cross_attention=use_cross_attention,
                )
                for _ in range(num_layers)
            )
            for use_cross_attention in (False, True)
        )
        self.output = nn.Linear(width, vocab_size)
        self.dropout = nn.Dropout(DROPOUT)

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
        is_token = (source != PAD)[:, None, None]  # (B, 1, 1, S)
        length = inputs.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()  # (T, T)
        is_visible = causal & (inputs != PAD)[:, None, None]  # (B, 1, T, T)
        memory, x = (self._embed(i, ids) for i, ids in enumerate((source, inputs)))
        for layer in self.encoder:
            memory = layer(memory, is_token)  # (B, S, D)
        for layer in self.decoder:
            x = layer(x, is_visible, memory, is_token)  # (B, T, D)
        return self.output(x)

    def _embed(self, i: int, ids: torch.Tensor) -> torch.Tensor:
        """Return vectors (B, T, D) of tokens with their positions, of source (0) or target (1)."""
        positions = self.positions[i](torch.arange(ids.shape[1]))  # (T, D)
        return self.dropout(self.embeddings[i](ids) * self.width**0.5 + positions)


class UncachedState(NamedTuple):
    """The state of an `UncachedModel`.

    Parameters
    ----------
    first_state
        The state of the inner model before the first token.
    ids
        All tokens since, (B, T).
    """

    first_state: State
    ids: torch.Tensor


class UncachedModel(TypedModule):
    """A model of the contract without a cache: each call reads the answer from its start.

    Parameters
    ----------
    model
        An encoder–decoder.
    """

    def __init__(self, model: ConditionalLanguageModel[Any]) -> None:
        super().__init__()
        self.model = model

    def begin(self, source: torch.Tensor) -> UncachedState:
        """Return the state from which to decode `source` (B, S)."""
        return UncachedState(self.model.begin(source), source[:, :0])

    def forward(
        self, ids: torch.Tensor, state: UncachedState
    ) -> tuple[torch.Tensor, UncachedState]:
        """Return logits (B, T, V) for `ids` (B, T), and the state after them.

        Parameters
        ----------
        ids
            Token ids, (B, T).
        state
            The state before them.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : UncachedState
            The state after `ids`.
        """
        all_ids = torch.cat([state.ids, ids], 1)  # (B, tokens so far)
        logits, _ = self.model(all_ids, state.first_state)
        return logits[:, -ids.shape[1] :], UncachedState(state.first_state, all_ids)

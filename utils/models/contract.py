"""The contract of all models that predict a next token, as types.

A language model is called as ``model(ids, state=None) -> (logits, state)``: ``ids`` (B, T) int64,
``logits`` (B, T, V). One call with T > 1 (teacher forcing) gives the same numbers as T calls with
one token each that hand the state on (decoding). A decoder is called in the same way, but needs a
state: at first that of ``decoder.begin(memory)``. An encoder–decoder needs one too, at first that
of ``model.encode(source)``. All three are a `NextTokenModel`. Decoding and scoring know models by
these types only.

A protocol of a model that can be called names ``forward`` beside ``__call__``. A torch module
inherits a ``__call__`` without types, which fits every protocol; its ``forward`` is what a type
checker can compare. The type variable `StateT` is the type of the model's state, which differs from
model to model.

Two kinds of models have other calls, each with its own objective: a classifier returns one row of
logits for each text (``utils.models.classifiers``), and a CTC recogniser log-probabilities for each
step of a clip (``utils.speech.ctc_recognizer``).

The last layer of a model is an `OutputLayer` of ``utils.models.layers``, by which optimizers such
as Muon find the output matrix.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import torch

State: TypeAlias = Any
"""The state of a model between calls: a tree (named tuples, tuples, lists, dicts) of tensors with
the batch first, or None. ``utils.decoding.state`` reorders it without knowing the model."""

StateT = TypeVar("StateT")
"""The state of one model, where its type matters."""


class LSTMState(NamedTuple):
    """The state of an LSTM.

    Parameters
    ----------
    hidden
        The hidden state h of each layer, (B, layers, D).
    cell_state
        The cell state c of each layer, (B, layers, D).
    """

    hidden: torch.Tensor
    cell_state: torch.Tensor


class Memory(NamedTuple):
    """The output of an encoder, from which a decoder starts.

    Parameters
    ----------
    states
        One vector for each source token, (B, S, D).
    is_token
        True where the source has a token, False where it is padded, (B, S) bool.
    vector
        One vector for the whole source, (B, D).
    final_state
        The state in which an LSTM encoder ends; None from all other encoders. Only a decoder that
        starts from exactly that state needs it (section 5.2).
    """

    states: torch.Tensor
    is_token: torch.Tensor
    vector: torch.Tensor
    final_state: LSTMState | None = None


class NextTokenModel(Protocol[StateT]):
    """p(next token | tokens so far), where the state holds the tokens so far and more.

    Generation and search take such a model with a state to start from.
    """

    def forward(self, ids: torch.Tensor, /, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state
            The state after `ids`.
        """
        ...

    def __call__(self, ids: torch.Tensor, /, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Call `forward`."""
        ...


class LanguageModel(NextTokenModel[StateT], Protocol[StateT]):
    """p(next token | tokens so far), where no state stands for no tokens."""

    def forward(
        self, ids: torch.Tensor, /, state: StateT | None = None
    ) -> tuple[torch.Tensor, StateT]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`; None for no tokens.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        state
            The state after `ids`.
        """
        ...

    def __call__(
        self, ids: torch.Tensor, /, state: StateT | None = None
    ) -> tuple[torch.Tensor, StateT]:
        """Call `forward`."""
        ...


@runtime_checkable
class TextScorer(Protocol):
    """A language model that scores a text faster than by computing all its logits."""

    def score(self, ids: torch.Tensor, /) -> torch.Tensor:
        """Return log p of each token of one text, `ids` (N,), given those before it: (N,)."""
        ...


class Encoder(Protocol):
    """Reads a source, padded with PAD at its end."""

    def forward(self, source: torch.Tensor, /) -> Memory:
        """Return the Memory of `source` (B, S)."""
        ...

    def __call__(self, source: torch.Tensor, /) -> Memory:
        """Call `forward`."""
        ...


class Decoder(NextTokenModel[StateT], Protocol[StateT]):
    """p(next token | tokens so far, source), where the state holds what it needs of the source."""

    def begin(self, memory: Memory, /) -> StateT:
        """Return the state before the first token."""
        ...


class ConditionalLanguageModel(NextTokenModel[StateT], Protocol[StateT]):
    """p(next token | tokens so far, source): an encoder and a decoder in one model."""

    def encode(self, source: torch.Tensor, /) -> StateT:
        """Return the state from which to decode `source` (B, S)."""
        ...

"""The contract of all models that predict a next token, as types.

A language model is called as ``model(ids, state=None) -> (logits, state)``: ``ids`` (B, T) int64,
``logits`` (B, T, V). One call with T > 1 (teacher forcing) gives the same numbers as T calls with
one token each that hand the state on (decoding). A decoder is called in the same way, but needs a
state: at first that of ``decoder.begin(memory)``. An encoder–decoder needs one too, at first that
of ``model.encode(source)``. Decoding and scoring know models by these types only.

Two kinds of models have other calls, each with its own objective: a classifier returns one row of
logits for each text (``utils.models.classifiers``), and a CTC recogniser log-probabilities for each
step of a clip (``utils.speech.ctc_recogniser``).

A model with an output matrix says which that is by a method ``output_parameters()``, a list of its
parameters: optimizers such as Muon, which are for the matrices inside, leave these to AdamW.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch

State: TypeAlias = Any
"""The state of a model between calls: a tree (named tuples, tuples, lists, dicts) of tensors with
the batch first, or None. ``utils.decoding.state`` reorders it without knowing the model."""


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
        The last hidden and cell state of each layer, each (B, layers, D); given only by encoders
        whose decoder starts from exactly that (section 5.2).
    """

    states: torch.Tensor
    is_token: torch.Tensor
    vector: torch.Tensor
    final_state: tuple[torch.Tensor, torch.Tensor] | None = None


class LanguageModel(Protocol):
    """p(next token | tokens so far), for every position of `ids` at once."""

    def __call__(self, ids: torch.Tensor, state: State = None) -> tuple[torch.Tensor, State]:
        """Return logits (B, T, V) for `ids` (B, T), and the state after them."""
        ...


@runtime_checkable
class TextScorer(Protocol):
    """A language model that scores a text faster than by computing all its logits."""

    def score(self, ids: torch.Tensor) -> torch.Tensor:
        """Return log p of each token of one text, `ids` (N,), given those before it: (N,)."""
        ...


class Encoder(Protocol):
    """Reads a source, padded with PAD at its end."""

    def __call__(self, source: torch.Tensor) -> Memory:
        """Return the Memory of `source` (B, S)."""
        ...


class Decoder(Protocol):
    """p(next token | tokens so far, source), where the state holds what it needs of the source."""

    def begin(self, memory: Memory) -> State:
        """Return the state before the first token."""
        ...

    def __call__(self, ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Return logits (B, T, V) for `ids` (B, T), and the state after them."""
        ...


class ConditionalLanguageModel(LanguageModel, Protocol):
    """p(next token | tokens so far, source): an encoder and a decoder in one model.

    Without a state, a call raises ValueError: `encode` gives the first one.
    """

    def encode(self, source: torch.Tensor) -> State:
        """Return the state from which to decode `source` (B, S)."""
        ...

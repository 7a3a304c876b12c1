"""The contract of all models that predict a next token, as types.

A language model is called as ``model(ids, state=None) -> (logits, state)``: ``ids`` (B, T) int64,
``logits`` (B, T, V). One call with T > 1 (teacher forcing) gives the same numbers as T calls with
one token each that pass the state on (decoding). A decoder is called in the same way, but needs a
state: at first that of ``decoder.begin(memory)``. An encoder–decoder needs one too, at first that
of ``model.begin(source)``. All three are a `NextTokenModel`. Decoding and scoring call models as
these types say.

A model reads PAD like any other token. At the end of a row it changes no logits before it, but the
state after it has read it as well, so that a row cannot be continued from a state after padding.
``utils.decoding.generation`` continues rows of different lengths: it reads what all of them have,
and then token by token.

Some attributes are used where a model has them, and no type requires them:

- ``embedding``, or that of a ``decoder`` or an ``encoder``, with the size of the vocabulary: ids
  are checked against it before the model reads them. Of a model without one, ids need only not be
  negative.
- ``output``: the last layer, in place of which `LanguageModelEncoder` puts the identity.
- ``output_parameters()`` of any part, such as an `OutputLayer` of ``utils.models.layers``: the
  output matrices, by which optimizers such as Muon tell them from others.

A state differs from model to model, and so does an encoder's memory (``utils.states``). The type
variables `StateT` and `MemoryT` link a model to its own, so that a type checker rejects a search
with the state of another model, and a decoder that needs the memory of another encoder.

torch declares modules to accept any call, so that the protocols name ``forward`` as well as
``__call__``. The calls of the library's own models have the types of their ``forward``
(``utils.models.typed_module``).

Two kinds of models have other calls, each with its own objective: a classifier returns one row of
logits for each text (`TextClassifier`), and a CTC recognizer log-probabilities for each
step of a clip (`SpeechRecognizer`).
"""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

import torch

from utils.states import Memory, State

StateT = TypeVar("StateT", bound=State)
"""The state of one model: a function that takes both rejects the state of another."""

MemoryT = TypeVar("MemoryT", bound=Memory)
"""The memory of one encoder, where its type matters."""

MemoryT_co = TypeVar("MemoryT_co", bound=Memory, covariant=True)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Memory, contravariant=True)


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
        new_state : StateT
            The state after `ids`.
        """
        ...

    def __call__(self, ids: torch.Tensor, /, state: StateT) -> tuple[torch.Tensor, StateT]:
        """Call `forward`."""
        ...


class LanguageModel(NextTokenModel[StateT | None], Protocol[StateT]):
    """p(next token | tokens so far), where None is the state before the first token."""

    def forward(
        self, ids: torch.Tensor, /, state: StateT | None = None
    ) -> tuple[torch.Tensor, StateT]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            The state before `ids`; None if no tokens precede them.

        Returns
        -------
        logits : torch.Tensor
            (B, T, V).
        new_state : StateT
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
    """A language model that can score a text without computing all logits."""

    def score(self, ids: torch.Tensor, /) -> torch.Tensor:
        """Return log p of each token of one text, `ids` (N,), given those before it: (N,)."""
        ...


class Encoder(Protocol[MemoryT_co]):
    """Reads a source, padded with PAD at its end."""

    def forward(self, source: torch.Tensor, /) -> MemoryT_co:
        """Return the memory of `source` (B, S)."""
        ...

    def __call__(self, source: torch.Tensor, /) -> MemoryT_co:
        """Call `forward`."""
        ...


class Decoder(NextTokenModel[StateT], Protocol[MemoryT_contra, StateT]):
    """p(next token | tokens so far, source), where the state holds what it needs of the source."""

    def begin(self, memory: MemoryT_contra, /) -> StateT:
        """Return the state before the first token."""
        ...


class ConditionalLanguageModel(NextTokenModel[StateT], Protocol[StateT]):
    """p(next token | tokens so far, source): an encoder and a decoder in one model."""

    def begin(self, source: torch.Tensor, /) -> StateT:
        """Return the state from which to decode `source` (B, S)."""
        ...


def needs_first_state(model: object) -> bool:
    """Return whether a model needs the state of `begin` before the first token, where others None.

    It is asked of the object and not of its type, as ``torch.compile`` wraps a model in a module
    that only passes attributes on.
    """
    return hasattr(model, "begin")


def vocab_size_of(model: object) -> int | None:
    """Return the number of ids that a model can read: the number of vectors of its `embedding`.

    A model without one has the embedding of its `decoder`, or else of its `encoder` or its `body`.

    Parameters
    ----------
    model
        A language model, an encoder, a decoder, an encoder–decoder or a classifier.

    Returns
    -------
    vocab_size : int or None
        The size V of the vocabulary; None if the model has no embedding.
    """
    for name in ("embedding", "decoder", "encoder", "body"):
        part = getattr(model, name, None)
        if part is not None:
            size = getattr(part, "num_embeddings", None)
            return size if name == "embedding" else vocab_size_of(part)
    return None


class TextClassifier(Protocol):
    """p(class | text), for texts of any length."""

    def forward(self, ids: torch.Tensor, /) -> torch.Tensor:
        """Compute the logits (B, number of classes) of the texts `ids` (B, S)."""
        ...

    def __call__(self, ids: torch.Tensor, /) -> torch.Tensor:
        """Call `forward`."""
        ...


class SpeechRecognizer(Protocol):
    """p(token or blank | audio) at each step of a clip, for CTC."""

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor, /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the log-probabilities of tokens and blank.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        log_probs : torch.Tensor
            (B, S, V).
        lengths : torch.Tensor
            The number of valid steps of each clip, (B,).
        """
        ...

    def __call__(
        self, features: torch.Tensor, lengths: torch.Tensor, /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Call `forward`."""
        ...

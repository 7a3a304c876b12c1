"""Decoders, and the encoder–decoder that joins any of them to any encoder of ``utils.encoders``.

Derived in section 4.2, written part by part in 3.2 and 7.3, compared in 6.1; `lstm_seq2seq` serves
in 5.2. Recurrent: Sutskever et al. 2014, Cho et al. 2014; with attention: Bahdanau et al. 2015,
Luong et al. 2015; convolutional: Gehring et al. 2017; Transformer: Vaswani et al. 2017. The
contract adds one call: the state from which ``model(ids, state)`` goes on is
``model.encode(source)``.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.attention import SCORES, Location, attend, masked_softmax, sinusoids
from utils.encoders import FixedVector, LSTMEncoder, TransformerStack, start_even
from utils.layers import (
    GatedConvolution,
    Recurrent,
    ScaledEmbedding,
    check_cell,
    check_sizes,
    where,
)
from utils.lm import LSTMLM
from utils.vocab import PAD


class EncoderDecoder(nn.Module):
    """p(w_t | w_1 … w_{t−1}, source): an encoder's output is the decoder's first state.

    `decoder` is any language model of the contract whose state has the form that `encoder` gives.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source: torch.Tensor):
        """source (B, S) → the decoder's first state."""
        return self.encoder(source)

    def forward(self, ids: torch.Tensor, state=None):
        """ids (B, T) and a state → logits (B, T, V) and the next state.

        Raises ValueError without a state: a decoder that has read no source cannot translate.
        """
        if state is None:
            raise ValueError("an encoder–decoder starts from state = model.encode(source)")
        return self.decoder(ids, state)


class RNNDecoder(nn.Module):
    """A recurrent decoder that knows the source's vector c alone, by its `context`.

    "start": the first state is made of c (Sutskever et al. 2014, ``eq-repair-start``); "every": c
    stands beside the word in every step (``eq-repair-every``); "both" (Cho et al. 2014).
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        context: str = "start",
        embedding: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if context not in ("start", "every", "both"):
            raise ValueError(f"context is {context!r}; choose from start, every, both")
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.embedding = ScaledEmbedding(vocab_size, size, padding_idx=PAD)
        self.start = FirstState(width, layers, cell, from_vector=context != "every")
        self.every = context != "start"
        self.rnn = Recurrent(cell, size + width * self.every, width, layers, dropout)
        self.read = Readout(width, self.embedding, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: torch.Tensor, state: dict):
        """ids (B, T) and the Memory or a later state → logits (B, T, V) and the next state."""
        vector = state["vector"]
        own = state["own"] if "own" in state else self.start(vector)
        x = self.dropout(self.embedding(ids))  # (B, T, E)
        if self.every:
            x = torch.cat([x, vector[:, None].expand(-1, ids.shape[1], -1)], -1)
        x, own = self.rnn(x, own)  # (B, T, D)
        return self.read(x), {"vector": vector, "own": own}


class AttentionDecoder(nn.Module):
    """A recurrent layer asks, attention answers from the source's places, more layers go on.

    Its step is ``eq-attention-step``, what it looks at ``eq-attention-weights``.
    The state of the layer below is the query, so that all steps of a known target are computed at
    once; as in Luong et al. 2015, but with `layers` above instead of an attentional vector that is
    fed back. `score` is additive (Bahdanau et al. 2015), multiplicative (Luong et al. 2015),
    scaled, which is multiplicative over √D, or location, which is additive and knows where the last
    step looked (Chorowski et al. 2015): the state carries that as "looked" (B, S).
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        score: str = "multiplicative",
        embedding: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"score is {score!r}; choose from {', '.join(SCORES)}")
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.embedding = ScaledEmbedding(vocab_size, size, padding_idx=PAD)
        self.start = FirstState(width, 1, cell)
        self.below = Recurrent(cell, size, width)
        self.score = SCORES[score](width)
        self.start_above = FirstState(width, layers, cell)
        self.above = Recurrent(cell, 2 * width, width, layers, dropout)
        self.read = Readout(2 * width, self.embedding, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: torch.Tensor, state: dict):
        """ids (B, T) and the Memory or a later state → logits (B, T, V) and the next state."""
        state = self._begun(state)
        h, below = self.below(self.dropout(self.embedding(ids)), state["below"])  # (B, T, D)
        weights = self._weights(h, state)  # (B, T, S)
        found = weights @ state["places"]  # (B, T, D)
        x, above = self.above(self.dropout(torch.cat([h, found], -1)), state["above"])
        logits = self.read(torch.cat([x, found], -1))
        looked = {"looked": weights[:, -1]} if "looked" in state else {}
        return logits, {**state, "below": below, "above": above, **looked}

    def weights(self, ids: torch.Tensor, state: dict) -> torch.Tensor:
        """How much of each source place each step looks at: (B, T, S), rows sum to 1."""
        state = self._begun(state)
        return self._weights(self.below(self.embedding(ids), state["below"])[0], state)

    def _begun(self, state: dict) -> dict:
        if "below" in state:
            return state
        vector, kept = state["vector"], {name: state[name] for name in ("places", "seen")}
        own = {"below": self.start(vector), "above": self.start_above(vector)}
        if isinstance(self.score, Location):
            own["looked"] = torch.zeros_like(state["places"][..., 0])  # (B, S)
        return {**kept, "keys": self.score.key(state["places"]), **own}

    def _weights(self, query: torch.Tensor, state: dict) -> torch.Tensor:
        """query (B, T, D) → what each step looks at (B, T, S)."""
        keys, seen = state["keys"], state["seen"][:, None]
        if "looked" not in state:
            return masked_softmax(self.score(query, keys), seen)
        last, steps = state["looked"], []
        for q in query.split(1, 1):  # (B, 1, D)
            steps.append(masked_softmax(self.score(q, keys, last), seen))
            last = steps[-1][:, 0]
        return torch.cat(steps, 1)


class CNNDecoder(nn.Module):
    """Causal gated convolutions over the words so far (Gehring et al. 2017).

    With `attention` every block looks at the source's places; without it, every block is given the
    source's vector. The state holds what the blocks last read: kernel − 1 places each.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 3,
        kernel: int = 3,
        attention: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, kernel=kernel)
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(
            GatedConvolution(width, kernel, causal=True) for _ in range(layers)
        )
        self.queries = nn.ModuleList(nn.Linear(width, width) for _ in range(layers * attention))
        self.answers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.read = Readout(width, self.embedding, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: torch.Tensor, state: dict):
        """ids (B, T) and the Memory or a later state → logits (B, T, V) and the next state."""
        words = self.embedding(ids)  # (B, T, D)
        B, T, D = words.shape
        read = state.get("read", ids.new_zeros(B))
        before = state.get(
            "before", [words.new_zeros(B, layer.kernel - 1, D) for layer in self.layers]
        )
        words = self.dropout(words + sinusoids(where(ids) + read[:, None], D, words.dtype))
        x, kept = words, []
        for i, (layer, past) in enumerate(zip(self.layers, before, strict=True)):
            inner = self.dropout(x)
            kept.append(torch.cat([past, inner], 1)[:, T:])  # (B, kernel − 1, D)
            h = layer(inner, past)
            h = (h + self.answers[i](self._source(i, h, words, state))) * 0.5**0.5
            x = (x + h) * 0.5**0.5
        needed = ("places", "seen") if self.queries else ("vector",)
        memory = {name: state[name] for name in needed}
        return self.read(x), {**memory, "read": read + T, "before": kept}

    def _source(self, i: int, h: torch.Tensor, words: torch.Tensor, state: dict) -> torch.Tensor:
        """What block `i` learns of the source at each place of h (B, T, D): (B, T or 1, D)."""
        if not self.queries:
            return state["vector"][:, None]
        query = (self.queries[i](h) + words) * 0.5**0.5
        return attend(query, state["places"], state["places"], state["seen"][:, None])


class TransformerDecoder(TransformerStack):
    """Causal self-attention, attention to the source's places, feed-forward.

    Arguments as of `TransformerStack`.
    """

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, cross=True, **options)
        self.read = Readout(self.embedding.embedding_dim, self.embedding, self.dropout.p)
        start_even(self)

    def forward(self, ids: torch.Tensor, state: dict):
        """ids (B, T) and the Memory or a later state → logits (B, T, V) and the next state."""
        B, T = ids.shape
        read = state.get("read", ids.new_zeros(B))
        known = state.get("known") or [layer.cross.known(state["places"]) for layer in self.layers]
        caches = state.get("caches", [None] * len(self.layers))
        x, turn = self.words(ids, where(ids) + read[:, None])  # (B, T, D)
        kept = []
        seen = None if state["seen"].all() else state["seen"]
        for layer, cache, of_source in zip(self.layers, caches, known, strict=True):
            x, cache = layer(x, cache, turn, known=of_source, seen=seen)
            kept.append(cache)
        state = {"seen": state["seen"], "known": known, "read": read + T, "caches": kept}
        return self.read(self.norm(x)), state


class Readout(nn.Module):
    """x (B, T, `width`) → logits (B, T, V), with the embedding's own matrix as the output's."""

    def __init__(self, width: int, embedding: nn.Embedding, dropout: float = 0.0):
        super().__init__()
        size = embedding.embedding_dim
        self.project = nn.Linear(width, size, bias=False) if size != width else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(size, embedding.num_embeddings)
        self.output.weight = embedding.weight
        nn.init.zeros_(self.output.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.project(self.dropout(x)))


class FirstState(nn.Module):
    """The source's vector (B, D) → a recurrent net's first state: h = tanh(W c + b) in each layer.

    For an LSTM that sum is the cell, of which h is the tanh. Without `from_vector`: all zeros.
    """

    def __init__(self, width: int, layers: int, cell: str, from_vector: bool = True):
        super().__init__()
        self.width, self.layers, self.cell = width, layers, check_cell(cell)
        self.make = nn.Linear(width, layers * width) if from_vector else None

    def forward(self, vector: torch.Tensor):
        """vector (B, D) → h (B, layers, D), or for an LSTM (h, c)."""
        zeros = vector.new_zeros(len(vector), self.layers, self.width)
        c = zeros if self.make is None else self.make(vector).view_as(zeros)
        return (c.tanh(), c) if self.cell == "lstm" else c.tanh()


def share_words(model: EncoderDecoder) -> EncoderDecoder:
    """One matrix for the words of source, target and output: needs one vocabulary for both."""
    encoder = model.encoder.encoder if isinstance(model.encoder, FixedVector) else model.encoder
    if encoder.embedding.weight.shape != model.decoder.embedding.weight.shape:
        raise ValueError("encoder and decoder can share words of one vocabulary and width only")
    encoder.embedding = model.decoder.embedding
    return model


def lstm_seq2seq(
    vocab_size: int,
    width: int = 256,
    layers: int = 2,
    dropout: float = 0.0,
    shared: bool = True,
    embedding: int | None = None,
) -> EncoderDecoder:
    """The model of section 5.2. With `shared`, one matrix embeds source, target and output words.

    That needs one vocabulary of both languages, of size `vocab_size`. `embedding`: the width of a
    word's vector, `width` where not given.
    """
    encoder = LSTMEncoder(vocab_size, width, layers, dropout, embedding)
    decoder = LSTMLM(vocab_size, width, layers, dropout, tied=True, embedding=embedding)
    if shared:
        encoder.embedding = decoder.embedding
    return EncoderDecoder(encoder, decoder)

"""Encoders: a source (B, S), padded with PAD at its end, becomes what a decoder starts from.

Written part by part in sections 3.2 and 7.3, compared in 6.1. Recurrent: Sutskever et al. 2014, Cho
et al. 2014, in two directions: Bahdanau et al. 2015; convolutional: Gehring et al. 2017;
Transformer: Vaswani et al. 2017.

Every encoder but `LSTMEncoder` gives a Memory: "places" (B, S, D), a vector for each place of the
source; "seen" (B, S), False where that is padding; "vector" (B, D), one of the whole source. All
raise ValueError for a source of no tokens or with padding inside.
"""

from __future__ import annotations

import torch
from torch import nn

from utils.attention import sinusoids
from utils.layers import (
    GatedConvolution,
    Layer,
    Places,
    ScaledEmbedding,
    check_sizes,
    make_norm,
    make_rnn,
    swap,
    where,
)
from utils.vocab import PAD

Memory = dict[str, torch.Tensor]


class LSTMEncoder(nn.Module):
    """Reads a source into one fixed-length vector: the last hidden and cell state of each layer."""

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        embedding: int | None = None,
    ):
        super().__init__()
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.embedding = nn.Embedding(vocab_size, size, padding_idx=PAD)
        self.lstm = make_rnn("lstm", size, width, layers, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """source (B, S), padded with PAD at the end → (h, c), each (B, layers, D).

        Padding is never read. Raises ValueError for a source of no tokens, whose last state would
        be undefined, and for padding before a token.
        """
        x = self.dropout(self.embedding(source))  # (B, S, E)
        _, state = read_tokens(self.lstm, x, source_mask(source))  # (layers, B, D) each
        return tuple(swap(s) for s in state)


class RNNEncoder(nn.Module):
    """A recurrent encoder: a state for each place, and one vector of the whole source.

    `vocab_size` V, `width` D, `layers`; `cell` is rnn, gru or lstm; with `bidirectional`, half of
    the D numbers come from a network that reads from the end (Bahdanau et al. 2015). The vector is
    the last state of each direction.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = True,
        embedding: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        size = width if embedding is None else embedding
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, embedding=size)
        self.ways = 2 if bidirectional else 1
        if width % self.ways:
            raise ValueError(f"two directions share the width: it must be even, got {width}")
        self.embedding = ScaledEmbedding(vocab_size, size, padding_idx=PAD)
        self.rnn = make_rnn(cell, size, width // self.ways, layers, dropout, bidirectional)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """source (B, S), padded at the end → the Memory; padding is never read."""
        seen = source_mask(source)
        x = self.dropout(self.embedding(source))  # (B, S, E)
        places, last = read_tokens(self.rnn, x, seen)  # (B, S, D)
        last = last[0] if isinstance(last, tuple) else last  # (layers·ways, B, D/ways)
        vector = swap(last[-self.ways :]).flatten(1)  # (B, D)
        return {"places": self.dropout(places), "seen": seen, "vector": self.dropout(vector)}


class CNNEncoder(nn.Module):
    """Gated convolutions over the source, then pooling (Gehring et al. 2017).

    `layers` blocks √½ · (x + GLU(convolution(x))) over word vectors with sinusoidal positions: a
    place sees layers · (kernel − 1) neighbours. The vector is the mean of the places, or with
    `pooling` "max" the greatest number of each dimension.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 3,
        kernel: int = 3,
        pooling: str = "mean",
        dropout: float = 0.0,
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers)
        if pooling not in ("mean", "max"):
            raise ValueError(f"pooling is {pooling!r}; choose from mean, max")
        self.pooling = pooling
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(GatedConvolution(width, kernel) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """source (B, S), padded at the end → the Memory; padding counts as nothing."""
        seen = source_mask(source)
        token = seen[:, :, None]  # (B, S, 1)
        x = self.embedding(source)  # (B, S, D)
        x = self.dropout(x + sinusoids(where(source), x.shape[2], x.dtype))
        for layer in self.layers:
            x = x * token
            x = (x + layer(self.dropout(x))) * 0.5**0.5
        if self.pooling == "mean":
            vector = mean_of_places(x, seen)
        else:
            vector = x.masked_fill(~token, float("-inf")).amax(1)  # (B, D)
        return {"places": x * token, "seen": seen, "vector": vector}


class TransformerStack(nn.Module):
    """Word vectors with positions and `layers` of ``layers.Layer``: of an encoder or a decoder.

    `block` bounds the text where `positions` are "learned". `options` go to each layer: norm,
    activation, hidden, bias, norm_first, normalized.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 256,
        layers: int = 3,
        heads: int = 4,
        positions: str = "sinusoidal",
        dropout: float = 0.0,
        block: int = 256,
        **options,
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers, heads=heads, block=block)
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.placed = Places(positions, width, width // heads, block)
        self.layers = nn.ModuleList(
            Layer(width, heads, dropout=dropout, **options) for _ in range(layers)
        )
        self.norm = last_norm(width, **options)
        self.dropout = nn.Dropout(dropout)

    def words(self, ids: torch.Tensor, positions: torch.Tensor):
        """ids (B, T) at positions (B or 1, T) → x (B, T, D), and the rotary (cos, sin) or None."""
        x, turn = self.placed(self.embedding(ids), positions)
        return self.dropout(x), turn


class TransformerEncoder(TransformerStack):
    """Self-attention that sees the whole source; the vector is the mean of the places.

    Arguments as of `TransformerStack`.
    """

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, causal=False, **options)
        start_even(self)

    def forward(self, source: torch.Tensor) -> Memory:
        """source (B, S), padded at the end → the Memory."""
        seen = source_mask(source)
        x, turn = self.words(source, where(source))  # (B, S, D)
        padding = None if seen.all() else seen
        for layer in self.layers:
            x, _ = layer(x, turn=turn, padding=padding)
        x = self.norm(x)
        return {"places": x, "seen": seen, "vector": mean_of_places(x, seen)}


class FixedVector(nn.Module):
    """An encoder of which nothing is left but its vector: a memory with a single place."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    @property
    def embedding(self) -> nn.Module:
        return self.encoder.embedding

    def forward(self, source: torch.Tensor) -> Memory:
        vector = self.encoder(source)["vector"]  # (B, D)
        seen = torch.ones(len(vector), 1, dtype=torch.bool, device=vector.device)
        return {"places": vector[:, None], "seen": seen, "vector": vector}


def source_mask(source: torch.Tensor) -> torch.Tensor:
    """True where a source (B, S) holds a token.

    Raises ValueError for a source of no tokens and for padding before a token.
    """
    seen = source != PAD  # (B, S)
    if not seen.any(1).all():
        raise ValueError("a source sentence has no tokens; give each at least one, EOS for one")
    if (seen[:, 1:] > seen[:, :-1]).any():
        raise ValueError("a source sentence is padded before a token; pad at the end only")
    return seen


def read_tokens(rnn: nn.RNNBase, x: torch.Tensor, seen: torch.Tensor):
    """x (B, S, E) → places (B, S, D) and the last state, as torch has it.

    Padding is never read: where there is any (`seen` is False), the batch is packed.
    """
    if seen.all():
        return rnn(x)
    packed = nn.utils.rnn.pack_padded_sequence(
        x, seen.sum(1).cpu(), batch_first=True, enforce_sorted=False
    )
    places, last = rnn(packed)
    places, _ = nn.utils.rnn.pad_packed_sequence(places, True, total_length=x.shape[1])
    return places, last


def mean_of_places(x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """The mean (B, D) of the places x (B, S, D) that are seen (B, S)."""
    return (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)


def last_norm(width: int, norm_first: bool = True, norm: str = "layer", bias=False, **_):
    """Pre-norm layers leave their sum as it is, so one more norm follows the last."""
    return make_norm(norm, width, bias) if norm_first else nn.Identity()


def start_even(model: nn.Module) -> None:
    """Glorot and Bengio's start (2010) for the matrices inside, zero biases."""
    for layer in model.layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

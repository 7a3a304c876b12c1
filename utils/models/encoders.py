"""Encoders: each turns source sentences into the `Memory` from which a decoder starts.

Derived in sections 3.2 and 5.2 (the LSTM encoder). The Transformer's encoder is in
``utils.models.transformer``. Recurrent: Sutskever et al. 2014, Cho et al.
2014; bidirectional: Bahdanau et al. 2015; convolutional: Gehring et al. 2017.

All encoders read ids (B, S), padded with PAD at the end, and ignore the padding. They raise
ValueError for a source of no tokens or with padding before a token.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.contract import Memory
from utils.models.layers import SQRT_HALF, GatedConvolution, ScaledEmbedding, check_sizes
from utils.models.positions import sinusoids, token_positions
from utils.models.recurrent import make_rnn, run_packed, swap_batch_and_layers


class LSTMEncoder(nn.Module):
    """Unidirectional LSTM; its decoder starts from the last hidden and cell state of each layer.

    Source: ``eq-handover`` (section 5.2); Sutskever et al. 2014.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of the hidden state.
    layers
        Number of layers.
    dropout
        Probability of dropout on word vectors and between layers.
    embedding_size
        Length E of a word vector; D where not given.

    Raises
    ------
    ValueError
        If a size is not a positive whole number.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 2,
        dropout: float = 0.0,
        embedding_size: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=PAD)
        self.lstm = make_rnn(
            "lstm", input_size=embedding_size, width=width, layers=layers, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S); the vector is the last hidden state of the top layer."""
        is_token = source_mask(source)  # (B, S)
        x = self.dropout(self.embedding(source))  # (B, S, E)
        states, (hidden, cell) = run_packed(self.lstm, x, is_token)  # (B, S, D), (layers, B, D)
        final_state = swap_batch_and_layers(hidden), swap_batch_and_layers(cell)  # (B, layers, D)
        return Memory(states, is_token, vector=hidden[-1], final_state=final_state)


class RNNEncoder(nn.Module):
    """Recurrent network in one or two directions.

    The states are those of the last layer, with both directions side by side; the vector consists
    of the state in which each direction ends.

    Source: ``eq-encoder-rnn`` (section 3.2); Bahdanau et al. 2015, section 3.2.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of a state; with two directions, each contributes D/2 numbers.
    layers
        Number of layers.
    cell
        "rnn" (with tanh), "gru" or "lstm".
    bidirectional
        Whether a second network reads from the end to the beginning.
    embedding_size
        Length E of a word vector; D where not given.
    dropout
        Probability of dropout on word vectors, between layers, on states and on the vector.

    Raises
    ------
    ValueError
        If the cell is unknown, a size is not a positive whole number, or the width is odd with
        two directions.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = True,
        embedding_size: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(
            vocab_size=vocab_size, width=width, layers=layers, embedding_size=embedding_size
        )
        embedding_size = embedding_size or width
        self.directions = 2 if bidirectional else 1
        if width % self.directions:
            raise ValueError(f"each direction has half of the width: it must be even, got {width}")
        self.embedding = ScaledEmbedding(vocab_size, embedding_size, padding_idx=PAD)
        self.rnn = make_rnn(
            cell,
            input_size=embedding_size,
            width=width // self.directions,
            layers=layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S)."""
        is_token = source_mask(source)  # (B, S)
        x = self.dropout(self.embedding(source))  # (B, S, E)
        states, final = run_packed(self.rnn, x, is_token)  # (B, S, D)
        hidden = final if isinstance(final, torch.Tensor) else final[0]
        last_layer = hidden[-self.directions :]  # (directions, B, D/directions)
        vector = swap_batch_and_layers(last_layer).flatten(1)  # (B, D)
        return Memory(self.dropout(states), is_token, self.dropout(vector))


class CNNEncoder(nn.Module):
    """Gated convolutions over word vectors with sinusoidal positions, then pooling.

    Each layer computes √½ · (x + GLU(convolution(x))), so that a state depends on the
    layers · (kernel_size − 1) tokens around its own.

    Source: ``eq-cnn-encoder``, ``eq-pooling`` (section 3.2); Gehring et al. 2017, section 3.2.

    Parameters
    ----------
    vocab_size
        Size V of the source vocabulary.
    width
        Length D of word vectors and states.
    layers
        Number of convolutions.
    kernel_size
        Number of tokens that a convolution covers; odd.
    pooling
        How the vector is computed from the states: their "mean", or the "max" of each dimension.
    dropout
        Probability of dropout on the input of each layer and on word vectors.

    Raises
    ------
    ValueError
        If the pooling is unknown, a size is not a positive whole number, or `kernel_size` is even.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 256,
        layers: int = 3,
        kernel_size: int = 3,
        pooling: str = "mean",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers)
        if pooling not in ("mean", "max"):
            raise ValueError(f"pooling is {pooling!r}; choose from mean, max")
        self.pooling = pooling
        self.embedding = ScaledEmbedding(vocab_size, width, padding_idx=PAD)
        self.layers = nn.ModuleList(
            GatedConvolution(width, kernel_size=kernel_size) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S)."""
        is_token = source_mask(source)  # (B, S)
        mask = is_token[:, :, None]  # (B, S, 1)
        x = self.embedding(source)  # (B, S, D)
        x = self.dropout(x + sinusoids(token_positions(source), x.shape[2], dtype=x.dtype))
        for layer in self.layers:
            x = x * mask  # convolutions read zeros at padding
            x = (x + layer(self.dropout(x))) * SQRT_HALF
        if self.pooling == "mean":
            vector = masked_mean(x, is_token)  # (B, D)
        else:
            vector = x.masked_fill(~mask, -math.inf).amax(1)  # (B, D)
        return Memory(x * mask, is_token, vector)


class FixedVectorEncoder(nn.Module):
    """An encoder reduced to its vector: the memory has that vector as its only state.

    Source: ``eq-one-vector`` (section 2.3).

    Parameters
    ----------
    encoder
        The encoder whose vector is used.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding of the encoder."""
        embedding = self.encoder.embedding
        assert isinstance(embedding, nn.Embedding)
        return embedding

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S) to a memory with a single state, S = 1."""
        vector = self.encoder(source).vector  # (B, D)
        is_token = torch.ones(len(vector), 1, dtype=torch.bool, device=vector.device)  # (B, 1)
        return Memory(vector[:, None], is_token, vector)


def source_mask(source: torch.Tensor) -> torch.Tensor:
    """Return the mask of a source's tokens, and check its padding.

    Parameters
    ----------
    source
        Ids, (B, S), padded with PAD at the end.

    Returns
    -------
    torch.Tensor
        True where there is a token, False for padding, (B, S) bool.

    Raises
    ------
    ValueError
        For a row of no tokens, and for padding before a token.
    """
    is_token = source != PAD  # (B, S)
    if not is_token.any(1).all():
        raise ValueError("a source sentence has no tokens; give each at least one, EOS for one")
    if (is_token[:, 1:] > is_token[:, :-1]).any():
        raise ValueError("a source sentence is padded before a token; pad at the end only")
    return is_token


def masked_mean(x: torch.Tensor, is_token: torch.Tensor) -> torch.Tensor:
    """Return the mean (B, D) of `x` (B, S, D) over the positions where `is_token` (B, S) is True.

    Source: ``eq-pooling`` (section 3.2).

    Parameters
    ----------
    x
        Vectors, (B, S, D).
    is_token
        True where there is a token, (B, S) bool.

    Returns
    -------
    torch.Tensor
        The means, (B, D).
    """
    return (x * is_token[:, :, None]).sum(1) / is_token.sum(1, keepdim=True)

"""A speech recognizer for CTC: convolutions, a bidirectional GRU and a linear layer.

Section 6.3 trains it to recognize digits and announcements, with
``utils.speech.training``. Convolutions before recurrent layers, trained with CTC: Amodei
et al. 2016; GRU: Cho et al. 2014; CTC: ``utils.speech.ctc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_positive, check_positive_items
from utils.models.layers import OutputLayer, make_dropout
from utils.models.masks import length_mask
from utils.models.recurrent import Cell, make_rnn
from utils.models.typed_module import TypedModule
from utils.speech.ctc_inputs import check_lengths
from utils.speech.features import NUM_MEL_BANDS


class EncodedAudio(NamedTuple):
    """Encoder states and CTC log-probabilities of B clips.

    Parameters
    ----------
    states
        The encoder's states, (B, S, 2·D).
    lengths
        The number of valid steps of each clip, (B,).
    log_probs
        Log-probabilities of tokens and blank at each step, (B, S, V).
    """

    states: torch.Tensor
    lengths: torch.Tensor
    log_probs: torch.Tensor


class BidirectionalRNN(TypedModule):
    """Recurrent network that reads each clip of a batch from its first and from its last step.

    It computes what torch's bidirectional networks compute from a packed batch. Here the second
    direction reads clips that are reversed before, each by its own length, so that padding comes
    last in both directions and the fast kernels for padded batches can be used.

    Parameters
    ----------
    cell
        "gru", "lstm" or "rnn".
    width
        The length D of inputs, and of the states of each direction.
    num_layers
        The number of layers.
    dropout
        The probability of dropout between layers.

    Raises
    ------
    ValueError
        If the cell is unknown, a size is not a positive integer, or `dropout` is not from 0 to 1.
    """

    def __init__(self, cell: Cell, *, width: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        check_positive(width=width, num_layers=num_layers)
        self.layers = nn.ModuleList()
        for layer in range(num_layers):
            input_size = width if layer == 0 else 2 * width
            directions = [make_rnn(cell, input_size=input_size, width=width) for _ in range(2)]
            self.layers.append(nn.ModuleList(directions))
        self.dropout = make_dropout(dropout)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Compute the states of the last layer, both directions side by side.

        Parameters
        ----------
        x
            Inputs, (B, S, D), padded at the end.
        lengths
            The number of valid steps of each clip, (B,).

        Returns
        -------
        states : torch.Tensor
            States, (B, S, 2·D).
        """
        for layer, directions in enumerate(self.layers):
            forward_rnn, backward_rnn = directions.children()
            x = self.dropout(x) if layer else x
            forward_states, _ = forward_rnn(x)  # (B, S, D)
            backward_states, _ = backward_rnn(reverse_clips(x, lengths))  # (B, S, D)
            x = torch.cat([forward_states, reverse_clips(backward_states, lengths)], -1)
        return x  # (B, S, 2·D)


def reverse_clips(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Reverse the valid steps of each clip and leave padding at the end.

    Parameters
    ----------
    x
        Vectors, (B, S, D).
    lengths
        The number of valid steps of each clip, (B,).

    Returns
    -------
    reversed_x : torch.Tensor
        The vectors in the new order, (B, S, D).
    """
    steps = torch.arange(x.shape[1], device=x.device)  # (S,)
    from_the_end = lengths[:, None] - 1 - steps  # (B, S)
    indices = torch.where(from_the_end >= 0, from_the_end, steps)
    return x.gather(1, indices[..., None].expand_as(x))


class CTCRecognizer(TypedModule):
    """Compute log-probabilities of tokens and blank at each step from log-mel features.

    Padding is masked: what is computed for a clip does not depend on the other clips of its batch.

    Parameters
    ----------
    vocab_size
        The size V of the vocabulary; the blank has the id of PAD.
    width
        The width D of the convolutions and of each direction of the recurrent network.
    num_layers
        The number of recurrent layers.
    dropout
        The probability of dropout before and between recurrent layers and before the output.
    strides
        The stride of each convolution, which divides the number of steps.
    cell
        "gru", "lstm" or "rnn". On a CPU an LSTM is faster than a GRU.

    Raises
    ------
    ValueError
        If a size or a stride is not a positive integer, there is no stride, or the cell is
        unknown.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        num_layers: int = 2,
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
        cell: Cell = "gru",
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, width=width, num_layers=num_layers)
        self.strides = tuple(strides)
        if not self.strides:
            raise ValueError("strides is empty; give one stride for each convolution")
        check_positive_items(strides=self.strides)
        input_sizes = [NUM_MEL_BANDS, *[width] * (len(strides) - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(input_size, width, kernel_size=5, stride=stride, padding=2)
            for input_size, stride in zip(input_sizes, strides, strict=True)
        )
        self.input_norm = nn.LayerNorm(width)
        self.output_norm = nn.LayerNorm(2 * width)
        self.dropout = make_dropout(dropout)
        self.rnn = BidirectionalRNN(cell, width=width, num_layers=num_layers, dropout=dropout)
        self.output = OutputLayer(2 * width, vocab_size)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the log-probabilities of tokens and blank at each step.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        log_probs : torch.Tensor
            Log-probabilities of tokens and blank, (B, S, V). S is F divided by each stride in turn,
            rounded up.
        lengths : torch.Tensor
            The number of valid steps of each clip, (B,).

        Raises
        ------
        ValueError
            If features or lengths have another shape, there is no clip, or a length is not from 1
            to F.
        """
        encoded = self.encode(features, lengths)
        return encoded.log_probs, encoded.lengths

    def encode(self, features: torch.Tensor, lengths: torch.Tensor) -> EncodedAudio:
        """Compute the encoder's states and the log-probabilities of tokens and blank.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        encoded : EncodedAudio
            States, which are zero at padding, lengths and log-probabilities.

        Raises
        ------
        ValueError
            If features or lengths have another shape, there is no clip, or a length is not from 1
            to F.
        """
        _check_features(features, lengths)
        lengths = lengths.long()  # uint8 has no negative numbers
        x = zero_padding(features, lengths)  # (B, F, M)
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            x = F.gelu(convolution(x.mT)).mT  # (B, F, D), with F divided by the stride
            lengths = -(-lengths // stride)  # rounded up
            x = zero_padding(x, lengths)  # as a clip alone is surrounded by zeros
        states = self.rnn(self.dropout(self.input_norm(x)), lengths)  # (B, S, 2·D)
        states = zero_padding(states, lengths)
        logits = self.output(self.dropout(self.output_norm(states)))  # (B, S, V)
        return EncodedAudio(states, lengths, logits.log_softmax(-1))


def zero_padding(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Set the vectors of padding to zero.

    Parameters
    ----------
    x
        Vectors, (B, S, D).
    lengths
        The number of valid steps of each clip, (B,).

    Returns
    -------
    masked : torch.Tensor
        The vectors, (B, S, D), with zeros from the length of each clip on.
    """
    is_valid = length_mask(lengths, x.shape[1])  # (B, S)
    return x.masked_fill(~is_valid[..., None], 0.0)


def _check_features(features: torch.Tensor, lengths: torch.Tensor) -> None:
    """Raise ValueError if features are not (B, F, M), or lengths not (B,) and from 1 to F."""
    if features.ndim != 3 or features.shape[2] != NUM_MEL_BANDS or not len(features):
        raise ValueError(
            f"features must be (B, F, {NUM_MEL_BANDS}) with B from 1, as log_mel_batch returns; "
            f"got {tuple(features.shape)}"
        )
    if lengths.shape != features.shape[:1]:
        raise ValueError(
            f"lengths must be ({len(features)},), one for each clip; got {tuple(lengths.shape)}"
        )
    check_lengths(lengths, features.shape[1])

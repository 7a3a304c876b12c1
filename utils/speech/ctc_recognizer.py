"""A speech recogniser for CTC: convolutions, a bidirectional GRU and a linear layer.

Section 6.3 trains it to recognise digits and announcements, with
``utils.speech.recognizer_training``. Convolutions before recurrent layers, trained with CTC: Amodei
et al. 2016; GRU: Cho et al. 2014; CTC: ``utils.speech.ctc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_positive
from utils.models.layers import OutputLayer
from utils.models.recurrent import make_rnn
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


class CTCRecognizer(nn.Module):
    """Compute log-probabilities of tokens and blank at each step from log-mel features.

    Padding is not masked: the clips of a batch should have similar lengths.

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
        If a size is no positive whole number or the cell is unknown.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        num_layers: int = 2,
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
        cell: str = "gru",
    ) -> None:
        super().__init__()
        check_positive(vocab_size=vocab_size, width=width, num_layers=num_layers)
        self.strides = strides
        input_sizes = [NUM_MEL_BANDS, *[width] * (len(strides) - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(input_size, width, kernel_size=5, stride=stride, padding=2)
            for input_size, stride in zip(input_sizes, strides, strict=True)
        )
        self.input_norm = nn.LayerNorm(width)
        self.output_norm = nn.LayerNorm(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.rnn = make_rnn(
            cell,
            input_size=width,
            width=width,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=True,
        )
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
            States, lengths and log-probabilities.
        """
        x = features.mT  # (B, M, F)
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            x = F.gelu(convolution(x))  # (B, D, F), with F divided by the stride
            lengths = -(-lengths // stride)  # rounded up
        states, _ = self.rnn(self.dropout(self.input_norm(x.mT)))  # (B, S, 2·D)
        logits = self.output(self.dropout(self.output_norm(states)))  # (B, S, V)
        return EncodedAudio(states, lengths, logits.log_softmax(-1))

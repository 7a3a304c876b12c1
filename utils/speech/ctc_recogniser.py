"""A speech recogniser trained with CTC: convolutions, a bidirectional GRU, a linear layer.

Section 6.3 trains it to recognise digits and announcements. Convolutions before recurrent layers,
trained with CTC: Amodei et al. 2016; GRU: Cho et al. 2014; CTC: ``utils.speech.ctc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.models.layers import check_sizes
from utils.models.recurrent import make_rnn
from utils.runtime import device_of
from utils.speech.batches import AudioBatch, AudioBatches, MakeExamples, length_batches
from utils.speech.ctc import batch_loss
from utils.speech.features import MEL_BANDS
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import Objective
from utils.training.state import History


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


class CTCRecogniser(nn.Module):
    """Compute log-probabilities of tokens and blank at each step from log-mel features.

    Padding is not masked: clips of a batch should have similar lengths (`length_batches`).

    Parameters
    ----------
    vocab_size
        The size V of the vocabulary; the blank has the id of PAD.
    width
        The width D of the convolutions and of each direction of the recurrent network.
    layers
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
        If a size is below 1 or the cell is unknown.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
        cell: str = "gru",
    ) -> None:
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers)
        self.strides = strides
        input_sizes = [MEL_BANDS, *[width] * (len(strides) - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(input_size, width, kernel_size=5, stride=stride, padding=2)
            for input_size, stride in zip(input_sizes, strides, strict=True)
        )
        self.input_norm = nn.LayerNorm(width)
        self.output_norm = nn.LayerNorm(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.rnn = make_rnn(
            cell, input_size=width, width=width, layers=layers, dropout=dropout, bidirectional=True
        )
        self.output = nn.Linear(2 * width, vocab_size)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the distributions that CTC reads.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        tuple of torch.Tensor
            Log-probabilities of tokens and blank, (B, S, V), and the number of valid steps of each
            clip, (B,). S is F divided by each stride in turn, rounded up.
        """
        encoded = self.encode(features, lengths)
        return encoded.log_probs, encoded.lengths

    def encode(self, features: torch.Tensor, lengths: torch.Tensor) -> EncodedAudio:
        """Compute what `forward` does, and the encoder's states.

        Parameters
        ----------
        features
            Log-mel features, (B, F, M).
        lengths
            The number of valid frames of each clip, (B,).

        Returns
        -------
        EncodedAudio
            States, lengths and log-probabilities.
        """
        x = features.mT  # (B, M, F)
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            x = F.gelu(convolution(x))  # (B, D, F), with F divided by the stride
            lengths = -(-lengths // stride)  # rounded up
        states, _ = self.rnn(self.dropout(self.input_norm(x.mT)))  # (B, S, 2·D)
        logits = self.output(self.dropout(self.output_norm(states)))  # (B, S, V)
        return EncodedAudio(states, lengths, logits.log_softmax(-1))

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the output matrix, which optimizers such as Muon leave to AdamW."""
        return [p for p in self.output.parameters() if p.dim() == 2]


def ctc_objective(
    model: nn.Module, batch: AudioBatch, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Compute the summed −log p(transcript | audio) of a batch, for ``utils.training.loop.fit``.

    Parameters
    ----------
    model
        A `CTCRecogniser`.
    batch
        Features and transcripts.
    label_smoothing
        Not used.

    Returns
    -------
    torch.Tensor
        A scalar.

    Raises
    ------
    ValueError
        If a clip has too few steps for its transcript.
    """
    log_probs, lengths = model(batch.features, batch.lengths)
    return batch_loss(log_probs, lengths, batch.targets).sum()


def train_recogniser(
    model: nn.Module,
    make_examples: MakeExamples,
    *,
    steps: int,
    learning_rate: float,
    seed: int = 0,
    objective: Objective = ctc_objective,
) -> History:
    """Train a recogniser on clips that are made anew for each step.

    Parameters
    ----------
    model
        The recogniser, on its device.
    make_examples
        Makes the clips and transcripts of a step.
    steps
        The number of training steps.
    learning_rate
        The highest learning rate.
    seed
        Seeds the examples.
    objective
        The loss: `ctc_objective`, or `joint_objective` of ``utils.speech.joint_recogniser``.

    Returns
    -------
    History
        The losses of the run.
    """
    config = TrainConfig(steps=steps, learning_rate=learning_rate, warmup=0.05, clip_norm=5.0)
    batches = AudioBatches(make_examples, seed=seed)
    return fit(model, batches, config, progress=False, objective=objective)


@torch.inference_mode()
def frame_log_probs(
    model: CTCRecogniser, clips: Sequence[np.ndarray], *, batch_size: int = 32
) -> list[torch.Tensor]:
    """Compute the log-probabilities of tokens and blank at each step of each clip.

    Clips of similar length are computed together.

    Parameters
    ----------
    model
        A recogniser in evaluation mode.
    clips
        The samples (N,) of each clip.
    batch_size
        The largest number of clips that are computed together.

    Returns
    -------
    list of torch.Tensor
        For each clip (S, V) float64 on the CPU, in the order of the clips.
    """
    results: dict[int, torch.Tensor] = {}
    for indices, batch in length_batches(clips, batch_size=batch_size, device=device_of(model)):
        log_probs, lengths = model(batch.features, batch.lengths)
        for i, row, length in zip(indices, log_probs.cpu().double(), lengths.tolist(), strict=True):
            results[i] = row[:length]
    return [results[i] for i in range(len(clips))]

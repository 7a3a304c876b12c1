"""Batches of audio clips, for training and for recognition.

As for texts (``utils.data.batches``), the batch of a training step is a function of the step and
the seed, so that a resumed run sees the data of an uninterrupted one. Here new clips are made for
each step: section 6.3 draws recordings, speed and noise at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch

from utils.arguments import check_integer
from utils.data.batches import IGNORE_INDEX, EndlessBatches, as_step, pad
from utils.speech.features import log_mel

ExampleSampler: TypeAlias = Callable[
    [np.random.Generator, int], tuple[list[np.ndarray], list[list[int]]]
]
"""A function of a generator and a step that makes training examples: clips, samples (N,) each, and
the ids of their transcripts. The generator makes all random choices."""


@dataclass(frozen=True)
class AudioBatch:
    """Features of B clips and their transcripts.

    Parameters
    ----------
    features
        Log-mel features, (B, F, M), padded with zeros.
    lengths
        The number of valid frames of each clip, (B,).
    targets
        The ids of each transcript, (B, L), padded with IGNORE_INDEX.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device | str) -> AudioBatch:
        """Return the batch on `device`."""
        tensors = {name: x.to(device) for name, x in vars(self).items()}
        return replace(self, **tensors)


class AudioBatches(EndlessBatches):
    """An endless stream of training batches: ``batches[step]``, for every step from 0.

    Parameters
    ----------
    sample_examples
        Makes the clips and transcripts of a step.
    seed
        Seeds the generator, together with the step; a non-negative integer.

    Raises
    ------
    ValueError
        If the seed is not a non-negative integer.
    """

    def __init__(self, sample_examples: ExampleSampler, *, seed: int = 0) -> None:
        check_integer(minimum=0, seed=seed)
        self.sample_examples = sample_examples
        self.seed = seed

    def __getitem__(self, step: int) -> AudioBatch:
        """Return the batch of `step`, counted from 0; a negative step raises ValueError."""
        step = as_step(step)
        clips, targets = self.sample_examples(np.random.default_rng([self.seed, step]), step)
        return audio_batch(clips, targets)


def log_mel_batch(clips: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the log-mel features of B clips as one tensor.

    Parameters
    ----------
    clips
        The samples (N,) of each clip.

    Returns
    -------
    features : torch.Tensor
        Log-mel features, (B, F, M) float32, padded with zeros.
    lengths : torch.Tensor
        The number of valid frames of each clip, (B,).

    Raises
    ------
    ValueError
        If there is no clip, or `log_mel` rejects one.
    """
    if len(clips) == 0:
        raise ValueError("a batch needs at least one clip; got none")
    features = [log_mel(clip).float() for clip in clips]  # (F, M) each
    lengths = torch.tensor([len(clip_features) for clip_features in features])  # (B,)
    return torch.nn.utils.rnn.pad_sequence(features, batch_first=True), lengths  # (B, F, M)


def audio_batch(clips: Sequence[np.ndarray], targets: Sequence[Sequence[int]]) -> AudioBatch:
    """Compute the features of B clips and put them into one batch.

    Parameters
    ----------
    clips
        The samples (N,) of each clip.
    targets
        The ids of each clip's transcript.

    Returns
    -------
    batch : AudioBatch
        Features, lengths and transcripts.

    Raises
    ------
    ValueError
        If there is no clip, the number of transcripts differs, `log_mel` rejects a clip, or ids are
        not integers.
    """
    if len(clips) != len(targets):
        raise ValueError(f"each clip needs a transcript; got {len(clips)} and {len(targets)}")
    features, lengths = log_mel_batch(clips)
    return AudioBatch(features, lengths, pad(targets, IGNORE_INDEX))

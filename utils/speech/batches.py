"""Batches of audio clips, for training and for recognition.

As for texts (``utils.data.batches``), the batch of a training step is a function of the step and
the seed, so that a resumed run sees the data of an uninterrupted one. Here clips are made anew for
each step: section 6.3 draws recordings, speed and noise at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch

from utils.data.batches import IGNORE, pad
from utils.speech.features import log_mel

MakeExamples: TypeAlias = Callable[
    [np.random.Generator, int], tuple[list[np.ndarray], list[list[int]]]
]
"""Maps a generator and a step to clips, samples (N,) each, and the ids that each of them says."""


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
        The ids of each transcript, (B, L), padded with IGNORE.
    """

    features: torch.Tensor
    lengths: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device | str) -> AudioBatch:
        """Return the batch on `device`."""
        tensors = {name: x.to(device, non_blocking=True) for name, x in vars(self).items()}
        return replace(self, **tensors)


class AudioBatches:
    """A stream of training batches: ``batches[step]``, for every step from 0.

    Parameters
    ----------
    make_examples
        Makes the clips and transcripts of a step, with no other randomness than the generator's.
    seed
        Seeds the generator, together with the step.
    """

    def __init__(self, make_examples: MakeExamples, *, seed: int = 0) -> None:
        self.make_examples = make_examples
        self.seed = seed

    def __getitem__(self, step: int) -> AudioBatch:
        """Return the batch of a step."""
        clips, targets = self.make_examples(np.random.default_rng([self.seed, step]), step)
        return audio_batch(clips, targets)


def audio_batch(clips: Sequence[np.ndarray], targets: Sequence[Sequence[int]]) -> AudioBatch:
    """Compute the features of B clips and put them into one batch.

    Parameters
    ----------
    clips
        The samples (N,) of each clip.
    targets
        The ids of what each clip says.

    Returns
    -------
    AudioBatch
        Features, lengths and transcripts.

    Raises
    ------
    ValueError
        If there is no clip, or one is shorter than a window.
    """
    if len(clips) == 0:
        raise ValueError("a batch needs at least one clip; got none")
    features = [log_mel(clip).float() for clip in clips]  # (F, M) each
    return AudioBatch(
        features=torch.nn.utils.rnn.pad_sequence(features, batch_first=True),  # (B, F, M)
        lengths=torch.tensor([len(clip_features) for clip_features in features]),  # (B,)
        targets=pad([torch.as_tensor(ids) for ids in targets], IGNORE),  # (B, L)
    )


def length_batches(
    clips: Sequence[np.ndarray], *, batch_size: int, device: torch.device | str
) -> Iterator[tuple[list[int], AudioBatch]]:
    """Iterate over batches of clips of similar length, shortest first.

    Parameters
    ----------
    clips
        The samples (N,) of each clip.
    batch_size
        The largest number of clips in a batch.
    device
        The device on which the batches are needed.

    Yields
    ------
    tuple of list of int and AudioBatch
        The indices of the clips of a batch, and the batch, whose targets are empty.
    """
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = audio_batch([clips[i] for i in indices], [[]] * len(indices))
        yield indices, batch.to(device)

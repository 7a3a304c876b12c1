"""Audio clips: one sample rate and loudness for all, and changes for data augmentation.

Section 6.3 uses clips of 8000 samples per second, as telephones do and as the recordings of its
corpus are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch

SAMPLE_RATE = 8000  # samples per second
LOUDNESS = 0.1  # root mean square of the samples of a normalized clip
MIN_CLIP_LENGTH = 256  # samples in a clip: one window of ``utils.speech.features``

Samples = TypeVar("Samples", np.ndarray, torch.Tensor)


def check_length(x: Samples) -> Samples:
    """Return samples (…, N) as they are; raise ValueError if N is below MIN_CLIP_LENGTH."""
    if x.shape[-1] < MIN_CLIP_LENGTH:
        raise ValueError(
            f"a clip of {x.shape[-1]} samples is shorter than a window of {MIN_CLIP_LENGTH}"
        )
    return x


def normalize_loudness(x: np.ndarray) -> np.ndarray:
    """Subtract the mean of samples (N,) and scale them to the root mean square LOUDNESS.

    Raises
    ------
    ValueError
        If the clip is silent.
    """
    x = x - x.mean()
    root_mean_square = np.sqrt((x**2).mean())
    if root_mean_square < 1e-6:
        raise ValueError("the clip is silent: there is nothing to recognise")
    return x * (LOUDNESS / root_mean_square)


def add_noise(x: np.ndarray, *, snr: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise at a given signal-to-noise ratio.

    Source: ``eq-snr`` (section 6.3).

    Parameters
    ----------
    x
        Samples, (N,).
    snr
        Decibels by which the mean energy of the clip exceeds that of the noise.
    rng
        Draws the noise.

    Returns
    -------
    numpy.ndarray
        The noisy clip, (N,) float32.
    """
    noise = rng.standard_normal(len(x))
    scale = np.sqrt((x**2).mean() / 10 ** (snr / 10))
    return (x + scale * noise).astype(np.float32)


def change_speed(x: np.ndarray, factor: float) -> np.ndarray:
    """Play samples (N,) `factor` times as fast, which raises the pitch by the same factor.

    The result, (about N / `factor`,) float32, is interpolated linearly between the samples.

    Parameters
    ----------
    x
        Samples, (N,).
    factor
        The factor of speed and pitch, above 0.

    Returns
    -------
    numpy.ndarray
        Samples, (about N / `factor`,) float32.
    """
    positions = np.arange(0, len(x) - 1, factor)
    return np.interp(positions, np.arange(len(x)), x).astype(np.float32)


def concatenate_clips(
    clips: Sequence[np.ndarray], *, rng: np.random.Generator, max_gap: float = 0.2
) -> np.ndarray:
    """Join clips, each of the loudness LOUDNESS, with silence before, between and after them.

    Parameters
    ----------
    clips
        The samples of each clip.
    rng
        Draws the length of each gap.
    max_gap
        The longest gap in seconds.

    Returns
    -------
    numpy.ndarray
        The samples of all, (N,) float32.

    Raises
    ------
    ValueError
        If a clip is silent.
    """
    parts = [np.zeros(int(rng.uniform(0, max_gap) * SAMPLE_RATE)) for _ in range(len(clips) + 1)]
    for i, clip in enumerate(clips):
        parts[i] = np.concatenate([parts[i], normalize_loudness(clip)])
    return np.concatenate(parts).astype(np.float32)

"""Audio clips: one sample rate and loudness for all, and changes for data augmentation.

Section 6.3 uses clips of 8000 samples per second, as telephones do and as the recordings of its
corpus are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from utils.data.corpus import SAMPLE_RATE

LOUDNESS = 0.1  # root mean square of the samples of a normalized clip
MIN_CLIP_LENGTH = 256  # samples in a clip: one window of ``utils.speech.features``


def check_clip_length(samples: np.ndarray | torch.Tensor) -> None:
    """Check that a clip has at least MIN_CLIP_LENGTH samples.

    Parameters
    ----------
    samples
        Samples of one or more clips, (…, N).

    Raises
    ------
    ValueError
        If N is below MIN_CLIP_LENGTH.
    """
    length = samples.shape[-1]
    if length < MIN_CLIP_LENGTH:
        raise ValueError(
            f"a clip of {length} samples is shorter than a window of {MIN_CLIP_LENGTH}"
        )


def normalize_loudness(samples: np.ndarray) -> np.ndarray:
    """Subtract the mean of samples and scale them to the root mean square LOUDNESS.

    Parameters
    ----------
    samples
        Samples, (N,).

    Returns
    -------
    normalized : numpy.ndarray
        Samples, (N,), of the type of the given ones.

    Raises
    ------
    ValueError
        If the clip is silent, that is, if its samples are all about equal.
    """
    centred = samples - samples.mean()
    root_mean_square = np.sqrt((centred**2).mean())
    if root_mean_square < 1e-6:
        raise ValueError("the clip is silent: there is nothing to recognise")
    return centred * (LOUDNESS / root_mean_square)


def add_noise(samples: np.ndarray, *, snr: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise at a given signal-to-noise ratio.

    Source: ``eq-snr`` (section 6.3).

    Parameters
    ----------
    samples
        Samples, (N,).
    snr
        Decibels by which the mean energy of the clip exceeds that of the noise.
    rng
        Draws the noise.

    Returns
    -------
    noisy : numpy.ndarray
        The noisy clip, (N,) float32.
    """
    noise = rng.standard_normal(len(samples))
    scale = np.sqrt((samples**2).mean() / 10 ** (snr / 10))
    return (samples + scale * noise).astype(np.float32)


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Play a clip `factor` times as fast, which raises the pitch by the same factor.

    The new samples are interpolated linearly between the given ones.

    Parameters
    ----------
    samples
        Samples, (N,).
    factor
        The factor of speed and pitch, above 0.

    Returns
    -------
    faster : numpy.ndarray
        Samples, (about N / `factor`,) float32.
    """
    positions = np.arange(0, len(samples) - 1, factor)
    return np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)


def concatenate_clips(
    clips: Sequence[np.ndarray], *, rng: np.random.Generator, max_gap: float = 0.2
) -> np.ndarray:
    """Normalize clips to one loudness and join them, with silence before, between and after them.

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
    joined : numpy.ndarray
        Samples, (N,) float32.

    Raises
    ------
    ValueError
        If a clip is silent.
    """
    parts = [np.zeros(int(rng.uniform(0, max_gap) * SAMPLE_RATE)) for _ in range(len(clips) + 1)]
    for i, clip in enumerate(clips):
        parts[i] = np.concatenate([parts[i], normalize_loudness(clip)])
    return np.concatenate(parts).astype(np.float32)

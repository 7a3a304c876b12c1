"""Audio clips: one sample rate and loudness for all, and changes for data augmentation.

Section 6.3 uses clips of 8000 samples per second, as telephones do and as the recordings of its
corpus are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from utils.data.corpus import SAMPLE_RATE

LOUDNESS = 0.1  # root mean square of the samples of a normalized clip
MIN_CLIP_LENGTH = 256  # samples in a clip: one window of ``utils.speech.features``
SAMPLE_TYPES = ("float32", "float64")
MAX_DECIBELS = 300.0  # of a signal-to-noise ratio, above or below 0: more is a mistake


def check_samples(samples: np.ndarray | torch.Tensor) -> None:
    """Check that samples are finite floating-point numbers, at least one.

    Parameters
    ----------
    samples
        Samples of one or more clips, (…, N).

    Raises
    ------
    ValueError
        If they are no array or tensor of float32 or float64, there is none, or one is NaN or
        infinite.
    """
    if not isinstance(samples, np.ndarray | torch.Tensor):
        raise ValueError(f"expected samples as an array or a tensor, got {type(samples).__name__}")
    sample_type = str(samples.dtype).removeprefix("torch.")
    if sample_type not in SAMPLE_TYPES:
        raise ValueError(
            f"samples are {sample_type}; convert them to float32 from -1 to 1, those of 16 bits by "
            "(samples / 32768).astype('float32')"
        )
    if samples.ndim == 0 or samples.shape[-1] == 0:
        raise ValueError(f"a clip has no samples: its shape is {tuple(samples.shape)}")
    if not _all_finite(samples):
        raise ValueError("a clip has samples that are NaN or infinite; look at how it was read")


def check_clip(samples: np.ndarray | torch.Tensor) -> None:
    """Check that samples are those of one clip with one channel.

    Parameters
    ----------
    samples
        Samples, to be (N,).

    Raises
    ------
    ValueError
        If the shape is another, such as that of a stereo recording, and as `check_samples` does.
    """
    check_samples(samples)
    if samples.ndim != 1:
        raise ValueError(
            f"a clip needs one channel, (N,); got {tuple(samples.shape)}: take one channel of a "
            "stereo recording, or the mean of both"
        )


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
        If the clip is silent, that is, if its samples are all about equal, or is no clip of one
        channel of finite floating-point numbers.
    """
    check_clip(samples)
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
        Decibels by which the mean energy of the clip exceeds that of the noise; ∞ for no noise.
    rng
        Draws the noise.

    Returns
    -------
    noisy : numpy.ndarray
        The noisy clip, (N,) float32.

    Raises
    ------
    ValueError
        If the clip is silent, so that the ratio is undefined, or is no clip of one channel of
        finite floating-point numbers, or if `snr` is no number of at most 300 decibels.
    """
    check_clip(samples)
    if not abs(snr) <= MAX_DECIBELS and snr != math.inf:
        raise ValueError(
            f"snr must be from {-MAX_DECIBELS:g} to {MAX_DECIBELS:g} decibels, or inf for no "
            f"noise; got {snr}"
        )
    if not samples.any():
        raise ValueError("the clip is silent: noise has no ratio to it")
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

    Raises
    ------
    ValueError
        If `factor` is not a finite number above 0, or the clip has fewer than two samples or is no
        clip of one channel of finite floating-point numbers.
    """
    check_clip(samples)
    if not 0 < factor < math.inf:
        raise ValueError(f"factor must be a number above 0, got {factor}")
    if len(samples) < 2:
        raise ValueError("a clip of one sample cannot be played at another speed")
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
        If there is no clip, one is silent or no clip of one channel of finite floating-point
        numbers, or `max_gap` is not a finite number from 0.
    """
    if not len(clips):
        raise ValueError("there are no clips to join; at least one is needed")
    if not 0 <= max_gap < math.inf:
        raise ValueError(f"max_gap must be a number of seconds from 0, got {max_gap}")
    parts = [np.zeros(int(rng.uniform(0, max_gap) * SAMPLE_RATE)) for _ in range(len(clips) + 1)]
    for i, clip in enumerate(clips):
        parts[i] = np.concatenate([parts[i], normalize_loudness(clip)])
    return np.concatenate(parts).astype(np.float32)


def _all_finite(samples: np.ndarray | torch.Tensor) -> bool:
    """Return True if no sample is NaN or infinite."""
    finite = samples.isfinite() if isinstance(samples, torch.Tensor) else np.isfinite(samples)
    return bool(finite.all())

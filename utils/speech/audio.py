"""Audio clips: one sample rate and loudness for all, and changes for data augmentation.

Section 6.3 uses clips of 8000 samples per second, as telephones do and as the recordings of its
corpus are.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from scipy.signal import resample_poly

SAMPLE_RATE = 8000  # samples per second
LOUDNESS = 0.1  # root mean square of the samples of a normalized clip
MIN_CLIP_LENGTH = 256  # samples in a clip: one window of ``utils.speech.features``
MAX_CHANNELS = 8
INTEGER_FORMATS = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}
"""Types of integer samples in WAV files, each with the value of silence and of full scale."""

Samples = TypeVar("Samples", np.ndarray, torch.Tensor)


def to_clip(samples: np.ndarray, rate: int) -> np.ndarray:
    """Convert a recording to the form that the recognisers expect.

    The result is mono, has the sample rate SAMPLE_RATE and the loudness LOUDNESS. A warning is
    given if more than one in a hundred samples is at the limit of its range: the recording is
    clipped.

    Parameters
    ----------
    samples
        (N,) or (N, channels), of which the mean is taken: integers of 8, 16 or 32 bits as WAV files
        have them, or floats in [−1, 1].
    rate
        Samples per second, a whole number from SAMPLE_RATE.

    Returns
    -------
    numpy.ndarray
        The clip, (N,) float32.

    Raises
    ------
    ValueError
        For samples of another shape or type, floats out of range, a lower rate, silence, or a clip
        of fewer than MIN_CLIP_LENGTH samples.
    """
    x = _to_float(np.asarray(samples))
    if x.size and (np.abs(x) >= 0.999).mean() > 0.01:
        warnings.warn("the recording is clipped: many samples are at the limit", stacklevel=2)
    if x.ndim == 2 and x.shape[1] <= MAX_CHANNELS:
        x = x.mean(1)  # (N,)
    if x.ndim != 1:
        raise ValueError(
            f"samples have the shape (N,) or (N, channels), up to {MAX_CHANNELS}; got {x.shape}"
        )
    if rate != int(rate) or rate < SAMPLE_RATE:
        raise ValueError(f"the rate must be a whole number from {SAMPLE_RATE} a second, got {rate}")
    if rate != SAMPLE_RATE:
        x = resample_poly(x, SAMPLE_RATE, int(rate))
    return normalize_loudness(check_length(x)).astype(np.float32)


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

    Source: ``eq-snr`` (section 6.3).
    """
    noise = rng.standard_normal(len(x))
    scale = np.sqrt((x**2).mean() / 10 ** (snr / 10))
    return (x + scale * noise).astype(np.float32)


def change_speed(x: np.ndarray, factor: float) -> np.ndarray:
    """Play samples (N,) `factor` times as fast, which raises the pitch by the same factor.

    The result, (about N / `factor`,) float32, is interpolated linearly between the samples.
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


def _to_float(x: np.ndarray) -> np.ndarray:
    """Return samples of any accepted type as float64 in [−1, 1]."""
    if x.dtype.name in INTEGER_FORMATS:
        silence, full_scale = INTEGER_FORMATS[x.dtype.name]
        return (x.astype(np.float64) - silence) / full_scale
    if x.dtype.kind != "f":
        accepted = ", ".join(INTEGER_FORMATS)
        raise ValueError(f"samples are {x.dtype}; give floats in [−1, 1] or {accepted}")
    if not np.isfinite(x).all() or np.abs(x).max(initial=0.0) > 1.001:
        raise ValueError("floats must lie in [−1, 1]; integers made floats need their scale")
    return x.astype(np.float64)

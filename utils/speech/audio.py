"""Audio clips: one sample rate and loudness for all, and changes for data augmentation.

Section 6.3 uses clips of 8000 samples per second, as telephones do and as the recordings of its
corpus are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from utils.arguments import check_number
from utils.data.examples import SAMPLE_RATE

LOUDNESS = 0.1  # root mean square of the samples of a normalized clip
MAX_NOISE = 1e36  # the largest deviation of noise, so that float32 holds what is drawn
SAMPLE_TYPES = ("float32", "float64")
MAX_DECIBELS = 300.0  # the largest signal-to-noise ratio, above or below 0
MAX_SAMPLE = 1e10  # the largest magnitude of a sample, above that of 32 bits; energies stay finite


def check_samples(samples: np.ndarray | torch.Tensor) -> None:
    """Check that samples (…, N) of one or more clips are floating-point numbers from −10¹⁰ to 10¹⁰.

    Raises
    ------
    ValueError
        If `samples` is not an array or a tensor of float32 or float64, N is 0, or a sample is NaN,
        infinite or outside that range, in which energies are finite in float32.
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
    largest = _largest_magnitude(samples)
    if not math.isfinite(largest):
        raise ValueError("a clip has samples that are NaN or infinite; look at how it was read")
    if largest > MAX_SAMPLE:
        raise ValueError(
            f"a clip has a sample of magnitude {largest:.3g}, above {MAX_SAMPLE:g}; scale it to "
            "samples from -1 to 1"
        )


def check_clip(samples: np.ndarray | torch.Tensor) -> None:
    """Check that samples are those of a single-channel clip, (N,).

    Raises
    ------
    ValueError
        If `samples` has another shape, such as that of a stereo recording, or `check_samples`
        rejects it.
    """
    check_samples(samples)
    if samples.ndim != 1:
        raise ValueError(
            f"a clip needs one channel, (N,); got {tuple(samples.shape)}: take one channel of a "
            "stereo recording, or the mean of both"
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
        If the clip is silent, that is, if its samples are nearly constant, or `check_clip` rejects
        it.
    """
    check_clip(samples)
    centred = samples - samples.mean()
    root_mean_square = np.sqrt((centred**2).mean())
    if root_mean_square < 1e-6:
        raise ValueError("the clip is silent: there is nothing to recognize")
    normalized: np.ndarray = centred * (LOUDNESS / root_mean_square)
    return normalized


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
        If the clip is silent, so that the ratio is undefined, if `snr` is neither ∞ nor from −300
        to 300 decibels, if the noise overflows float32, or `check_clip` rejects the clip.

    Examples
    --------
    >>> import numpy as np
    >>> from utils.speech.audio import add_noise
    >>> samples = np.sin(np.arange(8000, dtype="float32"))
    >>> noisy = add_noise(samples, snr=10, rng=np.random.default_rng(0))
    >>> noisy.shape, noisy.dtype
    ((8000,), dtype('float32'))
    """
    check_clip(samples)
    if not abs(snr) <= MAX_DECIBELS and snr != math.inf:
        raise ValueError(
            f"snr must be from {-MAX_DECIBELS:g} to {MAX_DECIBELS:g} decibels, or inf for no "
            f"noise; got {snr}"
        )
    if not samples.any():
        raise ValueError("the clip is silent: its signal-to-noise ratio is undefined")
    noise = rng.standard_normal(len(samples))
    with np.errstate(over="ignore"):
        scale = np.sqrt((samples**2).mean() / 10 ** (snr / 10))
    if not scale < MAX_NOISE:
        raise ValueError(
            f"noise at {snr:g} decibels to a clip as loud as this overflows float32; scale the "
            "clip to samples from -1 to 1"
        )
    noisy: np.ndarray = samples + scale * noise
    return noisy.astype(np.float32)


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
        If `factor` is not a positive number, the clip has fewer than two samples, or as
        `check_clip` does.
    """
    check_clip(samples)
    check_number(above=0, factor=factor)
    if len(samples) < 2:
        raise ValueError("a clip of one sample cannot be played at another speed")
    positions = np.arange(0, len(samples) - 1, factor)
    resampled: np.ndarray = np.interp(positions, np.arange(len(samples)), samples)
    return resampled.astype(np.float32)


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
        If there is no clip, `normalize_loudness` rejects one, or `max_gap` is not a non-negative
        number.
    """
    if not len(clips):
        raise ValueError("there are no clips to join; at least one is needed")
    check_number(minimum=0, max_gap=max_gap)
    parts = [np.zeros(int(rng.uniform(0, max_gap) * SAMPLE_RATE)) for _ in range(len(clips) + 1)]
    for i, clip in enumerate(clips):
        parts[i] = np.concatenate([parts[i], normalize_loudness(clip)])
    return np.concatenate(parts).astype(np.float32)


def _largest_magnitude(samples: np.ndarray | torch.Tensor) -> float:
    """Return the largest magnitude of samples: NaN if one is, 0 if there are none."""
    if 0 in samples.shape:
        return 0.0
    if isinstance(samples, torch.Tensor):
        return float(samples.detach().abs().max())
    return float(np.abs(samples).max())

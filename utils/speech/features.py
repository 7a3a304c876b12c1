"""Log-mel features of a clip: the input of the recognizers.

Section 6.3 derives them. Mel scale: Stevens, Volkmann and Newman 1937; mel filters: Davis and
Mermelstein 1980.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from utils.arguments import check_positive
from utils.data.examples import SAMPLE_RATE
from utils.speech.audio import check_clip, check_samples

WINDOW_LENGTH = 256  # samples in a frame (32 ms), which a clip has at least
HOP_LENGTH = 80  # samples from the start of one frame to that of the next (10 ms)
NUM_MEL_BANDS = 40
ENERGY_FLOOR = 1e-6  # added to all energies, so that silence has a finite logarithm


def hertz_to_mel(frequency: float | np.ndarray) -> np.ndarray:
    """Convert frequencies in hertz to mel, a scale on which equal steps sound equally large.

    Source: ``eq-mel`` (section 6.3).
    """
    return 2595 * np.log10(1 + np.asarray(frequency, dtype=float) / 700)


def mel_to_hertz(mel: float | np.ndarray) -> np.ndarray:
    """Convert frequencies in mel to hertz, the inverse of `hertz_to_mel`."""
    return 700 * (10 ** (np.asarray(mel, dtype=float) / 2595) - 1)


@cache
@torch.inference_mode(False)  # the result is cached, and training may need it later
def mel_filters(num_mel_bands: int = NUM_MEL_BANDS, lowest_frequency: float = 60.0) -> torch.Tensor:
    """Compute triangular filters whose corners are evenly spaced on the mel scale.

    Parameters
    ----------
    num_mel_bands
        The number M of filters.
    lowest_frequency
        The frequency at which the first filter begins, in hertz; the last one ends at half the
        sample rate.

    Returns
    -------
    filters : torch.Tensor
        The weight of each frequency of the spectrum in each band, at most 1:
        (WINDOW_LENGTH / 2 + 1, M) float64.

    Raises
    ------
    ValueError
        If `num_mel_bands` is not a positive integer or more than the spectrum has frequencies
        from `lowest_frequency` on, or if that is not from 0 to below half the sample rate.
    """
    check_positive(num_mel_bands=num_mel_bands)
    if not 0 <= lowest_frequency < SAMPLE_RATE / 2:
        raise ValueError(
            f"lowest_frequency must be from 0 to below {SAMPLE_RATE / 2:g} hertz, got "
            f"{lowest_frequency}"
        )
    resolution = SAMPLE_RATE / WINDOW_LENGTH  # hertz from one frequency of the spectrum to the next
    if lowest_frequency + (num_mel_bands + 1) * resolution > SAMPLE_RATE / 2:
        raise ValueError(
            f"{num_mel_bands} bands from {lowest_frequency:g} hertz on would be narrower than the "
            f"{resolution:g} hertz between two frequencies of the spectrum; take fewer bands"
        )
    ends = hertz_to_mel(lowest_frequency), hertz_to_mel(SAMPLE_RATE / 2)
    corners = mel_to_hertz(np.linspace(*ends, num_mel_bands + 2))
    # low filters would be narrower than the resolution: their corners move up
    corners = np.maximum(corners, corners[0] + np.arange(num_mel_bands + 2) * resolution)
    corners = np.minimum(corners, SAMPLE_RATE / 2)  # (M + 2,)
    frequencies = np.arange(WINDOW_LENGTH // 2 + 1)[:, None] * resolution
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]  # (M,) each
    rising = (frequencies - left) / (centre - left)  # (WINDOW_LENGTH / 2 + 1, M)
    falling = (right - frequencies) / (right - centre)
    return torch.tensor(np.clip(np.minimum(rising, falling), 0, None))


def check_clip_length(samples: np.ndarray | torch.Tensor) -> None:
    """Check that clips (…, N) have at least WINDOW_LENGTH samples.

    Raises
    ------
    ValueError
        If N is smaller than WINDOW_LENGTH.
    """
    length = samples.shape[-1]
    if length < WINDOW_LENGTH:
        raise ValueError(f"a clip of {length} samples is shorter than a window of {WINDOW_LENGTH}")


def power_spectrogram(samples: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Compute the energy of each frequency in overlapping windows.

    Source: ``eq-dft`` (section 6.3).

    Parameters
    ----------
    samples
        Samples, (…, N).

    Returns
    -------
    energies : torch.Tensor
        Energies, (…, F, WINDOW_LENGTH / 2 + 1), of F = 1 + ⌊(N − WINDOW_LENGTH) / HOP_LENGTH⌋
        frames.

    Raises
    ------
    ValueError
        If the clip is shorter than a window, or its samples are not finite floating-point numbers.
    """
    check_samples(samples)
    check_clip_length(samples)
    samples = _as_tensor(samples)
    frames = samples.unfold(-1, WINDOW_LENGTH, HOP_LENGTH)  # (…, F, WINDOW_LENGTH)
    window = torch.hann_window(WINDOW_LENGTH, dtype=samples.dtype, device=samples.device)
    spectra: torch.Tensor = torch.fft.rfft(frames * window)  # (…, F, WINDOW_LENGTH / 2 + 1)
    return spectra.abs().square()


def log_mel(samples: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Compute the features of a clip: log energies in mel bands, normalized over the clip.

    Each band has mean 0 and standard deviation 1 over the frames, so that the features depend
    neither on the loudness nor on the frequency response of the microphone.

    Source: ``eq-log-mel`` (section 6.3).

    Parameters
    ----------
    samples
        Samples, (N,).

    Returns
    -------
    features : torch.Tensor
        Features, (F, M) for F frames and M = NUM_MEL_BANDS, of the type of the samples.

    Raises
    ------
    ValueError
        If the clip is shorter than a window or has several channels, or its samples are not finite
        floating-point numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from utils.data.examples import SAMPLE_RATE
    >>> from utils.speech.features import log_mel
    >>> seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    >>> log_mel(np.sin(2 * np.pi * 440 * seconds).astype("float32")).shape
    torch.Size([97, 40])
    """
    check_clip(samples)
    samples = _as_tensor(samples)
    energies = power_spectrogram(samples) @ mel_filters().to(samples)  # (F, M)
    log_energies = (energies + ENERGY_FLOOR).log()
    mean, deviation = log_energies.mean(0), log_energies.std(0, correction=0)  # (M,) each
    return (log_energies - mean) / (deviation + 1e-3)


def _as_tensor(samples: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return samples, an array or a tensor, as a tensor of their type."""
    if isinstance(samples, torch.Tensor):
        return samples
    # torch reads neither a reversed array nor, without a warning, a read-only one
    is_read_only = not samples.flags.writeable
    return torch.from_numpy(samples.astype(samples.dtype, order="C", copy=is_read_only))

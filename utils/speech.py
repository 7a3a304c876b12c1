"""Sound: clips read and made sound, log-mel features, strings of digits, and a recogniser.

Derived in notebooks/06-3; what the recogniser's output means is in ``utils.ctc``. The mel scale:
Stevens, Volkmann and Newman 1937; filters on it: Davis and Mermelstein 1980. Convolutions before
recurrent layers, trained by CTC: Amodei et al. 2016; the GRU: Cho et al. 2014.
Letters: B batch, F feature frames (10 ms each), M mel bands, S places of the encoder (40 ms each).
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import nn
from torch.nn import functional as F

from utils import ctc, training
from utils.batches import IGNORE, pad
from utils.layers import check_sizes, make_rnn
from utils.runtime import device_of
from utils.training import History, TrainConfig

RATE = 8000  # samples a second
WINDOW, HOP = 256, 80  # samples in a frame (32 ms), and from one frame to the next (10 ms)
MELS = 40  # bands
LOUDNESS = 0.1  # root mean square of a clip after `as_clip`
FLOOR = 1e-6  # below it energies count as nothing, so that their logarithm is finite
KINDS = {"uint8": (128, 128), "int16": (0, 2**15), "int32": (0, 2**31)}  # offset, full scale


def read_wav(path: str | Path) -> np.ndarray:
    """A WAV file as `as_clip` makes it. Raises ValueError for a file that is not one."""
    try:
        rate, samples = wavfile.read(path)
    except (ValueError, EOFError, UnboundLocalError, struct.error) as error:  # as scipy has it
        raise ValueError(f"{path} is not a WAV file that can be read ({error})") from error
    return as_clip(samples, rate)


def as_clip(samples: np.ndarray, rate: int) -> np.ndarray:
    """Any recording as the book's models want it: float32 (N,), mono, at RATE, of one loudness.

    `samples` (N,) or (N, channels), which are averaged; whole numbers of 8, 16 or 32 bits as WAV
    files have them, or floats in [−1, 1]. Warns of a clipped recording. Raises ValueError for
    other shapes and types, floats out of range, a rate below RATE, silence, and less than a window.
    """
    x = _as_float(np.asarray(samples))
    if x.size and (np.abs(x) >= 0.999).mean() > 0.01:
        warnings.warn("the recording is clipped: many samples stand at the limit", stacklevel=2)
    if x.ndim == 2 and x.shape[1] <= 8:
        x = x.mean(1)  # (N,)
    if x.ndim != 1:
        raise ValueError(f"samples have the shape (N,) or (N, channels), up to 8; got {x.shape}")
    if rate != int(rate) or rate < RATE:
        raise ValueError(f"the rate must be a whole number from {RATE} a second, got {rate}")
    x = x if rate == RATE else resample_poly(x, RATE, int(rate))
    return normalized(_long_enough(x)).astype(np.float32)


def _as_float(x: np.ndarray) -> np.ndarray:
    if x.dtype.name in KINDS:
        offset, scale = KINDS[x.dtype.name]
        return (x.astype(np.float64) - offset) / scale
    if x.dtype.kind != "f":
        raise ValueError(f"samples are {x.dtype}; give floats in [−1, 1] or {', '.join(KINDS)}")
    if not np.isfinite(x).all() or np.abs(x).max(initial=0.0) > 1.001:
        raise ValueError("floats must lie in [−1, 1]; whole numbers made floats need their scale")
    return x.astype(np.float64)


def normalized(x: np.ndarray) -> np.ndarray:
    """Samples (N,) without their mean and with the root mean square LOUDNESS.

    Raises ValueError for silence, which no factor makes louder.
    """
    x = x - x.mean()
    rms = np.sqrt((x**2).mean())
    if rms < 1e-6:
        raise ValueError("the clip is silent: there is nothing to recognise")
    return x * (LOUDNESS / rms)


def _long_enough(x):
    if x.shape[-1] < WINDOW:
        raise ValueError(f"a clip of {x.shape[-1]} samples is shorter than a window of {WINDOW}")
    return x


def mel(hertz):
    """Hertz → mel (``eq-mel``): equal steps sound equally far apart."""
    return 2595 * np.log10(1 + np.asarray(hertz, dtype=float) / 700)


def hertz(mel):
    """The inverse of `mel`."""
    return 700 * (10 ** (np.asarray(mel, dtype=float) / 2595) - 1)


@cache
@torch.inference_mode(False)  # it is kept, and may be asked for within inference mode
def mel_filters(bands: int = MELS, low: float = 60.0) -> torch.Tensor:
    """(WINDOW / 2 + 1, bands): triangles of height 1 whose corners lie evenly on the mel scale."""
    corners = hertz(np.linspace(mel(low), mel(RATE / 2), bands + 2))
    corners = np.maximum(corners, corners[0] + np.arange(bands + 2) * RATE / WINDOW)
    corners = np.minimum(corners, RATE / 2)  # a step is never less than one line of the spectrum
    lines = np.arange(WINDOW // 2 + 1)[:, None] * RATE / WINDOW
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (lines - left) / (middle - left), (right - lines) / (right - middle)
    return torch.tensor(np.clip(np.minimum(rising, falling), 0, None))


def spectrogram(x: torch.Tensor) -> torch.Tensor:
    """Samples (…, N) → energies (…, F, WINDOW / 2 + 1) of overlapping windows (``eq-dft``).

    Raises ValueError for a clip shorter than one window.
    """
    frames = _long_enough(x).unfold(-1, WINDOW, HOP)  # (…, F, WINDOW)
    window = torch.hann_window(WINDOW, dtype=x.dtype, device=x.device)
    return torch.fft.rfft(frames * window).abs().square()


def log_mel(x: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Samples (N,) → log energies in mel bands (F, MELS) (``eq-log-mel``).

    Each band has mean 0 and deviation 1 over the clip: a microphone's colour is taken away.
    """
    x = torch.as_tensor(x)
    energies = spectrogram(x) @ mel_filters().to(x)  # (F, M)
    found = (energies + FLOOR).log()
    return (found - found.mean(0)) / (found.std(0, correction=0) + 1e-3)


# ---- what is trained on -------------------------------------------------------------------------


def noisy(x: np.ndarray, snr: float, rng: np.random.Generator) -> np.ndarray:
    """White noise added at `snr` decibels below the clip's mean energy (``eq-snr``)."""
    noise = rng.standard_normal(len(x))
    scale = np.sqrt((x**2).mean() / 10 ** (snr / 10))
    return (x + scale * noise).astype(np.float32)


def faster(x: np.ndarray, factor: float) -> np.ndarray:
    """Played `factor` times as fast, and so higher: samples read between the samples."""
    places = np.arange(0, len(x) - 1, factor)
    return np.interp(places, np.arange(len(x)), x).astype(np.float32)


def joined(clips: Sequence[np.ndarray], rng: np.random.Generator, gap: float = 0.2) -> np.ndarray:
    """Clips at one loudness, one after the other, with random gaps of up to `gap` seconds."""
    parts = [np.zeros(int(rng.uniform(0, gap) * RATE)) for _ in range(len(clips) + 1)]
    for i, clip in enumerate(clips):
        parts[i] = np.concatenate([parts[i], normalized(clip)])
    return np.concatenate(parts).astype(np.float32)


Voice = dict[str, list[np.ndarray]]  # recordings of each digit by one speaker


def voices(clips: Sequence) -> dict[str, Voice]:
    """What each speaker said, by digit, from a list of ``data.Clip``; speakers in order."""
    found: dict[str, Voice] = {}
    for clip in sorted(clips, key=lambda c: (c.speaker, c.digit, c.take)):
        found.setdefault(clip.speaker, {}).setdefault(str(clip.digit), []).append(clip.samples)
    return found


def say(
    digits: str,
    voice: Voice,
    rng: np.random.Generator,
    snr: float,
    speeds: tuple[float, float] = (0.85, 1.2),
) -> np.ndarray:
    """A string of digits in one voice: recordings drawn and joined, speed changed, noise added."""
    clips = [voice[d][rng.integers(len(voice[d]))] for d in digits]
    return noisy(faster(joined(clips, rng), rng.uniform(*speeds)), snr, rng)


@dataclass(frozen=True)
class SoundBatch:
    """Features (B, F, M), the frames (B,) that are real, targets (B, L) padded with IGNORE."""

    features: torch.Tensor
    frames: torch.Tensor
    targets: torch.Tensor

    def to(self, where) -> SoundBatch:
        moved = {name: x.to(where, non_blocking=True) for name, x in vars(self).items()}
        return replace(self, **moved)


def sound_batch(clips: Sequence[np.ndarray], targets: Sequence[Sequence[int]]) -> SoundBatch:
    """Clips (samples each) with the ids said in them, as one batch."""
    features = [log_mel(clip).float() for clip in clips]
    frames = torch.tensor([len(f) for f in features])
    return SoundBatch(
        nn.utils.rnn.pad_sequence(features, batch_first=True),  # (B, F, M)
        frames,
        pad([torch.as_tensor(t) for t in targets], IGNORE),
    )


Make = Callable[[np.random.Generator, int], tuple[list[np.ndarray], list[list[int]]]]


class SoundBatches:
    """`batches[step]`: made anew for each step from `make(rng, step)`, which gives (clips, ids).

    A function of the step and the seed alone, so that a resumed run sees the same data.
    """

    def __init__(self, make: Make, seed: int = 0):
        self.make, self.seed = make, seed

    def __getitem__(self, step: int) -> SoundBatch:
        return sound_batch(*self.make(np.random.default_rng([self.seed, step]), step))


# ---- the recogniser -----------------------------------------------------------------------------


class Recogniser(nn.Module):
    """log p(token or blank at each place) from features: convolutions, then a two-way GRU.

    `vocab_size` V with the blank in place of PAD; `width` of the convolutions and of each
    direction; with `cell` "lstm" a CPU is faster. Padding is not skipped: batch clips of like
    length, and let CTC's lengths mask.
    """

    def __init__(
        self,
        vocab_size: int,
        width: int = 128,
        layers: int = 2,
        dropout: float = 0.1,
        strides: Sequence[int] = (2, 2),
        cell: str = "gru",
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, width=width, layers=layers)
        self.strides, inputs = strides, [MELS, *[width] * (len(strides) - 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(n, width, 5, stride, padding=2)
            for n, stride in zip(inputs, strides, strict=True)
        )
        self.norm, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.rnn = make_rnn(cell, width, width, layers, dropout, bidirectional=True)
        self.output = nn.Linear(2 * width, vocab_size)

    def forward(self, features: torch.Tensor, frames: torch.Tensor):
        """features (B, F, M), frames (B,) → log-probabilities (B, S, V) and places (B,)."""
        places, _, log_p = self.encoded(features, frames)
        return log_p, places

    def encoded(self, features: torch.Tensor, frames: torch.Tensor):
        """The places (B,), the encoder's states (B, S, 2·width), and what CTC reads from them."""
        x = features.mT  # (B, M, F)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))  # (B, width, F/2), then F/4
        x, _ = self.rnn(self.dropout(self.norm(x.mT)))  # (B, S, 2·width)
        log_p = self.output(self.dropout(self.norm_out(x))).log_softmax(-1)  # (B, S, V)
        for stride in self.strides:
            frames = -(-frames // stride)
        return frames, x, log_p


def ctc_objective(model: Recogniser, batch: SoundBatch, label_smoothing: float = 0.0):
    """Summed −log p(targets | sound), for `training.fit`; a scalar. There is no smoothing."""
    log_p, places = model(batch.features, batch.frames)
    return ctc.fast_loss(log_p, places, batch.targets).sum()


def learn(
    model: nn.Module, make: Make, steps: int, rate: float, seed: int = 0, objective=ctc_objective
) -> History:
    """Train on what `make(rng, step)` gives, through the book's own loop."""
    config = TrainConfig(steps=steps, learning_rate=rate, warmup=0.05, clip=5.0)
    batches = SoundBatches(make, seed)
    return training.fit(model, batches, config, progress=False, objective=objective)


@torch.inference_mode()
def listen(model: Recogniser, clips: Sequence[np.ndarray], batch_size: int = 32):
    """Log-probabilities (places, V) in float64 for each clip; clips of like length together."""
    found = [None] * len(clips)
    for group, batch in groups(clips, batch_size, device_of(model)):
        log_p, places = model(batch.features, batch.frames)
        for i, row, n in zip(group, log_p.cpu().double(), places.tolist(), strict=True):
            found[i] = row[:n]
    return found


def groups(clips: Sequence[np.ndarray], size: int, where) -> Iterator[tuple[list[int], SoundBatch]]:
    """Clips of like length together on a device: which ones, and their batch without targets."""
    order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
    for start in range(0, len(order), size):
        group = order[start : start + size]
        yield group, sound_batch([clips[i] for i in group], [[]] * len(group)).to(where)

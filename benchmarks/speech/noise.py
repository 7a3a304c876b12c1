"""New voices and known ones in noise, and where the noise must be to help or to harm.

The part "noise" of ``speech``. All clips are strings of eight random digits. Noise is added at one
level to the digits and at another to the gaps between them; and the features of a clip are
normalized by the statistics of another one, in which only the noise of the gaps differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.record import SeedRows
from benchmarks.speech.task import digit_error_rate
from benchmarks.speech.voices import LEARNING_RATE, STEPS, load_voices, train_ear
from utils.metrics.cost import count_parameters
from utils.runtime import device_of, evaluation_mode
from utils.speech.audio import change_speed, concatenate_clips
from utils.speech.ctc import best_path
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.digits import Recordings, random_digits
from utils.speech.features import ENERGY_FLOOR, mel_filters, power_spectrogram

LEVELS = (30.0, 25.0, 20.0, 15.0, 10.0, 5.0, 0.0)  # decibels
LITTLE, MUCH = 20.0, 8.0  # decibels of the interventions
STRINGS, LENGTH = 120, 8
SPEEDS = (0.85, 1.2)  # factors, as in `speak_digits`
MARGIN = 40  # samples on each side of a digit that count as its own

Featurizer: TypeAlias = Callable[[np.ndarray, np.ndarray], torch.Tensor]
"""Maps a clip without noise and noise of its energy, (N,) each, to features (F, M)."""


def noisy_clip(samples: np.ndarray, noise: np.ndarray, *, digits: float, gaps: float) -> np.ndarray:
    """Add noise at one level to what is spoken and at another to the gaps.

    Parameters
    ----------
    samples
        A clip whose gaps are zero, (N,).
    noise
        Noise of the same mean energy, (N,).
    digits, gaps
        The signal-to-noise ratios in decibels, both relative to the energy of the whole clip.

    Returns
    -------
    noisy : numpy.ndarray
        The noisy clip, (N,) float32.
    """
    near = np.convolve(samples != 0, np.ones(2 * MARGIN + 1), "same") > 0.5
    levels = np.where(near, digits, gaps)
    noisy: np.ndarray = samples + noise * 10 ** (-levels / 20)
    return noisy.astype(np.float32)


def log_energies(samples: np.ndarray) -> torch.Tensor:
    """Return log energies of mel bands before they are normalized, (F, M)."""
    energies = power_spectrogram(samples)
    return (energies @ mel_filters().to(energies) + ENERGY_FLOOR).log()


def normalized(energies: torch.Tensor, statistics: torch.Tensor) -> torch.Tensor:
    """Normalize log energies (F, M) by the mean and deviation of others (F, M), as ``log_mel``."""
    return (energies - statistics.mean(0)) / (statistics.std(0, correction=0) + 1e-3)


def featurizer(digits: float, gaps: float, statistics_gaps: float | None = None) -> Featurizer:
    """Return a function that makes noisy features.

    Parameters
    ----------
    digits, gaps
        The levels of the noise, as in `noisy_clip`.
    statistics_gaps
        The level in the gaps of the clip whose mean and deviation normalize the features; None for
        the clip itself.

    Returns
    -------
    features : Featurizer
        Features of a clip and noise.
    """

    def features(samples: np.ndarray, noise: np.ndarray) -> torch.Tensor:
        energies = log_energies(noisy_clip(samples, noise, digits=digits, gaps=gaps))
        if statistics_gaps is None:
            return normalized(energies, energies)
        other = noisy_clip(samples, noise, digits=digits, gaps=statistics_gaps)
        return normalized(energies, log_energies(other))

    return features


CONDITIONS = {f"WER, {level:g} dB (%)": featurizer(level, level) for level in LEVELS} | {
    "WER, much noise (%)": featurizer(MUCH, MUCH),
    "WER, much noise in the gaps (%)": featurizer(LITTLE, MUCH),
    "WER, much noise in the digits (%)": featurizer(MUCH, LITTLE),
    "WER, statistics of noisy gaps (%)": featurizer(LITTLE, LITTLE, MUCH),
    "WER, noisy gaps, statistics of quiet ones (%)": featurizer(LITTLE, MUCH, LITTLE),
}


def quiet_clips(
    speakers: dict[str, Recordings], rng: np.random.Generator
) -> tuple[list[str], list[np.ndarray]]:
    """Make random strings of digits without noise, by speakers in turn.

    Parameters
    ----------
    speakers
        The recordings of the speakers.
    rng
        Draws strings, recordings, gaps and speeds.

    Returns
    -------
    texts : list of str
        The digits of each clip.
    clips : list of numpy.ndarray
        The samples (N,) of each clip.
    """
    texts, clips, names = [], [], list(speakers)
    for i in range(STRINGS):
        text, recordings = random_digits(rng, LENGTH), speakers[names[i % len(names)]]
        takes = [recordings[digit][rng.integers(len(recordings[digit]))] for digit in text]
        texts.append(text)
        clips.append(change_speed(concatenate_clips(takes, rng=rng), rng.uniform(*SPEEDS)))
    return texts, clips


@torch.inference_mode()
def answers_to(model: CTCRecognizer, features: Sequence[torch.Tensor]) -> list[list[int]]:
    """Return the text of the best path for features (F, M) of each clip."""
    device = device_of(model)
    with evaluation_mode(model):
        return [
            best_path(model(x[None].to(device), torch.tensor([len(x)], device=device))[0][0].cpu())
            for x in features
        ]


def measure_noise(
    model: CTCRecognizer, speakers: dict[str, Recordings], seed: int
) -> dict[str, Any]:
    """Return the error rate of each of the `CONDITIONS` in per cent.

    Parameters
    ----------
    model
        The recognizer.
    speakers
        The recordings of the speakers that test it.
    seed
        Seed of the clips and of the noise, which is the same in all conditions.

    Returns
    -------
    figures : dict
        Error rates by name.
    """
    rng = np.random.default_rng([seed, 11])
    texts, clips = quiet_clips(speakers, rng)
    noises = [rng.standard_normal(len(clip)) * np.sqrt(np.square(clip).mean()) for clip in clips]
    return {
        name: 100 * digit_error_rate(answers_to(model, list(map(features, clips, noises))), texts)
        for name, features in CONDITIONS.items()
    }


def run_noise(rows: SeedRows, _: SeedRows, seeds: Sequence[int], *, steps: int = STEPS) -> None:
    """Run the seeds of new and known voices that have no row yet.

    Parameters
    ----------
    rows
        The rows of the two arms.
    seeds
        The seeds.
    steps
        Training steps of the recognizers.
    """
    voices = load_voices()
    arms = {"new voices": voices.valid | voices.test, "known voices": voices.known}
    settings = {"optimizer": "AdamW", "learning_rate": LEARNING_RATE, "grid": None, "steps": steps}
    for seed in seeds:
        for arm, speakers in arms.items():
            for missing in rows.missing(arm, [seed], settings):
                began, model = time.process_time(), train_ear(missing, steps)
                figures = measure_noise(model, speakers, missing)
                print(arm, missing, {k: round(v, 1) for k, v in figures.items()}, flush=True)
                costs = {
                    "parameters": count_parameters(model),
                    "tokens": None,
                    "processor_seconds": round(time.process_time() - began, 1),
                }
                rows.write(arm, missing, figures=figures, settings=settings, costs=costs)

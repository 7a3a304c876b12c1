"""Single spoken digits as the corpus publishes them: recordings 0 to 4 of all speakers test.

The part "isolated" of ``speech``. The other recordings train. Each clip has a moment of silence and
a little noise around it, as features are relative to the clip; the answer is the digit that is most
probable by CTC.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.speech.task import STRIDES
from utils.data.corpora import Corpus
from utils.data.examples import SAMPLE_RATE, Clip
from utils.runtime import seed_everything, select_device
from utils.speech.audio import add_noise, change_speed, concatenate_clips, normalize_loudness
from utils.speech.ctc import ctc_loss
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.digits import DIGIT_TOKENIZER, DIGITS
from utils.speech.training import train_recognizer
from utils.speech.transcription import clip_log_probs

WIDTH, DROPOUT, LEARNING_RATE = 96, 0.2, 2e-3
BATCH_SIZE = 48  # clips
SILENCE_SECONDS = 0.15  # before and after each clip
TRAIN_SPEEDS = (0.85, 1.18)  # factors
TRAIN_SNR_RANGE, TEST_SNR = (8, 35), 25.0  # decibels


@dataclass(frozen=True)
class IsolatedResult:
    """The accuracy on the test recordings, from one seed.

    Parameters
    ----------
    seed
        Seed of the parameters and of all examples.
    accuracy
        The fraction of the recordings whose digit was recognized.
    num_tested
        The number of recordings.
    """

    seed: int
    accuracy: float
    num_tested: int


@dataclass(frozen=True)
class RandomDigits:
    """Training examples of single digits at random speeds, with random noise; an `ExampleSampler`.

    Parameters
    ----------
    clips
        The recordings to draw from.
    """

    clips: Sequence[Clip]

    def __call__(
        self, rng: np.random.Generator, step: int
    ) -> tuple[list[np.ndarray], list[list[int]]]:
        """Draw the examples of a training step.

        Parameters
        ----------
        rng
            Draws the recordings, their speeds and the noise.
        step
            The number of the step, which makes no difference.

        Returns
        -------
        samples : list of numpy.ndarray
            The samples (N,) of each clip.
        ids : list of list of int
            The id of the digit of each clip.
        """
        batch = [self.clips[i] for i in rng.integers(len(self.clips), size=BATCH_SIZE)]
        played = [
            change_speed(concatenate_clips([clip.samples], rng=rng), rng.uniform(*TRAIN_SPEEDS))
            for clip in batch
        ]
        samples = [
            surround_with_silence(x, snr=rng.uniform(*TRAIN_SNR_RANGE), rng=rng) for x in played
        ]
        return samples, [DIGIT_TOKENIZER.encode(str(clip.digit)) for clip in batch]


def surround_with_silence(x: np.ndarray, *, snr: float, rng: np.random.Generator) -> np.ndarray:
    """Return samples (N,) with silence before and after them, and noise over everything.

    Parameters
    ----------
    x
        The samples, (N,).
    snr
        Ratio of signal to noise, in decibels.
    rng
        Draws the noise.

    Returns
    -------
    samples : numpy.ndarray
        The samples with `SILENCE_SECONDS` more on each side.
    """
    return add_noise(np.pad(x, int(SILENCE_SECONDS * SAMPLE_RATE)), snr=snr, rng=rng)


def measure_isolated(corpus: Corpus[list[Clip]], *, steps: int, seed: int) -> list[IsolatedResult]:
    """Train for `steps` steps and test once.

    Parameters
    ----------
    corpus
        The corpus.
    steps
        Training steps.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    results : list of IsolatedResult
        A list of one result.
    """
    seed_everything(seed)
    model = CTCRecognizer(len(DIGIT_TOKENIZER), width=WIDTH, dropout=DROPOUT, strides=STRIDES)
    examples = RandomDigits([*corpus.train, *corpus.valid])
    history = train_recognizer(
        model.to(select_device()), examples, steps=steps, learning_rate=LEARNING_RATE, seed=seed
    )
    history.raise_if_interrupted()
    rng = np.random.default_rng([seed, 1])
    samples = [
        surround_with_silence(normalize_loudness(clip.samples), snr=TEST_SNR, rng=rng)
        for clip in corpus.test
    ]
    answers = [most_probable_digit(log_probs) for log_probs in clip_log_probs(model, samples)]
    accuracy = statistics.mean(
        answer == clip.digit for answer, clip in zip(answers, corpus.test, strict=True)
    )
    print(f"seed {seed} isolated digits: {accuracy:.4f} right", flush=True)
    return [IsolatedResult(seed, accuracy, len(answers))]


def most_probable_digit(log_probs: torch.Tensor) -> int:
    """Return the digit with the highest probability by CTC, given log-probabilities (S, V)."""
    return min(
        range(len(DIGITS)),
        key=lambda digit: float(ctc_loss(log_probs, DIGIT_TOKENIZER.encode(str(digit)))),
    )


def summarize_isolated(results: Sequence[IsolatedResult]) -> dict[str, Any]:
    """Return the mean accuracy over the seeds."""
    return {"accuracy": statistics.mean(result.accuracy for result in results)}

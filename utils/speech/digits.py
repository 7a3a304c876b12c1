"""Strings of spoken digits, made from recordings of single ones: the first task of section 6.3.

The recordings are those of ``utils.data.corpora.load_digits``; ``benchmarks.speech`` uses the same
strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from utils.arguments import check_number, check_positive
from utils.data.examples import SAMPLE_RATE
from utils.data.tokenizers import CharTokenizer
from utils.speech.audio import add_noise, change_speed, concatenate_clips

if TYPE_CHECKING:
    from utils.data.examples import Clip

DIGITS = "0123456789"
DIGIT_TOKENIZER = CharTokenizer.train(DIGITS)
SINGLE_DIGIT_FRACTION = 0.3  # of the training steps, at the beginning
MIN_LENGTH = 3  # digits in a string after these steps
SNR_RANGE = (5.0, 25.0)  # decibels
SPEED_RANGE = (0.8, 1.25)  # factors

Recordings: TypeAlias = dict[str, list[np.ndarray]]
"""The recordings of each digit, "0" to "9", by one speaker: samples (N,) each."""


def recordings_by_speaker(clips: Iterable[Clip]) -> dict[str, Recordings]:
    """Group the clips of a corpus by speaker and digit.

    Parameters
    ----------
    clips
        The clips, in any order.

    Returns
    -------
    speakers : dict of str to Recordings
        The recordings of each speaker, speakers in alphabetical order, takes in their order.

    Raises
    ------
    ValueError
        If a clip has another sample rate than SAMPLE_RATE, as its features would be wrong.
    """
    speakers: dict[str, Recordings] = {}
    for clip in sorted(clips, key=lambda clip: (clip.speaker, clip.digit, clip.take)):
        if clip.sample_rate != SAMPLE_RATE:
            raise ValueError(
                f"take {clip.take} of {clip.digit} by {clip.speaker} has {clip.sample_rate} "
                f"samples per second; resample it to {SAMPLE_RATE}, for example with "
                "scipy.signal.resample_poly"
            )
        recordings = speakers.setdefault(clip.speaker, {})
        recordings.setdefault(str(clip.digit), []).append(clip.samples)
    return speakers


def speak_digits(
    digits: str,
    recordings: Recordings,
    *,
    rng: np.random.Generator,
    snr: float,
    speeds: tuple[float, float] = (0.85, 1.2),
) -> np.ndarray:
    """Make a clip in which one speaker speaks a string of digits.

    A recording of each digit is drawn. The recordings are joined with gaps and played at a random
    speed, and noise is added.

    Parameters
    ----------
    digits
        The string, such as "20240229".
    recordings
        The speaker's recordings.
    rng
        Draws the recordings, the gaps, the speed and the noise.
    snr
        The signal-to-noise ratio in decibels.
    speeds
        The lowest and the highest factor of speed.

    Returns
    -------
    samples : numpy.ndarray
        Samples, (N,) float32.

    Raises
    ------
    ValueError
        If the string is empty, the speaker has no recording of a digit, `concatenate_clips` rejects
        a recording, `add_noise` the ratio, or the speeds are not positive numbers in order.
    """
    lowest, highest = speeds
    check_number(above=0, lowest_speed=lowest)
    check_number(minimum=lowest, highest_speed=highest)
    if not digits:
        raise ValueError("digits is empty; give at least one digit")
    for digit in digits:
        if not recordings.get(digit):
            raise ValueError(
                f"there is no recording of {digit!r}; there are {', '.join(recordings)}"
            )
    clips = [recordings[digit][rng.integers(len(recordings[digit]))] for digit in digits]
    joined = concatenate_clips(clips, rng=rng)
    return add_noise(change_speed(joined, rng.uniform(*speeds)), snr=snr, rng=rng)


def random_digits(rng: np.random.Generator, length: int) -> str:
    """Draw a string of `length` digits, each with the same probability.

    Raises
    ------
    ValueError
        If `length` is not a positive integer.
    """
    check_positive(length=length)
    return "".join(rng.choice(list(DIGITS), length))


@dataclass(frozen=True)
class RandomDigitStrings:
    """Training examples of random strings of digits; an `ExampleSampler` for `AudioBatches`.

    The strings of a step have one length: 1 in the first three tenths of all steps, so that each
    digit is learned early, then 3 to `max_length`. Each string has a random speaker, speed and
    signal-to-noise ratio.

    Parameters
    ----------
    recordings
        The recordings of each speaker.
    steps
        The number of steps of the training run.
    digits_per_batch
        The number of digits of a step, over all its strings.
    max_length
        The largest number of digits of a string, at least 3.

    Raises
    ------
    ValueError
        If there is no speaker, a size is not a positive integer, `max_length` is below 3, or
        `digits_per_batch` below `max_length`.
    """

    recordings: Mapping[str, Recordings]
    _: KW_ONLY
    steps: int
    digits_per_batch: int = 48
    max_length: int = 8

    def __post_init__(self) -> None:
        check_positive(
            steps=self.steps, digits_per_batch=self.digits_per_batch, max_length=self.max_length
        )
        if not self.recordings:
            raise ValueError("recordings has no speaker; at least one is needed")
        if not MIN_LENGTH <= self.max_length <= self.digits_per_batch:
            raise ValueError(
                f"max_length must be from {MIN_LENGTH} to digits_per_batch, which is "
                f"{self.digits_per_batch}; got {self.max_length}"
            )

    def __call__(
        self, rng: np.random.Generator, step: int
    ) -> tuple[list[np.ndarray], list[list[int]]]:
        """Draw the examples of a training step.

        Parameters
        ----------
        rng
            Draws the strings and all else that their clips need.
        step
            The number of the step, from 0.

        Returns
        -------
        clips : list of numpy.ndarray
            The samples (N,) of each clip.
        ids : list of list of int
            The ids of the digits of each clip.
        """
        if step < SINGLE_DIGIT_FRACTION * self.steps:
            length = 1
        else:
            length = int(rng.integers(MIN_LENGTH, self.max_length + 1))
        texts = [random_digits(rng, length) for _ in range(self.digits_per_batch // length)]
        clips = [self._speak(text, rng) for text in texts]
        return clips, [DIGIT_TOKENIZER.encode(text) for text in texts]

    def _speak(self, text: str, rng: np.random.Generator) -> np.ndarray:
        """Return a clip of `text` by a random speaker."""
        speaker = rng.choice(list(self.recordings))
        snr = rng.uniform(*SNR_RANGE)
        return speak_digits(text, self.recordings[speaker], rng=rng, snr=snr, speeds=SPEED_RANGE)

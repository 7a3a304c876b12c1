"""The recognizers that section 6.3 tests on new voices, and their clips.

Three speakers train, one chooses, two test. The first five takes of each digit train nothing, so
that the voices of the training can be tested as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from benchmarks.speech.dates import shuffled_calendar
from benchmarks.speech.task import SNR, STRIDES, digit_error_rate
from utils.data.corpora import load_digits
from utils.models.ngram import NGramLM
from utils.runtime import seed_everything, select_device
from utils.speech.ctc_beam_search import CTCBeamConfig, CTCHypothesis, prefix_beam_search
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.digits import (
    DIGIT_TOKENIZER,
    RandomDigitStrings,
    Recordings,
    random_digits,
    recordings_by_speaker,
    speak_digits,
)
from utils.speech.training import train_recognizer
from utils.speech.transcription import clip_log_probs

SPEAKERS = {"train": (1, 3, 4), "valid": (2,), "test": (0, 5)}  # of the names in order
TEST_TAKES = 5  # of each digit and speaker, which do not train
WIDTH, LEARNING_RATE, STEPS = 96, 2e-3, 400
CLIPS = 100  # of each speaker
BEAM_SIZE = 8


@dataclass(frozen=True)
class Voices:
    """The recordings of the corpus in the two ways in which they are divided.

    Parameters
    ----------
    train
        The speakers that train, without their first takes.
    known
        The first takes of the same speakers.
    valid, test
        The other speakers, with all their takes.
    """

    train: dict[str, Recordings]
    known: dict[str, Recordings]
    valid: dict[str, Recordings]
    test: dict[str, Recordings]


@cache
def load_voices() -> Voices:
    """Load the corpus and divide it.

    Returns
    -------
    voices : Voices
        Three speakers that train, one that chooses, two that test.
    """
    clips = load_digits().all
    later = recordings_by_speaker(clip for clip in clips if clip.take >= TEST_TAKES)
    first = recordings_by_speaker(clip for clip in clips if clip.take < TEST_TAKES)
    whole = recordings_by_speaker(clips)
    names = {part: [list(whole)[i] for i in indices] for part, indices in SPEAKERS.items()}
    return Voices(
        train={name: later[name] for name in names["train"]},
        known={name: first[name] for name in names["train"]},
        valid={name: whole[name] for name in names["valid"]},
        test={name: whole[name] for name in names["test"]},
    )


@cache
def train_ear(seed: int, steps: int = STEPS) -> CTCRecognizer:
    """Train a recognizer on random strings of digits by the three speakers.

    Parameters
    ----------
    seed
        Seed of the parameters and of all examples.
    steps
        Training steps.

    Returns
    -------
    model : CTCRecognizer
        The trained model.
    """
    seed_everything(seed)
    model = CTCRecognizer(len(DIGIT_TOKENIZER), width=WIDTH, strides=STRIDES).to(select_device())
    strings = RandomDigitStrings(load_voices().train, steps=steps)
    history = train_recognizer(model, strings, steps=steps, learning_rate=LEARNING_RATE, seed=seed)
    history.raise_if_interrupted()
    return model


@dataclass(frozen=True)
class HeardTexts:
    """Texts, and what a recognizer computes from clips of them.

    Parameters
    ----------
    texts
        The digits of each clip, such as "20240229".
    log_probs
        The log-probabilities of tokens and blank at each step of each clip, (S, V).
    """

    texts: list[str]
    log_probs: list[torch.Tensor]

    def search(
        self,
        model: NGramLM | None = None,
        weight: float = 0.0,
        bonus: float = 0.0,
        *,
        beam_size: int = BEAM_SIZE,
    ) -> list[list[CTCHypothesis]]:
        """Search for the best texts of each clip.

        Parameters
        ----------
        model
            The language model of the search; None for none.
        weight, bonus
            The weight λ of the language model and the bonus γ of each token.
        beam_size
            How many prefixes the search keeps.

        Returns
        -------
        hypotheses : list of list of CTCHypothesis
            The texts of each clip, best first.
        """
        beam = CTCBeamConfig(beam_size, lm_weight=weight, token_bonus=bonus)
        return prefix_beam_search(self.log_probs, beam, language_model=model)

    def errors(self, answers: Sequence[Sequence[int]]) -> list[int]:
        """Return the number of edits from each answer to its text."""
        return [
            round(digit_error_rate([ids], [text]) * len(text))
            for ids, text in zip(answers, self.texts, strict=True)
        ]

    def error_rate(self, answers: Sequence[Sequence[int]]) -> float:
        """Return the word error rate of answers in per cent, a digit being a word."""
        return 100 * digit_error_rate(answers, self.texts)


def hear(
    model: CTCRecognizer,
    texts: Sequence[str],
    speakers: dict[str, Recordings],
    rng: np.random.Generator,
    *,
    snr: float = SNR,
) -> HeardTexts:
    """Let speakers say texts in turn, and a recognizer hear them.

    Parameters
    ----------
    model
        The recognizer.
    texts
        Strings of digits.
    speakers
        The recordings of the speakers.
    rng
        Draws recordings, gaps, speeds and noise.
    snr
        The signal-to-noise ratio in decibels.

    Returns
    -------
    heard : HeardTexts
        The texts, and the recognizer's log-probabilities of each clip.
    """
    names = list(speakers)
    clips = [
        speak_digits(text, speakers[names[i % len(names)]], rng=rng, snr=snr)
        for i, text in enumerate(texts)
    ]
    return HeardTexts(list(texts), clip_log_probs(model, clips))


@dataclass(frozen=True)
class DateTask:
    """Dates that two new voices say, random strings that they say, and dates for language models.

    Parameters
    ----------
    valid, test
        Dates by the speaker that chooses and by those that test.
    strings
        Random strings of eight digits by those that test.
    lm_dates, lm_valid
        Other dates, for training a language model and for choosing its rate.
    """

    valid: HeardTexts
    test: HeardTexts
    strings: HeardTexts
    lm_dates: list[str]
    lm_valid: list[str]


def make_date_task(seed: int, steps: int = STEPS, lm_dates: int = 8000) -> DateTask:
    """Train a recognizer and make the dates of a seed.

    Parameters
    ----------
    seed
        Seed of the recognizer, the dates and the clips.
    steps
        Training steps of the recognizer.
    lm_dates
        How many dates train language models.

    Returns
    -------
    task : DateTask
        Texts without a date in common, and clips.
    """
    ear, voices = train_ear(seed, steps), load_voices()
    calendar, rng = shuffled_calendar(seed), np.random.default_rng([seed, 7])
    tested = CLIPS * len(voices.test)
    strings = [random_digits(rng, 8) for _ in range(tested)]
    return DateTask(
        valid=hear(ear, calendar[:CLIPS], voices.valid, rng),
        test=hear(ear, calendar[CLIPS : CLIPS + tested], voices.test, rng),
        strings=hear(ear, strings, voices.test, rng),
        lm_dates=calendar[CLIPS + tested :][:lm_dates],
        lm_valid=calendar[-1000:],
    )

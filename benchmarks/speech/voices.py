"""The recognizers of section 6.3 that are tested on a new voice, and their clips.

The six speakers form three pairs. A recognizer trains on the four speakers of two pairs and is
tested on both of the third, each of which chooses the settings for the other. So each seed has
another voice to test on, and two seeds share a recognizer. The first five takes of each digit train
nothing: each voice can be tested as a new one and as a known one with the same recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from benchmarks.speech.date_models import shuffled_calendar
from benchmarks.speech.task import SNR, STRIDES, digit_error_rate
from utils.data.corpora import load_digits
from utils.models.ngram import NGramLM
from utils.runtime import seed_everything, select_device
from utils.speech.ctc import best_path
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

TEST_TAKES = 5  # of each digit and speaker, which do not train
WIDTH, LEARNING_RATE, STEPS = 96, 2e-3, 400
VALID_CLIPS, TEST_CLIPS = 60, 80  # dates that choose; dates, and random strings, that test
NOISE_CLIPS, NOISE_LEVELS = 40, (30, 20, 10, 0)  # strings, at each level in decibels
BEAM_SIZE = 8
LM_DATES = 8000


@dataclass(frozen=True)
class Voices:
    """The recordings of the corpus as one seed divides them.

    Parameters
    ----------
    train
        The four speakers that train, without their first takes.
    valid, test
        The recordings of the speaker that chooses and of the one that tests.
    first
        The first takes of the speaker that tests.
    test_name
        The name of that speaker.
    """

    train: dict[str, Recordings]
    valid: Recordings
    test: Recordings
    first: Recordings
    test_name: str


@cache
def load_voices(seed: int) -> Voices:
    """Load the corpus and divide it.

    Parameters
    ----------
    seed
        The number of the speaker that tests, below six.

    Returns
    -------
    voices : Voices
        Four speakers that train, one that chooses, one that tests.
    """
    clips = load_digits().all
    later = recordings_by_speaker(clip for clip in clips if clip.take >= TEST_TAKES)
    first = recordings_by_speaker(clip for clip in clips if clip.take < TEST_TAKES)
    whole = recordings_by_speaker(clips)
    names = list(whole)
    test, valid = names[seed], names[seed ^ 1]  # 0 and 1, 2 and 3, 4 and 5
    return Voices(
        train={name: later[name] for name in names if name not in (test, valid)},
        valid=whole[valid],
        test=whole[test],
        first=first[test],
        test_name=test,
    )


def pair_of(seed: int) -> int:
    """Return the number of the pair that the speaker of a seed belongs to."""
    return seed // 2


@cache
def train_recognizer_without_pair(pair: int, steps: int = STEPS) -> CTCRecognizer:
    """Train a recognizer on random strings of digits by the four speakers of the other pairs.

    Parameters
    ----------
    pair
        The pair that is held out: 0, 1 or 2; also the seed of the parameters and of all examples.
    steps
        Training steps.

    Returns
    -------
    model : CTCRecognizer
        The trained model.
    """
    seed_everything(pair)
    model = CTCRecognizer(len(DIGIT_TOKENIZER), width=WIDTH, strides=STRIDES).to(select_device())
    strings = RandomDigitStrings(load_voices(2 * pair).train, steps=steps)
    history = train_recognizer(model, strings, steps=steps, learning_rate=LEARNING_RATE, seed=pair)
    history.raise_if_interrupted()
    return model


def noise_errors(model: CTCRecognizer, seed: int) -> dict[str, float]:
    """Return a recognizer's error rate at each level of noise, in per cent.

    Parameters
    ----------
    model
        The recognizer.
    seed
        Chooses the speaker, and draws the strings of eight digits, their clips and the noise, which
        are the same at all levels and for all recognizers.

    Returns
    -------
    figures : dict of str to float
        Error rates by name.
    """
    figures, voices = {}, load_voices(seed)
    for level in NOISE_LEVELS:
        rng = np.random.default_rng([seed, 11])
        texts = [random_digits(rng, 8) for _ in range(NOISE_CLIPS)]
        recognized = speak_and_recognize(model, texts, recordings=voices.first, rng=rng, snr=level)
        answers = [best_path(log_probs) for log_probs in recognized.log_probs]
        figures[f"WER, {level} dB (%)"] = recognized.error_rate(answers)
    return figures


@dataclass(frozen=True)
class RecognizedTexts:
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

    def error_rate(self, answers: Sequence[Sequence[int]]) -> float:
        """Return the word error rate of answers in per cent, a digit being a word."""
        return 100 * digit_error_rate(answers, self.texts)


def speak_and_recognize(
    model: CTCRecognizer,
    texts: Sequence[str],
    *,
    recordings: Recordings,
    rng: np.random.Generator,
    snr: float = SNR,
) -> RecognizedTexts:
    """Synthesize clips of texts in one speaker's voice, and run a recognizer on them.

    Parameters
    ----------
    model
        The recognizer.
    texts
        Strings of digits.
    recordings
        The recordings of the speaker.
    rng
        Draws recordings, gaps, speeds and noise.
    snr
        The signal-to-noise ratio in decibels.

    Returns
    -------
    recognized : HeardTexts
        The texts, and the recognizer's log-probabilities of each clip.
    """
    clips = [speak_digits(text, recordings, rng=rng, snr=snr) for text in texts]
    return RecognizedTexts(list(texts), clip_log_probs(model, clips))


@dataclass(frozen=True)
class DateTask:
    """Dates that a new voice says, random strings that it says, and dates for language models.

    Parameters
    ----------
    valid, test
        Dates by the speaker that chooses and by the one that tests.
    strings
        Random strings of eight digits by the one that tests.
    lm_dates, lm_valid
        Other dates, for training a language model and for its loss.
    """

    valid: RecognizedTexts
    test: RecognizedTexts
    strings: RecognizedTexts
    lm_dates: list[str]
    lm_valid: list[str]


def make_date_task(seed: int, steps: int = STEPS) -> DateTask:
    """Train a recognizer and make the dates of a seed.

    Parameters
    ----------
    seed
        Seed of the recognizer, the dates and the clips.
    steps
        Training steps of the recognizer.

    Returns
    -------
    task : DateTask
        Texts without a date in common, and clips.
    """
    model, voices = train_recognizer_without_pair(pair_of(seed), steps), load_voices(seed)
    calendar, rng = shuffled_calendar(seed), np.random.default_rng([seed, 7])
    strings = [random_digits(rng, 8) for _ in range(TEST_CLIPS)]
    last = VALID_CLIPS + TEST_CLIPS
    return DateTask(
        valid=speak_and_recognize(model, calendar[:VALID_CLIPS], recordings=voices.valid, rng=rng),
        test=speak_and_recognize(
            model, calendar[VALID_CLIPS:last], recordings=voices.test, rng=rng
        ),
        strings=speak_and_recognize(model, strings, recordings=voices.test, rng=rng),
        lm_dates=calendar[last:][:LM_DATES],
        lm_valid=calendar[-1000:],
    )

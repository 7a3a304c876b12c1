"""Spoken dates by a speaker who is held out, with and without a language model.

The part "dates" of ``speech``. Four speakers train on random strings of digits, the next one
chooses weight and bonus of an 8-gram of other dates, the one held out tests.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import torch

from benchmarks.speech.task import SNR, STRIDES, digit_error_rate
from utils.data.corpora import Corpus
from utils.data.examples import Clip
from utils.data.vocabulary import EOS
from utils.models.ngram import NGramLM
from utils.models.ngram_counts import NGramCounts
from utils.runtime import seed_everything, select_device
from utils.speech.ctc_beam_search import CTCBeamConfig, prefix_beam_search
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.digits import (
    DIGIT_TOKENIZER,
    RandomDigitStrings,
    Recordings,
    recordings_by_speaker,
    speak_digits,
)
from utils.speech.training import train_recognizer
from utils.speech.transcription import clip_log_probs

LEARNING_RATE = 1.5e-3
BEAM_SIZE = 8
DATES_PER_SPEAKER = 100
LANGUAGE_MODEL_DATES, LANGUAGE_MODEL_ORDER = 8000, 8
FIRST_DATE, DAYS = date(1950, 1, 1), 36_525


@dataclass(frozen=True)
class Fusion:
    """How a language model takes part in the search.

    Parameters
    ----------
    lm_weight
        The weight λ of its log-probabilities.
    token_bonus
        The bonus γ of each token.
    """

    lm_weight: float
    token_bonus: float


FUSIONS = [
    Fusion(weight, bonus) for weight, bonus in itertools.product((0.25, 0.5, 0.75, 1.0), (0.0, 1.0))
]


@dataclass(frozen=True)
class SpeakerResult:
    """Word error rates on the dates of one speaker, from one seed.

    Parameters
    ----------
    speaker
        The speaker held out.
    seed
        Seed of the parameters and of all examples.
    without_language_model, with_language_model
        The rates without and with the language model.
    fusion
        What the validation speaker chose.
    """

    speaker: str
    seed: int
    without_language_model: float
    with_language_model: float
    fusion: Fusion


@dataclass(frozen=True)
class SpokenDates:
    """Dates by one speaker, as text and as what a recognizer computes from the clips.

    Parameters
    ----------
    texts
        The dates, such as "20240229".
    log_probs
        The log-probabilities of tokens and blank at each step of each clip, (S, V).
    """

    texts: list[str]
    log_probs: list[torch.Tensor] = field(repr=False)

    def error_rate(
        self, language_model: NGramLM | None = None, fusion: Fusion | None = None
    ) -> float:
        """Return the error rate of the search for the best text, alone or with a language model.

        Parameters
        ----------
        language_model
            The language model of the search; None for none.
        fusion
            How it takes part in the search.

        Returns
        -------
        rate : float
            The word error rate.
        """
        beam = CTCBeamConfig(BEAM_SIZE, **({} if fusion is None else vars(fusion)))
        rows = prefix_beam_search(self.log_probs, beam, language_model=language_model)
        return digit_error_rate([hypotheses[0].ids for hypotheses in rows], self.texts)


def measure_dates(corpus: Corpus[list[Clip]], *, steps: int, seed: int) -> list[SpeakerResult]:
    """Hold each speaker out in turn, and train for `steps` steps.

    Parameters
    ----------
    corpus
        The corpus.
    steps
        Training steps of each model.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    results : list of SpeakerResult
        One for each speaker.
    """
    speakers = recordings_by_speaker(corpus.all)
    return [hold_out(speakers, i, steps=steps, seed=seed) for i in range(len(speakers))]


def hold_out(
    speakers: Mapping[str, Recordings], test_index: int, *, steps: int, seed: int
) -> SpeakerResult:
    """Test on one speaker, choose the fusion on the next one and train on the others.

    Parameters
    ----------
    speakers
        The recordings of each speaker.
    test_index
        The index of the speaker to test on.
    steps
        Training steps.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    result : SpeakerResult
        The error rates on the dates of that speaker.
    """
    names = list(speakers)
    test_name, valid_name = names[test_index], names[(test_index + 1) % len(names)]
    others = {
        name: recordings
        for name, recordings in speakers.items()
        if name not in (test_name, valid_name)
    }
    model = train_digit_model(others, steps=steps, seed=seed)
    calendar = shuffled_calendar(seed)
    rng = np.random.default_rng([seed, test_index])

    def spoken(name: str, texts: list[str]) -> SpokenDates:
        clips = [speak_digits(text, speakers[name], rng=rng, snr=SNR) for text in texts]
        return SpokenDates(texts, clip_log_probs(model, clips))

    valid = spoken(valid_name, calendar[:DATES_PER_SPEAKER])
    test = spoken(test_name, calendar[DATES_PER_SPEAKER : 2 * DATES_PER_SPEAKER])
    language_model = train_language_model(calendar[2 * DATES_PER_SPEAKER :][:LANGUAGE_MODEL_DATES])
    fusion = min(FUSIONS, key=lambda option: valid.error_rate(language_model, option))
    result = SpeakerResult(
        test_name, seed, test.error_rate(), test.error_rate(language_model, fusion), fusion
    )
    rates = f"{result.without_language_model:.3f} → {result.with_language_model:.3f}"
    chosen = f"λ {fusion.lm_weight} γ {fusion.token_bonus}"
    print(f"seed {seed} {test_name:9s} WER {rates}, {chosen}", flush=True)
    return result


def train_digit_model(
    speakers: Mapping[str, Recordings], *, steps: int, seed: int
) -> CTCRecognizer:
    """Train a recognizer on random strings of digits by these speakers.

    Parameters
    ----------
    speakers
        The recordings of each speaker.
    steps
        Training steps.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    model : CTCRecognizer
        The trained model.
    """
    seed_everything(seed)
    model = CTCRecognizer(len(DIGIT_TOKENIZER), strides=STRIDES).to(select_device())
    examples = RandomDigitStrings(speakers, steps=steps)
    history = train_recognizer(model, examples, steps=steps, learning_rate=LEARNING_RATE, seed=seed)
    history.raise_if_interrupted()
    return model


def shuffled_calendar(seed: int) -> list[str]:
    """Return all dates of a century in random order, each as eight digits."""
    calendar = [f"{FIRST_DATE + timedelta(i):%Y%m%d}" for i in range(DAYS)]
    np.random.default_rng(seed).shuffle(calendar)
    return calendar


def train_language_model(dates: Sequence[str]) -> NGramLM:
    """Train a Kneser–Ney model of the digits of dates."""
    texts = [torch.tensor([*DIGIT_TOKENIZER.encode(text), EOS]) for text in dates]
    counts = NGramCounts(texts, order=LANGUAGE_MODEL_ORDER, vocab_size=len(DIGIT_TOKENIZER))
    return NGramLM.kneser_ney(counts)


def summarize_dates(results: Sequence[SpeakerResult]) -> dict[str, Any]:
    """Return the mean error rates over seeds and speakers, and the fraction that is removed."""
    before = statistics.mean(result.without_language_model for result in results)
    after = statistics.mean(result.with_language_model for result in results)
    return {
        "means": {"without_language_model": before, "with_language_model": after},
        "removed": 1 - after / before,
    }

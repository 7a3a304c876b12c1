"""Error rates of CTC and of attention on strings of digits that are longer than those trained on.

The part "lengths" of ``speech``. Random strings of 3 to 8 digits train, of 3 to 16 test, of other
recordings of the same voices: with location features and without, with the joint loss and without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from benchmarks.speech.task import SNR, STRIDES, digit_error_rate
from utils.data.corpora import Corpus
from utils.data.examples import Clip
from utils.models.attention_scores import AttentionScore
from utils.runtime import seed_everything, select_device
from utils.speech.ctc import best_path
from utils.speech.digits import (
    DIGIT_TOKENIZER,
    RandomDigitStrings,
    Recordings,
    random_digits,
    recordings_by_speaker,
    speak_digits,
)
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.training import joint_objective, train_recognizer
from utils.speech.transcription import attention_alignment, clip_log_probs, transcribe

WIDTH, LEARNING_RATE, STEPS = 96, 2e-3, 900
LENGTHS = (*range(3, 9), 10, 12, 14, 16)  # digits in a test string
STRINGS_PER_LENGTH = 50

Decode: TypeAlias = Callable[[Sequence[np.ndarray]], list[list[int]]]
"""Maps clips, samples (N,) each, to the ids of their texts."""


@dataclass(frozen=True)
class RecognizerOptions:
    """A recognizer and its loss.

    Parameters
    ----------
    ctc_weight
        The weight of CTC in the loss.
    attention_score
        The attention score of the decoder.
    """

    ctc_weight: float
    attention_score: AttentionScore


RECOGNIZERS = {
    "joint, location": RecognizerOptions(0.3, "location"),
    "joint, content": RecognizerOptions(0.3, "additive"),
    "attention alone": RecognizerOptions(0.0, "location"),
}
ALIGNED_RECOGNIZER = "joint, location"  # that of which an alignment is stored


@dataclass(frozen=True)
class Alignment:
    """The attention weights of the decoder while it writes one text.

    Parameters
    ----------
    said, written
        The digits of the clip, and those that the decoder wrote.
    weights
        The weights of the encoder's steps at each written token and at EOS, to 3 decimals.
    """

    said: str
    written: str
    weights: list[list[float]]


@dataclass(frozen=True)
class LengthResult:
    """Error rates of one output of one recognizer, from one seed.

    Parameters
    ----------
    recognizer
        Its name in `RECOGNIZERS`.
    output
        "CTC" or "attention".
    seed
        Seed of the parameters and of all examples.
    rates
        The word error rate of each of the `LENGTHS`.
    alignment
        An alignment of the attention output, if one is stored.
    """

    recognizer: str
    output: str
    seed: int
    rates: list[float]
    alignment: Alignment | None = None


@dataclass(frozen=True)
class SpokenStrings:
    """Strings of digits of each length, and clips of them.

    Parameters
    ----------
    texts
        The strings by length.
    clips
        The clips by length, samples (N,) each.
    """

    texts: dict[int, list[str]]
    clips: dict[int, list[np.ndarray]]

    @classmethod
    def random(cls, speakers: dict[str, Recordings], rng: np.random.Generator) -> SpokenStrings:
        """Draw strings, then a speaker for each and all else that a clip needs.

        Parameters
        ----------
        speakers
            The recordings of each speaker.
        rng
            Draws strings and clips.

        Returns
        -------
        strings : SpokenStrings
            `STRINGS_PER_LENGTH` strings of each length.
        """
        names = list(speakers)
        texts = {
            length: [random_digits(rng, length) for _ in range(STRINGS_PER_LENGTH)]
            for length in LENGTHS
        }
        clips = {
            length: [
                speak_digits(text, speakers[rng.choice(names)], rng=rng, snr=SNR)
                for text in texts_of_length
            ]
            for length, texts_of_length in texts.items()
        }
        return cls(texts, clips)

    def error_rates(self, decode: Decode) -> list[float]:
        """Return the word error rate of each length."""
        return [
            digit_error_rate(decode(self.clips[length]), self.texts[length]) for length in LENGTHS
        ]


def measure_lengths(corpus: Corpus[list[Clip]], *, steps: int, seed: int) -> list[LengthResult]:
    """Train each recognizer for `steps` steps and test its outputs.

    Parameters
    ----------
    corpus
        The corpus.
    steps
        Training steps of each recognizer.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    results : list of LengthResult
        One for each output of each recognizer.
    """
    train_speakers = recordings_by_speaker(corpus.train)
    rng = np.random.default_rng([seed, 1])
    strings = SpokenStrings.random(recordings_by_speaker(corpus.test), rng)
    results = []
    for name, options in RECOGNIZERS.items():
        model = train_joint_model(options, train_speakers, steps=steps, seed=seed)
        for output, decode in output_decoders(model, options).items():
            rates = strings.error_rates(decode)
            print(f"seed {seed} {name}, {output}: {[round(x, 3) for x in rates]}", flush=True)
            stored_alignment = None
            if name == ALIGNED_RECOGNIZER and output == "attention":
                stored_alignment = align_longest(model, strings)
            results.append(LengthResult(name, output, seed, rates, stored_alignment))
    return results


def train_joint_model(
    options: RecognizerOptions, speakers: dict[str, Recordings], *, steps: int, seed: int
) -> JointRecognizer:
    """Train a recognizer on random strings of digits by these speakers.

    Parameters
    ----------
    options
        The recognizer and its loss.
    speakers
        The recordings of each speaker.
    steps
        Training steps.
    seed
        Seed of the parameters and of all examples.

    Returns
    -------
    model : JointRecognizer
        The trained model.
    """
    seed_everything(seed)
    model = JointRecognizer(
        len(DIGIT_TOKENIZER), width=WIDTH, attention_score=options.attention_score, strides=STRIDES
    ).to(select_device())
    history = train_recognizer(
        model,
        RandomDigitStrings(speakers, steps=steps),
        steps=steps,
        learning_rate=LEARNING_RATE,
        seed=seed,
        objective=joint_objective(options.ctc_weight),
    )
    history.raise_if_interrupted()
    return model


def output_decoders(model: JointRecognizer, options: RecognizerOptions) -> dict[str, Decode]:
    """Return the ways to decode clips: CTC's best path if it was trained, and attention's beam.

    Parameters
    ----------
    model
        The model.
    options
        The recognizer and its loss.

    Returns
    -------
    decoders : dict
        A function for each output by its name.
    """

    def best_paths(clips: Sequence[np.ndarray]) -> list[list[int]]:
        return [best_path(log_probs) for log_probs in clip_log_probs(model.encoder, clips)]

    def beam_search(clips: Sequence[np.ndarray]) -> list[list[int]]:
        return transcribe(model, clips)

    if options.ctc_weight > 0:
        return {"CTC": best_paths, "attention": beam_search}
    return {"attention": beam_search}


def align_longest(model: JointRecognizer, strings: SpokenStrings) -> Alignment:
    """Return the alignment of the first clip of the greatest length.

    Parameters
    ----------
    model
        The model.
    strings
        The test strings.

    Returns
    -------
    alignment : Alignment
        The attention weights of that clip.
    """
    length = max(LENGTHS)
    text, clip = strings.texts[length][0], strings.clips[length][0]
    (ids,) = transcribe(model, [clip])
    weights = attention_alignment(model, clip, ids).tolist()
    rounded = [[round(weight, 3) for weight in row] for row in weights]
    return Alignment(text, DIGIT_TOKENIZER.decode(ids), rounded)


def summarize_lengths(results: Sequence[LengthResult]) -> dict[str, Any]:
    """Return the mean error rates over the seeds."""
    rates: dict[str, list[list[float]]] = {}
    for result in results:
        rates.setdefault(f"{result.recognizer}: {result.output}", []).append(result.rates)
    return {
        "lengths": list(LENGTHS),
        "means": {name: np.mean(rows, 0).tolist() for name, rows in rates.items()},
    }

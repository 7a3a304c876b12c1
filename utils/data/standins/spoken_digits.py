"""Stand-in for the recordings of spoken digits: six voices of the synthesizer eSpeak NG."""

from __future__ import annotations

from functools import cache

import numpy as np

from utils.arguments import check_integer
from utils.data.espeak import Utterance, open_synthesizer
from utils.data.examples import SAMPLE_RATE, Clip

DIGIT_WORDS = "zero one two three four five six seven eight nine".split()
TAKES = 50  # of each digit by each speaker
SPEAKERS = {  # voice of eSpeak NG and base pitch
    "anna": ("en-us+f2", 55),
    "bella": ("en-gb-x-rp+f4", 70),
    "carl": ("en-us+m3", 35),
    "david": ("en-gb-x-rp+m1", 50),
    "ewan": ("en-gb-scotland+m7", 40),
    "fiona": ("en-gb-scotland+f3", 60),
}


def make_digits(takes: int = TAKES) -> list[Clip]:
    """Synthesize spoken digits; each take has its own pitch, speed and loudness.

    Parameters
    ----------
    takes
        Number of takes of each digit by each speaker, from 1 to 50.

    Returns
    -------
    clips : list of Clip
        The recordings, by speaker, digit and take.

    Raises
    ------
    ValueError
        If `takes` is not an integer in this range.
    RuntimeError
        If eSpeak NG reports an error.
    """
    check_integer(minimum=1, maximum=TAKES, takes=takes)
    return [
        clip._replace(samples=clip.samples.copy()) for clip in _all_digits() if clip.take < takes
    ]


@cache
def _all_digits() -> list[Clip]:
    """Return all takes, always synthesized together: a sound depends on those before it."""
    rng = np.random.default_rng(0)
    clips = []
    with open_synthesizer() as synthesizer:
        for speaker, (voice, pitch) in SPEAKERS.items():
            for digit, word in enumerate(DIGIT_WORDS):
                for take in range(TAKES):
                    pitch_change = int(rng.integers(-12, 13))
                    speed = int(rng.integers(120, 220))
                    utterance = Utterance(word, voice, pitch + pitch_change, speed)
                    samples = _record(synthesizer.speak(utterance), rng)
                    clips.append(Clip(samples, SAMPLE_RATE, digit, speaker, take))
    return clips


def _record(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulate a microphone: vary the loudness of (N,) samples and add background noise."""
    loudness = rng.uniform(0.3, 0.9) / max(np.abs(sound).max(), 1e-9)
    noise = rng.normal(0, rng.uniform(0.001, 0.005), len(sound))
    samples: np.ndarray = np.clip(loudness * sound + noise, -1, 1)
    return samples.astype(np.float32)

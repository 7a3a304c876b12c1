"""Clips of tones that stand for tokens, for the tests of recognizers."""

import numpy as np

from utils.data.examples import SAMPLE_RATE
from utils.speech.audio import concatenate_clips

TOKENS = (4, 5, 6)  # the ids after the special tokens; each is a tone of its own
TONE_VOCAB_SIZE = 7


def make_tone(frequency, samples=SAMPLE_RATE):
    """A sine of full scale."""
    return np.sin(2 * np.pi * frequency * np.arange(samples) / SAMPLE_RATE)


def make_clips(texts, rng):
    """A clip of each text of tokens, one tone after the other."""
    tones = {token: make_tone(300 * (token - 3), 1600) for token in TOKENS}
    return [concatenate_clips([tones[i] for i in text], rng=rng, max_gap=0.1) for text in texts]


def random_strings(count, length):
    """A function that makes examples for a training step: `count` texts of `length` tokens."""

    def sample_examples(rng, step):
        texts = [rng.integers(4, 7, length).tolist() for _ in range(count)]
        return make_clips(texts, rng), texts

    return sample_examples

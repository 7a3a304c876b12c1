"""Strings of spoken digits: recordings, voices and random strings."""

import numpy as np

from tests.tones import make_tone
from utils.data.examples import Clip
from utils.speech.audio import SAMPLE_RATE
from utils.speech.digits import (
    DIGIT_TOKENIZER,
    RandomDigitStrings,
    recordings_by_speaker,
    speak_digits,
)


def make_clip(digit, speaker, take, samples=1000):
    return Clip(make_tone(400 + 100 * digit, samples), SAMPLE_RATE, digit, speaker, take)


def test_recordings_are_grouped_by_speaker_and_digit_in_the_order_of_takes():
    clips = [make_clip(1, "b", 0), make_clip(0, "b", 0)]
    clips += [make_clip(0, "a", take, samples=1000 + take) for take in (1, 0)]
    recordings = recordings_by_speaker(clips)
    assert list(recordings) == ["a", "b"] and list(recordings["b"]) == ["0", "1"]
    assert [len(samples) for samples in recordings["a"]["0"]] == [1000, 1001]


def test_a_string_is_spoken_in_one_voice_from_its_recordings():
    recordings = {str(digit): [make_clip(digit, "b", 0).samples] for digit in (0, 1)}
    rng = np.random.default_rng(0)
    x = speak_digits("1011", recordings, rng=rng, snr=40.0, speeds=(1.0, 1.0))
    spectrum = np.abs(np.fft.rfft(x, 2 * SAMPLE_RATE))  # half a hertz from one to the next
    zero, one = (spectrum[2 * f - 40 : 2 * f + 40].max() for f in (400, 500))
    assert one > 1.5 * zero, "three ones and a zero"


def test_a_string_is_played_at_a_random_speed_with_noise():
    recordings = {"0": [make_tone(400, 8000)]}
    options = {"snr": 40.0, "speeds": (2.0, 2.0)}
    x = speak_digits("00", recordings, rng=np.random.default_rng(0), **options)
    assert 8000 < len(x) < 8000 + 3 * 0.2 * SAMPLE_RATE / 2
    spectrum = np.abs(np.fft.rfft(x))
    assert abs(spectrum.argmax() * SAMPLE_RATE / len(x) - 800) < 5
    noisy = speak_digits("00", recordings, rng=np.random.default_rng(0), **(options | {"snr": 0.0}))
    difference = ((noisy - x) ** 2).mean() / (x**2).mean()
    assert 0.8 < difference < 1.2, "as much noise as speech"


def test_random_strings_begin_with_single_digits_and_fill_batches():
    recordings = {str(d): [np.sin(np.arange(1000) * (d + 1) / 9)] for d in range(10)}
    make_examples = RandomDigitStrings(
        {"a": recordings, "b": recordings}, steps=100, digits_per_batch=12, max_length=5
    )
    lengths = set()
    for step in range(100):
        clips, ids = make_examples(np.random.default_rng(step), step)
        (length,) = {len(row) for row in ids}
        assert len(clips) == len(ids) == 12 // length
        assert (length == 1) == (step < 30)
        lengths.add(length)
    assert lengths == {1, 3, 4, 5}
    text = DIGIT_TOKENIZER.decode(ids[0])
    assert set(text) <= set("0123456789") and DIGIT_TOKENIZER.encode(text) == ids[0]


def test_random_strings_have_random_speakers_and_speeds():
    """The speakers are tones of 300 and 900 hertz."""
    recordings = {
        speaker: {str(digit): [make_tone(frequency, 2000)] for digit in range(10)}
        for speaker, frequency in (("a", 300), ("b", 900))
    }
    make_examples = RandomDigitStrings(recordings, steps=1, digits_per_batch=60)
    clips, _ = make_examples(np.random.default_rng(0), 0)
    peaks = np.array(
        [np.abs(np.fft.rfft(clip)).argmax() * SAMPLE_RATE / len(clip) for clip in clips]
    )
    low, high = peaks[peaks < 500], peaks[peaks > 500]
    assert len(low) > 15 and len(high) > 15
    for frequencies, tone in ((low, 300), (high, 900)):
        speeds = frequencies / tone
        assert 0.78 < speeds.min() < 0.9 and 1.1 < speeds.max() < 1.27

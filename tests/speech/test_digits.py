"""Strings of spoken digits: recordings, voices and random strings."""

import math

import numpy as np
import pytest

from tests.helpers.tones import make_tone
from utils.data.examples import SAMPLE_RATE, Clip
from utils.speech import digits
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
    sample_examples = RandomDigitStrings(
        {"a": recordings, "b": recordings}, steps=100, digits_per_batch=12, max_length=5
    )
    lengths = set()
    for step in range(100):
        clips, ids = sample_examples(np.random.default_rng(step), step)
        (length,) = {len(row) for row in ids}
        assert len(clips) == len(ids) == 12 // length
        assert (length == 1) == (step < 30)
        lengths.add(length)
    assert lengths == {1, 3, 4, 5}
    text = DIGIT_TOKENIZER.decode(ids[0])
    assert set(text) <= set("0123456789") and DIGIT_TOKENIZER.encode(text) == ids[0]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_length": 2}, "max_length must be from 3 to digits_per_batch, which is 48; got 2"),
        ({"max_length": 49}, "max_length must be from 3 to digits_per_batch"),
        ({"steps": 0}, "steps must be a positive integer"),
        ({"digits_per_batch": 2.5}, "digits_per_batch must be a positive integer"),
        ({"recordings": {}}, "recordings has no speaker"),
    ],
    ids=str,
)
def test_sizes_without_a_string_are_refused(options, message):
    """Before the training, not at the first step without a clip."""
    with pytest.raises(ValueError, match=message):
        RandomDigitStrings(**({"recordings": {"a": {}}, "steps": 9} | options))


def test_a_clip_of_another_sample_rate_is_refused():
    clip = make_clip(3, "b", 7)._replace(sample_rate=16_000)
    message = "take 7 of 3 by b has 16000 samples per second; resample it to 8000"
    with pytest.raises(ValueError, match=message):
        recordings_by_speaker([make_clip(1, "b", 0), clip])


@pytest.mark.parametrize(
    "spoken, options, message",
    [
        ("", {}, "digits is empty"),
        ("01x", {}, "there is no recording of 'x'; there are 0, 1, 2"),
        ("012", {}, "there is no recording of '2'"),
        ("01", {"snr": math.nan}, "snr must be"),
        ("01", {"speeds": (0.0, 1.0)}, "lowest_speed must be a positive number, got 0.0"),
        ("01", {"speeds": (-1.0, 1.0)}, "lowest_speed must be a positive number, got -1.0"),
        ("01", {"speeds": (math.nan, 1.0)}, "lowest_speed must be a positive number, got nan"),
        ("01", {"speeds": (1.0, math.nan)}, "highest_speed must be a number at least 1.0, got nan"),
        ("01", {"speeds": (1.2, 1.0)}, "highest_speed must be a number at least 1.2, got 1.0"),
    ],
)
def test_a_string_without_a_recording_or_with_a_wrong_option_is_refused(spoken, options, message):
    recordings = {"0": [make_tone(400, 1000)], "1": [make_tone(500, 1000)], "2": []}
    with pytest.raises(ValueError, match=message):
        speak_digits(
            spoken, recordings, **({"rng": np.random.default_rng(0), "snr": 9.0} | options)
        )


@pytest.mark.parametrize("length", [0, -1, 2.5])
def test_a_length_that_is_not_a_positive_integer_is_refused(length):
    with pytest.raises(ValueError, match="length must be a positive integer"):
        digits.random_digits(np.random.default_rng(0), length)


def test_each_digit_is_a_random_one_of_its_recordings():
    """The two recordings are tones of 300 and 900 hertz."""
    recordings = {"0": [make_tone(300, 1000), make_tone(900, 1000)]}
    rng = np.random.default_rng(0)
    x = speak_digits("0" * 20, recordings, rng=rng, snr=40.0, speeds=(1.0, 1.0))
    spectrum = np.abs(np.fft.rfft(x, 2 * SAMPLE_RATE))
    low, high = (spectrum[2 * f - 40 : 2 * f + 40].max() for f in (300, 900))
    assert 0.3 < low / high < 3


def test_strings_have_random_speakers_speeds_and_noise(monkeypatch):
    calls = []

    def record(text, recordings, *, rng, snr, speeds):
        calls.append((recordings, snr, speeds))
        return rng.standard_normal(1000)

    monkeypatch.setattr(digits, "speak_digits", record)
    sample_examples = RandomDigitStrings({"a": "A", "b": "B"}, steps=1, digits_per_batch=100)
    sample_examples(np.random.default_rng(0), 0)
    speakers, snrs, speeds = zip(*calls, strict=True)
    assert 30 < speakers.count("A") < 70 and 30 < speakers.count("B") < 70
    assert 5 <= min(snrs) < 7 and 23 < max(snrs) <= 25
    assert set(speeds) == {(0.8, 1.25)}

"""eSpeak NG: the same sounds in every process, no settings left over, and errors."""

import ctypes
import hashlib
import subprocess
import sys
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from utils.data.espeak import Synthesizer, Utterance, open_synthesizer, synthesize
from utils.data.examples import SAMPLE_RATE

ROOT = Path(__file__).resolve().parents[2]
HASH_DIGITS = """
import hashlib, sys
from utils.data import espeak
from utils.data.standins import spoken_digits
spoken_digits.TAKES = 2
espeak.MAX_PATH_BYTES = int(sys.argv[1])
clips = spoken_digits.make_digits(2)
print(hashlib.sha256(b"".join(clip.samples.tobytes() for clip in clips)).hexdigest())
"""


def test_digits_are_the_same_in_every_process_and_from_a_copy_of_the_voices():
    processes = []
    for max_path_bytes in ("120", "1"):
        sleep(1.1 * len(processes))  # by default, eSpeak NG takes its seed from the clock
        command = [sys.executable, "-c", HASH_DIGITS, max_path_bytes]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe))
    outputs = [process.communicate(timeout=60) for process in processes]
    assert outputs[0][0] == outputs[1][0] != b"", outputs
    hash_of_nothing = hashlib.sha256(b"").hexdigest().encode()
    assert hash_of_nothing not in outputs[0][0]


def test_what_espeak_reports_is_raised():
    with open_synthesizer() as synthesizer:
        assert len(synthesizer.speak(Utterance("one", "en-us+m3", 40, 150))) > 1000
        with pytest.raises(RuntimeError, match="the voice nobody"):
            synthesizer.speak(Utterance("one", "nobody", 40, 150))


def test_no_setting_is_left_over_from_the_call_before():
    usual, other, faster = (
        Utterance("seven", "en-us+m3", 40, 130),
        Utterance("seven", "en-gb-scotland+f3", 90, 300),
        Utterance("seven", "en-us+m3", 40, 200),
    )
    with open_synthesizer() as synthesizer:
        first, _, again, fast = (
            len(synthesizer.speak(utterance)) for utterance in (usual, other, usual, faster)
        )
    assert abs(first - again) < 0.01 * first
    assert fast < 0.9 * first


class ToneLibrary:
    """In place of the C library: whatever is said sounds as one second of a sine tone."""

    native_rate = 22050

    def __init__(self, hertz):
        seconds = np.arange(self.native_rate) / self.native_rate
        self.samples = np.round(32767 * np.sin(2 * np.pi * hertz * seconds)).astype(np.int16)

    def espeak_SetSynthCallback(self, callback):
        self.callback = callback

    def espeak_Synth(self, *_):
        pointer = self.samples.ctypes.data_as(ctypes.POINTER(ctypes.c_short))
        return self.callback(pointer, len(self.samples), None)

    def succeed(self, *_):
        return 0

    espeak_ng_SetRandSeed = espeak_SetVoiceByName = espeak_SetParameter = succeed


def test_resampling_keeps_a_tone_and_drops_what_the_new_rate_cannot_hold():
    low, high = (
        Synthesizer(ToneLibrary(hertz), ToneLibrary.native_rate).speak(Utterance("", "", 50, 150))
        for hertz in (440, 6000)
    )
    expected = np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    assert len(low) == len(high) == SAMPLE_RATE
    assert np.abs(low - expected)[200:-200].max() < 0.02
    assert np.abs(high)[200:-200].max() < 0.02


def test_utterances_become_float32_at_the_promised_rate():
    """Six words at 120 a minute take about three seconds, and never exceed full scale."""
    (samples,) = synthesize([Utterance("one two three four five six", "en-us+m3", 40, 120)])
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert 0.1 < np.abs(samples).max() <= 1
    assert 2 < len(samples) / SAMPLE_RATE < 5


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"voice": "en-us+" + "f" * 39}, "voice must be the name of a voice"),  # ended the process
        ({"voice": "en-us+zz9"}, "there is no variant 'zz9' of a voice"),
        ({"voice": "en-us\0"}, "voice must be the name of a voice"),
        ({"voice": None}, "voice must be the name of a voice"),
        ({"text": "one\0two"}, "NUL character at position 3"),
        ({"text": "\ud800"}, "lone surrogate"),
        ({"text": 1}, "expected a text"),
        ({"pitch": 100}, "pitch must be an integer from 0 to 99, got 100"),
        ({"words_per_minute": 2**32 + 150}, "words_per_minute must be an integer from 80 to 450"),
        ({"words_per_minute": 0}, "words_per_minute must be an integer from 80 to 450"),
    ],
)
def test_what_would_be_spoken_otherwise_is_refused(changes, message):
    synthesizer = Synthesizer(ToneLibrary(440), ToneLibrary.native_rate)
    with pytest.raises(ValueError, match=message):
        synthesizer.speak(Utterance("one", "en-us", 40, 150)._replace(**changes))

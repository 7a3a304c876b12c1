"""Clips: recordings of all formats and rates become one form, and wrong ones are named."""

import math

import numpy as np
import pytest

from tests.helpers.tones import make_tone
from utils.data.corpus import SAMPLE_RATE
from utils.speech.audio import (
    LOUDNESS,
    MIN_CLIP_LENGTH,
    add_noise,
    change_speed,
    check_clip_length,
    concatenate_clips,
    normalize_loudness,
)

TONE = 0.5 * make_tone(440)  # one second


@pytest.mark.parametrize("silence", [np.zeros(SAMPLE_RATE), np.full(SAMPLE_RATE, 0.3)])
def test_silence_is_refused(silence):
    """A constant is silence too."""
    with pytest.raises(ValueError, match="silent"):
        normalize_loudness(silence)


def test_a_clip_shorter_than_a_window_is_refused():
    message = f"{MIN_CLIP_LENGTH - 1} samples is shorter than a window of {MIN_CLIP_LENGTH}"
    with pytest.raises(ValueError, match=message):
        check_clip_length(TONE[: MIN_CLIP_LENGTH - 1])
    check_clip_length(TONE[:MIN_CLIP_LENGTH])


# ---- changes ------------------------------------------------------------------------------------


def test_noise_has_the_energy_that_the_ratio_says():
    noise = add_noise(TONE, snr=10.0, rng=np.random.default_rng(1)) - TONE
    snr = 10 * math.log10((TONE**2).mean() / (noise**2).mean())
    assert abs(snr - 10) < 0.2


def test_a_faster_clip_is_shorter_and_higher():
    clip = change_speed(TONE, 1.25)
    assert abs(len(clip) - SAMPLE_RATE / 1.25) <= 1
    spectrum = np.abs(np.fft.rfft(clip))
    assert abs(spectrum.argmax() * SAMPLE_RATE / len(clip) - 550) < 3


def test_a_slower_clip_is_interpolated_between_its_samples_and_not_beyond_them():
    assert change_speed(np.arange(5.0), 0.5).tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]


def test_clips_are_joined_at_one_loudness_with_gaps():
    quiet, loud = 0.01 * TONE[:2000], TONE[:3000]
    joined = concatenate_clips([quiet, loud], rng=np.random.default_rng(2), max_gap=0.2)
    assert 5000 < len(joined) < 5000 + 3 * 0.2 * SAMPLE_RATE
    start = np.flatnonzero(joined)[0]
    assert np.sqrt((joined[start : start + 1990] ** 2).mean()) == pytest.approx(LOUDNESS, rel=0.05)
    assert len(concatenate_clips([quiet], rng=np.random.default_rng(0), max_gap=0.0)) == 2000


def test_there_is_a_gap_before_between_and_after_clips():
    """Of each clip there is one sample at its end that is not zero, so all gaps can be seen."""
    clips = [np.append(np.zeros(99), 1.0)] * 3
    rng = np.random.default_rng(0)
    gaps = [int(rng.uniform(0, 0.2) * SAMPLE_RATE) for _ in range(4)]
    joined = concatenate_clips(clips, rng=np.random.default_rng(0))
    assert len(set(gaps)) == 4 and len(joined) == sum(gaps) + 300
    peaks = np.flatnonzero(joined > LOUDNESS)
    assert peaks.tolist() == [sum(gaps[: i + 1]) + 100 * (i + 1) - 1 for i in range(3)]

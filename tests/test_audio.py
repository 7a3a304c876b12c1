"""Clips: recordings of all formats and rates become one form, and wrong ones are named."""

import math

import numpy as np
import pytest
from scipy.io import wavfile

from tests.tones import make_tone
from utils.speech.audio import (
    LOUDNESS,
    MIN_CLIP_LENGTH,
    SAMPLE_RATE,
    add_noise,
    change_speed,
    concatenate_clips,
    to_clip,
)

TONE = 0.5 * make_tone(440)  # one second


def at_clip_loudness(x):
    return x * (LOUDNESS / np.sqrt((x**2).mean()))


# ---- recordings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype, scale, offset",
    [
        ("int16", 2**15, 0),
        ("int32", 2**31, 0),
        ("uint8", 128, 128),
        ("float32", 1, 0),
        ("float64", 1, 0),
    ],
)
def test_every_format_of_a_wav_file_gives_the_same_clip(tmp_path, dtype, scale, offset):
    path = tmp_path / "tone.wav"
    wavfile.write(path, SAMPLE_RATE, (TONE * scale + offset).astype(dtype))
    rate, samples = wavfile.read(path)
    assert samples.dtype == dtype
    clip = to_clip(samples, rate)
    assert clip.dtype == np.float32 and clip.shape == TONE.shape
    error = np.abs(clip - at_clip_loudness(TONE)).max()
    assert error < (5e-3 if dtype == "uint8" else 1e-4)


def test_stereo_is_averaged():
    both = np.stack([TONE, np.zeros_like(TONE)], 1)  # (N, 2)
    assert np.allclose(to_clip(both, SAMPLE_RATE), at_clip_loudness(TONE), atol=1e-5)


@pytest.mark.parametrize(
    "samples", [np.stack([TONE, TONE]), TONE[None, None], np.float64(0.1)], ids=np.shape
)
def test_a_shape_that_is_no_audio_is_refused(samples):
    with pytest.raises(ValueError, match="shape"):
        to_clip(samples, SAMPLE_RATE)


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_another_rate_is_resampled_to_the_same_sound(rate):
    times = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    clip = to_clip(tone, rate)
    assert abs(len(clip) - SAMPLE_RATE) <= 1
    middle = slice(400, -400)  # without the edges of the filter
    assert np.abs(clip[middle] - at_clip_loudness(TONE)[: len(clip)][middle]).max() < 0.01
    with_high_tone = to_clip(tone + 0.4 * np.sin(2 * np.pi * 5000 * times), rate)
    difference = np.abs(with_high_tone[middle] - clip[middle]).max()
    assert difference < 0.02, "above half the new rate all is cut off, and nothing folded down"


@pytest.mark.parametrize("rate", [0, -8000, 4000, 8000.5])
def test_a_rate_that_is_too_low_or_no_whole_number_is_refused(rate):
    with pytest.raises(ValueError, match="rate must be a whole number from 8000"):
        to_clip(TONE, rate)


@pytest.mark.parametrize("silence", [np.zeros(SAMPLE_RATE), np.full(SAMPLE_RATE, 77, np.int16)])
def test_silence_is_refused(silence):
    """A constant is silence too."""
    with pytest.raises(ValueError, match="silent"):
        to_clip(silence, SAMPLE_RATE)


def test_a_clip_shorter_than_a_window_is_refused():
    message = f"{MIN_CLIP_LENGTH - 1} samples is shorter than a window of {MIN_CLIP_LENGTH}"
    with pytest.raises(ValueError, match=message):
        to_clip(TONE[: MIN_CLIP_LENGTH - 1], SAMPLE_RATE)
    assert len(to_clip(TONE[:MIN_CLIP_LENGTH], SAMPLE_RATE)) == MIN_CLIP_LENGTH


@pytest.mark.parametrize("samples", [TONE * 32768, np.append(TONE, np.nan)], ids=["scale", "nan"])
def test_floats_out_of_range_are_refused(samples):
    with pytest.raises(ValueError, match="floats must lie in"):
        to_clip(samples, SAMPLE_RATE)


@pytest.mark.parametrize("dtype", [complex, bool, np.int64])
def test_a_type_that_no_wav_file_has_is_refused(dtype):
    with pytest.raises(ValueError, match="samples are"):
        to_clip(np.ones(SAMPLE_RATE, dtype=dtype), SAMPLE_RATE)


def test_a_clipped_recording_warns_and_a_good_one_does_not(recwarn):
    to_clip(TONE, SAMPLE_RATE)
    assert not recwarn.list
    clipped = np.clip(3 * TONE, -1, 1)
    with pytest.warns(UserWarning, match="clipped"):
        to_clip(clipped, SAMPLE_RATE)
    with pytest.warns(UserWarning, match="clipped"):  # the mean of the channels would hide it
        to_clip(np.stack([clipped, 0.1 * TONE], 1), SAMPLE_RATE)


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

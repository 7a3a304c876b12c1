"""Clips: recordings of all formats and rates get one format, and damaged ones are named."""

import math

import numpy as np
import pytest
import torch

from tests.helpers.tones import make_tone
from utils.data.examples import SAMPLE_RATE
from utils.speech.audio import (
    LOUDNESS,
    MAX_SAMPLE,
    add_noise,
    change_speed,
    check_clip,
    check_samples,
    concatenate_clips,
    normalize_loudness,
)

TONE = 0.5 * make_tone(440)  # one second


@pytest.mark.parametrize("silence", [np.zeros(SAMPLE_RATE), np.full(SAMPLE_RATE, 0.3)])
def test_silence_is_refused(silence):
    """A constant is silence too."""
    with pytest.raises(ValueError, match="silent"):
        normalize_loudness(silence)


def join(clip):
    return concatenate_clips([TONE, clip], rng=np.random.default_rng(0))


FUNCTIONS = {
    "normalize": normalize_loudness,
    "noise": lambda clip: add_noise(clip, snr=10.0, rng=np.random.default_rng(0)),
    "speed": lambda clip: change_speed(clip, 1.1),
    "join": join,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    "clip, message",
    [
        (np.append(TONE, np.nan), "a clip has samples that are NaN or infinite; look at how"),
        (np.append(TONE, -np.inf), "NaN or infinite"),
        (
            np.append(TONE, -1e30).astype(np.float32),
            r"a sample of magnitude 1e\+30, above 1e\+10; scale it to samples from -1 to 1",
        ),
        ((30_000 * TONE).astype(np.int16), "samples are int16; convert .* 32768"),
        (TONE > 0, "samples are bool"),
        (TONE.astype(np.float16), "samples are float16"),
        (TONE.reshape(2, -1), r"a clip needs one channel, \(N,\); got \(2, 4000\): take one"),
        (TONE[:0], r"a clip has no samples: its shape is \(0,\)"),
        (np.array(0.5), r"a clip has no samples: its shape is \(\)"),
        (TONE.tolist(), "expected samples as an array or a tensor, got list"),
    ],
    ids=["nan", "inf", "loud", "int16", "bool", "float16", "stereo", "empty", "scalar", "list"],
)
def test_what_is_no_clip_is_refused_by_all(function, clip, message):
    """Squares of 16 bits overflow without a word, and NaN goes through everything."""
    with pytest.raises(ValueError, match=message):
        function(clip)


def test_tensors_are_checked_as_arrays_are():
    check_clip(torch.from_numpy(TONE))
    check_samples(torch.from_numpy(TONE).view(2, -1))
    with pytest.raises(ValueError, match="samples are int64"):
        check_samples(torch.ones(300, dtype=torch.int64))
    with pytest.raises(ValueError, match="NaN or infinite"):
        check_clip(torch.tensor([0.0, torch.inf]))


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_a_batch_may_have_no_clips(make):
    check_samples(make((0, 300)))


def test_a_clip_of_one_sample_has_no_loudness_and_no_speed():
    with pytest.raises(ValueError, match="silent"):
        normalize_loudness(np.ones(1))
    with pytest.raises(ValueError, match="one sample cannot be played at another speed"):
        change_speed(np.ones(1), 1.0)


# ---- changes ------------------------------------------------------------------------------------


def test_noise_has_the_energy_that_the_ratio_says():
    noise = add_noise(TONE, snr=10.0, rng=np.random.default_rng(1)) - TONE
    snr = 10 * math.log10((TONE**2).mean() / (noise**2).mean())
    assert abs(snr - 10) < 0.2


def test_noise_has_no_ratio_to_silence():
    with pytest.raises(ValueError, match="silent"):
        add_noise(np.zeros(300), snr=10.0, rng=np.random.default_rng(0))


def test_an_infinite_ratio_means_no_noise():
    clean = add_noise(TONE, snr=math.inf, rng=np.random.default_rng(0))
    assert np.array_equal(clean, TONE.astype(np.float32))
    loud = add_noise(TONE, snr=-300.0, rng=np.random.default_rng(0))
    assert np.isfinite(loud).all()


@pytest.mark.parametrize("snr", [math.nan, -math.inf, 301.0, -5000.0, 1e9])
def test_a_ratio_that_is_no_number_of_decibels_is_refused(snr):
    with pytest.raises(ValueError, match="snr must be from -300 to 300 decibels, or inf"):
        add_noise(TONE, snr=snr, rng=np.random.default_rng(0))


def test_noise_beyond_float32_is_refused():
    loud = (1e9 * TONE).astype(np.float32)
    assert np.isfinite(add_noise(loud, snr=-200.0, rng=np.random.default_rng(0))).all()
    with pytest.raises(ValueError, match=r"noise at -300 decibels .* overflows float32; scale"):
        add_noise(loud, snr=-300.0, rng=np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loudest_clips_have_a_finite_loudness(dtype):
    clip = (1e10 * make_tone(440)).clip(-MAX_SAMPLE, MAX_SAMPLE).astype(dtype)
    normalized = normalize_loudness(clip)
    assert np.sqrt((normalized**2).mean()) == pytest.approx(LOUDNESS, rel=1e-4)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_a_factor_of_speed_must_be_above_zero(factor):
    with pytest.raises(ValueError, match="factor must be a positive number, got"):
        change_speed(TONE, factor)


@pytest.mark.parametrize("max_gap", [-0.1, math.nan, math.inf])
def test_a_gap_is_no_less_than_nothing(max_gap):
    with pytest.raises(ValueError, match="max_gap must be a non-negative number, got"):
        concatenate_clips([TONE], rng=np.random.default_rng(0), max_gap=max_gap)


def test_no_clips_cannot_be_joined():
    with pytest.raises(ValueError, match="there are no clips to join"):
        concatenate_clips([], rng=np.random.default_rng(0))


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

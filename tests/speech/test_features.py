"""Log-mel features: torch's spectrogram, triangular filters, and what the features depend on."""

import numpy as np
import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tones import make_tone
from utils.data.examples import SAMPLE_RATE
from utils.speech.audio import MAX_SAMPLE
from utils.speech.features import (
    HOP_LENGTH,
    NUM_MEL_BANDS,
    WINDOW_LENGTH,
    hertz_to_mel,
    log_mel,
    mel_filters,
    mel_to_hertz,
    power_spectrogram,
)

TONE = 0.5 * make_tone(440)


def make_noise(samples):
    return 0.1 * np.random.default_rng(0).standard_normal(samples)


def test_the_spectrogram_is_that_of_torch():
    x = torch.tensor(make_noise(1000))
    window = torch.hann_window(WINDOW_LENGTH, dtype=torch.float64)
    expected = torch.stft(
        x, WINDOW_LENGTH, HOP_LENGTH, window=window, center=False, return_complex=True
    )
    assert same(power_spectrogram(x), expected.abs().square().mT, 1e-9)


def test_the_spectrogram_is_the_discrete_fourier_transform_of_a_frame():
    x, n, k = torch.tensor(make_noise(1000)), np.arange(WINDOW_LENGTH), 9
    window = torch.hann_window(WINDOW_LENGTH, dtype=torch.float64).numpy()
    frame = x[2 * HOP_LENGTH : 2 * HOP_LENGTH + WINDOW_LENGTH].numpy() * window
    energy = abs(sum(frame * np.exp(-2j * np.pi * k * n / WINDOW_LENGTH))) ** 2
    assert float(power_spectrogram(x)[2, k]) == pytest.approx(energy)


def test_a_clip_shorter_than_a_window_has_no_spectrogram():
    message = f"{WINDOW_LENGTH - 1} samples is shorter than a window of {WINDOW_LENGTH}"
    with pytest.raises(ValueError, match=message):
        power_spectrogram(torch.ones(WINDOW_LENGTH - 1))
    assert power_spectrogram(torch.ones(WINDOW_LENGTH)).shape == (1, WINDOW_LENGTH // 2 + 1)


def test_filters_that_are_first_computed_in_inference_mode_still_let_gradients_through():
    mel_filters.cache_clear()
    x = torch.randn(4000, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        mel_filters()
    log_mel(x).sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_mel_filters_are_triangles_without_gaps():
    filters = mel_filters().numpy()
    assert filters.shape == (WINDOW_LENGTH // 2 + 1, NUM_MEL_BANDS)
    assert filters.min() == 0 and filters.max() <= 1
    assert (filters.sum(0) > 0.5).all(), "every band has frequencies"
    peaks = filters.argmax(0)
    assert (np.diff(peaks) > 0).all()
    inside = filters[peaks[0] + 1 : peaks[-1]].sum(1)
    assert np.allclose(inside, 1), "neighbours divide each frequency between them"
    assert not filters[: int(60 / SAMPLE_RATE * WINDOW_LENGTH) + 1].any(), "nothing below 60 hertz"


@pytest.mark.parametrize("bands", [60, 100])
def test_filters_are_never_narrower_than_the_resolution(bands):
    """On the mel scale alone, some of the low ones would lie between two frequencies."""
    filters = mel_filters(bands).numpy()
    assert (filters.sum(0) > 0.5).all(), "every band has frequencies"
    assert (np.diff(filters.argmax(0)) > 0).all()


@pytest.mark.parametrize(
    "bands, lowest, message",
    [
        (0, 60.0, "num_mel_bands must be a positive integer"),
        (126, 60.0, "126 bands from 60 hertz on would be narrower than the 31.25 hertz between"),
        (40, 4000.0, "lowest_frequency must be from 0 to below 4000 hertz"),
        (40, -1.0, "lowest_frequency must be"),
        (40, float("nan"), "lowest_frequency must be"),
    ],
)
def test_filters_that_the_spectrum_cannot_have_are_refused(bands, lowest, message):
    with pytest.raises(ValueError, match=message):
        mel_filters(bands, lowest)
    assert mel_filters(125).isfinite().all()


def test_a_reversed_clip_has_the_features_of_its_samples():
    assert torch.equal(log_mel(TONE[::-1]), log_mel(TONE[::-1].copy()))


@pytest.mark.filterwarnings("error")
def test_a_read_only_clip_has_its_features_without_a_warning():
    samples = TONE.copy()
    samples.setflags(write=False)
    assert torch.equal(log_mel(samples), log_mel(TONE))


@pytest.mark.parametrize(
    "samples, message",
    [
        (np.arange(999), "samples are int64"),
        (make_noise(1000).reshape(2, -1), "a clip needs one channel"),
        (np.full(999, np.nan), "NaN or infinite"),
    ],
    ids=["integers", "stereo", "nan"],
)
def test_what_is_no_clip_of_one_channel_has_no_features(samples, message):
    with pytest.raises(ValueError, match=message):
        log_mel(samples)


def test_several_clips_have_their_spectrograms_at_once():
    clips = torch.tensor(make_noise(1000)).view(2, -1)
    assert torch.equal(power_spectrogram(clips)[1], power_spectrogram(clips[1]))


def test_mel_and_hertz_are_inverse_and_meet_at_1000():
    assert mel_to_hertz(hertz_to_mel(1234.5)) == pytest.approx(1234.5)
    assert hertz_to_mel(1000) == pytest.approx(1000, rel=1e-3)


def test_features_show_a_tone_in_its_band():
    features = log_mel(np.concatenate([TONE, make_noise(SAMPLE_RATE)]))
    frames = 1 + (2 * SAMPLE_RATE - WINDOW_LENGTH) // HOP_LENGTH
    assert features.shape == (frames, NUM_MEL_BANDS)
    contrast = features[:90].mean(0) - features[110:].mean(0)
    band = int(contrast.argmax())
    centre = float(mel_filters()[:, band].argmax()) * SAMPLE_RATE / WINDOW_LENGTH
    assert abs(centre - 440) < 60


def test_features_depend_neither_on_loudness_nor_on_the_microphone():
    noise = make_noise(SAMPLE_RATE)
    assert torch.allclose(log_mel(7 * noise), log_mel(noise), atol=1e-2)
    muffled = np.convolve(noise, [0.5, 0.5], "same")  # a low-pass filter
    assert torch.allclose(log_mel(muffled)[:, :30], log_mel(noise)[:, :30], atol=0.2)
    features = log_mel(noise)
    assert same(features.mean(0), torch.zeros(NUM_MEL_BANDS, dtype=features.dtype), 1e-6)
    deviation = features.std(0, correction=0)
    assert same(deviation, torch.ones(NUM_MEL_BANDS, dtype=features.dtype), 5e-3)


@pytest.mark.parametrize("scale", [1e11, 1e18, 1e30])
def test_a_clip_too_loud_for_float32_is_refused_and_the_loudest_is_not(scale):
    noise = make_noise(SAMPLE_RATE).astype(np.float32)
    noise /= np.abs(noise).max()
    loudest = np.clip(MAX_SAMPLE * noise, -MAX_SAMPLE, MAX_SAMPLE)
    assert torch.allclose(log_mel(loudest), log_mel(1e5 * noise), atol=1e-2)
    for function in (log_mel, lambda clip: power_spectrogram(torch.from_numpy(clip))):
        with pytest.raises(ValueError, match=r"a sample of magnitude .*, above 1e\+10"):
            function(scale * noise)


def test_silence_has_finite_features():
    assert torch.isfinite(log_mel(np.zeros(SAMPLE_RATE, dtype=np.float32))).all()


def test_the_spectrogram_of_an_array_is_that_of_a_tensor():
    samples = np.linspace(-1, 1, 400, dtype=np.float32)
    assert torch.equal(power_spectrogram(samples), power_spectrogram(torch.from_numpy(samples)))
    assert power_spectrogram(samples[::-1]).shape == power_spectrogram(samples).shape

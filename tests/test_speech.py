"""Sound: bad input is mended or named, features are those of torch, batches depend on the step."""

import math
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
import torch
from scipy.io import wavfile

from tests.tensors import same
from utils.data.batches import IGNORE
from utils.data.examples import Clip
from utils.metrics.cost import count_parameters
from utils.metrics.text import character_errors, word_errors
from utils.speech import (
    announcements,  # BARE stations
    ctc,
)
from utils.speech.announcements import ACCENTS, FORMS, TOWNS, VARIANTS
from utils.speech.audio import (
    LOUDNESS,
    SAMPLE_RATE,
    add_noise,
    change_speed,
    concatenate_clips,
    to_clip,
)
from utils.speech.batches import AudioBatches, audio_batch
from utils.speech.ctc_recogniser import CTCRecogniser, ctc_objective, frame_log_probs
from utils.speech.ctc_search import prefix_beam_search
from utils.speech.digits import recordings_by_speaker, speak_digits
from utils.speech.features import (
    HOP_LENGTH,
    MEL_BANDS,
    WINDOW_LENGTH,
    hertz_to_mel,
    log_mel,
    mel_filters,
    mel_to_hertz,
    power_spectrogram,
)
from utils.training.config import TrainConfig
from utils.training.loop import fit

RANDOM = np.random.default_rng(0)
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)  # one second


def louder(x):
    return x * (LOUDNESS / np.sqrt((x**2).mean()))


# ---- clips --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, scale, offset", [
    ("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 128, 128), ("float32", 1, 0),
    ("float64", 1, 0),
])  # fmt: skip
def test_every_format_of_a_wav_file_gives_the_same_clip(tmp_path, kind, scale, offset):
    path = tmp_path / "tone.wav"
    wavfile.write(path, SAMPLE_RATE, (TONE * scale + offset).astype(kind))
    found = speech.read_wav(path)
    assert found.dtype == np.float32 and found.shape == TONE.shape
    assert np.abs(found - louder(TONE)).max() < (5e-3 if kind == "uint8" else 1e-4)


def test_stereo_is_averaged_and_shapes_that_are_no_sound_are_named():
    both = np.stack([TONE, np.zeros_like(TONE)], 1)  # (N, 2)
    assert np.allclose(to_clip(both, SAMPLE_RATE), louder(TONE), atol=1e-5)
    for wrong in (both.T, TONE[None, None], np.float64(0.1)):
        with pytest.raises(ValueError, match="shape"):
            to_clip(wrong, SAMPLE_RATE)


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_another_rate_is_resampled_to_the_same_sound(rate):
    times = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    found = to_clip(tone, rate)
    assert abs(len(found) - SAMPLE_RATE) <= 1
    middle = slice(400, -400)  # a filter's edges apart
    assert np.abs(found[middle] - louder(TONE)[: len(found)][middle]).max() < 0.01
    shrill = to_clip(tone + 0.4 * np.sin(2 * np.pi * 5000 * times), rate)
    aside = np.abs(shrill[middle] - found[middle]).max()
    assert aside < 0.02, "what lies above half the new rate is cut off, not folded down"


@pytest.mark.parametrize("rate", [0, -8000, 4000, 8000.5])
def test_a_rate_too_low_or_broken_is_named(rate):
    with pytest.raises(ValueError, match="rate must be a whole number from 8000"):
        to_clip(TONE, rate)


def test_silence_short_clips_and_wrong_scales_are_named():
    with pytest.raises(ValueError, match="silent"):
        to_clip(np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    with pytest.raises(ValueError, match="silent"):
        to_clip(np.full(SAMPLE_RATE, 77, dtype=np.int16), SAMPLE_RATE)  # a constant is silence too
    with pytest.raises(
        ValueError, match=f"255 samples is shorter than a window of {WINDOW_LENGTH}"
    ):
        to_clip(TONE[: WINDOW_LENGTH - 1], SAMPLE_RATE)
    assert len(to_clip(TONE[:WINDOW_LENGTH], SAMPLE_RATE)) == WINDOW_LENGTH
    for wrong in (TONE * 32768, np.append(TONE, np.nan)):
        with pytest.raises(ValueError, match="floats must lie in"):
            to_clip(wrong, SAMPLE_RATE)
    for wrong in (
        TONE.astype(complex),
        np.ones(SAMPLE_RATE, dtype=bool),
        np.ones(SAMPLE_RATE, dtype=np.int64),
    ):
        with pytest.raises(ValueError, match="samples are"):
            to_clip(wrong, SAMPLE_RATE)


def test_a_clipped_recording_warns_and_a_good_one_does_not(recwarn):
    to_clip(TONE, SAMPLE_RATE)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="clipped"):
        to_clip(np.clip(3 * TONE, -1, 1), SAMPLE_RATE)
    with pytest.warns(UserWarning, match="clipped"):  # the mean of the channels hides it
        to_clip(np.stack([np.clip(3 * TONE, -1, 1), 0.1 * TONE], 1), SAMPLE_RATE)


def test_a_file_that_is_no_sound_is_named(tmp_path):
    for name, content in [("a.wav", b"hello, this is a text"), ("b.wav", b""),
                          ("c.wav", b"RIFF\x00\x00\x00\x00WAVE")]:  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is not a WAV file"):
            speech.read_wav(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        speech.read_wav(tmp_path / "none.wav")


# ---- features -----------------------------------------------------------------------------------


def test_spectrogram_is_torchs_and_by_hand():
    x = torch.tensor(RANDOM.standard_normal(1000))
    window = torch.hann_window(WINDOW_LENGTH, dtype=torch.float64)
    theirs = torch.stft(
        x, WINDOW_LENGTH, HOP_LENGTH, window=window, center=False, return_complex=True
    )
    found = power_spectrogram(x)
    assert same(found, theirs.abs().square().mT, 1e-9)
    n, k = np.arange(WINDOW_LENGTH), 9
    frame = x[2 * HOP_LENGTH : 2 * HOP_LENGTH + WINDOW_LENGTH].numpy() * window.numpy()
    by_hand = abs(sum(frame * np.exp(-2j * np.pi * k * n / WINDOW_LENGTH))) ** 2
    assert float(found[2, k]) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="shorter than a window"):
        power_spectrogram(x[: WINDOW_LENGTH - 1])


def test_filters_that_inference_asked_for_first_still_let_gradients_through():
    mel_filters.cache_clear()
    x = torch.randn(4000, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        mel_filters()
    log_mel(x).sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_mel_filters_are_triangles_that_miss_nothing():
    filters = mel_filters().numpy()
    assert (
        filters.shape == (WINDOW_LENGTH // 2 + 1, MEL_BANDS)
        and filters.min() == 0
        and filters.max() <= 1
    )
    assert (filters.sum(0) > 0.5).all(), "every band hears something"
    peaks = filters.argmax(0)
    assert (np.diff(peaks) > 0).all()
    inside = filters[peaks[0] + 1 : peaks[-1]].sum(1)
    assert np.allclose(inside, 1), "neighbours share each line between them"
    assert mel_to_hertz(hertz_to_mel(1234.5)) == pytest.approx(1234.5)
    assert hertz_to_mel(1000) == pytest.approx(1000, rel=1e-3)


def test_features_tell_a_tone_by_its_band_and_not_by_its_loudness():
    x = np.concatenate([TONE, 0.1 * RANDOM.standard_normal(SAMPLE_RATE)])
    found = log_mel(x)
    assert found.shape == (1 + (2 * SAMPLE_RATE - WINDOW_LENGTH) // HOP_LENGTH, MEL_BANDS)
    contrast = found[:90].mean(0) - found[110:].mean(0)
    band = int(contrast.argmax())
    centre = float(mel_filters()[:, band].argmax()) * SAMPLE_RATE / WINDOW_LENGTH
    assert abs(centre - 440) < 60
    hiss = 0.1 * RANDOM.standard_normal(SAMPLE_RATE)
    assert torch.allclose(log_mel(7 * hiss), log_mel(hiss), atol=1e-2)
    assert same(found.mean(0), torch.zeros(MEL_BANDS, dtype=found.dtype), 1e-6)


def test_silence_between_words_has_finite_features():
    assert torch.isfinite(log_mel(np.zeros(SAMPLE_RATE, dtype=np.float32))).all()


# ---- making -------------------------------------------------------------------------------------


def test_noise_lies_as_far_below_the_speech_as_asked():
    noise = add_noise(TONE, snr=10.0, rng=np.random.default_rng(1)) - TONE
    found = 10 * math.log10((TONE**2).mean() / (noise**2).mean())
    assert abs(found - 10) < 0.2


def test_faster_is_shorter_and_higher():
    found = change_speed(TONE, 1.25)
    assert abs(len(found) - SAMPLE_RATE / 1.25) <= 1
    spectrum = np.abs(np.fft.rfft(found))
    assert abs(spectrum.argmax() * SAMPLE_RATE / len(found) - 550) < 3


def test_clips_are_joined_at_one_loudness_with_gaps():
    quiet, loud = 0.01 * TONE[:2000], TONE[:3000]
    found = concatenate_clips([quiet, loud], rng=np.random.default_rng(2), max_gap=0.2)
    assert 5000 < len(found) < 5000 + 3 * 0.2 * SAMPLE_RATE
    start = np.flatnonzero(found)[0]
    assert np.sqrt((found[start : start + 1990] ** 2).mean()) == pytest.approx(LOUDNESS, rel=0.05)
    assert len(concatenate_clips([quiet], rng=np.random.default_rng(0), max_gap=0.0)) == 2000


def test_a_string_is_said_in_one_voice_from_its_recordings():
    tones = {
        d: [np.sin(2 * np.pi * (400 + 100 * d) * np.arange(1000) / SAMPLE_RATE)] for d in range(2)
    }
    clips = [Clip(tones[d][0], SAMPLE_RATE, d, "b", 0) for d in (1, 0)]
    clips += [Clip(TONE, SAMPLE_RATE, 0, "a", take) for take in (1, 0)]
    found = recordings_by_speaker(clips)
    assert list(found) == ["a", "b"] and list(found["b"]) == ["0", "1"]
    assert len(found["a"]["0"]) == 2
    x = speak_digits("1011", found["b"], rng=np.random.default_rng(0), snr=40.0, speeds=(1.0, 1.0))
    spectrum = np.abs(np.fft.rfft(x, 2 * SAMPLE_RATE))  # half a hertz a line
    power = [spectrum[2 * f - 40 : 2 * f + 40].max() for f in (400, 500)]
    assert power[1] > 1.5 * power[0], "three ones and a zero"


def random_strings(rng, step):
    texts = [list(rng.integers(4, 7, 2)) for _ in range(4)]
    tones = {
        w: np.sin(2 * np.pi * 300 * (w - 3) * np.arange(1600) / SAMPLE_RATE) for w in range(4, 7)
    }
    return [concatenate_clips([tones[w] for w in t], rng=rng, max_gap=0.1) for t in texts], texts


def test_a_batch_depends_on_seed_and_step_alone():
    one, again = (AudioBatches(random_strings, seed=3) for _ in range(2))
    for _ in range(2):
        assert torch.equal(one[5].features, again[5].features)
    assert not torch.equal(one[5].targets, AudioBatches(random_strings, seed=4)[5].targets)
    batch = audio_batch([TONE, TONE[:900]], [[4], [5, 6, 4]])
    assert batch.frames.tolist() == [97, 9] and batch.features.shape == (2, 97, MEL_BANDS)
    assert batch.targets.tolist() == [[4, IGNORE, IGNORE], [5, 6, 4]]
    assert not batch.features[1, 9:].any()


# ---- the recogniser -----------------------------------------------------------------------------


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2), (3,)])
def test_places_follow_the_strides_and_probabilities_sum_to_one(strides):
    model = CTCRecogniser(9, width=8, layers=1, strides=strides).eval()
    batch = audio_batch([TONE, TONE[:900]], [[4], [5]])
    log_p, places = model(batch.features, batch.frames)
    assert log_p.shape == (2, int(places[0]), 9)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(log_p.shape[:2]))
    assert places.tolist() == [math.ceil(f / math.prod(strides)) for f in batch.frames.tolist()]


def test_size_and_bad_sizes():
    assert 0.55e6 < count_parameters(CTCRecogniser(31)) < 0.65e6
    assert isinstance(CTCRecogniser(9, width=8).rnn, torch.nn.GRU)
    assert isinstance(CTCRecogniser(9, width=8, cell="lstm").rnn, torch.nn.LSTM)
    with pytest.raises(ValueError, match="width"):
        CTCRecogniser(9, width=0)


def test_it_learns_tones_through_the_books_own_loop_and_search():
    torch.manual_seed(0)
    model = CTCRecogniser(7, width=24, layers=1, dropout=0.0)
    config = TrainConfig(steps=120, learning_rate=1e-2, clip_norm=5.0)
    history = fit(model, AudioBatches(random_strings), config, progress=False,
                           objective=ctc_objective)  # fmt: skip
    assert history.losses[-1] < 0.2 * history.losses[0]
    clips, texts = random_strings(np.random.default_rng(99), 0)
    heard = frame_log_probs(model, clips, batch_size=3)
    assert [len(h) for h in heard] == [
        math.ceil((1 + (len(c) - WINDOW_LENGTH) // HOP_LENGTH) / 4) for c in clips
    ]
    assert [ctc.best_path(h) for h in heard] == texts
    assert [row[0].ids for row in prefix_beam_search(heard, beam_size=4)] == texts


# ---- error rates and announcements --------------------------------------------------------------


def test_error_rates_count_what_must_change():
    found = word_errors(["the cat sat", "a b c", ""], ["the cat sat down", "a x c", "one"])
    assert (found.substitutions, found.deletions, found.insertions, found.units) == (1, 2, 0, 8)
    assert found.rate == pytest.approx(3 / 8)
    assert word_errors(["a b c"], ["a"]).rate == 2.0
    assert character_errors(["abd"], ["abc"]).rate == pytest.approx(1 / 3)
    for wrong in ((["a"], ["a", "b"]), (["a"], [" "]), ([], [])):
        with pytest.raises(ValueError, match="reference"):
            word_errors(*wrong)


def test_announcements_are_distinct_and_kept_apart(monkeypatch):
    test = announcements.sample_sentences(50, seed=1)
    text = announcements.sample_sentences(500, seed=2, excluded=test)
    assert len({*test, *text}) == 550 and announcements.sample_sentences(50, seed=1) == test
    assert all(set(t) <= set("abcdefghijklmnopqrstuvwxyz ") and "  " not in t for t in text)
    monkeypatch.setattr(stations, "FORMS", FORMS[-1:])
    assert len(announcements.sample_sentences(len(TOWNS), seed=0)) == len(TOWNS)
    with pytest.raises(ValueError, match="the grammar gave 18 sentences besides those, not 19"):
        announcements.sample_sentences(len(TOWNS) + 1, seed=0)


def test_voices_are_held_out_and_sound():
    texts = announcements.sample_sentences(6, seed=0)
    voices = {}
    for split in ("train", "valid", "test"):
        spoken = list(announcements.synthesize(texts, split=split, seed=0))
        voices[split] = {voice for _, voice in spoken}
        assert all(len(x) > SAMPLE_RATE and np.abs(x).max() > 0.05 for x, _ in spoken)
    assert not voices["train"] & voices["test"] and not voices["train"] & voices["valid"]
    accents = ACCENTS
    assert not set(accents["train"]) & {*accents["valid"], *accents["test"]}
    assert not set(VARIANTS["train"]) & set(VARIANTS["test"])
    with pytest.raises(ValueError, match="choose from train, valid, test, far"):
        announcements.synthesize(texts, split="dev", seed=0)


def test_far_throats_are_none_of_the_others_and_the_synthesiser_has_them():
    others = [v for split in ("train", "valid", "test") for v in VARIANTS[split]]
    far = VARIANTS["far"]
    assert len({*others, *far}) == len(others) + len(far), "each throat has one split"
    assert ACCENTS["far"] == ACCENTS["test"]
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    missing = [v for v in [*others, *far] if not (folder / v).is_file()]
    assert not missing, "the synthesiser says nothing of a variant that it does not have"

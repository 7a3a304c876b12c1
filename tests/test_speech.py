"""Sound: bad input is mended or named, features are those of torch, batches depend on the step."""

import math
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
import torch
from scipy.io import wavfile

from tests.tensors import same
from utils import ctc, data, metrics, speech, stations, training
from utils.data import IGNORE
from utils.speech import HOP, LOUDNESS, MELS, RATE, WINDOW, Recogniser
from utils.training import TrainConfig

RANDOM = np.random.default_rng(0)
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)  # one second


def louder(x):
    return x * (LOUDNESS / np.sqrt((x**2).mean()))


# ---- clips --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, scale, offset", [
    ("int16", 2**15, 0), ("int32", 2**31, 0), ("uint8", 128, 128), ("float32", 1, 0),
    ("float64", 1, 0),
])  # fmt: skip
def test_every_format_of_a_wav_file_gives_the_same_clip(tmp_path, kind, scale, offset):
    path = tmp_path / "tone.wav"
    wavfile.write(path, RATE, (TONE * scale + offset).astype(kind))
    found = speech.read_wav(path)
    assert found.dtype == np.float32 and found.shape == TONE.shape
    assert np.abs(found - louder(TONE)).max() < (5e-3 if kind == "uint8" else 1e-4)


def test_stereo_is_averaged_and_shapes_that_are_no_sound_are_named():
    both = np.stack([TONE, np.zeros_like(TONE)], 1)  # (N, 2)
    assert np.allclose(speech.as_clip(both, RATE), louder(TONE), atol=1e-5)
    for wrong in (both.T, TONE[None, None], np.float64(0.1)):
        with pytest.raises(ValueError, match="shape"):
            speech.as_clip(wrong, RATE)


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_another_rate_is_resampled_to_the_same_sound(rate):
    times = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    found = speech.as_clip(tone, rate)
    assert abs(len(found) - RATE) <= 1
    middle = slice(400, -400)  # a filter's edges apart
    assert np.abs(found[middle] - louder(TONE)[: len(found)][middle]).max() < 0.01
    shrill = speech.as_clip(tone + 0.4 * np.sin(2 * np.pi * 5000 * times), rate)
    aside = np.abs(shrill[middle] - found[middle]).max()
    assert aside < 0.02, "what lies above half the new rate is cut off, not folded down"


@pytest.mark.parametrize("rate", [0, -8000, 4000, 8000.5])
def test_a_rate_too_low_or_broken_is_named(rate):
    with pytest.raises(ValueError, match="rate must be a whole number from 8000"):
        speech.as_clip(TONE, rate)


def test_silence_short_clips_and_wrong_scales_are_named():
    with pytest.raises(ValueError, match="silent"):
        speech.as_clip(np.zeros(RATE), RATE)
    with pytest.raises(ValueError, match="silent"):
        speech.as_clip(np.full(RATE, 77, dtype=np.int16), RATE)  # a constant is silence too
    with pytest.raises(ValueError, match=f"255 samples is shorter than a window of {WINDOW}"):
        speech.as_clip(TONE[: WINDOW - 1], RATE)
    assert len(speech.as_clip(TONE[:WINDOW], RATE)) == WINDOW
    for wrong in (TONE * 32768, np.append(TONE, np.nan)):
        with pytest.raises(ValueError, match="floats must lie in"):
            speech.as_clip(wrong, RATE)
    for wrong in (TONE.astype(complex), np.ones(RATE, dtype=bool), np.ones(RATE, dtype=np.int64)):
        with pytest.raises(ValueError, match="samples are"):
            speech.as_clip(wrong, RATE)


def test_a_clipped_recording_warns_and_a_good_one_does_not(recwarn):
    speech.as_clip(TONE, RATE)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="clipped"):
        speech.as_clip(np.clip(3 * TONE, -1, 1), RATE)
    with pytest.warns(UserWarning, match="clipped"):  # the mean of the channels hides it
        speech.as_clip(np.stack([np.clip(3 * TONE, -1, 1), 0.1 * TONE], 1), RATE)


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
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    theirs = torch.stft(x, WINDOW, HOP, window=window, center=False, return_complex=True)
    found = speech.spectrogram(x)
    assert same(found, theirs.abs().square().mT, 1e-9)
    n, k = np.arange(WINDOW), 9
    frame = x[2 * HOP : 2 * HOP + WINDOW].numpy() * window.numpy()
    by_hand = abs(sum(frame * np.exp(-2j * np.pi * k * n / WINDOW))) ** 2
    assert float(found[2, k]) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="shorter than a window"):
        speech.spectrogram(x[: WINDOW - 1])


def test_filters_that_inference_asked_for_first_still_let_gradients_through():
    speech.mel_filters.cache_clear()
    x = torch.randn(4000, dtype=torch.float64, requires_grad=True)
    with torch.inference_mode():
        speech.mel_filters()
    speech.log_mel(x).sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_mel_filters_are_triangles_that_miss_nothing():
    filters = speech.mel_filters().numpy()
    assert filters.shape == (WINDOW // 2 + 1, MELS) and filters.min() == 0 and filters.max() <= 1
    assert (filters.sum(0) > 0.5).all(), "every band hears something"
    peaks = filters.argmax(0)
    assert (np.diff(peaks) > 0).all()
    inside = filters[peaks[0] + 1 : peaks[-1]].sum(1)
    assert np.allclose(inside, 1), "neighbours share each line between them"
    assert speech.hertz(speech.mel(1234.5)) == pytest.approx(1234.5)
    assert speech.mel(1000) == pytest.approx(1000, rel=1e-3)


def test_features_tell_a_tone_by_its_band_and_not_by_its_loudness():
    x = np.concatenate([TONE, 0.1 * RANDOM.standard_normal(RATE)])
    found = speech.log_mel(x)
    assert found.shape == (1 + (2 * RATE - WINDOW) // HOP, MELS)
    contrast = found[:90].mean(0) - found[110:].mean(0)
    band = int(contrast.argmax())
    centre = float(speech.mel_filters()[:, band].argmax()) * RATE / WINDOW
    assert abs(centre - 440) < 60
    hiss = 0.1 * RANDOM.standard_normal(RATE)
    assert torch.allclose(speech.log_mel(7 * hiss), speech.log_mel(hiss), atol=1e-2)
    assert same(found.mean(0), torch.zeros(MELS, dtype=found.dtype), 1e-6)


def test_silence_between_words_has_finite_features():
    assert torch.isfinite(speech.log_mel(np.zeros(RATE, dtype=np.float32))).all()


# ---- making -------------------------------------------------------------------------------------


def test_noise_lies_as_far_below_the_speech_as_asked():
    noise = speech.noisy(TONE, 10.0, np.random.default_rng(1)) - TONE
    found = 10 * math.log10((TONE**2).mean() / (noise**2).mean())
    assert abs(found - 10) < 0.2


def test_faster_is_shorter_and_higher():
    found = speech.faster(TONE, 1.25)
    assert abs(len(found) - RATE / 1.25) <= 1
    spectrum = np.abs(np.fft.rfft(found))
    assert abs(spectrum.argmax() * RATE / len(found) - 550) < 3


def test_clips_are_joined_at_one_loudness_with_gaps():
    quiet, loud = 0.01 * TONE[:2000], TONE[:3000]
    found = speech.joined([quiet, loud], np.random.default_rng(2), gap=0.2)
    assert 5000 < len(found) < 5000 + 3 * 0.2 * RATE
    start = np.flatnonzero(found)[0]
    assert np.sqrt((found[start : start + 1990] ** 2).mean()) == pytest.approx(LOUDNESS, rel=0.05)
    assert len(speech.joined([quiet], np.random.default_rng(0), gap=0.0)) == 2000


def test_a_string_is_said_in_one_voice_from_its_recordings():
    tones = {d: [np.sin(2 * np.pi * (400 + 100 * d) * np.arange(1000) / RATE)] for d in range(2)}
    clips = [data.Clip(tones[d][0], RATE, d, "b", 0) for d in (1, 0)]
    clips += [data.Clip(TONE, RATE, 0, "a", take) for take in (1, 0)]
    found = speech.voices(clips)
    assert list(found) == ["a", "b"] and list(found["b"]) == ["0", "1"]
    assert len(found["a"]["0"]) == 2
    x = speech.say("1011", found["b"], np.random.default_rng(0), snr=40.0, speeds=(1.0, 1.0))
    spectrum = np.abs(np.fft.rfft(x, 2 * RATE))  # half a hertz a line
    power = [spectrum[2 * f - 40 : 2 * f + 40].max() for f in (400, 500)]
    assert power[1] > 1.5 * power[0], "three ones and a zero"


def random_strings(rng, step):
    texts = [list(rng.integers(4, 7, 2)) for _ in range(4)]
    tones = {w: np.sin(2 * np.pi * 300 * (w - 3) * np.arange(1600) / RATE) for w in range(4, 7)}
    return [speech.joined([tones[w] for w in t], rng, 0.1) for t in texts], texts


def test_a_batch_depends_on_seed_and_step_alone():
    one, again = (speech.SoundBatches(random_strings, seed=3) for _ in range(2))
    for _ in range(2):
        assert torch.equal(one[5].features, again[5].features)
    assert not torch.equal(one[5].targets, speech.SoundBatches(random_strings, seed=4)[5].targets)
    batch = speech.sound_batch([TONE, TONE[:900]], [[4], [5, 6, 4]])
    assert batch.frames.tolist() == [97, 9] and batch.features.shape == (2, 97, MELS)
    assert batch.targets.tolist() == [[4, IGNORE, IGNORE], [5, 6, 4]]
    assert not batch.features[1, 9:].any()


# ---- the recogniser -----------------------------------------------------------------------------


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2), (3,)])
def test_places_follow_the_strides_and_probabilities_sum_to_one(strides):
    model = Recogniser(9, width=8, layers=1, strides=strides).eval()
    batch = speech.sound_batch([TONE, TONE[:900]], [[4], [5]])
    log_p, places = model(batch.features, batch.frames)
    assert log_p.shape == (2, int(places[0]), 9)
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(log_p.shape[:2]))
    assert places.tolist() == [math.ceil(f / math.prod(strides)) for f in batch.frames.tolist()]


def test_size_and_bad_sizes():
    assert 0.55e6 < metrics.parameters(Recogniser(31)) < 0.65e6
    assert isinstance(Recogniser(9, 8).rnn, torch.nn.GRU)
    assert isinstance(Recogniser(9, 8, cell="lstm").rnn, torch.nn.LSTM)
    with pytest.raises(ValueError, match="width"):
        Recogniser(9, width=0)


def test_it_learns_tones_through_the_books_own_loop_and_search():
    torch.manual_seed(0)
    model = Recogniser(7, width=24, layers=1, dropout=0.0)
    config = TrainConfig(steps=120, learning_rate=1e-2, clip=5.0)
    history = training.fit(model, speech.SoundBatches(random_strings), config, progress=False,
                           objective=speech.ctc_objective)  # fmt: skip
    assert history.losses[-1] < 0.2 * history.losses[0]
    clips, texts = random_strings(np.random.default_rng(99), 0)
    heard = speech.listen(model, clips, batch_size=3)
    assert [len(h) for h in heard] == [math.ceil((1 + (len(c) - WINDOW) // HOP) / 4) for c in clips]
    assert [ctc.greedy(h) for h in heard] == texts
    assert [row[0].ids for row in ctc.beam_search(heard, 4)] == texts


# ---- error rates and announcements --------------------------------------------------------------


def test_error_rates_count_what_must_change():
    found = metrics.word_errors(["the cat sat", "a b c", ""], ["the cat sat down", "a x c", "one"])
    assert (found.substitutions, found.deletions, found.insertions, found.units) == (1, 2, 0, 8)
    assert found.rate == pytest.approx(3 / 8)
    assert metrics.word_errors(["a b c"], ["a"]).rate == 2.0
    assert metrics.character_errors(["abd"], ["abc"]).rate == pytest.approx(1 / 3)
    for wrong in ((["a"], ["a", "b"]), (["a"], [" "]), ([], [])):
        with pytest.raises(ValueError, match="reference"):
            metrics.word_errors(*wrong)


def test_announcements_are_distinct_and_kept_apart(monkeypatch):
    test = stations.sentences(50, seed=1)
    text = stations.sentences(500, seed=2, besides=test)
    assert len({*test, *text}) == 550 and stations.sentences(50, seed=1) == test
    assert all(set(t) <= set("abcdefghijklmnopqrstuvwxyz ") and "  " not in t for t in text)
    monkeypatch.setattr(stations, "FORMS", stations.FORMS[-1:])
    assert len(stations.sentences(len(stations.TOWNS), seed=0)) == len(stations.TOWNS)
    with pytest.raises(ValueError, match="the grammar gave 18 sentences besides those, not 19"):
        stations.sentences(len(stations.TOWNS) + 1, seed=0)


def test_voices_are_held_out_and_sound():
    texts = stations.sentences(6, seed=0)
    voices = {}
    for split in ("train", "valid", "test"):
        spoken = list(stations.spoken(texts, split, seed=0))
        voices[split] = {voice for _, voice in spoken}
        assert all(len(x) > RATE and np.abs(x).max() > 0.05 for x, _ in spoken)
    assert not voices["train"] & voices["test"] and not voices["train"] & voices["valid"]
    accents = stations.ACCENTS
    assert not set(accents["train"]) & {*accents["valid"], *accents["test"]}
    assert not set(stations.VARIANTS["train"]) & set(stations.VARIANTS["test"])
    with pytest.raises(ValueError, match="choose from train, valid, test, far"):
        stations.spoken(texts, "dev", 0)


def test_far_throats_are_none_of_the_others_and_the_synthesiser_has_them():
    others = [v for split in ("train", "valid", "test") for v in stations.VARIANTS[split]]
    far = stations.VARIANTS["far"]
    assert len({*others, *far}) == len(others) + len(far), "each throat has one split"
    assert stations.ACCENTS["far"] == stations.ACCENTS["test"]
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    missing = [v for v in [*others, *far] if not (folder / v).is_file()]
    assert not missing, "the synthesiser says nothing of a variant that it does not have"

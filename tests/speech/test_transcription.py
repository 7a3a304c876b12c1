"""Transcription: which clips are computed together, and the search of `transcribe`."""

import re

import numpy as np
import pytest
import torch

from tests.helpers.tensors import multiply_weights, same
from tests.helpers.tones import TONE_VOCAB_SIZE, make_tone, random_strings
from utils.data.vocabulary import BOS, EOS
from utils.decoding.beam_config import BeamConfig
from utils.decoding.beam_search import beam_search
from utils.decoding.token_rules import NEVER_GENERATED
from utils.speech.audio_batches import log_mel_batch
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.transcription import attention_alignment, clip_log_probs, transcribe

sample_examples = random_strings(count=8, length=3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecognizer(TONE_VOCAB_SIZE, width=8).eval()


def test_clips_of_similar_length_are_computed_together_shortest_first(monkeypatch):
    tone = make_tone(440)
    clips = [tone[:length] for length in (900, 4000, 1000, 3000, 2000)]
    model = CTCRecognizer(TONE_VOCAB_SIZE, width=8, num_layers=1).eval()
    expected = [clip_log_probs(model, [clip])[0] for clip in clips]
    groups, forward = [], model.forward

    def record(features, lengths):
        groups.append(lengths.tolist())
        return forward(features, lengths)

    monkeypatch.setattr(model, "forward", record)
    log_probs = clip_log_probs(model, clips, batch_size=2)
    frames = [log_mel_batch([clip])[1].item() for clip in clips]
    assert groups == [[frames[i] for i in group] for group in ([0, 2], [4, 3], [1])]
    assert [x.shape for x in log_probs] == [x.shape for x in expected]
    for row, alone in zip(log_probs, expected, strict=True):
        assert same(row, alone, 1e-6)
    assert log_probs[0].dtype == torch.float64
    assert clip_log_probs(model, []) == []


def test_a_beam_finds_what_is_at_least_as_likely(model):
    clips, _ = sample_examples(np.random.default_rng(1), 0)

    def log_prob(clip, ids):
        state = model.begin(*log_mel_batch([clip]))
        logits, _ = model(torch.tensor([[BOS, *ids]]), state)
        logits[..., list(NEVER_GENERATED)] = float("-inf")
        tokens = torch.tensor([*ids, EOS][:6])  # cut off at six: no EOS
        return logits[0].log_softmax(-1)[range(len(tokens)), tokens].sum().item()

    for clip in clips[:3]:
        (greedy_ids,), (beam_ids,) = (
            transcribe(model, [clip], beam=beam, max_length=6)
            for beam in (None, BeamConfig(8, length_penalty=0.0))
        )
        assert max(len(greedy_ids), len(beam_ids)) <= 6
        assert log_prob(clip, beam_ids) >= log_prob(clip, greedy_ids) - 1e-6


def test_texts_of_a_beam_are_ranked_by_log_p_alone_and_cut_off_at_max_length(model):
    """Length normalization would choose other texts."""
    model = multiply_weights(model, 2)
    clips, _ = sample_examples(np.random.default_rng(1), 0)
    texts = {1.0: [], 0.0: []}
    for clip in clips:
        state = model.begin(*log_mel_batch([clip]))
        for alpha, results in texts.items():
            config = BeamConfig(4, length_penalty=alpha)
            (row,) = beam_search(model, torch.tensor([[BOS]]), state, beam=config, max_length=5)
            results.append(row[0].ids)
    assert texts[0.0] != texts[1.0] and 5 in map(len, texts[0.0])
    assert [transcribe(model, [clip], max_length=5)[0] for clip in clips] == texts[0.0]


def test_texts_do_not_depend_on_the_clips_that_are_decoded_together(model):
    model = multiply_weights(model, 2)
    tone = make_tone(440)
    clips = [tone[:length] for length in (300, 7000, 1000, 3000)]
    alone = [transcribe(model, [clip], max_length=5)[0] for clip in clips]
    assert transcribe(model, clips, max_length=5) == alone


def test_a_model_in_training_mode_is_read_without_dropout():
    torch.manual_seed(0)
    model = JointRecognizer(TONE_VOCAB_SIZE, width=8, dropout=0.5)
    clips = [make_tone(440, 4000)]
    functions = (
        lambda: clip_log_probs(model.encoder, clips)[0],
        lambda: attention_alignment(model, clips[0], [4, 5]),
        lambda: torch.tensor(transcribe(model, clips, max_length=9)),
    )
    for function in functions:
        model.train()
        results = [function() for _ in range(3)]
        assert model.training and model.encoder.training
        model.eval()
        assert all(torch.equal(result, function()) for result in results)


CLIPS = {
    "one sample": (np.ones(1), "a clip of 1 samples is shorter than a window of 256"),
    "no sample": (np.ones(0), r"a clip has no samples: its shape is \(0,\)"),
    "nan": (np.append(make_tone(440), np.nan), "a clip has samples that are NaN or infinite"),
    "stereo": (make_tone(440).reshape(2, -1), r"needs one channel, \(N,\); got \(2, 4000\)"),
    "stereo, channels last": (make_tone(440).reshape(-1, 2), r"one channel, .* got \(4000, 2\)"),
    "16 bits": (
        (1e4 * make_tone(440)).astype(np.int16),
        "samples are int16; convert them to float32",
    ),
    "too loud": (np.float32(1e30) * make_tone(440).astype(np.float32), "above 1e\\+10; scale it"),
    "a list": ([0.0] * 999, "expected samples as an array or a tensor, got list"),
}


def test_a_clip_without_a_list_is_refused(model):
    clip = make_tone(440)
    for function in (lambda: clip_log_probs(model.encoder, clip), lambda: transcribe(model, clip)):
        with pytest.raises(ValueError, match=r"got one clip of \d+ samples; give a list of clips"):
            function()


@pytest.mark.parametrize("name", CLIPS)
def test_only_clips_of_one_channel_are_accepted(model, name):
    clip, message = CLIPS[name]
    good = make_tone(440)
    functions = (
        lambda: clip_log_probs(model.encoder, [good, clip]),
        lambda: transcribe(model, [good, clip]),
        lambda: attention_alignment(model, clip, [4]),
    )
    for function in functions:
        with pytest.raises(ValueError, match=message):
            function()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_clips_are_transcribed_in_the_precision_of_the_model(model, dtype):
    clips = [make_tone(440)[:length] for length in (2000, 3000)]
    expected = clip_log_probs(model.encoder, clips)
    alignment = attention_alignment(model, clips[0], [4, 5])
    model.to(dtype)
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    for row, row_of_float32 in zip(clip_log_probs(model.encoder, clips), expected, strict=True):
        assert row.dtype == torch.float64
        assert same(row, row_of_float32, tolerance)
    assert same(attention_alignment(model, clips[0], [4, 5]).double(), alignment.double(), 0.05)
    assert len(transcribe(model, clips, max_length=5)) == 2


def test_silence_has_finite_log_probabilities(model):
    silence = np.zeros(4000, dtype=np.float32)
    assert clip_log_probs(model.encoder, [silence])[0].isfinite().all()


@pytest.mark.parametrize("token", [TONE_VOCAB_SIZE, -1, EOS])
def test_an_alignment_of_ids_that_are_not_spoken_tokens_is_refused(model, token):
    message = re.escape(f"the text has {'id ' if token == EOS else ''}{token}")
    with pytest.raises(ValueError, match=message):
        attention_alignment(model, make_tone(440), [4, token])

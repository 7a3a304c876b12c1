"""Training of recognizers: the joint loss from its parts, and that both recognizers learn tones."""

import math

import numpy as np
import pytest
import torch

from tests.helpers.tensors import same
from tests.helpers.tones import TONE_VOCAB_SIZE, make_clips, random_strings
from utils.data.vocabulary import BOS, EOS
from utils.decoding.model_state import map_tensors
from utils.speech.audio_batches import AudioBatch, AudioBatches, audio_batch
from utils.speech.ctc import best_path, ctc_loss
from utils.speech.ctc_beam_search import CTCBeamConfig, prefix_beam_search
from utils.speech.ctc_recognizer import CTCRecognizer
from utils.speech.features import HOP_LENGTH, WINDOW_LENGTH
from utils.speech.joint_recognizer import JointRecognizer
from utils.speech.training import ctc_nll, joint_objective, train_recognizer
from utils.speech.transcription import attention_alignment, clip_log_probs, transcribe
from utils.training.config import TrainConfig
from utils.training.loop import fit

TEXTS = [[4, 5, 6], [6], [5, 5]]
sample_pairs = random_strings(count=4, length=2)
sample_many_pairs = random_strings(count=8, length=2)


@pytest.fixture
def batch():
    batch = audio_batch(make_clips(TEXTS, np.random.default_rng(0)), TEXTS)
    return AudioBatch(batch.features.double(), batch.lengths, batch.targets)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecognizer(TONE_VOCAB_SIZE, width=8).double().eval()


def make_ctc_recognizer(width):
    torch.manual_seed(0)
    return CTCRecognizer(TONE_VOCAB_SIZE, width=width, num_layers=1, dropout=0.0)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
def test_the_joint_loss_is_its_two_losses_row_by_row(model, batch, ctc_weight):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    state = model.decoder.begin(model.make_memory(encoded))
    sum_of_ctc = sum_of_attention = 0.0
    for i, text in enumerate(TEXTS):
        sum_of_ctc += ctc_loss(encoded.log_probs[i, : encoded.lengths[i]], text)
        row_state = map_tensors(lambda x, i=i: x[i : i + 1], state)
        steps = model(torch.tensor([[BOS, *text]]), row_state)[0][0].log_softmax(-1)
        sum_of_attention -= sum(steps[t, token] for t, token in enumerate([*text, EOS]))
    loss = joint_objective(ctc_weight)(model, batch)
    assert same(loss, ctc_weight * sum_of_ctc + (1 - ctc_weight) * sum_of_attention, 1e-9)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5, 1.0])
def test_the_output_of_weight_zero_learns_nothing(model, batch, ctc_weight):
    joint_objective(ctc_weight)(model, batch).backward()
    assert (model.encoder.output.weight.grad is not None) == (ctc_weight > 0)
    assert (model.decoder.embedding.weight.grad is not None) == (ctc_weight < 1)
    assert model.encoder.convolutions[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("token", [TONE_VOCAB_SIZE, -1, EOS, 0])
def test_an_id_that_is_not_a_spoken_token_is_named(model, batch, ctc_weight, token):
    targets = batch.targets.clone()
    targets[1, 0] = token
    with pytest.raises(ValueError, match=rf"row 1 of targets has (id )?{token}"):
        joint_objective(ctc_weight)(model, AudioBatch(batch.features, batch.lengths, targets))


def test_a_clip_with_nan_does_not_train(model, batch):
    features = batch.features.clone()
    features[2, 0, 0] = math.nan
    with pytest.raises(ValueError, match="row 2 has NaN at step 0"):
        ctc_nll(model.encoder, AudioBatch(features, batch.lengths, batch.targets))


@pytest.mark.parametrize("ctc_weight", [-0.1, 1.5])
def test_a_weight_that_is_not_from_0_to_1_is_refused(ctc_weight):
    with pytest.raises(ValueError, match="ctc_weight must be a number from 0 to 1"):
        joint_objective(ctc_weight)


# ---- recognizers that are trained on tones -------------------------------------------------------


@pytest.fixture(scope="module")
def ctc_recognizer():
    """A recognizer of pairs of tones."""
    model = make_ctc_recognizer(24)
    config = TrainConfig(steps=60, learning_rate=1e-2, clip_norm=5.0)
    stream = AudioBatches(sample_pairs)
    history = fit(model, stream, config, progress=False, objective=ctc_nll)
    assert history.losses[-1] < 0.2 * history.losses[0]
    return model


@pytest.fixture(scope="module")
def joint_recognizer():
    """A recognizer of pairs of tones with a decoder."""
    torch.manual_seed(0)
    model = JointRecognizer(TONE_VOCAB_SIZE, width=24, dropout=0.0)
    history = train_recognizer(
        model, sample_many_pairs, steps=140, learning_rate=1e-2, objective=joint_objective(0.5)
    )
    assert history.losses[-1] < 0.1 * history.losses[0]
    return model


def test_log_probabilities_have_one_step_for_four_frames(ctc_recognizer):
    clips, _ = sample_pairs(np.random.default_rng(99), 0)
    frames = [1 + (len(clip) - WINDOW_LENGTH) // HOP_LENGTH for clip in clips]
    log_probs = clip_log_probs(ctc_recognizer, clips, batch_size=3)
    assert [len(steps) for steps in log_probs] == [math.ceil(count / 4) for count in frames]


def test_the_ctc_recognizer_learns_tones_which_both_searches_read(ctc_recognizer):
    clips, texts = sample_pairs(np.random.default_rng(99), 0)
    log_probs = clip_log_probs(ctc_recognizer, clips, batch_size=3)
    assert [best_path(steps) for steps in log_probs] == texts
    assert [row[0].ids for row in prefix_beam_search(log_probs, CTCBeamConfig(4))] == texts


@pytest.mark.parametrize("options", [{}, {"beam": None}, {"batch_size": 3}], ids=str)
def test_the_joint_recognizer_transcribes_tones(joint_recognizer, options):
    clips, texts = sample_many_pairs(np.random.default_rng(99), 0)
    assert transcribe(joint_recognizer, clips, **options) == texts


def test_the_joint_recognizer_learns_tones_by_ctc_too(joint_recognizer):
    clips, texts = sample_many_pairs(np.random.default_rng(99), 0)
    assert [best_path(x) for x in clip_log_probs(joint_recognizer.encoder, clips)] == texts


def test_attention_moves_from_left_to_right(joint_recognizer):
    clips, texts = sample_many_pairs(np.random.default_rng(99), 0)
    for clip, text in zip(clips, texts, strict=True):
        weights = attention_alignment(joint_recognizer, clip, text)
        assert weights.shape[0] == 3 and same(weights.sum(1), torch.ones(3), 1e-5)
        first, second, _ = (weights * torch.arange(weights.shape[1])).sum(1)
        assert first < second


def test_train_recognizer_is_fit_with_its_configuration():
    results = []
    for learning_rate, seed in ((1e-2, 3), (1e-2, 3), (1e-2, 4), (1e-3, 3)):
        history = train_recognizer(
            make_ctc_recognizer(8), sample_pairs, steps=4, learning_rate=learning_rate, seed=seed
        )
        results.append(history.losses)
    model = make_ctc_recognizer(8)
    config = TrainConfig(steps=4, learning_rate=1e-2, warmup_fraction=0.05, clip_norm=5.0)
    stream = AudioBatches(sample_pairs, seed=3)
    expected = fit(model, stream, config, progress=False, objective=ctc_nll).losses
    assert results[0] == results[1] == expected
    assert results[2] != expected and results[3] != expected

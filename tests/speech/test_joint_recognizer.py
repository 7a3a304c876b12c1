"""The joint recognizer: its memory, and its state under the contract."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.helpers.tensors import same
from tests.helpers.tones import TONE_VOCAB_SIZE, make_clips
from utils.data.pair_batches import teacher_forcing_pair
from utils.data.vocabulary import BOS
from utils.models.attention_scores import ATTENTION_SCORES
from utils.speech.audio_batches import AudioBatch, audio_batch
from utils.speech.joint_recognizer import JointRecognizer
from utils.states import Memory

TEXTS = [[4, 5, 6], [6], [5, 5]]


@pytest.fixture
def batch():
    batch = audio_batch(make_clips(TEXTS, np.random.default_rng(0)), TEXTS)
    return AudioBatch(batch.features.double(), batch.lengths, batch.targets)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecognizer(TONE_VOCAB_SIZE, width=8).double().eval()


def test_steps_beyond_the_end_of_a_clip_are_not_attended_to(model, batch):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    memory, lengths = model.make_memory(encoded), encoded.lengths
    assert memory.is_token.sum(1).tolist() == lengths.tolist() and len(set(lengths.tolist())) > 1
    assert same(memory.vector[1], memory.states[1, : lengths[1]].mean(0))
    longer = Memory(
        F.pad(memory.states, (0, 0, 0, 4), value=9.0), F.pad(memory.is_token, (0, 4)), memory.vector
    )
    ids, _ = teacher_forcing_pair(batch.targets)
    logits, _ = model(ids, model.decoder.begin(memory))
    assert same(model(ids, model.decoder.begin(longer))[0], logits, 1e-12)


@pytest.mark.parametrize("score", sorted(ATTENTION_SCORES))
@pytest.mark.parametrize("training", [False, True])
def test_a_clip_does_not_depend_on_those_of_its_batch(batch, score, training):
    torch.manual_seed(0)
    model = JointRecognizer(TONE_VOCAB_SIZE, width=8, attention_score=score, dropout=0.0).double()
    model.train(training)
    ids, _ = teacher_forcing_pair(batch.targets)
    logits, _ = model(ids, model.begin(batch.features, batch.lengths))
    assert len(set(batch.lengths.tolist())) == 3
    for row, frames in enumerate(batch.lengths.tolist()):
        state = model.begin(batch.features[row : row + 1, :frames], batch.lengths[row : row + 1])
        assert same(model(ids[row : row + 1], state)[0][0], logits[row], 1e-12)


def test_step_by_step_is_teacher_forced(model, batch):
    ids, _ = teacher_forcing_pair(batch.targets)
    state, steps = model.begin(batch.features, batch.lengths), []
    at_once, _ = model(ids, state)
    for t in range(ids.shape[1]):
        logits, state = model(ids[:, t : t + 1], state)
        steps.append(logits)
    assert same(torch.cat(steps, 1), at_once, 1e-12)


def test_a_call_needs_a_state(model):
    with pytest.raises(TypeError, match="'state'"):
        model(torch.tensor([[BOS]]))


def test_the_decoder_reads_states_of_one_scale(model, batch):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    states = model.make_memory(encoded).states
    normalized = F.layer_norm(encoded.states, encoded.states.shape[-1:])
    assert same(states, model.memory_projection(normalized), 1e-9)
    louder = encoded._replace(states=100 * encoded.states)
    assert same(model.make_memory(louder).states, states, 1e-2)


@pytest.mark.parametrize("score", ["multiplicative", "additive", "location"])
def test_the_score_is_that_of_the_decoder(score):
    model = JointRecognizer(TONE_VOCAB_SIZE, width=8, attention_score=score)
    assert type(model.decoder.attention_score) is ATTENTION_SCORES[score]
    default = JointRecognizer(TONE_VOCAB_SIZE, width=8).decoder.attention_score
    assert type(default) is ATTENTION_SCORES["location"]


def test_strides_are_those_of_the_encoder(batch):
    model = JointRecognizer(TONE_VOCAB_SIZE, width=8, strides=(2, 2, 2)).double()
    lengths = model.encoder.encode(batch.features, batch.lengths).lengths
    assert lengths.tolist() == [-(-length // 8) for length in batch.lengths.tolist()]

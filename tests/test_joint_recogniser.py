"""The joint recogniser: its loss from parts, its state under the contract, and that it learns."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.tensors import multiply_weights, same
from tests.tones import TONE_VOCAB_SIZE, make_clips, random_strings
from utils.data.batches import IGNORE
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.generation import NEVER_GENERATED
from utils.decoding.search import BeamConfig, beam_search
from utils.decoding.state import map_tensors
from utils.models.contract import Memory
from utils.models.scores import SCORES
from utils.speech import ctc
from utils.speech.batches import AudioBatch, audio_batch, length_batches
from utils.speech.ctc_recogniser import frame_log_probs, train_recogniser
from utils.speech.joint_recogniser import (
    JointRecogniser,
    attention_alignment,
    joint_objective,
    teacher_forcing_pair,
    transcribe,
)

TEXTS = [[4, 5, 6], [6], [5, 5]]
make_examples = random_strings(count=8, length=3)


@pytest.fixture
def batch():
    batch = audio_batch(make_clips(TEXTS, np.random.default_rng(0)), TEXTS)
    return AudioBatch(batch.features.double(), batch.lengths, batch.targets)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecogniser(TONE_VOCAB_SIZE, width=8).double().eval()


def test_a_decoder_reads_bos_and_the_text_and_predicts_the_text_and_eos():
    inputs, labels = teacher_forcing_pair(torch.tensor([[4, 5, 6], [6, IGNORE, IGNORE]]))
    assert inputs.tolist() == [[BOS, 4, 5, 6], [BOS, 6, PAD, PAD]]
    assert labels.tolist() == [[4, 5, 6, EOS], [6, EOS, IGNORE, IGNORE]]


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
def test_the_joint_loss_is_its_two_losses_row_by_row(model, batch, ctc_weight):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    state = model.decoder.begin(model.memory(encoded))
    ctc_loss = attention_loss = 0.0
    for i, text in enumerate(TEXTS):
        ctc_loss += ctc.loss(encoded.log_probs[i, : encoded.lengths[i]], text)
        row_state = map_tensors(lambda x, i=i: x[i : i + 1], state)
        steps = model(torch.tensor([[BOS, *text]]), row_state)[0][0].log_softmax(-1)
        attention_loss -= sum(steps[t, token] for t, token in enumerate([*text, EOS]))
    loss = joint_objective(ctc_weight)(model, batch)
    assert same(loss, ctc_weight * ctc_loss + (1 - ctc_weight) * attention_loss, 1e-9)


def test_label_smoothing_is_that_of_the_decoder_alone(model, batch):
    state = model.encode(batch.features, batch.lengths)
    inputs, labels = teacher_forcing_pair(batch.targets)
    logits, _ = model(inputs, state)
    attention_loss = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=0.2
    )
    ctc_loss = joint_objective(1.0)(model, batch)
    loss = joint_objective(0.3)(model, batch, 0.2)
    assert same(loss, 0.3 * ctc_loss + 0.7 * attention_loss, 1e-9)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5, 1.0])
def test_the_output_of_weight_zero_learns_nothing(model, batch, ctc_weight):
    joint_objective(ctc_weight)(model, batch).backward()
    assert (model.encoder.output.weight.grad is not None) == (ctc_weight > 0)
    assert (model.decoder.embedding.weight.grad is not None) == (ctc_weight < 1)
    assert model.encoder.convolutions[0].weight.grad.abs().max() > 0


def test_steps_beyond_the_end_of_a_clip_are_not_attended_to(model, batch):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    memory, lengths = model.memory(encoded), encoded.lengths
    assert memory.is_token.sum(1).tolist() == lengths.tolist() and len(set(lengths.tolist())) > 1
    assert same(memory.vector[1], memory.states[1, : lengths[1]].mean(0))
    longer = Memory(
        F.pad(memory.states, (0, 0, 0, 4), value=9.0), F.pad(memory.is_token, (0, 4)), memory.vector
    )
    ids, _ = teacher_forcing_pair(batch.targets)
    logits, _ = model(ids, model.decoder.begin(memory))
    assert same(model(ids, model.decoder.begin(longer))[0], logits, 1e-12)


def test_step_by_step_is_teacher_forced(model, batch):
    ids, _ = teacher_forcing_pair(batch.targets)
    state, steps = model.encode(batch.features, batch.lengths), []
    at_once, _ = model(ids, state)
    for t in range(ids.shape[1]):
        logits, state = model(ids[:, t : t + 1], state)
        steps.append(logits)
    assert same(torch.cat(steps, 1), at_once, 1e-12)


def test_it_learns_tones_and_transcribes_them_and_attends_from_left_to_right():
    torch.manual_seed(0)
    model = JointRecogniser(TONE_VOCAB_SIZE, width=24, dropout=0.0)
    history = train_recogniser(
        model, make_examples, steps=200, learning_rate=1e-2, objective=joint_objective(0.3)
    )
    assert history.losses[-1] < 0.1 * history.losses[0]
    clips, texts = make_examples(np.random.default_rng(99), 0)
    assert transcribe(model, clips) == transcribe(model, clips, beam_size=1) == texts
    assert transcribe(model, clips, batch_size=3) == texts
    assert [ctc.best_path(steps) for steps in frame_log_probs(model.encoder, clips)] == texts
    weights = attention_alignment(model, clips[0], texts[0])
    assert weights.shape[0] == 4 and same(weights.sum(1), torch.ones(4), 1e-5)
    mean_steps = (weights[:3] * torch.arange(weights.shape[1])).sum(1)
    assert (mean_steps.diff() > 0).all()


def test_a_beam_finds_what_is_at_least_as_likely(model):
    clips, _ = make_examples(np.random.default_rng(1), 0)
    model = model.float()

    def log_prob(clip, ids):
        ((_, batch),) = length_batches([clip], batch_size=1, device="cpu")
        state = model.encode(batch.features, batch.lengths)
        logits, _ = model(torch.tensor([[BOS, *ids]]), state)
        logits[..., list(NEVER_GENERATED)] = float("-inf")
        tokens = torch.tensor([*ids, EOS][:6])  # cut off at six: no EOS
        return logits[0].log_softmax(-1)[range(len(tokens)), tokens].sum().item()

    for clip in clips[:3]:
        (greedy_ids,), (beam_ids,) = (
            transcribe(model, [clip], beam_size=size, max_length=6) for size in (1, 8)
        )
        assert max(len(greedy_ids), len(beam_ids)) <= 6
        assert log_prob(clip, beam_ids) >= log_prob(clip, greedy_ids) - 1e-6


def test_texts_of_a_beam_are_ranked_by_log_p_alone_and_cut_off_at_max_length(model):
    """The texts are those of the search without length normalization, which would choose others."""
    model = multiply_weights(model.float(), 2)
    clips, _ = make_examples(np.random.default_rng(1), 0)
    texts = {1.0: [], 0.0: []}
    for clip in clips:
        ((_, batch),) = length_batches([clip], batch_size=1, device="cpu")
        state = model.encode(batch.features, batch.lengths)
        for alpha, results in texts.items():
            config = BeamConfig(3, alpha=alpha)
            (row,) = beam_search(model, torch.tensor([[BOS]]), state, config, max_length=5)
            results.append(row[0].ids)
    assert texts[0.0] != texts[1.0] and 5 in map(len, texts[0.0])
    assert [transcribe(model, [clip], beam_size=3, max_length=5)[0] for clip in clips] == texts[0.0]


def test_the_decoder_reads_states_of_one_scale(model, batch):
    encoded = model.encoder.encode(batch.features, batch.lengths)
    states = model.memory(encoded).states
    normalized = F.layer_norm(encoded.states, encoded.states.shape[-1:])
    assert same(states, model.memory_projection(normalized), 1e-9)
    louder = encoded._replace(states=100 * encoded.states)
    assert same(model.memory(louder).states, states, 1e-2)


@pytest.mark.parametrize("score", ["multiplicative", "additive", "location"])
def test_the_score_is_that_of_the_decoder(score):
    model = JointRecogniser(TONE_VOCAB_SIZE, width=8, score=score)
    assert type(model.decoder.score) is SCORES[score]
    assert type(JointRecogniser(TONE_VOCAB_SIZE, width=8).decoder.score) is SCORES["location"]


def test_strides_are_those_of_the_encoder(batch):
    model = JointRecogniser(TONE_VOCAB_SIZE, width=8, strides=(2, 2, 2)).double()
    lengths = model.encoder.encode(batch.features, batch.lengths).lengths
    assert lengths.tolist() == [-(-length // 8) for length in batch.lengths.tolist()]


def test_a_beam_size_below_one_is_refused(model):
    clips, _ = make_examples(np.random.default_rng(1), 0)
    with pytest.raises(ValueError, match="beam_size must be a whole number from 1"):
        transcribe(model.float(), clips, beam_size=0)


@pytest.mark.parametrize("ctc_weight", [-0.1, 1.5])
def test_a_weight_that_is_not_from_0_to_1_is_refused(ctc_weight):
    with pytest.raises(ValueError, match="ctc_weight must be from 0 to 1"):
        joint_objective(ctc_weight)

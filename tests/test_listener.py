"""The listener: its joint loss from parts, its state under the contract, what it can learn."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.tensors import same
from utils.data.batches import IGNORE
from utils.data.vocabulary import BOS, EOS, PAD
from utils.decoding.generation import NEVER_GENERATED
from utils.speech import ctc
from utils.speech.audio import SAMPLE_RATE, concatenate_clips
from utils.speech.batches import AudioBatch, audio_batch, length_batches
from utils.speech.ctc_recogniser import frame_log_probs, train_recogniser
from utils.speech.digits import DIGIT_TOKENIZER, RandomDigitStrings
from utils.speech.joint_recogniser import (
    JointRecogniser,
    attention_alignment,
    joint_objective,
    teacher_forcing_pair,
    transcribe,
)

V = 7


def tones(texts, rng):
    """Each token 4 … 6 a tone of its own."""
    tone = {
        w: np.sin(2 * np.pi * 300 * (w - 3) * np.arange(1600) / SAMPLE_RATE) for w in range(4, 7)
    }
    return [concatenate_clips([tone[w] for w in t], rng=rng, max_gap=0.1) for t in texts]


def random_strings(rng, step):
    texts = [rng.integers(4, 7, 3).tolist() for _ in range(8)]
    return tones(texts, rng), texts


@pytest.fixture
def batch():
    texts = [[4, 5, 6], [6], [5, 5]]
    clips = tones(texts, np.random.default_rng(0))
    batch = audio_batch(clips, texts)
    return AudioBatch(batch.features.double(), batch.frames, batch.targets)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return JointRecogniser(V, width=8).double().eval()


def test_a_decoder_reads_what_it_has_written_and_ends_where_the_text_ends():
    inputs, wanted = teacher_forcing_pair(torch.tensor([[4, 5, 6], [6, IGNORE, IGNORE]]))
    assert inputs.tolist() == [[BOS, 4, 5, 6], [BOS, 6, PAD, PAD]]
    assert wanted.tolist() == [[4, 5, 6, EOS], [6, EOS, IGNORE, IGNORE]]


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_joint_loss_is_its_two_losses_row_by_row(model, batch, weight):
    memory, log_p, places = model.heard(batch.features, batch.frames)
    by_ctc = by_attention = 0.0
    for i, text in enumerate([[4, 5, 6], [6], [5, 5]]):
        by_ctc += ctc.loss(log_p[i, : places[i]], text)
        own = {name: x[i : i + 1] for name, x in memory.items()}
        steps = model(torch.tensor([[BOS, *text]]), own)[0][0].log_softmax(-1)
        by_attention -= sum(steps[t, w] for t, w in enumerate([*text, EOS]))
    found = joint_objective(weight)(model, batch)
    assert same(found, weight * by_ctc + (1 - weight) * by_attention, 1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_reader_of_no_weight_learns_nothing(model, batch, weight):
    joint_objective(weight)(model, batch).backward()
    assert (model.ear.output.weight.grad is not None) == (weight > 0)
    assert (model.decoder.embedding.weight.grad is not None) == (weight < 1)
    assert model.ear.convolutions[0].weight.grad.abs().max() > 0


def test_places_beyond_a_clips_end_are_not_looked_at(model, batch):
    memory, _, places = model.heard(batch.features, batch.frames)
    assert memory["seen"].sum(1).tolist() == places.tolist() and len(set(places.tolist())) > 1
    mean = memory["places"][1, : places[1]].mean(0)
    assert same(memory["vector"][1], mean)
    more = F.pad(memory["places"], (0, 0, 0, 4), value=9.0)
    longer = {"places": more, "seen": F.pad(memory["seen"], (0, 4)), "vector": memory["vector"]}
    ids, _ = teacher_forcing_pair(batch.targets)
    assert same(model(ids, longer)[0], model(ids, memory)[0], 1e-12)


def test_step_by_step_is_teacher_forced(model, batch):
    ids, _ = teacher_forcing_pair(batch.targets)
    state, steps = model.encode(batch.features, batch.frames), []
    whole, _ = model(ids, state)
    for t in range(ids.shape[1]):
        logits, state = model(ids[:, t : t + 1], state)
        steps.append(logits)
    assert same(torch.cat(steps, 1), whole, 1e-12)


def test_it_learns_tones_and_writes_them_and_looks_from_left_to_right():
    torch.manual_seed(0)
    model = JointRecogniser(V, width=24, dropout=0.0)
    history = train_recogniser(
        model, random_strings, steps=200, learning_rate=1e-2, objective=joint_objective(0.3)
    )
    assert history.losses[-1] < 0.1 * history.losses[0]
    clips, texts = random_strings(np.random.default_rng(99), 0)
    assert transcribe(model, clips) == transcribe(model, clips, beam_size=1) == texts
    assert [ctc.best_path(s) for s in frame_log_probs(model.ear, clips)] == texts
    looked = attention_alignment(model, clips[0], texts[0])
    assert looked.shape[0] == 4 and same(looked.sum(1), torch.ones(4), 1e-5)
    middle = (looked[:3] * torch.arange(looked.shape[1])).sum(1)
    assert (middle.diff() > 0).all()


def test_a_beam_finds_what_is_at_least_as_likely(model):
    clips, _ = random_strings(np.random.default_rng(1), 0)
    model = model.float()

    def log_p(clip, ids):
        ((_, b),) = length_batches([clip], batch_size=1, device="cpu")
        logits, _ = model(torch.tensor([[BOS, *ids]]), model.encode(b.features, b.frames))
        logits[..., list(NEVER_GENERATED)] = float("-inf")
        wanted = torch.tensor([*ids, EOS][:6])  # cut off at six: no EOS
        return logits[0].log_softmax(-1)[range(len(wanted)), wanted].sum().item()

    for clip in clips[:3]:
        (plain,), (beam,) = (transcribe(model, [clip], beam_size=k, max_length=6) for k in (1, 8))
        assert log_p(clip, beam) >= log_p(clip, plain) - 1e-6


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_a_weight_that_is_none_is_named(weight):
    with pytest.raises(ValueError, match="from 0 to 1"):
        joint_objective(weight)


# ---- what is said -------------------------------------------------------------------------------


def test_random_strings_begin_with_single_digits_and_fill_batches():
    voice = {str(d): [np.sin(np.arange(1000) * (d + 1) / 9)] for d in range(10)}
    make = RandomDigitStrings(
        {"a": voice, "b": voice}, steps=100, digits_per_batch=12, max_length=5
    )
    lengths = set()
    for step in range(100):
        clips, ids = make(np.random.default_rng(step), step)
        (length,) = {len(row) for row in ids}
        assert len(clips) == len(ids) == 12 // length
        assert (length == 1) == (step < 30)
        lengths.add(length)
    assert lengths == {1, 3, 4, 5}
    said = DIGIT_TOKENIZER.decode(ids[0])
    assert set(said) <= set("0123456789") and DIGIT_TOKENIZER.encode(said) == ids[0]

"""The recogniser with CTC: its shapes, its sizes, and that it learns."""

import math

import numpy as np
import pytest
import torch

from tests.tones import TONE_VOCAB_SIZE, make_tone, random_strings
from utils.metrics.cost import count_parameters
from utils.speech.batches import AudioBatches, audio_batch
from utils.speech.ctc import best_path
from utils.speech.ctc_recogniser import (
    CTCRecogniser,
    ctc_objective,
    frame_log_probs,
    train_recogniser,
)
from utils.speech.ctc_search import prefix_beam_search
from utils.speech.features import HOP_LENGTH, WINDOW_LENGTH
from utils.training.config import TrainConfig
from utils.training.loop import fit

TONE = 0.5 * make_tone(440)
make_examples = random_strings(count=4, length=2)


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2), (3,)])
def test_steps_follow_the_strides_and_probabilities_sum_to_one(strides):
    model = CTCRecogniser(9, width=8, layers=1, strides=strides).eval()
    batch = audio_batch([TONE, TONE[:900]], [[4], [5]])
    log_probs, lengths = model(batch.features, batch.lengths)
    assert log_probs.shape == (2, int(lengths[0]), 9)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))
    expected = [math.ceil(length / math.prod(strides)) for length in batch.lengths.tolist()]
    assert lengths.tolist() == expected


def test_the_size_and_the_cell():
    assert 0.55e6 < count_parameters(CTCRecogniser(31)) < 0.65e6
    assert isinstance(CTCRecogniser(9, width=8).rnn, torch.nn.GRU)
    assert isinstance(CTCRecogniser(9, width=8, cell="lstm").rnn, torch.nn.LSTM)


@pytest.mark.parametrize("options", [{"width": 0}, {"layers": 0}, {"vocab_size": 0}])
def test_a_size_below_one_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CTCRecogniser(**({"vocab_size": 9} | options))


def test_it_learns_tones_with_fit_and_is_read_by_both_searches():
    torch.manual_seed(0)
    model = CTCRecogniser(TONE_VOCAB_SIZE, width=24, layers=1, dropout=0.0)
    config = TrainConfig(steps=120, learning_rate=1e-2, clip_norm=5.0)
    stream = AudioBatches(make_examples)
    history = fit(model, stream, config, progress=False, objective=ctc_objective)
    assert history.losses[-1] < 0.2 * history.losses[0]
    clips, texts = make_examples(np.random.default_rng(99), 0)
    log_probs = frame_log_probs(model, clips, batch_size=3)
    frames = [1 + (len(clip) - WINDOW_LENGTH) // HOP_LENGTH for clip in clips]
    assert [len(steps) for steps in log_probs] == [math.ceil(count / 4) for count in frames]
    assert [best_path(steps) for steps in log_probs] == texts
    assert [row[0].ids for row in prefix_beam_search(log_probs, beam_size=4)] == texts


def test_train_recogniser_is_fit_with_its_configuration():
    results = []
    for learning_rate, seed in ((1e-2, 3), (1e-2, 3), (1e-2, 4), (1e-3, 3)):
        torch.manual_seed(0)
        model = CTCRecogniser(TONE_VOCAB_SIZE, width=8, layers=1, dropout=0.0)
        history = train_recogniser(
            model, make_examples, steps=4, learning_rate=learning_rate, seed=seed
        )
        results.append(history.losses)
    torch.manual_seed(0)
    model = CTCRecogniser(TONE_VOCAB_SIZE, width=8, layers=1, dropout=0.0)
    config = TrainConfig(steps=4, learning_rate=1e-2, warmup=0.05, clip_norm=5.0)
    stream = AudioBatches(make_examples, seed=3)
    expected = fit(model, stream, config, progress=False, objective=ctc_objective).losses
    assert results[0] == results[1] == expected
    assert results[2] != expected and results[3] != expected

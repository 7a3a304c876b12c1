"""The recogniser for CTC: its steps, its sizes and its cell."""

import math

import pytest
import torch

from tests.helpers.tones import make_tone
from utils.metrics.cost import count_parameters
from utils.speech.audio_batches import audio_batch
from utils.speech.ctc_recognizer import CTCRecognizer

TONE = 0.5 * make_tone(440)


@pytest.mark.parametrize("strides", [(2, 2), (2, 2, 2), (3,)])
def test_steps_follow_the_strides_and_probabilities_sum_to_one(strides):
    model = CTCRecognizer(9, width=8, num_layers=1, strides=strides).eval()
    batch = audio_batch([TONE, TONE[:900]], [[4], [5]])
    log_probs, lengths = model(batch.features, batch.lengths)
    assert log_probs.shape == (2, int(lengths[0]), 9)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))
    expected = [math.ceil(length / math.prod(strides)) for length in batch.lengths.tolist()]
    assert lengths.tolist() == expected


def test_the_size_and_the_cell():
    assert 0.55e6 < count_parameters(CTCRecognizer(31)) < 0.65e6
    assert isinstance(CTCRecognizer(9, width=8).rnn, torch.nn.GRU)
    assert isinstance(CTCRecognizer(9, width=8, cell="lstm").rnn, torch.nn.LSTM)


@pytest.mark.parametrize("options", [{"width": 0}, {"num_layers": 0}, {"vocab_size": 0}])
def test_a_size_below_one_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CTCRecognizer(**({"vocab_size": 9} | options))

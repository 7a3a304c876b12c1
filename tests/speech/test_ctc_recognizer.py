"""The recognizer for CTC: its steps, its sizes, and that clips of a batch are independent."""

import math

import pytest
import torch
from torch import nn

from tests.helpers.tensors import same
from tests.helpers.tones import make_tone
from utils.metrics.cost import count_parameters
from utils.models.recurrent import make_rnn
from utils.speech.audio_batches import audio_batch
from utils.speech.ctc import ctc_batch_loss
from utils.speech.ctc_recognizer import BidirectionalRNN, CTCRecognizer, reverse_clips
from utils.speech.features import NUM_MEL_BANDS

TONE = 0.5 * make_tone(440)
LENGTHS = torch.tensor([37, 1, 20, 6])  # frames


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
    for options, cell in (({}, nn.GRU), ({"cell": "lstm"}, nn.LSTM)):
        model = CTCRecognizer(9, width=8, **options)
        networks = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
        assert len(networks) == 4 and all(isinstance(network, cell) for network in networks)


@pytest.mark.parametrize("options", [{"width": 0}, {"num_layers": 0}, {"vocab_size": 0}])
def test_a_size_below_one_is_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CTCRecognizer(**({"vocab_size": 9} | options))


@pytest.mark.parametrize("strides", [(), (2, 0), (1.5,)], ids=str)
def test_strides_that_are_not_positive_integers_are_refused(strides):
    with pytest.raises(ValueError, match="stride"):
        CTCRecognizer(9, strides=strides)


# ---- clips of a batch are independent ------------------------------------------------------------


def make_features():
    """Features of four clips, with padding that no result may depend on."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 37, NUM_MEL_BANDS, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_both_directions_are_those_of_torch_for_packed_clips(cell):
    torch.manual_seed(0)
    ours = BidirectionalRNN(cell, width=6, num_layers=2, dropout=0.0).double()
    torchs = make_rnn(cell, input_size=6, width=6, num_layers=2, bidirectional=True).double()
    with torch.no_grad():  # the parameters come in the same order
        for own, other in zip(ours.parameters(), torchs.parameters(), strict=True):
            other.copy_(own)
    x, lengths = torch.randn(3, 5, 6, dtype=torch.float64), torch.tensor([5, 2, 4])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(torchs(packed)[0], batch_first=True)
    states = ours(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert same(states[row, :length], expected[row, :length])


def test_a_clip_is_reversed_without_its_padding():
    x = torch.arange(8).view(2, 4, 1)
    reversed_x = reverse_clips(x, torch.tensor([4, 2]))
    assert reversed_x[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]


@pytest.mark.parametrize(
    "cell, strides, training",
    [
        ("gru", (2, 2), False),
        ("gru", (2, 2), True),
        ("gru", (2, 3, 1), True),
        ("gru", (1,), False),
        ("lstm", (2, 2), True),
        ("rnn", (2, 2), True),
    ],
)
def test_a_clip_does_not_depend_on_those_of_its_batch(cell, strides, training):
    """Neither its log-probabilities nor its gradient; in training it was 0.17 once."""
    torch.manual_seed(0)
    model = CTCRecognizer(9, width=8, strides=strides, cell=cell, dropout=0.0).double()
    model.train(training)
    features = make_features()
    log_probs, lengths = model(features, LENGTHS)
    padded = features.clone()
    targets = torch.tensor([[4], [5], [6], [7]])
    together = ctc_batch_loss(log_probs, lengths, targets).sum()
    gradients = torch.autograd.grad(together, model.parameters())
    alone = []
    for row, frames in enumerate(LENGTHS.tolist()):
        padded[row, frames:] = math.nan
        row_log_probs, row_lengths = model(features[row : row + 1, :frames], LENGTHS[row : row + 1])
        assert row_lengths[0] == lengths[row] == row_log_probs.shape[1]
        assert same(row_log_probs[0], log_probs[row, : lengths[row]], 1e-12)
        loss = ctc_batch_loss(row_log_probs, row_lengths, targets[row : row + 1]).sum()
        alone.append(torch.autograd.grad(loss, model.parameters()))
    for gradient, parts in zip(gradients, zip(*alone, strict=True), strict=True):
        assert same(gradient, torch.stack(parts).sum(0), 1e-10)
    assert torch.equal(model(padded, LENGTHS)[0], log_probs), "padding is never read"


def test_lengths_of_one_byte_are_read():
    model, features = CTCRecognizer(20, width=8, num_layers=1), torch.randn(2, 300, NUM_MEL_BANDS)
    _, expected = model(features, torch.tensor([255, 200]))
    _, lengths = model(features, torch.tensor([255, 200], dtype=torch.uint8))
    assert torch.equal(lengths, expected)


def test_states_are_zero_at_padding():
    encoded = CTCRecognizer(9, width=8).double().eval().encode(make_features(), LENGTHS)
    steps = torch.arange(encoded.states.shape[1])
    assert ((encoded.states == 0).all(-1) == (steps >= encoded.lengths[:, None])).all()


@pytest.mark.parametrize(
    "shape, lengths, message",
    [
        ((2, 9, 40), [9, 10], "row 1 has a length of 10; lengths must be from 1 to 9"),
        ((2, 9, 40), [0, 9], "row 0 has a length of 0"),
        ((2, 9, 40), [9], r"lengths must be \(2,\), one for each clip; got \(1,\)"),
        ((2, 9, 40), [9.0, 9.0], "lengths must be integers"),
        (
            (9, 40),
            [9],
            r"features must be \(B, F, 40\) with B from 1, as log_mel_batch returns; got",
        ),
        ((2, 40, 9), [9, 9], r"features must be \(B, F, 40\)"),
        ((0, 9, 40), [], r"features must be \(B, F, 40\) with B from 1"),
    ],
    ids=["long", "zero", "number", "float", "one clip", "bands first", "empty"],
)
def test_features_and_lengths_that_do_not_fit_are_refused(shape, lengths, message):
    with pytest.raises(ValueError, match=message):
        CTCRecognizer(9, width=8)(torch.zeros(shape), torch.tensor(lengths))

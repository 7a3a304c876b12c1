"""Padding, and batches of one running text: a function of the step, and every token scored once."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from utils.data.batches import IGNORE_INDEX, EndlessBatches, TextBatches, pad, text_eval_batches
from utils.data.labelled_batches import LabelledBatches
from utils.data.pair_batches import PairBatches
from utils.data.vocabulary import PAD
from utils.speech.audio_batches import AudioBatches

IDS = torch.arange(9)


def test_text_batches_are_a_function_of_seed_and_step():
    ids = torch.arange(4, 104)
    stream = TextBatches(ids, batch_size=8, context_length=5, seed=1)
    batch = stream[7]
    assert batch.inputs.shape == batch.targets.shape == (8, 5) and batch.source is None
    assert torch.equal(batch.targets, batch.inputs + 1)  # the text counts up by one
    stream[3]
    again = TextBatches(ids, batch_size=8, context_length=5, seed=1)[7]
    assert torch.equal(again.inputs, batch.inputs)
    assert not torch.equal(stream[8].inputs, batch.inputs)
    other = TextBatches(ids, batch_size=8, context_length=5, seed=2)[7]
    assert not torch.equal(other.inputs, batch.inputs)


def test_text_batches_reach_every_window():
    stream = TextBatches(torch.arange(8), batch_size=50, context_length=5, seed=0)
    assert set(stream[0].inputs[:, 0].tolist()) == {0, 1, 2}
    one_window = TextBatches(torch.arange(6), batch_size=3, context_length=5)[0]
    assert one_window.inputs.tolist() == [[0, 1, 2, 3, 4]] * 3 and one_window.targets[0, -1] == 5


def without_replacement(count, batch_size, context_length, seed):
    """A stream over a text that counts up by one, each window once in an epoch."""
    return TextBatches(
        torch.arange(count),
        batch_size=batch_size,
        context_length=context_length,
        seed=seed,
        without_replacement=True,
    )


@pytest.mark.parametrize(
    "count, batch_size, context_length",
    [(6, 3, 5), (10, 1, 5), (23, 2, 5), (101, 7, 4), (101, 200, 4), (8, 50, 7), (40, 3, 1)],
)
def test_text_batches_without_replacement(count, batch_size, context_length):
    stream = without_replacement(count, batch_size, context_length, seed=3)
    windows = max(1, (count - 1) // context_length - 1)
    steps = -(-4 * windows // batch_size)
    batches = [stream[step] for step in range(steps)]
    assert all(b.inputs.shape == (batch_size, context_length) for b in batches)
    assert all(torch.equal(b.targets, b.inputs + 1) for b in batches)
    starts = torch.cat([b.inputs[:, 0] for b in batches]).tolist()
    length = windows * context_length
    for epoch in range(4):  # adjacent windows, each once
        epoch_starts = starts[epoch * windows : (epoch + 1) * windows]
        first = min(epoch_starts)
        assert sorted(epoch_starts) == list(range(first, first + length, context_length))
        assert first + length < count and count - 1 - length < 2 * context_length
    for step in reversed(range(steps)):  # the step alone decides, whatever was read before
        fresh = without_replacement(count, batch_size, context_length, seed=3)
        for again in (stream, fresh):
            assert torch.equal(again[step].inputs, batches[step].inputs)


def test_epochs_without_replacement_differ_in_order_and_start():
    streams = [without_replacement(1001, 10, 10, seed) for seed in (0, 1)]
    first_starts = set()
    for stream in streams:
        starts = torch.cat([stream[step].inputs[:, 0] for step in range(99)]).view(10, 99)
        first_starts |= {min(epoch) for epoch in starts.tolist()}
        orders = {tuple((epoch - epoch.min()).tolist()) for epoch in starts}
        assert len(orders) == 10 and tuple(range(0, 990, 10)) not in orders
    assert len(first_starts) > 6 and max(first_starts) <= 10
    assert not torch.equal(streams[0][0].inputs % 10, streams[1][0].inputs % 10)


@pytest.mark.parametrize(
    "count, batch_size, context_length",
    [(2, 1, 1), (2, 9, 9), (11, 1, 4), (11, 3, 4), (12, 3, 2), (11, 7, 1), (101, 4, 7), (5, 4, 99)],
)
def test_evaluation_scores_every_token_after_the_first_once(count, batch_size, context_length):
    ids = torch.arange(4, count + 4)
    batches = text_eval_batches(ids, batch_size=batch_size, context_length=context_length)
    scored = torch.cat([b.targets.flatten() for b in batches])
    assert sorted(scored[scored != IGNORE_INDEX].tolist()) == ids[1:].tolist()
    for batch in batches:
        assert batch.inputs.shape == batch.targets.shape
        assert len(batch.inputs) <= batch_size and batch.inputs.shape[1] <= context_length
        is_token = batch.targets != IGNORE_INDEX
        assert torch.equal(batch.inputs[is_token] + 1, batch.targets[is_token])
        assert torch.equal(batch.inputs != PAD, is_token)


def test_evaluation_rows_go_on_where_the_batch_before_ended():
    batches = text_eval_batches(torch.arange(4, 105), batch_size=4, context_length=7)
    for before, after in pairwise(batches):
        continues = after.targets[:, 0] != IGNORE_INDEX
        assert torch.equal(before.targets[continues, -1], after.inputs[continues, 0])


@pytest.mark.parametrize(
    "ids, sizes, message",
    [
        (torch.arange(5), (1, 5), "needs 6 tokens; there are 5"),
        (IDS, (0, 5), "batch_size must be a positive"),
        (IDS, (1, 0), "context_length must be a positive"),
        (torch.zeros(2, 9), (1, 2), r"got shape \(2, 9\)"),
        (torch.tensor([1, -100, 2]), (1, 2), "token ids count from 0; got -100"),
        (torch.tensor([1.5, 2.7, 3.2]), (1, 2), "must be integers; got a tensor of torch.float32"),
        (np.array([1.0, math.nan, 3.0]), (1, 2), "must be integers; got an array of float64"),
        (np.array([1, None, 3], dtype=object), (1, 2), "must be integers; got None"),
        (np.array(["1", "2", "3"]), (1, 2), "must be integers; got '1'"),
        (np.array([1, 2, 2**63 + 5], dtype=np.uint64), (1, 2), "too large for int64"),
        (torch.tensor([True, False, True]), (1, 2), "must be integers; got a tensor of torch.bool"),
        ([1, 2, True], (1, 2), "must be integers; got True"),
        ([1, 2, 3.0], (1, 2), "must be integers; got 3.0"),
        ([1, 2, 2**70], (1, 2), "too large for int64"),
    ],
)
def test_a_stream_of_text_refuses_what_makes_no_sense(ids, sizes, message):
    for make in (TextBatches, text_eval_batches):
        if make is TextBatches or "tokens" not in message:  # any text of two tokens is evaluated
            with pytest.raises(ValueError, match=message):
                make(ids, batch_size=sizes[0], context_length=sizes[1])


def test_ids_of_every_integer_type_are_read():
    expected = TextBatches(IDS, batch_size=2, context_length=5)[3].inputs
    for ids in (IDS.tolist(), range(9), IDS.numpy().astype(np.uint16), IDS.to(torch.int32)):
        assert torch.equal(TextBatches(ids, batch_size=2, context_length=5)[3].inputs, expected)


@pytest.mark.parametrize("step", [-1, 1.5, 2.0, True, "1", None, slice(2)], ids=repr)
def test_a_step_is_a_non_negative_integer(step):
    stream = TextBatches(IDS, batch_size=1, context_length=5)
    with pytest.raises(ValueError, match="steps count from 0"):
        stream[step]
    assert torch.equal(stream[np.int64(3)].inputs, stream[3].inputs)


def test_a_step_of_one_byte_does_not_overflow():
    stream = without_replacement(100, 8, 16, seed=0)
    assert torch.equal(stream[np.int8(100)].inputs, stream[100].inputs)


def test_a_number_is_no_sequence_to_pad():
    with pytest.raises(ValueError, match=r"must be 1-D, a list of ids; got one of shape \(\)"):
        pad([torch.tensor(3)])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "read",
    [list, iter, enumerate, sum, lambda stream: next(batch for batch in stream)],
    ids="list iter enumerate sum for".split(),
)
def test_a_stream_without_an_end_cannot_be_iterated_over(read):
    stream = TextBatches(IDS, batch_size=1, context_length=5)
    assert isinstance(stream, EndlessBatches)
    with pytest.raises(TypeError, match=r"TextBatches is an endless stream .* stream\[step\]"):
        read(stream)


def largest_deviation(starts, count):
    """The largest distance from a uniform distribution over `count` starts, in σ."""
    observed = torch.bincount(starts, minlength=count)
    assert len(observed) == count
    expected = len(starts) / count
    sigma = math.sqrt(len(starts) * (1 / count) * (1 - 1 / count))
    return float((observed - expected).abs().max()) / sigma


@pytest.mark.parametrize("count, context_length", [(8, 5), (23, 5), (101, 1), (64, 16)])
def test_window_starts_are_uniform(count, context_length):
    stream = TextBatches(torch.arange(count), batch_size=500, context_length=context_length, seed=3)
    starts = torch.cat([stream[step].inputs[:, 0] for step in range(100)])
    assert largest_deviation(starts, count - context_length) < 5


def test_epochs_without_replacement_begin_anywhere_alike():
    stream = without_replacement(43, 1, 10, seed=3)  # an epoch has 3 windows, and 12 unused tokens
    starts = torch.cat([stream[step].inputs[:, 0] for step in range(3 * 3000)]).view(3000, 3)
    assert largest_deviation(starts.min(1).values, 13) < 5
    assert largest_deviation((starts[:, 0] - starts.min(1).values) // 10, 3) < 5


def test_evaluation_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="at least two tokens"):
        text_eval_batches(torch.arange(1), batch_size=1, context_length=5)
    with pytest.raises(ValueError, match="batch_size must be a positive"):
        text_eval_batches(IDS, batch_size=0, context_length=5)


def test_padding():
    padded = pad([[5, 6], [7], []])
    assert padded.tolist() == [[5, 6], [7, PAD], [PAD, PAD]] and padded.dtype == torch.long
    assert pad([[5, 6], [7]], IGNORE_INDEX).tolist() == [[5, 6], [7, IGNORE_INDEX]]
    with pytest.raises(ValueError, match="no sequences"):
        pad([])


@pytest.mark.parametrize(
    "sequence, got",
    [
        ([1.5], "1.5"),
        ([math.nan], "nan"),
        ([True], "True"),
        ("ab", "'ab'"),
        (["a"], "'a'"),
        (torch.tensor([2.0]), "torch.float32"),
        (np.array([2.5]), "float64"),
        (torch.tensor([True]), "torch.bool"),
    ],
)
def test_only_integers_are_padded(sequence, got):
    with pytest.raises(ValueError, match=f"integers; got .*{got}"):
        pad([[1, 2], sequence])


@pytest.mark.parametrize(
    "make_ids",
    [
        lambda ids: ids.astype(object),
        lambda ids: ids.astype(np.uint64),
        lambda ids: ids.astype(">i4"),
        lambda ids: ids[::-1].copy()[::-1],
    ],
    ids=["objects", "uint64", "big-endian", "reversed view"],
)
def test_an_array_of_integers_of_any_kind_is_a_text(make_ids):
    ids = np.arange(30)
    stream = TextBatches(make_ids(ids), batch_size=2, context_length=5)
    assert torch.equal(stream[3].inputs, TextBatches(ids, batch_size=2, context_length=5)[3].inputs)


def test_a_batch_of_text_moves_without_a_source():
    batch = TextBatches(IDS, batch_size=1, context_length=5)[0].to("meta")
    assert batch.inputs.device.type == batch.targets.device.type == "meta"
    assert batch.source is None


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0", True])
def test_a_seed_that_is_not_a_non_negative_integer_is_refused_at_once(seed):
    ids, message = [4, 5, 6, 7], f"seed must be a non-negative integer, got {seed!r}"
    with pytest.raises(ValueError, match=message):
        TextBatches(ids, batch_size=1, context_length=2, seed=seed)
    with pytest.raises(ValueError, match=message):
        PairBatches([(ids, ids)], batch_size=1, seed=seed)
    with pytest.raises(ValueError, match=message):
        LabelledBatches([(ids, 1)], batch_size=1, seed=seed)
    with pytest.raises(ValueError, match=message):
        AudioBatches(lambda rng, step: ([], []), seed=seed)


def test_sequences_to_pad_may_come_from_a_generator():
    sequences = [[4], [5, 6]]
    assert torch.equal(pad(iter(sequences)), pad(sequences))
    for wrong, message in ((iter([]), "no sequences to pad"), (4, "a list of lists of ids, got 4")):
        with pytest.raises(ValueError, match=message):
            pad(wrong)


def test_a_step_whose_windows_have_no_number_is_refused():
    options = {"batch_size": 4, "context_length": 5, "without_replacement": True}
    stream = TextBatches(range(50), **options)
    assert stream[2**61 - 1].inputs.shape == (4, 5)
    with pytest.raises(ValueError, match=f"step {2**61} is too large"):
        stream[2**61]


@pytest.mark.parametrize("value", [1.5, math.nan, "0", None])
def test_rows_are_not_padded_with_what_is_no_id(value):
    with pytest.raises(ValueError, match="value must be an integer"):
        pad([[4, 5], [6]], value)

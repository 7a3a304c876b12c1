"""Batches of sentence pairs and of labelled texts: each once, equally long within a batch."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from utils.data import labelled_batches, pair_batches
from utils.data.batches import IGNORE_INDEX
from utils.data.grouped_batches import group_by_length
from utils.data.labelled_batches import (
    LabelledBatch,
    LabelledBatches,
    labelled_batch,
    labelled_eval_batches,
)
from utils.data.pair_batches import (
    PairBatches,
    encode_pairs,
    pair_batch,
    pair_eval_batches,
    teacher_forcing_pair,
)
from utils.data.tokenizers import WordTokenizer
from utils.data.vocabulary import BOS, EOS, PAD


def random_pairs(count=57):
    """Pairs of random lengths; the first id of a source identifies the pair."""
    rng = np.random.default_rng(0)
    return [([10 + i] * rng.integers(1, 6), [10 + i] * rng.integers(0, 7)) for i in range(count)]


def pairs_of(batch):
    """The pairs that a batch holds; checks BOS, EOS and padding as well."""
    for source, inputs, targets in zip(batch.source, batch.inputs, batch.targets, strict=True):
        assert PAD not in source
        ids = targets[targets != IGNORE_INDEX].tolist()
        assert ids[-1] == EOS and inputs[0] == BOS
        assert inputs[1 : len(ids)].tolist() == ids[:-1]
        assert (inputs[len(ids) :] == PAD).all() and (targets[len(ids) :] == IGNORE_INDEX).all()
        yield source.tolist(), ids[:-1]


def test_pairs_are_encoded_side_by_side():
    tokenizer = WordTokenizer.train("a b c")
    encoded = encode_pairs([("a b", "c"), ("", "b b")], tokenizer)
    assert encoded == [([4, 5], [6]), ([], [5, 5])]


def test_an_epoch_holds_every_pair_once():
    pairs = random_pairs()
    stream = PairBatches(pairs, batch_size=4, seed=3)
    for epoch in range(3):
        steps = range(epoch * len(stream), (epoch + 1) * len(stream))
        assert sorted(pair for step in steps for pair in pairs_of(stream[step])) == sorted(pairs)
    assert all(len(batch.source) <= 4 for batch in stream)
    assert sorted(pair for batch in stream for pair in pairs_of(batch)) == sorted(pairs)


def test_targets_of_a_batch_are_about_equally_long():
    """Of one source length, no target of a batch is longer than one of a later batch."""
    rng = np.random.default_rng(0)
    pairs = [([10 + i] * 3, [10 + i] * rng.integers(0, 20)) for i in range(100)]
    batches = [list(pairs_of(batch)) for batch in PairBatches(pairs, batch_size=10, seed=1)]
    lengths = sorted(sorted(len(target) for _, target in batch) for batch in batches)
    assert all(low[-1] <= high[0] for low, high in pairwise(lengths))


def test_pair_batches_are_a_function_of_seed_and_step():
    stream = PairBatches(random_pairs(), batch_size=4, seed=3)
    late = list(pairs_of(stream[2 * len(stream) + 5]))
    fresh = PairBatches(random_pairs(), batch_size=4, seed=3)
    assert list(pairs_of(fresh[2 * len(stream) + 5])) == late

    def order(stream, epoch):
        steps = range(epoch * len(stream), (epoch + 1) * len(stream))
        return [[source[0] for source, _ in pairs_of(stream[step])] for step in steps]

    assert order(stream, 0) == order(fresh, 0) != order(stream, 1)
    other_seed = PairBatches(random_pairs(), batch_size=4, seed=4)
    assert order(other_seed, 0) != order(stream, 0)
    lengths = [stream[step].source.shape[1] for step in range(len(stream))]
    assert lengths != sorted(lengths), "batches should come in mixed lengths"
    first_batches = {frozenset(batch) for batch in order(stream, 0)}
    second_batches = {frozenset(batch) for batch in order(stream, 1)}
    assert first_batches != second_batches, "batches should be composed again"


def test_pair_evaluation_holds_everything_once_in_order():
    pairs = random_pairs()
    batches = pair_eval_batches(pairs, batch_size=4)
    assert sorted(pair for batch in batches for pair in pairs_of(batch)) == sorted(pairs)
    lengths = [batch.source.shape[1] for batch in batches]
    assert lengths == sorted(lengths)
    groups = group_by_length([len(source) for source, _ in pairs], batch_size=4)
    sources = [[pairs[i][0] for i in group] for group in groups]
    assert sources == [batch.source.tolist() for batch in batches]


def test_a_batch_larger_than_the_data_holds_all_of_one_length():
    stream = PairBatches([([5], [6]), ([7], []), ([8, 8], [9])], batch_size=100)
    assert sorted(len(batch.source) for batch in stream) == [1, 2]
    (only,) = pair_eval_batches([([7], [])], batch_size=100)
    assert only.inputs.tolist() == [[BOS]] and only.targets.tolist() == [[EOS]]


@pytest.mark.parametrize(
    "pairs, batch_size, message",
    [
        ([], 2, "no sentence pairs"),
        ([([4], [4]), ([], [4])], 2, "sentence pair 1 has a source of zero tokens"),
        ([([4], [4])], 0, "batch_size must be a positive"),
        ([([4], [4]), ([4.5], [4])], 2, "sentence pair 1 must be integers; got 4.5"),
        ([([4], [4]), ([4], [True])], 2, "sentence pair 1 must be integers; got True"),
        ([([4], [float("nan")])], 2, "sentence pair 0 must be integers; got nan"),
        ([("a b", "c")], 2, "sentence pair 0 must be a sequence of integers; got 'a b'"),
        ([([4], [5, IGNORE_INDEX, 6])], 2, "sentence pair 0 count from 0; got -100"),
        ([([-1], [5])], 2, "sentence pair 0 count from 0; got -1"),
    ],
)
@pytest.mark.parametrize("make", [PairBatches, pair_eval_batches])
def test_batches_of_pairs_refuse_what_makes_no_sense(make, pairs, batch_size, message):
    with pytest.raises(ValueError, match=message):
        make(pairs, batch_size=batch_size)


def test_a_batch_of_pairs_holds_integers_alone():
    assert pair_batch([([4, 5], [6]), ([7], [])]).source.tolist() == [[4, 5], [7, PAD]]
    with pytest.raises(ValueError, match="sentence pair 1 count from 0; got -100"):
        pair_batch([([4], [5]), ([4], [5, IGNORE_INDEX, 6])])


@pytest.mark.parametrize(
    "module, make, examples",
    [(pair_batches, PairBatches, [([4], [5])]), (labelled_batches, LabelledBatches, [([4], 1)])],
    ids=["pairs", "labelled texts"],
)
def test_ids_are_checked_once_and_not_in_each_batch(module, make, examples, monkeypatch):
    stream, calls = make(examples, batch_size=1), []
    monkeypatch.setattr(module, "as_id_list", lambda ids, **_: calls.append(ids) or ids)
    assert stream[0].inputs is not None and stream[7].inputs is not None
    assert not calls
    make(examples, batch_size=1)
    assert calls, "the check would be seen"


def test_pairs_of_tensors_are_read():
    pairs = [(torch.tensor([4, 5]), np.array([6]))]
    assert list(pairs_of(PairBatches(pairs, batch_size=1)[0])) == [([4, 5], [6])]


@pytest.mark.parametrize(
    "stream", [PairBatches([([4], [4])], batch_size=2), LabelledBatches([([4], 1)], batch_size=2)]
)
def test_a_stream_has_no_negative_steps(stream):
    with pytest.raises(ValueError, match="steps count from 0"):
        stream[-1]


def test_a_batch_moves_with_all_its_parts():
    batch = pair_eval_batches([([5], [6])], batch_size=1)[0].to("meta")
    devices = {part.device.type for part in (batch.inputs, batch.targets, batch.source)}
    assert devices == {"meta"}


# ---- labelled texts -----------------------------------------------------------------------------


def labelled_examples(count=57):
    """Texts of random lengths, whose ids determine their labels."""
    rng = np.random.default_rng(0)
    return [([10 + i] * rng.integers(1, 6), i) for i in range(count)]


def examples_of(batch):
    """The examples that a batch holds, which has no padding."""
    assert type(batch) is LabelledBatch and PAD not in batch.inputs
    return list(zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True))


def test_an_epoch_holds_every_labelled_text_once():
    examples = labelled_examples()
    stream = LabelledBatches(examples, batch_size=4, seed=3)
    epochs = []
    for epoch in range(3):
        steps = range(epoch * len(stream), (epoch + 1) * len(stream))
        epochs.append([examples_of(stream[step]) for step in steps])
        assert sorted(example for batch in epochs[-1] for example in batch) == sorted(examples)
        assert all(len(batch) <= 4 for batch in epochs[-1])
    assert epochs[0] != epochs[1] != epochs[2]
    assert [examples_of(batch) for batch in stream] == epochs[0]
    fresh = LabelledBatches(examples, batch_size=4, seed=3)
    assert examples_of(fresh[2 * len(stream) + 5]) == epochs[2][5]
    other_seed = LabelledBatches(examples, batch_size=4, seed=4)
    assert [examples_of(batch) for batch in other_seed] != epochs[0]


def test_labelled_texts_may_come_from_a_generator():
    examples = labelled_examples(3)
    (batch,) = labelled_eval_batches(iter([examples[0]]), batch_size=1)
    assert batch.targets.tolist() == [examples[0][1]]


def test_labelled_evaluation_holds_everything_once_in_order():
    examples = labelled_examples()
    batches = labelled_eval_batches(examples, batch_size=4)
    groups = group_by_length([len(ids) for ids, _ in examples], batch_size=4)
    assert [examples_of(batch) for batch in batches] == [
        [examples[i] for i in group] for group in groups
    ]


def test_a_labelled_batch_moves_to_a_device_as_a_whole():
    batch = labelled_batch([([4, 5], 1), ([6], 0)])
    moved = batch.to("meta")
    assert type(moved) is LabelledBatch
    assert moved.inputs.device.type == moved.targets.device.type == "meta"
    assert moved.inputs.shape == (2, 2) and moved.targets.shape == (2,)


def test_labels_are_as_they_are():
    """PAD, BOS and EOS among them, and one that no token has."""
    examples = [([5], label) for label in (0, 1, 2, -100)]
    assert labelled_batch(examples).targets.tolist() == [0, 1, 2, -100]
    with pytest.raises(ValueError, match="labels must be integers; got 0"):
        labelled_batch([([5], 0.5)])


@pytest.mark.parametrize(
    "examples, batch_size, message",
    [
        ([], 2, "no labelled examples"),
        ([([4], 1), ([], 0)], 2, "labelled example 1 has a text of zero tokens"),
        ([([4], 1)], 0, "batch_size must be a positive"),
        ([([4], 1), ([4.5], 1)], 2, "labelled example 1 must be integers; got 4.5"),
        ([([4, True], 1)], 2, "labelled example 0 must be integers; got True"),
        ([([-4], 1)], 2, "labelled example 0 count from 0; got -4"),
        ([([4], 1.7)], 2, "labels must be integers; got 1.7"),
        ([([4], True)], 2, "labels must be integers; got True"),
        ([([4], float("nan"))], 2, "labels must be integers; got nan"),
        ([([4], "positive")], 2, "labels must be integers; got 'positive'"),
    ],
)
@pytest.mark.parametrize("make", [LabelledBatches, labelled_eval_batches])
def test_batches_of_labelled_texts_refuse_what_makes_no_sense(make, examples, batch_size, message):
    with pytest.raises(ValueError, match=message):
        make(examples, batch_size=batch_size)


def test_a_decoder_reads_bos_and_the_text_and_predicts_the_text_and_eos():
    inputs, targets = teacher_forcing_pair(
        torch.tensor([[4, 5, 6], [6, IGNORE_INDEX, IGNORE_INDEX]])
    )
    assert inputs.tolist() == [[BOS, 4, 5, 6], [BOS, 6, PAD, PAD]]
    assert targets.tolist() == [[4, 5, 6, EOS], [6, EOS, IGNORE_INDEX, IGNORE_INDEX]]


def test_a_label_beyond_int64_is_refused():
    with pytest.raises(ValueError, match="labels are too large for int64"):
        labelled_batch([([4, 5], 2**63 + 5)])


@pytest.mark.parametrize("pair", [None, 3, "ab", ([4], [5], [6])])
def test_what_is_no_pair_is_refused_by_its_number(pair):
    with pytest.raises(ValueError, match="sentence pair 1 must be two lists of ids, got"):
        pair_batch([([4], [5]), pair])
    with pytest.raises(ValueError, match="labelled example 1 must be ids and a label, got"):
        labelled_batch([([4], 0), pair])

"""Checks of a run's batches: what is refused before the first step, and what suffices."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.small_runs import CONFIG, SIZES, TEXT, flat_weights, make_model, make_stream
from utils.data.batches import IGNORE_INDEX, Batch, TextBatches
from utils.training.batch_checks import check_training_batches, check_validation_batches
from utils.training.loop import fit

EMPTY = Batch(torch.tensor([[1]]), torch.tensor([[IGNORE_INDEX]]))


# ---- training batches ---------------------------------------------------------------------------


class SizedBatches:
    """Has a length, but is not a sequence; its batches draw random numbers."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, step):
        torch.rand(3)
        if step >= self.size:
            raise IndexError(step)
        return make_stream()[step]


class EpochOfBatches(SizedBatches):
    """An endless stream whose length is that of an epoch."""

    def __getitem__(self, step):
        return super().__getitem__(step % self.size)


class BatchesOfLengthOne(SizedBatches):
    """Has more batches than its length tells."""

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    "batches, message",
    [
        ([make_stream()[0]] * 23, "steps=12 with accumulation_steps=2 need 24 batches, got 23"),
        ([], "need 24 batches, got 0"),
        ((make_stream()[i] for i in range(24)), "expected a stream such as .*, got generator"),
        (iter([make_stream()[0]] * 24), "got list_iterator"),
        (torch.utils.data.DataLoader([1]), "got DataLoader"),  # type: ignore[arg-type]
        (None, "got NoneType"),
        (SizedBatches(23), "need 24 batches, got 23"),
        (SizedBatches(0), "need 24 batches, got 0"),
        (dict(enumerate([make_stream()[0]] * 23)), "need 24 batches, got 23"),
        (BatchesOfLengthOne(23), "need 24 batches, got 1"),
    ],
    ids="too few,none,generator,iterator,loader,None,sized,empty,dict,length one".split(","),
)
def test_batches_that_do_not_suffice_are_refused_before_the_first_step(batches, message):
    model = make_model()
    before = flat_weights(model)
    config = replace(CONFIG, accumulation_steps=2)
    with pytest.raises(ValueError, match=message):
        check_training_batches(batches, config)
    with pytest.raises(ValueError, match=message):
        fit(model, batches, config, progress=False)
    assert torch.equal(flat_weights(model), before)


def test_just_enough_batches_are_trained_on():
    config = replace(CONFIG, accumulation_steps=2)
    batches_of_a_list = [make_stream()[i] for i in range(24)]
    for batches in (
        batches_of_a_list,
        SizedBatches(24),
        BatchesOfLengthOne(24),
        EpochOfBatches(5),
    ):
        history = fit(make_model(), batches, config, progress=False)
        assert len(history.losses) == 12


def test_the_look_at_the_last_batch_of_a_stream_leaves_the_random_numbers(monkeypatch):
    losses = []
    for size in (12, 5):  # a look is needed at the second only
        monkeypatch.setattr(EpochOfBatches, "__len__", lambda self, size=size: size)
        history = fit(make_model(), EpochOfBatches(5), CONFIG, progress=False)
        losses.append(history.losses)
    assert losses[0] == losses[1], "dropout and the stream itself draw the same numbers"


# ---- validation batches -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "valid, message",
    [
        ([], "valid holds no batch"),
        (iter([make_stream()[0]]), "not an iterator"),
        (make_stream(), "TextBatches is an endless stream"),
        ((batch for batch in [make_stream()[0]]), "not an iterator"),
        ([EMPTY, EMPTY], "hold no token to predict"),
        ([TEXT[:10]], "valid must hold batches with targets, got Tensor"),
        (7, "must be a list of batches, got int"),
        (make_stream()[0], "must be a list of batches, got Batch"),
    ],
)
def test_validation_batches_that_cannot_be_used_are_refused_before_the_first_step(valid, message):
    class UnusedStream(TextBatches):
        def __getitem__(self, step):
            raise AssertionError("no batch is needed to see that")

    with pytest.raises(ValueError, match=message):
        check_validation_batches(valid)
    with pytest.raises(ValueError, match=message):
        fit(make_model(), UnusedStream(TEXT, **SIZES), CONFIG, valid=valid, progress=False)

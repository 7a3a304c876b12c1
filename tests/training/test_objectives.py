"""Negative log-likelihoods: their formula with label smoothing, precision, and their models."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from utils.data.batches import IGNORE_INDEX, Batch
from utils.data.labelled_batches import LabelledBatch
from utils.models.classifiers import Classifier, WordCNNEncoder
from utils.models.language_models import RNNLM
from utils.speech.joint_recognizer import JointRecognizer
from utils.training.adversarial import adversarial_objective
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.objectives import (
    label_nll,
    label_objective,
    summed_nll,
    token_nll,
    token_objective,
)

V = 12
TARGETS = torch.tensor([[4, 5, IGNORE_INDEX, 6, 7]])
BATCH = Batch(torch.zeros(1, 5, dtype=torch.long), TARGETS)


class Constant(nn.Module):
    """Predicts the same logits for every input."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, ids, state=None):
        return self.logits, state


def sum_of_losses(logits, smoothing):
    """The formula of label smoothing, summed over TARGETS without padding."""
    log_probs = logits.log_softmax(-1)[0]
    return sum(
        -(1 - smoothing) * log_probs[t, target] - smoothing / V * log_probs[t].sum()
        for t, target in enumerate(TARGETS[0].tolist())
        if target != IGNORE_INDEX
    )


def test_label_smoothing_is_its_formula_in_training_mode_alone():
    logits = torch.randn(1, 5, V, dtype=torch.float64)
    plain, smoothed = (sum_of_losses(logits, smoothing) for smoothing in (0.0, 0.1))
    labels = LabelledBatch(TARGETS[0, :, None], TARGETS[0])  # the same targets, one for each text
    for make_objective, nll, model, batch in (
        (token_objective, token_nll, Constant(logits), BATCH),
        (label_objective, label_nll, ConstantClassifier(logits[0]), labels),
    ):
        objective = make_objective(label_smoothing=0.1)
        assert torch.isclose(nll(model.train(), batch), plain)
        assert torch.isclose(objective(model, batch), smoothed)
        assert torch.isclose(objective(model.eval(), batch), plain)


class ConstantClassifier(Constant):
    """Predicts the same logits for every batch of texts."""

    def forward(self, ids):
        return self.logits


class Conditional(Constant):
    """Predicts the same logits for every input and every source."""

    def begin(self, source):
        return source


def test_a_source_and_a_model_that_reads_one_belong_together():
    logits, inputs = torch.randn(1, 5, V), BATCH.inputs
    with_source = Batch(inputs, TARGETS, source=inputs)
    assert token_nll(Conditional(logits), with_source) == token_nll(Constant(logits), BATCH)
    with pytest.raises(ValueError, match="has a source, but Constant is not an encoder–decoder"):
        token_nll(Constant(logits), with_source)
    with pytest.raises(ValueError, match=r"Conditional starts from model.begin\(source\)"):
        token_nll(Conditional(logits), BATCH)


def test_a_model_that_begins_from_more_than_a_source_is_refused():
    model, ids = JointRecognizer(V, width=8), BATCH.inputs
    with pytest.raises(ValueError, match=r"JointRecognizer is not .*'lengths'.*utils.speech"):
        token_nll(model, Batch(ids, ids, source=ids))


@pytest.mark.parametrize(
    "make_objective",
    [
        token_objective,
        label_objective,
        partial(summed_nll, torch.zeros(1, V), torch.tensor([4])),
        partial(adversarial_objective, nn.Embedding(V, 3), epsilon=0.1),
    ],
    ids=["tokens", "labels", "sum", "adversarial"],
)
@pytest.mark.parametrize("smoothing", [-0.1, 1.5, math.nan, math.inf, True, None])
def test_label_smoothing_that_is_not_from_0_to_1_is_refused(make_objective, smoothing):
    message = f"label_smoothing must be a number from 0 to 1, got {smoothing}"
    with pytest.raises(ValueError, match=message):
        make_objective(label_smoothing=smoothing)


def test_label_smoothing_of_large_logits_is_finite():
    logits = torch.where(torch.arange(V) == 4, 1e4, torch.randn(1, 5, V, dtype=torch.float64))
    assert token_objective(label_smoothing=0.1)(Constant(logits), BATCH).isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_loss_is_never_computed_in_half_precision(dtype):
    logits = (10 * torch.randn(1, 5, V)).to(dtype)
    loss = token_nll(Constant(logits), BATCH)
    expected = token_nll(Constant(logits.double()), BATCH)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.isclose(loss.double(), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 3, 1), (1, 6), ()])
def test_targets_of_another_layout_than_the_logits_are_refused(shape):
    """With as many elements they would be paired with the wrong logits."""
    targets = torch.full(shape, 4)
    message = r"targets must have the shape \(2, 3\) of the logits \(2, 3, 12\) without V, got"
    with pytest.raises(ValueError, match=message):
        summed_nll(torch.randn(2, 3, V), targets)
    batch = Batch(torch.full((2, 3), 4), targets)
    with pytest.raises(ValueError, match=message):
        evaluate(Constant(torch.randn(2, 3, V)), [batch])
    labels = LabelledBatch(torch.full((6, 3), 4), torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"targets must have the shape \(6,\)"):
        label_nll(lambda ids: torch.randn(6, V), labels)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16])
def test_targets_may_be_any_integers(dtype):
    logits = torch.randn(1, 5, V)
    expected = summed_nll(logits, TARGETS)
    assert summed_nll(logits, TARGETS.to(dtype)) == expected
    assert summed_nll(logits[0, 0], TARGETS[0, 0]) == summed_nll(logits[:, :1], TARGETS[:, :1])
    for wrong in (TARGETS.double(), TARGETS > 4):
        with pytest.raises(ValueError, match=f"targets must be integers, .* {wrong.dtype}"):
            summed_nll(logits, wrong)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target", [V, V + 5, -1, -99])
def test_a_target_outside_the_vocabulary_is_named(target, smoothing):
    targets = TARGETS.clone()
    targets[0, 1] = target
    config, model = TrainConfig(steps=1), RNNLM(V, width=4)
    options = {"objective": token_objective(label_smoothing=smoothing), "progress": False}
    message = rf"targets must be from 0 to 11, .* got \[{target}\]"
    with pytest.raises(ValueError, match=message):
        fit(model, [Batch(BATCH.inputs, targets)], config, **options)
    with pytest.raises(ValueError, match=message):
        evaluate(model, [Batch(BATCH.inputs, targets)])


def test_inputs_outside_the_vocabulary_are_named():
    inputs = torch.tensor([[1, 4, V + 3, 5, 6]])
    with pytest.raises(ValueError, match=r"the model's vocabulary, .* ids from 1 to 15"):
        fit(RNNLM(V, width=4), [Batch(inputs, TARGETS)], TrainConfig(steps=1), progress=False)
    embedding = nn.Sequential(nn.Embedding(V, 3), nn.Flatten(1))
    with pytest.raises(ValueError, match=r"the model's vocabulary, .* ids from 1 to 15"):
        label_nll(embedding, LabelledBatch(inputs, torch.tensor([0])))


def test_an_index_error_of_the_model_itself_is_not_hidden():
    def fail(ids, state=None):
        raise IndexError("list index out of range")

    with pytest.raises(IndexError, match="list index"):
        token_nll(fail, BATCH)


def make_rnn_lm():
    return RNNLM(9, width=4)


def make_classifier():
    return Classifier(WordCNNEncoder(9, embedding_size=4, num_filters=2), input_size=6)


LABELLED = LabelledBatch(torch.tensor([[4, 5], [6, 7]]), torch.tensor([0, 1]))
TOKENS = Batch(LABELLED.inputs, LABELLED.inputs)


@pytest.mark.parametrize(
    "make_model, batch, options, message",
    [
        (make_classifier, LABELLED, {}, "is not a batch of tokens .* objective=label_nll"),
        (make_classifier, TOKENS, {}, "Classifier is called without a state.* objective=label_nll"),
        (make_rnn_lm, LABELLED, {}, "LabelledBatch is not a batch of tokens"),
        (
            make_rnn_lm,
            LABELLED,
            {"objective": label_nll},
            "RNNLM is not a classifier.* objective=token_nll",
        ),
        (make_rnn_lm, (1, 2), {}, "tuple is not a batch, as it has no tensor `targets`"),
    ],
)
def test_a_batch_of_another_task_is_refused(make_model, batch, options, message):
    config = TrainConfig(steps=1, learning_rate=0.1)
    with pytest.raises(ValueError, match=message):
        fit(make_model(), [batch], config, progress=False, **options)


def test_an_error_inside_a_model_is_not_that_of_its_call():
    class Broken(nn.Module):
        def forward(self, ids, state):
            return len(3)

    with pytest.raises(TypeError, match="has no len"):
        token_nll(Broken(), TOKENS)


def test_logits_that_are_integers_are_refused():
    with pytest.raises(ValueError, match="logits must be floating-point numbers, got a tensor of"):
        summed_nll(torch.tensor([[1, 2]]), torch.tensor([0]))

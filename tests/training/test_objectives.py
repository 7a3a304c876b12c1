"""Cross-entropy: its formula with label smoothing, its precision, and the models it is for."""

import math

import pytest
import torch
from torch import nn

from utils.data.batches import IGNORE_INDEX, Batch
from utils.training.objectives import adversarial_objective, cross_entropy

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


def test_label_smoothing_is_its_formula():
    logits, smoothing = torch.randn(1, 5, V, dtype=torch.float64), 0.1
    log_probs = logits.log_softmax(-1)[0]
    expected = sum(
        -(1 - smoothing) * log_probs[t, target] - smoothing / V * log_probs[t].sum()
        for t, target in enumerate(TARGETS[0].tolist())
        if target != IGNORE_INDEX
    )
    assert torch.isclose(cross_entropy(Constant(logits), BATCH, smoothing), expected)


class Conditional(Constant):
    """Predicts the same logits for every input and every source."""

    def begin(self, source):
        return source


def test_a_source_and_a_model_that_reads_one_belong_together():
    logits, inputs = torch.randn(1, 5, V), BATCH.inputs
    with_source = Batch(inputs, TARGETS, source=inputs)
    assert cross_entropy(Conditional(logits), with_source) == cross_entropy(Constant(logits), BATCH)
    with pytest.raises(ValueError, match="has a source, but Constant is not an encoder–decoder"):
        cross_entropy(Constant(logits), with_source)
    with pytest.raises(ValueError, match=r"Conditional starts from model.begin\(source\)"):
        cross_entropy(Conditional(logits), BATCH)


@pytest.mark.parametrize("epsilon", [-0.1, math.inf, math.nan, True, None])
def test_a_norm_of_a_perturbation_that_is_not_a_number_from_0_on_is_refused(epsilon):
    with pytest.raises(ValueError, match=f"epsilon must be a non-negative number, got {epsilon}"):
        adversarial_objective(torch.nn.Embedding(2, 2), epsilon=epsilon)


def test_label_smoothing_of_large_logits_is_finite():
    logits = torch.where(torch.arange(V) == 4, 1e4, torch.randn(1, 5, V, dtype=torch.float64))
    assert cross_entropy(Constant(logits), BATCH, 0.1).isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_loss_is_never_computed_in_half_precision(dtype):
    logits = (10 * torch.randn(1, 5, V)).to(dtype)
    loss = cross_entropy(Constant(logits), BATCH)
    expected = cross_entropy(Constant(logits.double()), BATCH)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.isclose(loss.double(), expected, rtol=1e-6)

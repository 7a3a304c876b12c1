"""Adversarial training: the loss of word vectors that are moved up the gradient, by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils import runtime
from utils.data.labelled_batches import LabelledBatch
from utils.models.classifiers import Classifier
from utils.states import Memory
from utils.training.adversarial import adversarial_objective
from utils.training.objectives import label_nll


class SumOfWords(nn.Module):
    """An encoder whose vector is the sum of the word vectors."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)

    def forward(self, source):
        states = self.embedding(source)
        return Memory(states, source != 0, vector=states.sum(1))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_half_of_the_adversarial_loss_is_that_of_vectors_moved_up_the_gradient(smoothing):
    runtime.seed_everything(0)
    model = Classifier(SumOfWords(), input_size=4, dropout=0.0).double()
    ids, labels = torch.tensor([[4, 5, 6], [7, 7, 8]]), torch.tensor([1, 0])
    objective = adversarial_objective(
        model.encoder.embedding, epsilon=0.7, label_smoothing=smoothing
    )
    options = {"reduction": "sum", "label_smoothing": smoothing}
    batch = LabelledBatch(ids, labels)
    logits = model(ids).detach()
    first_loss = F.cross_entropy(logits, labels, **options)
    smoothed_labels = (1 - smoothing) * F.one_hot(labels, 2) + smoothing / 2
    gradient = (logits.softmax(-1) - smoothed_labels) @ model.output.weight.detach()  # (B, 4)
    # each of the three words moves alike, so that the text moves by 0.7
    step = 0.7 * gradient / (gradient.norm(dim=1, keepdim=True) * 3**0.5)
    moved = model.encoder(ids).vector + 3 * step
    adversarial_loss = F.cross_entropy(model.output(moved), labels, **options)
    assert adversarial_loss > first_loss + 0.1
    torch.testing.assert_close(objective(model, batch), (first_loss + adversarial_loss) / 2)
    plain_loss = F.cross_entropy(logits, labels, reduction="sum")
    torch.testing.assert_close(label_nll(model, batch).detach(), plain_loss)  # no hook is left
    model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(objective(model, batch), plain_loss)


@pytest.mark.parametrize("calls", [0, 2])
def test_an_embedding_that_is_not_called_exactly_once_is_refused(calls):
    class Repeated(SumOfWords):
        def forward(self, source):
            states = sum(self.embedding(source) for _ in range(calls)) + torch.zeros(1, 1, 4)
            return Memory(states, source != 0, vector=states.sum(1))

    model = Classifier(Repeated(), input_size=4)
    objective = adversarial_objective(model.encoder.embedding, epsilon=0.7)
    batch = LabelledBatch(torch.tensor([[4, 5, 6]]), torch.tensor([1]))
    with pytest.raises(ValueError, match=f"Classifier called the embedding {calls} times"):
        objective(model, batch)


def test_the_mode_is_that_of_the_model():
    """Frozen word vectors, in evaluation mode for good, are perturbed in training too."""
    model = Classifier(SumOfWords(), input_size=4, dropout=0.0)
    model.encoder.embedding.eval()
    batch = LabelledBatch(torch.tensor([[4, 5, 6]]), torch.tensor([1]))
    objective = adversarial_objective(model.encoder.embedding, epsilon=0.7)
    assert objective(model, batch) > label_nll(model, batch)
    model.encoder.embedding.train()
    model.training = False
    assert objective(model, batch) == label_nll(model, batch)


def test_labels_are_smoothed_on_request_only():
    runtime.seed_everything(0)
    model = Classifier(SumOfWords(), input_size=4, dropout=0.0)
    batch = LabelledBatch(torch.tensor([[4, 5, 6], [7, 7, 8]]), torch.tensor([1, 0]))
    losses = [
        adversarial_objective(model.encoder.embedding, epsilon=0.7, **options)(model, batch)
        for options in ({}, {"label_smoothing": 0.0}, {"label_smoothing": 0.1})
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("epsilon", [-0.1, math.inf, math.nan, True, None])
def test_a_norm_of_a_perturbation_that_is_not_a_number_from_0_on_is_refused(epsilon):
    with pytest.raises(ValueError, match=f"epsilon must be a non-negative number, got {epsilon}"):
        adversarial_objective(nn.Embedding(2, 2), epsilon=epsilon)

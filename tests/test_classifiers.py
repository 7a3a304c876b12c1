"""Classifiers: padding changes nothing, counts equal an example by hand, texts keep their order."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F

from utils import runtime
from utils.data.batches import Batch, pad
from utils.data.pair_batches import LabelledBatches, label_eval_batches
from utils.models.classifiers import Classifier, LanguageModelEncoder, WordCNN, predict_logits
from utils.models.encoders import RNNEncoder
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM
from utils.models.nbsvm import LOSSES, NBSVM, log_count_ratio
from utils.models.transformer import TransformerEncoder
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.objectives import adversarial_objective, label_cross_entropy

ENCODERS = {
    "RNN": lambda: (RNNEncoder(20, width=8), 8),
    "CNN": lambda: (WordCNN(20, embedding_size=6, filters=4, kernel_sizes=(2, 3, 5)), 12),
    "Transformer": lambda: (TransformerEncoder(20, width=8, layers=2, heads=2), 8),
    "GPT": lambda: (LanguageModelEncoder(GPT(20, width=8, layers=2, heads=2, zero_init=False)), 8),
    "LSTM": lambda: (LanguageModelEncoder(LSTMLM(20, width=8, layers=1)), 8),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_no_answer(name):
    runtime.seed_everything(0)
    encoder, size = ENCODERS[name]()
    model = Classifier(encoder, input_size=size).double().eval()
    texts = [[5, 6], [7, 8, 9, 10, 11, 12, 13], [14, 15, 16]]
    alone = torch.cat([model(torch.tensor([text])) for text in texts])
    torch.testing.assert_close(model(pad(texts)), alone, rtol=1e-12, atol=1e-12)


def test_a_filter_sees_each_window_that_holds_a_word_and_no_other():
    runtime.seed_everything(0)
    cnn = WordCNN(9, embedding_size=3, filters=2, kernel_sizes=(3,)).double().eval()
    cnn.convolutions[0].bias.data.fill_(5.0)  # an empty window would answer 5 everywhere
    cnn.convolutions[0].weight.data.neg_()
    x = cnn.embedding.weight[[4, 5]]  # (2, E)
    w, b = cnn.convolutions[0].weight, cnn.convolutions[0].bias
    answers = []
    for start in (-2, -1, 0, 1):
        window = [x[start + i] if 0 <= start + i < 2 else torch.zeros(3) for i in range(3)]
        answers.append(sum(w[:, :, i] @ window[i].double() for i in range(3)) + b)
    by_hand = torch.stack(answers).amax(0).relu()
    torch.testing.assert_close(cnn(torch.tensor([[4, 5, 0, 0, 0]]))["vector"][0], by_hand)


def test_the_log_ratio_equals_a_hand_worked_example():
    x = sparse.csr_matrix([[1, 0], [1, 1], [0, 1]])
    # class 1: counts (2, 1) plus 1 = (3, 2) of 5; class 0: (0, 1) plus 1 = (1, 2) of 3
    expected = [math.log((3 / 5) / (1 / 3)), math.log((2 / 5) / (2 / 3))]
    np.testing.assert_allclose(log_count_ratio(x, np.array([1, 1, 0])), expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_nbsvm_learns_a_pair_that_no_single_word_tells(loss):
    good, bad = ["not bad at all", "good fun"] * 6, ["not good at all", "bad fun"] * 6
    texts, labels = good + bad, [1] * 12 + [0] * 12
    assert ((NBSVM(loss=loss).fit(texts, labels).decide(texts) > 0) == labels).all()
    single = NBSVM(order=1).fit(texts, labels)
    assert not ((single.decide(texts) > 0) == labels).all()
    with pytest.raises(ValueError, match="0 and 1"):
        NBSVM().fit(["a", "b"], [1, 1])
    with pytest.raises(ValueError, match="share"):
        NBSVM(interpolation=2)
    with pytest.raises(ValueError, match="choose from squared hinge, logistic"):
        NBSVM(loss="hinge")


@pytest.mark.parametrize("loss", LOSSES)
def test_the_weights_of_nbsvm_are_where_its_loss_is_least(loss):
    texts, y = ["a b", "a", "b c", "c", "a c"], np.array([1, 1, -1, -1, 1])
    machine = NBSVM(order=1, C=0.5, interpolation=1, loss=loss).fit(texts, (y + 1) // 2)
    x = machine.counter.transform(texts).multiply(machine.ratio).toarray()  # (N, F)
    w, b = machine.weights, machine.bias
    margin = y * (x @ w + b)
    slope = -2 * np.maximum(0, 1 - margin) if "hinge" in loss else -1 / (1 + np.exp(margin))
    gradient = w + 0.5 * (slope * y) @ x  # of |w|²/2 + b²/2 + C Σ loss(margin)
    assert np.abs(gradient).max() < 2e-3 and abs(b + 0.5 * (slope * y).sum()) < 2e-3


class SumOfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)

    def forward(self, source):
        return {"vector": self.embedding(source).sum(1)}


def test_half_of_the_adversarial_loss_is_of_vectors_moved_up_the_slope():
    runtime.seed_everything(0)
    model = Classifier(SumOfWords(), input_size=4, dropout=0.0).double()
    texts, labels = torch.tensor([[4, 5, 6], [7, 7, 8]]), torch.tensor([1, 0])
    loss, batch = adversarial_objective(0.7), Batch(texts, labels)
    plain = label_cross_entropy(model, batch)
    p = model(texts).softmax(-1).detach()
    slope = (p - F.one_hot(labels, 2)) @ model.output.weight.detach()  # of the vector, by hand
    step = 0.7 * slope / (slope.norm(dim=1, keepdim=True) * 3**0.5)  # each of three words alike
    misled = F.cross_entropy(
        model.output(model.encoder(texts)["vector"] + 3 * step), labels, reduction="sum"
    )
    assert misled > plain + 0.1
    torch.testing.assert_close(loss(model, batch), (plain + misled) / 2)
    torch.testing.assert_close(label_cross_entropy(model, batch), plain)  # no hook is left
    model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(loss(model, batch), plain.detach())


def test_texts_are_judged_in_their_order_and_each_label_stays_with_its_text():
    runtime.seed_everything(0)
    model = Classifier(*ENCODERS["RNN"]())
    texts = [[5] * n for n in (3, 1, 2, 3, 9)]
    found = predict_logits(model, texts)
    with pytest.raises(ValueError, match="text 2 has no tokens"):
        predict_logits(model, [[5, 6], [7], [], [8]])
    assert model.training, "predict leaves the model's mode as it was"
    model.eval()
    for text, logits in zip(texts, found, strict=True):
        torch.testing.assert_close(logits, model(torch.tensor([text]))[0])
    examples = [([5 + n] * (1 + n % 3), n) for n in range(10)]
    for batches in (LabelledBatches(examples, batch_size=2, seed=0), None):
        batches = batches or label_eval_batches(examples, batch_size=2)
        seen = [
            (int(i[0]), int(y)) for b in batches for i, y in zip(b.inputs, b.targets, strict=True)
        ]
        assert sorted(seen) == [(5 + n, n) for n in range(10)]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_classifier_learns_which_word_stands_in_the_text(name):
    runtime.seed_everything(1)
    model = Classifier(*ENCODERS[name](), dropout=0.0)
    draw = np.random.default_rng(0)
    examples = []
    for _ in range(120):
        label, ids = int(draw.integers(2)), draw.integers(6, 20, int(draw.integers(2, 7))).tolist()
        ids[draw.integers(len(ids))] = 4 + label
        examples.append((ids, label))
    batches = LabelledBatches(examples, batch_size=30)
    config = TrainConfig(steps=120, learning_rate=1e-2)
    fit(model, batches, config, progress=False, objective=label_cross_entropy)
    logits = predict_logits(model, [ids for ids, _ in examples])
    right = (logits.argmax(1) == torch.tensor([label for _, label in examples])).float().mean()
    assert right > 0.95


def test_a_language_model_that_is_fine_tuned_stays_as_it_was_outside():
    model = GPT(20, width=8, layers=1, heads=2)
    before = model.embedding.weight.clone()
    judge = Classifier(LanguageModelEncoder(model), input_size=8)
    judge(torch.tensor([[5, 6]])).sum().backward()
    assert judge.encoder.body.embedding.weight.grad is not None
    assert model.embedding.weight.grad is None and torch.equal(before, model.embedding.weight)

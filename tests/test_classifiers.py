"""Classifiers: padding changes nothing, counts equal an example by hand, texts keep their order."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F

from utils import classifiers, training
from utils.batches import Batch, pad
from utils.encoders import RNNEncoder, TransformerEncoder
from utils.lm import GPT, LSTMLM
from utils.runtime import seed_everything

ENCODERS = {
    "RNN": lambda: (RNNEncoder(20, 8), 8),
    "CNN": lambda: (classifiers.WordCNN(20, 6, 4, (2, 3, 5)), 12),
    "Transformer": lambda: (TransformerEncoder(20, 8, 2, 2), 8),
    "GPT": lambda: (classifiers.LanguageModelEncoder(GPT(20, 8, 2, 2, zeros=False)), 8),
    "LSTM": lambda: (classifiers.LanguageModelEncoder(LSTMLM(20, 8, 1)), 8),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_no_answer(name):
    seed_everything(0)
    encoder, size = ENCODERS[name]()
    model = classifiers.Classifier(encoder, size).double().eval()
    texts = [[5, 6], [7, 8, 9, 10, 11, 12, 13], [14, 15, 16]]
    alone = torch.cat([model(torch.tensor([text])) for text in texts])
    torch.testing.assert_close(model(pad(texts)), alone, rtol=1e-12, atol=1e-12)


def test_a_filter_sees_each_window_that_holds_a_word_and_no_other():
    seed_everything(0)
    cnn = classifiers.WordCNN(9, 3, 2, (3,)).double().eval()
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
    np.testing.assert_allclose(classifiers.log_ratio(x, np.array([1, 1, 0])), expected)


@pytest.mark.parametrize("loss", classifiers.MACHINES)
def test_nbsvm_learns_a_pair_that_no_single_word_tells(loss):
    good, bad = ["not bad at all", "good fun"] * 6, ["not good at all", "bad fun"] * 6
    texts, labels = good + bad, [1] * 12 + [0] * 12
    assert ((classifiers.NBSVM(loss=loss).fit(texts, labels).decide(texts) > 0) == labels).all()
    single = classifiers.NBSVM(order=1).fit(texts, labels)
    assert not ((single.decide(texts) > 0) == labels).all()
    with pytest.raises(ValueError, match="0 and 1"):
        classifiers.NBSVM().fit(["a", "b"], [1, 1])
    with pytest.raises(ValueError, match="share"):
        classifiers.NBSVM(blend=2)
    with pytest.raises(ValueError, match="choose from squared hinge, logistic"):
        classifiers.NBSVM(loss="hinge")


@pytest.mark.parametrize("loss", classifiers.MACHINES)
def test_the_weights_of_nbsvm_are_where_its_loss_is_least(loss):
    texts, y = ["a b", "a", "b c", "c", "a c"], np.array([1, 1, -1, -1, 1])
    machine = classifiers.NBSVM(order=1, C=0.5, blend=1, loss=loss).fit(texts, (y + 1) // 2)
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
    seed_everything(0)
    model = classifiers.Classifier(SumOfWords(), 4, dropout=0.0).double()
    texts, labels = torch.tensor([[4, 5, 6], [7, 7, 8]]), torch.tensor([1, 0])
    loss, batch = classifiers.adversarial_loss(0.7), Batch(texts, labels)
    plain = classifiers.label_loss(model, batch)
    p = model(texts).softmax(-1).detach()
    slope = (p - F.one_hot(labels, 2)) @ model.output.weight.detach()  # of the vector, by hand
    step = 0.7 * slope / (slope.norm(dim=1, keepdim=True) * 3**0.5)  # each of three words alike
    misled = F.cross_entropy(
        model.output(model.encoder(texts)["vector"] + 3 * step), labels, reduction="sum"
    )
    assert misled > plain + 0.1
    torch.testing.assert_close(loss(model, batch), (plain + misled) / 2)
    torch.testing.assert_close(classifiers.label_loss(model, batch), plain)  # no hook is left
    model.eval()
    with torch.inference_mode():
        torch.testing.assert_close(loss(model, batch), plain.detach())


def test_texts_are_judged_in_their_order_and_each_label_stays_with_its_text():
    seed_everything(0)
    model = classifiers.Classifier(*ENCODERS["RNN"]())
    texts = [[5] * n for n in (3, 1, 2, 3, 9)]
    found = classifiers.predict(model, texts)
    with pytest.raises(ValueError, match="text 2 has no tokens"):
        classifiers.predict(model, [[5, 6], [7], [], [8]])
    assert model.training, "predict leaves the model's mode as it was"
    model.eval()
    for text, logits in zip(texts, found, strict=True):
        torch.testing.assert_close(logits, model(torch.tensor([text]))[0])
    examples = [([5 + n] * (1 + n % 3), n) for n in range(10)]
    for batches in (classifiers.LabelledBatches(examples, 2, 0), None):
        batches = batches or classifiers.label_eval_batches(examples, 2)
        seen = [
            (int(i[0]), int(y)) for b in batches for i, y in zip(b.inputs, b.targets, strict=True)
        ]
        assert sorted(seen) == [(5 + n, n) for n in range(10)]


@pytest.mark.parametrize("name", ENCODERS)
def test_a_classifier_learns_which_word_stands_in_the_text(name):
    seed_everything(1)
    model = classifiers.Classifier(*ENCODERS[name](), dropout=0.0)
    draw = np.random.default_rng(0)
    examples = []
    for _ in range(120):
        label, ids = int(draw.integers(2)), draw.integers(6, 20, int(draw.integers(2, 7))).tolist()
        ids[draw.integers(len(ids))] = 4 + label
        examples.append((ids, label))
    batches = classifiers.LabelledBatches(examples, 30)
    config = training.TrainConfig(120, 1e-2)
    training.fit(model, batches, config, progress=False, objective=classifiers.label_loss)
    logits = classifiers.predict(model, [ids for ids, _ in examples])
    right = (logits.argmax(1) == torch.tensor([label for _, label in examples])).float().mean()
    assert right > 0.95


def test_a_language_model_that_is_fine_tuned_stays_as_it_was_outside():
    model = GPT(20, 8, 1, 2)
    before = model.embedding.weight.clone()
    judge = classifiers.Classifier(classifiers.LanguageModelEncoder(model), 8)
    judge(torch.tensor([[5, 6]])).sum().backward()
    assert judge.encoder.body.embedding.weight.grad is not None
    assert model.embedding.weight.grad is None and torch.equal(before, model.embedding.weight)

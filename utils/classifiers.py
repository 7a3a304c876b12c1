"""Classifiers of texts: a label instead of a next word (notebooks/09-1).

Counting: NBSVM, Wang and Manning 2012. Networks: an encoder of the book, whose vector a linear
layer judges; the encoder may be one of ``utils.encoders``, `WordCNN` (Kim 2014), or a language
model of the book that was trained before (`LanguageModelEncoder`). A batch holds texts (B, S),
padded with PAD at their end, and labels (B,); padding changes no answer.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import nn

from utils.batches import Batch, PairBatches, pair_eval_batches
from utils.encoders import Memory, mean_of_places, source_mask
from utils.layers import check_sizes
from utils.runtime import device_of, evaluating
from utils.training import Objective
from utils.vocab import PAD

Labelled = tuple[list[int], int]  # ids and label
MACHINES = {  # linear classifiers by their loss; `C` weighs it against the size of the weights
    "squared hinge": lambda C: LinearSVC(C=C, random_state=0),
    "logistic": lambda C: LogisticRegression(C=C, solver="liblinear", random_state=0),
}


class NBSVM:
    """A linear support vector machine on n-grams weighed by naive Bayes' log-ratios.

    Each feature is 1 where the text holds the n-gram (n up to `order`), times the log-ratio r of
    its smoothed frequencies in the two classes (``eq-nb-ratio``); the weights found are pulled
    towards their mean size by `blend` (Wang and Manning's β). Texts are split at spaces. `loss` is
    that of a support vector machine, "squared hinge", or that of logistic regression, "logistic".
    """

    def __init__(
        self,
        order: int = 2,
        alpha: float = 1.0,
        C: float = 1.0,
        blend: float = 0.25,
        loss: str = "squared hinge",
    ):
        if loss not in MACHINES:
            raise ValueError(f"loss is {loss!r}; choose from {', '.join(MACHINES)}")
        if not 0 <= blend <= 1:
            raise ValueError(f"blend is a share from 0 to 1, got {blend}")
        self.counter = CountVectorizer(
            token_pattern=r"\S+", ngram_range=(1, order), binary=True, lowercase=False
        )
        self.alpha, self.blend, self.machine = alpha, blend, MACHINES[loss](C)

    def fit(self, texts: Sequence[str], labels: Sequence[int]) -> NBSVM:
        """Learns from texts and their labels, 0 or 1. Raises ValueError unless both occur."""
        y = np.asarray(labels)
        if set(y.tolist()) != {0, 1}:
            raise ValueError(f"labels must be 0 and 1, both at least once; got {sorted(set(y))}")
        x = self.counter.fit_transform(texts)  # (N, F)
        self.ratio = log_ratio(x, y, self.alpha)
        w = self.machine.fit(x.multiply(self.ratio).tocsr(), y).coef_[0]
        self.weights = (1 - self.blend) * np.abs(w).mean() + self.blend * w
        self.bias = float(self.machine.intercept_[0])
        return self

    def decide(self, texts: Sequence[str]) -> np.ndarray:
        """(N,): above zero where the text is of class 1."""
        x = self.counter.transform(texts).multiply(self.ratio)
        return x @ self.weights + self.bias


def log_ratio(x: sparse.spmatrix, labels: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Naive Bayes' weights r (F,) of features x (N, F): ``eq-nb-ratio``, each count plus alpha."""
    p, q = (np.asarray(x[labels == label].sum(0))[0] + alpha for label in (1, 0))
    return np.log(p / p.sum()) - np.log(q / q.sum())


class WordCNN(nn.Module):
    """Convolutions over the words, each keeping its strongest answer (Kim 2014).

    `filters` of each of `spans` (words that a filter sees), with ReLU; the vector is the maximum
    over the places of each filter, of size filters · number of spans.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding: int = 300,
        filters: int = 100,
        spans: Sequence[int] = (3, 4, 5),
        dropout: float = 0.0,
    ):
        super().__init__()
        check_sizes(vocab_size=vocab_size, embedding=embedding, filters=filters, span=min(spans))
        self.embedding = nn.Embedding(vocab_size, embedding, padding_idx=PAD)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding, filters, n) for n in spans)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """source (B, S), padded at the end → {"vector": (B, D)}.

        A text is read as if nothing stood around it: n − 1 zero vectors before and behind it, and
        no filter's answer is taken from a place beyond those.
        """
        seen = source_mask(source)
        x = self.embedding(source) * seen[:, :, None]  # (B, S, E), zero at padding
        x, found = self.dropout(x).mT, []  # (B, E, S)
        for convolution in self.convolutions:
            n = convolution.kernel_size[0]
            answers = convolution(F.pad(x, (n - 1, n - 1)))  # (B, filters, S + n − 1)
            real = F.pad(seen, (n - 1, 0), value=True)  # (B, S + n − 1): windows that hold a word
            found.append(answers.masked_fill(~real[:, None], -torch.inf).amax(2).relu())
        return {"vector": torch.cat(found, 1)}


class LanguageModelEncoder(nn.Module):
    """A language model of the book without its output: the mean of what it knows at each place.

    `model` is copied, so that the one given stays as it is; it needs an `output` layer to take off
    (GPT, RNNLM and LSTMLM have one). It reads from left to right, and padding comes last, so no
    word sees any.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.body = copy.deepcopy(model)
        self.body.output = nn.Identity()

    def forward(self, source: torch.Tensor) -> Memory:
        """source (B, S), padded at the end → {"vector": (B, D)}."""
        places, _ = self.body(source)  # (B, S, D)
        return {"vector": mean_of_places(places, source_mask(source))}


class Classifier(nn.Module):
    """An encoder and a linear layer on its vector: logits of `classes`.

    `size`: the length of the encoder's vector. Dropout is applied to the vector.
    """

    def __init__(self, encoder: nn.Module, size: int, classes: int = 2, dropout: float = 0.5):
        super().__init__()
        check_sizes(size=size, classes=classes)
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.output = nn.Linear(size, classes)

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        """source (B, S), padded at the end → logits (B, classes)."""
        return self.output(self.dropout(self.encoder(source)["vector"]))


def label_loss(model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    """Summed −log p(label given text) of a batch of texts: the objective for ``training.fit``."""
    return F.cross_entropy(
        model(batch.inputs), batch.targets, reduction="sum", label_smoothing=label_smoothing
    )


def adversarial_loss(size: float) -> Objective:
    """An objective for ``training.fit``: `label_loss`, half of it with word vectors that mislead.

    A text's vectors are moved by `size` in all, in the direction in which its loss grows fastest
    (Miyato et al. 2017); in evaluation they stay. `model.encoder` needs an `embedding`.
    """

    def objective(model: nn.Module, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
        if not model.training:
            return label_loss(model, batch, label_smoothing)
        read, embedding = [], model.encoder.embedding
        with embedding.register_forward_hook(lambda _, __, x: read.append(x)):
            plain = label_loss(model, batch, label_smoothing)
        (slope,) = torch.autograd.grad(plain, read[0], retain_graph=True)  # (B, S, E)
        length = slope.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-12)
        with embedding.register_forward_hook(lambda _, __, x: x + size * slope / length):
            misled = label_loss(model, batch, label_smoothing)
        return (plain + misled) / 2

    return objective


class LabelledBatches(PairBatches):
    """Texts with labels, in batches of equal length; inputs (B, S), targets (B,) the labels.

    examples: (ids, label). Order, epochs and errors as of `PairBatches`.
    """

    def __init__(self, examples: Sequence[Labelled], batch_size: int, seed: int = 0):
        super().__init__(_as_pairs(examples), batch_size, seed)

    def __getitem__(self, step: int) -> Batch:
        return _labelled(super().__getitem__(step))


def label_eval_batches(examples: Sequence[Labelled], batch_size: int) -> list[Batch]:
    """Every text once, in batches of equal length, short first."""
    return [_labelled(batch) for batch in pair_eval_batches(_as_pairs(examples), batch_size)]


@torch.inference_mode()
def predict(model: nn.Module, texts: Sequence[list[int]], batch_size: int = 200) -> torch.Tensor:
    """Logits (N, classes) of texts (ids), in their order, on the CPU; in evaluation mode.

    Raises ValueError for a text of zero tokens.
    """
    if not all(map(len, texts)):
        raise ValueError(f"text {[len(t) for t in texts].index(0)} has no tokens; leave it out")
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    batches = pair_eval_batches([(texts[i], []) for i in order], batch_size)
    where = device_of(model)
    with evaluating(model):
        found = torch.cat([model(batch.source.to(where)) for batch in batches]).cpu()  # short first
    return found[torch.tensor(order).argsort()]


def _as_pairs(examples: Sequence[Labelled]) -> list:
    return [(ids, [label]) for ids, label in examples]


def _labelled(batch: Batch) -> Batch:
    return Batch(batch.source, batch.targets[:, 0])

"""The classifier of section 8.3, the losses by which it is trained, and attacks on its vectors.

Letters: B batch, S pieces of a sentence, E length of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from utils.data.grouped_batches import group_by_length, map_groups
from utils.data.labelled_batches import LabelledBatch
from utils.data.vocabulary import PAD
from utils.models.typed_module import TypedModule

KERNEL_SIZES = (2, 3)
LENGTH = 4.0  # of each vector that is read
STRIDE = 0.25  # of epsilon, for each step of several
INITIAL = 0.1  # standard deviation of what is learned, before it is brought to that length


class SentimentCNN(TypedModule):
    """A convolutional classifier of sentences, whose vectors have one length.

    A batch holds sentences of one length, so that none is padded.

    Source: section 8.3; ``eq-max-over-time`` (section 9.1); Kim 2014.

    Parameters
    ----------
    vocab_size
        Number of pieces.
    width
        Length E of a vector, and number of filters of each kernel size.
    dropout
        Probability of dropout before the output.
    """

    def __init__(self, vocab_size: int, width: int = 48, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=INITIAL)  # short: they turn quickly
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, k) for k in KERNEL_SIZES)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(len(KERNEL_SIZES) * width, 2)

    def vectors(self) -> torch.Tensor:
        """Return the vectors of all pieces, each of length LENGTH, (V, E)."""
        return LENGTH * F.normalize(self.embedding.weight, dim=1)

    def forward(self, ids: torch.Tensor, x: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits of negative and positive, (B, 2).

        Parameters
        ----------
        ids
            The pieces, (B, S).
        x
            Vectors to read in place of theirs, (B, S, E).
        """
        if x is None:
            x = LENGTH * F.normalize(self.embedding(ids), dim=-1)  # (B, S, E)
        maxima = []
        for k, convolution in zip(KERNEL_SIZES, self.convolutions, strict=True):
            windows = convolution(F.pad(x.mT, (k - 1, k - 1)))  # (B, E, windows)
            maxima.append(windows.amax(2).relu())  # (B, E)
        logits: torch.Tensor = self.output(self.dropout(torch.cat(maxima, 1)))
        return logits


def label_loss(model: SentimentCNN, batch: LabelledBatch) -> torch.Tensor:
    """Return −log p of the labels, summed over the batch."""
    return F.cross_entropy(model(batch.inputs), batch.targets, reduction="sum")


def sign_attack(
    model: SentimentCNN, batch: LabelledBatch, epsilon: float, *, steps: int = 1
) -> torch.Tensor:
    """Return vectors that raise the loss, no coordinate moved by more than `epsilon`.

    One step is the fast gradient sign method. More steps are projected gradient descent: each moves
    all coordinates by STRIDE of `epsilon` along the signs of the gradient, and then back to
    `epsilon` where they went further.

    Source: ``eq-fgsm`` (section 8.3); Goodfellow, Shlens and Szegedy 2015; Madry et al. 2018.

    Parameters
    ----------
    model
        The classifier; its mode stays as it is.
    batch
        The sentences and their labels.
    epsilon
        The largest change of a coordinate.
    steps
        The number of steps.

    Returns
    -------
    x : torch.Tensor
        The moved vectors, (B, S, E), without a graph.
    """
    own = model.vectors()[batch.inputs].detach()
    x, stride = own, epsilon if steps == 1 else STRIDE * epsilon
    for _ in range(steps):
        x = x.detach().requires_grad_()
        loss = F.cross_entropy(model(batch.inputs, x), batch.targets, reduction="sum")
        (slopes,) = torch.autograd.grad(loss, x)
        x = own + (x.detach() + stride * slopes.sign() - own).clamp(-epsilon, epsilon)
    return x


def loss_at(model: SentimentCNN, batch: LabelledBatch, x: torch.Tensor) -> torch.Tensor:
    """Return the mean of the loss at the sentences and of the loss at moved vectors of theirs.

    The moved vectors are those of the sentences plus a constant, through which the gradient passes.

    Parameters
    ----------
    model
        The classifier.
    batch
        The sentences and their labels.
    x
        The moved vectors, (B, S, E).

    Returns
    -------
    loss : torch.Tensor
        Summed over the batch.
    """
    own = model.vectors()[batch.inputs]
    moved = own + (x - own).detach()
    at_moved = F.cross_entropy(model(batch.inputs, moved), batch.targets, reduction="sum")
    return (label_loss(model, batch) + at_moved) / 2


@torch.inference_mode()
def logits_of(model: SentimentCNN, sequences: Sequence[list[int]]) -> torch.Tensor:
    """Return the logits of N sentences in their order, (N, 2) float64.

    Parameters
    ----------
    model
        The classifier in evaluation mode.
    sequences
        The pieces of each sentence, at least one.
    """
    groups = group_by_length([len(ids) for ids in sequences], batch_size=200)
    rows = map_groups(lambda ids: model(torch.tensor(ids)).unbind(), sequences, groups)
    return torch.stack(rows).double()

"""Classifiers of texts: an encoder and a linear layer on its vector.

Derived in section 9.1. The encoder is one of ``utils.models.encoders`` or
``utils.models.transformer``, the convolutional `WordCNN` (Kim 2014), or a pretrained language model
(`LanguageModelEncoder`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from utils.data.batches import group_by_length
from utils.data.vocabulary import PAD
from utils.models.contract import Encoder, Memory
from utils.models.encoders import masked_mean, source_mask
from utils.models.layers import check_sizes
from utils.runtime import device_of, evaluation_mode


class WordCNN(nn.Module):
    """Convolutions over word vectors, then ReLU and the maximum over positions of each filter.

    A text is read between zero vectors: each filter is applied to every window that contains at
    least one of its words.

    Source: ``eq-max-over-time`` (section 9.1); Kim 2014.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    embedding_size
        Length E of a word vector.
    filters
        Number of filters in each group.
    kernel_sizes
        Numbers of words that a filter covers, one for each group of filters.
    dropout
        Probability of dropout on word vectors.

    Raises
    ------
    ValueError
        If a size is not a positive whole number, or `kernel_sizes` is empty.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        embedding_size: int = 300,
        filters: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(
            vocab_size=vocab_size,
            embedding_size=embedding_size,
            filters=filters,
        )
        if len(kernel_sizes) == 0:
            raise ValueError("kernel_sizes is empty: expected at least one size, such as (3, 4, 5)")
        for kernel_size in kernel_sizes:
            check_sizes(kernel_size=kernel_size)
        self.kernel_sizes = tuple(kernel_sizes)
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=PAD)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_size, filters, kernel_size) for kernel_size in kernel_sizes
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode texts.

        Parameters
        ----------
        source
            Ids, (B, S), padded with PAD at the end.

        Returns
        -------
        Memory
            Its states are the word vectors that the convolutions read, (B, S, E); its vector is
            (B, filters · number of groups).
        """
        is_token = source_mask(source)  # (B, S)
        states = self.dropout(self.embedding(source) * is_token[:, :, None])  # (B, S, E)
        maxima = []
        for convolution, kernel_size in zip(self.convolutions, self.kernel_sizes, strict=True):
            margin = kernel_size - 1
            padded = F.pad(states.mT, (margin, margin))  # (B, E, margin + S + margin)
            activations = convolution(padded)  # (B, filters, margin + S)
            # the windows that contain a token: those that start before the end of the text
            is_window = F.pad(is_token, (margin, 0), value=True)[:, None]  # (B, 1, margin + S)
            maxima.append(activations.masked_fill(~is_window, -math.inf).amax(2).relu())
        return Memory(states, is_token, vector=torch.cat(maxima, 1))


class LanguageModelEncoder(nn.Module):
    """A language model without its output; the vector is the mean of its last hidden states.

    The model reads from left to right and padding stands at the end, so that no token's state
    depends on padding.

    Parameters
    ----------
    model
        A model whose last layer is its `output`, as of GPT, RNNLM and LSTMLM. It is copied, so
        that training the encoder leaves it unchanged.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.body = copy.deepcopy(model)
        self.body.output = nn.Identity()

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S), padded with PAD at the end."""
        states, _ = self.body(source)  # (B, S, D)
        is_token = source_mask(source)  # (B, S)
        return Memory(states, is_token, masked_mean(states, is_token))


class Classifier(nn.Module):
    """An encoder and a linear layer on its vector.

    Parameters
    ----------
    encoder
        Turns a text into a `Memory`.
    input_size
        Length of the memory's vector.
    classes
        Number of classes.
    dropout
        Probability of dropout on the vector.

    Raises
    ------
    ValueError
        If a size is not a positive whole number.
    """

    def __init__(
        self, encoder: Encoder, *, input_size: int, classes: int = 2, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, classes=classes)
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.output = nn.Linear(input_size, classes)

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) for `source` (B, S), padded with PAD at the end."""
        return self.output(self.dropout(self.encoder(source).vector))

    def output_parameters(self) -> list[nn.Parameter]:
        """Return the output matrix, which optimizers such as Muon leave to AdamW."""
        return [p for p in self.output.parameters() if p.dim() == 2]


@torch.inference_mode()
def predict_logits(
    model: nn.Module, texts: Sequence[list[int]], *, batch_size: int = 200
) -> torch.Tensor:
    """Classify texts in evaluation mode, in batches of equal length.

    Parameters
    ----------
    model
        A classifier.
    texts
        The ids of N texts.
    batch_size
        The largest number of texts in a batch.

    Returns
    -------
    torch.Tensor
        Logits in the order of the texts, (N, classes), on the CPU.

    Raises
    ------
    ValueError
        If there are no texts, or one has no tokens.
    """
    if not texts:
        raise ValueError("there are no texts to classify; at least one is needed")
    lengths = [len(text) for text in texts]
    if 0 in lengths:
        raise ValueError(f"text {lengths.index(0)} has no tokens; leave it out")
    groups = group_by_length(lengths, batch_size=batch_size)
    device = device_of(model)
    with evaluation_mode(model):
        logits = torch.cat(
            [model(torch.tensor([texts[i] for i in group], device=device)) for group in groups]
        ).cpu()  # (N, classes), short texts first
    indices = torch.tensor([i for group in groups for i in group])  # (N,)
    return logits[indices.argsort()]

"""Classifiers of texts: an encoder and a linear layer on its vector.

Derived in section 9.1. The encoder is a recurrent network (``utils.models.recurrent_encoders``), a
Transformer (``utils.models.transformer``), the convolutional `WordCNNEncoder` (Kim 2014), or a
pretrained language model (`LanguageModelEncoder`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_positive, check_positive_items
from utils.contract import Encoder, needs_first_state, vocab_size_of
from utils.data.checks import as_id_list, check_ids_in_vocabulary
from utils.data.grouped_batches import group_by_length, map_groups
from utils.data.vocabulary import PAD
from utils.models.layers import OutputLayer, make_dropout
from utils.models.masks import masked_mean, source_mask
from utils.models.typed_module import TypedModule
from utils.runtime import device_of, evaluation_mode
from utils.states import Memory


class WordCNNEncoder(TypedModule):
    """An encoder of convolutions over word vectors, with max pooling over time.

    The vector is the ReLU of each filter's maximum over positions. A text is padded with zero
    vectors on both sides: each filter is applied to every window that contains at least one word.

    Source: ``eq-max-over-time`` (section 9.1); Kim 2014.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    embedding_size
        Length E of a word vector.
    num_filters
        Number of filters in each group.
    kernel_sizes
        Numbers of words that a filter covers, one for each group of filters.
    dropout
        Probability of dropout on word vectors.

    Raises
    ------
    ValueError
        If a size is not a positive integer, or `kernel_sizes` is empty.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        embedding_size: int = 300,
        num_filters: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive(
            vocab_size=vocab_size, embedding_size=embedding_size, num_filters=num_filters
        )
        if len(kernel_sizes) == 0:
            raise ValueError("kernel_sizes is empty: expected at least one size, such as (3, 4, 5)")
        check_positive_items(kernel_sizes=kernel_sizes)
        self.kernel_sizes = tuple(kernel_sizes)
        self.embedding = nn.Embedding(vocab_size, embedding_size, padding_idx=PAD)
        nn.init.uniform_(self.embedding.weight, -0.25, 0.25)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(embedding_size, num_filters, kernel_size) for kernel_size in kernel_sizes
        )
        self.dropout = make_dropout(dropout)

    def forward(self, ids: torch.Tensor) -> Memory:
        """Encode texts.

        Parameters
        ----------
        ids
            The words of B texts, (B, S), padded with PAD at the end.

        Returns
        -------
        memory : Memory
            Its states are the word vectors that the convolutions read, (B, S, E); its vector is
            (B, `num_filters` · number of kernel sizes).
        """
        is_token = source_mask(ids)  # (B, S)
        states = self.dropout(self.embedding(ids) * is_token[:, :, None])  # (B, S, E)
        maxima = []
        for convolution, kernel_size in zip(self.convolutions, self.kernel_sizes, strict=True):
            margin = kernel_size - 1
            padded = F.pad(states.mT, (margin, margin))  # (B, E, margin + S + margin)
            activations = convolution(padded)  # (B, num_filters, margin + S)
            # the windows that contain a token: those that start before the end of the text
            is_window = F.pad(is_token, (margin, 0), value=True)[:, None]  # (B, 1, margin + S)
            maxima.append(activations.masked_fill(~is_window, -math.inf).amax(2).relu())
        return Memory(states, is_token, vector=torch.cat(maxima, 1))


class LanguageModelEncoder(TypedModule):
    """An encoder made of a language model; its vector is the mean of the last hidden states.

    The model reads from left to right and padding is at the end, so that no token's state depends
    on padding.

    Parameters
    ----------
    model
        A language model whose last layer is its `output`, such as GPT or RNNLM. It is copied, so
        that training the encoder leaves it unchanged.

    Attributes
    ----------
    body : nn.Module
        The copy of the model, without its output.

    Raises
    ------
    ValueError
        If the model has no `output`, a second output layer, or needs a source.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        _check_language_model(model)
        self.body = copy.deepcopy(model)
        self.body.output = nn.Identity()

    def forward(self, ids: torch.Tensor) -> Memory:
        """Return the Memory of B texts, `ids` (B, S), padded with PAD at the end."""
        is_token = source_mask(ids)  # (B, S)
        states, _ = self.body(ids)  # (B, S, D)
        return Memory(states, is_token, masked_mean(states, is_token))


def _check_language_model(model: nn.Module) -> None:
    """Raise ValueError unless a model without its `output` returns hidden states."""
    name, output = type(model).__name__, getattr(model, "output", None)
    if not isinstance(output, nn.Module) or needs_first_state(model):
        raise ValueError(
            f"expected a language model whose last layer is its output, such as GPT or RNNLM; got "
            f"{name}, which has no such layer or needs a source"
        )
    others = [
        key
        for key, part in model.named_modules()
        if isinstance(part, OutputLayer) and part is not output
    ]
    if others:
        raise ValueError(
            f"{name} has a second output layer, {others[0]}, so that no hidden states remain "
            "without its output: build an NNLM with use_direct_layer=False"
        )


class Classifier(TypedModule):
    """A classifier of texts: an encoder and a linear layer on its vector.

    Parameters
    ----------
    encoder
        Turns a text into a `Memory`.
    input_size
        Length of the memory's vector.
    num_classes
        Number of classes.
    dropout
        Probability of dropout on the vector.

    Raises
    ------
    ValueError
        If the encoder is not a module, or a size is not a positive integer.

    Examples
    --------
    >>> import torch
    >>> from utils.models.classifiers import Classifier, LanguageModelEncoder
    >>> from utils.models.gpt import GPT
    >>> encoder = LanguageModelEncoder(GPT(50, width=32, num_layers=2))
    >>> model = Classifier(encoder, input_size=32, num_classes=3)
    >>> model(torch.tensor([[4, 5, 6], [7, 0, 0]])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        encoder: Encoder[Memory],
        *,
        input_size: int,
        num_classes: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if not isinstance(encoder, nn.Module):
            raise ValueError(
                f"encoder must be a torch module that returns a Memory, got {encoder!r}: give one "
                "such as WordCNNEncoder(vocab_size)"
            )
        check_positive(input_size=input_size, num_classes=num_classes)
        self.encoder, self.dropout = encoder, make_dropout(dropout)
        self.output = OutputLayer(input_size, num_classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return logits (B, num_classes) for `ids` (B, S), padded with PAD at the end.

        Raises
        ------
        ValueError
            If the encoder does not return a `Memory` whose vectors have the length `input_size`.
        """
        memory = self.encoder(ids)
        if not isinstance(memory, Memory):
            raise ValueError(
                f"a classifier reads the Memory of an encoder, but {type(self.encoder).__name__} "
                f"returned a {type(memory).__name__}: give an encoder, for a language model "
                "LanguageModelEncoder(model)"
            )
        size, expected = memory.vector.shape[-1], self.output.in_features
        if size != expected:
            raise ValueError(
                f"the encoder's vectors have length {size}, but the classifier was built with "
                f"input_size={expected}: build it with input_size={size}"
            )
        logits: torch.Tensor = self.output(self.dropout(memory.vector))
        return logits


@torch.inference_mode()
def predict_logits(
    model: Classifier, sequences: Iterable[Iterable[int]], *, batch_size: int = 200
) -> torch.Tensor:
    """Classify texts in evaluation mode, in batches of equal length.

    Parameters
    ----------
    model
        A classifier.
    sequences
        The ids of N texts.
    batch_size
        The largest number of texts in a batch.

    Returns
    -------
    logits : torch.Tensor
        Logits in the order of `sequences`, (N, num_classes), on the CPU.

    Raises
    ------
    ValueError
        If there are no sequences, one has no tokens or an id outside the encoder's vocabulary,
        `batch_size` is not a positive integer, or the model is not a classifier.
    """
    texts = [as_id_list(ids, name=f"the ids of sequence {i}") for i, ids in enumerate(sequences)]
    if not texts:
        raise ValueError("sequences is empty: there is nothing to classify")
    check_ids_in_vocabulary(chain(*texts), vocab_size_of(model))
    lengths = [len(ids) for ids in texts]
    if 0 in lengths:
        raise ValueError(f"sequence {lengths.index(0)} has no tokens; omit it")
    device = device_of(model)

    def classify(group: list[list[int]]) -> Sequence[torch.Tensor]:
        logits = model(torch.tensor(group, device=device))  # (B, num_classes)
        if not isinstance(logits, torch.Tensor):
            raise ValueError(
                f"{type(model).__name__} is not a classifier: it returns a "
                f"{type(logits).__name__} and not the logits alone"
            )
        return logits.unbind()  # B times (num_classes,)

    groups = group_by_length(lengths, batch_size=batch_size)
    with evaluation_mode(model):
        return torch.stack(map_groups(classify, texts, groups)).cpu()  # (N, num_classes)

"""The models that section 8.2 trains: a classifier with attention pooling, one of attention alone.

Letters: B batch size, S or T tokens, D width, H heads, d width of a head, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from utils.data.labelled_batches import LabelledBatch
from utils.data.vocabulary import PAD
from utils.models.attention import masked_softmax
from utils.models.masks import causal_mask, source_mask
from utils.models.multi_head import QUERY_SCALE
from utils.models.positions import position_angles, rotate
from utils.models.recurrent import run_packed
from utils.models.typed_module import TypedModule

EPSILON = 1e-6  # of the norms


class Reader(TypedModule):
    """Classifier of sentences: a GRU in both directions, then attention pooling.

    Source: ``eq-interpret-pooling`` (section 8.2); Jain and Wallace 2019.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    width
        Length D of word vectors and states.
    dropout
        Probability of dropout on word vectors and on the pooled state.
    """

    def __init__(self, vocab_size: int, *, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(vocab_size, width, padding_idx=PAD)
        self.gru = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, 1, bias=False)
        self.output = nn.Linear(width, 1)
        nn.init.normal_(self.embedding.weight, std=0.2)
        self.query.weight.data *= 3

    def forward(
        self, ids: torch.Tensor, x: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Score sentences.

        Parameters
        ----------
        ids
            Words, padded at the end, (B, S) int64.
        x
            Vectors to read in place of the words' own, (B, S, D).

        Returns
        -------
        scores : torch.Tensor
            The logit of praise, (B,).
        weights : torch.Tensor
            The weight of each word, (B, S).
        states : torch.Tensor
            The states that are weighted, (B, S, D).
        """
        is_token = source_mask(ids)  # (B, S)
        x = self.embedding(ids) if x is None else x
        h, _ = run_packed(self.gru, self.dropout(x), is_token)  # (B, S, D)
        scores = self.query(torch.tanh(self.key(h)))[..., 0]  # (B, S)
        w = masked_softmax(scores, is_token)  # (B, S)
        pooled = (w[:, :, None] * h).sum(1)  # (B, D)
        return self.output(self.dropout(pooled))[:, 0], w, h


def praise_loss(model: Reader, batch: LabelledBatch) -> torch.Tensor:
    """Return the summed cross-entropy of a batch of labelled sentences, as an objective of `fit`.

    Parameters
    ----------
    model
        The classifier.
    batch
        Sentences and labels.

    Returns
    -------
    loss : torch.Tensor
        The sum over sentences in nats, a scalar.
    """
    z, _, _ = model(batch.inputs)
    return F.binary_cross_entropy_with_logits(z, batch.targets.to(z.dtype), reduction="sum")


class AttentionOnly(TypedModule):
    """Language model of attention layers without feed-forward networks.

    Queries and keys are normalized and rotated by position, as in the book's GPT.

    Source: ``eq-head-sum`` (section 8.2); Elhage et al. 2021.

    Parameters
    ----------
    vocab_size
        Size V of the vocabulary.
    num_layers
        Number of layers.
    num_heads
        Number H of heads of each layer.
    width
        Length D of the residual stream.
    head_width
        Length d of queries, keys and values.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        num_layers: int = 2,
        num_heads: int = 4,
        width: int = 64,
        head_width: int = 16,
    ) -> None:
        super().__init__()
        self.num_layers, self.num_heads, self.head_width = num_layers, num_heads, head_width
        self.embedding = nn.Embedding(vocab_size, width)
        self.qkv = nn.ModuleList(
            nn.Linear(width, 3 * num_heads * head_width, bias=False) for _ in range(num_layers)
        )
        self.out = nn.ModuleList(
            nn.Linear(num_heads * head_width, width, bias=False) for _ in range(num_layers)
        )
        self.output = nn.Linear(width, vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.5)

    def heads(self, layer: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads of a layer attend to and what each adds to the stream.

        Parameters
        ----------
        layer
            The layer, from 0.
        x
            The residual stream before it, (B, T, D).

        Returns
        -------
        weights : torch.Tensor
            Attention weights, (B, H, T, T).
        added : torch.Tensor
            What each head adds, (B, H, T, D).
        """
        T, shape = x.shape[1], (3, self.num_heads, self.head_width)
        qkv = self.qkv[layer](F.rms_norm(x, x.shape[-1:], eps=EPSILON))  # (B, T, 3·H·d)
        q, k, v = qkv.unflatten(-1, shape).permute(2, 0, 3, 1, 4)  # (B, H, T, d) each
        angles = position_angles(torch.arange(T)[None], self.head_width)  # (1, T, d/2)
        cos, sin = angles.cos()[:, None].to(x), angles.sin()[:, None].to(x)  # (1, 1, T, d/2)
        q, k = (rotate(F.rms_norm(part, part.shape[-1:], eps=EPSILON), cos, sin) for part in (q, k))
        scores = QUERY_SCALE * q @ k.mT / math.sqrt(self.head_width)  # (B, H, T, T)
        weights = masked_softmax(scores, causal_mask(T))
        weight = self.out.get_parameter(f"{layer}.weight")
        blocks = weight.unflatten(1, (self.num_heads, -1)).permute(1, 2, 0)
        return weights, weights @ v @ blocks  # blocks is (H, d, D)

    def forward(
        self,
        ids: torch.Tensor,
        state: None = None,
        *,
        keep: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Tokens, (B, T) int64.
        state
            Not used: a text is read at once.
        keep
            A factor of what each head adds, (layers, H); None for 1.

        Returns
        -------
        logits : torch.Tensor
            Logits of the next token, (B, T, V).
        state : None
            None.
        """
        return self.output(self._norm(self.streams(ids, keep=keep)[-1])), None

    def streams(self, ids: torch.Tensor, *, keep: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Compute the residual stream after 0, 1, … layers.

        Parameters
        ----------
        ids
            Token ids, (B, T) int64.
        keep
            As in `forward`.

        Returns
        -------
        streams : list of Tensor
            One (B, T, D) for each height, the word vectors first.
        """
        streams = [self.embedding(ids)]
        for layer in range(self.num_layers):
            _, added = self.heads(layer, streams[-1])  # (B, H, T, D)
            factor = 1 if keep is None else keep[layer, None, :, None, None]
            streams.append(streams[-1] + (factor * added).sum(1))
        return streams

    def _norm(self, x: torch.Tensor) -> torch.Tensor:
        """Return the stream as the output matrix reads it."""
        return F.rms_norm(x, x.shape[-1:], eps=EPSILON)

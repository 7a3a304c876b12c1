"""One vector for a source of several tokens: their mask, their mean, and an encoder that gives it.

The mean is derived in section 3.2; what one vector can hold is the subject of section 2.3. Encoders
and classifiers of all kinds use these.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torch import nn

from utils.data.vocabulary import PAD
from utils.models.checks import check_token_ids, check_values
from utils.models.contract import Encoder, Memory, TypedModule

Pooling: TypeAlias = Literal["mean", "max"]
"""How one vector is computed from several: their mean, or the maximum of each dimension."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def source_mask(source: torch.Tensor) -> torch.Tensor:
    """Return the mask of a source's tokens.

    Parameters
    ----------
    source
        Ids, (B, S), padded with PAD at the end.

    Returns
    -------
    torch.Tensor
        True where there is a token, False for padding, (B, S) bool.

    Raises
    ------
    ValueError
        For a row of no tokens, for padding before a token, and for ids that are not whole numbers
        (B, S).
    """
    check_token_ids(source)
    is_token = source != PAD  # (B, S)
    check_values(
        is_token.any(1).all(),
        "a source sentence has no tokens; give each at least one, EOS for one",
    )
    check_values(
        (is_token[:, 1:] <= is_token[:, :-1]).all(),
        "a source sentence is padded before a token; pad at the end only",
    )
    return is_token


def masked_mean(x: torch.Tensor, is_token: torch.Tensor) -> torch.Tensor:
    """Return the mean (B, D) of `x` (B, S, D) over the positions where `is_token` (B, S) is True.

    Source: ``eq-pooling`` (section 3.2).

    Parameters
    ----------
    x
        Vectors, (B, S, D).
    is_token
        True where there is a token, (B, S) bool.

    Returns
    -------
    torch.Tensor
        The means, (B, D).
    """
    return (x * is_token[:, :, None]).sum(1) / is_token.sum(1, keepdim=True)


class FixedVectorEncoder(TypedModule):
    """An encoder reduced to its vector: the memory has that vector as its only state.

    Source: ``eq-one-vector`` (section 2.3).

    Parameters
    ----------
    encoder
        The encoder whose vector is used, with an `embedding`.
    """

    def __init__(self, encoder: Encoder[Memory]) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding of the encoder."""
        embedding = self.get_submodule("encoder.embedding")
        assert isinstance(embedding, nn.Embedding)
        return embedding

    def forward(self, source: torch.Tensor) -> Memory:
        """Encode `source` (B, S), padded with PAD at the end, to a memory with one state, S = 1."""
        vector = self.encoder(source).vector  # (B, D)
        is_token = torch.ones(vector.shape[0], 1, dtype=torch.bool, device=vector.device)  # (B, 1)
        return Memory(vector[:, None], is_token, vector)

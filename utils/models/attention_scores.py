"""Attention scores of recurrent decoders: how well each source position matches a query.

Derived in sections 4.2 (additive, multiplicative), 6.1 (scaled) and 6.3 (location), for
``attention_decoder.AttentionDecoder``. Additive: Bahdanau et al. 2015; multiplicative: Luong et al.
2015; scaled: Vaswani et al. 2017; location: Chorowski et al. 2015.

Each score is a module with a linear map `key_projection`, applied once to the encoder's states, and
``forward(query, keys)``: queries (B, T, D) and keys (B, S, D) → scores (B, T, S).
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import nn

from utils.arguments import check_integer, check_positive
from utils.models.typed_module import TypedModule


class MultiplicativeScore(TypedModule):
    """Score qᵀ W k of a query and an encoder's state ("general" in Luong et al.).

    Source: ``eq-score-multiplicative`` (section 4.2); Luong et al. 2015, section 3.1.

    Parameters
    ----------
    width
        Length D of queries and states.

    Raises
    ------
    ValueError
        If `width` is not a positive integer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        check_positive(width=width)
        self.key_projection = nn.Linear(width, width, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, T, S) of `query` (B, T, D) and `keys` (B, S, D)."""
        return query @ keys.mT


class ScaledScore(MultiplicativeScore):
    """Multiplicative score divided by √D.

    Undivided, the scores of a wide model move fast under AdamW, and attention settles on a few
    places within the first steps.

    Source: ``eq-score-scaled`` (section 6.1); Vaswani et al. 2017, section 3.2.1.
    """

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, T, S) of `query` (B, T, D) and `keys` (B, S, D)."""
        return super().forward(query, keys) / math.sqrt(query.shape[-1])


class AdditiveScore(TypedModule):
    """Score ωᵀ tanh(W q + U k + b) of a query and an encoder's state.

    Source: ``eq-score-additive`` (section 4.2); Bahdanau et al. 2015, section A.1.2.

    Parameters
    ----------
    width
        Length D of queries and states, and number of hidden units.

    Raises
    ------
    ValueError
        If `width` is not a positive integer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        check_positive(width=width)
        self.query_projection = nn.Linear(width, width, bias=False)
        self.key_projection = nn.Linear(width, width)
        self.score_projection = nn.Linear(width, 1, bias=False)

    def forward(self, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, T, S) of `query` (B, T, D) and `keys` (B, S, D)."""
        hidden = (self.query_projection(query)[:, :, None] + keys[:, None]).tanh()  # (B, T, S, D)
        scores: torch.Tensor = self.score_projection(hidden)  # (B, T, S, 1)
        return scores[..., 0]  # (B, T, S)


class LocationScore(AdditiveScore):
    """Additive score that also depends on the attention weights of the previous step.

    The score is ωᵀ tanh(W q + U k + Q f + b), where f is the convolution of those weights. Each
    step needs the weights of the previous one, so steps cannot be computed in parallel.

    Source: ``eq-score-location`` (section 6.3); Chorowski et al. 2015, section 2.2.

    Parameters
    ----------
    width
        Length D of queries and states, and number of hidden units.
    num_filters
        Number of filters of the convolution.
    radius
        Number of source positions that a filter covers on each side.

    Raises
    ------
    ValueError
        If `width` or `num_filters` is not a positive integer, or `radius` a non-negative one.
    """

    def __init__(self, width: int, *, num_filters: int = 8, radius: int = 7) -> None:
        super().__init__(width)
        check_positive(num_filters=num_filters)
        check_integer(minimum=0, radius=radius)
        self.convolution = nn.Conv1d(1, num_filters, 2 * radius + 1, padding=radius, bias=False)
        self.location_projection = nn.Linear(num_filters, width, bias=False)

    def forward(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        previous_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute the scores of one query.

        Parameters
        ----------
        query
            State of the decoder at one step, (B, 1, D).
        keys
            The encoder's states after the linear map `key_projection`, (B, S, D).
        previous_weights
            Attention weights of the previous step, (B, S); None for zeros, at the first step.

        Returns
        -------
        scores : torch.Tensor
            Scores, (B, 1, S).
        """
        assert query.shape[1] == 1, "scores need the weights of the previous step"
        if previous_weights is None:
            previous_weights = torch.zeros_like(keys[..., 0])  # (B, S)
        features = self.convolution(previous_weights[:, None]).mT  # (B, S, num_filters)
        return super().forward(query, keys + self.location_projection(features))


AttentionScore: TypeAlias = Literal["additive", "location", "multiplicative", "scaled"]
"""The name of an attention score."""

ATTENTION_SCORES: dict[AttentionScore, type[AdditiveScore | MultiplicativeScore]] = {
    "additive": AdditiveScore,
    "location": LocationScore,
    "multiplicative": MultiplicativeScore,
    "scaled": ScaledScore,
}
"""Attention scores by name."""

"""The networks that are trained: an LSTM and a deep feed-forward network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from utils.data.vocabulary import BOS
from utils.models.language_models import RNNLM

WINDOW, EMBEDDING_SIZE = 6, 16  # characters that the feed-forward network reads, and their vectors


class DeepLM(nn.Module):
    """The next character from the last six, by a deep feed-forward network with ReLU.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    num_layers
        Number of hidden layers.
    width
        Units in each.
    scale
        κ: weights of a layer with n inputs start with standard deviation κ/√n.
    residual
        Whether each layer but the first adds its output to its input.
    norm
        Whether each layer but the first normalizes: its input where it is residual, otherwise
        what its ReLU reads.
    """

    def __init__(
        self,
        vocab_size: int,
        *,
        num_layers: int = 12,
        width: int = 96,
        scale: float,
        residual: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, EMBEDDING_SIZE)
        widths = [WINDOW * EMBEDDING_SIZE] + [width] * num_layers
        layers = [nn.Linear(i, o) for i, o in itertools.pairwise(widths)]
        self.hidden = nn.ModuleList(layers)
        self.output = nn.Linear(width, vocab_size)
        self.residual, self.norm = residual, norm
        for layer in layers:
            nn.init.normal_(layer.weight, std=scale * layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Token ids (B, T).
        state
            The five ids before them, (B, 5); None at the beginning of a text.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : torch.Tensor
            The last five ids.
        """
        if state is None:
            state = ids.new_full((len(ids), WINDOW - 1), BOS)
        history = torch.cat([state, ids], dim=1)  # (B, 5 + T)
        x = self.embedding(history).unfold(1, WINDOW, 1).flatten(2)  # (B, T, 6 · 16)
        first, *others = self.hidden
        x = first(x).relu()  # (B, T, D)
        for layer in others:
            if self.residual:
                x = x + layer(self._normalized(x)).relu()
            else:
                x = self._normalized(layer(x)).relu()
        return self.output(self._normalized(x)), history[:, ids.shape[1] :]

    def output_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the output layer, which Muon leaves to AdamW."""
        yield from self.output.parameters()

    def _normalized(self, x: torch.Tensor) -> torch.Tensor:
        """Return vectors of mean 0 and variance 1, if the network normalizes."""
        return F.layer_norm(x, x.shape[-1:]) if self.norm else x


def build_lstm(vocab_size: int, *, width: int = 64, dropout: float = 0.0) -> RNNLM:
    """Build the LSTM language model of section 3.1.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    width
        Units of the hidden state.
    dropout
        Probability of dropout.

    Returns
    -------
    model : RNNLM
        The model.
    """
    return RNNLM(vocab_size, width=width, cell="lstm", tied=True, dropout=dropout)

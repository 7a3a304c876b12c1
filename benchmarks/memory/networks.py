"""The networks of the benchmark: recurrent ones from chosen starts, and a linear recurrence."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from utils.models.language_models import RNNLM
from utils.models.recurrent import Cell

EMBEDDING_SIZE = 32
STARTS = ("torch", "orthogonal", "identity")


def build_recurrent(
    vocab_size: int, *, cell: Cell = "rnn", width: int, start: str = "torch"
) -> RNNLM:
    """Build a recurrent language model whose recurrent matrix has a chosen start.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    cell
        The cell.
    width
        Length of the hidden state.
    start
        How W_hh starts: as torch draws it, "orthogonal", or as the "identity".

    Returns
    -------
    model : RNNLM
        The model. Its word vectors have a length of about 1, whatever the cell.

    Raises
    ------
    ValueError
        If there is no such start.
    """
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(STARTS)}, got {start!r}")
    model = RNNLM(vocab_size, width=width, cell=cell, embedding_size=EMBEDDING_SIZE)
    nn.init.normal_(model.embedding.weight, std=EMBEDDING_SIZE**-0.5)
    matrix = dict(model.rnn.named_parameters())["weight_hh_l0"]  # (D, D), or one for each gate
    if start == "orthogonal":
        nn.init.orthogonal_(matrix)
    elif start == "identity":
        nn.init.eye_(matrix)
    return model


def scan(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute h_t = a_t h_{t−1} + b_t from h_0 = 0, in ⌈log₂ T⌉ passes over all steps.

    Source: ``eq-rnnlm-scan`` (section 4.1.2); Hillis and Steele 1986.

    Parameters
    ----------
    a, b
        Factors and summands, (B, T, D).

    Returns
    -------
    h : torch.Tensor
        The states, (B, T, D).
    """
    shift = 1
    while shift < a.shape[1]:
        earlier_a = F.pad(a[:, :-shift], (0, 0, shift, 0), value=1.0)  # (B, T, D)
        earlier_b = F.pad(b[:, :-shift], (0, 0, shift, 0))
        a, b = a * earlier_a, a * earlier_b + b
        shift *= 2
    return b


class MinGRULM(nn.Module):
    """A language model of minGRU layers, each followed by a feed-forward layer.

    Source: ``eq-rnnlm-mingru`` (section 4.1.2); Feng et al. 2024.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    width
        Length of the residual stream and of each state.
    num_layers
        Number of layers.
    """

    def __init__(self, vocab_size: int, *, width: int, num_layers: int = 2) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * num_layers + 1))
        self.gates = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(num_layers))
        self.wide = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(num_layers))
        self.narrow = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(num_layers))
        self.output = nn.Linear(width, vocab_size)

    def forward(
        self, ids: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the logits of the token after each of `ids`.

        Parameters
        ----------
        ids
            Token ids (B, T).
        state
            The states of all layers before them, (B, layers, D); None for zeros.

        Returns
        -------
        logits : torch.Tensor
            Logits (B, T, V).
        state : torch.Tensor
            The last states.
        """
        x = self.embedding(ids)  # (B, T, D)
        last = []
        for i, (gates, wide, narrow) in enumerate(
            zip(self.gates, self.wide, self.narrow, strict=True)
        ):
            z, proposal = gates(self.norms[2 * i](x)).chunk(2, dim=-1)  # (B, T, D) each
            a, b = torch.sigmoid(-z), torch.sigmoid(z) * proposal
            if state is not None:
                b = torch.cat([b[:, :1] + a[:, :1] * state[:, i, None], b[:, 1:]], dim=1)
            h = scan(a, b)
            last.append(h[:, -1])
            x = x + h
            x = x + narrow(F.gelu(wide(self.norms[2 * i + 1](x))))
        return self.output(self.norms[-1](x)), torch.stack(last, dim=1)

"""The networks that read text: recurrent ones of one layer, and recurrent layers in blocks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from utils.arguments import check_choice
from utils.models.language_models import RNNLM
from utils.models.recurrent import Cell, make_rnn, run_batch_first

EMBEDDING_SIZE = 32
BLOCK_CELLS = ("mingru", "rnn")


def build_recurrent(vocab_size: int, *, cell: Cell = "rnn", width: int) -> RNNLM:
    """Build a recurrent language model whose word vectors have a length of about 1.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    cell
        The cell.
    width
        Length of the hidden state.

    Returns
    -------
    model : RNNLM
        The model.
    """
    model = RNNLM(vocab_size, width=width, cell=cell, embedding_size=EMBEDDING_SIZE)
    nn.init.normal_(model.embedding.weight, std=EMBEDDING_SIZE**-0.5)
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


class MinGRU(nn.Module):
    """A layer whose gates and candidates depend on its inputs alone.

    Source: ``eq-rnnlm-mingru`` (section 4.1.2); Feng et al. 2024.

    Parameters
    ----------
    width
        Length of inputs and states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Linear(width, 2 * width)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states (B, T, D) for inputs (B, T, D) and a state (B, D), and the last one."""
        z, candidate = self.gates(x).chunk(2, dim=-1)  # (B, T, D) each
        a, b = torch.sigmoid(-z), torch.sigmoid(z) * candidate
        first = b[:, :1] + a[:, :1] * state[:, None]
        states = scan(a, torch.cat([first, b[:, 1:]], dim=1))
        return states, states[:, -1]


class SimpleRNN(nn.Module):
    """torch's layer of tanh units with the interface of `MinGRU`, and as many parameters.

    Parameters
    ----------
    width
        Length of inputs and states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rnn = make_rnn("rnn", input_size=width, width=width)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states (B, T, D) for inputs (B, T, D) and a state (B, D), and the last one."""
        states, _ = run_batch_first(self.rnn, x, state[:, None])
        return states, states[:, -1]


class BlockLM(nn.Module):
    """A language model of recurrent layers, each with a feed-forward layer, in residual blocks.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    cell
        "mingru" or "rnn".
    width
        Length of the residual stream and of each state.
    num_layers
        Number of layers.

    Raises
    ------
    ValueError
        If there is no such cell.
    """

    def __init__(
        self, vocab_size: int, *, cell: Literal["mingru", "rnn"], width: int, num_layers: int = 2
    ) -> None:
        super().__init__()
        check_choice(BLOCK_CELLS, cell=cell)
        layer = MinGRU if cell == "mingru" else SimpleRNN
        self.embedding = nn.Embedding(vocab_size, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * num_layers + 1))
        self.cells = nn.ModuleList(layer(width) for _ in range(num_layers))
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
        if state is None:
            state = x.new_zeros(len(x), len(self.cells), x.shape[-1])
        last = []
        for i, (cell, wide, narrow) in enumerate(
            zip(self.cells, self.wide, self.narrow, strict=True)
        ):
            states, final = cell(self.norms[2 * i](x), state[:, i])
            last.append(final)
            x = x + states
            x = x + narrow(F.gelu(wide(self.norms[2 * i + 1](x))))
        return self.output(self.norms[-1](x)), torch.stack(last, dim=1)

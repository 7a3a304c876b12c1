"""Networks of the recall task, many of one kind side by side.

They are so small that most of the time of training one is the time of starting operations. All
parameters therefore have a leading axis of length R, and one matrix product serves R networks, of
different seeds and learning rates. Nothing passes from one network to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn

from benchmarks.memory.task import BLANK, NUM_SYMBOLS, QUERY, RECALL_VOCABULARY
from utils.arguments import check_choice

RecallCell: TypeAlias = Literal["lstm", "gru"]
PARTS_OF_CELL: dict[RecallCell, int] = {"lstm": 4, "gru": 3}


@dataclass(frozen=True, kw_only=True)
class RecallNetwork:
    """What a network of the recall task consists of.

    Parameters
    ----------
    cell
        The recurrent cell.
    width
        D: length of word vectors and states.
    keep_bias
        The bias b of the gate that keeps the state, which starts near σ(b): the forget gate of an
        LSTM, the update gate of a GRU. None for torch's own.
    """

    cell: RecallCell
    width: int = 32
    keep_bias: float | None = None

    def __post_init__(self) -> None:
        check_choice(PARTS_OF_CELL, cell=self.cell)


def draw_parameters(network: RecallNetwork, seed: int) -> dict[str, torch.Tensor]:
    """Draw the parameters of one network: uniform as torch's, word vectors of length about 1.

    Parameters
    ----------
    network
        What it consists of.
    seed
        The seed.

    Returns
    -------
    parameters : dict of str to torch.Tensor
        By name, without the axis of the networks.
    """
    generator = torch.Generator().manual_seed(seed)
    D, k = network.width, PARTS_OF_CELL[network.cell]

    def uniform(*shape: int) -> torch.Tensor:
        return (2 * torch.rand(shape, generator=generator) - 1) * D**-0.5

    p = {
        "embedding": torch.randn(RECALL_VOCABULARY, D, generator=generator) * D**-0.5,
        "input": uniform(D, k * D),
        "input bias": uniform(k * D),
        "output": uniform(D, RECALL_VOCABULARY),
        "output bias": uniform(RECALL_VOCABULARY),
        "recurrent": uniform(D, k * D),
        "recurrent bias": uniform(k * D),
    }
    if network.keep_bias is not None:
        p["input bias"][D : 2 * D] = network.keep_bias
        p["recurrent bias"][D : 2 * D] = 0.0
    return p


class RecallNetworks(nn.Module):
    """R networks of one kind.

    Parameters
    ----------
    network
        What each consists of.
    seeds
        The seed of each, (R,).
    """

    def __init__(self, network: RecallNetwork, seeds: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        drawn = [draw_parameters(network, seed) for seed in seeds]
        self.p = nn.ParameterDict(
            {name: nn.Parameter(torch.stack([each[name] for each in drawn])) for name in drawn[0]}
        )

    def inputs(self, delay: int) -> list[torch.Tensor]:
        """Return the word vectors of the 8 sequences, one (R, 8 or 1, D) for each step.

        All sequences have the same blanks and the same query, which are therefore read once.
        """
        embedding = self.p["embedding"]
        symbols, blank = embedding[:, :NUM_SYMBOLS], embedding[:, BLANK : BLANK + 1]
        return [symbols, *[blank] * (delay - 1), embedding[:, QUERY : QUERY + 1]]

    def forward(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the logits after the last input.

        Parameters
        ----------
        inputs
            Word vectors, (R, 8 or 1, D) for each step.

        Returns
        -------
        logits : torch.Tensor
            Logits (R, 8, V).
        """
        read: dict[int, torch.Tensor] = {}  # an input that comes again is read once
        for x in inputs:
            if id(x) not in read:
                read[id(x)] = self._linear("input", x)
        h = c = inputs[0].new_zeros(inputs[0].shape[0], NUM_SYMBOLS, self.network.width)
        for x in inputs:
            h, c = self._step(read[id(x)], h, c)  # (R, 8, D) each
        return self._linear("output", h)

    def _step(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden and cell state after an input x (R, 8 or 1, kD), already multiplied."""
        past = self._linear("recurrent", h)  # (R, 8, kD)
        if self.network.cell == "lstm":
            i, f, u, o = (x + past).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * u.tanh()
            return o.sigmoid() * c.tanh(), c
        (xr, xz, xu), (hr, hz, hu) = x.chunk(3, dim=-1), past.chunk(3, dim=-1)
        candidate = torch.tanh(xu + (xr + hr).sigmoid() * hu)
        return candidate + (xz + hz).sigmoid() * (h - candidate), c

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Return x (R, n, in) times the matrix of a name, plus its bias: (R, n, out)."""
        return torch.baddbmm(self.p[f"{name} bias"][:, None], x, self.p[name])

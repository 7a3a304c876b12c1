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
from torch.nn import functional as F

from benchmarks.memory.task import BLANK, NUM_SYMBOLS, QUERY, RECALL_VOCABULARY
from utils.arguments import check_choice

RecallCell: TypeAlias = Literal["rnn", "lstm", "gru", "mingru"]
PARTS_OF_CELL: dict[RecallCell, int] = {"rnn": 1, "lstm": 4, "gru": 3, "mingru": 2}
FRAMES = ("bare", "scaled", "block")
STARTS = ("torch", "large", "small")


@dataclass(frozen=True, kw_only=True)
class RecallNetwork:
    """What a network of the recall task consists of.

    Parameters
    ----------
    cell
        The recurrent cell.
    width
        D: length of word vectors and states.
    start
        How the matrix that reads word vectors starts: as torch draws it, times √D if "large", or
        divided by √D if "small".
    keep_bias
        The bias b of the gate that keeps the state, which starts near σ(b): the forget gate of an
        LSTM, the update gate of a GRU, and one minus the gate of a minGRU. None for torch's own.
    frame
        What surrounds the cell: nothing if "bare". It reads word vectors of length about 1, and
        times √D if "scaled". A "block" normalizes them to mean 0 and variance 1, thus to length √D,
        and adds a residual connection, a feed-forward layer and two more normalizations. No
        normalization here has parameters.
    """

    cell: RecallCell
    width: int = 32
    start: str = "torch"
    keep_bias: float | None = None
    frame: str = "bare"

    def __post_init__(self) -> None:
        check_choice(PARTS_OF_CELL, cell=self.cell)
        check_choice(STARTS, start=self.start)
        check_choice(FRAMES, frame=self.frame)


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

    def uniform(*shape: int, fan_in: int = D) -> torch.Tensor:
        return (2 * torch.rand(shape, generator=generator) - 1) * fan_in**-0.5

    p = {
        "embedding": torch.randn(RECALL_VOCABULARY, D, generator=generator) * D**-0.5,
        "input": uniform(D, k * D),
        "input bias": uniform(k * D),
        "output": uniform(D, RECALL_VOCABULARY),
        "output bias": uniform(RECALL_VOCABULARY),
    }
    if network.cell != "mingru":
        p |= {"recurrent": uniform(D, k * D), "recurrent bias": uniform(k * D)}
    p["input"] *= {"torch": 1.0, "large": D**0.5, "small": D**-0.5}[network.start]
    if network.keep_bias is not None:
        keep = slice(0, D) if network.cell == "mingru" else slice(D, 2 * D)
        p["input bias"][keep] = network.keep_bias
        if network.cell != "mingru":
            p["recurrent bias"][keep] = 0.0
    if network.frame == "block":
        p |= {"widen": uniform(D, 2 * D), "widen bias": uniform(2 * D)}
        p |= {"narrow": uniform(2 * D, D, fan_in=2 * D), "narrow bias": uniform(D, fan_in=2 * D)}
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
                read[id(x)] = self._linear("input", self._framed(x))
        h = c = inputs[0].new_zeros(inputs[0].shape[0], NUM_SYMBOLS, self.network.width)
        for x in inputs:
            h, c = self._step(read[id(x)], h, c)  # (R, 8, D) each
        if self.network.frame == "block":
            h = inputs[-1] + h
            h = h + self._linear("narrow", F.gelu(self._linear("widen", normalized(h))))
            h = normalized(h)
        return self._linear("output", h)

    def _step(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden and cell state after an input x (R, 8 or 1, kD), already multiplied."""
        if self.network.cell == "mingru":
            keep, candidate = x.chunk(2, dim=-1)
            return candidate + keep.sigmoid() * (h - candidate), c
        past = self._linear("recurrent", h)  # (R, 8, kD)
        if self.network.cell == "rnn":
            return torch.tanh(x + past), c
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

    def _framed(self, x: torch.Tensor) -> torch.Tensor:
        """Return word vectors as the cell reads them."""
        if self.network.frame == "bare":
            return x
        return x * x.shape[-1] ** 0.5 if self.network.frame == "scaled" else normalized(x)


def normalized(x: torch.Tensor) -> torch.Tensor:
    """Return vectors of mean 0 and variance 1."""
    return F.layer_norm(x, x.shape[-1:])

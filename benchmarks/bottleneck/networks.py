"""Encoder–decoders that copy strings, M of them computed at once.

Small networks on a CPU spend most of their time between operations. Here each parameter has a first
axis for the network, so that one operation serves all M. The networks share no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch.nn import functional as F

from benchmarks.bottleneck.task import VOCAB_SIZE, Strings

WIDTH = 48  # D of encoder and decoder, if nothing else is said
WIDEST = 32  # the most numbers that a vector is projected to
SMALL = 6  # numbers of each state in a small memory: eight states have as many as one vector

Cell: TypeAlias = Literal["gru", "rnn", "half gru", "half rnn"]
Memory: TypeAlias = Literal["start", "vector", "states", "small values", "small states"]
Parameters: TypeAlias = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Network:
    """One encoder–decoder.

    Parameters
    ----------
    numbers
        Numbers k to which a linear layer projects the encoder's vector before another widens it;
        None hands the vector over as it is.
    cell
        The recurrent cell: "gru", or "rnn" with a tanh. In "half gru", the update gate is one half
        whatever is read; "half rnn" has no gates, and its state is the mean of the one before and
        of what an "rnn" would put in its place.
    reversed_source
        Whether the encoder reads the source from its end.
    memory
        What the decoder is given: "start" puts the vector into its first state only, "vector" into
        each step as well, "states" lets it attend to all states of the encoder. "small values" and
        "small states" attend, too, but average `SMALL` numbers of each state, and their decoder
        starts from zeros; "small values" computes the scores from the whole states, "small states"
        from these numbers.
    width
        D of encoder and decoder.

    Raises
    ------
    ValueError
        If the numbers are out of range, or given where no vector is projected.
    """

    numbers: int | None = None
    cell: Cell = "gru"
    reversed_source: bool = False
    memory: Memory = "start"
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.numbers is not None and not 1 <= self.numbers <= WIDEST:
            raise ValueError(f"numbers must be from 1 to {WIDEST} or None, got {self.numbers}")
        if self.numbers is not None and self.memory not in ("start", "vector"):
            raise ValueError(f"numbers must be None where memory={self.memory!r} attends to states")

    @property
    def has_small_memory(self) -> bool:
        """Whether the decoder averages a few numbers of each state."""
        return self.memory.startswith("small")


def _sizes(network: Network) -> dict[str, tuple[int, int]]:
    """Return the shape of each parameter of a network; the last axis but one is what it sums."""
    D, V = network.width, VOCAB_SIZE
    gates = 3 * D if network.cell in ("gru", "half gru") else D
    sizes = {}
    for side in ("encoder", "decoder"):
        sizes[f"{side}.embedding"] = (V, D)
        sizes |= {f"{side}.{name}": (D, gates) for name in ("input", "hidden")}
        sizes |= {f"{side}.{name}": (1, gates) for name in ("input bias", "hidden bias")}
    if network.numbers is not None:
        sizes |= {"narrow": (D, WIDEST), "widen": (WIDEST, D), "widen bias": (1, D)}
    if network.memory != "start":
        sizes |= {"query": (D, D), "mix": (2 * D, D), "mix bias": (1, D)}
    if network.has_small_memory:
        sizes |= {"shrink": (D, SMALL), "grow": (SMALL, D), "grow bias": (1, D)}
    return sizes | {"output": (D, V), "output bias": (1, V)}


def initial_parameters(network: Network, seed: int) -> Parameters:
    """Draw the parameters of one network.

    Word vectors are standard normal; all else is uniform within ±1/√D, and after the k or `SMALL`
    numbers within one over the root of these, as in PyTorch's layers.
    """
    generator = torch.Generator().manual_seed(seed)
    parameters = {}
    for name, size in _sizes(network).items():
        if name.endswith("embedding"):
            parameters[name] = torch.randn(size, generator=generator)
            continue
        few = {"widen": network.numbers, "grow": SMALL}
        inputs = few.get(name.removesuffix(" bias")) or network.width
        parameters[name] = (2 * torch.rand(size, generator=generator) - 1) / inputs**0.5
    return parameters


def count_parameters(network: Network) -> int:
    """Count the numbers that a network trains; those behind a closed place do not."""
    shapes = {name: torch.Size(size).numel() for name, size in _sizes(network).items()}
    if network.numbers is not None:
        shapes["narrow"] = shapes["widen"] = network.width * network.numbers
    return sum(shapes.values())


class Stack:
    """M networks of one cell and one kind of memory, with their parameters in a first axis.

    Parameters
    ----------
    networks
        The networks, which differ in numbers, in seed and in the order of the source only.
    seeds
        The seed of each one's parameters.

    Raises
    ------
    ValueError
        If the networks differ in shape.
    """

    def __init__(self, networks: Sequence[Network], seeds: Sequence[int]) -> None:
        if len({tuple(_sizes(network).items()) for network in networks}) != 1:
            raise ValueError("networks of one stack must have the same cell, memory and bottleneck")
        self.networks, self.seeds = list(networks), list(seeds)
        self.cell, self.memory = networks[0].cell, networks[0].memory
        self.width = networks[0].width
        self.reversed_source = [network.reversed_source for network in networks]
        drawn = [initial_parameters(*pair) for pair in zip(networks, seeds, strict=True)]
        self.parameters = {
            name: torch.stack([each[name] for each in drawn]).requires_grad_() for name in drawn[0]
        }
        open_places = torch.tensor([network.numbers or 0 for network in networks])
        self.is_open = torch.arange(WIDEST) < open_places[:, None, None]  # (M, 1, WIDEST)

    def select(self, indices: Sequence[int]) -> Stack:
        """Return a stack of some of the networks, in that order; one may stand in it twice."""
        chosen = Stack([self.networks[i] for i in indices], [self.seeds[i] for i in indices])
        for name, parameter in self.parameters.items():
            chosen.parameters[name] = parameter.detach()[list(indices)].requires_grad_()
        return chosen

    def encode(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all states (M, B, n, D) and the last one (M, B, D) for `source` (M, B, n)."""
        zeros = torch.zeros(*source.shape[:2], self.width)
        states = self._run("encoder", source, zeros)
        return states, states[:, :, -1]

    def narrow(self, vector: torch.Tensor) -> torch.Tensor:
        """Return the k numbers of `vector` (M, B, D), zeros behind them: (M, B, WIDEST)."""
        return (vector @ self.parameters["narrow"]) * self.is_open

    def logits(self, strings: Strings) -> torch.Tensor:
        """Compute the teacher-forced logits (M, B, n + 1, V) of a batch."""
        states, vector = self.encode(strings.source)
        if "narrow" in self.parameters:
            vector = self.widen(self.narrow(vector))  # (M, B, D)
        return self.decode(strings.inputs, vector, states)

    def widen(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return the vector (M, B, D) that the decoder is given for `numbers` (M, B, WIDEST)."""
        return torch.baddbmm(self.parameters["widen bias"], numbers, self.parameters["widen"])

    def decode(
        self, inputs: torch.Tensor, vector: torch.Tensor, states: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the logits of teacher forcing, given what the encoder hands over.

        Parameters
        ----------
        inputs
            The decoder's inputs (M, B, n + 1).
        vector
            The vector (M, B, D) that the encoder hands over.
        states
            All states of the encoder (M, B, S, D), for a decoder with attention.

        Returns
        -------
        logits : torch.Tensor
            The logits (M, B, n + 1, V).
        """
        first = torch.zeros_like(vector) if self.networks[0].has_small_memory else vector
        hidden = self._run("decoder", inputs, first)  # (M, B, n + 1, D)
        if self.memory != "start":
            kept = vector[:, :, None] if self.memory == "vector" else states
            assert kept is not None, "attention needs the encoder's states"  # (M, B, S, D)
            values = kept
            if self.networks[0].has_small_memory:
                values = self._linear("grow", self._linear("shrink", kept))
            scored = values if self.memory == "small states" else kept
            scores = self._linear("query", hidden) @ scored.mT  # (M, B, n + 1, S)
            contexts = scores.softmax(-1) @ values  # (M, B, n + 1, D)
            hidden = torch.tanh(self._linear("mix", torch.cat([hidden, contexts], -1)))
        return self._linear("output", hidden)

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Multiply `x` (M, B, T, inputs) by a matrix of each network, in one operation."""
        matrix, bias = self.parameters[name], self.parameters.get(f"{name} bias")
        flat = x.flatten(1, 2)  # (M, B·T, inputs)
        flat = torch.bmm(flat, matrix) if bias is None else torch.baddbmm(bias, flat, matrix)
        return flat.view(*x.shape[:-1], -1)

    def _run(self, side: str, ids: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the states (M, B, T, D) of one network of each pair after each of `ids`."""
        p = {name.partition(".")[2]: x for name, x in self.parameters.items() if side in name}
        table = torch.baddbmm(p["input bias"], p["embedding"], p["input"])  # (M, V, gates)
        one_hot = F.one_hot(ids.flatten(1), VOCAB_SIZE).float()  # (M, B·T, V): faster than lookup
        x = torch.bmm(one_hot, table).view(*ids.shape, -1)  # (M, B, T, gates)
        states = []
        for step in x.unbind(2):  # (M, B, gates)
            update = torch.baddbmm(p["hidden bias"], state, p["hidden"])
            state = self._step(step, update, state)
            states.append(state)
        return torch.stack(states, 2)

    def _step(self, x: torch.Tensor, update: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the next state (M, B, D) from the two projections; gates in PyTorch's order."""
        if self.cell in ("rnn", "half rnn"):
            new = torch.tanh(x + update)
            return new if self.cell == "rnn" else torch.lerp(new, state, 0.5)
        both = 2 * self.width
        gates = torch.sigmoid(x[..., :both] + update[..., :both])
        reset, keep = gates.chunk(2, -1)
        new = torch.tanh(x[..., both:] + reset * update[..., both:])
        return torch.lerp(new, state, keep if self.cell == "gru" else torch.full_like(keep, 0.5))

"""What the benchmark compares: networks, and for how many steps they train."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.bottleneck.networks import Network
from benchmarks.bottleneck.task import LETTERS, LONGEST
from benchmarks.bottleneck.training import BATCH_SIZE

NUMBERS, STEPS = (2, 8, 32), (125, 500, 2000)  # of the grid: k, and the length of the training
FIRST_RATES = (1e-2, 2e-2, 4e-2)


@dataclass(frozen=True)
class Recipe:
    """A network and the length of its training.

    Parameters
    ----------
    network
        The network.
    steps
        Number of training steps.
    """

    network: Network
    steps: int = 500

    def settings(self) -> dict[str, Any]:
        """Return the settings of the arm that rows store."""
        fixed = {"optimizer": "Adam", "batch size": BATCH_SIZE}
        task = {"letters": LETTERS, "longest": LONGEST}
        return fixed | task | {"steps": self.steps} | asdict(self.network)


CONTROLS = {  # between the RNN and the GRU, which differ in gates and in number of parameters
    "RNN 81 wide": Network(cell="rnn", width=81),  # as many parameters as the GRU, within 2 %
    "RNN, half kept": Network(cell="half rnn"),
    "GRU, half kept": Network(cell="half gru"),
}


def grid_arm(numbers: int, steps: int) -> str:
    """Return the name of an arm of the grid."""
    return f"{numbers} numbers, {steps} steps"


PARTS = {
    "grid": {
        grid_arm(k, steps): Recipe(Network(numbers=k), steps) for steps in STEPS for k in NUMBERS
    },
    "decoders": {
        f"{k} numbers, vector in each step": Recipe(Network(numbers=k, memory="vector"))
        for k in NUMBERS
    },
    "memories": {
        "vector in the first state": Recipe(Network(memory="start")),
        "vector in each step": Recipe(Network(memory="vector")),
        "attention to all states": Recipe(Network(memory="states")),
    },
    "small memories": {  # beside the memories: eight states with as many numbers as one vector
        "scores from 48 numbers, 500 steps": Recipe(Network(memory="small values"), 500),
        "scores from 6 numbers, 500 steps": Recipe(Network(memory="small states"), 500),
        "scores from 6 numbers, 2000 steps": Recipe(Network(memory="small states"), 2000),
        "vector in each step, 2000 steps": Recipe(Network(memory="vector"), 2000),
    },
    "order": {
        f"{cell.upper()}, {name}": Recipe(Network(cell=cell, reversed_source=name == "reversed"))
        for cell in ("rnn", "gru")
        for name in ("in order", "reversed")
    },
    "gates": {
        f"{name}, {order}": Recipe(replace(network, reversed_source=order == "reversed"))
        for name, network in CONTROLS.items()
        for order in ("in order", "reversed")
    },
}

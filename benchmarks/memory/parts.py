"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial

from benchmarks.memory.networks import BlockLM, build_recurrent
from benchmarks.memory.recall import RecallArm
from benchmarks.memory.recall_networks import RecallNetwork
from benchmarks.memory.training import Recipe

NETWORKS = {
    "RNN": RecallNetwork(cell="rnn"),
    "LSTM, b = 1": RecallNetwork(cell="lstm", keep_bias=1.0),
    "GRU": RecallNetwork(cell="gru"),
    "minGRU": RecallNetwork(cell="mingru"),
    "RNN, orthogonal": RecallNetwork(cell="rnn", start="orthogonal"),
    "LSTM, b = 4": RecallNetwork(cell="lstm", keep_bias=4.0),
    "minGRU, b = 4": RecallNetwork(cell="mingru", keep_bias=4.0),
}


RECALL: dict[str, RecallArm] = {
    **{f"RNN, delay {d}": RecallArm(network=NETWORKS["RNN"], delay=d) for d in (5, 15)},
    **{name: RecallArm(network=network) for name, network in NETWORKS.items()},
    **{
        f"{name}, {frame}": RecallArm(network=NETWORKS[name].framed(frame))
        for frame in ("scaled", "normalized")
        for name in ("RNN", "minGRU")
    },
    **{
        f"{name}, block": RecallArm(network=NETWORKS[name].framed("block"))
        for name in ("RNN", "LSTM, b = 1", "GRU", "minGRU")
    },
}

characters = partial(Recipe, steps=300, batch_size=16, rates=(0.008, 0.016, 0.032))

PARTS: dict[str, dict[str, Recipe]] = {
    "characters": {
        "RNN": characters(build=partial(build_recurrent, width=120)),
        "LSTM": characters(build=partial(build_recurrent, cell="lstm", width=60), units=True),
        "minGRU": characters(build=partial(BlockLM, cell="mingru", width=43)),
        "RNN in blocks": characters(build=partial(BlockLM, cell="rnn", width=43)),
    },
}

"""The parts of the benchmark and their arms."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.memory.networks import EMBEDDING_SIZE, BlockLM, build_recurrent
from benchmarks.memory.recall import RecallArm
from benchmarks.memory.recall_networks import RecallNetwork
from benchmarks.memory.training import Recipe
from utils.models.language_models import NNLM

RNN, GRU = RecallNetwork(cell="rnn"), RecallNetwork(cell="gru")
MINGRU = RecallNetwork(cell="mingru")
NETWORKS = {
    "RNN": RNN,
    "LSTM, b = 1": RecallNetwork(cell="lstm", keep_bias=1.0),
    "LSTM, b = 4": RecallNetwork(cell="lstm", keep_bias=4.0),
    "GRU": GRU,
    "RNN, scaled": replace(RNN, frame="scaled"),
    "RNN, block": replace(RNN, frame="block"),
    "GRU, block": replace(GRU, frame="block"),
    "minGRU, block": replace(MINGRU, frame="block"),
}
RECALL: dict[str, RecallArm] = {
    **{f"RNN, delay {d}": RecallArm(network=RNN, delay=d) for d in (5, 15)},
    **{name: RecallArm(network=network) for name, network in NETWORKS.items()},
}

GATES: dict[str, RecallArm] = {
    "short vectors": RecallArm(network=MINGRU),
    "short vectors, large weights": RecallArm(network=replace(MINGRU, start="large")),
    "long vectors, small weights": RecallArm(
        network=replace(MINGRU, frame="scaled", start="small")
    ),
    "long vectors": RecallArm(network=replace(MINGRU, frame="scaled")),
    "short vectors, b = 4": RecallArm(network=replace(MINGRU, keep_bias=4.0)),
}
"""minGRUs, measured at all rates: the length of what they read, and of what their gates read."""

characters = partial(Recipe, steps=300, batch_size=16, rates=(0.008, 0.016, 0.032))

PARTS: dict[str, dict[str, Recipe]] = {
    "characters": {
        "window of 8": characters(
            build=partial(
                NNLM, order=9, embedding_size=EMBEDDING_SIZE, hidden_size=82, use_direct_layer=False
            )
        ),
        "RNN": characters(build=partial(build_recurrent, width=120)),
        "LSTM": characters(build=partial(build_recurrent, cell="lstm", width=60), units=True),
        "minGRU": characters(build=partial(BlockLM, cell="mingru", width=43)),
        "RNN in blocks": characters(build=partial(BlockLM, cell="rnn", width=43)),
    },
}

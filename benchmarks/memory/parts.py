"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial

from benchmarks.memory.networks import EMBEDDING_SIZE, BlockLM, build_recurrent
from benchmarks.memory.recall_networks import RecallNetwork
from benchmarks.memory.training import Recipe
from utils.models.language_models import NNLM

RECALL = {
    "LSTM, b = 1": RecallNetwork(cell="lstm", keep_bias=1.0),
    "LSTM, b = 4": RecallNetwork(cell="lstm", keep_bias=4.0),
    "GRU": RecallNetwork(cell="gru"),
}

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

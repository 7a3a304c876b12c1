"""The parts of the benchmark and their arms."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from benchmarks.memory.networks import MinGRULM, build_recurrent
from benchmarks.memory.training import Recipe
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM

DELAYS = (5, 15, 30)
RECALL_RATES = (0.002, 0.008, 0.032)
WIDTH = 32  # of the networks that recall


def build_open_lstm(vocab_size: int, *, bias: float) -> RNNLM:
    """Build an LSTM whose forget gates start with a given bias.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    bias
        The bias b: with inputs and states near zero, the gates start at σ(b).

    Returns
    -------
    model : RNNLM
        The model.
    """
    model = build_recurrent(vocab_size, cell="lstm", width=WIDTH)
    gates = slice(WIDTH, 2 * WIDTH)  # in the order input, forget, content, output
    parameters = dict(model.rnn.named_parameters())
    with torch.no_grad():
        parameters["bias_hh_l0"][gates] = 0.0
        parameters["bias_ih_l0"][gates] = bias
    return model


def build_gpt(vocab_size: int) -> nn.Module:
    """Build a GPT of about as many parameters as the recurrent networks."""
    return GPT(vocab_size, width=32, num_layers=2, num_heads=2, context_length=64)


recall = partial(Recipe, steps=300, batch_size=32, rates=RECALL_RATES, tuning_seeds=(100, 101))
plain = partial(build_recurrent, width=WIDTH)
characters = partial(Recipe, steps=300, batch_size=16, rates=(0.004, 0.008, 0.016))
strips = partial(Recipe, steps=600, batch_size=64, rates=(0.004, 0.008, 0.016))
lstm = partial(build_recurrent, cell="lstm", width=60)

PARTS: dict[str, dict[str, Recipe]] = {
    "recall": {
        **{f"RNN, delay {d}": recall(build=plain, delay=d) for d in DELAYS},
        "RNN, orthogonal": recall(build=partial(plain, start="orthogonal"), delay=DELAYS[-1]),
        "RNN, identity": recall(build=partial(plain, start="identity"), delay=DELAYS[-1]),
        "LSTM, b = 1": recall(build=partial(build_open_lstm, bias=1.0), delay=DELAYS[-1]),
        "LSTM, b = 4": recall(build=partial(build_open_lstm, bias=4.0), delay=DELAYS[-1]),
        "minGRU": recall(build=partial(MinGRULM, width=24, num_layers=1), delay=DELAYS[-1]),
    },
    "characters": {
        "RNN": characters(build=partial(build_recurrent, width=120)),
        "RNN, orthogonal": characters(
            build=partial(build_recurrent, width=120, start="orthogonal")
        ),
        "LSTM": characters(build=lstm, units=True),
        "minGRU": characters(build=partial(MinGRULM, width=43)),
        "GPT": characters(build=build_gpt),
    },
    "strips": {
        "fresh state": strips(build=lstm, carried=False),
        "carried state": strips(build=lstm, carried=True),
    },
}

"""A GPT beside the recurrent networks that read text, for section 4.1.2.

    python -m benchmarks.recurrence                 some two minutes on one quiet core

The task, the budget, the tuning and the measures are those of ``benchmarks.memory``, part
"characters". The GPT has its blocks: LayerNorm, GELU, a feed-forward part of twice the width, and
matrices that start as torch draws them. Causal attention over a window of 64 characters, with
rotary positions, takes the place of the recurrence. Attention needs four matrices where a minGRU
has two, so that the GPT is narrower, and its output matrix is that of its word vectors. While it
is measured, each layer keeps the keys and values of the last 64 characters from call to call.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from benchmarks import command_line, result_files
from benchmarks.memory.__main__ import run_text_arm
from benchmarks.memory.task import Characters
from benchmarks.memory.training import CONTEXT_LENGTH, Recipe
from utils.console import make_output_safe
from utils.models.gpt import GPT


def build_gpt(vocab_size: int, *, width: int, num_layers: int = 2) -> GPT:
    """Build a GPT whose blocks and start are those of ``benchmarks.memory.networks.BlockLM``.

    Parameters
    ----------
    vocab_size
        Size of the vocabulary.
    width
        Length of the residual stream.
    num_layers
        Number of layers.

    Returns
    -------
    model : GPT
        The model.
    """
    model = GPT(
        vocab_size,
        width=width,
        num_layers=num_layers,
        context_length=CONTEXT_LENGTH,
        feedforward_size=2 * width,
        norm="layer",
        activation="gelu",
        qk_norm=False,
        zero_init=False,
        bias=True,
    )
    for module in model.layers.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    nn.init.normal_(model.embedding.weight, std=width**-0.5)
    return model


ARMS = {
    "GPT": Recipe(
        build=partial(build_gpt, width=40), rates=(0.008, 0.016, 0.032), steps=300, batch_size=16
    )
}


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("recurrence", __doc__)
    command_line.add_seeds(parser, [0, 1, 2])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = result_files.Run.start("recurrence", arguments), Characters.load()
    trials, rows = (
        result_files.SeedRows(options.out, run, part=part, origin=task.origin)
        for part in ("characters, trials", "characters")
    )
    for arm, recipe in ARMS.items():
        run_text_arm(arm, recipe, task=task, seeds=options.seeds, trials=trials, rows=rows)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])

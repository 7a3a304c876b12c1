"""The time that the book's training loop takes, relative to a bare one.

    python -m benchmarks.loop

Both take the same steps, from the same parameters on the same batches, with the same optimizer and
clipping: `fit` with its schedule, counts of tokens, readings of the loss and Ctrl-C on the one
side, ten lines of PyTorch on the other. They take turns in one process, and each round gives the
ratio of their processor times. Medians and quartiles go to book/results/loop.json.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import command_line, result_files
from benchmarks.characters.task import CharacterTask
from benchmarks.timing import RatioFigures, measure_in_turn
from utils.console import make_output_safe
from utils.data.batches import TextBatches
from utils.models.gpt import GPT
from utils.models.language_models import RNNLM
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import adamw


def build_small_gpt(vocab_size: int) -> nn.Module:
    """Build a GPT of the default sizes."""
    return GPT(vocab_size)


def build_small_lstm(vocab_size: int) -> nn.Module:
    """Build an LSTM language model."""
    return RNNLM(vocab_size, width=128, num_layers=2, cell="lstm")


MODEL_BUILDERS = {
    "GPT, 0.8 M parameters": build_small_gpt,
    "LSTM, 0.3 M parameters": build_small_lstm,
}


def train_bare(model: nn.Module, batches: TextBatches, config: TrainConfig) -> None:
    """Train with the steps of `fit` and nothing else.

    Parameters
    ----------
    model
        The language model to train.
    batches
        The training batches.
    config
        How to train.
    """
    optimizer = adamw(model, config)
    model.train()
    for step in range(config.steps):
        batch = batches[step]
        logits, _ = model(batch.inputs)  # (B, T, V)
        F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def train_with_fit(model: nn.Module, batches: TextBatches, config: TrainConfig) -> None:
    """Train with `fit`.

    Parameters
    ----------
    model
        The language model to train.
    batches
        The training batches.
    config
        How to train.
    """
    fit(model, batches, config, progress=False).raise_if_interrupted()


def compare_loops(
    build: Callable[[int], nn.Module], task: CharacterTask, *, num_rounds: int, steps: int
) -> RatioFigures:
    """Compare the times of `fit` and of the bare loop for one model.

    Parameters
    ----------
    build
        Builds the model for a size of the vocabulary.
    task
        The data.
    num_rounds
        The number of rounds.
    steps
        Training steps in a round.

    Returns
    -------
    figures : RatioFigures
        The time of `fit` over that of the bare loop.
    """
    batches = task.train_batches(seed=0)
    config = TrainConfig(steps=steps, schedule="constant", warmup_fraction=0.0)

    def seconds(train: Callable[[nn.Module, TextBatches, TrainConfig], None]) -> float:
        seed_everything(0)
        model = build(task.vocab_size)
        start = time.process_time()
        train(model, batches, config)
        return time.process_time() - start

    return RatioFigures.from_rounds(
        measure_in_turn(
            lambda _: seconds(train_with_fit), lambda _: seconds(train_bare), num_rounds=num_rounds
        )
    )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = command_line.benchmark_parser("loop", __doc__)
    parser.add_argument(
        "--rounds", type=command_line.positive_integer, default=15, help="2 or more"
    )
    parser.add_argument(
        "--steps", type=command_line.positive_integer, default=20, help="in a round"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 2:
        parser.error("argument --rounds: expected 2 or more, for the quartiles")
    torch.set_num_threads(1)
    run, task = result_files.Run.start("loop", arguments), CharacterTask.load()
    results = {}
    for name, build in MODEL_BUILDERS.items():
        figures = compare_loops(build, task, num_rounds=options.rounds, steps=options.steps)
        low, high = figures.quartiles
        ratio = f"{figures.median:.3f} [{low:.3f}, {high:.3f}]"
        print(f"{name}: fit takes {ratio} of the bare loop's time", flush=True)
        results[name] = asdict(figures)
    provenance = run.provenance(seeds=[0], origin=task.origin)
    result_files.write_results(options.out, {"ratios": results, "provenance": provenance})


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])

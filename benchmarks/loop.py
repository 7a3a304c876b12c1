"""What the book's training loop costs over a bare one.

    python -m benchmarks.loop

Both take the same steps, from the same weights on the same batches, with the same optimizer and
clipping: `utils.training.fit` with its schedule, token counts, looks at the loss and Ctrl-C on the
one side, ten lines of PyTorch on the other. They take turns in one process; each round gives the
ratio of their processor times. Medians and quartiles go to book/results/loop.json.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import record
from benchmarks.characters import corpus
from utils import runtime
from utils.data.batches import TextBatches
from utils.models.gpt import GPT
from utils.models.language_models import LSTMLM
from utils.training.config import TrainConfig
from utils.training.loop import fit
from utils.training.optimizers import adamw

MODELS = {
    "GPT, 0.8 M parameters": lambda V: GPT(V),
    "LSTM, 0.3 M parameters": lambda V: LSTMLM(V, width=128, tied=False),
}


def bare(model: nn.Module, batches: TextBatches, config: TrainConfig) -> None:
    """The step of `fit` and nothing else."""
    optimizer = adamw(model, config)
    model.train()
    for step in range(config.steps):
        batch = batches[step]
        logits, _ = model(batch.inputs)
        F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def seconds(train: Callable, model: nn.Module, *given) -> float:
    """Processor time of one call."""
    begun = time.process_time()
    train(model, *given)
    return time.process_time() - begun


def ratios(build, batches: TextBatches, V: int, rounds: int, steps: int) -> list[float]:
    """Time of `fit` over time of the bare loop, round by round, each first in every other one."""
    config, found = TrainConfig(steps=steps, schedule="constant", warmup=0.0), []
    loops = [lambda *given: fit(*given, progress=False), bare]
    for turn in range(rounds + 1):
        times = {}
        for which in (0, 1) if turn % 2 else (1, 0):
            runtime.seed_everything(0)
            times[which] = seconds(loops[which], build(V), batches, config)
        found.append(times[0] / times[1])
    return found[1:]  # the first round warms up


def main(arguments: list[str]) -> None:
    parser = record.parser("loop", __doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20, help="in a round")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    started, commit = time.perf_counter(), record.commit_now()
    train, _, V, origin = corpus()
    batches, found = TextBatches(train, batch_size=12, context_length=64), {}
    for name, build in MODELS.items():
        each = ratios(build, batches, V, chosen.rounds, chosen.steps)
        low, median, high = statistics.quantiles(each, n=4)
        found[name] = {"median": median, "quartiles": [low, high], "rounds": len(each)}
        print(f"{name}: fit takes {median:.3f} [{low:.3f}, {high:.3f}] of the bare loop's time")
    origins = record.provenance(
        "loop", arguments, commit=commit, seeds=[0], origin=origin, started=started
    )
    record.write(chosen.out, {"ratios": found, "provenance": origins})


if __name__ == "__main__":
    main(sys.argv[1:])

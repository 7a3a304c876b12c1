"""What weights in bfloat16 cost, and stochastic rounding against it: for section 7.2.

    python -m benchmarks.rounding                      some three minutes on one quiet core
    python -m benchmarks.rounding --seeds 0 1 2

A small GPT learns Tiny Shakespeare by characters. All arithmetic is in float32; the arms differ in
what happens to the weights after each step: nothing, rounding to the nearest bfloat16, or
stochastic rounding, up or down with probabilities that make the mean right. Each arm has its
learning rate tuned by itself: rates a factor of two apart are tried with two seeds that are used
for nothing else, more of them while the best is at an edge. Rates are chosen by the loss on the
validation text, and figures measured on the test text. Trials and runs are rows of
book/results/rounding.json; a run that was stopped goes on.

What differs at each arm's own rate may come from the rate. All arms are therefore also trained at
that of float32, where nothing but the rounding differs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks import record
from benchmarks.tuning import finite_loss, run_missing, trial_score, tune
from utils.console import make_output_safe
from utils.data.batches import Batch, TextBatches, text_eval_batches
from utils.data.corpora import load_text
from utils.data.tokenizers import CharTokenizer
from utils.metrics.cost import count_parameters
from utils.models.gpt import GPT
from utils.runtime import seed_everything
from utils.training.config import TrainConfig
from utils.training.evaluation import evaluate
from utils.training.loop import fit
from utils.training.optimizers import adamw

TUNING_SEEDS = (100, 101)
RATES = (0.002, 0.004, 0.008)
MEASURED = 12_000  # characters of the validation and of the test text
SIZES = {"width": 32, "num_layers": 2, "num_heads": 2, "context_length": 32}
BATCH_SIZE, STEPS = 16, 200
DROPPED = 16  # the bits of float32 that bfloat16 lacks

Rounding = Callable[[torch.Tensor], torch.Tensor]


def to_nearest(weight: torch.Tensor) -> torch.Tensor:
    """Round float32 numbers to the nearest of bfloat16."""
    return weight.bfloat16().float()


def stochastically(weight: torch.Tensor) -> torch.Tensor:
    """Round float32 numbers up or down to bfloat16, so that their mean stays right.

    A random number is added to the bits that are dropped then. The probability of rounding away
    from zero is the dropped part, as a fraction of the distance between neighbours.
    """
    bits = weight.contiguous().view(torch.int32)
    noise = torch.randint(0, 2**DROPPED, bits.shape, dtype=torch.int32)
    return ((bits + noise) >> DROPPED << DROPPED).view(torch.float32)


ROUNDINGS: dict[str, Rounding | None] = {
    "float32": None,
    "bfloat16, nearest": to_nearest,
    "bfloat16, stochastic": stochastically,
}


@dataclass(frozen=True)
class Task:
    """The characters to train on and those that are measured.

    Parameters
    ----------
    train
        Ids of the training text, (N,).
    selection, reporting
        Windows of the validation and of the test text.
    vocab_size
        The number of different characters.
    origin
        Where the text comes from: "real" or "stand-in".
    """

    train: torch.Tensor
    selection: list[Batch]
    reporting: list[Batch]
    vocab_size: int
    origin: str

    @classmethod
    def load(cls) -> Task:
        """Load Tiny Shakespeare by characters."""
        corpus = load_text()
        tokenizer = CharTokenizer.train(corpus.train)
        selection, reporting = (
            text_eval_batches(
                torch.tensor(tokenizer.encode(text[:MEASURED])),
                batch_size=64,
                context_length=SIZES["context_length"],
            )
            for text in (corpus.valid, corpus.test)
        )
        train = torch.tensor(tokenizer.encode(corpus.train))
        return cls(train, selection, reporting, len(tokenizer.vocab), corpus.origin)


class WeightRounding:
    """Rounds the weights of a model after each step, and counts those that did not move.

    Parameters
    ----------
    model
        The model, whose weights are rounded at once.
    rounding
        How; None to leave them.
    """

    def __init__(self, model: nn.Module, rounding: Rounding | None) -> None:
        self.rounding = rounding
        self.parameters = list(model.parameters())
        self.unmoved: list[float] = []
        self._round()
        self.before = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def _round(self) -> None:
        """Round all weights in place."""
        for parameter in self.parameters if self.rounding else ():
            parameter.copy_(self.rounding(parameter))  # type: ignore[misc]

    def after_step(self, *_: Any) -> None:
        """Round, and note the share of weights that are what they were before the step."""
        self._round()
        pairs = list(zip(self.parameters, self.before, strict=True))
        same = sum(int((p.detach() == q).sum()) for p, q in pairs)
        self.unmoved.append(same / sum(p.numel() for p in self.parameters))
        for parameter, before in pairs:
            before.copy_(parameter.detach())


def run_trial(
    arm: str, task: Task, *, rate: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train once.

    Parameters
    ----------
    arm
        One of `ROUNDINGS`.
    task
        The text.
    rate
        The learning rate.
    seed
        Seed of the parameters, the batches and the rounding.

    Returns
    -------
    figures : dict
        The loss that selects, the loss and the mean share of weights that a step did not move.
    costs : dict
        Parameters, tokens and seconds of the processor.
    """
    start = time.process_time()
    seed_everything(seed)
    model = GPT(task.vocab_size, **SIZES)  # type: ignore[arg-type]
    rounding = WeightRounding(model, ROUNDINGS[arm])

    def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
        optimizer = adamw(model, config)
        optimizer.register_step_post_hook(rounding.after_step)
        return optimizer

    batches = TextBatches(
        task.train, batch_size=BATCH_SIZE, context_length=SIZES["context_length"], seed=seed
    )
    config = TrainConfig(steps=STEPS, learning_rate=rate)
    history = fit(model, batches, config, progress=False, make_optimizer=make_optimizer)
    history.raise_if_interrupted()
    figures = {
        "selection loss": finite_loss(evaluate(model, task.selection).loss),
        "loss": finite_loss(evaluate(model, task.reporting).loss),
        "unmoved": sum(rounding.unmoved) / len(rounding.unmoved),
    }
    costs = {
        "parameters": count_parameters(model),
        "tokens": STEPS * BATCH_SIZE * SIZES["context_length"],
        "processor_seconds": round(time.process_time() - start, 2),
    }
    return figures, costs


def tune_arm(arm: str, task: Task, rows: record.SeedRows) -> dict[float, float]:
    """Tune the rate of an arm by `tune`; each trial is a row and is run once only.

    Parameters
    ----------
    arm
        One of `ROUNDINGS`.
    task
        The text.
    rows
        The rows of the trials.

    Returns
    -------
    scores : dict of float to float
        The scores by rate.
    """

    def score(rate: float) -> float:
        run = partial(run_trial, arm, task, rate=rate)
        trial, settings = f"{arm}, rate {rate:g}", settings_of(rate, None)
        return trial_score(rows, trial, TUNING_SEEDS, settings, run, figure="selection loss")

    return tune(score, RATES)


def settings_of(rate: float, grid: list[float] | None) -> dict[str, Any]:
    """Return what is stored of a run."""
    fixed = {"optimizer": "AdamW", "steps": STEPS, "batch size": BATCH_SIZE}
    return fixed | {"learning_rate": rate, "grid": grid}


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark by the arguments of its command line."""
    parser = record.benchmark_parser("rounding", __doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(7)))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run, task = record.Run.start("rounding", arguments), Task.load()
    trials, own, shared = (
        record.SeedRows(options.out, run, part=part, origin=task.origin)
        for part in ("weights, trials", "weights", "one rate")
    )
    grids = {arm: tune_arm(arm, task, trials) for arm in ROUNDINGS}
    best = {arm: min(scores, key=lambda rate: scores[rate]) for arm, scores in grids.items()}
    for arm, scores in grids.items():
        for rows, rate in ((own, best[arm]), (shared, best["float32"])):
            settings = settings_of(rate, list(scores) if rows is own else None)
            run_arm = partial(run_trial, arm, task, rate=rate)
            run_missing(rows, arm, options.seeds, settings, run_arm)


if __name__ == "__main__":
    make_output_safe()
    main(sys.argv[1:])

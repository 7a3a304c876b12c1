"""One training run of a record, which goes on from its checkpoint after an interruption."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.records.task import PairTask
from utils.data.pair_batches import PairBatches, pair_eval_batches
from utils.files import write_text_atomically
from utils.models.encoder_decoder import EncoderDecoder
from utils.training.config import TrainConfig
from utils.training.history import History
from utils.training.loop import fit
from utils.training.objectives import token_objective
from utils.training.optimizers import OptimizerFactory

EVAL_BATCH_SIZE = 128  # sentences


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model of a record is trained.

    Parameters
    ----------
    config
        Steps, rate and schedule.
    make_optimizer
        Builds the optimizer.
    batch_size
        The largest number of sentence pairs in a batch.
    label_smoothing
        Probability mass that label smoothing spreads over the vocabulary.
    """

    config: TrainConfig
    make_optimizer: OptimizerFactory
    batch_size: int
    label_smoothing: float


def train_pairs(
    model: EncoderDecoder[Any],
    task: PairTask,
    training: Training,
    *,
    seed: int,
    checkpoint: Path | None,
) -> tuple[History, float]:
    """Train a model and leave the parameters of its lowest validation loss in it.

    Parameters
    ----------
    model
        The untrained model.
    task
        The data.
    training
        How to train.
    seed
        Seed of the order of the pairs.
    checkpoint
        The file from which a run that was stopped goes on; None for none.

    Returns
    -------
    history : History
        The losses of the training.
    processor_seconds : float
        The processor time of the training, validations and earlier parts of the run included.
    """
    clock = ProcessorClock(checkpoint)
    if checkpoint is not None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)

    def after_validation(history: History) -> None:
        clock.save()
        steps = history.validations[-1].step
        print(f"step {steps}: {history.validations[-1].loss:.4f}, {clock.read():.0f} s", flush=True)

    history = fit(
        model,
        PairBatches(task.train, batch_size=training.batch_size, seed=seed),
        training.config,
        valid=pair_eval_batches(task.valid, batch_size=EVAL_BATCH_SIZE),
        objective=token_objective(label_smoothing=training.label_smoothing),
        make_optimizer=training.make_optimizer,
        checkpoint=checkpoint,
        progress=False,
        on_validation=after_validation,
    )
    clock.save()
    history.raise_if_interrupted()
    return history, clock.read()


class ProcessorClock:
    """The processor time of a run, which it keeps beside its checkpoint.

    Parameters
    ----------
    checkpoint
        The file of the checkpoint; None without one.
    """

    def __init__(self, checkpoint: Path | None) -> None:
        self._path = None if checkpoint is None else checkpoint.with_suffix(".seconds")
        resumed = self._path is not None and checkpoint is not None and checkpoint.exists()
        self._earlier = float(self._path.read_text()) if self._path and resumed else 0.0
        self._start = time.process_time()

    def read(self) -> float:
        """Return the seconds so far."""
        return self._earlier + time.process_time() - self._start

    def save(self) -> None:
        """Write the seconds so far, which the next part of the run adds to its own."""
        if self._path is not None:
            write_text_atomically(self._path, f"{self.read()}\n")

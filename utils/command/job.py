"""The job of one command line: a model, its data, its training, and the run's own options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utils.command.catalogue import MODELS, TrainingData, model_options, select_arguments
from utils.training.config import TrainConfig
from utils.training.distributed import STRATEGIES
from utils.training.optimizers import OPTIMIZERS


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run takes place, and what it leaves behind.

    Parameters
    ----------
    out
        Folder for checkpoints, tokenizer and weights; runs/MODEL by default. A run that finds a
        checkpoint there resumes from it.
    device
        cuda, mps or cpu; by default the fastest one of this machine.
    parallel
        Strategy of several processes: a copy of the model (data) or a part of it (shard) in each.
    optimizer
        adamw or muon.
    progress
        Whether to show a progress bar on a terminal.

    Raises
    ------
    ValueError
        If the optimizer or the strategy is unknown, or the optimizer cannot work on shards.
    """

    out: str | None = None
    device: str | None = None
    parallel: str = "data"
    optimizer: str = "adamw"
    progress: bool = True

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            choices = ", ".join(OPTIMIZERS)
            raise ValueError(f"optimizer is {self.optimizer!r}; choose from {choices}")
        if self.parallel not in STRATEGIES:
            choices = ", ".join(STRATEGIES)
            raise ValueError(f"parallel is {self.parallel!r}; choose from {choices}")
        if self.parallel == "shard" and self.optimizer == "muon":
            raise ValueError("muon needs whole matrices: expected adamw with parallel 'shard'")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that one command line asks for.

    Parameters
    ----------
    model
        Name of the model in the catalogue.
    model_options
        Arguments of the model's parts by name.
    data
        The corpus, and how it is tokenized and batched.
    training
        The configuration of the training.
    run
        The other options.
    """

    model: str
    model_options: dict[str, Any]
    data: TrainingData[Any]
    training: TrainConfig
    run: RunConfig

    @classmethod
    def from_options(cls, model: str, options: Mapping[str, Any]) -> Job:
        """Sort the values of all options by where they belong.

        Parameters
        ----------
        model
            Name of the model in the catalogue.
        options
            Values of all options by name.

        Returns
        -------
        Job
            The job.

        Raises
        ------
        ValueError
            If a value is out of its range.
        """
        data = MODELS[model].data
        return cls(
            model=model,
            model_options=model_options(model, options),
            data=data(**select_arguments(data, options)),
            training=TrainConfig(**select_arguments(TrainConfig, options)),
            run=RunConfig(**select_arguments(RunConfig, options)),
        )

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.run.out or f"runs/{self.model}")

    def description(self) -> dict[str, Any]:
        """Return what must be equal when a run is resumed, besides `training`, as JSON values."""
        values = {
            "model": self.model,
            "model_options": self.model_options,
            "data": asdict(self.data),
            "optimizer": self.run.optimizer,
        }
        return json.loads(json.dumps(values))
